//! Properties of the whole quantizer.

use super::*;
use crate::evaluate::Evaluator;
use crate::graph::{Builder, Conv2d, Graph, Padding, Quant, Tensor as Weights};
use proptest::prelude::*;

/// Numbers between -1 and 1 that look random.
fn noise(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// Convolutions of both kinds whose channels differ a lot, then a classifier.
fn uneven() -> Graph {
    let mut b = Builder::new("uneven");
    let x = b.input("x", [1, 8, 8, 2]);
    let scaled = |count: usize, seed: u32, per: usize| -> Vec<f32> {
        noise(count, seed)
            .into_iter()
            .enumerate()
            .map(|(i, w)| w * [0.05, 1.0, 4.0, 0.3][i / per % 4])
            .collect()
    };
    let filter = Weights::f32(&[4, 3, 3, 2], scaled(72, 1, 18)).unwrap();
    let y = b.conv_2d("conv", x, filter, Some(vec![0.1, -0.2, 0.3, 0.05]), Conv2d::default());
    let y = b.relu("relu", y);
    let filter = Weights::f32(&[1, 3, 3, 4], noise(36, 2)).unwrap();
    let y = b.depthwise_conv_2d(
        "depthwise",
        y,
        filter,
        Some(vec![0.0, 0.1, -0.1, 0.2]),
        Conv2d { groups: 4, ..Conv2d::default() },
    );
    let y = b.relu("relu2", y);
    let y = b.max_pool_2d("max", y, [2, 2], [2, 2], Padding::default());
    let y = b.fully_connected("dense", y, Weights::f32(&[5, 16], noise(80, 3)).unwrap(), Some(vec![0.1; 5]));
    let y = b.softmax("softmax", y);
    b.output("scores", y);
    b.finish().unwrap()
}

fn samples(count: usize, len: usize) -> Vec<Vec<f32>> {
    (0..count).map(|i| noise(len, 100 + i as u32)).collect()
}

fn slices(samples: &[Vec<f32>]) -> Vec<Sample<'_>> {
    samples.iter().map(|sample| vec![sample.as_slice()]).collect()
}

const METHODS: [Method; 5] =
    [Method::Auto, Method::MinMax, Method::Percentile(99.9), Method::MeanSquare, Method::Entropy];

#[test]
fn equalization_leaves_the_function_as_it_is() {
    let mut graph = uneven();
    crate::passes::simplify(&mut graph);
    let samples = samples(10, 128);
    let pairs = equalize::pairs(&graph);
    assert_eq!(pairs.len(), 2);
    for strength in [0.5, 1.0] {
        let mut even = graph.clone();
        equalize::equalize(&mut even, &pairs, strength, &slices(&samples)).unwrap();
        assert_ne!(even, graph);
        let (mut before, mut after) = (Evaluator::new(&graph).unwrap(), Evaluator::new(&even).unwrap());
        for sample in &samples {
            before.run(&[sample]).unwrap();
            after.run(&[sample]).unwrap();
            for (x, y) in before.output(0).iter().zip(after.output(0)) {
                assert!((x - y).abs() < 1e-5, "{x} {y}");
            }
        }
    }
}

#[test]
fn layers_behind_a_limit_are_not_evened_out() {
    let mut b = Builder::new("limited");
    let x = b.input("x", [1, 4, 4, 2]);
    let filter = || Weights::f32(&[2, 1, 1, 2], noise(4, 1)).unwrap();
    let y = b.conv_2d("first", x, filter(), None, Conv2d::default());
    let y = b.unary("limit", y, crate::graph::Unary::Clamp(crate::graph::Clamp::RELU6));
    let y = b.conv_2d("second", y, filter(), None, Conv2d::default());
    b.output("y", y);
    let mut graph = b.finish().unwrap();
    crate::passes::simplify(&mut graph);
    assert!(equalize::pairs(&graph).is_empty());
}

