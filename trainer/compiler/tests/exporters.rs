//! What exporters write in many ways: constants, shapes that are computed, attributes that became operands, parts of
//! tensors.

mod support;

use support::file::{FLOAT, File, INT8, INT64, UINT8, constant, float, floats, int, ints, text};
use support::run_integers;
use teff_compiler::evaluate::Evaluator;
use teff_compiler::graph::{Graph, Op, Unary};
use teff_compiler::{onnx, passes};

fn import(file: &File) -> Graph {
    onnx::import(&file.finish()).unwrap_or_else(|e| panic!("{e}"))
}

fn refusal(file: &File) -> String {
    onnx::import(&file.finish()).map(|_| ()).unwrap_err().to_string()
}

/// The first output, in the order of the file.
fn run(file: &File, x: &[f32]) -> Vec<f32> {
    let graph = import(file);
    let mut evaluator = Evaluator::new(&graph).unwrap();
    evaluator.run(&[&graph.inputs[0].to_value(x)]).unwrap();
    graph.outputs[0].to_onnx(evaluator.output(0))
}

fn near(got: &[f32], wanted: &[f32], what: &str) {
    assert_eq!(got.len(), wanted.len(), "{what}");
    let close = got.iter().zip(wanted).all(|(a, b)| (a - b).abs() <= 1e-5 * b.abs().max(1.0));
    assert!(close, "{what}: {got:?}, not {wanted:?}");
}

/// `x` `[1, 2, 3, 4]` and `y`.
fn image(opset: i64) -> File {
    File::new(opset).input("x", FLOAT, &[-1, 2, 3, 4]).output("y")
}

fn ramp(len: usize) -> Vec<f32> {
    (0..len).map(|i| (i as f32 * 0.37).sin() * 2.0).collect()
}

#[test]
fn constants_of_every_form() {
    let x = ramp(24);
    let raw = 2.5f32.to_le_bytes();
    let forms = [
        (constant("value", FLOAT, &[], &raw), 2.5),
        (constant("value", FLOAT, &[1, 1], &raw), 2.5),
        (float("value_float", 2.5), 2.5),
        (floats("value_floats", &[2.5]), 2.5),
    ];
    for (attribute, number) in forms {
        let file =
            image(13).node("Constant", &[], &["c"], &[attribute]).node("Mul", &["x", "c"], &["y"], &[]);
        near(&run(&file, &x), &x.iter().map(|x| x * number).collect::<Vec<_>>(), "constant");
    }
    for attribute in [int("value_int", 24), ints("value_ints", &[24])] {
        let file = image(13)
            .node("Constant", &[], &["n"], &[attribute])
            .i64("shape", &[1])
            .node("Reshape", &["n", "shape"], &["n1"], &[])
            .node("Reshape", &["x", "n1"], &["y"], &[]);
        assert_eq!(import(&file).outputs[0].shape, [24]);
    }
    let text =
        refusal(&image(13).named("c", "Constant", &[], &["c"], &[]).node("Mul", &["x", "c"], &["y"], &[]));
    assert!(text.contains("node `c` (Constant)") && text.contains("no value"), "{text}");
}

