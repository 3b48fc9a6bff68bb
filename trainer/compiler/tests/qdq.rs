//! The QDQ form in its variants: repeated operands, weights that are moved, chains of functions, and integers that no
//! DequantizeLinear stands before.

mod support;

use support::file::{FLOAT, File, INT8, INT32, float, int, ints};
use support::run_integers;
use teff_compiler::{Target, compile, onnx};

fn refusal(file: &File) -> String {
    onnx::import(&file.finish()).map(|_| ()).unwrap_err().to_string()
}

/// `x` `[1, 2, 3, 4]` and `y`.
fn image(opset: i64) -> File {
    File::new(opset).input("x", FLOAT, &[-1, 2, 3, 4]).output("y")
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
