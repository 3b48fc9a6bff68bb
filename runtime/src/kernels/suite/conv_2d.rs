//! Case classes of the convolution.

use super::outcome::Difference;
use super::spec::{LAYOUTS, Numbers, Spec, Values};
use super::trial::{PACKINGS, Trial, row_ranges};
use crate::kernels::Kernels;
use crate::kernels::params::{Conv2d, Packing};
use crate::kernels::reference::{Reference, conv_2d::accumulator};
use crate::shape::Layout::{Nhwc, Planar};

/// Compares one case, in every packing that suits it.
pub fn case<K: Kernels>(trial: &mut Trial<'_>, spec: Spec) {
    PACKINGS.into_iter().for_each(|packing| case_in::<K>(trial, spec, packing));
}

fn case_in<K: Kernels>(trial: &mut Trial<'_>, spec: Spec, packing: Packing) {
    if trial.has_failed() {
        return;
    }
    let case = spec.case();
    let mut random = trial.random;
    let group_in = spec.input.2 / spec.groups;
    let k = spec.filter.0 * spec.filter.1 * group_in;
    let Some((operands, mut target)) = trial.prepare(case, k * spec.c_out, k, &spec.numbers, packing) else {
        return;
    };
    let op = Conv2d {
        input: case.input,
        output: case.output,
        window: spec.window(),
        groups: spec.groups,
        input_zero_point: spec.numbers.input_zero_point,
        weights: operands.weights,
        packing: Packing::Plain,
        bias: operands.bias,
        requantize: operands.requantize,
    };
    let rows = case.output.extent.h;
    let plain = op;
    let packed = core::mem::take(&mut target.packed);
    let op = match packing {
        Packing::Plain => plain,
        _ if !plain.suits(packing) => return,
        _ => {
            let op = Conv2d { packing, ..plain };
            let Some(packed) = packed.get_mut(..op.weights_len()) else {
                return trial.fail(case, 0..rows, Difference::Buffers);
            };
            match plain.pack(packing, packed) {
                Some(()) if !K::reads(packing) => plain,
                Some(()) => Conv2d { weights: packed, ..op },
                None => return,
            }
        }
    };
    if let Err(difference) = target.limit_scratch(K::conv_2d_scratch_len(&op)) {
        trial.fail(case, 0..rows, difference);
        return;
    }
    Reference::conv_2d(&plain, operands.input, target.expected, 0..rows, &mut []);
    let mut calls = 0;
    let failed = row_ranges(rows, spec.every_range, &mut random).find_map(|range| {
        calls += 1;
        let compute = |output: &mut [i8], scratch: &mut [i8]| {
            K::conv_2d(&op, operands.input, output, range.clone(), scratch);
        };
        let acc = |y, x, c| Some(accumulator(&plain, operands.input, y, x, c));
        target.compare(case.output, range.clone(), compute, acc).map(|difference| (range, difference))
    });
    trial.finish(case, calls, failed);
}

/// Products per output below, equal to, above and not divisible by a block.
pub fn k_remainders<K: Kernels>(trial: &mut Trial<'_>) {
    for c_in in [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 47, 48, 63, 64, 65, 100] {
        case::<K>(trial, Spec::new((2, 3, c_in), 5));
        if c_in <= 33 {
            case::<K>(trial, Spec::new((4, 4, c_in), 4).filter(3, 3));
            case::<K>(trial, Spec::new((4, 4, c_in), 4).filter(2, 3).padding([1, 1, 1, 1]));
        }
    }
}

/// Pixels and output channels around the tile sizes.
pub fn sub_tiles<K: Kernels>(trial: &mut Trial<'_>) {
    for c_out in [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 15, 16, 17, 23, 31, 32, 33, 63, 64, 65] {
        case::<K>(trial, Spec::new((2, 5, 7), c_out));
        case::<K>(trial, Spec::new((3, 3, 3), c_out).filter(3, 3).padding([1, 1, 1, 1]));
    }
    for w in 1..=17 {
        case::<K>(trial, Spec::new((2, w, 5), 6));
        case::<K>(trial, Spec::new((3, w, 5), 6).filter(3, 3).padding([1, 1, 1, 1]));
        case::<K>(trial, Spec::new((1, w, 8), 8));
    }
}

