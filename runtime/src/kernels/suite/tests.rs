//! The suite itself: it finds a single wrong element, in every operator.

extern crate std;

use core::cell::Cell;
use core::ops::Range;
use std::string::ToString;
use std::vec::Vec;

use super::{Buffers, Outcome, classes, run, run_class};
use crate::kernels::Kernels;
use crate::kernels::linked::{All, Linked};
use crate::kernels::params::*;
use crate::kernels::reference::Reference;

/// The reference with one wrong element per call, in the last row, in the operator number `OPERATOR`.
struct Faulty<const OPERATOR: usize>;

fn damage(is_faulty: bool, output: &mut [i8], is_last: bool) {
    if let Some(last) = output.last_mut().filter(|_| is_faulty && is_last) {
        *last = last.wrapping_add(1);
    }
}

fn damage_cells(is_faulty: bool, output: &[Cell<i8>]) {
    if let Some(last) = output.last().filter(|_| is_faulty) {
        last.set(last.get().wrapping_add(1));
    }
}

impl<const OPERATOR: usize> Kernels for Faulty<OPERATOR> {
    const NAME: &'static str = "faulty";
    type For<L: Linked> = Self;
    type Variants = All;
    const READS: &'static [Packing] = Reference::READS;

    fn conv_2d_scratch_len(op: &Conv2d<'_>) -> usize {
        Reference::conv_2d_scratch_len(op)
    }

    fn conv_2d(op: &Conv2d<'_>, input: &[i8], output: &mut [i8], rows: Range<usize>, scratch: &mut [i8]) {
        Reference::conv_2d(op, input, output, rows.clone(), scratch);
        damage(OPERATOR == 0, output, rows.end == op.output.extent.h);
    }

    fn depthwise_conv_2d_scratch_len(op: &DepthwiseConv2d<'_>) -> usize {
        Reference::depthwise_conv_2d_scratch_len(op)
    }

    fn depthwise_conv_2d(
        op: &DepthwiseConv2d<'_>,
        input: &[i8],
        output: &mut [i8],
        rows: Range<usize>,
        scratch: &mut [i8],
    ) {
        Reference::depthwise_conv_2d(op, input, output, rows.clone(), scratch);
        damage(OPERATOR == 1, output, rows.end == op.output.extent.h);
    }

    fn fully_connected(op: &FullyConnected<'_>, input: &[i8], output: &mut [i8], outputs: Range<usize>) {
        Reference::fully_connected(op, input, output, outputs.clone());
        damage(OPERATOR == 2, output, outputs.end == op.outputs);
    }

    fn mat_mul(op: &MatMul, lhs: &[i8], rhs: &[i8], output: &mut [i8], rows: Range<usize>) {
        Reference::mat_mul(op, lhs, rhs, output, rows.clone());
        damage(OPERATOR == 10, output, rows.end == op.output_rows());
    }

    fn max_pool_2d(op: &MaxPool2d, input: &[i8], output: &mut [i8], rows: Range<usize>) {
        Reference::max_pool_2d(op, input, output, rows.clone());
        damage(OPERATOR == 3, output, rows.end == op.output.extent.h);
    }

    fn average_pool_2d(op: &AveragePool2d, input: &[i8], output: &mut [i8], rows: Range<usize>) {
        Reference::average_pool_2d(op, input, output, rows.clone());
        damage(OPERATOR == 4, output, rows.end == op.output.extent.h);
    }

    fn add(op: &Add, lhs: &[Cell<i8>], rhs: &[Cell<i8>], output: &[Cell<i8>]) {
        Reference::add(op, lhs, rhs, output);
        damage_cells(OPERATOR == 5, output);
    }

    fn mul(op: &Mul, lhs: &[Cell<i8>], rhs: &[Cell<i8>], output: &[Cell<i8>]) {
        Reference::mul(op, lhs, rhs, output);
        damage_cells(OPERATOR == 6, output);
    }

    fn lookup(table: &[i8], input: &[Cell<i8>], output: &[Cell<i8>]) {
        Reference::lookup(table, input, output);
        damage_cells(OPERATOR == 7, output);
    }

    fn softmax(op: &Softmax<'_>, input: &[Cell<i8>], output: &[Cell<i8>]) {
        Reference::softmax(op, input, output);
        damage_cells(OPERATOR == 8, output);
    }

    fn place(op: &Place, input: &[i8], output: &mut [i8], rows: Range<usize>) {
        Reference::place(op, input, output, rows.clone());
        damage(OPERATOR == 9, output, rows.end == op.input.extent.h);
    }
}

/// Every class whose name begins with `prefix` fails.
fn expect_failures<K: Kernels>(prefix: &str) {
    let mut buffers = Buffers::new();
    let classes = classes::<K>().into_iter().filter(|(name, _)| name.starts_with(prefix));
    let count = classes
        .map(|(name, class)| match run_class::<K>(&mut buffers, name, class, 1) {
            Outcome::Failed(failure) => assert!(failure.to_string().contains(" got "), "{failure}"),
            Outcome::Passed { .. } => panic!("{name} does not see a wrong element"),
        })
        .count();
    assert!(count > 0);
}

#[test]
fn one_wrong_element_fails_every_class_of_its_operator() {
    expect_failures::<Faulty<0>>("conv_2d/");
    expect_failures::<Faulty<1>>("depthwise_conv_2d/");
    expect_failures::<Faulty<2>>("fully_connected/");
    expect_failures::<Faulty<3>>("pool/max");
    expect_failures::<Faulty<4>>("pool/average");
    expect_failures::<Faulty<5>>("elementwise/add");
    expect_failures::<Faulty<6>>("elementwise/mul");
    expect_failures::<Faulty<7>>("elementwise/lookup");
    expect_failures::<Faulty<8>>("softmax/");
    expect_failures::<Faulty<9>>("place/");
    expect_failures::<Faulty<10>>("mat_mul/");
}

#[test]
fn a_run_reports_every_class_once() {
    let mut names = Vec::new();
    run::<Reference>(&mut |name, outcome| {
        assert!(matches!(outcome, Outcome::Passed { calls: 1.. }), "{name}");
        names.push(name.to_string());
    });
    assert_eq!(names.len(), super::CLASSES);
}

#[test]
fn a_failure_says_where() {
    let mut buffers = Buffers::new();
    let (name, class) = classes::<Faulty<0>>()[0];
    let Outcome::Failed(failure) = run_class::<Faulty<0>>(&mut buffers, name, class, 1) else {
        panic!("the fault was not found")
    };
    let text = failure.to_string();
    for part in [
        "faulty conv_2d/k_remainders: 2x3x1 nhwc -> 2x3x5 nhwc, window 1x1 stride 1x1",
        "rows 0..2: at y 1 x 2 c 4 got ",
        " from accumulator ",
    ] {
        assert!(text.contains(part), "{text}");
    }
}
