//! The QOperator dialect, case by case, against its definition in real numbers.

mod support;

use support::file::{File, INT8, UINT8, float, int, ints, text};
use support::run_integers;
use teff_compiler::{Target, compile};

/// Numbers that look arbitrary.
fn numbers(len: usize, least: i32, most: i32) -> Vec<i32> {
    let mut state = 77u32 + len as u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        least + (state >> 8) as i32 % (most - least + 1)
    };
    (0..len).map(next).collect()
}

/// Runs a file of one input.
fn run(file: &File, input: &[i32]) -> (Vec<i32>, Vec<String>) {
    run_integers(file, &[input])
}

/// Rounds to nearest and saturates.
fn quantize(real: f64, scale: f32, zero: i32, kind: i64) -> i32 {
    let (least, most) = if kind == UINT8 { (0, 255) } else { (-128, 127) };
    ((real / f64::from(scale)).round() as i32 + zero).clamp(least, most)
}

fn near(got: &[i32], wanted: &[i32], what: &str) {
    assert_eq!(got.len(), wanted.len(), "{what}");
    for (i, (a, b)) in got.iter().zip(wanted).enumerate() {
        assert!((a - b).abs() <= 1, "{what}: element {i} is {a}, not {b}");
    }
    assert!(wanted.iter().any(|w| *w != wanted[0]), "{what}: a constant proves nothing");
}

/// A convolution of `[1, c, 5, 6]`, 3 × 3, padded by one.
struct ConvCase {
    what: &'static str,
    x: (i64, i32),
    w: (i64, Vec<i32>),
    /// Range of the weights.
    range: (i32, i32),
    y: (i64, i32),
    groups: usize,
    costs: Option<&'static str>,
}

#[test]
fn convolutions_of_every_type() {
    let case = |what, x, w, range, y| ConvCase { what, x, w, range, y, groups: 1, costs: None };
    let cases = [
        case("int8", (INT8, 3), (INT8, vec![0]), (-127, 127), (INT8, -9)),
        case("uint8 by int8", (UINT8, 120), (INT8, vec![0; 4]), (-127, 127), (UINT8, 100)),
        case("uint8, zero point 128", (UINT8, 7), (UINT8, vec![128]), (1, 255), (INT8, 0)),
        case("near the middle", (UINT8, 7), (UINT8, vec![125]), (0, 252), (UINT8, 128)),
        ConvCase {
            costs: Some("twice"),
            ..case("uint8, zero point 90", (UINT8, 255), (UINT8, vec![90]), (0, 255), (UINT8, 128))
        },
        ConvCase {
            costs: Some("twice"),
            ..case("-128", (INT8, -128), (INT8, vec![0]), (-128, 127), (INT8, 0))
        },
        ConvCase {
            costs: Some("three times"),
            ..case("zero point 0", (UINT8, 0), (UINT8, vec![0]), (0, 255), (UINT8, 5))
        },
        ConvCase {
            costs: Some("twice"),
            ..case(
                "a zero point per channel",
                (INT8, 5),
                (INT8, vec![-100, 0, 60, 127]),
                (-127, 127),
                (INT8, 0),
            )
        },
        ConvCase { groups: 2, ..case("groups", (INT8, 3), (INT8, vec![0; 4]), (-127, 127), (INT8, 1)) },
        ConvCase { groups: 4, ..case("depthwise", (UINT8, 3), (INT8, vec![0; 4]), (-127, 127), (INT8, 1)) },
        ConvCase {
            groups: 4,
            costs: Some("twice"),
            ..case("depthwise, zero point 60", (UINT8, 3), (UINT8, vec![60]), (0, 255), (INT8, 1))
        },
    ];
    for case in &cases {
        convolution(case);
    }
}

