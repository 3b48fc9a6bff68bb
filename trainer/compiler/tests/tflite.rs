//! TensorFlow Lite files: against the outputs of TensorFlow Lite's engines, and against the ONNX
//! files that tf2onnx made of them.

mod support;

use std::path::Path;

use support::{Npz, models_dir};
use teff::{ModelFile, Session};
use teff_compiler::evaluate::Evaluator;
use teff_compiler::graph::{Graph, PortType};
use teff_compiler::{Target, compile, import, onnx};

/// A compiled model that takes and gives the integers of the file's tensors.
struct Runner {
    graph: Graph,
    file: ModelFile,
}

impl Runner {
    fn new(bytes: &[u8]) -> Result<Runner, String> {
        let graph = import(bytes).map_err(|e| e.to_string())?;
        let compiled = compile(bytes, Target::Generic).map_err(|e| e.to_string())?;
        let file = ModelFile::from_bytes(&compiled.plan).map_err(|e| e.to_string())?;
        Ok(Runner { graph, file })
    }

    fn open(path: &Path) -> Result<Runner, String> {
        Runner::new(&std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?)
    }

    fn input_len(&self) -> usize {
        self.graph.inputs[0].shape.iter().product()
    }

    /// The outputs for inputs that stand one after the other.
    fn run(&self, x: &[f32]) -> Result<Vec<i8>, String> {
        let (input, output) = (&self.graph.inputs[0], &self.graph.outputs[0]);
        if input.kind != PortType::I8 {
            return Err(format!("the input is {}", input.kind.name()));
        }
        let mut arena = self.file.arena();
        let mut session =
            Session::from_model(self.file.model(), arena.as_mut_slice()).map_err(|e| e.to_string())?;
        let mut all = Vec::new();
        for x in x.chunks_exact(self.input_len()) {
            let q: Vec<i8> = x.iter().map(|&x| x as i8).collect();
            session.input_mut(0).copy_from_slice(&input.to_value(&q));
            session.invoke();
            all.extend(output.to_onnx(session.output(0).values));
        }
        Ok(all)
    }
}

/// Inputs that reach all values: pseudo-random bytes.
fn noise(len: usize) -> Vec<f32> {
    let mut state = 1u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from((state >> 24) as u8 as i8)
    };
    (0..len).map(next).collect()
}

fn best(scores: &[i8]) -> Option<usize> {
    scores.iter().enumerate().max_by_key(|(i, q)| (**q, usize::MAX - i)).map(|b| b.0)
}

/// Compares with every reference of the file. What differs comes from rounding: those engines
/// differ among themselves as well (XNNPACK rounds once, as is done here). Top-1 is asked for
/// where they agree.
fn against_references(path: &Path, limit: i32) -> Result<String, String> {
    let runner = Runner::open(path)?;
    let mut npz = Npz::open(&path.with_extension("npz"))?;
    let x = npz.f32("x")?.1;
    let got = runner.run(&x)?;
    let len: usize = runner.graph.outputs[0].shape.iter().product();
    let mut closest: Option<(usize, i32, &str)> = None;
    let mut references = Vec::new();
    let mut line = String::new();
    for name in ["y_ref", "y_builtin", "y_xnnpack", "y_tflm"] {
        let Ok((_, y)) = npz.f32(name) else { continue };
        let wanted: Vec<i8> = y.iter().map(|&y| y as i8).collect();
        if wanted.len() != got.len() {
            return Err(format!("{name} has {} elements, not {}", wanted.len(), got.len()));
        }
        let apart = got.iter().zip(&wanted).map(|(&a, &b)| (i32::from(a) - i32::from(b)).abs());
        let (differing, largest) = apart.fold((0, 0), |(n, most), d| (n + usize::from(d > 0), most.max(d)));
        line.push_str(&format!(" {name} {differing}/{} by {largest};", got.len()));
        if closest.is_none_or(|(_, most, _)| largest < most) {
            closest = Some((differing, largest, name));
        }
        references.push(wanted);
    }
    let Some((_, largest, name)) = closest else { return Err("no reference".into()) };
    if largest > limit {
        return Err(format!("{largest} steps from the closest reference, {name}:{line}"));
    }
    for case in 0..got.len() / len {
        let piece = |all: &[i8]| best(&all[case * len..(case + 1) * len]);
        let wanted = piece(&references[0]);
        if len > 1 && references.iter().all(|r| piece(r) == wanted) && piece(&got) != wanted {
            return Err(format!("input {case}: the largest is {:?}, not {wanted:?}", piece(&got)));
        }
    }
    Ok(line)
}

