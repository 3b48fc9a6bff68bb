//! What scikit-learn's exporter writes around and instead of layers, and its models in integers.

mod support;

use support::file::{FLOAT, File, float, floats, int, ints, text, texts};
use support::{Npz, models_dir};
use teff::{ModelFile, Session};
use teff_compiler::evaluate::Evaluator;
use teff_compiler::graph::Graph;
use teff_compiler::quantize::{Method, quantize};
use teff_compiler::{Target, compile, onnx};

fn import(file: &File) -> Graph {
    onnx::import(&file.finish()).unwrap()
}

fn refusal(file: &File) -> String {
    onnx::import(&file.finish()).map(|_| ()).unwrap_err().to_string()
}

fn run(graph: &Graph, x: &[f32]) -> Vec<Vec<f32>> {
    let mut evaluator = Evaluator::new(graph).unwrap();
    evaluator.run(&[x]).unwrap();
    (0..graph.outputs.len()).map(|i| evaluator.output(i).to_vec()).collect()
}

fn near(got: &[f32], wanted: &[f64]) {
    assert_eq!(got.len(), wanted.len());
    assert!(got.iter().zip(wanted).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-5), "{got:?} {wanted:?}");
}

const X: [f32; 3] = [0.5, -2.0, 1.5];
const COEFFICIENTS: [f32; 6] = [1.0, 0.5, -1.0, -0.25, 2.0, 0.75];
const INTERCEPTS: [f32; 2] = [0.1, -0.2];

