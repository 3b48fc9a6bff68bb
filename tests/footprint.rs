//! What is linked into a program that runs a model and nothing else.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use teff::plan::NONE;
use teff::{ModelFile, STACK_BYTES};
use teff_board::{Board, Case, Device, Elf, Emulator, Firmware, Link, stack_bound, stack_bytes};
use teff_compiler::target::parse_target;
use teff_compiler::{Options, Target, compile, compile_with};
use teff_trainer::test_data::{find, skip};

/// After a plan was opened nothing fails; so no program that only runs a model holds the code of a panic, of formatted
/// text, of a 64-bit division, or of floating-point arithmetic by library calls.
#[test]
fn running_a_model_links_no_panic() {
    for board in Board::all_that_run("footprint") {
        match board.ready() {
            Ok(()) => links_no_panic(board),
            Err(error) => skip("running_a_model_links_no_panic", &format!("{error:#}")),
        }
    }
}

/// The file of a model of ours.
fn own(model: &str) -> PathBuf {
    format!("{}/../models/{model}/model.onnx", env!("CARGO_MANIFEST_DIR")).into()
}

fn links_no_panic(board: &'static Board) {
    let test = "running_a_model_links_no_panic";
    let mut models = vec![("digits", own("digits"))];
    // Without a floating-point unit every such operation is a call, which has a name: these boards speak for all.
    if ["cortex-m0", "cortex-m3"].contains(&board.plan_target) {
        models.push(("fashion", own("fashion")));
        for model in ["pretrainedResnet_quant", "kws_ref_model", "vww_96_int8"] {
            let found = find(test, &format!("models/{model}.tflite"));
            models.extend(found.map(|path| (model, path)));
        }
    }
    for (model, path) in models {
        let elf = Firmware { board, program: "footprint", link: Link::File(path) }.build().unwrap();
        let elf = Elf::read(&elf).unwrap();
        let symbols = elf.symbols().unwrap();
        assert!(symbols.iter().any(|name| name.contains("cortex_m_rt_main")), "the program has its symbols");
        let unwanted = [
            "panicking",
            "begin_unwind",
            "core3fmt",
            // 64-bit divisions.
            "aeabi_uldivmod",
            "aeabi_ldivmod",
            "divdi3",
            // Floating point: arithmetic, comparisons and conversions.
            "aeabi_f",
            "aeabi_d",
            "aeabi_i2",
            "aeabi_ui2",
            "aeabi_l2",
            "aeabi_ul2",
        ];
        let found: Vec<&String> =
            symbols.iter().filter(|name| unwanted.iter().any(|part| name.contains(part))).collect();
        assert!(found.is_empty(), "{model} on {}: {found:?}", board.name);
        let sizes = elf.sizes().unwrap();
        println!(
            "{model} on {}: {} bytes of flash, {} of RAM",
            board.name, sizes.flash_bytes, sizes.ram_bytes
        );
        assert!(elf.plan_bytes().is_some_and(|plan| plan < sizes.flash_bytes));
    }
}

/// Engine code and plan of the benchmark's models on the M4, in bytes: bounds that growth is noticed by.
#[test]
fn engine_and_plan_are_as_small_as_promised() {
    let test = "engine_and_plan_are_as_small_as_promised";
    let board = Board::find("mps2-an386").unwrap();
    if let Err(error) = board.ready() {
        return skip(test, &format!("{error:#}"));
    }
    let flash = |program, link| {
        let elf = Elf::read(&Firmware { board, program, link }.build().unwrap()).unwrap();
        (elf.sizes().unwrap().flash_bytes, elf.plan_bytes())
    };
    let (without, _) = flash("footprint_base", Link::None);
    for (file, most) in [
        ("kws_ref_model", 12_000),
        ("vww_96_int8", 12_000),
        ("pretrainedResnet_quant", 12_000),
        ("ad01_int8", 6_000),
        ("hello_world_int8", 4_000),
    ] {
        let Some(path) = find(test, &format!("models/{file}.tflite")) else { return };
        let (with, plan) = flash("footprint", Link::File(path.clone()));
        let plan = plan.expect("a plan is linked");
        let engine = with - without - plan;
        let model = compile(&fs::read(&path).unwrap(), Target::Generic).unwrap();
        let model = ModelFile::from_bytes(&model.plan).unwrap();
        let (mut weights, mut channels) = (0, 0);
        for op in model.model().ops().filter(|op| op.bias_offset != NONE) {
            weights += u64::from(op.weights_len);
            channels += model.model().value(op.output).view.extent.c as u64;
        }
        // Weights, a bias and four bytes more for each output channel.
        let bound = (weights + 8 * channels) * 103 / 100 + 2048;
        println!("{file}: {engine} bytes of code, a plan of {plan}, at most {bound}");
        assert!(engine <= most, "{file}: {engine} bytes of code, more than {most}");
        assert!(plan <= bound, "{file}: a plan of {plan} bytes, more than {bound}");
    }
}

