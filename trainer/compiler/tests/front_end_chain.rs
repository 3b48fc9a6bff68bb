//! Whole front ends against models in f64, in pieces of odd sizes, and over damaged blobs.

use std::f64::consts::PI;

use proptest::prelude::*;
use teff::dsp::{BlobError, FrontEnd, FrontEndError, HEADER_BYTES, Settings};
use teff_compiler::front_end::{BandScale, Extractor, FrontEndConfig, Kind, build};

const DIGITS: &str = "kind=log_mel rate_hz=8000 frame_len=256 hop_len=128 bands=32 window=40 floor=8";

fn config(line: &str) -> FrontEndConfig {
    FrontEndConfig::parse(line).unwrap()
}

/// Something like speech: a gliding harmonic tone with a formant, breath noise, and silence between.
fn speech(len: usize, amplitude: f64, seed: u64) -> Vec<i16> {
    let mut state = seed;
    let mut phase = 0.0;
    (0..len)
        .map(|t| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let noise = (state >> 33) as f64 / f64::from(1_u32 << 30) - 1.0;
            phase += 2.0 * PI * (120.0 + 40.0 * libm::sin(t as f64 / 3000.0)) / 8000.0;
            let voiced: f64 = (1..25).map(|h| libm::sin(phase * f64::from(h)) / f64::from(h * h)).sum();
            let envelope = libm::sin(t as f64 / 900.0).max(0.0);
            libm::round(amplitude * (0.5 * voiced * envelope + 0.02 * noise * (1.0 - envelope))) as i16
        })
        .collect()
}

/// Energies of the bands of one frame of real numbers, by the definitions.
fn band_energies(frame: &[f64], c: &FrontEndConfig) -> Vec<f64> {
    let n = frame.len() as f64;
    let tapered: Vec<f64> =
        frame.iter().enumerate().map(|(t, x)| x * (0.5 - 0.5 * libm::cos(2.0 * PI * t as f64 / n))).collect();
    let turn: Vec<(f64, f64)> = (0..c.fft_len)
        .map(|i| 2.0 * PI * i as f64 / c.fft_len as f64)
        .map(|angle| (libm::cos(angle), libm::sin(angle)))
        .collect();
    let power: Vec<f64> = (0..c.fft_len / 2)
        .map(|k| {
            let (mut re, mut im) = (0.0, 0.0);
            for (t, x) in tapered.iter().enumerate() {
                let (cos, sin) = turn[(k * t) % c.fft_len];
                re += x * cos;
                im -= x * sin;
            }
            re * re + im * im
        })
        .collect();
    let axis =
        |hz: f64| if c.band_scale == BandScale::Mel { 2595.0 * libm::log10(1.0 + hz / 700.0) } else { hz };
    let (low, high) = (axis(c.low_hz), axis(c.high_hz));
    let corner = |j: usize| low + (high - low) * j as f64 / (c.bands + 1) as f64;
    (0..c.bands)
        .map(|b| {
            let share = |k: usize| {
                let x = axis(k as f64 * c.rate_hz / c.fft_len as f64);
                let (left, mid, right) = (corner(b), corner(b + 1), corner(b + 2));
                if x < mid { (x - left) / (mid - left) } else { (right - x) / (right - mid) }
            };
            (0..c.fft_len / 2).map(|k| share(k).max(0.0) * power[k]).sum()
        })
        .collect()
}

fn log_bands(frame: &[f64], c: &FrontEndConfig) -> Vec<f64> {
    band_energies(frame, c).iter().map(|e| libm::log2(e + libm::exp2(f64::from(c.floor)))).collect()
}

fn frames<'s>(samples: &'s [i16], c: &FrontEndConfig) -> Vec<&'s [i16]> {
    samples.windows(c.frame_len).step_by(c.hop_len).collect()
}

fn to_f64(samples: &[i16]) -> Vec<f64> {
    samples.iter().map(|x| f64::from(*x)).collect()
}

