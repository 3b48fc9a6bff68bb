//! Matrix products of two activations: files of both quantized dialects against their definition in real numbers, shapes
//! and orders of axes, and attention from a float file to a plan.

mod support;

use support::file::{File, INT8, UINT8, int, ints};
use support::quantized::{Random, quantized};
use support::run_integers;
use teff::{AnyModel, ModelFile, Progress, Session};
use teff_compiler::evaluate::Evaluator;
use teff_compiler::evaluate::exact::Exact;
use teff_compiler::graph::{Builder, Graph, MatrixOrder, Op};
use teff_compiler::lower::lower;
use teff_compiler::quantize::{Method, quantize};
use teff_compiler::{Target, compile, onnx};

/// Numbers that look arbitrary.
fn numbers(len: usize, seed: u32, least: i32, most: i32) -> Vec<i32> {
    let mut state = seed;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        least + (state >> 8) as i32 % (most - least + 1)
    };
    (0..len).map(next).collect()
}

fn reals(len: usize, seed: u32) -> Vec<f32> {
    numbers(len, seed, -1000, 1000).iter().map(|&x| x as f32 / 500.0).collect()
}

/// `numpy.matmul` of stacks of matrices: `batch` products, one matrix of a stack that has only one.
fn mat_mul(a: &[f64], b: &[f64], [batch, m, k, n]: [usize; 4]) -> Vec<f64> {
    let stride = |len: usize, matrix: usize| if len == matrix { 0 } else { matrix };
    let (step_a, step_b) = (stride(a.len(), m * k), stride(b.len(), k * n));
    let mut y = Vec::new();
    for p in 0..batch {
        for i in 0..m {
            for j in 0..n {
                let products = (0..k).map(|x| a[p * step_a + i * k + x] * b[p * step_b + x * n + j]);
                y.push(products.sum());
            }
        }
    }
    y
}

/// The axes of a tensor in another order.
fn transposed<T: Copy>(x: &[T], shape: &[usize], permutation: &[usize]) -> Vec<T> {
    let mut steps = vec![1; shape.len()];
    for i in (0..shape.len() - 1).rev() {
        steps[i] = steps[i + 1] * shape[i + 1];
    }
    let sizes: Vec<usize> = permutation.iter().map(|&p| shape[p]).collect();
    (0..x.len())
        .map(|mut index| {
            let mut at = 0;
            for (axis, &size) in sizes.iter().enumerate().rev() {
                at += index % size * steps[permutation[axis]];
                index /= size;
            }
            x[at]
        })
        .collect()
}

fn dims(shape: &[usize]) -> Vec<i64> {
    shape.iter().map(|&d| d as i64).collect()
}

/// A product of two inputs.
struct Case {
    what: &'static str,
    a: &'static [usize],
    b: &'static [usize],
    /// Batch, rows, products, columns.
    sizes: [usize; 4],
    kinds: [i64; 3],
    zeros: [i32; 3],
}

const CASES: [Case; 8] = [
    Case {
        what: "scores of an attention",
        a: &[1, 3, 5, 8],
        b: &[1, 3, 8, 6],
        sizes: [3, 5, 8, 6],
        kinds: [INT8; 3],
        zeros: [3, -7, 1],
    },
    Case {
        what: "one matrix each",
        a: &[1, 5, 8],
        b: &[1, 8, 6],
        sizes: [1, 5, 8, 6],
        kinds: [UINT8; 3],
        zeros: [0, 255, 128],
    },
    Case {
        what: "one right matrix for all",
        a: &[1, 4, 5, 9],
        b: &[1, 1, 9, 2],
        sizes: [4, 5, 9, 2],
        kinds: [INT8, UINT8, INT8],
        zeros: [-128, 128, 127],
    },
    Case {
        what: "one left matrix for all",
        a: &[1, 1, 5, 9],
        b: &[1, 4, 9, 3],
        sizes: [4, 5, 9, 3],
        kinds: [UINT8, INT8, UINT8],
        zeros: [9, 0, 0],
    },
    Case {
        what: "fewer axes on the right",
        a: &[1, 4, 5, 9],
        b: &[1, 9, 3],
        sizes: [4, 5, 9, 3],
        kinds: [INT8; 3],
        zeros: [127, -128, 0],
    },
    Case {
        what: "one row",
        a: &[1, 2, 1, 9],
        b: &[1, 2, 9, 3],
        sizes: [2, 1, 9, 3],
        kinds: [INT8; 3],
        zeros: [1, 2, 3],
    },
    Case {
        what: "one column",
        a: &[1, 2, 4, 9],
        b: &[1, 2, 9, 1],
        sizes: [2, 4, 9, 1],
        kinds: [INT8; 3],
        zeros: [1, 2, 3],
    },
    Case {
        what: "one product",
        a: &[1, 4, 1],
        b: &[1, 1, 6],
        sizes: [1, 4, 1, 6],
        kinds: [INT8; 3],
        zeros: [1, 2, 3],
    },
];