#[test]
fn shapes_that_are_computed() {
    // x.view(x.size(0), -1) as the older exporter writes it.
    let flat = image(11)
        .node("Shape", &["x"], &["s"], &[])
        .node("Constant", &[], &["zero"], &[constant("value", INT64, &[], &[0; 8])])
        .node("Gather", &["s", "zero"], &["n"], &[int("axis", 0)])
        .node("Unsqueeze", &["n"], &["n1"], &[ints("axes", &[0])])
        .i64("rest", &[-1])
        .node("Concat", &["n1", "rest"], &["shape"], &[int("axis", 0)])
        .node("Reshape", &["x", "shape"], &["y"], &[]);
    assert_eq!(import(&flat).outputs[0].shape, [1, 24]);

    // Arithmetic of sizes: (h * w + 7 % 4 - 3) / 2 * 4 = 24, with casts and slices between.
    let computed = image(17)
        .node("Shape", &["x"], &["s"], &[])
        .i64("two", &[2])
        .i64("four", &[4])
        .i64("seven", &[7])
        .i64("last", &[i64::MAX])
        .i64("three", &[3])
        .node("Slice", &["s", "two", "last"], &["hw"], &[])
        .i64("i0", &[0])
        .i64("i1", &[1])
        .node("Gather", &["hw", "i0"], &["h"], &[])
        .node("Gather", &["hw", "i1"], &["w"], &[])
        .node("Mul", &["h", "w"], &["area"], &[])
        .node("Mod", &["seven", "four"], &["rest"], &[])
        .node("Add", &["area", "rest"], &["sum"], &[])
        .node("Sub", &["sum", "three"], &["difference"], &[])
        .node("Cast", &["difference"], &["real"], &[int("to", 1)])
        .node("Cast", &["real"], &["whole"], &[int("to", 7)])
        .node("Div", &["whole", "two"], &["half"], &[])
        .node("Max", &["half", "two"], &["most"], &[])
        .node("Mul", &["most", "four"], &["n"], &[])
        .node("Equal", &["n", "n"], &["same"], &[])
        .node("Where", &["same", "n", "i0"], &["chosen"], &[])
        .node("Expand", &["chosen", "i1"], &["wide"], &[])
        .node("Reshape", &["x", "wide"], &["y"], &[]);
    assert_eq!(import(&computed).outputs[0].shape, [24]);

    // Backwards, along an inner axis, and tiled.
    let odd = File::new(17)
        .input("x", FLOAT, &[1, 6])
        .output("y")
        .f32("k", &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
        .i64("from", &[i64::MAX])
        .i64("to", &[i64::MIN])
        .i64("axis", &[-1])
        .i64("back", &[-1])
        .node("Slice", &["k", "from", "to", "axis", "back"], &["reversed"], &[])
        .i64("column", &[1])
        .node("Gather", &["reversed", "column"], &["middle"], &[int("axis", 1)])
        .node("Concat", &["middle", "reversed"], &["joined"], &[int("axis", -1)])
        .i64("repeats", &[1, 2])
        .node("Tile", &["joined", "repeats"], &["tiled"], &[])
        .i64("row", &[0])
        .node("Gather", &["tiled", "row"], &["first"], &[])
        .i64("none", &[0])
        .i64("six", &[6])
        .node("Slice", &["first", "none", "six", "column"], &["six numbers"], &[])
        .node("Neg", &["six numbers"], &["negative"], &[])
        .node("Add", &["x", "negative"], &["y"], &[]);
    // Row 0: joined is [2, 3, 2, 1], tiled [2, 3, 2, 1, 2, 3, 2, 1].
    near(&run(&odd, &[0.0; 6]), &[-2.0, -3.0, -2.0, -1.0, -2.0, -3.0], "moved");

    let range = image(17)
        .tensor("start", INT64, &[], &2i64.to_le_bytes())
        .tensor("limit", INT64, &[], &5i64.to_le_bytes())
        .tensor("step", INT64, &[], &1i64.to_le_bytes())
        .node("Range", &["start", "limit", "step"], &["perm"], &[])
        .node("Reshape", &["x", "perm"], &["y"], &[]);
    assert_eq!(import(&range).outputs[0].shape, [2, 3, 4]);
}

#[test]
fn attributes_and_operands_of_each_version() {
    let x = ramp(24);
    let clipped: Vec<f32> = x.iter().map(|x| x.clamp(-1.0, 1.5)).collect();
    let old = image(10).node("Clip", &["x"], &["y"], &[float("min", -1.0), float("max", 1.5)]);
    near(&run(&old, &x), &clipped, "Clip 6");
    let limits = |file: File| file.f32("low", &[], &[-1.0]).f32("high", &[], &[1.5]);
    near(&run(&limits(image(13)).node("Clip", &["x", "low", "high"], &["y"], &[]), &x), &clipped, "Clip 13");
    let low: Vec<f32> = x.iter().map(|x| x.max(-1.0)).collect();
    near(&run(&limits(image(13)).node("Clip", &["x", "low", ""], &["y"], &[]), &x), &low, "Clip, one limit");
    near(&run(&limits(image(13)).node("Max", &["low", "x"], &["y"], &[]), &x), &low, "Max");

    let mean: Vec<f32> = x.chunks(12).map(|c| c.iter().sum::<f32>() / 12.0).collect();
    let old = image(17).node("ReduceMean", &["x"], &["y"], &[ints("axes", &[-1, 2]), int("keepdims", 0)]);
    near(&run(&old, &x), &mean, "ReduceMean 13");
    let new = image(18).i64("axes", &[2, 3]).node("ReduceMean", &["x", "axes"], &["y"], &[]);
    near(&run(&new, &x), &mean, "ReduceMean 18");
    let nothing = image(18).node("ReduceMean", &["x"], &["y"], &[int("noop_with_empty_axes", 1)]);
    near(&run(&nothing, &x), &x, "ReduceMean of no axes");

    let padded = |file: File| import(&file).outputs[0].shape.clone();
    let old = image(10).node("Pad", &["x"], &["y"], &[ints("pads", &[0, 0, 1, 0, 0, 0, 0, 2])]);
    assert_eq!(padded(old), [1, 2, 4, 6]);
    let new = image(18)
        .node("Constant", &[], &["p"], &[ints("value_ints", &[1, 0, 0, 2])])
        .f32("v", &[], &[0.5])
        .i64("axes", &[2, -1])
        .node("Pad", &["x", "p", "v", "axes"], &["y"], &[text("mode", "constant")]);
    assert_eq!(padded(new), [1, 2, 4, 6]);

    let sum: Vec<f32> = mean.iter().map(|m| 12.0 * m).collect();
    let old = image(12).node("ReduceSum", &["x"], &["y"], &[ints("axes", &[2, 3])]);
    near(&run(&old, &x), &sum, "ReduceSum 11");
    let new = image(18).i64("axes", &[2, 3]).node("ReduceSum", &["x", "axes"], &["y"], &[int("keepdims", 0)]);
    near(&run(&new, &x), &sum, "ReduceSum 13");
    let least: Vec<f32> = x.chunks(12).map(|c| c.iter().copied().fold(f32::MAX, f32::min)).collect();
    let file = image(13).node("ReduceMin", &["x"], &["y"], &[ints("axes", &[2, 3]), int("keepdims", 0)]);
    near(&run(&file, &x), &least, "ReduceMin");

    // Squeeze and Unsqueeze by attribute and by operand; Dropout and Identity between.
    let old = image(11)
        .node("Squeeze", &["x"], &["a"], &[ints("axes", &[0])])
        .node("Unsqueeze", &["a"], &["b"], &[ints("axes", &[0, 4])])
        .node("Dropout", &["b"], &["c"], &[float("ratio", 0.3)])
        .node("Identity", &["c"], &["y"], &[]);
    assert_eq!(import(&old).outputs[0].shape, [1, 2, 3, 4, 1]);
    let new = image(13).i64("first", &[0]).node("Squeeze", &["x", "first"], &["a"], &[]).node(
        "Unsqueeze",
        &["a", "first"],
        &["y"],
        &[],
    );
    near(&run(&new, &x), &x, "Squeeze 13");

    // Batch normalization of version 7 names its axis, that of version 14 its mode.
    let norm = |opset: i64, attribute: Vec<u8>| {
        image(opset)
            .f32("s", &[2], &[2.0, -1.0])
            .f32("b", &[2], &[0.5, 0.0])
            .f32("m", &[2], &[0.1, 0.2])
            .f32("v", &[2], &[4.0, 0.25])
            .named(
                "norm",
                "BatchNormalization",
                &["x", "s", "b", "m", "v"],
                &["y"],
                &[float("epsilon", 0.0), attribute],
            )
    };
    let wanted: Vec<f32> =
        (0..24).map(|i| if i < 12 { (x[i] - 0.1) / 2.0 * 2.0 + 0.5 } else { -(x[i] - 0.2) / 0.5 }).collect();
    near(&run(&norm(8, int("spatial", 1)), &x), &wanted, "BatchNormalization 7");
    near(&run(&norm(15, int("training_mode", 0)), &x), &wanted, "BatchNormalization 15");
    for (opset, attribute) in [(8, int("spatial", 0)), (15, int("training_mode", 1))] {
        let text = refusal(&norm(opset, attribute));
        assert!(text.contains("node `norm` (BatchNormalization)") && text.contains("eval mode"), "{text}");
    }
}

#[test]
fn operators_made_of_others() {
    let x = ramp(24);
    let slope = image(16).f32("s", &[2, 1, 1], &[0.1, -0.5]).node("PRelu", &["x", "s"], &["y"], &[]);
    let wanted = |i: usize| if x[i] >= 0.0 { x[i] } else { x[i] * [0.1, -0.5][i / 12] };
    near(&run(&slope, &x), &(0..24).map(wanted).collect::<Vec<_>>(), "PRelu");
    let one = image(16).f32("s", &[1], &[0.25]).node("PRelu", &["x", "s"], &["y"], &[]);
    near(&run(&one, &x), &x.iter().map(|&x| if x >= 0.0 { x } else { x / 4.0 }).collect::<Vec<_>>(), "PRelu");
    let sum = image(16).f32("k", &[], &[1.0]).node("Sum", &["x", "k", "x"], &["y"], &[]);
    near(&run(&sum, &x), &x.iter().map(|x| 2.0 * x + 1.0).collect::<Vec<_>>(), "Sum");
    let log = image(16).node("LogSoftmax", &["x"], &["y"], &[int("axis", -1)]);
    let wanted = x.chunks(4).flat_map(|row| {
        let sum = row.iter().map(|x| x.exp()).sum::<f32>().ln();
        row.iter().map(move |x| x - sum).collect::<Vec<_>>()
    });
    near(&run(&log, &x), &wanted.collect::<Vec<_>>(), "LogSoftmax");

    // x · sigmoid(a · x), as one operator and as three, and back through a file.
    let swish = image(24).node("Swish", &["x"], &["y"], &[float("alpha", 1.7)]);
    let three = image(13)
        .f32("a", &[], &[1.7])
        .node("Mul", &["x", "a"], &["ax"], &[])
        .node("Sigmoid", &["ax"], &["gate"], &[])
        .node("Mul", &["gate", "x"], &["y"], &[]);
    let wanted: Vec<f32> = x.iter().map(|x| x / (1.0 + (-1.7 * x).exp())).collect();
    for file in [swish, three] {
        near(&run(&file, &x), &wanted, "swish");
        let mut graph = import(&file);
        passes::simplify(&mut graph);
        assert_eq!(graph.nodes.len(), 1, "{graph}");
        let mut again = onnx::import(&onnx::export(&graph).unwrap()).unwrap();
        passes::simplify(&mut again);
        assert!(matches!(again.nodes[0].op, Op::Unary(Unary::Swish { alpha }) if alpha == 1.7), "{again}");
    }
}

#[test]
fn an_image_of_bytes_that_is_cast() {
    let file = File::new(17)
        .input("pixels", UINT8, &[-1, 2, 3, 1])
        .output("y")
        .node("Cast", &["pixels"], &["real"], &[int("to", 1)])
        .f32("k", &[], &[255.0])
        .node("Div", &["real", "k"], &["scaled"], &[])
        .node("Transpose", &["scaled"], &["y"], &[ints("perm", &[0, 3, 1, 2])]);
    near(&run(&file, &[0.0, 51.0, 102.0, 153.0, 204.0, 255.0]), &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0], "pixels");
    let notes = import(&file).notes;
    assert!(notes[0].contains("input `pixels` is uint8") && notes[0].contains("0 to 255"), "{notes:?}");
    // With a scale it is a quantized tensor, of which a cast makes no real numbers.
    let scaled = file
        .quant("q", UINT8, 0.1, 3)
        .node("DequantizeLinear", &["pixels", "q.s", "q.z"], &["dequantized"], &[])
        .output("dequantized");
    let text = refusal(&scaled);
    assert!(text.contains("(DequantizeLinear)") && text.contains("casts the integers"), "{text}");
}