fn convolution(case: &ConvCase) {
    let (c, h, w, out) = (4usize, 5usize, 6usize, 4usize);
    let group_in = c / case.groups;
    let per_channel = case.w.1.len() > 1;
    let scales: Vec<f32> = (0..if per_channel { out } else { 1 }).map(|o| 0.01 + 0.002 * o as f32).collect();
    let mut weights = numbers(out * group_in * 9, case.range.0, case.range.1);
    (weights[0], weights[1]) = case.range;
    let bias = numbers(out, -500, 500);
    // Weights that are all positive give larger sums.
    let (sx, sy) = (0.05f32, if case.range.0 == 0 && case.w.1 == [0] { 3.0f32 } else { 0.2 });
    let (low, high) = if case.x.0 == UINT8 { (0, 255) } else { (-128, 127) };
    let x = numbers(c * h * w, low, high);
    let dims: &[i64] = if per_channel { &[4] } else { &[] };
    let file = File::new(13)
        .input("x", case.x.0, &[1, c as i64, h as i64, w as i64])
        .output("y")
        .quant("x", case.x.0, sx, case.x.1)
        .quant("y", case.y.0, sy, case.y.1)
        .f32("w.s", dims, &scales)
        .bytes("w.z", case.w.0, dims, &case.w.1)
        .bytes("w", case.w.0, &[out as i64, group_in as i64, 3, 3], &weights)
        .i32("b", &[4], &bias)
        .named(
            "conv",
            "QLinearConv",
            &["x", "x.s", "x.z", "w", "w.s", "w.z", "y.s", "y.z", "b"],
            &["y"],
            &[ints("pads", &[1, 1, 1, 1]), int("group", case.groups as i64), ints("kernel_shape", &[3, 3])],
        );
    let at = |list: &[i32], o: usize| list[if list.len() > 1 { o } else { 0 }];
    let mut wanted = Vec::new();
    for o in 0..out {
        let scale = f64::from(sx) * f64::from(scales[if per_channel { o } else { 0 }]);
        for y in 0..h as i32 {
            for z in 0..w as i32 {
                let mut acc = i64::from(bias[o]);
                for i in 0..group_in {
                    let channel = o / (out / case.groups) * group_in + i;
                    for ky in 0..3i32 {
                        for kx in 0..3i32 {
                            let (iy, ix) = (y + ky - 1, z + kx - 1);
                            if (0..h as i32).contains(&iy) && (0..w as i32).contains(&ix) {
                                let q = x[(channel * h + iy as usize) * w + ix as usize] - case.x.1;
                                let k = weights[((o * group_in + i) * 3 + ky as usize) * 3 + kx as usize];
                                acc += i64::from(q) * i64::from(k - at(&case.w.1, o));
                            }
                        }
                    }
                }
                wanted.push(quantize(acc as f64 * scale, sy, case.y.1, case.y.0));
            }
        }
    }
    let (got, notes) = run(&file, &x);
    near(&got, &wanted, case.what);
    match case.costs {
        None => assert!(notes.is_empty(), "{}: {notes:?}", case.what),
        Some(times) => assert!(
            notes.iter().any(|n| n.contains("`conv`") && n.contains(times) && n.contains("`w`")),
            "{}: {notes:?}",
            case.what
        ),
    }
}

