//! What a flash budget buys has the bits of what it replaces.

mod support;

use teff::kernels::generic::Generic;
use teff::kernels::params::Packing;
use teff::{AnyModel, Model, ModelFile, Session};
use teff_compiler::graph::{Builder, Clamp, Conv2d, Graph, Padding, Tensor};
use teff_compiler::lower::{Compiled, lower_with};
use teff_compiler::{Options, Result, Target, compile_with};

use support::quantized::{Random, quantized};

fn run(plan: &[u8]) -> Vec<i8> {
    let file = ModelFile::from_bytes(plan).unwrap();
    let model = Model::open::<AnyModel, Generic>(file.model().as_bytes()).unwrap();
    let mut arena = file.arena();
    let mut session = Session::<AnyModel, Generic>::with_model(model, arena.as_mut_slice()).unwrap();
    session.input_mut(0).iter_mut().enumerate().for_each(|(i, q)| *q = (i * 89 + i / 7) as i8);
    session.invoke();
    session.output(0).values.to_vec()
}

fn transformed(plan: &[u8]) -> usize {
    let file = ModelFile::from_bytes(plan).unwrap();
    let larger = [Packing::DspWinograd, Packing::BaseWinograd];
    file.model().ops().filter(|op| larger.contains(&op.packing)).count()
}

/// Two layers that have a larger form, with 16 and 32 channels, and one with a stride, which has none.
fn network() -> Graph {
    let mut random = Random(5);
    let mut builder = Builder::new("flash");
    let mut value = builder.input("x", [1, 9, 16, 16]);
    let clamp = Clamp { min: 0.0, max: f32::INFINITY };
    for (c_in, c_out, stride) in [(16, 32, 1), (32, 16, 1), (16, 16, 2)] {
        let shape = [c_out, 3, 3, c_in];
        // One large weight a channel, so that sums are small beside it.
        let weight = |i| if i % (9 * c_in) == 0 { 3.0 } else { random.real() };
        let weights = Tensor::f32(&shape, (0..shape.iter().product()).map(weight).collect()).unwrap();
        let name = format!("conv{c_in}x{c_out}x{stride}");
        let attributes = Conv2d {
            stride: [stride; 2],
            padding: Padding { top: 1, left: 1, bottom: 1, right: 1 },
            activation: clamp,
            ..Conv2d::default()
        };
        value = builder.conv_2d(&name, value, weights, None, attributes);
    }
    builder.output("y", value);
    let graph = builder.finish().unwrap();
    let real: Vec<f32> = (0..9 * 16 * 16).map(|_| random.real()).collect();
    quantized(graph, &real)
}

fn compile(flash: Option<usize>, target: Target) -> Result<Compiled> {
    let options = Options { flash_bytes: flash, ram_bytes: Some(100_000), ..Options::default() };
    lower_with(&network(), target, &options, [0; 32])
}

#[test]
fn larger_forms_are_bought_as_far_as_they_fit() {
    [Target::CortexM4, Target::CortexM3, Target::CortexM0].into_iter().for_each(larger_forms_are_bought);
}

fn larger_forms_are_bought(target: Target) {
    let plain = compile(None, target).unwrap();
    let least = plain.plan.len();
    let expected = run(&plain.plan);
    // Each of the two has 9 * 16 * 32 weights; in the larger form 16 * 16 * 32 of 16 bits.
    let more = 23 * 16 * 32;
    for (flash, count) in
        [(least, 0), (least + more - 32, 0), (least + more, 1), (least + 2 * more, 2), (1 << 20, 2)]
    {
        let bought = compile(Some(flash), target).unwrap();
        assert!(bought.plan.len() <= flash);
        assert_eq!(transformed(&bought.plan), count, "{flash} bytes, {least} at the least");
        assert_eq!(run(&bought.plan), expected);
        let named = bought.report.notes.iter().filter(|note| note.contains("Winograd")).count();
        assert_eq!(named, count, "{:?}", bought.report.notes);
    }
    let error = compile(Some(least - 1), target).unwrap_err().to_string();
    assert!(
        error.contains(&format!("its plan has {least} bytes, and the flash budget is {}", least - 1)),
        "{error}"
    );
}

#[test]
fn targets_without_a_larger_form_say_so() {
    let plan = compile(Some(1 << 20), Target::CortexM55).unwrap();
    assert_eq!(transformed(&plan.plan), 0);
    assert!(plan.report.notes.iter().any(|note| note.contains("buys nothing")), "{:?}", plan.report.notes);
}

#[test]
fn resnet_in_its_ram() {
    let Some(folder) = support::models_dir("resnet_in_its_ram") else { return };
    let bytes = std::fs::read(folder.join("pretrainedResnet_quant.tflite")).unwrap();
    let compile = |flash| {
        let options = Options { flash_bytes: flash, ..Options::default() };
        compile_with(&bytes, Target::CortexM4, &options).unwrap()
    };
    let (plain, bought) = (compile(None), compile(Some(256_000)));
    assert_eq!(transformed(&bought.plan), 4);
    assert!(bought.report.arena_bytes <= 35_747, "{} bytes of RAM", bought.report.arena_bytes);
    assert_eq!(run(&bought.plan), run(&plain.plan));
}

#[test]
fn what_would_need_more_ram_is_noted() {
    let lowered = |ram_bytes| {
        let options = Options { flash_bytes: Some(1 << 20), ram_bytes, ..Options::default() };
        lower_with(&network(), Target::CortexM3, &options, [0; 32]).unwrap()
    };
    let asks =
        |compiled: &Compiled| compiled.report.notes.iter().filter(|note| note.contains("--ram")).count();
    let (usual, roomy) = (lowered(None), lowered(Some(100_000)));
    let has = |compiled: &Compiled| transformed(&compiled.plan);
    assert_eq!(has(&roomy), 2);
    assert_eq!(asks(&roomy), 0);
    assert_eq!(asks(&usual), 2 - has(&usual), "{:?}", usual.report.notes);
    assert!(has(&usual) < 2, "the test needs a layer that needs more RAM");
}