/// Elements of `x` `[2, 3, 4]` at the places that `take` gives for each of those of `shape`.
fn picked(x: &[f32], shape: [usize; 3], take: impl Fn([usize; 3]) -> [usize; 3]) -> Vec<f32> {
    let mut picked = Vec::new();
    for a in 0..shape[0] {
        for b in 0..shape[1] {
            for c in 0..shape[2] {
                let [p, q, r] = take([a, b, c]);
                picked.push(x[(p * 3 + q) * 4 + r]);
            }
        }
    }
    picked
}

#[test]
fn parts_of_activations() {
    let x = ramp(24);
    let file = image(13)
        .i64("from", &[0, 1, -1])
        .i64("to", &[1, i64::MAX, 100])
        .i64("axes", &[1, 2, 3])
        .node("Slice", &["x", "from", "to", "axes"], &["y"], &[]);
    near(&run(&file, &x), &picked(&x, [1, 2, 1], |[_, b, _]| [0, b + 1, 3]), "Slice");
    let file = image(9).node(
        "Slice",
        &["x"],
        &["y"],
        &[ints("starts", &[1]), ints("ends", &[3]), ints("axes", &[3])],
    );
    near(&run(&file, &x), &picked(&x, [2, 3, 2], |[a, b, c]| [a, b, c + 1]), "Slice 9");
    let file = image(13).i64("from", &[1]).i64("to", &[4]).i64("axes", &[-1]).i64("two", &[2]).node(
        "Slice",
        &["x", "from", "to", "axes", "two"],
        &["y"],
        &[],
    );
    near(&run(&file, &x), &picked(&x, [2, 3, 2], |[a, b, c]| [a, b, 2 * c + 1]), "Slice by two");
    let file = image(13).tensor("last", INT64, &[], &(-1i64).to_le_bytes()).node(
        "Gather",
        &["x", "last"],
        &["y"],
        &[int("axis", 2)],
    );
    assert_eq!(import(&file).outputs[0].shape, [1, 2, 4]);
    near(&run(&file, &x), &picked(&x, [2, 1, 4], |[a, _, c]| [a, 2, c]), "Gather");
    let file = image(13).i64("rows", &[0, 2]).node("Gather", &["x", "rows"], &["y"], &[int("axis", 2)]);
    near(&run(&file, &x), &picked(&x, [2, 2, 4], |[a, b, c]| [a, 2 * b, c]), "Gather of two");

    // Split into channels and halves, and joined the other way round.
    let file = image(13)
        .node("Split", &["x"], &["a", "b"], &[int("axis", 1)])
        .i64("sizes", &[1, 3])
        .node("Split", &["a", "sizes"], &["", "c"], &[int("axis", 3)])
        .node("Split", &["b", "sizes"], &["", "d"], &[int("axis", 3)])
        .node("Concat", &["d", "c"], &["y"], &[int("axis", 1)]);
    near(&run(&file, &x), &picked(&x, [2, 3, 3], |[a, b, c]| [1 - a, b, c + 1]), "Split");

    // In integers a part is a copy, of integers as they are and between two roundings.
    let q: Vec<i32> = (0..24).map(|i| (i * 67) % 255 - 127).collect();
    let quantized = |dequantized: bool| {
        let file = File::new(13)
            .input("x", INT8, &[1, 2, 3, 4])
            .output("y")
            .quant("x", INT8, 0.37, -11)
            .i64("from", &[1])
            .i64("to", &[3])
            .i64("axes", &[2])
            .node("DequantizeLinear", &["x", "x.s", "x.z"], &["xr"], &[]);
        match dequantized {
            true => file.node("Slice", &["xr", "from", "to", "axes"], &["p"], &[]).node(
                "QuantizeLinear",
                &["p", "x.s", "x.z"],
                &["y"],
                &[],
            ),
            false => file.node("QuantizeLinear", &["xr", "x.s", "x.z"], &["xq"], &[]).node(
                "Slice",
                &["xq", "from", "to", "axes"],
                &["y"],
                &[],
            ),
        }
    };
    let wanted: Vec<i32> = (0..16).map(|i| q[i / 8 * 12 + 4 + i % 8]).collect();
    for dequantized in [true, false] {
        let (got, notes) = run_integers(&quantized(dequantized), &[&q]);
        assert_eq!(got, wanted);
        assert!(notes.iter().any(|n| n.contains("(Slice) takes a part")), "{notes:?}");
    }

    let gather =
        |list: &[i64]| image(13).i64("i", list).named("n", "Gather", &["x", "i"], &["y"], &[int("axis", 3)]);
    for list in [&[1, 0][..], &[0, 0], &[0, 1, 3]] {
        let text = refusal(&gather(list));
        assert!(text.contains("node `n` (Gather)") && text.contains("equal steps"), "{text}");
    }
    let text = refusal(&gather(&[4]));
    assert!(text.contains("node `n` (Gather)") && text.contains("of an axis of 4"), "{text}");
    let split = |sizes: &[i64]| {
        let file = image(13).i64("s", sizes).output("z");
        file.named("n", "Split", &["x", "s"], &["y", "z"], &[int("axis", 3)])
    };
    for sizes in [&[1, 2][..], &[4], &[i64::MAX, i64::MAX], &[-1, 5]] {
        let text = refusal(&split(sizes));
        assert!(text.contains("node `n` (Split)") && text.contains("an axis of 4"), "{text}");
    }
}
