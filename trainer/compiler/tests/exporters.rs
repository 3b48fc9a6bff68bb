//! What exporters write in many ways: constants, shapes that are computed, attributes that became operands, repeated
//! operands, and quantized weights that are moved.

mod support;

use support::file::{FLOAT, File, INT8, INT32, INT64, UINT8, constant, float, floats, int, ints, text};
use support::run_integers;
use teff_compiler::evaluate::Evaluator;
use teff_compiler::graph::{Graph, Op, Unary};
use teff_compiler::{Target, compile, onnx, passes};

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

/// An operand of shape `dims` and `[1, 2, 3, 4]`, both int8 inputs, combined and rounded.
fn combined(operator: &str, dims: &[i64], first: bool) -> File {
    let operands = if first { ["kr", "xr"] } else { ["xr", "kr"] };
    File::new(17)
        .input("x", INT8, &[1, 2, 3, 4])
        .input("k", INT8, dims)
        .output("y")
        .quant("x", INT8, 0.05, 3)
        .quant("k", INT8, 0.04, -7)
        .quant("y", INT8, 0.1, 1)
        .node("DequantizeLinear", &["x", "x.s", "x.z"], &["xr"], &[])
        .node("DequantizeLinear", &["k", "k.s", "k.z"], &["kr"], &[])
        .node(operator, &operands, &["yr"], &[])
        .node("QuantizeLinear", &["yr", "y.s", "y.z"], &["y"], &[])
}

#[test]
fn operands_are_repeated_in_integers() {
    let x: Vec<i32> = (0..24).map(|i| (i * 53) % 251 - 125).collect();
    let k: Vec<i32> = (0..24).map(|i| (i * 91 + 17) % 253 - 126).collect();
    for dims in
        [[1, 2, 3, 4], [1, 2, 1, 1], [1, 1, 3, 4], [1, 1, 3, 1], [1, 1, 1, 4], [1, 2, 3, 1], [1, 2, 1, 4]]
    {
        let len = dims.iter().product::<i64>() as usize;
        let at = |i: usize| {
            let place = [0, i / 12, i / 4 % 3, i % 4];
            (0..4).fold(0, |at, a| at * dims[a] as usize + if dims[a] == 1 { 0 } else { place[a] })
        };
        for operator in ["Add", "Sub", "Mul"] {
            for first in [false, true] {
                let file = combined(operator, &dims, first);
                let (got, _) = run_integers(&file, &[&x, &k[..len]]);
                for (i, got) in got.iter().enumerate() {
                    let (a, b) = (f64::from(x[i] - 3) * 0.05, f64::from(k[at(i)] + 7) * 0.04);
                    let real = match (operator, first) {
                        ("Add", _) => a + b,
                        ("Sub", false) => a - b,
                        ("Sub", true) => b - a,
                        _ => a * b,
                    };
                    let wanted = ((real / 0.1).round() as i32 + 1).clamp(-128, 127);
                    assert!(
                        (got - wanted).abs() <= 1,
                        "{operator} {dims:?} {first}: {i} is {got}, not {wanted}"
                    );
                }
            }
        }
    }
}

/// `y = x · W`, W int8 `[3, 4]` with a scale per row, moved about before it is read.
fn moved(nodes: impl Fn(File) -> File) -> File {
    let file = File::new(13)
        .input("x", INT8, &[1, 4])
        .output("y")
        .quant("x", INT8, 0.1, 2)
        .quant("y", INT8, 0.5, -4)
        .bytes("w", INT8, &[3, 4], &[1, -20, 3, 40, 50, 6, -70, 8, 90, -10, 11, 127])
        .f32("w.s", &[3], &[0.1, 0.2, 0.05])
        .tensor("w.z", INT8, &[3], &[0; 3])
        .i32("b", &[3], &[50, -70, 90])
        .f32("b.s", &[3], &[0.01, 0.02, 0.005])
        .node("DequantizeLinear", &["x", "x.s", "x.z"], &["xr"], &[])
        .node("DequantizeLinear", &["w", "w.s", "w.z"], &["wr"], &[int("axis", 0)])
        .node("DequantizeLinear", &["b", "b.s"], &["br"], &[int("axis", 0)]);
    nodes(file).node("QuantizeLinear", &["yr", "y.s", "y.z"], &["y"], &[])
}

