//! Damaged and hostile ONNX files: each gives an error that says where, never a panic.

mod support;

use proptest::prelude::*;
use support::network;
use teff_compiler::compile::{compile, import_quantized};
use teff_compiler::quantize::{Method, quantize};
use teff_compiler::{Target, onnx};

fn float_file() -> Vec<u8> {
    onnx::export(&network()).unwrap()
}

fn quantized_file() -> Vec<u8> {
    let graph = network();
    let len: usize = graph.inputs[0].shape.iter().product();
    let sample: Vec<f32> = (0..len).map(|i| (i as f32 * 0.61).sin()).collect();
    let q = quantize(&graph, [vec![sample.as_slice()]], Method::MinMax).unwrap();
    onnx::export(&q).unwrap()
}

/// Whatever comes of it, it comes without a panic, and an accepted model is sound.
fn survives(bytes: &[u8]) {
    if let Ok(graph) = onnx::import(bytes) {
        graph.verify().unwrap();
        if import_quantized(bytes).is_ok() {
            let _ = compile(bytes, Target::Generic);
        }
    }
}

#[test]
fn every_truncation_is_refused_or_sound() {
    let file = quantized_file();
    assert!(compile(&file, Target::Generic).is_ok());
    // The model's parts stand one after the other: every cut in the last 2 kB, and some before.
    let cuts = (0..file.len()).step_by(97).chain(file.len().saturating_sub(400)..file.len());
    for cut in cuts {
        survives(&file[..cut]);
    }
    assert!(onnx::import(&[]).is_err());
    assert!(onnx::import(&file[..file.len() / 2]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn flipped_bits(flips in prop::collection::vec((any::<prop::sample::Index>(), 0u8..8), 1..4), float: bool) {
        let mut file = if float { float_file() } else { quantized_file() };
        for (at, bit) in flips {
            let at = at.index(file.len());
            file[at] ^= 1 << bit;
        }
        survives(&file);
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        survives(&bytes);
    }
}

#[test]
fn a_float_model_is_refused_by_name() {
    let text = compile(&float_file(), Target::Generic).unwrap_err().to_string();
    assert!(text.contains("float model") && text.contains("trainer quantize"), "{text}");
}
