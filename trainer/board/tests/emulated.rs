//! The questions that a host asks an emulated board: the board's bits are the host's bits.

use teff::dsp::FrontEnd;
use teff::kernels::params::Window;
use teff::plan::{Location, OpKind, OpRecord, PlanWriter, ValueRecord};
use teff::quant::QuantParams;
use teff::shape::{Layout, View};
use teff::{ModelFile, Session};
use teff_board::{Board, Case, Device, Emulator, Rust};
use teff_compiler::front_end::{FrontEndConfig, build};

/// The M4 board with its program, or `None` (and a line that says so) where it cannot be emulated here.
fn device() -> Option<Device> {
    open(Board::find("mps2-an386").unwrap())
}

fn open(board: &'static Board) -> Option<Device> {
    match Emulator::find(board).map(|_| ()).and_then(|()| Rust::find(board.target).map(|_| ())) {
        Ok(()) => Some(Device::open(board).unwrap()),
        Err(error) => {
            println!("SKIPPED {error:#}");
            None
        }
    }
}

/// Numbers between `low` and `high` that look random.
fn noise(seed: u32, low: i32, high: i32) -> impl Iterator<Item = i32> {
    let mut state = seed | 1;
    core::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        low + (state % (high - low + 1) as u32) as i32
    })
}

/// A 3x3 convolution on [8, 8, 3] to five channels, and its pooled output as a second one.
fn plan() -> Vec<u8> {
    let quant = QuantParams { scale: 0.1, zero_point: -3 };
    let mut plan = PlanWriter::default();
    (plan.arena_bytes, plan.live_set_bytes) = (1024, 592);
    let mut value = |h, w, c, at| {
        let view = View::new(h, w, c, Layout::Nhwc);
        plan.push_value(ValueRecord { view, location: Location::Arena(at), quant }).unwrap()
    };
    let input = value(8, 8, 3, 0);
    let features = value(8, 8, 5, 256);
    let pooled = value(4, 4, 5, 640);
    plan.inputs.push(input);
    plan.outputs.extend([features, pooled]);
    let window = Window {
        filter_h: 3,
        filter_w: 3,
        stride_h: 1,
        stride_w: 1,
        dilation_h: 1,
        dilation_w: 1,
        pad_top: 1,
        pad_left: 1,
    };
    let mut conv = OpRecord {
        window,
        weights_len: 3 * 3 * 3 * 5,
        scratch_offset: 768,
        scratch_len: 2 * 3 * 3 * 3,
        ..OpRecord::new(OpKind::Conv2d, input, features)
    };
    let weights: Vec<u8> = noise(3, -127, 127).take(135).map(|weight| weight as u8).collect();
    conv.weights_offset = plan.push_data(&weights, 4).unwrap();
    conv.bias_offset = plan.push_words(noise(4, -9000, 9000).take(5)).unwrap();
    conv.multipliers_offset = plan.push_words(noise(5, 1 << 21, 1 << 23).take(5)).unwrap();
    plan.push_op(conv);
    let window =
        Window { filter_h: 2, filter_w: 2, stride_h: 2, stride_w: 2, pad_top: 0, pad_left: 0, ..window };
    plan.push_op(OpRecord { window, ..OpRecord::new(OpKind::MaxPool2d, features, pooled) });
    plan.finish().unwrap()
}

#[test]
fn outputs_of_a_plan_are_those_of_the_host_on_every_board() {
    let file = ModelFile::from_bytes(&plan()).unwrap();
    let mut arena = file.arena();
    let mut session = Session::from_model(file.model(), arena.as_mut_slice()).unwrap();
    let cases: Vec<Case> = (1..9)
        .map(|seed| noise(seed, -128, 127).take(192).map(|value| value as u8).collect())
        .map(|input| Case { inputs: vec![input] })
        .collect();
    for board in Board::all_that_run("verify") {
        let Some(device) = open(board) else { continue };
        let results = device.infer(file.as_bytes(), &cases).unwrap();
        assert_eq!(results.len(), cases.len());
        for (case, result) in cases.iter().zip(results) {
            for (to, from) in session.input_mut(0).iter_mut().zip(&case.inputs[0]) {
                *to = *from as i8;
            }
            session.invoke();
            for (index, found) in result.outputs.iter().enumerate() {
                let expected: Vec<u8> = session.output(index).values.iter().map(|&v| v as u8).collect();
                assert_eq!(*found, expected, "{}", board.name);
            }
            assert_eq!(result.outputs.len(), 2);
            // 8,640 multiplications, sixteen at a time at best, and no loop gone wild.
            assert!((540..2_000_000).contains(&result.instructions), "{}", result.instructions);
        }
    }
}

#[test]
fn a_plan_that_the_board_refuses_is_an_error_that_says_why() {
    let Some(device) = device() else { return };
    let mut plan = plan();
    let last = plan.len() - 1;
    plan[last] ^= 1;
    let error = device.infer(&plan, &[]).unwrap_err();
    assert!(format!("{error:#}").contains("checksum"), "{error:#}");
    let cases = [Case { inputs: vec![vec![0; 3]] }];
    plan[last] ^= 1;
    let error = device.infer(&plan, &cases).unwrap_err();
    assert!(format!("{error:#}").contains("192"), "{error:#}");
}