/// Runs a front end over samples cut into pieces, and returns every frame.
fn run(blob: &[u8], samples: &[i16], piece: usize) -> Vec<Vec<i16>> {
    let mut workspace = vec![0xdead_beef; Settings::read(blob).unwrap().workspace_words()];
    let mut front_end = FrontEnd::new(blob, &mut workspace).unwrap();
    let mut all = Vec::new();
    for mut rest in samples.chunks(piece) {
        while front_end.push(&mut rest).is_some() {
            all.push(front_end.frame().to_vec());
        }
    }
    all
}

#[test]
fn log_mel_is_near_the_real_one() {
    println!(
        "error in log2 units of bands at most 30, 45, 60 dB below the strongest of their frame: largest, rms"
    );
    for line in [
        DIGITS,
        "kind=log_mel rate_hz=8000 frame_len=200 hop_len=80 fft_len=256 bands=24 window=4 floor=8",
        "kind=log_mel rate_hz=16000 frame_len=480 hop_len=320 fft_len=512 bands=40 window=4 floor=8",
        "kind=log_mel rate_hz=44100 frame_len=2048 hop_len=1024 bands=64 low_hz=80 window=4 floor=8",
        "kind=log_mel rate_hz=1000 frame_len=64 hop_len=64 bands=8 window=4 band_scale=linear low_hz=0 floor=8",
    ] {
        let c = config(line);
        let blob = build(&c, 0.1, 0).unwrap();
        for amplitude in [30_000.0, 1_000.0, 40.0] {
            let samples = speech(12_000, amplitude, 3);
            let mut below = [(30.0, 0.0_f64, 0.0, 0.0), (45.0, 0.0, 0.0, 0.0), (60.0, 0.0, 0.0, 0.0)];
            for (frame, got) in frames(&samples, &c).iter().zip(run(&blob, &samples, 4096)) {
                let exact = log_bands(&to_f64(frame), &c);
                let strongest = exact.iter().copied().fold(0.0, f64::max);
                for (exact, got) in exact.into_iter().zip(got) {
                    let error = f64::from(got) / 512.0 - exact;
                    for (limit, largest, squares, count) in &mut below {
                        if (strongest - exact) * 3.0103 <= *limit {
                            *largest = largest.max(error.abs());
                            *squares += error * error;
                            *count += 1.0;
                        }
                    }
                }
            }
            let figures = below.map(|(_, largest, squares, count)| (largest, libm::sqrt(squares / count)));
            println!("{:<62} amplitude {amplitude:>6}: {figures:.4?}", &line[13..line.len().min(75)]);
            let bounds = [(0.03, 0.004), (0.1, 0.01), (0.5, 0.04)];
            for ((largest, rms), (largest_bound, rms_bound)) in figures.into_iter().zip(bounds) {
                assert!(largest <= largest_bound && rms <= rms_bound, "{line} at {amplitude}: {figures:?}");
            }
        }
    }
}

#[test]
fn silence_is_the_floor_in_every_band() {
    for floor in [-20, 0, 8, 30] {
        let c = config(&DIGITS.replace("floor=8", &format!("floor={floor}")));
        let blob = build(&c, 0.1, 0).unwrap();
        for frame in run(&blob, &[0; 1000], 77) {
            assert!(frame.iter().all(|f| i32::from(*f) == floor * 512), "floor {floor}: {frame:?}");
        }
    }
}

#[test]
fn cepstrum_is_near_the_real_one() {
    let c =
        config("kind=mfcc rate_hz=8000 frame_len=256 hop_len=128 bands=32 coefficients=13 window=8 floor=16");
    let blob = build(&c, 0.1, 0).unwrap();
    let samples = speech(8_000, 9_000.0, 5);
    let mut largest = 0.0_f64;
    for (frame, got) in frames(&samples, &c).iter().zip(run(&blob, &samples, 1000)) {
        let bands = log_bands(&to_f64(frame), &c);
        for (i, got) in got.iter().enumerate() {
            let gain = libm::sqrt(if i == 0 { 1.0 } else { 2.0 } / 32.0);
            let cosine = |b: usize| libm::cos(PI * i as f64 * (b as f64 + 0.5) / 32.0);
            let exact: f64 = bands.iter().enumerate().map(|(b, x)| gain * cosine(b) * x).sum();
            largest = largest.max((f64::from(*got) / 64.0 - exact).abs());
        }
    }
    println!("mfcc: largest error {largest:.4}");
    assert!(largest < 0.1, "{largest}");
}

