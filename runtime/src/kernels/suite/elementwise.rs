//! Case classes of sum, product and table look-up, separate and in place.

use core::cell::Cell;

use super::outcome::{Case, Difference};
use super::spec::Values;
use super::trial::{Buffers, Trial, position};
use crate::kernels::Kernels;
use crate::kernels::params::{Add, Mul};
use crate::kernels::reference::Reference;
use crate::quant::{AddCoefficients, QuantParams};
use crate::shape::Layout::{Nhwc, Planar};
use crate::shape::View;

/// Where the output lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Apart,
    OnLhs,
    OnRhs,
}

type Operator<'o> = &'o dyn Fn(&[Cell<i8>], &[Cell<i8>], &[Cell<i8>]);

/// Compares `kernel` with `reference` on a value of extent `view` and a second operand of `rhs_len` elements.
fn compare(
    trial: &mut Trial<'_>,
    view: View,
    rhs_len: usize,
    place: Place,
    values: Values,
    reference: Operator<'_>,
    kernel: Operator<'_>,
) {
    if trial.has_failed() {
        return;
    }
    let len = view.extent.len();
    let case = Case { input: view, output: view, window: None, groups: 1 };
    trial.fill_input(len, values);
    let mut random = trial.random;
    let Buffers { input, weights, expected, actual, .. } = &mut *trial.buffers;
    let (Some(lhs), Some(rhs), Some(expected), Some(actual)) =
        (input.get_mut(..len), weights.get_mut(..rhs_len), expected.get_mut(..len), actual.get_mut(..len))
    else {
        trial.fail(case, 0..0, Difference::Buffers);
        return;
    };
    rhs.fill_with(|| random.value());
    let expected = Cell::from_mut(expected).as_slice_of_cells();
    let (lhs, rhs) = (Cell::from_mut(lhs).as_slice_of_cells(), Cell::from_mut(rhs).as_slice_of_cells());
    let output = match place {
        Place::Apart => Cell::from_mut(actual).as_slice_of_cells(),
        Place::OnLhs => lhs,
        Place::OnRhs => rhs,
    };
    reference(lhs, rhs, expected);
    if place == Place::Apart {
        output.iter().zip(expected).for_each(|(output, expected)| output.set(!expected.get()));
    }
    kernel(lhs, rhs, output);
    let different =
        output.iter().zip(expected).enumerate().find(|(_, (got, expected))| got.get() != expected.get());
    let failed = different.map(|(index, (got, expected))| {
        let (y, x, c) = position(view, index);
        let (got, expected) = (got.get(), expected.get());
        (0..view.extent.h, Difference::Element { y, x, c, got, expected, acc: None })
    });
    trial.random = random;
    trial.finish(case, 1, failed);
}

const LENGTHS: [usize; 13] = [1, 2, 3, 7, 8, 9, 15, 16, 17, 63, 64, 65, 1000];

fn params(trial: &mut Trial<'_>) -> QuantParams {
    let step = trial.random.within(1, 1000) as f32;
    QuantParams { scale: step / 4000.0, zero_point: trial.random.value() }
}

/// Sum: lengths around the block sizes, scales and zero points at random, both operands as output.
pub fn add<K: Kernels>(trial: &mut Trial<'_>) {
    for (i, len) in LENGTHS.iter().copied().cycle().take(8 * LENGTHS.len()).enumerate() {
        let (lhs, rhs, mut output) = (params(trial), params(trial), params(trial));
        output.scale = output.scale.max(lhs.scale.max(rhs.scale) / 8.0);
        let Some(coefficients) = AddCoefficients::new(lhs, rhs, output) else { continue };
        let (output_min, output_max) =
            [(-128, 127), (0, 127), (-128, 3), (-9, 9)].get(i % 4).copied().unwrap_or((0, 0));
        let op = Add { coefficients, output_min, output_max };
        for place in [Place::Apart, Place::OnLhs, Place::OnRhs] {
            let view = View::new(1, 1, len, Nhwc);
            let values = [Values::Random, Values::Lowest, Values::Highest].get(i / LENGTHS.len() % 3);
            let values = values.copied().unwrap_or(Values::Random);
            compare(trial, view, len, place, values, &|a, b, o| Reference::add(&op, a, b, o), &|a, b, o| {
                K::add(&op, a, b, o);
            });
        }
    }
}

/// Product: element by element and by channel, both layouts, factors below and above 1.
pub fn mul<K: Kernels>(trial: &mut Trial<'_>) {
    for (h, w, c) in
        [(1, 1, 1), (1, 1, 33), (3, 5, 7), (4, 16, 8), (2, 3, 16), (5, 1, 17), (1, 40, 3), (2, 2, 64)]
    {
        for layout in [Nhwc, Planar] {
            for (mantissa, shift) in [
                (12_345_678, 0),
                ((1 << 30) - 1, 0),
                (i32::MAX, 0),
                (1_600_000_000, 2),
                (i32::MAX, 30),
                (0, 0),
            ] {
                for (output_min, output_max) in [(-128, 127), (-30, 60)] {
                    let view = View::new(h, w, c, layout);
                    // Of int8 at both ends the largest products.
                    let (lhs_zero_point, rhs_zero_point) = match output_max {
                        127 => (trial.random.value(), trial.random.value()),
                        _ => (i8::MIN, i8::MAX),
                    };
                    let zero = trial.random.value();
                    let mut op = Mul {
                        lhs_zero_point,
                        rhs_zero_point,
                        view,
                        rhs_per_channel: false,
                        mantissa,
                        shift,
                        output_zero_point: zero,
                        output_min,
                        output_max,
                    };
                    let len = view.extent.len();
                    for (rhs_len, place) in [
                        (len, Place::Apart),
                        (len, Place::OnLhs),
                        (len, Place::OnRhs),
                        (c, Place::Apart),
                        (c, Place::OnLhs),
                    ] {
                        op.rhs_per_channel = rhs_len == c && place != Place::OnRhs && h * w > 1;
                        let values = if zero % 4 == 0 { Values::Highest } else { Values::Random };
                        compare(
                            trial,
                            view,
                            rhs_len,
                            place,
                            values,
                            &|a, b, o| Reference::mul(&op, a, b, o),
                            &|a, b, o| {
                                K::mul(&op, a, b, o);
                            },
                        );
                    }
                }
            }
        }
    }
}

/// Table look-up: every input value, lengths around the block sizes, in place.
pub fn lookup<K: Kernels>(trial: &mut Trial<'_>) {
    for len in LENGTHS {
        let mut table = [0i8; 256];
        table.fill_with(|| trial.random.value());
        for place in [Place::Apart, Place::OnLhs] {
            for values in [Values::Random, Values::Lowest, Values::Highest] {
                let view = View::new(1, 1, len, Nhwc);
                compare(
                    trial,
                    view,
                    0,
                    place,
                    values,
                    &|a, _, o| Reference::lookup(&table, a, o),
                    &|a, _, o| {
                        K::lookup(&table, a, o);
                    },
                );
            }
        }
    }
}
