//! What happens to samples before they are cut into frames, against models in f64.

use std::f64::consts::PI;

use proptest::prelude::*;
use teff::dsp::{FrontEnd, FrontEndError, Settings, stages};
use teff_compiler::front_end::{Extractor, FrontEndConfig, build};

fn config(line: &str) -> FrontEndConfig {
    FrontEndConfig::parse(line).unwrap()
}

/// The samples that come out of the conditioning: `raw_window` without averaging.
fn conditioned(keys: &str, samples: &[i16]) -> Vec<i16> {
    let keys = if keys.contains("rate_hz=") { keys.to_string() } else { format!("rate_hz=1000 {keys}") };
    let axes = if keys.contains("axes=") { "" } else { "axes=1" };
    let blob = build(&config(&format!("kind=raw_window {axes} window=1 {keys}")), 1.0, 0).unwrap();
    let mut workspace = vec![0x5a5a_5a5a; Settings::read(&blob).unwrap().workspace_words()];
    let mut front_end = FrontEnd::new(&blob, &mut workspace).unwrap();
    let (mut out, mut rest) = (Vec::new(), samples);
    while front_end.push(&mut rest).is_some() {
        out.extend_from_slice(front_end.frame());
    }
    out
}

/// Reproducible noise in [-1, 1).
fn noise(len: usize, seed: u64) -> Vec<f64> {
    let mut state = seed;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(1_u32 << 30) - 1.0
    };
    (0..len).map(next).collect()
}

fn scaled(x: &[f64], amplitude: f64) -> Vec<i16> {
    x.iter().map(|x| libm::round(x * amplitude) as i16).collect()
}

fn to_f64(samples: &[i16]) -> Vec<f64> {
    samples.iter().map(|x| f64::from(*x)).collect()
}

fn largest_difference(got: &[i16], exact: &[f64]) -> f64 {
    assert_eq!(got.len(), exact.len());
    let exact = exact.iter().map(|x| x.clamp(-32_768.0, 32_767.0));
    got.iter().zip(exact).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max)
}

/// The root of the mean square.
fn rms(x: &[f64]) -> f64 {
    libm::sqrt(x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64)
}

fn tone(len: usize, hz: f64, rate: f64) -> Vec<f64> {
    (0..len).map(|t| libm::sin(2.0 * PI * hz * t as f64 / rate)).collect()
}

#[test]
fn the_running_mean_is_that_of_the_definition() {
    for shift in [1, 4, 10, 15] {
        for (amplitude, offset) in [(20_000.0, 9_000.0), (3.0, -12_000.0), (0.0, 777.0), (32_767.0, 0.0)] {
            let x: Vec<f64> = noise(30_000, 5).iter().map(|x| (x * amplitude + offset) / 32_768.0).collect();
            let samples: Vec<i16> =
                scaled(&x, 32_768.0).iter().map(|x| (*x).clamp(-32_768, 32_767)).collect();
            let mut mean = f64::from(samples[0]);
            let exact: Vec<f64> = to_f64(&samples)
                .iter()
                .map(|x| {
                    let y = x - mean;
                    mean += y / f64::from(1 << shift);
                    y
                })
                .collect();
            let error = largest_difference(&conditioned(&format!("dc_shift={shift}"), &samples), &exact);
            // Half a count, and the mean's own rounding.
            let bound = 0.5 + libm::exp2(f64::from(shift) - 16.0);
            assert!(error <= bound + 1e-9, "shift {shift} amplitude {amplitude}: {error} above {bound}");
        }
    }
}

#[test]
fn pre_emphasis_is_rounded_once() {
    for factor in [0.5, 0.97, 1.0] {
        let samples = scaled(&noise(4_000, 8), 32_767.0);
        let q15 = libm::round(factor * 32_768.0) / 32_768.0;
        let mut before = f64::from(samples[0]);
        let exact: Vec<f64> =
            to_f64(&samples).iter().map(|x| x - q15 * core::mem::replace(&mut before, *x)).collect();
        let keys = format!(
            "kind=log_mel rate_hz=8000 frame_len=64 hop_len=64 bands=8 window=1 pre_emphasis={factor}"
        );
        // Of the same samples, once conditioned here and once by the front end, the bands are the same.
        let rounded: Vec<i16> =
            exact.iter().map(|x| libm::floor(x + 0.5).clamp(-32_768.0, 32_767.0) as i16).collect();
        let features = |line: &str, samples: &[i16]| {
            let mut all = Vec::new();
            Extractor::new(&config(line))
                .unwrap()
                .stream(samples, |real, _| all.extend_from_slice(real))
                .unwrap();
            all
        };
        let plain = keys.replace(&format!("pre_emphasis={factor}"), "");
        assert_eq!(features(&keys, &samples), features(&plain, &rounded), "{factor}");
    }
}

