//! `ConvInteger`, `MatMulInteger` and `DynamicQuantizeLinear`, written out as exporters write them.

mod support;

use support::file::{FLOAT, File, INT8, UINT8, int, ints};
use teff::{ModelFile, Session};
use teff_compiler::evaluate::Evaluator;
use teff_compiler::{Target, compile, onnx};

const W: [i32; 12] = [3, -7, 11, 2, 0, -5, 9, 1, 4, -128, 127, 6];

fn refusal(file: &File) -> String {
    compile(&file.finish(), Target::Generic).map(|_| ()).unwrap_err().to_string()
}

/// The outputs of the float evaluator.
fn evaluated(file: &File, x: &[f32]) -> Vec<f32> {
    let graph = onnx::import(&file.finish()).unwrap();
    let mut evaluator = Evaluator::new(&graph).unwrap();
    evaluator.run(&[&graph.inputs[0].to_value(x)]).unwrap();
    graph.outputs[0].to_onnx(evaluator.output(0))
}

fn near(got: &[f32], wanted: &[f32], limit: f32) {
    assert_eq!(got.len(), wanted.len());
    assert!(got.iter().zip(wanted).all(|(a, b)| (a - b).abs() <= limit), "{got:?} {wanted:?}");
}

/// `x` `[1, 4]` times `w` `[4, 3]`, with scales as given.
fn product(scale: &[f32], zero_points: &[i32], x: &[f32]) -> Vec<f32> {
    let at = |list: &[f32], o: usize| list[if list.len() > 1 { o } else { 0 }];
    let zero = |o: usize| zero_points[if zero_points.len() > 1 { o } else { 0 }];
    (0..3).map(|o| (0..4).map(|i| x[i] * (W[i * 3 + o] - zero(o)) as f32 * at(scale, o)).sum()).collect()
}

/// Dynamic quantization of a product as ONNX Runtime writes it, the two factors of its scale in
/// either order.
fn dynamic(scale: &[f32], zero_points: &[i32], apart: bool) -> File {
    let dims: &[i64] = if scale.len() > 1 { &[3] } else { &[] };
    let zeros: &[i64] = if zero_points.len() > 1 { &[3] } else { &[] };
    let file = File::new(13)
        .input("x", FLOAT, &[-1, 4])
        .output("y")
        .bytes("w", INT8, &[4, 3], &W)
        .bytes("w.z", INT8, zeros, zero_points)
        .f32("w.s", dims, scale)
        .f32("b", &[3], &[0.5, -1.0, 2.0])
        .node("DynamicQuantizeLinear", &["x"], &["q", "s", "z"], &[])
        .node("MatMulInteger", &["q", "w", "z", "w.z"], &["sums"], &[])
        .node("Cast", &["sums"], &["real"], &[int("to", 1)]);
    let file = if apart {
        file.node("Mul", &["real", "s"], &["half"], &[]).node("Mul", &["half", "w.s"], &["scaled"], &[])
    } else {
        file.node("Mul", &["s", "w.s"], &["both"], &[]).node("Mul", &["real", "both"], &["scaled"], &[])
    };
    file.node("Add", &["scaled", "b"], &["y"], &[])
}

#[test]
fn dynamic_scales_give_a_float_model() {
    let x = [0.5, -1.25, 2.0, 0.75];
    for (scale, zeros, apart) in [
        (&[0.1f32][..], &[0][..], false),
        (&[0.1], &[0], true),
        (&[0.1, 0.2, 0.05], &[0], false),
        (&[0.1, 0.2, 0.05], &[3, -100, 7], true),
    ] {
        let file = dynamic(scale, zeros, apart);
        let mut wanted = product(scale, zeros, &x);
        wanted.iter_mut().zip([0.5, -1.0, 2.0]).for_each(|(y, b)| *y += b);
        near(&evaluated(&file, &x), &wanted, 1e-4);
        let graph = onnx::import(&file.finish()).unwrap();
        assert!(
            graph.notes.iter().any(|n| n.contains("trainer quantize FILE --calibrate")),
            "{:?}",
            graph.notes
        );
        let text = refusal(&file);
        assert!(text.contains("DynamicQuantizeLinear") && text.contains("--calibrate X.npz"), "{text}");
    }
}

