//! Quantized models of other tools: the evaluator and the compiled plan against ONNX Runtime's
//! outputs, where those are there.

mod support;

use std::path::Path;

use support::{Npz, models_dir};
use teff::{ModelFile, Session};
use teff_compiler::evaluate::Evaluator;
use teff_compiler::graph::{Port, PortType, Quant};
use teff_compiler::{Target, compile, compile::import_quantized};

/// How far two sets of int8 outputs are apart.
#[derive(Debug, Default)]
struct Distance {
    elements: usize,
    differing: usize,
    largest: i32,
    top1_flips: usize,
}

impl Distance {
    fn add(&mut self, got: &[i8], wanted: &[i8]) {
        self.elements += got.len();
        for (&a, &b) in got.iter().zip(wanted) {
            let d = (i32::from(a) - i32::from(b)).abs();
            self.differing += usize::from(d > 0);
            self.largest = self.largest.max(d);
        }
    }

    /// Counts another answer, where the references have one and agree about it.
    fn answer(&mut self, got: &[i8], wanted: &[i8], other: &[i8]) {
        let agreed = best(wanted).filter(|b| best(other) == Some(*b));
        self.top1_flips += usize::from(agreed.is_some_and(|b| !is_largest(got, b)));
    }
}

/// The place of the largest, where it is the only one.
fn best(v: &[i8]) -> Option<usize> {
    let most = v.iter().max()?;
    let mut places = v.iter().enumerate().filter(|(_, q)| *q == most).map(|(i, _)| i);
    places.next().filter(|_| places.next().is_none())
}

fn is_largest(v: &[i8], place: usize) -> bool {
    v.iter().max() == v.get(place)
}

/// The integers of the model's ONNX tensor, from what stands in the npz.
fn integers(port: &Port, quant: &Quant, numbers: &[f32]) -> Vec<i8> {
    let params = teff::quant::QuantParams { scale: quant.scale(), zero_point: quant.zero_point as i8 };
    numbers
        .iter()
        .map(|&x| match port.kind {
            PortType::F32 => params.quantize(x),
            PortType::I8 => x as i8,
            PortType::U8 => (x - 128.0) as i8,
        })
        .collect()
}

/// Distances of the evaluator and of the plan from the reference.
fn distances(path: &Path, reference: &str) -> Result<(Distance, Distance), String> {
    let bytes = std::fs::read(path).map_err(|e| e.to_string())?;
    let graph = import_quantized(&bytes).map_err(|e| e.to_string())?;
    let compiled = compile(&bytes, Target::Generic).map_err(|e| e.to_string())?;
    let file = ModelFile::from_bytes(&compiled.plan).map_err(|e| e.to_string())?;
    let mut arena = file.arena();
    let mut session = Session::from_model(file.model(), arena.as_mut_slice()).map_err(|e| e.to_string())?;
    let mut npz = Npz::open(&path.with_extension("npz"))?;
    let (x, y) = (npz.f32("x")?.1, npz.f32(reference)?.1);
    let other = npz.f32("y_ort_all")?.1;
    let (input, output) = (&graph.inputs[0], &graph.outputs[0]);
    let (len_in, len_out) = (input.shape.iter().product::<usize>(), output.shape.iter().product::<usize>());
    let in_quant = graph.value(input.value).quant.clone().ok_or("no input scale")?;
    let out_quant = graph.value(output.value).quant.clone().ok_or("no output scale")?;
    let mut evaluator = Evaluator::new(&graph).map_err(|e| e.to_string())?;
    let (mut float, mut plan) = (Distance::default(), Distance::default());
    let cases = y.chunks_exact(len_out).zip(other.chunks_exact(len_out));
    for (x, (y, other)) in x.chunks_exact(len_in).zip(cases) {
        let q = input.to_value(&integers(input, &in_quant, x));
        let (wanted, other) = (integers(output, &out_quant, y), integers(output, &out_quant, other));
        let real: Vec<f32> =
            q.iter().map(|&q| in_quant.scale() * (i32::from(q) - in_quant.zero_point) as f32).collect();
        evaluator.run(&[&real]).map_err(|e| e.to_string())?;
        let params =
            teff::quant::QuantParams { scale: out_quant.scale(), zero_point: out_quant.zero_point as i8 };
        let got: Vec<i8> = evaluator.output(0).iter().map(|&y| params.quantize(y)).collect();
        let got = output.to_onnx(&got);
        float.add(&got, &wanted);
        float.answer(&got, &wanted, &other);
        session.input_mut(0).copy_from_slice(&q);
        session.invoke();
        let got = output.to_onnx(session.output(0).values);
        plan.add(&got, &wanted);
        plan.answer(&got, &wanted, &other);
    }
    Ok((float, plan))
}

#[test]
fn quantized_models_agree_with_onnx_runtime() {
    let Some(dir) = models_dir("quantized_models_agree_with_onnx_runtime") else { return };
    // Differences of one step inside a deep network grow on the way to its output: what is asked
    // of the whole is that the numbers stay near and the answers the same.
    let cases = [
        ("ad01_qdq_tfl", 2),
        ("ic_qdq_tfl", 40),
        ("kws_qdq_tfl", 8),
        ("sww_qdq_tfl", 4),
        ("vww_qdq_tfl", 6),
        ("ic_ort_qdq", 40),
        ("kws_ort_qdq", 8),
        ("pt_cnn_ort_qdq", 4),
        ("ic_ort_qop", 40),
        ("kws_ort_qop", 8),
        ("pt_cnn_ort_qop", 4),
    ];
    let mut faults = Vec::new();
    for (name, limit) in cases {
        let path = dir.join(format!("{name}.onnx"));
        match distances(&path, "y_ort_off") {
            Ok((float, plan)) => {
                println!("{name}: evaluator {float:?}, plan {plan:?}");
                // An autoencoder has no answer.
                let flips = if name.starts_with("ad01") { 0 } else { float.top1_flips + plan.top1_flips };
                if float.largest > limit || plan.largest > limit || flips > 0 {
                    faults.push(format!("{name}: evaluator {float:?}, plan {plan:?}"));
                }
            }
            Err(error) => faults.push(format!("{name}: {error}")),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