#[test]
fn statistics_are_those_of_the_definitions() {
    let line = "kind=motion_stats rate_hz=50 axes=3 frame_len=100 hop_len=50 window=2 lsb_per_unit=1000 magnitude=true \
                stats=mean,std,rms,min,max,crossings bands=6 fft_len=128";
    let c = config(line);
    let blob = build(&c, 0.1, 0).unwrap();
    let samples = speech(3 * 600, 20_000.0, 9);
    let frames = run(&blob, &samples, 31);
    assert_eq!(frames.len(), 11);
    for (f, got) in frames.iter().enumerate() {
        let instants: Vec<&[i16]> = samples.chunks(3).skip(f * 50).take(100).collect();
        for axis in 0..4 {
            let x: Vec<f64> = instants
                .iter()
                .map(|i| match i.get(axis) {
                    Some(x) => f64::from(*x),
                    None => libm::floor(libm::sqrt(i.iter().map(|x| f64::from(*x) * f64::from(*x)).sum()))
                        .min(32_767.0),
                })
                .collect();
            let n = x.len() as f64;
            let mean = x.iter().sum::<f64>() / n;
            let rms = libm::sqrt(x.iter().map(|x| x * x).sum::<f64>() / n);
            let std = libm::sqrt(x.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n);
            let whole = libm::round(mean);
            let crossings = x.windows(2).filter(|p| (p[0] < whole) != (p[1] < whole)).count() as f64;
            let (min, max) = (x.iter().copied().fold(1e9, f64::min), x.iter().copied().fold(-1e9, f64::max));
            let got = &got[axis * 12..][..12];
            for (got, exact) in got.iter().zip([mean, std, rms, min, max, crossings]) {
                assert!(
                    (f64::from(*got) - exact).abs() <= 0.52,
                    "frame {f} axis {axis}: {got} against {exact}"
                );
            }
            let centred: Vec<f64> = x.iter().map(|x| x - whole).collect();
            for (got, exact) in got[6..].iter().zip(log_bands(&centred, &c)) {
                let error = f64::from(*got) / 512.0 - exact;
                assert!(error.abs() < 0.2, "frame {f} axis {axis}: {error}");
            }
        }
    }
}

#[test]
fn raw_window_averages_and_removes_the_mean() {
    let line = "kind=raw_window rate_hz=100 axes=2 decimate=4 window=5 lsb_per_unit=50 level=feature_mean";
    let samples: Vec<i16> = (0..40).map(|i| if i % 2 == 0 { 100 + i } else { -1000 - 3 * i }).collect();
    let features = Extractor::new(&config(line)).unwrap().features(&samples).unwrap();
    // Means of four: 103, 111, … (mean 119) and -1012, -1036, … (mean -1060).
    let expected = [-16, 48, -8, 24, 0, 0, 8, -24, 16, -48].map(|x| x as f32 / 50.0);
    assert_eq!(features, expected);
}

