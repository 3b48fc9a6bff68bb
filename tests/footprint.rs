//! What is linked into a program that runs a model and nothing else.

use teff_board::{Board, Elf, Firmware, Link};
use teff_trainer::test_data::skip;

/// After a plan was opened nothing fails; so no program that only runs a model holds the code of a panic, of formatted
/// text, of a 64-bit division, or of floating-point arithmetic by library calls.
#[test]
fn running_a_model_links_no_panic() {
    let board = Board::find("mps2-an386").unwrap();
    if let Err(error) = board.ready() {
        return skip("running_a_model_links_no_panic", &format!("{error:#}"));
    }
    for model in ["digits", "fashion"] {
        let path = format!("{}/../models/{model}/model.onnx", env!("CARGO_MANIFEST_DIR"));
        let elf = Firmware { board, program: "footprint", link: Link::File(path.into()) }.build().unwrap();
        let elf = Elf::read(&elf).unwrap();
        let symbols = elf.symbols().unwrap();
        assert!(symbols.iter().any(|name| name.contains("cortex_m_rt_main")), "the program has its symbols");
        let unwanted =
            ["panicking", "begin_unwind", "core3fmt", "aeabi_uldivmod", "aeabi_ldivmod", "aeabi_fmul"];
        let found: Vec<&String> =
            symbols.iter().filter(|name| unwanted.iter().any(|part| name.contains(part))).collect();
        assert!(found.is_empty(), "{model}: {found:?}");
        let sizes = elf.sizes().unwrap();
        println!("{model}: {} bytes of flash, {} of RAM", sizes.flash_bytes, sizes.ram_bytes);
        assert!(elf.plan_bytes().is_some_and(|plan| plan < sizes.flash_bytes));
    }
}