/// A Butterworth cascade in f64, in transposed form; starts as if the first sample had always stood there.
fn butterworth(x: &[f64], cut: f64, order: usize, high: bool) -> Vec<f64> {
    let mut signal = x.to_vec();
    for k in 1..=order / 2 {
        let quality = 1.0 / (2.0 * libm::cos(PI * (order + 1 - 2 * k) as f64 / (2 * order) as f64));
        let w = 2.0 * PI * cut;
        let alpha = libm::sin(w) / (2.0 * quality);
        let b = if high { (1.0 + libm::cos(w)) / 2.0 } else { (1.0 - libm::cos(w)) / 2.0 };
        let middle = if high { -2.0 } else { 2.0 };
        let first = signal.first().copied().unwrap_or(0.0);
        let settled = if high { 0.0 } else { first };
        let (mut x1, mut x2, mut y1, mut y2) = (first, first, settled, settled);
        for s in &mut signal {
            let y =
                (b * (*s + middle * x1 + x2) + 2.0 * libm::cos(w) * y1 - (1.0 - alpha) * y2) / (1.0 + alpha);
            (x2, x1, y2, y1) = (x1, *s, y1, y);
            *s = y;
        }
    }
    signal
}

#[test]
fn filters_are_near_the_real_ones() {
    println!("cut-off, parts of the rate  order  largest error in counts: full scale, quiet");
    for (cut, order, high) in [
        (0.0002, 2, true),
        (0.0002, 2, false),
        (0.001, 4, true),
        (0.001, 4, false),
        (0.01, 2, true),
        (0.01, 8, false),
        (0.1, 4, true),
        (0.25, 8, false),
        (0.45, 8, false),
        (0.4, 8, true),
    ] {
        let keys = format!(
            "{}={} filter_order={order}",
            if high { "high_pass_hz" } else { "low_pass_hz" },
            cut * 1000.0
        );
        let errors = [20_000.0, 5.0].map(|amplitude| {
            let mut x = noise(40_000, 3);
            for (x, low) in x.iter_mut().zip(tone(40_000, 1.0, 2_500.0)) {
                *x = 0.5 * *x + 0.4 * low + 0.05;
            }
            let samples = scaled(&x, amplitude);
            largest_difference(
                &conditioned(&keys, &samples),
                &butterworth(&to_f64(&samples), cut, order, high),
            )
        });
        println!("{cut:<26}  {order} {:<10} {errors:.3?}", if high { "high-pass" } else { "low-pass" });
        // Of a full-scale signal one part in 4000 where the cut-off frequency is lowest.
        let bound = if cut < 0.0005 { 10.0 } else { 1.0 };
        assert!(errors[0] <= bound && errors[1] <= 0.55, "{keys}: {errors:?}");
    }
}

#[test]
fn a_constant_passes_a_low_pass_and_never_a_high_pass() {
    for order in [2, 8] {
        for value in [-32_768, -1, 0, 1, 12_345, 32_767] {
            let samples = vec![value; 20_000];
            for hz in [0.2, 5.0, 400.0] {
                let low = conditioned(&format!("low_pass_hz={hz} filter_order={order}"), &samples);
                let high = conditioned(&format!("high_pass_hz={hz} filter_order={order}"), &samples);
                let error = low.iter().map(|y| (i32::from(*y) - i32::from(value)).abs()).max().unwrap();
                assert!(error <= i32::from(order > 2), "{hz} {order} {value}: {error}");
                assert!(high.iter().all(|y| y.abs() <= 1), "{hz} {order} {value}");
            }
        }
    }
}

#[test]
fn a_band_pass_passes_its_band() {
    let gain = |hz: f64| {
        let x = scaled(&tone(8_000, hz, 1000.0), 20_000.0);
        let y = to_f64(&conditioned("high_pass_hz=20 low_pass_hz=100 filter_order=4", &x));
        20.0 * libm::log10(rms(&y[4_000..]).max(1e-3) / rms(&to_f64(&x)[4_000..]))
    };
    for (hz, low, high) in [
        (2.0, -85.0, -79.0),
        (20.0, -3.1, -2.9),
        (45.0, -0.1, 0.05),
        (100.0, -3.1, -2.9),
        (400.0, -150.0, -70.0),
    ] {
        let gain = gain(hz);
        assert!((low..high).contains(&gain), "{hz} Hz: {gain} dB");
    }
}

/// Delay of the resampling filter in samples that go in.
fn delay(blob: &[u8]) -> f64 {
    let c = Settings::read(blob).unwrap().conditioning;
    (f64::from(c.resample_taps) - 1.0 / f64::from(c.resample_up)) / 2.0
}

