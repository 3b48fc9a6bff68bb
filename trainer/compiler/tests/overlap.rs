//! Operators that run over their own input give the bits of those that do not.

mod support;

use teff::kernels::Kernels;
use teff::kernels::generic::Generic;
use teff::kernels::params::Packing;
use teff::kernels::reference::Reference;
use teff::shape::Layout;
use teff::{AnyModel, Model, ModelFile, Progress, Session};
use teff_compiler::graph::{Builder, Clamp, Conv2d, Graph, Padding, Unary};
use teff_compiler::lower::{Compiled, lower_with};
use teff_compiler::{Options, Target, compile_with};

use support::quantized::{Random, quantized};

fn run<K: Kernels>(plan: &[u8], input: &[i8], budget: u32) -> Vec<Vec<i8>> {
    run_with::<K>(plan, input, || budget)
}

/// Each step has the next budget.
fn run_with<K: Kernels>(plan: &[u8], input: &[i8], mut budget: impl FnMut() -> u32) -> Vec<Vec<i8>> {
    let file = ModelFile::from_bytes(plan).unwrap();
    let model = Model::open::<AnyModel, K>(file.model().as_bytes()).unwrap();
    let mut arena = file.arena();
    // What an earlier inference left there must not matter.
    arena.as_mut_slice().iter_mut().enumerate().for_each(|(i, byte)| *byte = (i * 31 + 7) as i8);
    let mut session = Session::<AnyModel, K>::with_model(model, arena.as_mut_slice()).unwrap();
    session.input_mut(0).copy_from_slice(input);
    while session.step(budget()) == Progress::Pending {}
    (0..model.n_outputs()).map(|i| session.output(i).values.to_vec()).collect()
}

/// Compiles with smaller and smaller budgets until none is left, and compares each plan with the one without overlaps.
/// Gives the arenas, the largest first.
fn check(what: &str, compile: impl Fn(&Options) -> Result<Compiled, String>, budgets: &[u32]) -> Vec<u64> {
    let apart = compile(&Options { overlap: false, ..Options::default() }).unwrap();
    let file = ModelFile::from_bytes(&apart.plan).unwrap();
    let len = file.model().input(0).unwrap().view.extent.len();
    let input: Vec<i8> = (0..len).map(|i| (i * 89 + i / 7) as i8).collect();
    let expected = run::<Reference>(&apart.plan, &input, u32::MAX);
    let mut arenas = vec![apart.report.arena_bytes];
    let usual = compile(&Options::default()).unwrap();
    let mut next = Ok(usual);
    while let Ok(compiled) = next {
        let arena = compiled.report.arena_bytes;
        arenas.push(arena);
        assert_eq!(run::<Generic>(&compiled.plan, &input, u32::MAX), expected, "{what}, {arena} bytes");
        for &budget in budgets {
            assert_eq!(
                run::<Generic>(&compiled.plan, &input, budget),
                expected,
                "{what}, {arena} bytes, steps"
            );
        }
        // Budgets that change from step to step, of every size from nothing to the whole.
        let mut random = Random(arena + budgets.len() as u64);
        let found =
            run_with::<Generic>(&compiled.plan, &input, || (random.next() as u32) >> random.below(32));
        assert_eq!(found, expected, "{what}, {arena} bytes, changing budgets");
        next = compile(&Options { ram_bytes: Some(arena as usize * 31 / 32), ..Options::default() });
        if let Ok(compiled) = &next {
            assert!(compiled.report.arena_bytes < arena);
        }
    }
    arenas
}

/// A chain of spatial operators with side paths.
fn network(random: &mut Random) -> Graph {
    let mut b = Builder::new("random");
    let (h, w, c) = (3 + random.below(14), 1 + random.below(9), 1 + random.below(6));
    let mut x = b.input("x", [1, h, w, c]);
    let mut skip = x;
    for layer in 0..3 + random.below(5) {
        let [_, h, w, c] = b.shape(x);
        let name = format!("layer{layer}");
        let filter = [1 + random.below(4).min(h - 1), 1 + random.below(3).min(w - 1)];
        let dilation = if random.below(4) == 0 && filter[0] * 2 <= h { [2, 1] } else { [1, 1] };
        let stride = if h > 6 { [1 + random.below(3) / 2 * (1 + random.below(2)), 1] } else { [1, 1] };
        let same = random.below(3) > 0;
        let reach = |axis: usize| dilation[axis] * (filter[axis] - 1);
        let padding = if same {
            Padding {
                top: reach(0) / 2,
                left: reach(1) / 2,
                bottom: reach(0) - reach(0) / 2,
                right: reach(1) - reach(1) / 2,
            }
        } else {
            Padding::default()
        };
        if !same && (reach(0) >= h || reach(1) >= w) {
            continue;
        }
        let attributes = Conv2d { stride, dilation, padding, activation: Clamp::NONE, ..Conv2d::default() };
        let before = x;
        x = match random.below(5) {
            0 | 1 => {
                let out = 1 + random.below(9);
                b.conv_2d(&name, x, random.tensor(&[out, filter[0], filter[1], c]), None, attributes)
            }
            2 => {
                let out = c * (1 + random.below(2));
                b.depthwise_conv_2d(
                    &name,
                    x,
                    random.tensor(&[1, filter[0], filter[1], out]),
                    None,
                    attributes,
                )
            }
            3 => b.max_pool_2d(&name, x, filter, stride, padding),
            _ => b.average_pool_2d(&name, x, filter, stride, padding),
        };
        if random.below(3) == 0 {
            x = b.unary(&format!("{name}.swish"), x, Unary::HardSwish);
        }
        if b.shape(skip) == b.shape(x) && random.below(2) == 0 {
            x = b.add(&format!("{name}.sum"), x, skip);
        }
        if random.below(2) == 0 {
            skip = if random.below(2) == 0 { x } else { before };
        }
    }
    b.output("y", x);
    b.finish().unwrap()
}

