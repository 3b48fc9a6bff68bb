//! Runs on examples that are made up: they learn, repeat, and go on after an interruption.

use super::*;
use crate::network::Shape;
use crate::recipe::network::{Layer, Padding};

/// Bright bars: the class says which third of the image is bright.
struct Bars {
    len: usize,
    seed: u64,
}

impl Source for Bars {
    fn shape(&self) -> Shape {
        [9, 6, 1]
    }

    fn len(&self) -> usize {
        self.len
    }

    fn label(&self, example: usize) -> usize {
        example % 3
    }

    fn features(&self, example: usize, rng: Option<&mut Rng>, out: &mut [f32]) {
        let mut noise = Rng::new(self.seed + example as u64);
        let shift = rng.map_or(0.0, |rng| rng.range(-0.1, 0.1));
        for (i, out) in out.iter_mut().enumerate() {
            let bright = i / 18 == self.label(example);
            *out = (f64::from(u8::from(bright)) + 0.7 * noise.normal() + shift) as f32;
        }
    }
}

fn network() -> Network {
    let conv = |kernel: [usize; 2], stride: [usize; 2]| Layer::Conv {
        filters: 8,
        kernel,
        stride,
        padding: Padding::Same,
        batch_norm: true,
    };
    let depthwise =
        Layer::Depthwise { kernel: [3, 3], stride: [1, 1], padding: Padding::Same, batch_norm: false };
    let layers = [
        conv([3, 3], [2, 1]),
        Layer::Relu,
        depthwise,
        Layer::Relu6,
        conv([1, 1], [1, 1]),
        Layer::MaxPool { kernel: [1, 2], stride: [1, 2] },
        Layer::Relu,
        Layer::Dropout { rate: 0.1 },
        Layer::Dense { units: 3 },
    ];
    Network::new([9, 6, 1], Outputs::Classes(3), &layers).expect("a network")
}

fn settings(epochs: usize) -> recipe::Train {
    recipe::Train {
        epochs,
        batch: 16,
        optimiser: recipe::Optimiser::Adam,
        learning_rate: 0.01,
        schedule: recipe::Schedule::Cosine,
        warmup_epochs: 1,
        weight_decay: 1e-4,
        label_smoothing: 0.05,
        balance_classes: true,
        keep: Keep::Best,
    }
}

/// Trains in a folder; stops after `until` epochs as if interrupted.
fn train(run: &Path, until: usize, mixup: f64) -> (Weights, Summary) {
    let network = network();
    let train = settings(6);
    let (training, rest) = (Bars { len: 200, seed: 0 }, Bars { len: 60, seed: 1000 });
    let job = Job {
        name: "bars",
        seed: 3,
        network: &network,
        train: &train,
        mixup,
        training: &training,
        validation: &rest,
        test: &rest,
        normal: &[],
        fingerprint: "bars",
    };
    job.run_until(run, until).expect("trains")
}

#[test]
fn a_network_learns_and_repeats_itself() {
    let folders = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder")];
    let [first, second] = folders.each_ref().map(|folder| train(folder.path(), 6, 0.0));
    assert!(first.1.float_top1 > Some(0.9), "{:?}", first.1.float_top1);
    assert_eq!(first.0, second.0);
    assert_eq!(first.1.epochs, 6);
    assert_eq!(checkpoint::list(folders[0].path()).expect("a list").len(), 2);
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        let folder = tempfile::tempdir().expect("a folder");
        pool.install(|| train(folder.path(), 6, 0.2).0)
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn an_interrupted_run_ends_with_the_same_weights() {
    let (whole, parts) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let expected = train(whole.path(), 6, 0.2);
    train(parts.path(), 2, 0.2);
    // An epoch whose checkpoint was never written, and a line that was cut.
    let log = parts.path().join("metrics.jsonl");
    let mut text = std::fs::read_to_string(&log).expect("a log");
    text += "{\"epoch\":3,\"lo";
    std::fs::write(&log, text).expect("writes");
    let resumed = train(parts.path(), 6, 0.2);
    assert_eq!(resumed.0, expected.0);
    assert_eq!(resumed.1.kept_epoch, expected.1.kept_epoch);
    let lines = std::fs::read_to_string(&log).expect("a log");
    assert_eq!(lines.lines().count(), 6);
}

#[test]
fn another_recipe_does_not_go_on_with_a_run() {
    let folder = tempfile::tempdir().expect("a folder");
    train(folder.path(), 1, 0.0);
    let weights = Weights::random(&network(), 3);
    let optimiser = Optimiser::new(Rule::AdamW, 0.0, &weights);
    let mut state = State { epoch: 0, seconds: 0.0, weights, optimiser, best: None };
    let error = state.resume(folder.path(), "other").expect_err("refused");
    assert!(error.to_string().contains("another recipe"), "{error}");
}

#[test]
fn the_traced_graph_computes_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let (weights, _) = train(folder.path(), 3, 0.0);
    let network = network();
    let graph = crate::trace::trace("bars", &network, &weights).expect("a graph");
    let mut evaluator = teff_compiler::evaluate::Evaluator::new(&graph).expect("an evaluator");
    let examples = Bars { len: 20, seed: 5000 };
    for example in 0..examples.len() {
        let mut features = vec![0.0; 54];
        examples.features(example, None, &mut features);
        let expected = probabilities(&network, &weights, &features).expect("probabilities");
        evaluator.run(&[&features]).expect("runs");
        for (a, b) in evaluator.output(0).iter().zip(&expected) {
            assert!((a - b).abs() < 1e-4, "{:?} {expected:?}", evaluator.output(0));
        }
    }
}
