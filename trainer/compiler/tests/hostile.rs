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

/// A writer of ONNX messages for files that no exporter makes.
mod wire {
    pub fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        varint(&mut out, u64::from(number << 3 | 2));
        varint(&mut out, bytes.len() as u64);
        out.extend_from_slice(bytes);
        out
    }

    pub fn int(number: u32, value: i64) -> Vec<u8> {
        let mut out = Vec::new();
        varint(&mut out, u64::from(number << 3));
        varint(&mut out, value as u64);
        out
    }

    fn varint(out: &mut Vec<u8>, mut value: u64) {
        while value >= 128 {
            out.push(value as u8 | 128);
            value >>= 7;
        }
        out.push(value as u8);
    }

    pub fn node(op: &str, name: &str, inputs: &[&str], outputs: &[&str]) -> Vec<u8> {
        let mut out = Vec::new();
        inputs.iter().for_each(|i| out.extend(field(1, i.as_bytes())));
        outputs.iter().for_each(|o| out.extend(field(2, o.as_bytes())));
        out.extend(field(3, name.as_bytes()));
        out.extend(field(4, op.as_bytes()));
        field(1, &out)
    }

    pub fn value(number: u32, name: &str, kind: i64, dims: &[i64]) -> Vec<u8> {
        let dims: Vec<u8> = dims.iter().flat_map(|&d| field(1, &int(1, d))).collect();
        let tensor = [int(1, kind), field(2, &dims)].concat();
        field(number, &[field(1, name.as_bytes()), field(2, &field(1, &tensor))].concat())
    }

    pub fn tensor(name: &str, kind: i64, dims: &[i64], raw: &[u8]) -> Vec<u8> {
        let dims: Vec<u8> = dims.iter().flat_map(|&d| int(1, d)).collect();
        field(5, &[dims, int(2, kind), field(8, name.as_bytes()), field(9, raw)].concat())
    }

    pub fn model(opset: i64, graph: &[Vec<u8>]) -> Vec<u8> {
        [int(1, 8), field(7, &graph.concat()), field(8, &int(2, opset))].concat()
    }
}

fn refusal(opset: i64, parts: &[Vec<u8>]) -> String {
    onnx::import(&wire::model(opset, parts)).expect_err("a hostile file was accepted").to_string()
}

#[test]
fn structural_faults_name_their_place() {
    use wire::{node, tensor, value};
    let x = value(11, "x", 1, &[1, 4]);
    let y = value(12, "y", 1, &[1, 4]);
    let io = |nodes: Vec<Vec<u8>>| [vec![x.clone(), y.clone()], nodes].concat();

    let text = refusal(17, &io(vec![node("Relu", "a", &["b"], &["y"]), node("Relu", "c", &["y"], &["b"])]));
    assert!(text.contains("node `c` (Relu)") && text.contains("cycle"), "{text}");

    let text = refusal(17, &io(vec![node("Relu", "a", &["nowhere"], &["y"])]));
    assert!(text.contains("node `a` (Relu)") && text.contains("`nowhere`, which nothing produces"), "{text}");

    let text = refusal(17, &io(vec![node("Relu", "a", &["x"], &["y"]), node("Relu", "b", &["x"], &["y"])]));
    assert!(text.contains("node `b` (Relu)") && text.contains("produced twice"), "{text}");

    let text = refusal(17, &io(vec![node("Frobnicate", "a", &["x"], &["y"])]));
    assert!(text.contains("node `a` (Frobnicate)") && text.contains("not supported"), "{text}");

    let text = refusal(9999, &io(vec![node("Relu", "a", &["x"], &["y"])]));
    assert!(text.contains("operator set 9999"), "{text}");

    let two = tensor("w", 1, &[1], &[0; 4]);
    let text = refusal(17, &io(vec![two.clone(), two, node("Add", "a", &["x", "w"], &["y"])]));
    assert!(text.contains("value `w`") && text.contains("two initializers"), "{text}");

    let huge = tensor("w", 1, &[4, 1 << 29], &[0; 16]);
    let text = refusal(17, &io(vec![huge, node("MatMul", "a", &["x", "w"], &["y"])]));
    assert!(text.contains("value `w`"), "{text}");

    let short = tensor("w", 1, &[4, 4], &[0; 12]);
    let text = refusal(17, &io(vec![short, node("MatMul", "a", &["x", "w"], &["y"])]));
    assert!(text.contains("value `w`") && text.contains("the file holds 3"), "{text}");

    let integers = tensor("w", 3, &[4, 4], &[1; 16]);
    let text = refusal(17, &io(vec![integers, node("MatMul", "a", &["x", "w"], &["y"])]));
    assert!(text.contains("node `a` (MatMul)") && text.contains("int8 has no scale"), "{text}");

    let wide = value(11, "x", 1, &[1, 1 << 40]);
    let text = refusal(17, &[wide, y.clone(), node("Relu", "a", &["x"], &["y"])]);
    assert!(text.contains("value `x`") && text.contains("out of range"), "{text}");

    let batch = value(11, "x", 1, &[8, 4]);
    let text = refusal(17, &[batch, y.clone(), node("Relu", "a", &["x"], &["y"])]);
    assert!(text.contains("batch of 8") && text.contains("symbolic batch"), "{text}");

    let text = refusal(17, &[x.clone(), y.clone()]);
    assert!(text.contains("value `y`") && text.contains("no node produces"), "{text}");

    let pads = tensor("p", 7, &[4], &[0, 0, 0, 64, 0, 0, 0, 0].repeat(4));
    let text = refusal(17, &io(vec![pads, node("Pad", "a", &["x", "p"], &["y"])]));
    assert!(text.contains("node `a` (Pad)"), "{text}");
}

#[test]
fn a_float_model_is_refused_by_name() {
    let text = compile(&float_file(), Target::Generic).unwrap_err().to_string();
    assert!(text.contains("float model") && text.contains("trainer quantize"), "{text}");
}

#[test]
fn deep_nesting_ends() {
    // Attributes hold graphs that hold nodes that hold attributes: nested for ever, refused early.
    let mut inner = Vec::new();
    for _ in 0..2_000 {
        inner = wire::field(1, &wire::field(5, &wire::field(6, &inner)));
    }
    survives(&wire::model(17, &[inner]));
}