const RATES: [(f64, f64); 7] = [
    (44_100.0, 16_000.0),
    (48_000.0, 16_000.0),
    (100.0, 50.0),
    (8_000.0, 16_000.0),
    (22_050.0, 8_000.0),
    (62.5, 50.0),
    (25.0, 62.5),
];

#[test]
fn resampling_keeps_what_is_below_and_removes_what_is_above() {
    println!("from, to, taps, factors: error of a tone kept, dB; largest of tones to be removed, dB");
    for (from, to) in RATES {
        let keys = format!("rate_hz={to} input_rate_hz={from}");
        let blob = build(&config(&format!("kind=raw_window axes=1 window=1 {keys}")), 1.0, 0).unwrap();
        let c = Settings::read(&blob).unwrap().conditioning;
        let edge = from.min(to);
        let mut kept: f64 = -200.0;
        for part in [0.01, 0.11, 0.3, 0.42] {
            let hz = part * edge;
            let samples = scaled(&tone(4_000, hz, from), 30_000.0);
            let got = conditioned(&keys, &samples);
            assert_eq!(got.len(), ((4_000 * usize::from(c.resample_up)).div_ceil(c.resample_down.into())));
            let error: Vec<f64> = got
                .iter()
                .enumerate()
                .skip(got.len() / 4)
                .map(|(n, y)| {
                    let t = n as f64 / to - delay(&blob) / from;
                    f64::from(*y) - 30_000.0 * libm::sin(2.0 * PI * hz * t)
                })
                .collect();
            kept = kept.max(20.0 * libm::log10(rms(&error) / 30_000.0));
        }
        let mut removed: f64 = -200.0;
        for part in [0.58, 0.7, 1.0, 1.3] {
            if part * edge < from / 2.0 {
                let got = to_f64(&conditioned(&keys, &scaled(&tone(4_000, part * edge, from), 30_000.0)));
                removed = removed.max(20.0 * libm::log10(rms(&got[got.len() / 4..]) / 30_000.0));
            }
        }
        println!(
            "{from} {to} {} {}: {kept:.1} {removed:.1}",
            c.resample_taps,
            usize::from(c.resample_taps) * usize::from(c.resample_up)
        );
        assert!(kept < -57.0 && removed < -57.0, "{from} to {to}: {kept} {removed}");
        // A constant stays what it is, in every phase.
        for value in [-32_768, 1, 32_767] {
            let got = conditioned(&keys, &[value; 3_000]);
            assert!(got[got.len() / 2..].iter().all(|y| *y == value), "{from} to {to}: {value}");
        }
    }
}

#[test]
fn axes_are_conditioned_apart() {
    let keys = "rate_hz=50 input_rate_hz=80 dc_shift=5 high_pass_hz=1 low_pass_hz=15 filter_order=4";
    let signals: Vec<Vec<i16>> =
        (0..3).map(|axis| scaled(&noise(700, axis + 1), 9_000.0 * (axis + 1) as f64)).collect();
    let interleaved: Vec<i16> = (0..700).flat_map(|t| signals.iter().map(move |s| s[t])).collect();
    let together = conditioned(&format!("axes=3 {keys}"), &interleaved);
    for (axis, signal) in signals.iter().enumerate() {
        let own: Vec<i16> = together.iter().skip(axis).step_by(3).copied().collect();
        assert_eq!(own, conditioned(keys, signal), "axis {axis}");
    }
}

/// Filters run over all samples of a hop, also over those that no frame holds.
#[test]
fn samples_between_frames_are_filtered_too() {
    let samples = scaled(&noise(3 * 4_000, 5), 9_000.0);
    let frames = |hop_len: usize, piece: usize| {
        let line = format!(
            "kind=motion_stats rate_hz=100 axes=3 frame_len=50 hop_len={hop_len} stats=mean,rms,min,max dc_shift=5 \
             high_pass_hz=2 low_pass_hz=20 window=1"
        );
        let blob = build(&config(&line), 1.0, 0).unwrap();
        let mut workspace = vec![0; Settings::read(&blob).unwrap().workspace_words()];
        let mut front_end = FrontEnd::new(&blob, &mut workspace).unwrap();
        let mut frames = Vec::new();
        for mut piece in samples.chunks(piece) {
            while front_end.push(&mut piece).is_some() {
                frames.push(front_end.frame().to_vec());
            }
        }
        frames
    };
    let every: Vec<_> = frames(10, 3);
    assert_eq!(frames(10, 3 * 4_000), every);
    for (hop_len, piece) in [(50, 3), (130, 3), (130, 51), (240, 1), (240, 12_000)] {
        let of_these: Vec<_> = every.iter().step_by(hop_len / 10).cloned().collect();
        assert_eq!(frames(hop_len, piece), of_these, "hops of {hop_len}, pieces of {piece}");
    }
}