const SCALES: [f32; 2] = [0.02, 0.05];

impl Case {
    fn range(kind: i64) -> (i32, i32) {
        if kind == UINT8 { (0, 255) } else { (-128, 127) }
    }

    /// The real product.
    fn real(&self) -> Vec<f64> {
        let inputs = self.inputs();
        let real = |i: usize| -> Vec<f64> {
            inputs[i].iter().map(|q| f64::from(SCALES[i]) * f64::from(q - self.zeros[i])).collect()
        };
        mat_mul(&real(0), &real(1), self.sizes)
    }

    /// A scale with which the result takes most of the range.
    fn output_scale(&self) -> f32 {
        let most = self.real().iter().fold(0.0f64, |most, y| most.max(y.abs()));
        (most / 120.0) as f32
    }

    fn inputs(&self) -> [Vec<i32>; 2] {
        [self.a, self.b].map(|shape| shape.iter().product::<usize>()).into_iter().zip(0..).fold(
            [Vec::new(), Vec::new()],
            |mut inputs, (len, i)| {
                let (least, most) = Case::range(self.kinds[i]);
                inputs[i] = numbers(len, 5 + i as u32, least, most);
                inputs
            },
        )
    }

    /// The result by its definition: one rounding, to nearest.
    fn expected(&self) -> Vec<i32> {
        let (least, most) = Case::range(self.kinds[2]);
        let scale = f64::from(self.output_scale());
        let quantize = |y: &f64| ((y / scale).round() as i32 + self.zeros[2]).clamp(least, most);
        self.real().iter().map(quantize).collect()
    }

    fn file(&self) -> File {
        File::new(13)
            .input("a", self.kinds[0], &dims(self.a))
            .input("b", self.kinds[1], &dims(self.b))
            .output("y")
            .quant("a", self.kinds[0], SCALES[0], self.zeros[0])
            .quant("b", self.kinds[1], SCALES[1], self.zeros[1])
            .quant("y", self.kinds[2], self.output_scale(), self.zeros[2])
    }

    /// At most one element in a hundred may be a tie that another rule decides.
    fn check(&self, file: &File) {
        let inputs = self.inputs();
        let expected = self.expected();
        let (got, _) = run_integers(file, &[&inputs[0], &inputs[1]]);
        assert_eq!(got.len(), expected.len(), "{}", self.what);
        assert!(expected.iter().any(|q| *q != expected[0]), "{}: a constant proves nothing", self.what);
        let different: Vec<(&i32, &i32)> = got.iter().zip(&expected).filter(|(a, b)| a != b).collect();
        assert!(different.iter().all(|(a, b)| (*a - *b).abs() <= 1), "{}: {different:?}", self.what);
        assert!(100 * different.len() <= got.len(), "{}: {different:?}", self.what);
    }
}