#[test]
fn bias_correction_lowers_the_mean_error() {
    let graph = uneven();
    let samples = samples(64, 128);
    let mean_error = |correct_bias: Step| {
        let settings = Settings { correct_bias, ..Settings::plain(Method::Percentile(99.0)) };
        let result = quantize_with(&graph, &slices(&samples), &settings, &mut |_| {}).unwrap();
        let mut real = Evaluator::new(&graph).unwrap();
        let mut fake = Evaluator::new(&result.graph).unwrap();
        let name = "dense";
        let (real_id, fake_id) = (graph.find_value(name).unwrap(), result.graph.find_value(name).unwrap());
        let mut means = [0.0f64; 5];
        for sample in &samples {
            real.run(&[sample]).unwrap();
            fake.run(&[sample]).unwrap();
            for (mean, (y, z)) in means.iter_mut().zip(real.value(real_id).iter().zip(fake.value(fake_id))) {
                *mean += f64::from(y - z) / samples.len() as f64;
            }
        }
        means.iter().map(|mean| mean * mean).sum::<f64>()
    };
    let (without, with) = (mean_error(Step::Off), mean_error(Step::On));
    assert!(with < 0.5 * without, "{with} {without}");
}

#[test]
fn auto_is_never_worse_than_min_max_where_it_judges() {
    let graph = uneven();
    for count in [3, 8, 40, 90] {
        let samples = samples(count, 128);
        let result = quantize_with(&graph, &slices(&samples), &Settings::default(), &mut |_| {}).unwrap();
        let report = &result.report;
        assert!(report.decibels >= report.plain_decibels, "{report:?}");
        assert_eq!((report.samples, report.held_out), (count, count >= 32));
    }
}

#[test]
fn auto_gains_where_channels_differ() {
    let graph = uneven();
    let samples = samples(96, 128);
    let result = quantize_with(&graph, &slices(&samples), &Settings::default(), &mut |_| {}).unwrap();
    assert!(result.report.decibels > result.report.plain_decibels + 2.0, "{:?}", result.report);
}

#[test]
fn the_same_twice() {
    let graph = uneven();
    let samples = samples(40, 128);
    for method in METHODS {
        let settings = Settings { method, ..Settings::default() };
        let run = || quantize_with(&graph, &slices(&samples), &settings, &mut |_| {}).unwrap();
        let (a, b) = (run(), run());
        assert_eq!(crate::onnx::export(&a.graph).unwrap(), crate::onnx::export(&b.graph).unwrap());
        assert_eq!(a.report, b.report);
    }
}

#[test]
fn plain_settings_are_the_plain_quantizer() {
    let graph = uneven();
    let samples = samples(40, 128);
    for method in [Method::MinMax, Method::Percentile(99.9), Method::Entropy] {
        let plain = quantize(&graph, slices(&samples), method).unwrap();
        let with = quantize_with(&graph, &slices(&samples), &Settings::plain(method), &mut |_| {}).unwrap();
        assert_eq!(plain, with.graph);
    }
}

#[test]
fn numbers_that_are_none_are_refused_by_name() {
    let graph = uneven();
    let mut samples = samples(3, 128);
    samples[1][5] = f32::NAN;
    for settings in [Settings::default(), Settings::plain(Method::MinMax)] {
        let error = quantize_with(&graph, &slices(&samples), &settings, &mut |_| {}).unwrap_err().to_string();
        assert!(error.contains("`x`") && error.contains("not numbers"), "{error}");
    }
    let none = quantize_with(&graph, &[], &Settings::default(), &mut |_| {}).unwrap_err().to_string();
    assert!(none.contains("no samples"), "{none}");
    let short = [vec![[0.0f32].as_slice()]];
    assert!(quantize_with(&graph, &short, &Settings::default(), &mut |_| {}).is_err());
    let settings = Settings::plain(Method::Percentile(f64::NAN));
    assert!(quantize_with(&graph, &slices(&samples), &settings, &mut |_| {}).is_err());
}

#[test]
fn silence_is_quantized_too() {
    let graph = uneven();
    let silent = vec![vec![0.0; 128]; 40];
    for method in METHODS {
        let settings = Settings { method, ..Settings::default() };
        let result = quantize_with(&graph, &slices(&silent), &settings, &mut |_| {}).unwrap();
        assert!(result.graph.is_quantized());
    }
}