#[test]
fn fixed_scales_run_in_integers() {
    // x is quantized with a scale of 0.5 and the zero point -3, the sums are scaled by 0.5 · w.s.
    let scale = [0.02f32, 0.03, 0.04];
    let both = scale.map(|s| s * 0.5);
    let file = File::new(13)
        .input("x", FLOAT, &[1, 4])
        .output("y")
        .quant("x", INT8, 0.5, -3)
        .quant("y", INT8, 0.5, 4)
        .bytes("w", INT8, &[4, 3], &W)
        .f32("both", &[1, 3], &both)
        .f32("b", &[3], &[0.5, -1.0, 2.0])
        .node("QuantizeLinear", &["x", "x.s", "x.z"], &["q"], &[])
        .node("MatMulInteger", &["q", "w", "x.z"], &["sums"], &[])
        .node("Cast", &["sums"], &["real"], &[int("to", 1)])
        .node("Mul", &["both", "real"], &["scaled"], &[])
        .node("Add", &["b", "scaled"], &["sum"], &[])
        .node("QuantizeLinear", &["sum", "y.s", "y.z"], &["r"], &[])
        .node("DequantizeLinear", &["r", "y.s", "y.z"], &["y"], &[]);
    let x = [1.5, -4.0, 2.0, 8.5];
    let mut wanted = product(&scale, &[0], &x);
    wanted.iter_mut().zip([0.5, -1.0, 2.0]).for_each(|(y, b)| *y += b);
    let compiled = compile(&file.finish(), Target::Generic).unwrap();
    let model = ModelFile::from_bytes(&compiled.plan).unwrap();
    let mut arena = model.arena();
    let mut session = Session::from_model(model.model(), arena.as_mut_slice()).unwrap();
    let quant = session.input_quant(0).unwrap();
    for (q, x) in session.input_mut(0).iter_mut().zip(x) {
        *q = quant.quantize(x);
    }
    session.invoke();
    let got: Vec<f32> = session.output(0).values.iter().map(|&q| 0.5 * (f32::from(q) - 4.0)).collect();
    near(&got, &wanted, 0.26);
    // A weight of -128 is two summands.
    assert!(
        compiled.report.notes.iter().any(|n| n.contains("`w` go to 128 steps")),
        "{:?}",
        compiled.report.notes
    );
}

/// A convolution of uint8 inputs that nothing gives a scale.
fn convolution(more: &[&str], operators: &[(&str, &[&str], &str)]) -> File {
    let inputs: Vec<&str> = ["x", "w"].into_iter().chain(more.iter().copied()).collect();
    let mut file = File::new(13)
        .input("x", UINT8, &[1, 2, 3, 3])
        .output("y")
        .quant("y", UINT8, 1.0, 10)
        .bytes("x.z", UINT8, &[], &[5])
        .bytes("w", UINT8, &[2, 2, 1, 1], &[130, 127, 128, 120])
        .bytes("w.z", UINT8, &[2], &[128, 125])
        .f32("s", &[2, 1, 1], &[0.25, 0.5])
        .f32("wrong", &[3], &[1.0; 3])
        .f32("negative", &[], &[-1.0])
        .named("conv", "ConvInteger", &inputs, &["sums"], &[ints("kernel_shape", &[1, 1])])
        .named("cast", "Cast", &["sums"], &["real"], &[int("to", 1)]);
    for (operator, inputs, output) in operators {
        file = file.node(operator, inputs, &[output], &[]);
    }
    file
}