#[test]
fn matrix_products() {
    // y = alpha · A · B + C, B as it stands or transposed, one scale or one per output.
    let (k, n) = (7usize, 3usize);
    for (transposed, per_channel, alpha, wide) in [
        (false, false, 1.0, false),
        (true, false, 0.5, true),
        (true, true, 2.0, false),
        (false, true, 1.0, true),
    ] {
        let scales: Vec<f32> = (0..if per_channel { n } else { 1 }).map(|o| 0.02 + 0.01 * o as f32).collect();
        let zero = if wide { 70 } else { 128 };
        let b = numbers(k * n, 1, 255);
        let c = numbers(n, -900, 900);
        let x = numbers(k, 0, 255);
        let dims: &[i64] = if per_channel { &[3] } else { &[1] };
        let shape = if transposed { [n as i64, k as i64] } else { [k as i64, n as i64] };
        let file = File::new(17)
            .input("x", UINT8, &[1, k as i64])
            .output("y")
            .quant("x", UINT8, 0.1, 99)
            .quant("y", UINT8, 0.9, 77)
            .f32("w.s", dims, &scales)
            .bytes("w.z", UINT8, dims, &vec![zero; scales.len()])
            .bytes("w", UINT8, &shape, &b)
            .i32("c", &[3], &c)
            .node(
                "com.microsoft::QGemm",
                &["x", "x.s", "x.z", "w", "w.s", "w.z", "c", "y.s", "y.z"],
                &["y"],
                &[float("alpha", alpha), int("transB", transposed.into()), int("transA", 0)],
            );
        let wanted: Vec<i32> = (0..n)
            .map(|o| {
                let weight = |i: usize| if transposed { b[o * k + i] } else { b[i * n + o] };
                let acc: i32 = (0..k).map(|i| (x[i] - 99) * (weight(i) - zero)).sum::<i32>() + c[o];
                let scale = f64::from(scales[if per_channel { o } else { 0 }]) * f64::from(0.1f32);
                quantize(f64::from(acc) * scale * f64::from(alpha), 0.9, 77, UINT8)
            })
            .collect();
        near(&run(&file, &x).0, &wanted, "QGemm");
        if transposed || alpha != 1.0 {
            continue;
        }
        let file = File::new(10)
            .input("x", UINT8, &[-1, k as i64])
            .output("y")
            .quant("x", UINT8, 0.1, 99)
            .quant("y", INT8, 0.9, 7)
            .f32("w.s", dims, &scales)
            .bytes("w.z", UINT8, dims, &vec![zero; scales.len()])
            .bytes("w", UINT8, &shape, &b)
            .node("QLinearMatMul", &["x", "x.s", "x.z", "w", "w.s", "w.z", "y.s", "y.z"], &["y"], &[]);
        let wanted: Vec<i32> = (0..n)
            .map(|o| {
                let acc: i32 = (0..k).map(|i| (x[i] - 99) * (b[i * n + o] - zero)).sum();
                let scale = f64::from(scales[if per_channel { o } else { 0 }]) * f64::from(0.1f32);
                quantize(f64::from(acc) * scale, 0.9, 7, INT8)
            })
            .collect();
        near(&run(&file, &x).0, &wanted, "QLinearMatMul");
    }
}

/// A file of one operator on `x` `[1, 2, 4, 6]`, uint8, scale 0.05 and zero point 100, that gives `y`
/// with scale 0.04 and zero point 90.
fn one(operator: &str, inputs: &[&str], attributes: &[Vec<u8>]) -> File {
    File::new(17)
        .input("x", UINT8, &[1, 2, 4, 6])
        .output("y")
        .quant("x", UINT8, 0.05, 100)
        .quant("y", UINT8, 0.04, 90)
        .node(operator, inputs, &["y"], attributes)
}

fn real(x: &[i32]) -> Vec<f64> {
    x.iter().map(|q| f64::from(q - 100) * f64::from(0.05f32)).collect()
}

fn rounded(reals: impl IntoIterator<Item = f64>) -> Vec<i32> {
    reals.into_iter().map(|r| quantize(r, 0.04, 90, UINT8)).collect()
}

