//! Operators of TensorFlow Lite files, each with known numbers.

#[path = "support/tflite_file.rs"]
mod tflite_file;

use teff::{ModelFile, Session};
use teff_compiler::evaluate::Evaluator;
use teff_compiler::graph::Graph;
use teff_compiler::{Target, compile, import, onnx};
use tflite_file::{F16, Field, File, I8, I32, Table, U8};

/// Pseudo-random numbers between -1 and 1.
fn noise(len: usize) -> Vec<f32> {
    let mut state = 99u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    (0..len).map(next).collect()
}

/// The outputs of a float model, in the order of the file's tensors.
fn evaluate(graph: &Graph, x: &[f32]) -> Vec<f32> {
    let mut evaluator = Evaluator::new(graph).unwrap();
    evaluator.run(&[&graph.inputs[0].to_value(x)]).unwrap();
    graph.outputs[0].to_onnx(evaluator.output(0))
}

fn run(file: &File, x: &[f32]) -> (Vec<usize>, Vec<f32>) {
    let graph = import(&file.write()).unwrap_or_else(|e| panic!("{e}"));
    (graph.outputs[0].shape.clone(), evaluate(&graph, x))
}

fn near(got: &[f32], wanted: &[f32]) {
    assert_eq!(got.len(), wanted.len(), "{got:?} for {wanted:?}");
    for (a, b) in got.iter().zip(wanted) {
        assert!((a - b).abs() < 1e-5, "{got:?} for {wanted:?}");
    }
}

/// The outputs of the compiled model for int8 inputs.
fn integers(bytes: &[u8], q: &[i8]) -> Vec<i8> {
    let graph = import(bytes).unwrap_or_else(|e| panic!("{e}"));
    let compiled = compile(bytes, Target::Generic).unwrap_or_else(|e| panic!("{e}"));
    let file = ModelFile::from_bytes(&compiled.plan).unwrap();
    let mut arena = file.arena();
    let mut session = Session::from_model(file.model(), arena.as_mut_slice()).unwrap();
    session.input_mut(0).copy_from_slice(&graph.inputs[0].to_value(q));
    session.invoke();
    graph.outputs[0].to_onnx(session.output(0).values)
}

const RELU: Field = Field::Byte(1);

/// Options with padding, strides and the like.
fn conv_options(valid: bool, stride: i32, dilation: i32) -> (u8, Table) {
    let table = Table::default()
        .with(0, Field::Byte(i8::from(valid)))
        .with(1, Field::Int(stride))
        .with(2, Field::Int(stride))
        .with(4, Field::Int(dilation))
        .with(5, Field::Int(dilation));
    (1, table)
}

