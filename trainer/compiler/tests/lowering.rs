//! Every operator of a lowered graph, fed its own integer inputs, against exact real arithmetic.

mod support;

use std::collections::BTreeMap;

use teff::AnyModel;
use teff::{ModelFile, Progress, Session};
use teff_compiler::Target;
use teff_compiler::evaluate::Evaluator;
use teff_compiler::graph::{Builder, Clamp, Conv2d, Graph, Op, Padding, Unary, ValueId};
use teff_compiler::lower::lower;

use support::quantized::{Random, quantized};

fn network(random: &mut Random) -> Graph {
    let mut b = Builder::new("all");
    let x = b.input("x", [1, 9, 8, 3]);
    let pad = |top, left, bottom, right| Padding { top, left, bottom, right };
    let conv =
        Conv2d { stride: [2, 1], padding: pad(0, 1, 1, 2), activation: Clamp::RELU6, ..Conv2d::default() };
    let a = b.conv_2d("conv", x, random.tensor(&[6, 3, 3, 3]), Some(vec![0.3; 6]), conv);
    let grouped = Conv2d { groups: 3, dilation: [2, 1], padding: pad(2, 1, 2, 1), ..Conv2d::default() };
    let g = b.conv_2d("grouped", a, random.tensor(&[6, 3, 3, 2]), None, grouped);
    let d = b.depthwise_conv_2d(
        "depthwise",
        g,
        random.tensor(&[1, 3, 3, 12]),
        Some(vec![-0.1; 12]),
        Conv2d { padding: pad(1, 1, 1, 1), activation: Clamp::RELU, ..Conv2d::default() },
    );
    // Wider than the window: rows and columns that no window sees the input through.
    let wide = Conv2d { padding: pad(1, 0, 2, 0), ..Conv2d::default() };
    let p = b.conv_2d("pointwise", d, random.tensor(&[6, 1, 1, 12]), None, wide);
    let p = b.max_pool_2d("cut", p, [4, 1], [1, 1], Padding::default());
    let sum = b.add("sum", p, g);
    let hs = b.unary("swish", sum, Unary::HardSwish);
    let squeezed = b.global_average_pool("squeeze", hs);
    let gate = b.unary("gate", squeezed, Unary::Sigmoid);
    let scaled = b.mul("excite", hs, gate);
    let joined = b.concat("join", &[scaled, g, sum], 3);
    let padded = b.pad("pad", joined, pad(1, 2, 0, 1));
    let pooled = b.max_pool_2d("max", padded, [2, 3], [2, 2], pad(1, 0, 0, 1));
    let averaged = b.average_pool_2d("mean", pooled, [2, 2], [1, 1], pad(1, 0, 0, 1));
    let scores = b.fully_connected(
        "scores",
        averaged,
        {
            let [_, h, w, c] = b.shape(averaged);
            random.tensor(&[5, h * w * c])
        },
        Some(vec![0.05; 5]),
    );
    let y = b.softmax("softmax", scores);
    b.output("y", y);
    b.output("features", pooled);
    b.finish().unwrap()
}

#[test]
fn each_operator_is_within_one_step_of_exact_arithmetic() {
    let mut random = Random(7);
    let graph = network(&mut random);
    let input: Vec<f32> = (0..9 * 8 * 3).map(|_| random.real()).collect();
    let graph = quantized(graph, &input);
    let compiled = lower(&graph, Target::Generic, [0; 32]).unwrap();
    let file = ModelFile::from_bytes(&compiled.plan).unwrap();
    let model = file.model();
    assert_eq!(model.header().arena_bytes as u64, compiled.report.arena_bytes);
    assert!(compiled.report.arena_bytes >= compiled.report.live_set_bytes);
    let in_place = |name: &str| compiled.report.layers.iter().any(|l| l.name == name && l.in_place);
    assert!(in_place("gate") && in_place("softmax"), "an operand nobody reads again is written over");

    // What every value held right after it was computed.
    let mut arena = file.arena();
    let mut session = Session::<AnyModel>::with_model(model, arena.as_mut_slice()).unwrap();
    let quant = session.input_quant(0).unwrap();
    for (q, &real) in session.input_mut(0).iter_mut().zip(&input) {
        *q = quant.quantize(real);
    }
    let mut held: BTreeMap<&str, Vec<i8>> = BTreeMap::new();
    held.insert("x", session.value(0).to_vec());
    for (index, layer) in compiled.report.layers.iter().enumerate() {
        session.invoke_op(index as u16);
        held.insert(&layer.output_name, session.value(layer.output_value).to_vec());
    }

    let mut evaluator = Evaluator::new(&graph).unwrap();
    for (index, node) in graph.nodes.iter().enumerate() {
        if matches!(node.op, Op::Reshape { .. }) {
            let source = held[graph.value(node.inputs[0]).name.as_str()].clone();
            held.insert(&graph.value(node.output()).name, source);
            continue;
        }
        let real = |id: &ValueId| -> Vec<f32> {
            let value = graph.value(*id);
            let quant = value.quant.as_ref().unwrap();
            held[value.name.as_str()]
                .iter()
                .map(|&q| quant.scale() * (i32::from(q) - quant.zero_point) as f32)
                .collect()
        };
        let operands: Vec<Vec<f32>> =
            node.inputs.iter().filter(|&&id| !graph.value(id).is_constant()).map(real).collect();
        let slices: Vec<&[f32]> = operands.iter().map(Vec::as_slice).collect();
        let exact = evaluator.run_alone(index, &slices).unwrap();
        let output = graph.value(node.output());
        let scale = output.quant.as_ref().unwrap().scale();
        let got = real(&node.output());
        assert_eq!(got.len(), exact.len());
        let worst = got.iter().zip(exact).map(|(g, e)| ((g - e) / scale).abs()).fold(0.0, f32::max);
        // The evaluator rounds to the output's integers too, so a difference is a whole number of steps.
        assert!(worst < 1.01, "{} ({}): {worst} steps", node.name, node.op.name());
        assert!(got.iter().any(|&v| v != got[0]), "{}: a constant output proves nothing", node.name);
    }

    // Whole, and in slices: the same bits.
    let whole = {
        let mut arena = file.arena();
        let mut session = Session::from_model(model, arena.as_mut_slice()).unwrap();
        session.input_mut(0).copy_from_slice(&held["x"]);
        session.invoke();
        [session.output(0).values.to_vec(), session.output(1).values.to_vec()]
    };
    assert_eq!(whole[0], held["y"]);
    let mut arena = file.arena();
    let mut session = Session::from_model(model, arena.as_mut_slice()).unwrap();
    session.input_mut(0).copy_from_slice(&held["x"]);
    let mut steps = 0;
    while session.step(500) == Progress::Pending {
        steps += 1;
    }
    assert!(steps > 30);
    assert_eq!([session.output(0).values.to_vec(), session.output(1).values.to_vec()], whole);
}

#[test]
fn the_same_graph_gives_the_same_bytes() {
    let build = || {
        let mut random = Random(3);
        let graph = network(&mut random);
        let input: Vec<f32> = (0..9 * 8 * 3).map(|_| random.real()).collect();
        lower(&quantized(graph, &input), Target::CortexM4, [9; 32]).unwrap().plan
    };
    assert_eq!(build(), build());
}

#[test]
fn a_float_graph_is_refused_with_the_remedy() {
    let graph = network(&mut Random(1));
    let error = lower(&graph, Target::Generic, [0; 32]).unwrap_err();
    assert!(error.to_string().contains("trainer quantize"), "{error}");
}
