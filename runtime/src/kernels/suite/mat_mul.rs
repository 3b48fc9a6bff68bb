//! Case classes of the product of two stacks of matrices.

use super::outcome::{Case, Difference};
use super::spec::{Numbers, Values};
use super::trial::{Buffers, Trial, row_ranges};
use crate::kernels::Kernels;
use crate::kernels::params::{MatMul, Stack};
use crate::kernels::reference::{
    Reference,
    mat_mul::{accumulator, position},
};
use crate::shape::{Layout, View};

/// A case.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Products.
    pub matrices: usize,
    /// Rows of the left matrices.
    pub rows: usize,
    /// Products per output.
    pub inner: usize,
    /// Columns of the results.
    pub columns: usize,
    /// Whether right matrices are held transposed.
    pub rhs_transposed: bool,
    /// Whether left matrices lie row by row.
    pub lhs_by_row: bool,
    /// Whether right matrices lie row by row.
    pub rhs_by_row: bool,
    /// Whether results lie row by row.
    pub output_by_row: bool,
    /// Whether there is one left matrix for all products.
    pub shared_lhs: bool,
    /// Whether there is one right matrix for all products.
    pub shared_rhs: bool,
    /// Elements between rows that belong to no matrix.
    pub gap: usize,
    /// Zero point of the right operand.
    pub rhs_zero_point: i8,
    /// Everything else; the zero point of the input is the left operand's.
    pub numbers: Numbers,
    /// Whether every range of rows is computed by itself.
    pub every_range: bool,
}

impl Spec {
    /// One product, its operands as they are.
    pub const fn new(rows: usize, inner: usize, columns: usize) -> Self {
        Self {
            matrices: 1,
            rows,
            inner,
            columns,
            rhs_transposed: false,
            lhs_by_row: false,
            rhs_by_row: false,
            output_by_row: false,
            shared_lhs: false,
            shared_rhs: false,
            gap: 0,
            rhs_zero_point: 7,
            numbers: Numbers::ORDINARY,
            every_range: false,
        }
    }

    /// The same with the right matrix held transposed or not.
    pub const fn transposed(self, rhs_transposed: bool) -> Self {
        Self { rhs_transposed, ..self }
    }
}

/// Where the rows of a stack lie, and how many elements it has.
fn stack(matrices: usize, rows: usize, row_len: usize, by_row: bool, shared: bool) -> (Stack, usize) {
    let (matrix_stride, row_stride, len) = match (shared, by_row) {
        (true, _) => (0, row_len, rows * row_len),
        (false, true) => (row_len, matrices * row_len, matrices * rows * row_len),
        (false, false) => (rows * row_len, row_len, matrices * rows * row_len),
    };
    (Stack { matrix_stride, row_stride }, len)
}

/// Compares one case.
pub fn case<K: Kernels>(trial: &mut Trial<'_>, spec: Spec) {
    if trial.has_failed() {
        return;
    }
    let Spec { matrices, rows, inner, columns, numbers, .. } = spec;
    let (lhs, lhs_len) = stack(matrices, rows, inner + spec.gap, spec.lhs_by_row, spec.shared_lhs);
    let (rhs_rows, rhs_columns) = if spec.rhs_transposed { (columns, inner) } else { (inner, columns) };
    let (rhs, rhs_len) = stack(matrices, rhs_rows, rhs_columns + spec.gap, spec.rhs_by_row, spec.shared_rhs);
    let output = View::new(matrices * rows, 1, columns, Layout::Nhwc);
    let input = View::new(matrices, rows, inner, Layout::Nhwc);
    let case = Case { input, output, window: None, groups: 1 };
    // Most outputs fall inside the range: the deviation of a sum of products is about 5500 times the root of their number.
    let usual = 40_000_000 / (inner.isqrt() as i32 + 1);
    let mantissa = match (numbers.values, trial.random.within(0, 9)) {
        (Values::Small, _) => trial.random.within(1 << 29, i32::MAX),
        (_, 0) => i32::MAX,
        (_, 1) => 0,
        _ => trial.random.within(usual / 4, usual),
    };
    let op = MatMul {
        matrices,
        rows,
        inner,
        columns,
        lhs,
        rhs,
        rhs_transposed: spec.rhs_transposed,
        output_by_row: spec.output_by_row,
        lhs_zero_point: numbers.input_zero_point,
        rhs_zero_point: spec.rhs_zero_point,
        mantissa,
        shift: numbers.shift,
        output_zero_point: numbers.output_zero_point,
        output_min: numbers.output_min,
        output_max: numbers.output_max,
    };
    trial.fill_input(lhs_len, numbers.values);
    let mut random = trial.random;
    let output_len = output.extent.len();
    let Buffers { input: left, weights: right, expected, actual, .. } = &mut *trial.buffers;
    let (Some(left), Some(right), Some(expected), Some(actual)) = (
        left.get(..lhs_len),
        right.get_mut(..rhs_len),
        expected.get_mut(..output_len),
        actual.get_mut(..output_len),
    ) else {
        return trial.fail(case, 0..0, Difference::Buffers);
    };
    right.fill_with(|| match numbers.values {
        Values::Random => random.value(),
        Values::Small => random.within(-2, 2) as i8,
        Values::Lowest => -128,
        Values::Highest => 127,
    });
    Reference::mat_mul(&op, left, right, expected, 0..op.output_rows());
    let mut calls = 0;
    let failed = row_ranges(op.output_rows(), spec.every_range, &mut random).find_map(|range| {
        calls += 1;
        let expected = expected.get(range.start * columns..range.end * columns)?;
        let actual = actual.get_mut(..expected.len())?;
        for (actual, expected) in actual.iter_mut().zip(expected) {
            *actual = !expected; // an element that stays unwritten differs
        }
        K::mat_mul(&op, left, right, actual, range.clone());
        let (index, (&got, &expected)) =
            actual.iter().zip(expected).enumerate().find(|(_, (got, expected))| got != expected)?;
        let (y, c) = (range.start + index / columns.max(1), index % columns.max(1));
        let (matrix, row) = position(&op, y);
        let acc = Some(accumulator(&op, left, right, (matrix, row, c)));
        Some((range, Difference::Element { y, x: 0, c, got, expected, acc }))
    });
    trial.random = random;
    trial.finish(case, calls, failed);
}