/// Strides 1 to 3 and primes, also with a filter of one element.
pub fn strides<K: Kernels>(trial: &mut Trial<'_>) {
    for (h, w) in [(1, 2), (2, 1), (2, 2), (3, 3), (2, 3), (5, 1), (1, 7), (5, 7)] {
        for layouts in LAYOUTS {
            case::<K>(
                trial,
                Spec::new((9, 10, 3), 5).filter(3, 3).stride(h, w).padding([1, 1, 1, 1]).layouts(layouts),
            );
            case::<K>(trial, Spec::new((9, 10, 4), 5).stride(h, w).layouts(layouts));
        }
        case::<K>(trial, Spec::new((11, 11, 2), 4).filter(5, 4).stride(h, w).padding([0, 1, 2, 2]));
    }
}

/// Filters with holes.
pub fn dilation<K: Kernels>(trial: &mut Trial<'_>) {
    for (h, w) in [(2, 2), (1, 2), (3, 1), (3, 5)] {
        for layouts in LAYOUTS {
            case::<K>(trial, Spec::new((9, 12, 5), 6).filter(3, 3).dilation(h, w).layouts(layouts));
            let padded =
                Spec::new((8, 9, 3), 5).filter(2, 3).dilation(h, w).padding([h, w, h, w]).stride(1, 2);
            case::<K>(trial, padded.layouts(layouts));
        }
    }
}

/// Padding that differs on the four sides, with an input zero point that is not 0.
pub fn padding<K: Kernels>(trial: &mut Trial<'_>) {
    for padding in
        [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [2, 1, 0, 3], [0, 3, 2, 1], [4, 4, 4, 4]]
    {
        for layouts in LAYOUTS {
            case::<K>(trial, Spec::new((5, 6, 3), 5).filter(3, 3).padding(padding).layouts(layouts));
            case::<K>(
                trial,
                Spec::new((6, 5, 4), 3).filter(5, 4).padding(padding).stride(2, 2).layouts(layouts),
            );
            case::<K>(trial, Spec::new((3, 3, 8), 4).padding(padding).layouts(layouts));
        }
    }
}

/// Groups with equal and unequal numbers of input and output channels.
pub fn groups<K: Kernels>(trial: &mut Trial<'_>) {
    for (c_in, c_out, groups) in
        [(4, 4, 2), (6, 9, 3), (8, 4, 4), (5, 5, 5), (4, 12, 4), (16, 8, 2), (12, 24, 3)]
    {
        for layouts in LAYOUTS {
            case::<K>(trial, Spec::new((4, 5, c_in), c_out).groups(groups).layouts(layouts));
            let filtered = Spec::new((5, 5, c_in), c_out).groups(groups).filter(3, 3).padding([1, 1, 1, 1]);
            case::<K>(trial, filtered.layouts(layouts));
            case::<K>(trial, filtered.stride(2, 2).layouts(layouts));
        }
    }
}

/// Every combination of layouts, with shapes that tell height, width and channels apart.
pub fn layouts<K: Kernels>(trial: &mut Trial<'_>) {
    for layouts in LAYOUTS {
        for (c_in, c_out) in [(3, 8), (8, 3), (5, 7), (16, 16), (1, 4), (4, 1), (2, 2)] {
            case::<K>(trial, Spec::new((3, 7, c_in), c_out).layouts(layouts));
            case::<K>(
                trial,
                Spec::new((4, 6, c_in), c_out).filter(3, 3).padding([1, 1, 1, 1]).layouts(layouts),
            );
            case::<K>(trial, Spec::new((5, 6, c_in), c_out).filter(3, 2).stride(2, 2).layouts(layouts));
        }
    }
}

/// Clamps at both ends and inside.
pub fn clamps<K: Kernels>(trial: &mut Trial<'_>) {
    for (output_min, output_max) in
        [(-128, 127), (-128, 0), (0, 127), (-20, 33), (127, 127), (-128, -128), (3, 100)]
    {
        let numbers = Numbers { output_min, output_max, ..Numbers::ORDINARY };
        case::<K>(trial, Spec::new((4, 4, 9), 7).numbers(numbers));
        case::<K>(trial, Spec::new((4, 4, 5), 7).filter(3, 3).padding([1, 1, 1, 1]).numbers(numbers));
    }
}

