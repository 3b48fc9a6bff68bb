//! Every plan that the compiler can make of a model gives the host's bits on every emulated board.

use std::path::Path;

use teff_board::Board;
use teff_trainer::engine::board::OnBoard;
use teff_trainer::engine::{Engine, batch};
use teff_trainer::test_data::{find, skip};
use teff_trainer::{arrays, bits, golden};

/// A few drawn inputs of small models, and their golden ones; `cargo xtask bench bits` takes more of both.
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
                assert_eq!(choice.recorded, golden::CASES, "{model} on {}: {choice:?}", board.name);
                plans += 1;
            }
        }
    }
    println!("{plans} plans");
}

/// Models of another converter, each with arrays of its own name beside it.
const OTHERS: [&str; 8] = [
    "ad01_int8",
    "hello_world_int8",
    "kws_ref_model",
    "micro_speech_quantized",
    "person_detect",
    "pretrainedResnet_quant",
    "str_ww_ref_model",
    "vww_96_int8",
];

/// As the compiler makes the plans when nothing is asked of it.
#[test]
fn recorded_inputs_of_other_models_give_the_same_bits_on_every_board() {
    let test = "recorded_inputs_of_other_models_give_the_same_bits_on_every_board";
    let mut bytes = 0;
    for model in OTHERS {
        let Some(path) = find(test, &format!("models/{model}.tflite")) else { continue };
        let file = path.with_extension("npz");
        let recorded = arrays::read(&file).unwrap();
        for board in Board::all_that_run("verify") {
            if let Err(error) = board.ready() {
                skip(test, &format!("{}: {error:#}", board.name));
                continue;
            }
            let mut engine = OnBoard::load(&path, board).unwrap();
            let examples = batch::examples(engine.inputs(), &recorded, &file).unwrap();
            let cases = engine.host().cases(&examples).unwrap();
            let on_host = engine.host().run_raw(&cases).unwrap();
            assert!(!on_host.is_empty(), "{model}");
            assert!(engine.run_raw(&cases).unwrap() == on_host, "{model} on {}", board.name);
            bytes += on_host.iter().flatten().map(Vec::len).sum::<usize>();
        }
    }
    println!("{bytes} bytes of outputs, none differs");
}