/// No inference takes more stack than is promised, on any board; and every board keeps room for it.
#[test]
fn the_stack_is_as_small_as_promised() {
    let test = "the_stack_is_as_small_as_promised";
    let models = concat!(env!("CARGO_MANIFEST_DIR"), "/../models");
    for board in Board::all_that_run("verify") {
        if let Err(error) = board.ready() {
            skip(test, &format!("{error:#}"));
            continue;
        }
        let device = Device::open(board).unwrap();
        for model in ["digits", "fashion", "gesture", "machine"] {
            let onnx = fs::read(format!("{models}/{model}/model.onnx")).unwrap();
            let compiled = compile(&onnx, parse_target(board.plan_target).unwrap()).unwrap();
            let file = ModelFile::from_bytes(&compiled.plan).unwrap();
            let plan = file.model();
            let inputs = (0..plan.n_inputs()).filter_map(|i| plan.input(i));
            let case = Case { inputs: inputs.map(|input| vec![7; input.view.extent.len()]).collect() };
            let profile = device.profile(&compiled.plan, &case, plan.ops().count()).unwrap();
            println!("{model} on {}: {} bytes of stack", board.name, profile.stack_bytes);
            assert!((1..=STACK_BYTES as u64).contains(&profile.stack_bytes), "{model} on {}", board.name);
        }
        let script =
            fs::read_to_string(format!("{models}/../firmware/boards/{}/memory.x", board.name)).unwrap();
        assert!(script.contains("- __sheap >= 4400"), "{}: no room for the stack is asked for", board.name);
    }
}

/// Where memory is scarcest, what the whole programs write to their stacks ends before their variables.
#[test]
fn programs_keep_to_the_stack_of_the_smallest_board() {
    let test = "programs_keep_to_the_stack_of_the_smallest_board";
    let board = Board::find("microbit").unwrap();
    if let Err(error) = board.ready() {
        return skip(test, &format!("{error:#}"));
    }
    for program in ["listen", "motion", "motion_faults"] {
        let elf = Firmware { board, program, link: Link::Default }.build().unwrap();
        let room = Elf::read(&elf).unwrap().stack_room().unwrap();
        let used = stack_bytes(board, &elf).unwrap();
        println!("{program} on {}: {used} bytes of stack, and {room} are left for it", board.name);
        let bound = stack_bound(&elf).unwrap();
        // The deepest that the main program reached is what its code says, and little less.
        assert!(used <= bound.total() && used + 300 >= bound.main, "{program}: {used}, and {bound:?}");
        assert_eq!((bound.tasks.len(), bound.interrupts.len()), (0, 2), "{program}: {bound:?}");
        assert!(used <= 4400, "{program}: more than `memory.x` asks for");
    }
}

/// Models of another converter: all of them on the M4, also with larger weights, and those with most kinds of
/// operators on the cores with kernels of their own.
fn others(test: &str, board: &Board) -> Vec<(&'static str, PathBuf)> {
    let models: &[&str] = match board.plan_target {
        "cortex-m4" => &[
            "ad01_int8",
            "hello_world_int8",
            "kws_ref_model",
            "micro_speech_quantized",
            "person_detect",
            "pretrainedResnet_quant",
            "str_ww_ref_model",
            "vww_96_int8",
        ],
        "cortex-m3" | "cortex-m55" => &["kws_ref_model", "pretrainedResnet_quant"],
        _ => &[],
    };
    let file = |model: &&'static str| Some((*model, find(test, &format!("models/{model}.tflite"))?));
    let mut found: Vec<_> = models.iter().filter_map(file).collect();
    let larger = found.iter().find(|(model, _)| board.plan_target == "cortex-m4" && model.contains("Resnet"));
    if let Some((_, path)) = larger {
        let options = Options { flash_bytes: Some(1_000_000), ..Options::default() };
        let target = parse_target(board.plan_target).unwrap();
        let compiled = compile_with(&fs::read(path).unwrap(), target, &options).unwrap();
        let plan = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("resnet-flash.teff");
        fs::write(&plan, &compiled.plan).unwrap();
        found.push(("pretrainedResnet_quant --flash", plan));
    }
    found
}

/// What is linked for an embedded model gives the bits that everything gives, on every board.
#[test]
fn embedded_models_give_the_same_bits() {
    let test = "embedded_models_give_the_same_bits";
    for board in Board::all_that_run("embedded") {
        if let Err(error) = board.ready() {
            skip(test, &format!("{error:#}"));
            continue;
        }
        let ours = ["digits", "fashion", "gesture", "machine"].map(|model| (model, own(model)));
        for (model, path) in ours.into_iter().chain(others(test, board)) {
            let elf = Firmware { board, program: "embedded", link: Link::File(path) }.build().unwrap();
            let run = Emulator::find(board).unwrap().run_fast(&elf, None, Duration::from_secs(120)).unwrap();
            println!("{model} on {}: {}", board.name, run.stdout.trim_end());
            assert!(run.success, "{model} on {}: {}{}", board.name, run.stdout, run.stderr);
        }
    }
}