/// Every kind of front end and every stage.
const LINES: [&str; 9] = [
    "kind=log_mel rate_hz=8000 frame_len=256 hop_len=128 bands=32 window=8 stride=3",
    "kind=mfcc rate_hz=16000 frame_len=480 hop_len=320 bands=40 coefficients=10 window=5",
    "kind=motion_stats rate_hz=1600 axes=3 frame_len=256 hop_len=128 fft_len=256 bands=8 \
     lsb_per_unit=512 stats=mean,std,crossings window=4",
    "kind=raw_window rate_hz=25 axes=3 lsb_per_unit=1000 window=64 stride=16 level=feature_mean",
    "kind=log_mel rate_hz=16000 input_rate_hz=44100 frame_len=512 hop_len=160 bands=40 window=4 taper=hamming \
     pre_emphasis=0.97 compress=pcen",
    "kind=mfcc rate_hz=8000 input_rate_hz=6000 frame_len=256 hop_len=80 bands=20 coefficients=12 window=3 dc_shift=10 \
     high_pass_hz=80 low_pass_hz=3400 filter_order=4",
    "kind=motion_stats rate_hz=50 input_rate_hz=62.5 axes=3 frame_len=100 hop_len=25 magnitude=true peaks=4 bands=5 \
     stats=mean,std,rms,min,max,crossings,skew,kurtosis dc_shift=6 window=3 taper=hamming",
    "kind=raw_window rate_hz=50 input_rate_hz=100 axes=2 decimate=3 window=40 stride=7 high_pass_hz=0.2 low_pass_hz=10 \
     filter_order=8",
    "kind=log_mel rate_hz=16000 frame_len=2048 hop_len=512 bands=64 window=2 low_pass_hz=7000 compress=pcen \
     pcen_gain=0.8 pcen_bias=0 pcen_root=0.25",
];

#[test]
fn features_are_those_of_the_host_on_every_board() {
    for board in Board::all_that_run("verify") {
        let Some(device) = open(board) else { continue };
        for line in LINES {
            let config = FrontEndConfig::parse(line).unwrap();
            let blob = build(&config, 0.05, -7).unwrap();
            let recordings: Vec<Vec<i16>> = [2_000, 32_767, 3]
                .into_iter()
                .enumerate()
                .map(|(seed, peak)| {
                    let len = 6_000 * config.axes;
                    noise(seed as u32 + 1, -peak, peak).take(len).map(|value| value as i16).collect()
                })
                .collect();
            let found = device.features(&blob, &recordings).unwrap();
            assert_eq!(found.len(), recordings.len());
            for (recording, found) in recordings.iter().zip(found) {
                let (frames, inputs) = on_host(&blob, recording);
                assert!(!frames.is_empty() && !inputs.is_empty(), "{line}");
                assert_eq!(found.frames, frames, "{}: {line}", board.name);
                assert_eq!(found.inputs, inputs, "{}: {line}", board.name);
                assert!(found.instructions > 0);
            }
        }
    }
}

/// All frames and all windows of a recording, pushed in pieces of odd length.
fn on_host(blob: &[u8], recording: &[i16]) -> (Vec<i16>, Vec<i8>) {
    let settings = teff::dsp::Settings::read(blob).unwrap();
    let mut workspace = vec![0; settings.workspace_words()];
    let mut front_end = FrontEnd::new(blob, &mut workspace).unwrap();
    let (mut frames, mut inputs) = (Vec::new(), Vec::new());
    let mut input = vec![0; settings.window_features()];
    for mut piece in recording.chunks(37) {
        while let Some(hop) = front_end.push(&mut piece) {
            frames.extend_from_slice(front_end.frame());
            if hop.ready && front_end.write_input(&mut input) {
                inputs.extend_from_slice(&input);
            }
        }
    }
    (frames, inputs)
}

/// Between the marks of the program `exact` is a loop of two instructions, run so many times.
#[test]
fn loops_of_known_length_are_counted_to_the_instruction() {
    for board in Board::all_that_run("exact") {
        if let Err(error) = board.ready() {
            println!("SKIPPED {error:#}");
            continue;
        }
        let counts = teff_board::count_program(board, "exact").unwrap();
        let loops = [1, 1_000, 100_000, 10_000_000];
        assert_eq!(counts.len(), loops.len(), "{}", board.name);
        let around = |count: teff_board::Count, loops: u64| count.instructions - 2 * loops;
        for (count, loops) in counts.iter().zip(loops) {
            // The call of the loop's function and of the mark, and the argument.
            assert!((1..16).contains(&around(*count, loops)), "{}: {count:?}", board.name);
            if board.plan_target == "cortex-m4" {
                // A subtraction and a branch that is taken each time but the last.
                let cycles = count.cycles.unwrap();
                assert!((4 * loops..4 * loops + 40).contains(&cycles), "{count:?}");
            }
        }
        println!("{}: {counts:?}", board.name);
    }
}

#[test]
fn a_profile_has_every_operator_and_slice() {
    let Some(device) = device() else { return };
    let input = noise(1, -128, 127).take(192).map(|value| value as u8).collect();
    let case = Case { inputs: vec![input] };
    let profile = device.profile(&plan(), &case, 2).unwrap();
    let again = device.profile(&plan(), &case, 2).unwrap();
    assert_eq!(profile, again);
    assert_eq!(profile.outputs, device.infer(&plan(), std::slice::from_ref(&case)).unwrap()[0].outputs);
    // Eight rows of a convolution, four of a pooling.
    assert_eq!((profile.layers.len(), profile.slices), (2, 12));
    let sum: u64 = profile.layers.iter().map(|layer| layer.instructions).sum();
    assert!(sum.abs_diff(profile.total.instructions) < 1_000, "{profile:?}");
    assert!(profile.longest_slice.instructions < profile.layers[0].instructions, "{profile:?}");
    assert!((32..8_192).contains(&profile.stack_bytes), "{profile:?}");
    assert!(profile.total.cycles.unwrap() > profile.total.instructions, "{profile:?}");
    let error = device.profile(&plan(), &case, 400).unwrap_err();
    assert!(format!("{error:#}").contains("400 operators"), "{error:#}");
}