const LINES: [&str; 13] = [
    DIGITS,
    "kind=mfcc rate_hz=8000 frame_len=200 hop_len=90 fft_len=256 bands=20 coefficients=10 window=7 level=mean",
    "kind=log_mel rate_hz=8000 frame_len=128 hop_len=300 bands=12 window=3 level=peak range=9 stride=2",
    "kind=motion_stats rate_hz=50 axes=3 frame_len=50 hop_len=25 window=3 bands=6 magnitude=true lsb_per_unit=1024",
    "kind=motion_stats rate_hz=50 axes=2 frame_len=33 window=1 stats=rms,min lsb_per_unit=1024",
    "kind=raw_window rate_hz=25 axes=3 window=16 level=feature_mean lsb_per_unit=1024",
    "kind=raw_window rate_hz=62.5 axes=3 window=11 decimate=3 lsb_per_unit=1024 feature_mean=0.5,0,-1 \
     feature_std=2,0.25,0.001",
    "kind=log_mel rate_hz=8000 input_rate_hz=11025 frame_len=128 hop_len=60 bands=12 window=3 taper=hamming dc_shift=9 \
     high_pass_hz=100 low_pass_hz=3000 filter_order=4 pre_emphasis=0.97 compress=pcen",
    "kind=raw_window rate_hz=100 input_rate_hz=25 axes=3 window=9 lsb_per_unit=1024 dc_shift=3",
    "kind=raw_window rate_hz=50 input_rate_hz=62.5 axes=2 window=9 decimate=5 lsb_per_unit=1024 low_pass_hz=4",
    "kind=motion_stats rate_hz=50 axes=3 frame_len=60 hop_len=7 window=2 bands=5 peaks=3 magnitude=true dc_shift=5 \
     stats=mean,std,rms,min,max,crossings,skew,kurtosis high_pass_hz=0.5 lsb_per_unit=1024",
    "kind=motion_stats rate_hz=50 input_rate_hz=100 axes=2 frame_len=64 stats=skew peaks=8 level=mean",
    "kind=mfcc rate_hz=16000 input_rate_hz=8000 frame_len=256 hop_len=100 bands=20 coefficients=8 window=3 \
     pre_emphasis=0.9 taper=hamming",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn pieces_of_any_size_give_the_same_frames(which in 0..LINES.len(), seed: u64, cuts in prop::collection::vec(0_usize..700, 1..40)) {
        let blob = build(&config(LINES[which]), 0.07, 3).unwrap();
        let samples = speech(3000, 5000.0, seed);
        let whole = run(&blob, &samples, samples.len());
        let mut workspace = vec![0; Settings::read(&blob).unwrap().workspace_words()];
        let mut front_end = FrontEnd::new(&blob, &mut workspace).unwrap();
        let (mut rest, mut frames) = (&samples[..], Vec::new());
        for cut in cuts.iter().cycle().take(10_000) {
            let (mut piece, later) = rest.split_at(rest.len().min(*cut));
            while front_end.push(&mut piece).is_some() {
                frames.push(front_end.frame().to_vec());
            }
            rest = later;
        }
        prop_assert!(rest.is_empty() || cuts.iter().all(|c| *c == 0));
        if rest.is_empty() {
            prop_assert_eq!(frames, whole);
        }
    }

    /// A blob for a device keeps int8, one for the trainer keeps features: the model input is the same, and it is the
    /// real feature divided by the scale.
    #[test]
    fn model_input_is_the_quantized_feature(which in 0..LINES.len(), seed: u64, len in 1_usize..6000, scale in 0.01..2.0f32, zero_point: i8) {
        let c = config(LINES[which]);
        let samples = &speech(len * c.axes, 9000.0, seed)[..];
        let mut extractor = Extractor::for_model(&c, scale, zero_point).unwrap();
        let blob = build(&c, scale, zero_point).unwrap();
        let mut workspace = vec![0; Settings::read(&blob).unwrap().workspace_words()];
        let mut front_end = FrontEnd::new(&blob, &mut workspace).unwrap();
        let mut inputs = Vec::new();
        let mut rest = samples;
        while let Some(hop) = front_end.push(&mut rest) {
            let mut input = vec![0; front_end.settings().window_features()];
            if hop.ready && front_end.write_input(&mut input) {
                inputs.push(input);
            }
        }
        let mut at = 0;
        let mut wrong = 0;
        extractor.stream(samples, |real, quantized| {
            wrong += usize::from(inputs.get(at).map(Vec::as_slice) != Some(quantized));
            for (r, q) in real.iter().zip(quantized) {
                let exact = (f64::from(*r) / f64::from(scale) + f64::from(zero_point)).clamp(-128.0, 127.0);
                wrong += usize::from((exact - f64::from(*q)).abs() > 0.502);
            }
            at += 1;
        }).unwrap();
        prop_assert_eq!((wrong, at), (0, inputs.len()));
        // A whole recording is the same as its fitted window in the stream.
        let c_len = c.shape().unwrap().iter().product::<usize>();
        prop_assert_eq!(extractor.features(samples).unwrap().len(), c_len);
        prop_assert_eq!(extractor.quantized(samples).unwrap().len(), c_len);
    }

    #[test]
    fn damaged_blobs_never_panic(which in 0..LINES.len(), damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12), header: bool, cut in any::<prop::sample::Index>(), cutting: bool) {
        let mut blob = build(&config(LINES[which]), 0.07, 3).unwrap();
        for (at, byte) in damage {
            let at = at.index(if header { HEADER_BYTES } else { blob.len() });
            blob[at] = byte;
        }
        if cutting {
            blob.truncate(cut.index(blob.len()));
        }
        exercise(&blob);
    }

    #[test]
    fn random_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..400), version: bool) {
        if version && bytes.len() > 8 {
            bytes[..6].copy_from_slice(b"TFFE\x02\x00");
        }
        exercise(&bytes);
    }
}