#[test]
fn functions_of_one_number() {
    let x = [-2.5f32, -0.5, 0.25, 7.0];
    type Function = fn(f32) -> f32;
    let cases: [(i32, Function); 14] = [
        (19, |x| x.max(0.0)),
        (20, |x| x.clamp(-1.0, 1.0)),
        (21, |x| x.clamp(0.0, 6.0)),
        (152, |x| x.clamp(0.0, 1.0)),
        (14, |x| 1.0 / (1.0 + (-x).exp())),
        (28, f32::tanh),
        (47, f32::exp),
        (59, |x| -x),
        (92, |x| x * x),
        (101, f32::abs),
        (104, f32::ceil),
        (8, f32::floor),
        (111, |x| if x > 0.0 { x } else { x.exp() - 1.0 }),
        (117, |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
    ];
    for (code, function) in cases {
        let mut file = File::default();
        let input = file.input("x", &[1, 4]);
        let y = file.real("y", &[1, 4]);
        file.op(code, &[input], y, None);
        file.outputs = vec![y];
        near(&run(&file, &x).1, &x.map(function)[..]);
    }
    let mut file = File::default();
    let input = file.input("x", &[1, 4]);
    let y = file.real("y", &[1, 4]);
    file.op(98, &[input], y, Some((75, Table::default().with(0, Field::Real(0.1)))));
    file.outputs = vec![y];
    near(&run(&file, &x).1, &x.map(|x| if x > 0.0 { x } else { 0.1 * x }));
}

#[test]
fn arithmetic_with_constants_and_fused_limits() {
    let x = [1.0, -2.0, 3.0, -4.0, 5.0, -6.0];
    for (code, options, constant, wanted) in [
        (0, 11, vec![0.5, 1.0], [1.5, 0.0, 3.5, 0.0, 5.5, 0.0]),
        (41, 28, vec![0.5, 1.0], [0.5, 0.0, 2.5, 0.0, 4.5, 0.0]),
        (18, 21, vec![2.0, -1.0], [2.0, 2.0, 6.0, 4.0, 10.0, 6.0]),
        (42, 29, vec![2.0, -1.0], [0.5, 2.0, 1.5, 4.0, 2.5, 6.0]),
        (18, 21, vec![-2.0], [0.0, 4.0, 0.0, 8.0, 0.0, 12.0]),
    ] {
        let mut file = File::default();
        let input = file.input("x", &[1, 3, 1, 2]);
        let c = file.reals("c", &[constant.len() as i32], &constant);
        let y = file.real("y", &[1, 3, 1, 2]);
        file.op(code, &[input, c], y, Some((options, Table::default().with(0, RELU))));
        file.outputs = vec![y];
        near(&run(&file, &x).1, &wanted);
    }
    let mut file = File::default();
    let input = file.input("x", &[1, 6]);
    let low = file.reals("low", &[], &[-1.5]);
    let y = file.real("y", &[1, 6]);
    file.op(55, &[input, low], y, None);
    file.outputs = vec![y];
    near(&run(&file, &x).1, &[1.0, -1.5, 3.0, -1.5, 5.0, -1.5]);
}

#[test]
fn reductions_paddings_and_pools() {
    let x: Vec<f32> = (0..12).map(|i| i as f32).collect();
    // [1, 3, 2, 2]
    let mut file = File::default();
    let input = file.input("x", &[1, 3, 2, 2]);
    let axes = file.ints("axes", &[2], &[1, -2]);
    let mean = file.real("mean", &[1, 2]);
    file.op(40, &[input, axes], mean, Some((27, Table::default())));
    file.outputs = vec![mean];
    assert_eq!(run(&file, &x), (vec![1, 2], vec![5.0, 6.0]));

    let mut file = File::default();
    let input = file.input("x", &[1, 3, 2, 2]);
    let axes = file.ints("axes", &[1], &[3]);
    let most = file.real("most", &[1, 3, 2, 1]);
    file.op(82, &[input, axes], most, Some((27, Table::default().with(0, Field::Byte(1)))));
    file.outputs = vec![most];
    assert_eq!(run(&file, &x), (vec![1, 3, 2, 1], vec![1.0, 3.0, 5.0, 7.0, 9.0, 11.0]));

    let mut file = File::default();
    let input = file.input("x", &[1, 3, 2, 2]);
    let pads = file.ints("pads", &[4, 2], &[0, 0, 1, 0, 0, 1, 0, 0]);
    let with = file.reals("with", &[], &[9.0]);
    let padded = file.real("padded", &[1, 4, 3, 2]);
    file.op(60, &[input, pads, with], padded, None);
    let pooled = file.real("pooled", &[1, 2, 2, 2]);
    let pool = Table::default()
        .with(1, Field::Int(2))
        .with(2, Field::Int(2))
        .with(3, Field::Int(2))
        .with(4, Field::Int(2));
    file.op(1, &[padded], pooled, Some((5, pool)));
    file.outputs = vec![pooled];
    // SAME: the window at the right edge has two elements, and divides by two.
    assert_eq!(run(&file, &x), (vec![1, 2, 2, 2], vec![5.0, 5.5, 9.0, 9.0, 7.0, 8.0, 9.0, 9.0]));
}

#[test]
fn shapes_are_views() {
    let x = noise(24);
    // [1, 2, 3, 4] -> transpose -> [1, 4, 2, 3] -> squeeze -> [4, 2, 3] -> expand -> [4, 1, 2, 3]
    let mut file = File::default();
    let input = file.input("x", &[1, 2, 3, 4]);
    let order = file.ints("order", &[4], &[0, 3, 1, 2]);
    let t = file.real("t", &[1, 4, 2, 3]);
    file.op(39, &[input, order], t, None);
    let s = file.real("s", &[4, 2, 3]);
    file.op(43, &[t], s, Some((30, Table::default().with(0, Field::Ints(vec![0])))));
    let place = file.ints("place", &[], &[1]);
    let e = file.real("e", &[4, 1, 2, 3]);
    file.op(70, &[s, place], e, None);
    let y = file.real("y", &[4, 1, 2, 3]);
    file.op(19, &[e], y, None);
    file.outputs = vec![y];
    let (shape, got) = run(&file, &x);
    assert_eq!(shape, [4, 1, 2, 3]);
    let wanted: Vec<f32> = (0..24).map(|i| x[(i % 6) * 4 + i / 6].max(0.0)).collect();
    near(&got, &wanted);
}

#[test]
fn a_flatten_behind_a_transposition_reorders_weights() {
    // Channels first, as models from PyTorch are flattened.
    let x = noise(12);
    let weights = noise(24);
    let mut file = File::default();
    let input = file.input("x", &[1, 2, 2, 3]);
    let doubled = file.real("doubled", &[1, 2, 2, 3]);
    file.op(0, &[input, input], doubled, Some((11, Table::default())));
    let order = file.ints("order", &[4], &[0, 3, 1, 2]);
    let t = file.real("t", &[1, 3, 2, 2]);
    file.op(39, &[doubled, order], t, None);
    let shape = file.ints("shape", &[2], &[-1, 12]);
    let flat = file.real("flat", &[1, 12]);
    file.op(22, &[t, shape], flat, None);
    let w = file.reals("w", &[2, 12], &weights);
    let y = file.real("y", &[1, 2]);
    file.op(9, &[flat, w, -1], y, Some((8, Table::default())));
    file.outputs = vec![y];
    let wanted: Vec<f32> = (0..2)
        .map(|row| (0..12).map(|i| 2.0 * x[(i % 4) * 3 + i / 4] * weights[row * 12 + i]).sum())
        .collect();
    near(&run(&file, &x).1, &wanted);
}

#[test]
fn an_input_that_is_transposed_first_lies_as_the_convolution_wants_it() {
    let x = noise(3 * 4 * 4);
    let weights = noise(2 * 9 * 3);
    let conv = |transposed: bool| {
        let mut file = File::default();
        let shape: &[i32] = if transposed { &[1, 3, 4, 4] } else { &[1, 4, 4, 3] };
        let mut value = file.input("x", shape);
        if transposed {
            let order = file.ints("order", &[4], &[0, 2, 3, 1]);
            let t = file.real("t", &[1, 4, 4, 3]);
            value = file.op(39, &[value, order], t, None);
        }
        let w = file.reals("w", &[2, 3, 3, 3], &weights);
        let y = file.real("y", &[1, 2, 2, 2]);
        file.op(3, &[value, w], y, Some(conv_options(false, 2, 1)));
        file.outputs = vec![y];
        file
    };
    let channels_last: Vec<f32> = (0..48).map(|i| x[(i % 3) * 16 + i / 3]).collect();
    near(&run(&conv(true), &x).1, &run(&conv(false), &channels_last).1);
}

#[test]
fn groups_dilation_and_multipliers() {
    // A convolution in two groups, by hand.
    let (x, weights) = (noise(5 * 5 * 4), noise(2 * 9 * 2));
    let mut file = File::default();
    let input = file.input("x", &[1, 5, 5, 4]);
    let w = file.reals("w", &[2, 3, 3, 2], &weights);
    let y = file.real("y", &[1, 1, 1, 2]);
    file.op(3, &[input, w], y, Some(conv_options(true, 1, 2)));
    file.outputs = vec![y];
    let wanted: Vec<f32> = (0..2)
        .map(|o| {
            let taps = (0..9).flat_map(|t| (0..2).map(move |i| (t, i)));
            taps.map(|(t, i)| {
                let (row, column) = (2 * (t / 3), 2 * (t % 3));
                weights[(o * 9 + t) * 2 + i] * x[(row * 5 + column) * 4 + 2 * o + i]
            })
            .sum()
        })
        .collect();
    near(&run(&file, &x).1, &wanted);

    // Two outputs for each of two channels.
    let (x, weights) = (noise(2), noise(4));
    let mut file = File::default();
    let input = file.input("x", &[1, 1, 1, 2]);
    let w = file.reals("w", &[1, 1, 1, 4], &weights);
    let bias = file.reals("b", &[4], &[1.0, 2.0, 3.0, 4.0]);
    let y = file.real("y", &[1, 1, 1, 4]);
    let options = Table::default().with(1, Field::Int(1)).with(2, Field::Int(1)).with(3, Field::Int(2));
    file.op(4, &[input, w, bias], y, Some((2, options)));
    file.outputs = vec![y];
    let wanted: Vec<f32> = (0..4).map(|o| x[o / 2] * weights[o] + (o + 1) as f32).collect();
    near(&run(&file, &x).1, &wanted);
}

#[test]
fn fully_connected_keeps_or_flattens_axes() {
    let (x, weights) = (noise(12), noise(8));
    for keep in [false, true] {
        let mut file = File::default();
        let input = file.input("x", &[1, 3, 4]);
        let w = file.reals("w", &[2, 4], &weights);
        let y = file.real("y", &[1, 3, 2]);
        file.op(9, &[input, w, -1], y, Some((8, Table::default().with(2, Field::Byte(i8::from(keep))))));
        file.outputs = vec![y];
        let (shape, got) = run(&file, &x);
        assert_eq!(shape, if keep { vec![1, 3, 2] } else { vec![3, 2] });
        let wanted: Vec<f32> =
            (0..6).map(|i| (0..4).map(|k| x[i / 2 * 4 + k] * weights[i % 2 * 4 + k]).sum()).collect();
        near(&got, &wanted);
    }
}

#[test]
fn the_arithmetic_of_an_open_batch_is_folded() {
    let x = noise(6);
    let mut file = File::default();
    let input = file.input("x", &[1, 3, 2]);
    let shape = file.ints("shape?", &[], &[]);
    file.tensors[shape as usize].data = None;
    file.tensors[shape as usize].shape = vec![3];
    file.op(77, &[input], shape, None);
    let bounds: Vec<i32> = [[0], [1], [1]].iter().map(|bound| file.ints("bound", &[1], bound)).collect();
    let batch = file.ints("batch", &[], &[]);
    file.tensors[batch as usize].data = None;
    let slice = Table::default().with(4, Field::Int(1));
    file.op(45, &[shape, bounds[0], bounds[1], bounds[2]], batch, Some((32, slice)));
    let six = file.ints("six", &[], &[6]);
    let packed = file.ints("packed", &[], &[]);
    file.tensors[packed as usize].data = None;
    file.tensors[packed as usize].shape = vec![2];
    file.op(83, &[batch, six], packed, Some((59, Table::default().with(0, Field::Int(2)))));
    let flat = file.real("flat", &[1, 6]);
    file.op(22, &[input, packed], flat, None);
    let y = file.real("y", &[1, 6]);
    file.op(19, &[flat], y, None);
    file.outputs = vec![y];
    let (shape, got) = run(&file, &x);
    assert_eq!(shape, [1, 6]);
    near(&got, &x.iter().map(|x| x.max(0.0)).collect::<Vec<f32>>());
}

#[test]
fn softmax_has_a_beta_and_concatenation_an_axis() {
    let x = [0.5, -1.0, 2.0];
    let mut file = File::default();
    let input = file.input("x", &[1, 3]);
    let y = file.real("y", &[1, 3]);
    file.op(25, &[input], y, Some((9, Table::default().with(0, Field::Real(0.5)))));
    let both = file.real("both", &[1, 6]);
    file.op(2, &[input, y], both, Some((10, Table::default().with(0, Field::Int(-1)))));
    file.outputs = vec![both];
    let e = x.map(|x: f32| (0.5 * x).exp());
    let sum: f32 = e.iter().sum();
    let (shape, got) = run(&file, &x);
    assert_eq!(shape, [1, 6]);
    near(&got, &[x[0], x[1], x[2], e[0] / sum, e[1] / sum, e[2] / sum]);
}

#[test]
fn half_precision_weights_become_single_ones() {
    let mut file = File::default();
    let input = file.input("x", &[1, 2]);
    // 1, -2, 0.5, 4
    let halves = [0x3c00u16, 0xc000, 0x3800, 0x4400];
    let data: Vec<u8> = halves.iter().flat_map(|h| h.to_le_bytes()).collect();
    let w = file.bytes(&[2, 2], F16, &data, &[], &[], 0);
    let single = file.real("single", &[2, 2]);
    file.op(6, &[w], single, None);
    let y = file.real("y", &[1, 2]);
    file.op(9, &[input, single, -1], y, Some((8, Table::default())));
    file.outputs = vec![y];
    near(&run(&file, &[3.0, 5.0]).1, &[-7.0, 21.5]);
}

#[test]
fn the_place_of_the_largest_gives_way_to_the_scores() {
    let mut file = File::default();
    let input = file.input("x", &[1, 3]);
    let scores = file.real("scores", &[1, 3]);
    file.op(25, &[input], scores, Some((9, Table::default().with(0, Field::Real(1.0)))));
    let axis = file.ints("axis", &[], &[-1]);
    let label = file.ints("label", &[1], &[0]);
    file.tensors[label as usize].data = None;
    file.op(56, &[scores, axis], label, None);
    file.outputs = vec![label];
    let graph = import(&file.write()).unwrap();
    assert_eq!(graph.outputs[0].name, "scores");
    assert_eq!(graph.notes, ["Output `label` is left out: it is the place of the largest of `scores`."]);
}

/// A convolution of one place in integers: `kind` and zero point of the weights differ, the
/// numbers they stand for do not.
fn quantized_conv(kind: i8, weights: &[u8], zeros: &[i64], activations: i8) -> Vec<u8> {
    let shift = if activations == U8 { 128 } else { 0 };
    let mut file = File::default();
    let input = file.quantized_input(&[1, 2, 2, 3], activations, 0.1, 5 + shift);
    let w = file.bytes(&[2, 1, 1, 3], kind, weights, &[0.02, 0.03][..zeros.len()], zeros, 0);
    let bias: Vec<u8> = [100i32, -50].iter().flat_map(|b| b.to_le_bytes()).collect();
    // An axis that a vector has not, as some files say of their biases.
    let b = file.bytes(&[2], I32, &bias, &[0.002, 0.003][..zeros.len()], &vec![0; zeros.len()], 3);
    let y = file.quantized("y", &[1, 2, 2, 2], activations, 0.05, -20 + shift);
    let (kind, options) = conv_options(false, 1, 1);
    file.op(3, &[input, w, b], y, Some((kind, options.with(3, RELU))));
    file.outputs = vec![y];
    file.write()
}

#[test]
fn unsigned_files_and_zero_points_compute_the_same_bits() {
    let numbers = [10i16, -100, 3, 7, 60, -90];
    let q: Vec<i8> = noise(12).iter().map(|x| (x * 127.0) as i8).collect();
    let with = |zero: i16| -> Vec<u8> { numbers.iter().map(|w| (w + zero) as u8).collect() };
    let signed = quantized_conv(I8, &with(0), &[0, 0], I8);
    let wanted = integers(&signed, &q);
    for (kind, zero) in [(U8, 128), (U8, 110), (I8, -20)] {
        let bytes = quantized_conv(kind, &with(zero), &[zero.into(), zero.into()], I8);
        assert_eq!(integers(&bytes, &q), wanted, "zero point {zero}");
    }
    let unsigned = quantized_conv(U8, &with(128), &[128, 128], U8);
    assert_eq!(integers(&unsigned, &q), wanted);
    // By hand, the first place.
    let real: Vec<f32> = q[..3].iter().map(|&q| 0.1 * f32::from(i16::from(q) - 5)).collect();
    let sum: f32 = real.iter().zip([10.0, -100.0, 3.0]).map(|(x, w)| x * w * 0.02).sum::<f32>() + 0.2;
    let expected = ((sum.max(0.0) / 0.05).round() - 20.0).clamp(-128.0, 127.0) as i8;
    assert!((i16::from(wanted[0]) - i16::from(expected)).abs() <= 1, "{} for {expected}", wanted[0]);
    let exported = onnx::export(&import(&unsigned).unwrap()).unwrap();
    assert_eq!(integers(&exported, &q), wanted);
}

#[test]
fn quantized_arithmetic_with_constants() {
    for (code, kind, constant) in
        [(0, 11, vec![10u8, 200, 30]), (18, 21, vec![10, 200, 30]), (0, 11, vec![90])]
    {
        let mut file = File::default();
        let input = file.quantized_input(&[1, 2, 2, 3], I8, 0.1, 5);
        let c = file.bytes(&[constant.len() as i32], I8, &constant, &[0.04], &[-3], 0);
        let y = file.quantized("y", &[1, 2, 2, 3], I8, 0.2, -20);
        file.op(code, &[input, c], y, Some((kind, Table::default())));
        file.outputs = vec![y];
        let bytes = file.write();
        let q: Vec<i8> = noise(12).iter().map(|x| (x * 127.0) as i8).collect();
        let got = integers(&bytes, &q);
        for (i, (&q, &got)) in q.iter().zip(&got).enumerate() {
            let x = 0.1 * f64::from(i16::from(q) - 5);
            let c = 0.04 * f64::from(i16::from(constant[i % constant.len()] as i8) + 3);
            let real = if code == 0 { x + c } else { x * c };
            let wanted = ((real / 0.2).round() - 20.0).clamp(-128.0, 127.0);
            assert!((f64::from(got) - wanted).abs() <= 1.0, "{code}: {x} and {c} give {got}, not {wanted}");
        }
        let exported = onnx::export(&import(&bytes).unwrap()).unwrap();
        assert!(
            compile(&exported, Target::Generic).is_ok(),
            "{:?}",
            compile(&exported, Target::Generic).err()
        );
    }
}

#[test]
fn real_inputs_and_outputs_around_integers() {
    let mut file = File::default();
    let input = file.input("x", &[1, 2]);
    let q = file.quantized("q", &[1, 2], I8, 0.1, 5);
    file.op(114, &[input], q, None);
    let w = file.bytes(&[2, 2], I8, &[1, 2, 3, 4], &[0.5], &[0], 0);
    let y = file.quantized("y", &[1, 2], I8, 0.25, 0);
    file.op(9, &[q, w, -1], y, Some((8, Table::default())));
    let other = file.quantized("other", &[1, 2], I8, 0.5, 10);
    file.op(114, &[y], other, None);
    let real = file.real("real", &[1, 2]);
    file.op(6, &[other], real, None);
    file.outputs = vec![real];
    let bytes = file.write();
    let graph = import(&bytes).unwrap();
    assert_eq!(graph.inputs[0].kind.name(), "f32");
    assert!(graph.is_quantized(), "{graph}");
    // 1 and 2 are 15 and 25; 0.5 · (1 + 4) and 0.5 · (3 + 8) are 5 and 11 steps of 0.5, from 10 on.
    assert_eq!(integers(&bytes, &[15, 25]), [15, 21]);
    near(&evaluate(&graph, &[1.0, 2.0]), &[2.5, 5.5]);
}

#[test]
fn several_graphs_are_told_of() {
    let mut file = File { graphs: 2, ..File::default() };
    let input = file.input("x", &[1, 2]);
    let y = file.real("y", &[1, 2]);
    file.op(19, &[input], y, None);
    file.outputs = vec![y];
    assert_eq!(import(&file.write()).unwrap().notes, ["Of the 2 graphs in the file the first one is read."]);
}

/// BATCH_MATMUL of a value with itself, `adj_x` and `adj_y` in turn: real numbers, then integers.
#[test]
fn products_of_matrices() {
    let (batch, rows, columns) = (2usize, 3usize, 4usize);
    let q: Vec<i8> = (0..batch * rows * columns).map(|i| (i * 53 % 256) as u8 as i8).collect();
    for (adj_x, adj_y) in [(false, true), (true, false)] {
        let size = if adj_x { columns } else { rows };
        let product = |x: &[f64]| -> Vec<f64> {
            let at = |p: usize, row: usize, column: usize| x[(p * rows + row) * columns + column];
            let mut y = Vec::new();
            for p in 0..batch {
                for i in 0..size {
                    for j in 0..size {
                        y.push(if adj_x {
                            (0..rows).map(|k| at(p, k, i) * at(p, k, j)).sum()
                        } else {
                            (0..columns).map(|k| at(p, i, k) * at(p, j, k)).sum()
                        });
                    }
                }
            }
            y
        };
        let flags =
            Table::default().with(0, Field::Byte(i8::from(adj_x))).with(1, Field::Byte(i8::from(adj_y)));
        let (shape, result) = ([1, 2, 3, 4], [1, 2, size as i32, size as i32]);
        let mut file = File::default();
        let input = file.input("x", &shape);
        let y = file.real("y", &result);
        file.op(126, &[input, input], y, Some((101, flags.clone())));
        file.outputs = vec![y];
        let x = noise(24);
        let wanted = product(&x.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>());
        near(&run(&file, &x).1, &wanted.iter().map(|&y| y as f32).collect::<Vec<f32>>());

        let mut file = File::default();
        let input = file.quantized_input(&shape, I8, 0.02, -5);
        let y = file.quantized("y", &result, I8, 0.15, 11);
        file.op(126, &[input, input], y, Some((101, flags)));
        file.outputs = vec![y];
        let real: Vec<f64> = q.iter().map(|&q| f64::from(0.02f32) * (f64::from(q) + 5.0)).collect();
        let wanted: Vec<i8> = product(&real)
            .iter()
            .map(|y| ((y / f64::from(0.15f32)).round() + 11.0).clamp(-128.0, 127.0) as i8)
            .collect();
        let got = integers(&file.write(), &q);
        assert_eq!(got, wanted, "adj_x {adj_x}");
        assert!(got.iter().any(|q| *q != got[0]));
    }
    // As it is: the left operand is read row by row, the right one column by column.
    let mut file = File::default();
    let input = file.input("x", &[1, 2, 4, 4]);
    let y = file.real("y", &[1, 2, 4, 4]);
    file.op(126, &[input, input], y, None);
    file.outputs = vec![y];
    let x = noise(32);
    let at = |p: usize, row: usize, column: usize| x[(p * 4 + row) * 4 + column];
    let mut wanted = Vec::new();
    for p in 0..2 {
        for i in 0..4 {
            (0..4).for_each(|j| wanted.push((0..4).map(|k| at(p, i, k) * at(p, k, j)).sum::<f32>()));
        }
    }
    near(&run(&file, &x).1, &wanted);
}

#[test]
fn products_that_do_not_fit_are_refused() {
    let mut file = File::default();
    let input = file.input("x", &[1, 2, 3]);
    let c = file.reals("c", &[3, 2], &[1.0; 6]);
    let y = file.real("y", &[1, 2, 2]);
    file.op(126, &[input, c], y, None);
    file.outputs = vec![y];
    let error = import(&file.write()).unwrap_err().to_string();
    assert!(error.contains("`y` (BATCH_MATMUL)") && error.contains("FULLY_CONNECTED"), "{error}");
    let mut file = File::default();
    let input = file.input("x", &[1, 2, 3]);
    let y = file.real("y", &[1, 2, 3]);
    file.op(126, &[input, input], y, None);
    file.outputs = vec![y];
    let error = import(&file.write()).unwrap_err().to_string();
    assert!(error.contains("`y` (BATCH_MATMUL)") && error.contains("cannot be multiplied"), "{error}");
}
