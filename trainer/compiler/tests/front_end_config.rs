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
        "kind=mfcc rate_hz=16000 input_rate_hz=44100 frame_len=640 bands=40 coefficients=10 window=49 taper=hamming \
         pre_emphasis=0.97 dc_shift=10",
        "kind=log_mel rate_hz=16000 frame_len=512 bands=40 window=49 compress=pcen pcen_gain=0.8 pcen_root=0.25 \
         pcen_bias=10 pcen_smoothing=0.04 high_pass_hz=80 filter_order=4",
        "kind=motion_stats rate_hz=50 input_rate_hz=62.5 axes=3 frame_len=100 stats=kurtosis peaks=3 low_pass_hz=20 \
         taper=hamming",
        "kind=raw_window rate_hz=50 input_rate_hz=100 axes=3 window=40 high_pass_hz=0.5 low_pass_hz=20 dc_shift=6",
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
        (&format!("{base} input_rate_hz=0"), ["`input_rate_hz` is `0`", "above 0"]),
        (&format!("{base} input_rate_hz=8001"), ["8000 for 8001", "ratio of whole numbers"]),
        (&format!("{base} input_rate_hz=8000000"), ["`input_rate_hz` is 8000000", "0.001 to 4000000"]),
        (&format!("{base} dc_shift=16"), ["`dc_shift` is 16", "1 to 15"]),
        (&format!("{base} pre_emphasis=1.5"), ["`pre_emphasis` is 1.5", "0 to 1"]),
        (&format!("{base} high_pass_hz=50 filter_order=3"), ["`filter_order` is 3", "2, 4, 6 or 8"]),
        (&format!("{base} high_pass_hz=4000"), ["`high_pass_hz` is 4000", "give 1.6 to 3600, or 0 for none"]),
        (&format!("{base} high_pass_hz=-1"), ["`high_pass_hz` is -1", "0 for none"]),
        (
            &format!("{base} high_pass_hz=300 low_pass_hz=200"),
            ["`low_pass_hz` is 200, not above high_pass_hz=300", "lies between"],
        ),
        (&format!("{base} taper=hamm"), ["`taper` is `hamm`", "hann, hamming"]),
        (&format!("{base} compress=root"), ["`compress` is `root`", "log, pcen"]),
        (&format!("{base} compress=pcen pcen_gain=2"), ["`pcen_gain` is 2", "0 to 1"]),
        (&format!("{base} compress=pcen pcen_smoothing=0"), ["`pcen_smoothing` is 0", "0.001 to 0.999"]),
        (&format!("{base} compress=pcen pcen_root=0"), ["`pcen_root` is 0", "0.01 to 1"]),
        (&format!("{base} compress=pcen floor=3"), ["`floor` is 3 with compress=pcen", "4 to 48"]),
        (
            &format!("{base} compress=pcen level=peak range=3"),
            ["`range` is 3 with compress=pcen", "leave it out"],
        ),
        (
            &format!("{base} filter_order=4"),
            ["`filter_order` says nothing here", "high_pass_hz or low_pass_hz"],
        ),
        (&format!("{base} pcen_gain=0.5"), ["`pcen_gain` says nothing here", "compress=pcen"]),
        (
            "kind=motion_stats rate_hz=50 axes=3 frame_len=64 taper=hann",
            ["`taper` says nothing", "bands or peaks"],
        ),
        (&format!("{base} peaks=3"), ["`peaks` is no key of kind=log_mel", "keys: "]),
        ("kind=motion_stats rate_hz=50 axes=3 frame_len=64 peaks=9", ["`peaks` is 9", "0 to 8"]),
        (
            "kind=motion_stats rate_hz=50 axes=3 frame_len=64 stats= peaks=1 low_hz=10.2 high_hz=10.3",
            ["no bin of the spectrum lies between low_hz=10.2", "wider band"],
        ),
        (
            "kind=motion_stats rate_hz=50 axes=3 frame_len=64 stats=mode",
            ["`stats` is `mode`", "skew, kurtosis"],
        ),
        ("kind=image height=28 width=28 dc_shift=3", ["`dc_shift` is no key of kind=image", ""]),
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
            opens(&config);
        }
    }

    #[test]
    fn what_is_accepted_can_be_built_with_every_stage(kind in 0..4_usize, up in 1_u32..300, down in 1_u32..300, frame in 1_usize..600, hop in 1_usize..600, bands in 0_usize..40, axes in 1_usize..5, cuts in (0.0..300.0f64, 0.0..600.0f64), order in 1_usize..6, shift in 0_usize..17, peaks in 0_usize..10, part in -0.1..1.1f64, floor in 0..50_i32) {
        let (low, high) = (cuts.0.max(0.0) - 50.0, cuts.1 - 50.0);
        let line = match kind {
            0 => format!("kind=log_mel frame_len={frame} hop_len={hop} bands={bands} window=3 floor={floor} compress=pcen pcen_smoothing={part} pcen_gain={part} pcen_bias={part} pcen_root={part} pre_emphasis={part}"),
            1 => format!("kind=mfcc frame_len={frame} hop_len={hop} bands={bands} coefficients=3 window=3 pre_emphasis={part} taper=hamming"),
            2 => format!("kind=motion_stats frame_len={frame} hop_len={hop} bands={bands} axes={axes} peaks={peaks} stats=skew,kurtosis"),
            _ => format!("kind=raw_window axes={axes} window={frame}"),
        };
        let order = if low > 0.0 || high > 0.0 { format!("filter_order={}", 2 * order) } else { String::new() };
        let line = format!("{line} rate_hz={} input_rate_hz={} high_pass_hz={} low_pass_hz={} {order} dc_shift={shift}", up * 10, down * 10, low.max(0.0), high.max(0.0));
        if let Ok(config) = FrontEndConfig::parse(&line) {
            opens(&config);
            prop_assert_eq!(FrontEndConfig::parse(&config.to_string()), Ok(config));
        }
    }

    #[test]
    fn any_keys_give_a_config_or_an_error(kind in prop::sample::select(KINDS.to_vec()), words in prop::collection::vec((prop::sample::select(KEYS.to_vec()), "-?[0-9]{1,5}(\\.[0-9]{1,3})?|[a-z_]{2,8}|nan|inf|1e300|[0-9]{20,30}|-?[0-9],[0-9]"), 0..14)) {
        let pairs = words.iter().map(|(key, value)| (*key, value.as_str()));
        if let Ok(config) = FrontEndConfig::from_keys([("kind", kind)].into_iter().chain(pairs))
            && config.kind != Kind::None
        {
            opens(&config);
        }
    }

    #[test]
    fn any_text_gives_a_config_or_an_error(line in "(kind=[a-z_]{3,12} )?([a-z_]{0,12}=?[-0-9.,a-z]{0,8} ){0,6}") {
        let _ = FrontEndConfig::parse(&line);
    }
}