/// Zero points of input and output at both ends.
pub fn zero_points<K: Kernels>(trial: &mut Trial<'_>) {
    for input_zero_point in [-128, -1, 0, 127] {
        for output_zero_point in [-128, 0, 127] {
            let numbers = Numbers { input_zero_point, output_zero_point, ..Numbers::ORDINARY };
            case::<K>(trial, Spec::new((4, 4, 9), 7).padding([1, 1, 1, 1]).numbers(numbers));
            case::<K>(trial, Spec::new((4, 4, 5), 6).filter(3, 3).padding([1, 1, 1, 1]).numbers(numbers));
        }
    }
}

/// Factors of 1 and more, and accumulators that saturate under the shift.
pub fn shifts<K: Kernels>(trial: &mut Trial<'_>) {
    for shift in [1, 2, 5, 13, 29, 30] {
        for values in [Values::Small, Values::Random] {
            let numbers = Numbers { shift, values, ..Numbers::ORDINARY };
            case::<K>(trial, Spec::new((4, 4, 3), 6).numbers(numbers));
            case::<K>(trial, Spec::new((4, 4, 2), 6).filter(3, 3).padding([1, 1, 1, 1]).numbers(numbers));
        }
    }
}

/// The largest sums in both directions.
pub fn extremes<K: Kernels>(trial: &mut Trial<'_>) {
    for values in [Values::Lowest, Values::Highest] {
        for input_zero_point in [-128, 127] {
            let numbers = Numbers { values, input_zero_point, ..Numbers::ORDINARY };
            case::<K>(trial, Spec::new((2, 2, 400), 5).numbers(numbers));
            case::<K>(trial, Spec::new((3, 3, 50), 4).filter(3, 3).padding([1, 1, 1, 1]).numbers(numbers));
        }
    }
}

/// Every range of output rows by itself.
pub fn row_ranges_of_output<K: Kernels>(trial: &mut Trial<'_>) {
    for layouts in LAYOUTS {
        case::<K>(trial, Spec::new((5, 3, 6), 5).layouts(layouts).every_range());
        let filtered = Spec::new((7, 5, 3), 4).filter(3, 3).padding([1, 1, 1, 1]).layouts(layouts);
        case::<K>(trial, filtered.every_range());
        case::<K>(trial, filtered.stride(2, 2).every_range());
        case::<K>(trial, filtered.filter(4, 3).padding([2, 1, 1, 1]).stride(3, 1).every_range());
    }
}

/// First layers: one and three input channels.
pub fn few_channels<K: Kernels>(trial: &mut Trial<'_>) {
    for c_in in [1, 2, 3, 4] {
        for c_out in [4, 8, 16] {
            case::<K>(trial, Spec::new((8, 8, c_in), c_out).filter(3, 3).stride(2, 2).padding([0, 0, 1, 1]));
            case::<K>(trial, Spec::new((6, 9, c_in), c_out).filter(5, 4).stride(2, 2).padding([2, 1, 2, 2]));
            case::<K>(
                trial,
                Spec::new((10, 6, c_in), c_out).filter(10, 4).padding([4, 1, 5, 2]).stride(2, 2),
            );
        }
    }
}

/// Signals over time: width 1.
pub fn one_dimensional<K: Kernels>(trial: &mut Trial<'_>) {
    for layouts in LAYOUTS {
        for c_in in [1, 3, 8] {
            case::<K>(trial, Spec::new((20, 1, c_in), 6).filter(3, 1).padding([1, 0, 1, 0]).layouts(layouts));
            case::<K>(trial, Spec::new((20, 1, c_in), 6).filter(5, 1).stride(2, 1).layouts(layouts));
            case::<K>(
                trial,
                Spec::new((20, 1, c_in), 6)
                    .filter(3, 1)
                    .dilation(4, 1)
                    .padding([8, 0, 0, 0])
                    .layouts(layouts),
            );
            case::<K>(trial, Spec::new((20, 1, c_in), 6).layouts(layouts));
        }
    }
}

/// Inputs smaller than the filter.
pub fn small_inputs<K: Kernels>(trial: &mut Trial<'_>) {
    for layouts in [(Nhwc, Nhwc), (Planar, Planar)] {
        case::<K>(trial, Spec::new((1, 1, 4), 5).filter(3, 3).padding([1, 1, 1, 1]).layouts(layouts));
        case::<K>(trial, Spec::new((2, 1, 4), 5).filter(3, 5).padding([1, 2, 1, 2]).layouts(layouts));
        case::<K>(trial, Spec::new((1, 2, 3), 5).filter(5, 3).padding([2, 1, 2, 1]).layouts(layouts));
        case::<K>(
            trial,
            Spec::new((2, 2, 3), 5).filter(7, 7).padding([3, 3, 3, 3]).stride(2, 2).layouts(layouts),
        );
    }
}