/// Opens what can be opened and runs it.
fn exercise(blob: &[u8]) {
    let Ok(settings) = Settings::read(blob) else { return };
    let mut workspace = vec![0; settings.workspace_words()];
    let Ok(mut front_end) = FrontEnd::new(blob, &mut workspace) else { return };
    let samples = speech(9000, 32_767.0, 1);
    let mut input = vec![0; settings.window_features()];
    let mut features = vec![0; settings.window_features()];
    let mut rest = &samples[..];
    while let Some(hop) = front_end.push(&mut rest) {
        if hop.ready {
            let _ = front_end.write_input(&mut input) | front_end.write_features(&mut features);
        }
    }
    let _ = front_end.write_pixels(&[9; 300], &mut vec![0; 300]);
}

#[test]
fn what_is_wrong_with_a_blob_is_named() {
    let blob = build(&config(DIGITS), 0.07, 3).unwrap();
    let words = Settings::read(&blob).unwrap().workspace_words();
    let open = |blob: &[u8]| FrontEnd::new(blob, &mut vec![0; words]).err();
    assert_eq!(open(&blob), None);
    assert_eq!(open(&blob[..10]), Some(FrontEndError::Blob(BlobError::TooShort)));
    assert_eq!(open(&blob[..blob.len() - 1]), Some(FrontEndError::Blob(BlobError::TooShort)));
    let with = |at: usize, byte: u8| {
        let mut blob = blob.clone();
        blob[at] = byte;
        open(&blob)
    };
    assert_eq!(with(0, b'X'), Some(FrontEndError::Blob(BlobError::NotAFrontEnd)));
    assert_eq!(with(4, 1), Some(FrontEndError::Blob(BlobError::UnsupportedVersion(1))));
    assert_eq!(with(6, 9), Some(FrontEndError::Blob(BlobError::BadField(6))));
    assert_eq!(with(20, 3), Some(FrontEndError::Blob(BlobError::BadField(20))));
    let too_small = FrontEnd::new(&blob, &mut vec![0; words - 1]).err();
    assert_eq!(too_small, Some(FrontEndError::WorkspaceTooSmall(words as u32)));
}