#[test]
fn quantized_weights_keep_their_integers_where_they_are_moved() {
    let x = [5, -60, 77, 127];
    let w: [[i32; 4]; 3] = [[1, -20, 3, 40], [50, 6, -70, 8], [90, -10, 11, 127]];
    let wanted: Vec<i32> = (0..3)
        .map(|o| {
            let acc: i32 = (0..4).map(|i| (x[i] - 2) * w[o][i]).sum::<i32>() + [50, -70, 90][o];
            let real = f64::from(acc) * [0.01, 0.02, 0.005][o];
            ((real / 0.5).round() as i32 - 4).clamp(-128, 127)
        })
        .collect();
    let product =
        |file: File| file.node("MatMul", &["xr", "wt"], &["p"], &[]).node("Add", &["p", "br"], &["yr"], &[]);
    let shape = |file: File, name: &str, sizes: &[i64]| file.i64(name, sizes);
    let files = [
        moved(|f| product(f.node("Transpose", &["wr"], &["wt"], &[]))),
        moved(|f| {
            product(f.node("Identity", &["wr"], &["wi"], &[]).node(
                "Transpose",
                &["wi"],
                &["wt"],
                &[ints("perm", &[1, 0])],
            ))
        }),
        moved(|f| f.node("Gemm", &["xr", "wr", "br"], &["yr"], &[int("transB", 1)])),
        // As a convolution of 1 × 1: an axis is added, the input is seen as an image.
        moved(|f| {
            let f = shape(shape(f, "w4", &[3, 4, 1, 1]), "x4", &[1, 4, 1, 1]);
            f.node("Reshape", &["wr", "w4"], &["wc"], &[])
                .node("Reshape", &["xr", "x4"], &["xc"], &[])
                .node("Conv", &["xc", "wc", "br"], &["yc"], &[])
                .node("Flatten", &["yc"], &["yr"], &[])
        }),
        moved(|f| {
            let f = shape(shape(f, "axes", &[2]), "xa", &[1, 4, 1]);
            f.node("Unsqueeze", &["wr", "axes"], &["wc"], &[])
                .node("Reshape", &["xr", "xa"], &["xc"], &[])
                .node("Conv", &["xc", "wc", "br"], &["yc"], &[])
                .node("Squeeze", &["yc", "axes"], &["yr"], &[])
        }),
    ];
    for (i, file) in files.iter().enumerate() {
        let (got, notes) = run_integers(file, &[&x]);
        assert!(got.iter().zip(&wanted).all(|(a, b)| (a - b).abs() <= 1), "{i}: {got:?}, not {wanted:?}");
        assert!(notes.is_empty(), "{notes:?}");
    }
    let lost = moved(|f| {
        shape(f, "flat", &[12]).named("flat", "Reshape", &["wr", "flat"], &["wf"], &[]).node(
            "Add",
            &["xr", "wf"],
            &["yr"],
            &[],
        )
    });
    let text = refusal(&lost);
    assert!(text.contains("node `flat` (Reshape)") && text.contains("scales of `w`"), "{text}");
    let half = moved(|f| f.node("Gemm", &["xr", "wr"], &["yr"], &[int("transB", 1), float("alpha", 0.5)]));
    assert_eq!(run_integers(&half, &[&x]).0.len(), 3);
}

#[test]
fn functions_between_roundings_are_one_table() {
    let file = |middle: &str| {
        File::new(20)
            .input("x", INT8, &[1, 8])
            .output("y")
            .quant("x", INT8, 0.05, 3)
            .quant("y", INT8, 0.02, 0)
            .f32("half", &[], &[0.5])
            .node("DequantizeLinear", &["x", "x.s", "x.z"], &["xr"], &[])
            .named("inner", middle, &["xr"], &["a"], &[])
            .node("Mul", &["a", "half"], &["b"], &[])
            .node("Sigmoid", &["b"], &["c"], &[])
            .node("QuantizeLinear", &["c", "y.s", "y.z"], &["y"], &[])
    };
    let x: Vec<i32> = (0..8).map(|i| i * 30 - 110).collect();
    let (got, _) = run_integers(&file("Tanh"), &[&x]);
    for (x, y) in x.iter().zip(got) {
        let real = 1.0 / (1.0 + (-0.5 * (f64::from(x - 3) * f64::from(0.05f32)).tanh()).exp());
        assert_eq!(y, (real / f64::from(0.02f32)).round() as i32);
    }
    // What is not a function of one number runs in float there, and is named.
    let error = compile(&file("Softmax").finish(), Target::Generic).unwrap_err().to_string();
    assert!(error.contains("node `inner`") && error.contains("runs in float"), "{error}");
}

