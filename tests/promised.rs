//! What the benchmark record shows, held: instructions beside those of TensorFlow Lite Micro with CMSIS-NN, arenas beside
//! its arenas, and the stack of every kernel.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;
use teff::{ModelFile, STACK_BYTES};
use teff_board::{Board, Case, Device, Profile};
use teff_compiler::target::{packings, parse_target};
use teff_compiler::{Options, Target, compile_with};
use teff_trainer::samples;
use teff_trainer::test_data::{find, skip};

/// A plan of a model: its file, a RAM and a flash budget.
type Plan = (&'static str, Option<usize>, Option<usize>);

const AD01: Plan = ("ad01_int8", None, None);
const RESNET: Plan = ("pretrainedResnet_quant", None, None);
const RESNET_FLASH: Plan = ("pretrainedResnet_quant", None, Some(1 << 20));
const RESNET_32K: Plan = ("pretrainedResnet_quant", Some(32_000), None);
const KWS: Plan = ("kws_ref_model", None, None);
const VWW: Plan = ("vww_96_int8", None, None);
const VWW_32K: Plan = ("vww_96_int8", Some(32_000), None);
const STR_WW: Plan = ("str_ww_ref_model", None, None);
const PERSON: Plan = ("person_detect", None, None);

/// Instructions of an inference, at most, as a share of the other engine's, in per mille, by core.
const WITH_DSP: [(Plan, u64); 8] = [
    (AD01, 550),
    (RESNET, 420),
    (RESNET_FLASH, 360),
    (KWS, 400),
    (VWW, 380),
    (VWW_32K, 380),
    (STR_WW, 420),
    (PERSON, 380),
];
const M55: [(Plan, u64); 6] =
    [(AD01, 450), (RESNET, 750), (KWS, 600), (VWW, 550), (STR_WW, 550), (PERSON, 550)];
const M3: [(Plan, u64); 6] =
    [(AD01, 620), (RESNET, 600), (KWS, 550), (VWW, 550), (STR_WW, 500), (PERSON, 550)];

/// Arenas, at most, as a share of the other engine's, in per mille, on every core.
const ARENAS: [(Plan, u64); 6] =
    [(KWS, 500), (VWW, 500), (STR_WW, 500), (PERSON, 500), (RESNET, 650), (RESNET_FLASH, 650)];

fn compiled(test: &str, plan: Plan, target: Target) -> Option<Vec<u8>> {
    let (model, ram_bytes, flash_bytes) = plan;
    let path = find(test, &format!("models/{model}.tflite"))?;
    let options = Options { ram_bytes, flash_bytes, ..Options::default() };
    Some(compile_with(&fs::read(path).unwrap(), target, &options).unwrap().plan)
}

fn profile(device: &mut Device, plan: &[u8]) -> Profile {
    let file = ModelFile::from_bytes(plan).unwrap();
    let model = file.model();
    let inputs = (0..model.n_inputs()).filter_map(|i| model.input(i));
    let bytes = |len: usize| (0..len).map(|at| (at * 37 + at / 11) as u8).collect();
    let case = Case { inputs: inputs.map(|input| bytes(input.view.extent.len())).collect() };
    device.profile(plan, &case, model.ops().count()).unwrap()
}

/// The other engine's figure `field` of a model: on the M4 the lower of its builds "speed" and "stock", elsewhere "speed".
fn theirs(anchors: &Value, model: &str, core: &str, field: &str) -> u64 {
    let results = anchors["results"].as_array().unwrap();
    let fitting = results.iter().filter(|result| {
        let build = result["build"].as_str().unwrap();
        let is_build = build == "speed" || (core == "m4" && build == "stock");
        result["model"] == model && result["core"] == core && result["kernels"] == "cmsis" && is_build
    });
    fitting.filter_map(|result| result[field].as_u64()).min().unwrap()
}

fn anchors(test: &str) -> Option<Value> {
    let path = find(test, "anchors/mcu.json")?;
    Some(serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap())
}

fn core(board: &Board) -> &'static str {
    board.plan_target.trim_start_matches("cortex-")
}