#[test]
fn image_is_quantized_by_channel() {
    let c = config("kind=image height=2 width=2 channels=3 feature_mean=0.5,0,0.25 feature_std=0.5,1,0.25");
    let mut extractor = Extractor::for_model(&c, 2.0 / 255.0, 0).unwrap();
    assert_eq!(extractor.shape(), [2, 2, 3]);
    let pixels = [0, 0, 0, 255, 255, 255, 128, 128, 128, 1, 2, 3];
    let real = extractor.pixels(&pixels).unwrap();
    let quantized = extractor.quantized_pixels(&pixels).unwrap();
    for (i, (r, q)) in real.iter().zip(&quantized).enumerate() {
        let p = f64::from(pixels[i]) / 255.0;
        let exact = [(p - 0.5) / 0.5, p, (p - 0.25) / 0.25][i % 3];
        assert!((f64::from(*r) - exact).abs() < 1e-4, "{i}: {r} against {exact}");
        assert!(
            (f64::from(*q) - (exact * 127.5).clamp(-128.0, 127.0)).abs() <= 0.51,
            "{i}: {q} against {exact}"
        );
    }
    assert!(extractor.pixels(&pixels[1..]).is_err());
    assert!(extractor.features(&[0; 12]).is_err());
    // Without standardization a pixel is shifted into int8, exactly.
    let plain = config("kind=image height=16 width=16");
    let all: Vec<u8> = (0..=255).collect();
    let shifted: Vec<i8> = all.iter().map(|p| (i16::from(*p) - 128) as i8).collect();
    assert_eq!(
        Extractor::for_model(&plain, 1.0 / 255.0, -128).unwrap().quantized_pixels(&all).unwrap(),
        shifted
    );
}

#[test]
fn recordings_stand_where_the_settings_say() {
    let line = "kind=raw_window rate_hz=10 axes=1 window=6";
    let place = |align: &str, samples: &[i16]| {
        let c = config(&format!("{line} align={align}"));
        Extractor::new(&c).unwrap().features(samples).unwrap()
    };
    assert_eq!(place("start", &[1, 2, 3]), [1., 2., 3., 0., 0., 0.]);
    assert_eq!(place("centre", &[1, 2, 3]), [0., 1., 2., 3., 0., 0.]);
    assert_eq!(place("end", &[1, 2, 3]), [0., 0., 0., 1., 2., 3.]);
    let long = [1, 2, 3, 4, 5, 6, 7, 8, 9];
    assert_eq!(place("start", &long), [1., 2., 3., 4., 5., 6.]);
    assert_eq!(place("centre", &long), [2., 3., 4., 5., 6., 7.]);
    assert_eq!(place("end", &long), [4., 5., 6., 7., 8., 9.]);
    assert_eq!(place("end", &[]), [0.; 6]);
}

#[test]
fn sizes_are_known_when_the_firmware_is_built() {
    const HEADER: [u8; HEADER_BYTES + 8] = {
        let mut h = [0; HEADER_BYTES + 8];
        let mut i = 0;
        let fields: [(usize, u8); 13] = [
            (0, b'T'),
            (1, b'F'),
            (2, b'F'),
            (3, b'E'),
            (4, 2),
            (6, 2),
            (7, 3),
            (8, 104),
            (16, 1),
            (18, 1),
            (26, 3),
            (28, 10),
            (30, 1),
        ];
        while i < fields.len() {
            h[fields[i].0] = fields[i].1;
            i += 1;
        }
        h[44] = 1;
        h[48] = 12;
        h
    };
    const SETTINGS: Settings = match Settings::read(&HEADER) {
        Ok(settings) => settings,
        Err(_) => panic!("not a front end"),
    };
    /// On a word boundary, as in a plan.
    #[repr(align(4))]
    struct Aligned([u8; HEADER_BYTES + 8]);
    static BLOB: Aligned = Aligned(HEADER);
    let mut workspace = [0; SETTINGS.workspace_words()];
    let front_end = FrontEnd::new(&BLOB.0, &mut workspace).unwrap();
    assert_eq!((front_end.settings().window_features(), SETTINGS.workspace_bytes()), (30, 48));
}

#[test]
fn kind_none_has_no_blob() {
    let c = config("kind=none");
    assert_eq!((c.kind, c.shape(), build(&c, 1.0, 0).unwrap().len()), (Kind::None, None, 0));
    assert!(Extractor::new(&c).is_err());
}
