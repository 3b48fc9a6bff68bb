//! Quantize, export, import: the graph that comes back computes the same bits.

mod support;

use support::{Npz, import, models_dir, network};
use teff::{ModelFile, Session};
use teff_compiler::evaluate::Evaluator;
use teff_compiler::graph::Graph;
use teff_compiler::passes::simplify;
use teff_compiler::quantize::{Method, quantize};
use teff_compiler::{Target, compile, onnx};

/// Exports and imports twice; gives the bytes and the graph of the second round.
fn round_trip(graph: &Graph) -> Result<(Vec<u8>, Graph), String> {
    let first = onnx::export(graph).map_err(|e| e.to_string())?;
    let mut back = onnx::import(&first).map_err(|e| format!("first import: {e}"))?;
    simplify(&mut back);
    let second = onnx::export(&back).map_err(|e| e.to_string())?;
    let mut again = onnx::import(&second).map_err(|e| format!("second import: {e}"))?;
    simplify(&mut again);
    let third = onnx::export(&again).map_err(|e| e.to_string())?;
    if second != third {
        return Err("bytes differ between two exports".into());
    }
    Ok((third, again))
}

fn same_outputs(a: &Graph, b: &Graph, samples: &[Vec<f32>], tolerance: f32) -> Result<(), String> {
    let mut first = Evaluator::new(a).map_err(|e| e.to_string())?;
    let mut second = Evaluator::new(b).map_err(|e| e.to_string())?;
    for onnx in samples {
        let x = a.inputs[0].to_value(onnx);
        let y = b.inputs[0].to_value(onnx);
        first.run(&[&x]).map_err(|e| e.to_string())?;
        second.run(&[&y]).map_err(|e| e.to_string())?;
        let p = a.outputs[0].to_onnx(first.output(0));
        let q = b.outputs[0].to_onnx(second.output(0));
        for (p, q) in p.iter().zip(&q) {
            if (p - q).abs() > tolerance * p.abs().max(1.0) {
                return Err(format!("{p} became {q}\n{a}\n{b}"));
            }
        }
    }
    Ok(())
}

fn check(float: &Graph, samples: &[Vec<f32>]) -> Result<(), String> {
    let mut float = float.clone();
    simplify(&mut float);
    let (_, back) = round_trip(&float)?;
    same_outputs(&float, &back, samples, 1e-5)?;
    let inputs: Vec<Vec<f32>> = samples.iter().map(|s| float.inputs[0].to_value(s)).collect();
    let q = quantize(&float, inputs.iter().map(|s| vec![s.as_slice()]), Method::Percentile(99.99));
    let q = q.map_err(|e| e.to_string())?;
    let (_, back) = round_trip(&q)?;
    if !back.is_quantized() {
        return Err(format!("not all values came back quantized:\n{back}"));
    }
    same_outputs(&q, &back, samples, 0.0)
}

#[test]
fn a_network_with_every_operator_comes_back() {
    let graph = network();
    let len: usize = graph.inputs[0].shape.iter().product();
    let samples: Vec<Vec<f32>> =
        (0..6).map(|s| (0..len).map(|i| ((i * (s + 3)) as f32 * 0.61).sin()).collect()).collect();
    check(&graph, &samples).unwrap();
}

#[test]
fn metadata_comes_back() {
    let mut graph = network();
    graph.metadata.insert("teff.version".into(), "1".into());
    graph.metadata.insert("teff.labels".into(), "yes\nno".into());
    let back = onnx::import(&onnx::export(&graph).unwrap()).unwrap();
    assert_eq!(back.metadata, graph.metadata);
}

#[test]
fn real_models_come_back() {
    let Some(dir) = models_dir("real_models_come_back") else { return };
    let names = [
        "ad01_float_keras",
        "ic_float_keras",
        "kws_float_tfl",
        "sww_float_keras",
        "vww_float_tfl",
        "pt_cnn1d_dynamo",
        "pt_cnn1d_legacy",
        "pt_cnn_dynamo",
        "pt_cnn_legacy",
    ];
    let mut faults = Vec::new();
    for name in names {
        let path = dir.join(format!("{name}.onnx"));
        let graph = import(&path).unwrap();
        let (_, x) = Npz::open(&path.with_extension("npz")).unwrap().f32("x").unwrap();
        let len: usize = graph.inputs[0].shape.iter().product();
        let samples: Vec<Vec<f32>> = x.chunks_exact(len).map(<[f32]>::to_vec).collect();
        if let Err(error) = check(&graph, &samples) {
            faults.push(format!("{name}: {error}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What a plan gives for bytes that look arbitrary.
fn outputs(file: &[u8]) -> Vec<Vec<i8>> {
    let compiled = compile(file, Target::Generic).unwrap_or_else(|e| panic!("{e}"));
    let model = ModelFile::from_bytes(&compiled.plan).unwrap();
    let mut arena = model.arena();
    let mut session = Session::from_model(model.model(), arena.as_mut_slice()).unwrap();
    let ramp = |i: usize| (i * 61 % 253) as i8;
    session.input_mut(0).iter_mut().enumerate().for_each(|(i, q)| *q = ramp(i));
    session.invoke();
    vec![session.output(0).values.to_vec()]
}

#[test]
fn foreign_quantized_models_come_back() {
    // In the QDQ form, whatever they were in: the same bits.
    let Some(dir) = models_dir("foreign_quantized_models_come_back") else { return };
    for name in [
        "ad01_qdq_tfl",
        "ic_ort_qdq",
        "ic_ort_qop",
        "kws_ort_qop",
        "kws_qdq_tfl",
        "pt_cnn_ort_qop",
        "sww_qdq_tfl",
    ] {
        let file = std::fs::read(dir.join(format!("{name}.onnx"))).unwrap();
        let graph = teff_compiler::compile::import_quantized(&file).unwrap();
        let back = onnx::export(&graph).unwrap();
        assert!(outputs(&file) == outputs(&back), "{name}: other outputs");
    }
}

#[test]
fn weights_of_nine_bits_come_back() {
    let file = support::file::File::new(13)
        .input("x", support::file::UINT8, &[1, 3])
        .output("y")
        .quant("x", support::file::UINT8, 0.1, 9)
        .quant("y", support::file::INT8, 4.0, 0)
        .quant("w", support::file::UINT8, 0.2, 30)
        .bytes("w", support::file::UINT8, &[3, 2], &[255, 0, 30, 200, 7, 90])
        .node("QLinearMatMul", &["x", "x.s", "x.z", "w", "w.s", "w.z", "y.s", "y.z"], &["y"], &[])
        .finish();
    let graph = teff_compiler::compile::import_quantized(&file).unwrap();
    assert_eq!(outputs(&file), outputs(&onnx::export(&graph).unwrap()));
}
