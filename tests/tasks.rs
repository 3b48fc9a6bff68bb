//! Models of MLPerf Tiny on real samples of their tasks, as other tools quantized them and as we do.

use std::collections::BTreeMap;
use std::path::Path;

use teff_compiler::quantize::{Sample, Settings, quantize_with};
use teff_compiler::{Target, compile, onnx};
use teff_trainer::arrays::{Array, Data};
use teff_trainer::dataset::archive::{Files, Limits};
use teff_trainer::engine::Engine;
use teff_trainer::engine::teff::Teff;
use teff_trainer::model_file;
use teff_trainer::test_data::find;

/// A task: its samples, and the models for it.
struct Task {
    test: &'static str,
    /// Name of the archive of samples and of the folder in it.
    samples: &'static str,
    samples_len: usize,
    /// The integers of the models' input, of a byte of a sample.
    integer: fn(u8) -> i8,
    /// The model as TensorFlow quantized it, and the least share it must get right.
    tflite: &'static str,
    top1: f64,
    /// The same model as a QDQ ONNX file.
    onnx: &'static str,
    /// The float model.
    float: &'static str,
}

/// How much worse one quantization of a model may be than another.
const APART: f64 = 0.003;

/// Samples and their classes.
fn samples(task: &Task, folder: &Path) -> Vec<(Vec<i8>, usize)> {
    let archive = format!("{}.tar.gz", task.samples);
    let files = Files::find(folder, Some(&archive), Some(task.samples)).unwrap();
    let mut bytes = BTreeMap::new();
    files
        .visit(
            Limits::default(),
            |name| name.ends_with(".bin") || name == "y_labels.csv",
            |entry| {
                bytes.insert(entry.name, entry.bytes);
                Ok(())
            },
        )
        .unwrap();
    let labels = String::from_utf8(bytes.remove("y_labels.csv").unwrap()).unwrap();
    let sample = |line: &str| {
        let mut fields = line.split(',');
        let name = fields.next()?;
        let class = fields.nth(1)?.trim().parse().ok()?;
        Some((bytes.get(name)?.iter().map(|&byte| (task.integer)(byte)).collect(), class))
    };
    labels.lines().map(|line| sample(line).unwrap_or_else(|| panic!("{line}"))).collect()
}

/// How many samples our own quantization is calibrated on; their classes are not looked at.
const CALIBRATION: usize = 100;

/// The float model as the quantizer leaves it by default, and the samples in its integers.
fn quantized(task: &Task, models: &Path, samples: &[(Vec<i8>, usize)]) -> (Teff, Vec<(Vec<i8>, usize)>) {
    let path = models.join(task.float);
    let graph = model_file::import(&path).unwrap();
    let theirs = Teff::load(&models.join(task.tflite)).unwrap().inputs()[0].quant.unwrap();
    let real = |sample: &[i8]| -> Vec<f32> { sample.iter().map(|&q| theirs.dequantize(q)).collect() };
    let first = samples.iter().take(CALIBRATION).map(|(sample, _)| graph.inputs[0].to_value(&real(sample)));
    let first: Vec<Vec<f32>> = first.collect();
    let calibration: Vec<Sample<'_>> = first.iter().map(|sample| vec![sample.as_slice()]).collect();
    let quantized = quantize_with(&graph, &calibration, &Settings::default(), &mut |_| {}).unwrap();
    let compiled = compile(&onnx::export(&quantized.graph).unwrap(), Target::Generic).unwrap();
    let engine = Teff::from_plan(&compiled.plan, &path).unwrap();
    let ours = engine.inputs()[0].quant.unwrap();
    let integers = |sample: &[i8]| real(sample).into_iter().map(|x| ours.quantize(x)).collect();
    let samples = samples.iter().map(|(sample, class)| (integers(sample), *class)).collect();
    (engine, samples)
}

/// Share of the samples that a model gets right.
fn top1(engine: &mut Teff, samples: &[(Vec<i8>, usize)]) -> f64 {
    let shape: Vec<usize> = engine.inputs()[0].shape.iter().map(|size| size.unwrap_or(1)).collect();
    let example = |sample: &[i8]| vec![Array { shape: shape.clone(), data: Data::I8(sample.to_vec()) }];
    let examples: Vec<Vec<Array>> = samples.iter().map(|(sample, _)| example(sample)).collect();
    let outputs = engine.run(&examples).unwrap();
    let right = outputs.iter().zip(samples).filter(|(output, (_, class))| {
        let scores = output[0].to_f32();
        let best = (0..scores.len()).max_by(|&a, &b| scores[a].total_cmp(&scores[b]).then(b.cmp(&a)));
        best == Some(*class)
    });
    right.count() as f64 / samples.len() as f64
}

fn check(task: &Task) {
    let Some(folder) = find(task.test, "data/mlperf-tiny-samples") else { return };
    let Some(models) = find(task.test, "models") else { return };
    let samples = samples(task, &folder);
    assert_eq!(samples.len(), task.samples_len);
    let load = |file: &str| Teff::load(&models.join(file)).unwrap();
    let tflite = top1(&mut load(task.tflite), &samples);
    let onnx = top1(&mut load(task.onnx), &samples);
    let (mut engine, own_samples) = quantized(task, &models, &samples);
    let own = top1(&mut engine, &own_samples);
    println!(
        "{}: {tflite:.4} of {}; {}: {onnx:.4}; {} quantized here: {own:.4}",
        task.tflite,
        samples.len(),
        task.onnx,
        task.float
    );
    assert!(tflite >= task.top1, "{}: {tflite} of {}", task.tflite, samples.len());
    assert!((tflite - onnx).abs() <= APART, "{}: {onnx}, {}: {tflite}", task.onnx, task.tflite);
    assert!(own >= tflite - APART, "{} quantized here: {own}, {}: {tflite}", task.float, task.tflite);
}

#[test]
fn keyword_spotting_reaches_its_target() {
    check(&Task {
        test: "keyword_spotting_reaches_its_target",
        samples: "kws01",
        samples_len: 1000,
        // The files hold the integers themselves.
        integer: |byte| byte as i8,
        tflite: "kws_ref_model.tflite",
        top1: 0.90,
        onnx: "kws_qdq_tfl.onnx",
        float: "kws_float_keras.onnx",
    });
}

#[test]
fn image_classification_reaches_its_target() {
    check(&Task {
        test: "image_classification_reaches_its_target",
        samples: "ic-cifar10-500",
        samples_len: 500,
        // Pixels, whose zero point is -128.
        integer: |byte| (byte ^ 0x80) as i8,
        tflite: "pretrainedResnet_quant.tflite",
        top1: 0.875,
        onnx: "ic_qdq_tfl.onnx",
        float: "ic_float_keras.onnx",
    });
}
