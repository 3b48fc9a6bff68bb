//! The line of metadata: what is read is what was written, and what is wrong is named.

use proptest::prelude::*;
use teff_compiler::front_end::{Align, BandScale, FrontEndConfig, Kind, Level, Stat, build};

#[test]
fn defaults_follow_from_what_is_given() {
    let c = FrontEndConfig::parse("kind=log_mel rate_hz=8000 frame_len=200 bands=24 window=32").unwrap();
    assert_eq!((c.kind, c.hop_len, c.fft_len, c.high_hz), (Kind::LogMel, 100, 256, 4000.0));
    assert_eq!((c.band_scale, c.align, c.level, c.stride), (BandScale::Mel, Align::Centre, Level::None, 1));
    assert_eq!((c.shape(), c.window_samples()), (Some([32, 24, 1]), 31 * 100 + 200));
    let c =
        FrontEndConfig::parse("kind=motion_stats rate_hz=50 axes=3 frame_len=128 stats=max,mean").unwrap();
    assert_eq!((c.hop_len, c.bands, c.fft_len, &c.stats[..]), (128, 0, 0, &[Stat::Mean, Stat::Max][..]));
    assert_eq!(c.shape(), Some([1, 1, 6]));
    let c = FrontEndConfig::parse("kind=raw_window rate_hz=25 axes=3 decimate=2 window=64").unwrap();
    assert_eq!((c.frame_len, c.hop_len, c.window_samples(), c.shape()), (2, 2, 128, Some([64, 1, 3])));
}

#[test]
fn printed_lines_read_back() {
    for line in [
        "kind=none",
        "kind=image height=28 width=28",
        "kind=image height=32 width=32 channels=3 feature_mean=0.49,0.48,0.45 feature_std=0.2,0.21,0.22",
        "kind=raw_window rate_hz=62.5 axes=6 window=40 decimate=3 lsb_per_unit=16384 level=feature_mean align=end",
        "kind=motion_stats rate_hz=50 axes=3 frame_len=100 bands=8 magnitude=true window=4 floor=-3 stride=2",
        "kind=motion_stats rate_hz=50 axes=3 frame_len=100 stats= bands=8",
        "kind=log_mel rate_hz=16000 frame_len=480 hop_len=320 bands=40 window=49 low_hz=20 high_hz=7600 level=peak range=14",
        "kind=mfcc rate_hz=16000 frame_len=640 hop_len=320 bands=40 coefficients=10 window=49 band_scale=linear",
    ] {
        let config = FrontEndConfig::parse(line).unwrap();
        let printed = config.to_string();
        assert_eq!(FrontEndConfig::parse(&printed), Ok(config.clone()), "{printed}");
        assert_eq!(
            build(&config, 0.1, 0).unwrap(),
            build(&FrontEndConfig::parse(&printed).unwrap(), 0.1, 0).unwrap()
        );
    }
}