#[test]
fn int8_models_agree_with_the_engines_of_tensorflow() {
    let Some(dir) = models_dir("int8_models_agree_with_the_engines_of_tensorflow") else { return };
    let cases = [
        ("ad01_int8", 0),
        ("hello_world_int8", 0),
        ("kws_ref_model", 0),
        ("micro_speech_quantized", 0),
        // The outputs of TFLite Micro alone are there, which rounds twice.
        ("person_detect", 2),
        ("pretrainedResnet_quant", 0),
        ("str_ww_ref_model", 0),
        ("vww_96_int8", 0),
    ];
    let mut faults = Vec::new();
    for (name, limit) in cases {
        match against_references(&dir.join(format!("{name}.tflite")), limit) {
            Ok(line) => println!("{name}:{line}"),
            Err(error) => faults.push(format!("{name}: {error}")),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_file_and_its_onnx_twin_compute_the_same_bits() {
    let Some(dir) = models_dir("a_file_and_its_onnx_twin_compute_the_same_bits") else { return };
    for (name, twin) in [
        ("ad01_int8", "ad01_qdq_tfl"),
        ("pretrainedResnet_quant", "ic_qdq_tfl"),
        ("kws_ref_model", "kws_qdq_tfl"),
        ("str_ww_ref_model", "sww_qdq_tfl"),
        ("vww_96_int8", "vww_qdq_tfl"),
    ] {
        let first = Runner::open(&dir.join(format!("{name}.tflite"))).unwrap();
        let second = Runner::open(&dir.join(format!("{twin}.onnx"))).unwrap();
        let mut npz = Npz::open(&dir.join(format!("{name}.npz"))).unwrap();
        let mut x = npz.f32("x").unwrap().1;
        x.extend(noise(4 * first.input_len()));
        assert_eq!(first.run(&x).unwrap(), second.run(&x).unwrap(), "{name} and {twin}");
    }
}

#[test]
fn an_exported_file_computes_the_same_bits() {
    let Some(dir) = models_dir("an_exported_file_computes_the_same_bits") else { return };
    for name in [
        "ad01_int8",
        "hello_world_int8",
        "kws_ref_model",
        "micro_speech_quantized",
        "person_detect",
        "pretrainedResnet_quant",
        "str_ww_ref_model",
        "vww_96_int8",
    ] {
        let bytes = std::fs::read(dir.join(format!("{name}.tflite"))).unwrap();
        let first = Runner::new(&bytes).unwrap();
        let exported = onnx::export(&import(&bytes).unwrap()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let second = Runner::new(&exported).unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut npz = Npz::open(&dir.join(format!("{name}.npz"))).unwrap();
        let mut x = npz.f32("x").unwrap().1;
        x.extend(noise(4 * first.input_len()));
        assert_eq!(first.run(&x).unwrap(), second.run(&x).unwrap(), "{name}");
    }
}

/// Largest difference from the reference, relative to its largest number.
fn float_distance(path: &Path, npz: &Path, reference: &str) -> Result<f64, String> {
    let graph = import(&std::fs::read(path).map_err(|e| e.to_string())?).map_err(|e| e.to_string())?;
    let mut npz = Npz::open(npz)?;
    let (x, y) = (npz.f32("x")?.1, npz.f32(reference)?.1);
    let (input, output) = (&graph.inputs[0], &graph.outputs[0]);
    let (len_in, len_out) = (input.shape.iter().product(), output.shape.iter().product());
    let mut evaluator = Evaluator::new(&graph).map_err(|e| e.to_string())?;
    let most = y.iter().fold(0f32, |a, b| a.max(b.abs()));
    let mut worst = 0f64;
    for (x, y) in x.chunks_exact(len_in).zip(y.chunks_exact(len_out)) {
        evaluator.run(&[&input.to_value(x)]).map_err(|e| e.to_string())?;
        for (a, b) in output.to_onnx(evaluator.output(0)).iter().zip(y) {
            worst = worst.max(f64::from((a - b).abs()) / f64::from(most));
        }
    }
    Ok(worst)
}

#[test]
fn float_models_agree_with_their_reference() {
    let Some(dir) = models_dir("float_models_agree_with_their_reference") else { return };
    // Of `kws_ref_model_float32` some weights are int8: TensorFlow Lite rounds its activations on
    // the way, ONNX Runtime computes with what the weights stand for, as is done here.
    let cases = [
        ("ad01_fp32", "ad01_float_tfl", "y_tflite_xnnpack"),
        ("kws_float", "kws_float_keras", "y_ort"),
        ("kws_ref_model_float32", "kws_float_tfl", "y_ort"),
        ("pretrainedResnet", "ic_float_tfl", "y_tflite_xnnpack"),
        ("sww_float", "sww_float_keras", "y_ort"),
        ("vww_96_float", "vww_float_tfl", "y_tflite_xnnpack"),
    ];
    let mut faults = Vec::new();
    for (name, npz, reference) in cases {
        let distance =
            float_distance(&dir.join(format!("{name}.tflite")), &dir.join(format!("{npz}.npz")), reference);
        match distance {
            Ok(worst) if worst <= 1e-4 => println!("{name}: {worst:.2e}"),
            Ok(worst) => faults.push(format!("{name}: {worst:.2e}")),
            Err(error) => faults.push(format!("{name}: {error}")),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn weights_of_a_hybrid_file_are_read_as_real_numbers() {
    let Some(dir) = models_dir("weights_of_a_hybrid_file_are_read_as_real_numbers") else { return };
    let graph = import(&std::fs::read(dir.join("kws_ref_model_float32.tflite")).unwrap()).unwrap();
    assert!(graph.values().iter().all(|value| value.quant.is_none()));
    assert!(
        graph.notes[0].starts_with("The weights of 5 operators stand in the file as 8-bit"),
        "{:?}",
        graph.notes
    );
}

#[test]
fn recurrent_networks_are_refused_by_name() {
    let Some(dir) = models_dir("recurrent_networks_are_refused_by_name") else { return };
    let error = import(&std::fs::read(dir.join("mnist_lstm_int8.tflite")).unwrap()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "node `tfl.unidirectional_sequence_lstm` (UNIDIRECTIONAL_SEQUENCE_LSTM): recurrent operators are not \
         supported; use convolutions over time, or cut the model before it"
    );
}

#[test]
fn extreme_channels_are_bounded_and_told() {
    let Some(dir) = models_dir("extreme_channels_are_bounded_and_told") else { return };
    let bytes = std::fs::read(dir.join("vww_96_int8.tflite")).unwrap();
    let notes = compile(&bytes, Target::Generic).unwrap().report.notes;
    let told: Vec<&String> = notes.iter().filter(|note| note.contains("beyond 2^24")).collect();
    assert_eq!(told.len(), 2, "{notes:?}");
    assert!(told[0].contains("has 1 output channel with sums up to 99198368"), "{}", told[0]);
    assert!(told[0].contains("within 2.0e-3 of a step"), "{}", told[0]);
}