#[test]
fn types_that_are_not_held() {
    let weights = |kind: i64, raw: &[u8]| {
        image(21).tensor("w", kind, &[2], raw).node("DequantizeLinear", &["w", "w"], &["y"], &[])
    };
    for (kind, name) in [(5, "int16"), (4, "uint16"), (22, "int4"), (17, "float8e4m3fn")] {
        let text = refusal(&weights(kind, &[0; 4]));
        assert!(text.contains("value `w`") && text.contains(name) && text.contains("int8"), "{text}");
    }
    let node = |operator: &str, attributes: &[Vec<u8>]| {
        image(21).f32("s", &[], &[0.1]).named("q", operator, &["x", "s"], &["q"], attributes).node(
            "Identity",
            &["q"],
            &["y"],
            &[],
        )
    };
    let text = refusal(&node("QuantizeLinear", &[int("output_dtype", 5)]));
    assert!(text.contains("node `q` (QuantizeLinear)") && text.contains("only int8 and uint8"), "{text}");
    let text = refusal(&node("QuantizeLinear", &[int("block_size", 16)]));
    assert!(text.contains("node `q`") && text.contains("in blocks"), "{text}");
    let bias = image(13)
        .i32("b", &[2], &[1, 2])
        .f32("s", &[], &[0.1])
        .tensor("z", INT32, &[], &5i32.to_le_bytes())
        .f32("w", &[2, 2, 1, 1], &[1.0; 4])
        .node("DequantizeLinear", &["b", "s", "z"], &["br"], &[])
        .named("conv", "Conv", &["x", "w", "br"], &["y"], &[]);
    let text = refusal(&bias);
    assert!(text.contains("node `conv` (Conv)") && text.contains("`b` is int32 with a zero point"), "{text}");
}

#[test]
fn integers_that_are_only_moved() {
    // Pad, MaxPool, Concat and Transpose of plain integers, whose scale is said behind them.
    let file = File::new(13)
        .input("x", INT8, &[1, 1, 2, 3])
        .output("y")
        .quant("x", INT8, 0.5, -3)
        .quant("y", INT8, 1.0, 7)
        .i64("pads", &[0, 0, 0, 1, 0, 0, 0, 0])
        .bytes("v", INT8, &[], &[-100])
        .node("DequantizeLinear", &["x", "x.s", "x.z"], &["xr"], &[])
        .node("QuantizeLinear", &["xr", "x.s", "x.z"], &["xq"], &[])
        .node("Pad", &["xq", "pads", "v"], &["p"], &[])
        .node("MaxPool", &["p"], &["m"], &[ints("kernel_shape", &[1, 2])])
        .node("Concat", &["m", "x"], &["c"], &[int("axis", 1)])
        .node("Transpose", &["c"], &["t"], &[ints("perm", &[0, 2, 3, 1])])
        .node("DequantizeLinear", &["t", "x.s", "x.z"], &["tr"], &[])
        .node("QuantizeLinear", &["tr", "y.s", "y.z"], &["y"], &[]);
    let x = [1, -5, 20, -120, 127, 9];
    let wanted = |q: i32| (f64::from(q + 3) * 0.5).round_ties_even() as i32 + 7;
    let max = [1, 1, 20, -100, 127, 127];
    let (got, _) = run_integers(&file, &[&x]);
    for i in 0..6 {
        assert_eq!([got[2 * i], got[2 * i + 1]], [wanted(max[i]), wanted(x[i])], "{got:?}");
    }

    // Two scales that meet in one Concat.
    let mixed = File::new(13)
        .input("x", INT8, &[1, 2])
        .input("k", INT8, &[1, 2])
        .output("y")
        .quant("x", INT8, 0.5, -3)
        .quant("k", INT8, 0.25, 0)
        .node("DequantizeLinear", &["x", "x.s", "x.z"], &["a"], &[])
        .node("DequantizeLinear", &["k", "k.s", "k.z"], &["b"], &[])
        .named("join", "Concat", &["x", "k"], &["c"], &[int("axis", 1)])
        .node("DequantizeLinear", &["c", "x.s", "x.z"], &["y"], &[])
        .output("a")
        .output("b");
    let text = refusal(&mixed);
    assert!(text.contains("node `join` (Concat)") && text.contains("different scales"), "{text}");
}

