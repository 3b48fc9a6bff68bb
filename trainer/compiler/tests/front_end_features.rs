//! Features beyond logarithms and plain statistics, against models in f64.

use std::f64::consts::PI;

use proptest::prelude::*;
use teff::dsp::{FrontEnd, Settings, exp2_q16};
use teff_compiler::front_end::{FrontEndConfig, build};

fn config(line: &str) -> FrontEndConfig {
    FrontEndConfig::parse(line).unwrap()
}

/// Every frame of the front end on `samples`.
fn frames(line: &str, samples: &[i16]) -> Vec<Vec<i16>> {
    let blob = build(&config(line), 1.0, 0).unwrap();
    let mut workspace = vec![0x1234_5678; Settings::read(&blob).unwrap().workspace_words()];
    let mut front_end = FrontEnd::new(&blob, &mut workspace).unwrap();
    let (mut all, mut rest) = (Vec::new(), samples);
    while front_end.push(&mut rest).is_some() {
        all.push(front_end.frame().to_vec());
    }
    all
}

fn noise(len: usize, seed: u64) -> Vec<f64> {
    let mut state = seed;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(1_u32 << 30) - 1.0
    };
    (0..len).map(next).collect()
}

fn scaled(x: &[f64], amplitude: f64) -> Vec<i16> {
    x.iter().map(|x| libm::round(x * amplitude).clamp(-32_768.0, 32_767.0) as i16).collect()
}

/// Skew and kurtosis by the definition; 0 for a constant.
fn moments(samples: &[i16]) -> [f64; 2] {
    let n = samples.len() as f64;
    let mean = samples.iter().map(|x| f64::from(*x)).sum::<f64>() / n;
    let power =
        |p: i32| samples.iter().map(|x| libm::pow(f64::from(*x) - mean, f64::from(p))).sum::<f64>() / n;
    let (m2, m3, m4) = (power(2), power(3), power(4));
    if m2 == 0.0 { [0.0, 0.0] } else { [m3 / libm::pow(m2, 1.5), m4 / (m2 * m2)] }
}

#[test]
fn skew_and_kurtosis_are_those_of_the_definitions() {
    let spike = |len: usize, height: f64| {
        let mut x = vec![0.0; len];
        x[len / 3] = height;
        x
    };
    let uniform = noise(8_192, 7);
    let bell: Vec<f64> = (0..2_048).map(|i| noise(12, i * 77 + 5).iter().sum::<f64>() / 6.0).collect();
    let lopsided: Vec<f64> = noise(500, 3).iter().map(|x| libm::exp(2.0 * x) / 8.0).collect();
    let mut largest = [0.0_f64; 2];
    for x in [
        uniform,
        bell,
        lopsided,
        spike(64, 1.0),
        spike(100, -1.0),
        (0..50).map(|t| libm::sin(f64::from(t) * 0.7)).collect(),
        (0..1000).map(|t| if t % 5 == 0 { 1.0 } else { -0.25 }).collect(),
    ] {
        for (amplitude, offset) in [(32_000.0, 0.0), (1_000.0, 15_000.0), (9.0, -3.0), (1.0, 20_000.0)] {
            let samples: Vec<i16> =
                scaled(&x, amplitude).iter().map(|x| x.saturating_add(offset as i16)).collect();
            let line = format!(
                "kind=motion_stats rate_hz=50 axes=1 frame_len={} stats=skew,kurtosis",
                samples.len()
            );
            let got = &frames(&line, &samples)[0];
            for (i, (got, exact)) in got.iter().zip(moments(&samples)).enumerate() {
                let error = (f64::from(*got) / 256.0 - exact).abs();
                let relative = (error - 0.5 / 256.0).max(0.0) / exact.abs().max(1.0);
                largest[i] = largest[i].max(relative);
                assert!(
                    relative < 2e-3,
                    "{line} amplitude {amplitude}: {} against {exact}",
                    f64::from(*got) / 256.0
                );
            }
        }
    }
    println!("beyond half a step, relative: skew {:.1e}, kurtosis {:.1e}", largest[0], largest[1]);
    // A constant has neither; what is beyond the range is at its end.
    let line = "kind=motion_stats rate_hz=50 axes=1 frame_len=4096 stats=skew,kurtosis";
    assert_eq!(frames(line, &[-32_768; 4096])[0], [0, 0]);
    let spiked = &frames(line, &scaled(&spike(4_096, 1.0), 30_000.0))[0];
    assert!((16_376..=16_384).contains(&spiked[0]) && spiked[1] == 32_767, "{spiked:?}");
}