#[test]
fn functions_and_softmax() {
    const UNARY: [&str; 5] = ["x", "x.s", "x.z", "y.s", "y.z"];
    let x = numbers(48, 0, 255);
    let sigmoid = one("com.microsoft::QLinearSigmoid", &UNARY, &[]);
    near(&run(&sigmoid, &x).0, &rounded(real(&x).iter().map(|x| 1.0 / (1.0 + (-x).exp()))), "sigmoid");
    let leaky = one("com.microsoft::QLinearLeakyRelu", &UNARY, &[float("alpha", 0.3)]);
    let wanted = rounded(real(&x).iter().map(|&x| if x < 0.0 { 0.3 * x } else { x }));
    near(&run(&leaky, &x).0, &wanted, "leaky");

    // Along the last axis; before version 13 along all from axis 1 on.
    for (version, axis, len) in [(13, -1, 6), (13, 1, 2), (12, 1, 48), (11, 3, 6)] {
        let attributes = [int("axis", axis), int("opset", version)];
        let file = File::new(17)
            .input("x", UINT8, &[1, 2, 4, 6])
            .output("y")
            .quant("x", UINT8, 0.05, 100)
            .quant("y", UINT8, 1.0 / 256.0, 0)
            .node("com.microsoft::QLinearSoftmax", &UNARY, &["y"], &attributes);
        let x = numbers(48, 60, 140);
        let reals = real(&x);
        let stride = if len == 2 { 24 } else { 1 };
        let wanted: Vec<i32> = (0..48)
            .map(|i| {
                let start = if stride == 24 { i % 24 } else { i / len * len };
                let sum: f64 = (0..len).map(|j| reals[start + j * stride].exp()).sum();
                quantize(reals[i].exp() / sum, 1.0 / 256.0, 0, UINT8)
            })
            .collect();
        near(&run(&file, &x).0, &wanted, &format!("softmax {version} {axis}"));
    }
}

#[test]
fn sums_products_and_concatenation() {
    const BINARY: [&str; 8] = ["x", "x.s", "x.z", "k", "k.s", "k.z", "y.s", "y.z"];
    let x = numbers(48, 0, 255);
    // The second operand is a constant of the whole shape, per channel, or one number.
    for (dims, len) in [(&[1i64, 2, 4, 6][..], 48), (&[1, 2, 1, 1], 2), (&[], 1), (&[6], 6), (&[4, 1], 4)] {
        let k = numbers(len, -120, 120);
        let at = |i: usize| match len {
            48 => k[i],
            2 => k[i / 24],
            6 => k[i % 6],
            4 => k[i / 6 % 4],
            _ => k[0],
        };
        for operator in ["com.microsoft::QLinearAdd", "com.microsoft::QLinearMul"] {
            let file = one(operator, &BINARY, &[]).quant("k", INT8, 0.03, -5).bytes("k", INT8, dims, &k);
            let wanted = rounded(real(&x).iter().enumerate().map(|(i, &x)| {
                let k = f64::from(at(i) + 5) * f64::from(0.03f32);
                if operator.ends_with("Add") { x + k } else { x * k }
            }));
            near(&run(&file, &x).0, &wanted, &format!("{operator} {dims:?}"));
        }
    }
    let twice = ["x", "x.s", "x.z", "x", "x.s", "x.z", "y.s", "y.z"];
    let wanted = rounded(real(&x).iter().map(|x| x + x));
    near(&run(&one("com.microsoft::QLinearAdd", &twice, &[]), &x).0, &wanted, "x + x");

    let parts = ["y.s", "y.z", "x", "x.s", "x.z", "x", "x.s", "x.z"];
    let file = one("com.microsoft::QLinearConcat", &parts, &[int("axis", 1)]);
    let once = rounded(real(&x));
    near(&run(&file, &x).0, &[once.clone(), once].concat(), "concat");
}