#[test]
fn integers_read_with_another_scale() {
    let file = File::new(13)
        .input("x", INT8, &[1, 256])
        .output("y")
        .quant("x", INT8, 0.5, -3)
        .quant("k", INT8, 0.123, 40)
        .node("DequantizeLinear", &["x", "x.s", "x.z"], &["a"], &[])
        .node("QuantizeLinear", &["a", "x.s", "x.z"], &["q"], &[])
        .node("DequantizeLinear", &["q", "k.s", "k.z"], &["b"], &[])
        .node("QuantizeLinear", &["b", "k.s", "k.z"], &["y"], &[]);
    let x: Vec<i32> = (-128..128).collect();
    assert_eq!(run_integers(&file, &[&x]).0, x);
}

#[test]
fn batch_normalization_behind_quantized_weights() {
    let file = File::new(13)
        .input("x", INT8, &[1, 1, 1, 4])
        .output("y")
        .quant("x", INT8, 0.1, 0)
        .quant("y", INT8, 0.05, 3)
        .bytes("w", INT8, &[2, 1, 1, 2], &[50, -100, 127, 30])
        .quant("w", INT8, 0.01, 0)
        .i32("b", &[2], &[200, -100])
        .f32("b.s", &[], &[0.001])
        .f32("g", &[2], &[-2.0, 0.5])
        .f32("o", &[2], &[0.25, -1.0])
        .f32("m", &[2], &[0.1, 0.2])
        .f32("v", &[2], &[1.0, 4.0])
        .node("DequantizeLinear", &["x", "x.s", "x.z"], &["xr"], &[])
        .node("DequantizeLinear", &["w", "w.s", "w.z"], &["wr"], &[])
        .node("DequantizeLinear", &["b", "b.s"], &["br"], &[])
        .node("Conv", &["xr", "wr", "br"], &["c"], &[])
        .node("BatchNormalization", &["c", "g", "o", "m", "v"], &["n"], &[float("epsilon", 0.0)])
        .node("Relu", &["n"], &["r"], &[])
        .node("QuantizeLinear", &["r", "y.s", "y.z"], &["y"], &[]);
    let x = [10, -20, 35, 60];
    let (got, _) = run_integers(&file, &[&x]);
    let (w, b, g, o, m, v) =
        ([[50, -100], [127, 30]], [200, -100], [-2.0, 0.5], [0.25, -1.0], [0.1, 0.2], [1.0f64, 4.0]);
    for c in 0..2 {
        for i in 0..3 {
            let acc = x[i] * w[c][0] + x[i + 1] * w[c][1] + b[c];
            let real = (f64::from(acc) * 0.001 - m[c]) / v[c].sqrt() * g[c] + o[c];
            let wanted = ((real.max(0.0) / 0.05).round() as i32 + 3).clamp(-128, 127);
            assert!((got[3 * c + i] - wanted).abs() <= 1, "{got:?}: {c} {i} is {wanted}");
        }
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

#[test]
fn weights_that_are_quantized_in_the_file() {
    // As training with fake quantization leaves them: real weights, QuantizeLinear, DequantizeLinear.
    let file = File::new(13)
        .input("x", INT8, &[1, 2])
        .output("y")
        .quant("x", INT8, 0.1, 5)
        .quant("y", INT8, 0.2, -1)
        .f32("w", &[2, 3], &[0.5, -0.26, 3.0, 1.0, -1.28, 0.004])
        .f32("w.s", &[3], &[0.01, 0.01, 0.02])
        .tensor("w.z", INT8, &[3], &[0; 3])
        .node("DequantizeLinear", &["x", "x.s", "x.z"], &["xr"], &[])
        .node("QuantizeLinear", &["w", "w.s", "w.z"], &["wq"], &[int("axis", 1)])
        .node("DequantizeLinear", &["wq", "w.s", "w.z"], &["wr"], &[int("axis", 1)])
        .node("MatMul", &["xr", "wr"], &["yr"], &[])
        .node("QuantizeLinear", &["yr", "y.s", "y.z"], &["y"], &[]);
    // 3.0 / 0.02 saturates at 127, -1.28 / 0.01 at -128.
    let w = [[50, -26, 127], [100, -128, 0]];
    let x = [77, -60];
    let (got, _) = run_integers(&file, &[&x]);
    for o in 0..3 {
        let acc = (x[0] - 5) * w[0][o] + (x[1] - 5) * w[1][o];
        let real = f64::from(acc) * 0.1 * [0.01, 0.01, 0.02][o];
        let wanted = ((real / 0.2).round() as i32 - 1).clamp(-128, 127);
        assert!((got[o] - wanted).abs() <= 1, "{got:?}: {o} is {wanted}");
    }
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