#[test]
fn both_quantized_dialects_are_the_rounded_real_product() {
    for case in &CASES {
        let file = case.file().named(
            "product",
            "QLinearMatMul",
            &["a", "a.s", "a.z", "b", "b.s", "b.z", "y.s", "y.z"],
            &["y"],
            &[],
        );
        case.check(&file);
        let file = case
            .file()
            .node("DequantizeLinear", &["a", "a.s", "a.z"], &["a.real"], &[])
            .node("DequantizeLinear", &["b", "b.s", "b.z"], &["b.real"], &[])
            .node("MatMul", &["a.real", "b.real"], &["y.real"], &[])
            .node("QuantizeLinear", &["y.real", "y.s", "y.z"], &["y"], &[]);
        case.check(&file);
    }
}

/// The same matrices in every order of bytes: what stands in the file transposed is transposed back before the product.
#[test]
fn products_read_their_operands_as_they_lie() {
    let (batch, m, k, n) = (2usize, 3, 4, 5);
    let a = reals(batch * m * k, 1);
    let b = reals(batch * k * n, 2);
    let as_f64 = |x: &[f32]| x.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
    let expected = mat_mul(&as_f64(&a), &as_f64(&b), [batch, m, k, n]);
    let orders: [[usize; 4]; 6] =
        [[0, 1, 2, 3], [0, 2, 1, 3], [0, 1, 3, 2], [0, 3, 1, 2], [0, 2, 3, 1], [0, 3, 2, 1]];
    // `order` is that of the axes in the file; its inverse brings them back.
    let inverse = |order: [usize; 4]| {
        let mut inverse = [0i64; 4];
        order.iter().enumerate().for_each(|(i, &axis)| inverse[axis] = i as i64);
        inverse
    };
    let shape_of = |shape: [usize; 4], order: [usize; 4]| order.map(|axis| shape[axis]);
    for order_a in orders {
        for order_b in orders {
            let shapes = [shape_of([1, batch, m, k], order_a), shape_of([1, batch, k, n], order_b)];
            let file = File::new(13)
                .input("a", support::file::FLOAT, &dims(&shapes[0]))
                .input("b", support::file::FLOAT, &dims(&shapes[1]))
                .output("y")
                .node("Transpose", &["a"], &["at"], &[ints("perm", &inverse(order_a))])
                .node("Transpose", &["b"], &["bt"], &[ints("perm", &inverse(order_b))])
                .named("product", "MatMul", &["at", "bt"], &["y"], &[]);
            let graph =
                onnx::import(&file.finish()).unwrap_or_else(|e| panic!("{order_a:?} {order_b:?}: {e}"));
            let inputs = [
                graph.inputs[0].to_value(&transposed(&a, &[1, batch, m, k], &order_a)),
                graph.inputs[1].to_value(&transposed(&b, &[1, batch, k, n], &order_b)),
            ];
            let mut evaluator = Evaluator::new(&graph).unwrap();
            evaluator.run(&[&inputs[0], &inputs[1]]).unwrap();
            let got = graph.outputs[0].to_onnx(evaluator.output(0));
            assert_eq!(graph.outputs[0].shape, [1, batch, m, n]);
            for (got, expected) in got.iter().zip(&expected) {
                let difference = (f64::from(*got) - expected).abs();
                assert!(difference < 1e-4, "{order_a:?} {order_b:?}: {got} for {expected}\n{graph}");
            }
        }
    }
}