#[test]
fn convolutions_of_plain_integers() {
    let scaled: [(&str, &[&str], &str); 2] =
        [("Mul", &["real", "s"], "scaled"), ("QuantizeLinear", &["scaled", "y.s", "y.z"], "y")];
    let file = convolution(&["x.z", "w.z"], &scaled);
    let compiled = compile(&file.finish(), Target::Generic).unwrap();
    let graph = onnx::import(&file.finish()).unwrap();
    let model = ModelFile::from_bytes(&compiled.plan).unwrap();
    let mut arena = model.arena();
    let mut session = Session::from_model(model.model(), arena.as_mut_slice()).unwrap();
    let x: Vec<i32> = (0..18).map(|i| i * 13 % 97).collect();
    let values: Vec<i8> = x.iter().map(|x| (x - 128) as i8).collect();
    session.input_mut(0).copy_from_slice(&graph.inputs[0].to_value(&values));
    session.invoke();
    let got = graph.outputs[0].to_onnx(session.output(0).values);
    for (i, q) in got.iter().enumerate() {
        let (o, at) = (i / 9, i % 9);
        let w = [[2, -1], [3, -5]][o];
        let acc = (x[at] - 5) * w[0] + (x[9 + at] - 5) * w[1];
        let real = f64::from(acc) * [0.25, 0.5][o];
        let wanted = (real.round() as i32 + 10).clamp(0, 255);
        assert!((i32::from(*q) + 128 - wanted).abs() <= 1, "{i}: {q} {wanted}");
    }

    let text = refusal(&convolution(&["y.z", "w.z"], &[("Mul", &["real", "wrong"], "y")]));
    assert!(text.contains("node `y` (Mul)") && text.contains("not one per output channel"), "{text}");
    let text = refusal(&convolution(&["x.z", "w.z"], &[("Mul", &["real", "negative"], "y")]));
    assert!(text.contains("its scale is -1"), "{text}");
    let text = refusal(&convolution(&["x.z", "w.z"], &[("Add", &["real", "s"], "y")]));
    assert!(text.contains("(Add)") && text.contains("int32 sums that have not been scaled"), "{text}");
    let text = refusal(&convolution(&["x.z", "w.z"], &[("Identity", &["sums"], "y")]));
    assert!(text.contains("value `y`") && text.contains("int32 sums"), "{text}");
    let text = refusal(&convolution(&["w.z"], &[("Identity", &["sums"], "y")]));
    assert!(text.contains("node `conv` (ConvInteger)") && text.contains("zero point"), "{text}");
}

#[test]
fn mixed_up_scales_are_named() {
    let file = dynamic(&[0.1], &[0], false);
    let twice = File::new(13)
        .input("x", FLOAT, &[1, 4])
        .output("y")
        .bytes("w", INT8, &[4, 3], &W)
        .node("Relu", &["x"], &["x2"], &[])
        .node("DynamicQuantizeLinear", &["x"], &["q", "s", "z"], &[])
        .node("DynamicQuantizeLinear", &["x2"], &["q2", "s2", "z2"], &[]);
    let cast = |file: File, z: &str| {
        file.named("product", "MatMulInteger", &["q", "w", z], &["sums"], &[])
            .node("Cast", &["sums"], &["real"], &[int("to", 1)])
            .named("scale", "Mul", &["real", "s2"], &["y"], &[])
    };
    let text = refusal(&cast(twice.clone(), "z2"));
    assert!(
        text.contains("node `product` (MatMulInteger)") && text.contains("zero point is not that"),
        "{text}"
    );
    let text = refusal(&cast(twice, "z"));
    assert!(text.contains("node `scale` (Mul)") && text.contains("not the scale of the sums"), "{text}");
    let text = refusal(&file.node("Relu", &["q"], &["r"], &[]).raw(12, &support::file::field(1, b"r")));
    assert!(text.contains("(Relu)") && text.contains("scale is computed while the model runs"), "{text}");
}