#[test]
fn random_networks() {
    let (mut overlapping, mut in_lock_step) = (0, 0);
    for seed in 0..120 {
        let mut random = Random(seed);
        let graph = network(&mut random);
        let input: Vec<f32> =
            (0..graph.value(graph.inputs[0].value).shape.iter().product()).map(|_| random.real()).collect();
        let graph = quantized(graph, &input);
        let compile = |options: &Options| {
            lower_with(&graph, Target::Generic, options, [0; 32]).map_err(|error| error.to_string())
        };
        let arenas = check(&format!("network {seed}"), compile, &[1, 700, 20_000]);
        let least = Options { ram_bytes: arenas.last().map(|&arena| arena as usize), ..Options::default() };
        let model = ModelFile::from_bytes(&compile(&least).unwrap().plan).unwrap();
        in_lock_step += usize::from(model.model().header().ops.contains_groups());
        overlapping += usize::from(arenas.last() < arenas.first());
    }
    assert!(overlapping > 60, "only {overlapping} networks had operators over their own input");
    assert!(in_lock_step > 10, "only {in_lock_step} networks had operators in lock step");
}

/// Every packing and layout that can be asked for, with and without a budget.
#[test]
fn every_packing_and_layout_gives_the_same_bits() {
    let (mut planar, mut packed) = (0, 0);
    for seed in 200..260 {
        let mut random = Random(seed);
        let graph = network(&mut random);
        let len: usize = graph.value(graph.inputs[0].value).shape.iter().product();
        let real: Vec<f32> = (0..len).map(|_| random.real()).collect();
        let graph = quantized(graph, &real);
        let input: Vec<i8> = (0..len).map(|i| (i * 89 + i / 7) as i8).collect();
        let plain = Options { overlap: false, packing: Some(Packing::Plain), ..Options::default() };
        let expected = lower_with(&graph, Target::Generic, &plain, [0; 32]).unwrap();
        let expected = run::<Reference>(&expected.plan, &input, u32::MAX);
        for layout in [None, Some(Layout::Planar)] {
            for packing in [None].into_iter().chain(Packing::ALL.map(Some)) {
                let mut options = Options { packing, layout, ..Options::default() };
                let usual = lower_with(&graph, Target::CortexM4, &options, [0; 32]).unwrap();
                options.ram_bytes = Some(usual.report.arena_bytes as usize * 15 / 16);
                let tight = lower_with(&graph, Target::CortexM4, &options, [0; 32]);
                for compiled in [Ok(usual), tight].into_iter().flatten() {
                    let file = ModelFile::from_bytes(&compiled.plan).unwrap();
                    let model = file.model();
                    planar += usize::from(
                        (0..model.header().n_values).any(|i| model.value(i).view.layout == Layout::Planar),
                    );
                    packed += usize::from(model.ops().any(|op| op.packing != Packing::Plain));
                    let found = run::<Generic>(&compiled.plan, &input, u32::MAX);
                    assert_eq!(found, expected, "network {seed}, {options:?}");
                }
            }
        }
    }
    assert!(planar > 60 && packed > 60, "{planar} planar plans, {packed} packed ones");
}

#[test]
fn reference_models() {
    let Some(folder) = support::models_dir("reference_models") else { return };
    for (name, most) in [
        ("kws_ref_model", 11_410),
        ("vww_96_int8", 50_354),
        ("pretrainedResnet_quant", 35_747),
        ("str_ww_ref_model", 8_298),
        ("person_detect", 41_154),
        ("micro_speech_quantized", 6_836),
        ("ad01_int8", 2_580),
        ("hello_world_int8", 772),
    ] {
        let bytes = std::fs::read(folder.join(format!("{name}.tflite"))).unwrap();
        let compile = |options: &Options| {
            compile_with(&bytes, Target::Generic, options).map_err(|error| error.to_string())
        };
        let arenas = check(name, compile, &[30_000]);
        println!("{name}: {arenas:?}");
        let smallest = arenas[arenas.len() - 1];
        assert!(name != "vww_96_int8" || smallest <= 32_000, "{name}: {smallest} bytes at the least");
        assert!(arenas[1] <= most, "{name}: {} bytes", arenas[1]);
    }
}