#[test]
fn constant_matrices_on_the_left_are_layers() {
    let (m, k, n) = (3usize, 4, 5);
    let (w, x) = (reals(m * k, 3), reals(k * n, 4));
    let file = File::new(13)
        .input("x", support::file::FLOAT, &[1, k as i64, n as i64])
        .output("y")
        .f32("w", &[m as i64, k as i64], &w)
        .named("product", "MatMul", &["w", "x"], &["y"], &[]);
    let graph = onnx::import(&file.finish()).unwrap();
    assert!(matches!(graph.nodes.last().unwrap().op, Op::FullyConnected { .. }));
    let mut evaluator = Evaluator::new(&graph).unwrap();
    evaluator.run(&[&graph.inputs[0].to_value(&x)]).unwrap();
    let got = graph.outputs[0].to_onnx(evaluator.output(0));
    let as_f64 = |x: &[f32]| x.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
    for (got, expected) in got.iter().zip(mat_mul(&as_f64(&w), &as_f64(&x), [1, m, k, n])) {
        assert!((f64::from(*got) - expected).abs() < 1e-4);
    }
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let refused = |a: &[i64], b: &[i64], wanted: &str| {
        let file = File::new(13)
            .input("a", support::file::FLOAT, a)
            .input("b", support::file::FLOAT, b)
            .output("y")
            .named("product", "MatMul", &["a", "b"], &["y"], &[]);
        let error = onnx::import(&file.finish()).unwrap_err().to_string();
        assert!(error.contains("`product`") && error.contains(wanted), "{error}");
    };
    refused(&[1, 4, 5], &[1, 4, 5], "cannot be multiplied");
    refused(&[1, 2, 1, 4, 5], &[1, 1, 3, 5, 4], "repeated along some axes only");
    refused(&[1, 3, 4, 5], &[5], "no matrix");
    // The transposition of what a layer computes is no view when both operands need it.
    let file = File::new(13)
        .input("x", support::file::FLOAT, &[1, 4, 4])
        .output("y")
        .node("Relu", &["x"], &["u"], &[])
        .node("Softmax", &["u"], &["s"], &[int("axis", -1)])
        .node("Transpose", &["s"], &["t"], &[ints("perm", &[0, 2, 1])])
        .named("product", "MatMul", &["t", "s"], &["y"], &[]);
    let error = onnx::import(&file.finish()).unwrap_err().to_string();
    assert!(error.contains("`product`") && error.contains("transposed"), "{error}");
}

const STEPS: usize = 6;
const HEADS: usize = 2;
const WIDTH: usize = 4;