#[test]
fn what_is_wrong_is_named_with_its_remedy() {
    let base = "kind=log_mel rate_hz=8000 frame_len=256 bands=32 window=40";
    for (line, words) in [
        ("", ["`kind` is missing", "log_mel"]),
        ("kind=logmel", ["`kind` is `logmel`", "log_mel"]),
        ("kind=log_mel rate_hz=8000 frame_len=256 bands=32", ["`window` is missing", "log_mel"]),
        (
            &format!("{base} hop_length=3"),
            ["`hop_length` is no key of kind=log_mel", "did you mean `hop_len`?"],
        ),
        (&format!("{base} axes=3"), ["`axes` is no key of kind=log_mel", "keys: "]),
        (&format!("{base} stride"), ["`stride` has no value", "key=value"]),
        (&format!("{base} window=4"), ["`window` is given twice", ""]),
        (&format!("{base} hop_len=-3"), ["`hop_len` is `-3`", "whole number from 1"]),
        (&format!("{base} low_hz=nan"), ["`low_hz` is `nan`", "finite"]),
        (&format!("{base} high_hz=4001"), ["`high_hz` is 4001", "4000"]),
        (&format!("{base} low_hz=4000"), ["`low_hz` is 4000", "below high_hz=4000"]),
        (&format!("{base} fft_len=200"), ["`fft_len` is 200", "256"]),
        (&format!("{base} fft_len=128"), ["`frame_len` is 256", "raise fft_len"]),
        (&format!("{base} range=8"), ["`range` is 8", "level=peak"]),
        (&format!("{base} align=left"), ["`align` is `left`", "start, centre, end"]),
        (&format!("{base} feature_mean=1,2"), ["`feature_mean` has 2 entries", "32 features"]),
        (&format!("{base} feature_std=1,2,x"), ["`feature_std` is `x`", "finite"]),
        ("kind=log_mel rate_hz=8000 frame_len=256 bands=120 window=4", ["holds no bin", "fewer bands"]),
        ("kind=log_mel rate_hz=8000 frame_len=256 bands=32 window=2000", ["`window` is 2000", "1 to 1024"]),
        ("kind=log_mel rate_hz=8000 frame_len=4096 bands=32 window=2", ["`fft_len` is 4096", "2048"]),
        (
            "kind=mfcc rate_hz=8000 frame_len=256 bands=20 coefficients=21 window=2",
            ["`coefficients` is 21", "1 to 20"],
        ),
        ("kind=log_mel rate_hz=8000 frame_len=256 bands=0 window=2", ["`bands` is 0", "1 to 256"]),
        ("kind=motion_stats rate_hz=50 axes=3 frame_len=64 stats=", ["`stats` is empty", "bands"]),
        ("kind=motion_stats rate_hz=50 axes=3 frame_len=64 stats=mean,mean", ["`mean` twice", ""]),
        ("kind=raw_window rate_hz=0 axes=3 window=4", ["`rate_hz` is 0", "0.001"]),
        ("kind=raw_window rate_hz=50 axes=3 window=4 lsb_per_unit=0", ["`lsb_per_unit` is 0", "above 0"]),
        ("kind=image height=28 width=0", ["`width` is `0`", "from 1"]),
        ("kind=image height=28 width=28 feature_std=0", ["`feature_std` has 0 at place 0", "above 0"]),
    ] {
        let message = FrontEndConfig::parse(line).unwrap_err().to_string();
        for word in words {
            assert!(message.contains(word), "{line}\n  {message}\n  lacks: {word}");
        }
    }
}

#[test]
fn scales_that_cannot_be_are_refused() {
    let c = FrontEndConfig::parse("kind=image height=2 width=2").unwrap();
    for scale in [0.0, -1.0, f32::NAN, f32::INFINITY, 1e-12] {
        assert!(build(&c, scale, 0).is_err(), "{scale}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever passes the check can be built, and opens.
    #[test]
    fn what_is_accepted_can_be_built(kind in 0..3_usize, rate in 10.0..48_000.0f64, frame in 1_usize..2100, hop in 1_usize..3000, bands in 0_usize..130, coefficients in 1_usize..40, window in 1_usize..100, axes in 1_usize..5, low in 0.0..500.0f64, floor in -40..50_i32) {
        let line = match kind {
            0 => format!("kind=log_mel rate_hz={rate} frame_len={frame} hop_len={hop} bands={bands} window={window} low_hz={low} floor={floor}"),
            1 => format!("kind=mfcc rate_hz={rate} frame_len={frame} hop_len={hop} bands={bands} coefficients={coefficients} window={window}"),
            _ => format!("kind=motion_stats rate_hz={rate} frame_len={frame} hop_len={hop} bands={bands} axes={axes} window={window}"),
        };
        if let Ok(config) = FrontEndConfig::parse(&line) {
            let blob = build(&config, 0.5, 0).unwrap();
            let settings = teff::dsp::Settings::read(&blob).unwrap();
            let mut workspace = vec![0; settings.workspace_words()];
            prop_assert!(teff::dsp::FrontEnd::new(&blob, &mut workspace).is_ok(), "{}", line);
            prop_assert_eq!(settings.window_features(), config.shape().unwrap().iter().product::<usize>());
        }
    }

    #[test]
    fn any_text_gives_a_config_or_an_error(line in "(kind=[a-z_]{3,12} )?([a-z_]{0,12}=?[-0-9.,a-z]{0,8} ){0,6}") {
        let _ = FrontEndConfig::parse(&line);
    }
}