#[test]
fn statistics_keep_their_order() {
    let line =
        "kind=motion_stats rate_hz=50 axes=2 frame_len=100 stats=kurtosis,mean,skew,max bands=3 peaks=2";
    let c = config(line);
    assert_eq!(c.features_per_frame(), 2 * (4 + 3 + 2 * 2));
    assert!(c.to_string().contains("stats=mean,max,skew,kurtosis "), "{c}");
    let units = c.feature_units();
    assert_eq!(units[..4], [1.0, 1.0, 1.0 / 256.0, 1.0 / 256.0]);
    let bin = 50.0 / 128.0 / 16.0;
    assert_eq!(units[7..11], [bin, 1.0 / 512.0, bin, 1.0 / 512.0]);
}

#[test]
fn peaks_are_found_where_tones_are() {
    // Side lobes of the stronger tone move the weaker one's peak under a Hamming window.
    for (taper, bound) in [("hann", 0.15), ("hamming", 0.2)] {
        let (mut place, mut height) = (0.0_f64, 0.0_f64);
        let line = format!(
            "kind=motion_stats rate_hz=1000 axes=1 frame_len=512 stats= peaks=3 low_hz=10 taper={taper} floor=4"
        );
        for (n, hz) in [40.0, 77.7, 123.45, 200.1, 333.3, 410.9].into_iter().enumerate() {
            let second = if hz < 250.0 { hz + 150.0 } else { hz - 150.0 };
            let samples: Vec<i16> = (0..512)
                .map(|t| {
                    let angle = 2.0 * PI * f64::from(t) / 1000.0;
                    let x = 8_000.0 * libm::sin(hz * angle + n as f64) + 1_500.0 * libm::cos(second * angle);
                    libm::round(x) as i16
                })
                .collect();
            let got = &frames(&line, &samples)[0];
            assert_eq!(got.len(), 6);
            for (peak, (hz, amplitude)) in [(hz, 8_000.0), (second, 1_500.0)].into_iter().enumerate() {
                let found = f64::from(got[2 * peak]) / 16.0;
                place = place.max((found - hz * 512.0 / 1000.0).abs());
                let mean = if taper == "hann" { 0.5 } else { 0.54 };
                // Half the amplitude, times the sum of the taper.
                let exact = 2.0 * libm::log2(amplitude / 2.0 * mean * 512.0);
                height = height.max((f64::from(got[2 * peak + 1]) / 512.0 - exact).abs());
            }
        }
        println!("{taper}: largest error of a peak {place:.3} bins, {height:.3} octaves of energy");
        assert!(place < 0.06 && height < bound, "{taper}");
    }
}

#[test]
fn peaks_that_are_not_there_are_at_the_floor() {
    let line = "kind=motion_stats rate_hz=1000 axes=1 frame_len=64 stats= peaks=4 floor=6";
    assert_eq!(frames(line, &[0; 64])[0], [0, 6 * 512, 0, 6 * 512, 0, 6 * 512, 0, 6 * 512]);
    // Outside of the band that is looked at there is none either.
    let tone: Vec<i16> =
        (0..64).map(|t| libm::round(9_000.0 * libm::sin(f64::from(t) * PI / 16.0)) as i16).collect();
    let high = frames("kind=motion_stats rate_hz=1000 axes=1 frame_len=64 stats= peaks=1 low_hz=300", &tone);
    assert!(high[0][1] < 512 * 12, "{high:?}");
    let all = frames("kind=motion_stats rate_hz=1000 axes=1 frame_len=64 stats= peaks=1", &tone);
    assert!((i32::from(all[0][0]) - 2 * 16).abs() <= 1 && all[0][1] > 512 * 30, "{all:?}");
}

/// Energies of bands that are equally wide, of a frame tapered by a Hamming window.
fn energies(frame: &[i16], fft_len: usize, bands: usize) -> Vec<f64> {
    let n = frame.len() as f64;
    let tapered: Vec<f64> = frame
        .iter()
        .enumerate()
        .map(|(t, x)| f64::from(*x) * (0.54 - 0.46 * libm::cos(2.0 * PI * t as f64 / n)))
        .collect();
    let width = fft_len as f64 / 2.0 / (bands + 1) as f64;
    let mut out = vec![0.0; bands];
    for k in 0..fft_len / 2 {
        let (mut re, mut im) = (0.0, 0.0);
        for (t, x) in tapered.iter().enumerate() {
            let angle = 2.0 * PI * ((k * t) % fft_len) as f64 / fft_len as f64;
            re += x * libm::cos(angle);
            im -= x * libm::sin(angle);
        }
        for (b, out) in out.iter_mut().enumerate() {
            *out += (1.0 - (k as f64 / width - (b + 1) as f64).abs()).max(0.0) * (re * re + im * im);
        }
    }
    out
}