const BOTH: [bool; 2] = [false, true];

/// Products per output around the block sizes.
pub fn k_remainders<K: Kernels>(trial: &mut Trial<'_>) {
    for inner in (1..=20).chain([31, 32, 33, 47, 63, 64, 65, 127, 128, 129]) {
        for transposed in BOTH {
            case::<K>(trial, Spec::new(3, inner, 9).transposed(transposed));
        }
    }
}

/// Columns around the block sizes.
pub fn column_blocks<K: Kernels>(trial: &mut Trial<'_>) {
    for columns in (1..=20).chain([31, 32, 33, 63, 64, 65]) {
        for transposed in BOTH {
            for inner in [1, 6, 16, 29] {
                case::<K>(trial, Spec::new(2, inner, columns).transposed(transposed));
            }
        }
    }
}

/// Rows around the block sizes.
pub fn row_blocks<K: Kernels>(trial: &mut Trial<'_>) {
    for rows in (1..=9).chain([15, 16, 17, 33]) {
        for transposed in BOTH {
            case::<K>(trial, Spec::new(rows, 17, 10).transposed(transposed));
        }
    }
}

/// Several products, operands and results in every order, one operand for all, gaps between rows.
pub fn stacks<K: Kernels>(trial: &mut Trial<'_>) {
    for order in 0..16 {
        let bit = |at: u32| order >> at & 1 == 1;
        for (matrices, rows, inner, columns) in [(2, 3, 5, 4), (3, 4, 16, 7), (4, 1, 8, 17), (5, 5, 3, 1)] {
            for (shared_lhs, shared_rhs) in [(false, false), (true, false), (false, true)] {
                let spec = Spec {
                    matrices,
                    rhs_transposed: bit(0),
                    lhs_by_row: bit(1),
                    rhs_by_row: bit(2),
                    output_by_row: bit(3),
                    shared_lhs,
                    shared_rhs,
                    gap: matrices % 3,
                    ..Spec::new(rows, inner, columns)
                };
                case::<K>(trial, spec);
            }
        }
    }
}

/// Zero points at both ends and between.
pub fn zero_points<K: Kernels>(trial: &mut Trial<'_>) {
    for input_zero_point in [-128, -1, 0, 127] {
        for rhs_zero_point in [-128, 0, 1, 127] {
            for output_zero_point in [-128, 0, 127] {
                for transposed in BOTH {
                    let numbers = Numbers { input_zero_point, output_zero_point, ..Numbers::ORDINARY };
                    let spec = Spec { rhs_zero_point, numbers, ..Spec::new(3, 21, 6).transposed(transposed) };
                    case::<K>(trial, spec);
                }
            }
        }
    }
}

/// Clamps, and factors above 1.
pub fn clamps_and_shifts<K: Kernels>(trial: &mut Trial<'_>) {
    for values in [Values::Small, Values::Random] {
        for shift in [0, 1, 4, 30] {
            for (output_min, output_max) in [(-128, 127), (0, 127), (-128, 5), (9, 9)] {
                for transposed in BOTH {
                    let numbers = Numbers { values, shift, output_min, output_max, ..Numbers::ORDINARY };
                    case::<K>(trial, Spec { numbers, ..Spec::new(3, 13, 9).transposed(transposed) });
                }
            }
        }
    }
}

/// The largest sums of either sign.
pub fn extremes<K: Kernels>(trial: &mut Trial<'_>) {
    for (values, zero_points) in [
        (Values::Lowest, [127, 127]),
        (Values::Lowest, [127, -128]),
        (Values::Highest, [-128, -128]),
        (Values::Highest, [-128, 127]),
        (Values::Lowest, [-128, 127]),
    ] {
        for inner in [16, 127, 512] {
            for transposed in BOTH {
                let [input_zero_point, rhs_zero_point] = zero_points;
                let numbers = Numbers { values, input_zero_point, ..Numbers::ORDINARY };
                let spec = Spec { rhs_zero_point, numbers, ..Spec::new(3, inner, 5).transposed(transposed) };
                case::<K>(trial, spec);
            }
        }
    }
}

/// Every range of output rows by itself.
pub fn row_ranges_of_output<K: Kernels>(trial: &mut Trial<'_>) {
    for transposed in BOTH {
        for output_by_row in BOTH {
            let spec = Spec { matrices: 3, output_by_row, every_range: true, ..Spec::new(4, 9, 6) };
            case::<K>(trial, spec.transposed(transposed));
            let spec = Spec { every_range: true, ..Spec::new(7, 33, 18) };
            case::<K>(trial, Spec { output_by_row, ..spec.transposed(transposed) });
        }
    }
}