proptest! {
    #[test]
    fn ranges_lie_within_what_was_seen(
        numbers in prop::collection::vec(-10f32..10.0, 0..300),
        constant in -5f32..5.0,
        outlier in prop::option::of(1e3f32..1e30),
    ) {
        let mut h = Histogram::new(true);
        h.observe(&[constant, constant]);
        h.observe(&numbers);
        h.observe(outlier.as_slice());
        let (least, most) = h.extremes().unwrap();
        for method in METHODS {
            let (low, high) = range(&h, method).unwrap();
            prop_assert!(least <= low && low <= high && high <= most, "{method}: {low} {high}");
            let quant = activation_quant(low, high);
            prop_assert!((-128..=127).contains(&quant.zero_point) && quant.scale() > 0.0);
        }
    }
}

#[test]
fn one_outlier_does_not_cost_everything() {
    let mut h = Histogram::new(true);
    for seed in 0..20 {
        h.observe(&noise(2000, seed));
    }
    h.observe(&[100.0]);
    // One number among 40,000 loses 100² where all others gain (100/255)²/12 each.
    let (_, high) = range(&h, Method::MeanSquare).unwrap();
    assert!(high > 50.0, "{high}");
    let (_, high) = range(&h, Method::Percentile(99.99)).unwrap();
    assert!(high < 2.0, "{high}");
    for seed in 20..30 {
        h.observe(&noise(400_000, seed));
    }
    let (_, high) = range(&h, Method::MeanSquare).unwrap();
    assert!(high < 60.0, "{high}");
    for constant in [0.0f32, -3.0, 7.0, 1e-30] {
        let mut h = Histogram::new(true);
        h.observe(&[constant; 50]);
        for method in METHODS {
            assert_eq!(range(&h, method), Some((constant, constant)), "{method}");
        }
    }
}

#[test]
fn a_quantized_network_stays_close() {
    let mut b = Builder::new("net");
    let x = b.input("x", [1, 6, 6, 1]);
    let waves = |n: usize, s: f32| (0..n).map(|i| ((i * 37 % 101) as f32 / 50.0 - 1.0) * s).collect();
    let filter = Weights::f32(&[4, 3, 3, 1], waves(36, 0.5)).unwrap();
    let y = b.conv_2d("conv", x, filter, Some(vec![0.1, -0.2, 0.3, 0.0]), Conv2d::default());
    let y = b.relu("relu", y);
    let z = b.max_pool_2d("max", y, [2, 2], [2, 2], Padding::default());
    let z = b.fully_connected("dense", z, Weights::f32(&[3, 16], waves(48, 0.3)).unwrap(), None);
    let z = b.softmax("softmax", z);
    b.output("scores", z);
    let graph = b.finish().unwrap();
    let samples: Vec<Vec<f32>> =
        (0..20).map(|s| (0..36).map(|i| ((i * s) as f32 * 0.37).sin()).collect()).collect();
    let q = quantize(&graph, samples.iter().map(|s| vec![s.as_slice()]), Method::MinMax).unwrap();
    assert!(q.is_quantized());
    let pool = q.find_value("max").unwrap();
    let relu = q.find_value("relu").unwrap();
    assert_eq!(q.value(pool).quant, q.value(relu).quant);
    let scores = q.outputs[0].value;
    assert_eq!(q.value(scores).quant, Some(Quant::per_tensor(1.0 / 256.0, -128)));
    let mut real = Evaluator::new(&graph).unwrap();
    let mut fake = Evaluator::new(&q).unwrap();
    for sample in &samples {
        real.run(&[sample]).unwrap();
        fake.run(&[sample]).unwrap();
        for (a, b) in real.output(0).iter().zip(fake.output(0)) {
            assert!((a - b).abs() < 0.03, "{a} {b}");
        }
    }
}

#[test]
fn empty_channels_are_constants() {
    let mut b = Builder::new("zero");
    let x = b.input("x", [1, 1, 1, 2]);
    let y = b.fully_connected(
        "dense",
        x,
        Weights::f32(&[2, 2], vec![0.0, 0.0, 1.0, 0.5]).unwrap(),
        Some(vec![0.7, 0.0]),
    );
    b.output("y", y);
    let graph = b.finish().unwrap();
    let q = quantize(&graph, [vec![[1.0, -1.0].as_slice()]], Method::MinMax).unwrap();
    let mut fake = Evaluator::new(&q).unwrap();
    fake.run(&[&[0.3, 0.9]]).unwrap();
    assert!((fake.output(0)[0] - 0.7).abs() < 0.003, "{:?}", fake.output(0));
}
