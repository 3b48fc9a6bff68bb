//! Every plan that the compiler can make of a model gives the host's bits on every emulated board.

use std::path::Path;

use teff_board::Board;
use teff_trainer::bits;
use teff_trainer::test_data::skip;

/// A few inputs of small models; `cargo xtask bench bits` takes more of both.
#[test]
fn every_plan_gives_the_same_bits_on_every_board() {
    let mut plans = 0;
    for board in Board::all_that_run("verify") {
        if let Err(error) = board.ready() {
            skip("every_plan_gives_the_same_bits_on_every_board", &format!("{}: {error:#}", board.name));
            continue;
        }
        for model in ["digits", "gesture", "machine"] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models").join(model).join("model.onnx");
            for choice in bits::compare(&path, board, 4).unwrap() {
                assert_eq!(choice.differing, 0, "{model} on {}: {choice:?}", board.name);
                plans += 1;
            }
        }
    }
    println!("{plans} plans");
}
