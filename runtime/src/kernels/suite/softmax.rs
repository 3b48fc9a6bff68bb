//! Case classes of softmax.

use core::cell::Cell;

use super::outcome::{Case, Difference};
use super::spec::Values;
use super::trial::{Buffers, Trial, position};
use crate::kernels::Kernels;
use crate::kernels::params::Softmax;
use crate::kernels::reference::Reference;
use crate::shape::Layout::{Nhwc, Planar};
use crate::shape::View;

/// Fills `exponentials` with a falling sequence from `2^f`, each element `ratio / 2^16` of the one before.
fn fill_exponentials(exponentials: &mut [u32; 256], channels: usize, ratio: u32) {
    let f = (channels.max(1) as u32 - 1).checked_ilog2().map_or(31, |log| 30 - log).min(24);
    let mut e = 1u32 << f;
    for element in exponentials {
        *element = e;
        e = ((u64::from(e) * u64::from(ratio)) >> 16) as u32;
    }
}

/// Compares one case.
fn case<K: Kernels>(
    trial: &mut Trial<'_>,
    view: View,
    ratio: u32,
    quantization: (i32, i8),
    values: Values,
    in_place: bool,
) {
    if trial.has_failed() {
        return;
    }
    let len = view.extent.len();
    let case = Case { input: view, output: view, window: None, groups: 1 };
    trial.fill_input(len, values);
    let Buffers { input, expected, actual, exponentials, .. } = &mut *trial.buffers;
    fill_exponentials(exponentials, view.extent.c, ratio);
    let op = Softmax {
        view,
        exponentials: &*exponentials,
        mantissa: quantization.0,
        output_zero_point: quantization.1,
    };
    let (Some(input), Some(expected), Some(actual)) =
        (input.get_mut(..len), expected.get_mut(..len), actual.get_mut(..len))
    else {
        trial.fail(case, 0..0, Difference::Buffers);
        return;
    };
    let input = Cell::from_mut(input).as_slice_of_cells();
    let expected = Cell::from_mut(expected).as_slice_of_cells();
    let actual = Cell::from_mut(actual).as_slice_of_cells();
    Reference::softmax(&op, input, expected);
    let output = if in_place { input } else { actual };
    if !in_place {
        output.iter().zip(expected).for_each(|(output, expected)| output.set(!expected.get()));
    }
    K::softmax(&op, input, output);
    let different =
        output.iter().zip(expected).enumerate().find(|(_, (got, expected))| got.get() != expected.get());
    let failed = different.map(|(index, (got, expected))| {
        let (y, x, c) = position(view, index);
        let (got, expected) = (got.get(), expected.get());
        (0..view.extent.h, Difference::Element { y, x, c, got, expected, acc: None })
    });
    trial.finish(case, 1, failed);
}

/// The scale 1/256 and the zero point -128 that nearly every model has.
const USUAL: (i32, i8) = (1 << 16, -128);

/// 1 to 1000 channels, in place and apart.
pub fn channels<K: Kernels>(trial: &mut Trial<'_>) {
    for c in [
        1, 2, 3, 4, 5, 7, 8, 9, 10, 12, 15, 16, 17, 31, 32, 33, 64, 100, 127, 128, 129, 255, 256, 257, 999,
        1000,
    ] {
        for in_place in [false, true] {
            case::<K>(trial, View::new(1, 1, c, Nhwc), 60_000, USUAL, Values::Random, in_place);
        }
    }
}

/// Several positions in both layouts.
pub fn positions<K: Kernels>(trial: &mut Trial<'_>) {
    for (h, w, c) in [(1, 7, 3), (4, 5, 6), (6, 1, 10), (3, 3, 32), (2, 9, 2)] {
        for layout in [Nhwc, Planar] {
            for in_place in [false, true] {
                case::<K>(trial, View::new(h, w, c, layout), 63_000, USUAL, Values::Random, in_place);
            }
        }
    }
}

/// Steep and flat exponentials, equal and saturated inputs, other scales and zero points.
pub fn extremes<K: Kernels>(trial: &mut Trial<'_>) {
    for ratio in [0, 1, 6_000, 40_000, 65_000, 65_535] {
        for values in [Values::Random, Values::Small, Values::Lowest, Values::Highest] {
            for quantization in [USUAL, (1 << 15, 0), (1_234_567, 127), (i32::MAX, -128), (0, 5)] {
                for c in [1, 2, 10, 300] {
                    case::<K>(trial, View::new(1, 1, c, Nhwc), ratio, quantization, values, true);
                }
            }
        }
    }
}
