//! The integer Fourier transform, the logarithm and the whole chain against models in f64.

use std::f64::consts::PI;

use proptest::prelude::*;
use teff::dsp::{log2_q16, power_spectrum};
use teff_compiler::front_end::twiddles;

/// Magnitudes of the bins below half the sample rate, by the definition.
fn dft(samples: &[i16], n: usize) -> Vec<f64> {
    (0..n / 2)
        .map(|k| {
            let (mut re, mut im) = (0.0, 0.0);
            for (t, x) in samples.iter().enumerate() {
                let angle = 2.0 * PI * ((k * t) % n) as f64 / n as f64;
                re += f64::from(*x) * libm::cos(angle);
                im -= f64::from(*x) * libm::sin(angle);
            }
            libm::hypot(re, im)
        })
        .collect()
}

/// Signal-to-noise ratio of the magnitudes, in dB.
fn snr(samples: &[i16], n: usize) -> f64 {
    let mut spectrum = vec![0; n / 2];
    let power = power_spectrum(samples, &twiddles(n), &mut spectrum);
    let step = libm::exp2(f64::from(power.exponent));
    let got = power.bins.iter().map(|p| libm::sqrt(f64::from(*p)) * step);
    let (mut signal, mut noise) = (0.0, 0.0);
    for (exact, got) in dft(samples, n).into_iter().zip(got) {
        signal += exact * exact;
        noise += (exact - got) * (exact - got);
    }
    10.0 * libm::log10(signal / noise.max(1e-9))
}

/// Reproducible noise in [-1, 1).
fn noise(len: usize, seed: u64) -> Vec<f64> {
    let mut state = seed;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / f64::from(1_u32 << 30) - 1.0
        })
        .collect()
}

fn scaled(x: impl IntoIterator<Item = f64>, amplitude: f64) -> Vec<i16> {
    x.into_iter().map(|x| libm::round(x * amplitude) as i16).collect()
}

#[test]
fn fourier_transform_keeps_its_signal_to_noise_ratio() {
    println!("n      full noise  quiet noise  full tone  quiet tone  clipped  impulse");
    for n in [64_usize, 128, 256, 512, 1024, 2048] {
        let tone = |cycles: f64| {
            (0..n).map(move |t| libm::sin(2.0 * PI * cycles * t as f64 / n as f64)).collect::<Vec<_>>()
        };
        let mut impulse = vec![0_i16; n];
        impulse[n / 3] = -32_768;
        let clipped = (0..n).map(|t| if (t / 5) % 2 == 0 { 32_767 } else { -32_768 }).collect();
        let cases = [
            scaled(noise(n, 1), 32_767.0),
            scaled(noise(n, 2), 12.0),
            scaled(tone(n as f64 / 7.3), 32_767.0),
            scaled(tone(n as f64 / 7.3), 12.0),
            clipped,
            impulse,
        ];
        let snrs = cases.map(|x: Vec<i16>| snr(&x, n));
        println!("{n:<6} {}", snrs.map(|s| format!("{s:9.1}")).join("  "));
        for (case, s) in snrs.iter().enumerate() {
            assert!(*s > 57.0, "n {n} case {case}: {s} dB");
        }
    }
}

#[test]
fn fourier_transform_of_silence_is_silence() {
    let mut spectrum = vec![7; 128];
    let power = power_spectrum(&[0; 256], &twiddles(256), &mut spectrum);
    assert!(power.bins.iter().all(|p| *p == 0));
}

#[test]
fn largest_possible_values_do_not_overflow() {
    for n in [64_usize, 128, 256, 512, 1024, 2048] {
        for samples in [
            vec![-32_768_i16; n],
            vec![32_767; n],
            (0..n).map(|t| if t % 2 == 0 { -32_768 } else { 32_767 }).collect(),
        ] {
            let mut spectrum = vec![0; n / 2];
            let power = power_spectrum(&samples, &twiddles(n), &mut spectrum);
            let step = libm::exp2(2.0 * f64::from(power.exponent));
            let exact = dft(&samples, n);
            let got = f64::from(power.bins[0]) * step;
            assert!(
                (got - exact[0] * exact[0]).abs() <= 1e-3 * exact[0] * exact[0] + step * 16.0,
                "n {n}: {got}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_samples_keep_the_ratio(log_n in 6_usize..10, amplitude in 8.0..32_767.0f64, seed: u64, cycles in 0.0..0.5f64) {
        let n = 1 << log_n;
        let tone = (0..n).map(|t| 0.7 * libm::sin(2.0 * PI * cycles * t as f64));
        let mixed: Vec<f64> = tone.zip(noise(n, seed)).map(|(a, b)| a + 0.3 * b).collect();
        let s = snr(&scaled(mixed, amplitude), n);
        prop_assert!(s > 58.0, "n {n} amplitude {amplitude}: {s} dB");
    }

    #[test]
    fn logarithm_is_within_its_bound(x in 1..=u64::MAX, shift in 0_u32..64) {
        let x = (x >> shift).max(1);
        let exact = libm::log2(x as f64) * 65_536.0;
        let error = f64::from(log2_q16(x)) - exact;
        prop_assert!((-14.0..1.6).contains(&error), "log2({x}): {error} steps of 2^-16");
    }
}

#[test]
fn logarithm_of_small_numbers() {
    assert_eq!(log2_q16(0), 0);
    for (x, exact) in [(1, 0), (2, 65_536), (1 << 40, 40 << 16), (1 << 63, 63 << 16)] {
        assert_eq!(log2_q16(x), exact);
    }
}