/// Self-attention of two heads as exporters write it, and a layer behind it.
fn attention() -> File {
    let model = HEADS * WIDTH;
    let (t, d) = (STEPS as i64, model as i64);
    let weights = |seed: u32| reals(model * model, seed).iter().map(|w| w * 0.4).collect::<Vec<f32>>();
    let mut file = File::new(13)
        .input("x", support::file::FLOAT, &[1, t, d])
        .output("y")
        .i64("heads", &[1, t, HEADS as i64, WIDTH as i64])
        .i64("joined", &[1, t, d])
        .f32("scale", &[], &[1.0 / (WIDTH as f32).sqrt()]);
    for (name, seed) in [("q", 11), ("k", 12), ("v", 13), ("o", 14)] {
        file = file.f32(&format!("{name}.w"), &[d, d], &weights(seed));
    }
    for (name, perm) in [("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])] {
        let [weights, layer, split, seen] =
            ["w", "layer", "split", "seen"].map(|part| format!("{name}.{part}"));
        file = file
            .node("MatMul", &["x", &weights], &[&layer], &[])
            .node("Reshape", &[&layer, "heads"], &[&split], &[])
            .node("Transpose", &[&split], &[&seen], &[ints("perm", &perm)]);
    }
    file.named("scores", "MatMul", &["q.seen", "k.seen"], &["scores"], &[])
        .node("Mul", &["scores", "scale"], &["scaled"], &[])
        .node("Softmax", &["scaled"], &["weights"], &[int("axis", -1)])
        .named("mixed", "MatMul", &["weights", "v.seen"], &["mixed"], &[])
        .node("Transpose", &["mixed"], &["rows"], &[ints("perm", &[0, 2, 1, 3])])
        .node("Reshape", &["rows", "joined"], &["flat"], &[])
        .node("MatMul", &["flat", "o.w"], &["y"], &[])
}

/// The same in real numbers, step by step.
fn attention_by_hand(x: &[f32]) -> Vec<f64> {
    let model = HEADS * WIDTH;
    let x: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
    let layer = |x: &[f64], seed: u32| {
        let w: Vec<f64> = reals(model * model, seed).iter().map(|w| f64::from(w * 0.4)).collect();
        mat_mul(x, &w, [1, STEPS, model, model])
    };
    let split = |x: Vec<f64>, permutation: &[usize]| transposed(&x, &[STEPS, HEADS, WIDTH], permutation);
    let q = split(layer(&x, 11), &[1, 0, 2]);
    let k = split(layer(&x, 12), &[1, 2, 0]);
    let v = split(layer(&x, 13), &[1, 0, 2]);
    let scores = mat_mul(&q, &k, [HEADS, STEPS, WIDTH, STEPS]);
    let mut weights = Vec::new();
    for row in scores.chunks(STEPS) {
        let powers: Vec<f64> = row.iter().map(|s| (s / (WIDTH as f64).sqrt()).exp()).collect();
        let sum: f64 = powers.iter().sum();
        weights.extend(powers.iter().map(|p| p / sum));
    }
    let mixed = mat_mul(&weights, &v, [HEADS, STEPS, STEPS, WIDTH]);
    layer(&transposed(&mixed, &[HEADS, STEPS, WIDTH], &[1, 0, 2]), 14)
}

#[test]
fn attention_goes_from_a_float_file_to_a_plan() {
    let graph = onnx::import(&attention().finish()).unwrap_or_else(|e| panic!("{e}"));
    // Heads are read where the layers before left them: nothing is moved.
    let moved = graph.nodes.iter().any(|n| matches!(n.op, Op::Concat { .. } | Op::Pad { .. }));
    assert!(!moved, "{graph}");
    let len = STEPS * HEADS * WIDTH;
    let samples: Vec<Vec<f32>> = (0..40).map(|s| reals(len, 100 + s)).collect();
    let mut evaluator = Evaluator::new(&graph).unwrap();
    for x in &samples {
        evaluator.run(&[&graph.inputs[0].to_value(x)]).unwrap();
        let got = graph.outputs[0].to_onnx(evaluator.output(0));
        for (got, expected) in got.iter().zip(attention_by_hand(x)) {
            assert!((f64::from(*got) - expected).abs() < 1e-4, "{got} for {expected}");
        }
    }

    let values: Vec<Vec<f32>> = samples.iter().map(|x| graph.inputs[0].to_value(x)).collect();
    let q = quantize(&graph, values.iter().map(|x| vec![x.as_slice()]), Method::MinMax).unwrap();
    // The file in between computes the same bits.
    let bytes = onnx::export(&q).unwrap();
    let compiled = compile(&bytes, Target::Generic).unwrap();
    let back = onnx::import(&bytes).unwrap();
    let direct = lower(&q, Target::Generic, [0; 32]).unwrap();
    let (mut noise, mut power) = (0.0, 0.0);
    for x in &samples {
        let given = run(&compiled.plan, &back, x);
        assert_eq!(given, run(&direct.plan, &q, x));
        for (got, expected) in given.iter().zip(attention_by_hand(x)) {
            noise += (f64::from(*got) - expected).powi(2);
            power += expected.powi(2);
        }
    }
    let decibels = 10.0 * (power / noise).log10();
    assert!(decibels > 25.0, "{decibels:.1} dB");
    let by_name = |name: &str| compiled.report.layers.iter().filter(|l| l.op == name).count();
    assert_eq!(by_name("mat_mul"), 2, "{:?}", compiled.report.layers);
}

/// Runs a plan in one go, and in steps, which must give the same; the output in real numbers.
fn run(plan: &[u8], graph: &Graph, x: &[f32]) -> Vec<f32> {
    let file = ModelFile::from_bytes(plan).unwrap();
    let mut arena = file.arena();
    let mut session = Session::<AnyModel>::with_model(file.model(), arena.as_mut_slice()).unwrap();
    let quant = session.input_quant(0).unwrap();
    let input: Vec<i8> = graph.inputs[0].to_value(x).iter().map(|&x| quant.quantize(x)).collect();
    session.input_mut(0).copy_from_slice(&input);
    session.invoke();
    let once = session.output(0).values.to_vec();
    for budget in [0, 300, 2000] {
        session.input_mut(0).copy_from_slice(&input);
        while session.step(budget) == Progress::Pending {}
        assert_eq!(session.output(0).values, once, "budget {budget}");
    }
    let output = session.output(0);
    let real: Vec<f32> = output.values.iter().map(|&q| output.quant.dequantize(q)).collect();
    graph.outputs[0].to_onnx(&real)
}

/// Products in every order that a plan can hold, against exact arithmetic.
#[test]
fn each_product_is_within_one_step_of_exact_arithmetic() {
    let mut random = Random(3);
    for code in 0..16 {
        let order = MatrixOrder::from_code(code).unwrap();
        // Square matrices too: whether left and right are told apart shows there.
        for ((left, right), (m, k, n)) in [(3usize, 3usize), (3, 1), (1, 3), (1, 1)]
            .into_iter()
            .flat_map(|counts| [(counts, (4usize, 7usize, 5usize)), (counts, (5, 5, 5))])
        {
            let stack = |by_row: bool, matrices: usize, rows: usize, columns: usize| {
                if by_row { [1, rows, matrices, columns] } else { [1, matrices, rows, columns] }
            };
            let (rows, columns) = if order.rhs_transposed { (n, k) } else { (k, n) };
            let shapes = [stack(order.lhs_by_row, left, m, k), stack(order.rhs_by_row, right, rows, columns)];
            let lens = shapes.map(|shape| shape.iter().product::<usize>());
            let mut b = Builder::new("product");
            // Both operands from one input, so that one run of it gives their scales.
            let x = b.input("x", [1, 1, 1, lens[0] + lens[1]]);
            let whole = b.unary("whole", x, teff_compiler::graph::Unary::Abs);
            let parts = [(0, lens[0]), (lens[0], lens[1])].map(|(start, len)| {
                let mut weights = vec![0.0; len * (lens[0] + lens[1])];
                (0..len).for_each(|i| weights[i * (lens[0] + lens[1]) + start + i] = 1.0);
                let filter = teff_compiler::graph::Tensor::f32(&[len, lens[0] + lens[1]], weights).unwrap();
                b.fully_connected(&format!("part {start} {len}"), whole, filter, None)
            });
            let [lhs, rhs] = [0, 1].map(|i| b.reshape(&format!("operand {i}"), parts[i], shapes[i]));
            let y = b.mat_mul("product", lhs, rhs, order);
            b.output("y", y);
            let graph = b.finish().unwrap();
            let input: Vec<f32> = (0..lens[0] + lens[1]).map(|_| random.real()).collect();
            let mut graph = quantized(graph, &input);
            // A reshape has the quantization of what it looks at.
            for i in 0..graph.nodes.len() {
                if matches!(graph.nodes[i].op, Op::Reshape { .. }) {
                    let quant = graph.value(graph.nodes[i].inputs[0]).quant.clone();
                    let output = graph.nodes[i].output();
                    graph.value_mut(output).quant = quant;
                }
            }
            let quant = graph.value(graph.inputs[0].value).quant.clone().unwrap();
            let integers: Vec<i8> = input
                .iter()
                .map(|x| ((x / quant.scale()).round() as i32 + quant.zero_point).clamp(-128, 127) as i8)
                .collect();
            let mut exact = Exact::new(&graph).unwrap();
            exact.run(&[&integers]).unwrap();
            let compiled = lower(&graph, Target::Generic, [0; 32]).unwrap();
            let file = ModelFile::from_bytes(&compiled.plan).unwrap();
            let mut arena = file.arena();
            let mut session = Session::<AnyModel>::with_model(file.model(), arena.as_mut_slice()).unwrap();
            session.input_mut(0).copy_from_slice(&integers);
            session.invoke();
            let (got, expected) = (session.output(0).values, exact.output(0));
            assert!(expected.iter().any(|q| *q != expected[0]), "{order:?}: a constant proves nothing");
            for (a, b) in got.iter().zip(expected) {
                assert!((i32::from(*a) - i32::from(*b)).abs() <= 1, "{order:?}: {got:?} for {expected:?}");
            }
            let differing = got.iter().zip(expected).filter(|(a, b)| a != b).count();
            assert!(20 * differing <= got.len(), "{order:?}: {differing} of {} differ", got.len());
        }
    }
}