#[test]
fn a_recording_is_as_long_as_its_window_at_the_rate_of_the_input() {
    for (from, to) in RATES {
        let c =
            config(&format!("kind=raw_window axes=2 rate_hz={to} input_rate_hz={from} decimate=3 window=20"));
        let samples = vec![100; c.window_samples() * 2];
        let mut extractor = Extractor::new(&c).unwrap();
        let mut windows = 0;
        extractor.stream(&samples, |_, _| windows += 1).unwrap();
        assert_eq!(windows, 1, "{from} to {to}");
        extractor.stream(&samples[2..], |_, _| windows += 1).unwrap();
        assert_eq!(windows, 1, "{from} to {to}");
        assert!((c.window_seconds() - 60.0 / to).abs() < 2.0 / from.min(to), "{}", c.window_seconds());
        assert_eq!(extractor.features(&samples[..40]).unwrap().len(), 40);
    }
}

#[test]
fn a_program_links_the_stages_it_names() {
    let plain = build(&config("kind=log_mel rate_hz=8000 frame_len=256 bands=20 window=4"), 0.1, 0).unwrap();
    let line =
        "kind=mfcc rate_hz=8000 frame_len=256 bands=20 coefficients=9 window=4 pre_emphasis=0.9 dc_shift=8";
    let more = build(&config(line), 0.1, 0).unwrap();
    const FEW: u32 = stages::SPECTRUM | stages::SOUND;
    assert_eq!(Settings::read(&plain).unwrap().stages(), FEW);
    let mut workspace = vec![0; 4_000];
    let mut front_end = FrontEnd::<FEW>::with_stages(&plain, &mut workspace).unwrap();
    let samples = scaled(&noise(3_000, 1), 8_000.0);
    let (mut rest, mut frames) = (&samples[..], Vec::new());
    while front_end.push(&mut rest).is_some() {
        frames.extend_from_slice(front_end.frame());
    }
    let mut workspace = vec![0; 4_000];
    let mut whole = FrontEnd::new(&plain, &mut workspace).unwrap();
    let (mut rest, mut expected) = (&samples[..], Vec::new());
    while whole.push(&mut rest).is_some() {
        expected.extend_from_slice(whole.frame());
    }
    assert_eq!(frames, expected);
    let missing = FrontEnd::<FEW>::with_stages(&more, &mut vec![0; 4_000]).unwrap_err();
    let lacking = stages::CEPSTRUM | stages::PRE_EMPHASIS | stages::DC_REMOVAL;
    assert_eq!(missing, FrontEndError::StagesMissing(lacking));
    assert_eq!(
        missing.to_string(),
        "front end: this program is without the stages 0x540 that the blob needs"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(40) })]

    /// Whatever filters are accepted, no signal makes them wrap around: the output follows the model.
    #[test]
    fn accepted_filters_follow_their_model(low in 0.2..450.0f64, high in 0.2..450.0f64, order in 1_usize..5, square in 1_usize..3_000, seed: u64) {
        let (high, low) = (high.min(low), high.max(low));
        let line = format!("high_pass_hz={high} low_pass_hz={low} filter_order={}", 2 * order);
        if FrontEndConfig::parse(&format!("kind=raw_window axes=1 window=1 rate_hz=1000 {line}")).is_ok() {
            let samples: Vec<i16> = noise(12_000, seed).iter().enumerate().map(|(t, x)| {
                if (t / square) % 2 == 0 { 32_767 } else { -32_768_i32 + (x.abs() * 10.0) as i32 }
            }).map(|x| x as i16).collect();
            let exact = butterworth(&butterworth(&to_f64(&samples), high / 1000.0, 2 * order, true), low / 1000.0, 2 * order, false);
            let error = largest_difference(&conditioned(&line, &samples), &exact);
            prop_assert!(error < 12.0, "{line}: {error}");
        }
    }

    #[test]
    fn accepted_rates_resample(from in 1_u32..100_000, to in 1_u32..100_000, amplitude in 100.0..32_767.0f64) {
        let keys = format!("rate_hz={to} input_rate_hz={from}");
        if FrontEndConfig::parse(&format!("kind=raw_window axes=1 window=1 {keys}")).is_ok() {
            let samples = scaled(&noise(500, 9), amplitude);
            let got = conditioned(&keys, &samples);
            let expected = (500 * u64::from(to)).div_ceil(u64::from(from));
            prop_assert_eq!(got.len() as u64, expected);
        }
    }
}