/// Filter rows of whole words, at all positions against the edges, in blocks of pixels that cross rows.
pub fn whole_words<K: Kernels>(trial: &mut Trial<'_>) {
    for w in 1..=9 {
        for layouts in [(Nhwc, Nhwc), (Nhwc, Planar)] {
            let spec = Spec::new((3, w, 8), 5).layouts(layouts);
            case::<K>(trial, spec.every_range());
            case::<K>(trial, spec.filter(3, 3).padding([1, 1, 1, 1]).every_range());
            case::<K>(trial, spec.filter(2, 2).padding([1, 1, 0, 1]).stride(1, 2));
            case::<K>(trial, spec.filter(2, 1).dilation(2, 3).stride(1, 2));
            case::<K>(trial, spec.stride(2, 2));
        }
    }
    for (output_min, output_max) in [(-128, 126), (-127, 127), (-3, 90)] {
        let numbers = Numbers { output_min, output_max, ..Numbers::ORDINARY };
        case::<K>(trial, Spec::new((4, 9, 4), 6).filter(3, 3).padding([1, 1, 1, 1]).numbers(numbers));
    }
}

/// The widest sums that fit 24 bits with their sign, and one more input.
pub fn widest_sums<K: Kernels>(trial: &mut Trial<'_>) {
    for values in [Values::Lowest, Values::Highest, Values::Random] {
        let numbers = Numbers { values, ..Numbers::ORDINARY };
        for c_in in [512, 516, 517] {
            case::<K>(trial, Spec::new((1, 3, c_in), 4).numbers(numbers));
        }
    }
}

/// Outputs that are whole tiles of 2×2 and two or four of them side by side, and that are not, at all positions against
/// the edges.
pub fn winograd_tiles<K: Kernels>(trial: &mut Trial<'_>) {
    let filter = |h, w, c_in, c_out| Spec::new((h, w, c_in), c_out).filter(3, 3);
    for w in 1..=9 {
        for layouts in [(Nhwc, Nhwc), (Nhwc, Planar)] {
            let spec = filter(4, w, 16, 4).layouts(layouts);
            case::<K>(trial, spec.padding([1, 1, 1, 1]).every_range());
            case::<K>(trial, spec.every_range());
            case::<K>(trial, filter(3, w, 16, 8).padding([2, 0, 1, 2]).layouts(layouts));
        }
    }
    for w in 10..=17 {
        case::<K>(trial, filter(3, w, 8, 2).padding([1, 1, 1, 1]).every_range());
    }
    for h in 1..=5 {
        case::<K>(trial, filter(h, 5, 16, 4).padding([1, 2, 1, 0]).every_range());
    }
    let small = Numbers { values: Values::Small, ..Numbers::ORDINARY };
    for (c_in, c_out) in [(16, 16), (32, 8), (48, 4), (64, 4), (8, 2), (24, 6), (8, 10)] {
        case::<K>(trial, filter(4, 4, c_in, c_out).padding([1, 1, 1, 1]));
        if c_in <= 32 {
            case::<K>(trial, filter(4, 4, c_in, c_out).padding([1, 1, 1, 1]).numbers(small));
        }
    }
    for values in [Values::Lowest, Values::Highest, Values::Small] {
        let numbers = Numbers { values, ..Numbers::ORDINARY };
        case::<K>(trial, filter(5, 6, 32, 4).padding([1, 1, 1, 1]).numbers(numbers));
        for zero_point in [i8::MIN, i8::MAX] {
            let (input_zero_point, output_zero_point) = (zero_point, zero_point);
            let numbers = Numbers { input_zero_point, output_zero_point, ..numbers };
            case::<K>(trial, filter(5, 6, 8, 4).padding([1, 1, 1, 1]).numbers(numbers));
        }
    }
    let numbers = Numbers { output_min: -3, output_max: 90, ..Numbers::ORDINARY };
    case::<K>(trial, filter(3, 5, 16, 4).padding([1, 1, 1, 1]).numbers(numbers));
}