#[test]
fn normalized_energies_are_near_the_real_ones() {
    for (smoothing, gain, bias, root, floor) in [
        (0.025, 0.98, 2.0, 0.5, 12),
        (0.2, 0.8, 10.0, 0.25, 6),
        (0.06, 1.0, 0.0, 1.0, 16),
        (0.999, 0.5, 1.0, 0.1, 20),
    ] {
        let line = format!(
            "kind=log_mel rate_hz=8000 frame_len=128 hop_len=64 bands=6 band_scale=linear low_hz=0 window=4 \
             taper=hamming floor={floor} compress=pcen pcen_smoothing={smoothing} pcen_gain={gain} \
             pcen_bias={bias} pcen_root={root}"
        );
        // Noise whose level goes up and down by 60 dB, and a silence.
        let samples: Vec<i16> = noise(8_000, 11)
            .iter()
            .enumerate()
            .map(|(t, x)| {
                let level = libm::exp2(5.0 * libm::sin(t as f64 / 700.0) + 8.5);
                if (5_000..5_400).contains(&t) { 0 } else { libm::round(x * level) as i16 }
            })
            .collect();
        let mut smoothed: Vec<f64> = Vec::new();
        let (mut largest, mut squares, mut count) = (0.0_f64, 0.0, 0.0);
        for (n, got) in frames(&line, &samples).iter().enumerate() {
            let energies = energies(&samples[n * 64..][..128], 128, 6);
            if smoothed.is_empty() {
                smoothed.clone_from(&energies);
            }
            for ((got, e), m) in got.iter().zip(energies).zip(&mut smoothed) {
                *m += smoothing * (e - *m);
                let ratio = e / libm::pow(libm::exp2(f64::from(floor)) + *m, gain);
                let exact = libm::pow(ratio + bias, root) - libm::pow(bias, root);
                let exact = if bias == 0.0 && e == 0.0 { 0.0 } else { exact };
                let error = f64::from(*got) / 512.0 - exact.clamp(-64.0, 32_767.0 / 512.0);
                // In parts of what the root is taken of.
                let relative = error.abs() / (exact + libm::pow(bias, root)).max(0.2);
                largest = largest.max(relative);
                squares += relative * relative;
                count += 1.0;
            }
        }
        let rms = libm::sqrt(squares / count);
        println!("pcen s={smoothing} gain={gain} bias={bias} root={root}: error {largest:.4}, rms {rms:.5}");
        assert!(largest < 0.03 && rms < 0.004, "{line}: {largest} {rms}");
    }
}

#[test]
fn normalization_of_silence_is_zero_and_of_a_constant_is_constant() {
    let line = "kind=log_mel rate_hz=8000 frame_len=128 hop_len=128 bands=6 window=4 compress=pcen";
    assert!(frames(line, &[0; 2_000]).iter().all(|frame| frame.iter().all(|f| *f == 0)));
    let hum: Vec<i16> =
        (0..4_000).map(|t| libm::round(5_000.0 * libm::sin(f64::from(t) * PI / 16.0)) as i16).collect();
    let frames = frames(line, &hum);
    assert!(frames.iter().all(|frame| *frame == frames[0]), "{frames:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn power_of_two_is_within_its_bound(x in -3_000_000_i32..3_000_000, frac_bits in 0_u32..46) {
        let exact = libm::exp2(f64::from(x) / 65_536.0 + f64::from(frac_bits));
        let got = exp2_q16(x, frac_bits) as f64;
        if exact < libm::exp2(61.0) {
            let error = got - exact;
            prop_assert!(error <= 0.51 + exact * 8e-5 && error >= -0.51 - exact * 3e-5, "{x} {frac_bits}: {got} {exact}");
        } else {
            prop_assert!(got >= libm::exp2(60.9));
        }
    }

    #[test]
    fn any_moments_are_near_their_definitions(len in 4_usize..300, amplitude in 1.0..32_767.0f64, seed: u64, root in 1_i32..6) {
        let x: Vec<f64> = noise(len, seed).iter().map(|x| libm::pow(*x, f64::from(root))).collect();
        let samples = scaled(&x, amplitude);
        let line = format!("kind=motion_stats rate_hz=50 axes=1 frame_len={len} stats=skew,kurtosis");
        let got = &frames(&line, &samples)[0];
        for (got, exact) in got.iter().zip(moments(&samples)) {
            let error = (f64::from(*got) / 256.0 - exact.clamp(-128.0, 127.997)).abs();
            prop_assert!(error <= 0.5 / 256.0 + 2e-3 * exact.abs().max(1.0), "{got} against {exact}");
        }
    }
}