fn scores() -> [f64; 2] {
    [0, 1].map(|o| {
        let row = &COEFFICIENTS[3 * o..];
        (0..3).map(|i| f64::from(X[i]) * f64::from(row[i])).sum::<f64>() + f64::from(INTERCEPTS[o])
    })
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn classifier(post: &str, labels: Vec<u8>, coefficients: &[f32], intercepts: &[f32]) -> File {
    let attributes = [
        text("post_transform", post),
        labels,
        int("multi_class", 1),
        floats("coefficients", coefficients),
        floats("intercepts", intercepts),
    ];
    File::new(17).input("X", FLOAT, &[-1, 3]).named(
        "linear",
        "ai.onnx.ml::LinearClassifier",
        &["X"],
        &["label", "scores"],
        &attributes,
    )
}

#[test]
fn linear_classifiers() {
    let [a, b] = scores();
    let names = || texts("classlabels_strings", &["no", "yes"]);
    for (post, wanted) in [
        ("NONE", [a, b]),
        ("LOGISTIC", [logistic(a), logistic(b)]),
        ("SOFTMAX", [a.exp() / (a.exp() + b.exp()), b.exp() / (a.exp() + b.exp())]),
    ] {
        let file = classifier(post, names(), &COEFFICIENTS, &INTERCEPTS).output("label").output("scores");
        let graph = import(&file);
        assert_eq!(graph.outputs.len(), 1);
        near(&run(&graph, &X)[0], &wanted);
        assert_eq!(graph.metadata["teff.labels"], "no\nyes");
        assert!(graph.notes.iter().any(|n| n.contains("`label` is left out")), "{:?}", graph.notes);
    }
    // One row for two classes, and the ratio of logistic scores that scikit-learn's one-versus-rest gives.
    let file =
        classifier("LOGISTIC", ints("classlabels_ints", &[3, 7]), &COEFFICIENTS[..3], &INTERCEPTS[..1]);
    let file = file.output("scores");
    near(&run(&import(&file), &X)[0], &[logistic(-a), logistic(a)]);
    assert_eq!(import(&file).metadata["teff.labels"], "3\n7");
    let file = classifier("LOGISTIC", names(), &COEFFICIENTS, &INTERCEPTS)
        .node("ai.onnx.ml::Normalizer", &["scores"], &["p"], &[text("norm", "L1")])
        .node("ai.onnx.ml::ZipMap", &["p"], &["map"], &[texts("classlabels_strings", &["no", "yes"])])
        .node("Cast", &["label"], &["class"], &[int("to", 8)])
        .output("class")
        .output("map");
    let graph = import(&file);
    let sum = logistic(a) + logistic(b);
    near(&run(&graph, &X)[0], &[logistic(a) / sum, logistic(b) / sum]);
    assert_eq!(graph.outputs[0].name, "map");
    assert!(graph.notes.iter().any(|n| n.contains("`map`") && n.contains("ZipMap")), "{:?}", graph.notes);
    assert!(
        graph
            .notes
            .iter()
            .any(|n| n.contains("in place of output `class`") || n.contains("`class` is left out"))
    );
    let mut simple = graph.clone();
    teff_compiler::passes::simplify(&mut simple);
    assert!(quantize(&simple, [vec![X.as_slice()]], Method::MinMax).unwrap().is_quantized());

    for (file, wanted) in [
        (classifier("PROBIT", names(), &COEFFICIENTS, &INTERCEPTS), "post_transform `PROBIT`"),
        (classifier("NONE", names(), &COEFFICIENTS[..3], &INTERCEPTS[..1]), "one score for two classes"),
        (classifier("NONE", names(), &COEFFICIENTS[..5], &INTERCEPTS), "5 coefficients and 2 intercepts"),
    ] {
        let fault = refusal(&file.output("scores"));
        assert!(fault.contains("node `linear` (LinearClassifier)") && fault.contains(wanted), "{fault}");
    }
}

#[test]
fn only_the_label_is_an_output() {
    // The scores take its place; names come from a constant of integers or of texts.
    let labels = |file: File, texts_given: bool| {
        let classes = match texts_given {
            true => file.node("Constant", &[], &["classes"], &[texts("value_strings", &["a", "b\nc", "d"])]),
            false => file.i64("classes", &[10, 20, 30]),
        };
        classes
            .input("X", FLOAT, &[-1, 3])
            .node("Softmax", &["X"], &["p"], &[int("axis", 1)])
            .node("ArgMax", &["p"], &["place"], &[int("axis", 1)])
            .node("ai.onnx.ml::ArrayFeatureExtractor", &["classes", "place"], &["name"], &[])
            .i64("shape", &[-1])
            .node("Reshape", &["name", "shape"], &["label"], &[])
            .output("label")
    };
    for (texts_given, wanted) in [(true, "a\nb c\nd"), (false, "10\n20\n30")] {
        let graph = import(&labels(File::new(13), texts_given));
        assert_eq!((graph.outputs.len(), graph.outputs[0].name.as_str()), (1, "p"));
        assert_eq!(graph.metadata["teff.labels"], wanted);
        assert!(graph.notes[0].contains("in place of output `label`"), "{:?}", graph.notes);
    }
    let fault = refusal(&labels(File::new(13), true).node("Neg", &["place"], &["n"], &[]).output("n"));
    assert!(fault.contains("(Neg)") && fault.contains("largest score, which is not computed"), "{fault}");
    let several = File::new(13)
        .input("X", FLOAT, &[1, 3, 4, 4])
        .named("argmax", "ArgMax", &["X"], &["y"], &[int("axis", 1)])
        .output("y");
    let fault = refusal(&several);
    assert!(fault.contains("node `argmax`") && fault.contains("are several"), "{fault}");
}

#[test]
fn scalers_imputers_and_regressors() {
    let input = || File::new(17).input("X", FLOAT, &[-1, 3]).output("y");
    let scaler = |offset: &[f32], scale: &[f32]| {
        let attributes = [floats("offset", offset), floats("scale", scale)];
        input().named("scaler", "ai.onnx.ml::Scaler", &["X"], &["y"], &attributes)
    };
    near(&run(&import(&scaler(&[1.0, 2.0, 3.0], &[2.0, 0.5, -1.0])), &X)[0], &[-1.0, -2.0, 1.5]);
    near(&run(&import(&scaler(&[1.0], &[2.0])), &X)[0], &[-1.0, -6.0, 1.0]);
    let fault = refusal(&scaler(&[1.0, 2.0], &[1.0]));
    assert!(fault.contains("node `scaler` (Scaler)") && fault.contains("[2]"), "{fault}");

    let imputer = |missing: f32| {
        let attributes = [floats("imputed_value_floats", &[0.0; 3]), float("replaced_value_float", missing)];
        input().named("fill", "ai.onnx.ml::Imputer", &["X"], &["y"], &attributes)
    };
    let graph = import(&imputer(f32::NAN));
    assert!(graph.notes[0].contains("`fill` (Imputer) is left out"), "{:?}", graph.notes);
    let fault = refusal(&imputer(-1.0));
    assert!(fault.contains("node `fill` (Imputer)") && fault.contains("replaces the number -1"), "{fault}");

    let attributes =
        [floats("coefficients", &COEFFICIENTS), floats("intercepts", &INTERCEPTS), int("targets", 2)];
    let file = input().node("ai.onnx.ml::LinearRegressor", &["X"], &["y"], &attributes);
    near(&run(&import(&file), &X)[0], &scores());

    let fault = refusal(&input().named("n", "ai.onnx.ml::Normalizer", &["X"], &["y"], &[text("norm", "L2")]));
    assert!(fault.contains("node `n` (Normalizer)") && fault.contains("norm (L2)"), "{fault}");
    for operator in ["SVMClassifier", "TreeEnsembleRegressor", "OneHotEncoder"] {
        let fault = refusal(&input().named("n", &format!("ai.onnx.ml::{operator}"), &["X"], &["y"], &[]));
        assert!(
            fault.contains(operator) && fault.contains("are not supported") && fault.contains("; "),
            "{fault}"
        );
    }
}

/// Share of digits that a plan gets right, and that the float model does.
fn accuracy(dir: &std::path::Path, name: &str) -> Result<(f64, f64), String> {
    let bytes = std::fs::read(dir.join(format!("{name}.onnx"))).map_err(|e| e.to_string())?;
    let mut graph = onnx::import(&bytes).map_err(|e| e.to_string())?;
    teff_compiler::passes::simplify(&mut graph);
    let mut npz = Npz::open(&dir.join(format!("{name}.npz")))?;
    let (x, labels) = (npz.f32("x_test")?.1, npz.f32("y_test_true")?.1);
    let samples: Vec<&[f32]> = x.chunks_exact(64).collect();
    // Every third example is calibrated on.
    let calibration = samples.iter().step_by(3).map(|x| vec![*x]);
    let quantized = quantize(&graph, calibration, Method::MinMax).map_err(|e| e.to_string())?;
    let file = onnx::export(&quantized).map_err(|e| e.to_string())?;
    let compiled = compile(&file, Target::CortexM4).map_err(|e| e.to_string())?;
    let model = ModelFile::from_bytes(&compiled.plan).map_err(|e| e.to_string())?;
    let mut arena = model.arena();
    let mut session = Session::from_model(model.model(), arena.as_mut_slice()).map_err(|e| e.to_string())?;
    let quant = session.input_quant(0).ok_or("no input")?;
    let mut evaluator = Evaluator::new(&graph).map_err(|e| e.to_string())?;
    let (mut plan, mut real) = (0, 0);
    for (x, label) in samples.iter().zip(&labels) {
        evaluator.run(&[x]).map_err(|e| e.to_string())?;
        let y = evaluator.output(0);
        let best = (0..y.len()).max_by(|&a, &b| y[a].total_cmp(&y[b]));
        real += usize::from(best == Some(*label as usize));
        session.input_mut(0).iter_mut().zip(*x).for_each(|(q, &x)| *q = quant.quantize(x));
        session.invoke();
        let y = session.output(0).values;
        let best = (0..y.len()).max_by_key(|&i| (y[i], usize::MAX - i));
        plan += usize::from(best == Some(*label as usize));
    }
    let share = |n: usize| n as f64 / samples.len() as f64;
    Ok((share(plan), share(real)))
}

#[test]
fn digits_of_scikit_learn_in_integers() {
    let Some(dir) = models_dir("digits_of_scikit_learn_in_integers") else { return };
    // The first folds factors from 0.2 to 10 per column into its weights, and min-max gives each row one scale.
    let models = [
        ("sk_mlp_digits", 0.9158, 0.035),
        ("sk_mlp_digits_nozipmap", 0.9024, 0.0102),
        ("sk_logreg_digits", 0.9125, 0.0102),
    ];
    for (name, known, limit) in models {
        let (plan, real) = accuracy(&dir, name).unwrap_or_else(|e| panic!("{name}: {e}"));
        println!("{name}: {plan:.4} in integers, {real:.4} in float");
        assert!((real - known).abs() < 1e-3, "{name}: {real}");
        assert!(plan > real - limit, "{name}: {plan} of {real}");
    }
}