#[test]
fn means() {
    const UNARY: [&str; 5] = ["x", "x.s", "x.z", "y.s", "y.z"];
    let x = numbers(48, 0, 255);
    let r = real(&x);
    let channel = |c: usize| r[c * 24..(c + 1) * 24].iter().sum::<f64>() / 24.0;
    let wanted = rounded([channel(0), channel(1)]);
    near(&run(&one("com.microsoft::QLinearGlobalAveragePool", &UNARY, &[]), &x).0, &wanted, "global");
    let file = one("com.microsoft::QLinearReduceMean", &UNARY, &[ints("axes", &[2, 3]), int("keepdims", 0)]);
    near(&run(&file, &x).0, &wanted, "reduce");
    // [1, 2, 4, 6] taken as h = 2, w = 4, c = 6.
    let last = one("com.microsoft::QLinearGlobalAveragePool", &UNARY, &[int("channels_last", 1)]);
    let wanted = rounded((0..6).map(|c| (0..8).map(|i| r[i * 6 + c]).sum::<f64>() / 8.0));
    near(&run(&last, &x).0, &wanted, "global, channels last");

    let window = [ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])];
    let file = one("com.microsoft::QLinearAveragePool", &UNARY, &window);
    let mean = |c: usize, y: usize, z: usize| {
        let at = |dy: usize, dz: usize| r[c * 24 + (2 * y + dy) * 6 + 2 * z + dz];
        (at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1)) / 4.0
    };
    let wanted: Vec<f64> = (0..12).map(|i| mean(i / 6, i / 3 % 2, i % 3)).collect();
    near(&run(&file, &x).0, &rounded(wanted), "average");
    let with = |more: Vec<u8>| [window.to_vec(), vec![more]].concat();
    let last = one("com.microsoft::QLinearAveragePool", &UNARY, &with(int("channels_last", 1)));
    let wanted = (0..12).map(|i| {
        let (z, c) = (i / 6, i % 6);
        let at = |dy: usize, dz: usize| r[dy * 24 + (2 * z + dz) * 6 + c];
        (at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1)) / 4.0
    });
    near(&run(&last, &x).0, &rounded(wanted), "average, channels last");
    let padded = [with(ints("pads", &[0, 1, 0, 1])), vec![int("count_include_pad", 1)]].concat();
    assert_eq!(run(&one("com.microsoft::QLinearAveragePool", &UNARY, &padded), &x).0.len(), 16);
}

#[test]
fn what_cannot_be_done_is_named() {
    let refused = |file: File, wanted: &[&str]| {
        let text = compile(&file.finish(), Target::Generic).unwrap_err().to_string();
        for part in wanted {
            assert!(text.contains(part), "{text}");
        }
    };
    let gemm = |alpha: f32, inputs: &[&str]| {
        File::new(17)
            .input("x", INT8, &[1, 2])
            .output("y")
            .quant("x", INT8, 0.1, 0)
            .quant("w", INT8, 0.1, 0)
            .bytes("w", INT8, &[2, 2], &[1, 2, 3, 4])
            .f32("c", &[2], &[1.0, 2.0])
            .named("dense", "com.microsoft::QGemm", inputs, &["y"], &[float("alpha", alpha)])
    };
    let plain = ["x", "x.s", "x.z", "w", "w.s", "w.z", "", "x.s", "x.z"];
    refused(gemm(-1.0, &plain), &["node `dense` (QGemm)", "`alpha` is -1", "positive"]);
    refused(gemm(1.0, &plain[..6]), &["node `dense`", "runs in float", "`y`"]);
    let with_bias = ["x", "x.s", "x.z", "w", "w.s", "w.z", "c", "x.s", "x.z"];
    refused(gemm(1.0, &with_bias), &["`dense`", "bias is float, not int32"]);
    refused(
        one("com.microsoft::QLinearSoftmax", &["x", "x.s", "x.z", "y.s", "y.z"], &[]),
        &["`y`", "`opset` is missing"],
    );
    refused(
        one(
            "com.microsoft::QLinearAveragePool",
            &["x", "x.s", "x.z", "y.s", "y.z"],
            &[text("auto_pad", "NO")],
        ),
        &["(QLinearAveragePool)", "kernel_shape"],
    );
    refused(
        one("com.microsoft::QLinearWhere", &["x", "x.s", "x.z"], &[]),
        &["(QLinearWhere)", "not supported"],
    );
    refused(
        one("QLinearConv", &["x", "x.s", "x.z"], &[]),
        &["node `y` (QLinearConv)", "operand 3 is missing"],
    );
}
