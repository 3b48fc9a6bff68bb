//! Plans with matrix products: what they compute in slices, and hostile ones.

use alloc::vec::Vec;

use super::tests::{features, value};
use super::*;
use crate::kernels::generic::Generic;
use crate::kernels::reference::Reference;
use crate::session::{Progress, Session};
use crate::shape::{Layout, View};

const ORDER: MatrixOrder =
    MatrixOrder { rhs_transposed: true, lhs_by_row: true, rhs_by_row: true, output_by_row: false };

fn nhwc(h: usize, w: usize, c: usize) -> View {
    View::new(h, w, c, Layout::Nhwc)
}

fn product(lhs: u16, rhs: u16, output: u16, order: MatrixOrder) -> OpRecord {
    OpRecord {
        inputs: [lhs, rhs],
        a: 1 << 25,
        b: order.code(),
        slice_cost: 10,
        ..OpRecord::new(OpKind::MatMul, lhs, output)
    }
}

/// Scores of three heads over five steps, each by itself and with a constant.
fn writer() -> PlanWriter {
    let mut plan = PlanWriter { arena_bytes: 512, live_set_bytes: 240, ..PlanWriter::default() };
    let x = plan.push_value(value(nhwc(5, 3, 4), 0)).unwrap();
    let scores = plan.push_value(value(nhwc(3, 5, 5), 64)).unwrap();
    let elements: Vec<u8> = (0..10u8).map(|i| i.wrapping_mul(77)).collect();
    let offset = plan.push_data(&elements, 4).unwrap();
    let constant = ValueRecord { location: Location::Data(offset), ..value(nhwc(1, 5, 2), 0) };
    let constant = plan.push_value(constant).unwrap();
    let y = plan.push_value(value(nhwc(5, 3, 2), 144)).unwrap();
    plan.inputs.push(x);
    plan.outputs.push(y);
    plan.push_op(product(x, x, scores, ORDER));
    let order = MatrixOrder { output_by_row: true, ..MatrixOrder::default() };
    plan.push_op(product(scores, constant, y, order));
    plan
}

fn opened(plan: &PlanWriter) -> Result<file::ModelFile, LoadError> {
    file::ModelFile::from_bytes(&plan.finish().unwrap())
}

#[test]
fn products_give_the_same_bits_in_every_slice_and_kernel_set() {
    let file = opened(&writer()).unwrap();
    let model = file.model();
    let input = features(&model);
    let mut arena = file.arena();
    let mut naive = Session::<AnyModel, Reference>::with_model(model, arena.as_mut_slice()).unwrap();
    naive.input_mut(0).copy_from_slice(&input);
    naive.invoke();
    let expected = naive.output(0).values.to_vec();
    assert!(expected.iter().any(|&q| q != expected[0]), "a constant output proves nothing");
    let scores = naive.value(1).to_vec();
    // Step `i` of head `h` by step `j` of it.
    for (h, i, j) in [(0, 0, 0), (1, 2, 4), (2, 4, 3)] {
        let row = |step: usize| &input[step * 12 + h * 4..][..4];
        let zero = i32::from(model.input(0).unwrap().quant.zero_point);
        let real = |q: i8| i32::from(q) - zero;
        let sum: i32 = row(i).iter().zip(row(j)).map(|(&a, &b)| real(a) * real(b)).sum();
        let q = crate::quant::requantize(sum, 1 << 25, 0, -3, -128, 127);
        assert_eq!(scores[h * 25 + i * 5 + j], q);
    }
    for budget in [0, 10, 35, u32::MAX] {
        let mut arena = file.arena();
        let mut fast = Session::<AnyModel, Generic>::with_model(model, arena.as_mut_slice()).unwrap();
        fast.input_mut(0).copy_from_slice(&input);
        let mut steps = 1;
        while fast.step(budget) == Progress::Pending {
            steps += 1;
        }
        assert_eq!(fast.output(0).values, expected, "budget {budget}");
        if budget == 0 {
            assert_eq!(steps, 15 + 15, "one row of one result a step");
        }
    }
}

#[test]
fn only_the_kernels_of_its_products_are_linked() {
    use crate::kernels::linked::Variant;
    let file = opened(&writer()).unwrap();
    let variants = file.model().variants();
    assert!(variants.has(Variant::RhsTransposed) && variants.has(Variant::RhsPlain));
    assert!(variants.has(Variant::ConstantInput));
    let mut plan = writer();
    plan.ops.pop();
    plan.outputs[0] = 1;
    let variants = opened(&plan).unwrap().model().variants();
    assert!(variants.has(Variant::RhsTransposed) && !variants.has(Variant::RhsPlain));
    assert!(!variants.has(Variant::ConstantInput));
}

#[test]
fn hostile_products_are_refused() {
    let refused = |change: &dyn Fn(&mut PlanWriter), expected: LoadError| {
        let mut plan = writer();
        change(&mut plan);
        assert_eq!(opened(&plan).err(), Some(expected));
    };
    let shape = LoadError::Shape { op: 0 };
    for code in [-1, 16, i32::MAX, i32::MIN] {
        refused(&|plan| plan.ops[0].b = code, shape);
    }
    // Every other order makes other matrices of the same bytes.
    for code in 0..16 {
        if code != ORDER.code() {
            refused(&|plan| plan.ops[0].b = code, shape);
        }
    }
    refused(&|plan| plan.values[0].view.layout = Layout::Planar, shape);
    refused(&|plan| plan.values[1].view = nhwc(3, 5, 4), shape);
    refused(&|plan| plan.values[1].view = nhwc(3, 4, 5), shape);
    refused(&|plan| plan.values[1].view = nhwc(2, 5, 5), shape);
    refused(&|plan| plan.ops[0].a = -1, LoadError::Parameters { op: 0 });
    refused(&|plan| plan.ops[0].shift = 31, LoadError::Parameters { op: 0 });
    refused(&|plan| plan.ops[0].from_last_row = true, LoadError::Parameters { op: 0 });
    refused(&|plan| plan.ops[0].inputs[1] = 4, LoadError::Operand { op: 0 });
    refused(&|plan| plan.ops[0].inputs[1] = u16::MAX, LoadError::Operand { op: 0 });
    // Output on an operand, also where that would do element by element.
    refused(&|plan| plan.values[1].location = Location::Arena(4), LoadError::Overlap { op: 0 });
    refused(&|plan| plan.values[3].location = Location::Arena(64), LoadError::Overlap { op: 1 });
    // An operand that nobody has written.
    refused(&|plan| plan.values[2].location = Location::Arena(300), LoadError::Overlap { op: 1 });
    // More products than sums of 32 bits hold.
    let wide = |inner: usize| {
        let mut plan = PlanWriter { arena_bytes: 70_000, live_set_bytes: 70_000, ..PlanWriter::default() };
        let x = plan.push_value(value(nhwc(1, 1, inner), 0)).unwrap();
        let y = plan.push_value(value(nhwc(1, 1, 1), 66_064)).unwrap();
        plan.inputs.push(x);
        plan.outputs.push(y);
        plan.push_op(product(x, x, y, MatrixOrder { rhs_transposed: true, ..MatrixOrder::default() }));
        opened(&plan).err()
    };
    assert_eq!(wide(33_025), None);
    assert_eq!(wide(33_026), Some(shape));
}
