//! Parameters of a product of two stacks of matrices.

use core::ops::Range;

use crate::quant::requantize;

/// Where the matrices of a stack lie: the elements of a row lie side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Stack {
    /// Elements from a matrix to the next; 0 for one matrix that takes part in every product.
    pub matrix_stride: usize,
    /// Elements from a row to the next.
    pub row_stride: usize,
}

impl Stack {
    /// Place of row `row` of matrix `matrix`.
    #[inline(always)]
    pub const fn row(self, matrix: usize, row: usize) -> usize {
        matrix.wrapping_mul(self.matrix_stride).wrapping_add(row.wrapping_mul(self.row_stride))
    }
}

/// Products of the matrices of two values, pair by pair: `[rows][inner]` by `[inner][columns]`.
#[derive(Clone, Copy, Debug)]
pub struct MatMul {
    /// Products.
    pub matrices: usize,
    /// Rows of a left matrix and of a result.
    pub rows: usize,
    /// Products per output, at most [`MatMul::MAX_INNER`]: columns of a left matrix, rows of a right one.
    pub inner: usize,
    /// Columns of a right matrix and of a result.
    pub columns: usize,
    /// Left matrices, rows of `inner` elements.
    pub lhs: Stack,
    /// Right matrices: rows of `columns` elements, or of `inner` where they are held transposed.
    pub rhs: Stack,
    /// Whether right matrices are held transposed, `[columns][inner]`.
    pub rhs_transposed: bool,
    /// Whether the results lie row by row, `[rows][matrices][columns]`, or one after the other,
    /// `[matrices][rows][columns]`.
    pub output_by_row: bool,
    /// Zero point of the left operand.
    pub lhs_zero_point: i8,
    /// Zero point of the right operand.
    pub rhs_zero_point: i8,
    /// Q0.31 mantissa of `lhs_scale * rhs_scale / output_scale`.
    pub mantissa: i32,
    /// Left shift of that factor.
    pub shift: u8,
    /// Zero point of the output.
    pub output_zero_point: i8,
    /// Lower clamp.
    pub output_min: i8,
    /// Upper clamp.
    pub output_max: i8,
}

/// Output rows that belong to one result, at equal distances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The result.
    pub matrix: usize,
    /// First row in it.
    pub row: usize,
    /// Number of rows.
    pub count: usize,
    /// Position of the first row among the output rows of the call.
    pub place: usize,
    /// Output rows from one of the run to the next.
    pub step: usize,
}

impl MatMul {
    /// Largest `inner` for which `inner * 255 * 255` fits 32 bits with a sign.
    pub const MAX_INNER: usize = 33_025;

    /// Output rows, in the order in which they lie.
    pub const fn output_rows(&self) -> usize {
        self.matrices.saturating_mul(self.rows)
    }

    /// The output rows `range`, result by result.
    #[inline(always)]
    pub fn runs(&self, range: Range<usize>) -> impl Iterator<Item = Run> + use<> {
        let (matrices, rows, by_row) = (self.matrices, self.rows, self.output_by_row);
        let (start, end) = (range.start, range.end.min(self.output_rows()));
        let (first, last) = if by_row {
            (0, matrices)
        } else {
            (start / rows.max(1), end.saturating_add(rows).saturating_sub(1) / rows.max(1))
        };
        (first..last).filter_map(move |matrix| {
            let run = if by_row {
                // The first row of this result that does not lie before the range.
                let row =
                    start.saturating_add(matrices).saturating_sub(1).saturating_sub(matrix) / matrices.max(1);
                let first = row.wrapping_mul(matrices).wrapping_add(matrix);
                let count =
                    end.saturating_add(matrices).saturating_sub(1).saturating_sub(matrix) / matrices.max(1);
                let count = count.saturating_sub(row);
                Run { matrix, row, count, place: first.wrapping_sub(start), step: matrices }
            } else {
                let of_matrix = matrix.wrapping_mul(rows);
                let first = of_matrix.max(start);
                let count = end.min(of_matrix.wrapping_add(rows)).saturating_sub(first);
                let row = first.wrapping_sub(of_matrix);
                Run { matrix, row, count, place: first.wrapping_sub(start), step: 1 }
            };
            (run.count > 0).then_some(run)
        })
    }

    /// An exact sum of products as an output value.
    #[inline(always)]
    pub fn finish(&self, sum: i32) -> i8 {
        requantize(sum, self.mantissa, self.shift, self.output_zero_point, self.output_min, self.output_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_cover_every_output_row_once() {
        for by_row in [false, true] {
            for (matrices, rows) in [(1, 1), (1, 5), (3, 1), (3, 4), (4, 3)] {
                let op = MatMul { matrices, rows, output_by_row: by_row, ..product() };
                for start in 0..=matrices * rows {
                    for end in start..=matrices * rows {
                        let mut seen = [0; 16];
                        for run in op.runs(start..end) {
                            for i in 0..run.count {
                                let (row, place) = (run.row + i, start + run.place + i * run.step);
                                let expected = if by_row {
                                    row * matrices + run.matrix
                                } else {
                                    run.matrix * rows + row
                                };
                                assert_eq!(place, expected);
                                seen[place] += 1;
                            }
                        }
                        assert!((0..16).all(|p| seen[p] == u8::from((start..end).contains(&p))));
                    }
                }
            }
        }
    }

    #[test]
    fn the_widest_sum_fits() {
        assert!(i32::try_from(MatMul::MAX_INNER * 255 * 255).is_ok());
        assert!(i32::try_from((MatMul::MAX_INNER + 1) * 255 * 255).is_err());
    }

    fn product() -> MatMul {
        MatMul {
            matrices: 1,
            rows: 1,
            inner: 1,
            columns: 1,
            lhs: Stack::default(),
            rhs: Stack::default(),
            rhs_transposed: false,
            output_by_row: false,
            lhs_zero_point: 0,
            rhs_zero_point: 0,
            mantissa: 0,
            shift: 0,
            output_zero_point: 0,
            output_min: -128,
            output_max: 127,
        }
    }
}