#[test]
fn instructions_are_as_few_as_promised() {
    let test = "instructions_are_as_few_as_promised";
    let Some(anchors) = anchors(test) else { return };
    let cores: BTreeMap<&str, &[(Plan, u64)]> = BTreeMap::from([
        ("m3", &M3[..]),
        ("m4", &WITH_DSP[..]),
        ("m7", &WITH_DSP[..]),
        ("m33", &WITH_DSP[..]),
        ("m55", &M55[..]),
    ]);
    let mut counted = 0;
    for board in Board::all_that_run("verify") {
        let Some(bounds) = cores.get(core(board)) else { continue };
        if let Err(error) = board.ready() {
            skip(test, &format!("{}: {error:#}", board.name));
            continue;
        }
        let mut device = Device::open(board).unwrap();
        for &(plan, most) in *bounds {
            let Some(bytes) = compiled(test, plan, parse_target(board.plan_target).unwrap()) else {
                continue;
            };
            let profile = profile(&mut device, &bytes);
            let (ours, theirs) =
                (profile.total.instructions, theirs(&anchors, plan.0, core(board), "instr_invoke"));
            println!("{plan:?} on {}: {ours} instructions, {theirs} there", board.name);
            assert!(1000 * ours <= most * theirs, "{plan:?} on {}: {ours} of {theirs}", board.name);
            // An instruction takes a cycle at least, on the M7 half of one; the M33 and the M55 have no published timings.
            let least = if core(board) == "m7" { theirs / 2 } else { theirs };
            if let Some(cycles) = profile.total.cycles.filter(|_| core(board) != "m55") {
                assert!(cycles < least, "{plan:?} on {}: {cycles} cycles of {least}", board.name);
            }
            let stack = profile.stack_bytes;
            assert!((1..=STACK_BYTES as u64).contains(&stack), "{plan:?} on {}: {stack}", board.name);
            counted += 1;
        }
    }
    println!("{counted} inferences");
}

#[test]
fn arenas_are_as_small_as_promised() {
    let test = "arenas_are_as_small_as_promised";
    let Some(anchors) = anchors(test) else { return };
    let arena = |plan: Plan, target| {
        compiled(test, plan, target)
            .map(|bytes| ModelFile::from_bytes(&bytes).unwrap().arena().as_mut_slice().len() as u64)
    };
    for board in Board::all_that_run("verify") {
        let target = parse_target(board.plan_target).unwrap();
        // Nobody has figures of the M0; its plans are as large as those of the M3.
        let of = if core(board) == "m0" { "m3" } else { core(board) };
        for (plan, most) in ARENAS {
            let Some(ours) = arena(plan, target) else { continue };
            let theirs = theirs(&anchors, plan.0, of, "arena_used");
            assert!(1000 * ours <= most * theirs, "{plan:?} for {}: {ours} of {theirs}", board.plan_target);
        }
        for plan in [VWW_32K, RESNET_32K] {
            let Some(ours) = arena(plan, target) else { continue };
            assert!(ours <= 32_000, "{plan:?} for {}: {ours} bytes", board.plan_target);
        }
    }
}

/// Every kernel in every packing, in lock step too: the layers that the cost model is fitted to.
#[test]
fn no_kernel_takes_more_stack_than_promised() {
    let test = "no_kernel_takes_more_stack_than_promised";
    // One for each set of kernels.
    for name in ["mps2-an385-m0", "mps2-an385", "mps2-an386", "mps3-an547"] {
        let board = Board::find(name).unwrap();
        if let Err(error) = board.ready() {
            skip(test, &format!("{name}: {error:#}"));
            continue;
        }
        let target = parse_target(board.plan_target).unwrap();
        let mut device = Device::open(board).unwrap();
        let mut most = 0;
        for packing in packings(target) {
            let options = Options { packing: Some(packing), ..Options::default() };
            for plan in samples::plans(target, &options).unwrap() {
                let stack = profile(&mut device, &plan).stack_bytes;
                assert!((1..=STACK_BYTES as u64).contains(&stack), "{packing:?} on {name}: {stack}");
                most = most.max(stack);
            }
        }
        println!("{name}: at most {most} of {STACK_BYTES} bytes");
    }
}