const KINDS: [&str; 6] = ["none", "image", "raw_window", "motion_stats", "log_mel", "mfcc"];

const KEYS: [&str; 38] = [
    "rate_hz",
    "input_rate_hz",
    "axes",
    "lsb_per_unit",
    "dc_shift",
    "high_pass_hz",
    "low_pass_hz",
    "filter_order",
    "pre_emphasis",
    "frame_len",
    "hop_len",
    "decimate",
    "fft_len",
    "taper",
    "bands",
    "peaks",
    "band_scale",
    "low_hz",
    "high_hz",
    "floor",
    "compress",
    "pcen_smoothing",
    "pcen_gain",
    "pcen_bias",
    "pcen_root",
    "coefficients",
    "stats",
    "magnitude",
    "window",
    "stride",
    "align",
    "level",
    "range",
    "height",
    "width",
    "channels",
    "feature_mean",
    "feature_std",
];

/// The blob of this front end opens, and is as large as the model input.
fn opens(config: &FrontEndConfig) {
    let blob = build(config, 0.5, 0).unwrap();
    let settings = teff::dsp::Settings::read(&blob).unwrap();
    let mut workspace = vec![0; settings.workspace_words()];
    assert!(teff::dsp::FrontEnd::new(&blob, &mut workspace).is_ok(), "{config}");
    assert_eq!(settings.window_features(), config.shape().unwrap().iter().product::<usize>());
}
