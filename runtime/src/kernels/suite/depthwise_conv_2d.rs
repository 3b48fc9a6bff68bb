//! Case classes of the depthwise convolution.

use super::outcome::Difference;
use super::spec::{LAYOUTS, Numbers, Spec, Values};
use super::trial::{PACKINGS, Trial, row_ranges};
use crate::kernels::Kernels;
use crate::kernels::params::{DepthwiseConv2d, Packing};
use crate::kernels::reference::{Reference, depthwise_conv_2d::accumulator};
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
    let k = spec.filter.0 * spec.filter.1;
    let Some((operands, mut target)) = trial.prepare(case, k * spec.c_out, k, &spec.numbers, packing) else {
        return;
    };
    let op = DepthwiseConv2d {
        input: case.input,
        output: case.output,
        window: spec.window(),
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
            let op = DepthwiseConv2d { packing, ..plain };
            let Some(packed) = packed.get_mut(..op.weights_len()) else {
                return trial.fail(case, 0..rows, Difference::Buffers);
            };
            match plain.pack(packing, packed) {
                Some(()) if !K::reads(packing) => plain,
                Some(()) => DepthwiseConv2d { weights: packed, ..op },
                None => return,
            }
        }
    };
    if let Err(difference) = target.limit_scratch(K::depthwise_conv_2d_scratch_len(&op)) {
        trial.fail(case, 0..rows, difference);
        return;
    }
    Reference::depthwise_conv_2d(&plain, operands.input, target.expected, 0..rows, &mut []);
    let mut calls = 0;
    let failed = row_ranges(rows, spec.every_range, &mut random).find_map(|range| {
        calls += 1;
        let compute = |output: &mut [i8], scratch: &mut [i8]| {
            K::depthwise_conv_2d(&op, operands.input, output, range.clone(), scratch);
        };
        let acc = |y, x, c| Some(accumulator(&plain, operands.input, y, x, c));
        target.compare(case.output, range.clone(), compute, acc).map(|difference| (range, difference))
    });
    trial.finish(case, calls, failed);
}

const SAME_3X3: [usize; 4] = [1, 1, 1, 1];

/// Channels around the block sizes.
pub fn channel_blocks<K: Kernels>(trial: &mut Trial<'_>) {
    for c in [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 23, 24, 25, 31, 32, 33, 63, 64, 65] {
        for layouts in LAYOUTS {
            case::<K>(trial, Spec::new((4, 4, c), c).filter(3, 3).padding(SAME_3X3).layouts(layouts));
        }
    }
}

/// Widths around the block sizes of a row.
pub fn pixel_blocks<K: Kernels>(trial: &mut Trial<'_>) {
    for w in 1..=20 {
        for layouts in LAYOUTS {
            case::<K>(trial, Spec::new((4, w, 3), 3).filter(3, 3).padding(SAME_3X3).layouts(layouts));
        }
    }
}

/// Filters of every size in use, and larger than the input.
pub fn filters<K: Kernels>(trial: &mut Trial<'_>) {
    for (h, w) in [(1, 1), (1, 3), (3, 1), (2, 2), (2, 3), (5, 5), (1, 7), (7, 1), (9, 1), (4, 4), (7, 7)] {
        for layouts in LAYOUTS {
            let padding = [h / 2, w / 2, h / 2, w / 2];
            case::<K>(trial, Spec::new((8, 8, 5), 5).filter(h, w).padding(padding).layouts(layouts));
            case::<K>(trial, Spec::new((3, 3, 4), 4).filter(h, w).padding([h, w, h, w]).layouts(layouts));
        }
    }
}

/// Strides 1 to 3 and primes.
pub fn strides<K: Kernels>(trial: &mut Trial<'_>) {
    for (h, w) in [(1, 2), (2, 1), (2, 2), (3, 3), (2, 3), (5, 7)] {
        for layouts in LAYOUTS {
            case::<K>(
                trial,
                Spec::new((9, 10, 6), 6).filter(3, 3).stride(h, w).padding(SAME_3X3).layouts(layouts),
            );
            case::<K>(
                trial,
                Spec::new((9, 10, 6), 6).filter(3, 3).stride(h, w).padding([0, 0, 1, 1]).layouts(layouts),
            );
        }
    }
}

/// Filters with holes.
pub fn dilation<K: Kernels>(trial: &mut Trial<'_>) {
    for (h, w) in [(2, 2), (1, 2), (3, 1), (3, 5)] {
        for layouts in LAYOUTS {
            case::<K>(trial, Spec::new((9, 12, 5), 5).filter(3, 3).dilation(h, w).layouts(layouts));
            let padded =
                Spec::new((8, 9, 6), 6).filter(3, 3).dilation(h, w).padding([h, w, h, w]).stride(1, 2);
            case::<K>(trial, padded.layouts(layouts));
        }
    }
}

/// Padding that differs on the four sides.
pub fn padding<K: Kernels>(trial: &mut Trial<'_>) {
    for padding in
        [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [2, 1, 0, 3], [0, 3, 2, 1], [4, 4, 4, 4]]
    {
        for layouts in LAYOUTS {
            case::<K>(trial, Spec::new((5, 6, 3), 3).filter(3, 3).padding(padding).layouts(layouts));
            case::<K>(
                trial,
                Spec::new((6, 5, 8), 8).filter(5, 4).padding(padding).stride(2, 2).layouts(layouts),
            );
        }
    }
}

/// Several output channels per input channel.
pub fn multiplier<K: Kernels>(trial: &mut Trial<'_>) {
    for (c_in, multiplier) in [(1, 2), (1, 8), (1, 17), (2, 2), (3, 2), (3, 3), (4, 8), (8, 2), (17, 2)] {
        for layouts in LAYOUTS {
            let spec =
                Spec::new((5, 6, c_in), c_in * multiplier).filter(3, 3).padding(SAME_3X3).layouts(layouts);
            case::<K>(trial, spec);
            case::<K>(trial, spec.stride(2, 2));
        }
    }
    case::<K>(trial, Spec::new((20, 10, 1), 8).filter(10, 8).stride(2, 2).padding([4, 3, 5, 3]));
}

/// Several output channels per input channel, of which rows are copied: all numbers of them, all kinds of windows, and
/// bands of rows.
pub fn multiplied_blocks<K: Kernels>(trial: &mut Trial<'_>) {
    for multiplier in [2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 16, 18] {
        for c_in in [2, 3, 4] {
            let spec = |h, w| Spec::new((h, w, c_in), c_in * multiplier);
            case::<K>(trial, spec(5, 4).filter(3, 3).padding(SAME_3X3));
            case::<K>(trial, spec(11, 1).filter(5, 1).padding([2, 0, 2, 0]));
        }
    }
    for (c_in, multiplier) in [(4, 2), (4, 3), (2, 4), (2, 8), (5, 4), (6, 3)] {
        let spec = |h, w| Spec::new((h, w, c_in), c_in * multiplier);
        for stride in [(1, 1), (2, 2), (2, 1), (1, 3)] {
            for padding in [[0; 4], SAME_3X3, [0, 0, 1, 1], [2, 2, 2, 2]] {
                let spec = spec(6, 7).stride(stride.0, stride.1).padding(padding);
                case::<K>(trial, spec.filter(3, 3).every_range());
                case::<K>(trial, spec.filter(5, 3));
            }
            case::<K>(trial, spec(6, 7).stride(stride.0, stride.1).filter(2, 2));
        }
        case::<K>(trial, spec(7, 8).filter(3, 3).dilation(2, 2).padding([2, 2, 2, 2]));
        case::<K>(trial, spec(30, 1).filter(10, 1).every_range());
        case::<K>(trial, spec(5, 15).filter(3, 3).padding(SAME_3X3).every_range());
        case::<K>(trial, spec(7, 25).filter(3, 3).stride(2, 2).padding(SAME_3X3));
        case::<K>(trial, spec(5, 5).filter(5, 5).padding([2, 2, 2, 2]));
        for (output_min, output_max) in [(-128, 126), (-127, 127), (-3, 90)] {
            let numbers = Numbers { output_min, output_max, ..Numbers::ORDINARY };
            case::<K>(trial, spec(5, 5).filter(3, 3).padding(SAME_3X3).numbers(numbers));
        }
        for input_zero_point in [-128, 127] {
            let numbers = Numbers { input_zero_point, ..Numbers::ORDINARY };
            case::<K>(trial, spec(5, 5).filter(3, 3).padding(SAME_3X3).numbers(numbers));
        }
    }
}

/// Clamps at both ends and inside.
pub fn clamps<K: Kernels>(trial: &mut Trial<'_>) {
    for (output_min, output_max) in
        [(-128, 127), (-128, 0), (0, 127), (-20, 33), (127, 127), (-128, -128), (3, 100)]
    {
        for layouts in LAYOUTS {
            let numbers = Numbers { output_min, output_max, ..Numbers::ORDINARY };
            let spec = Spec::new((4, 4, 9), 9).filter(3, 3).padding(SAME_3X3).layouts(layouts);
            case::<K>(trial, spec.numbers(numbers));
        }
    }
}

/// Zero points of input and output at both ends.
pub fn zero_points<K: Kernels>(trial: &mut Trial<'_>) {
    for input_zero_point in [-128, -1, 0, 127] {
        for output_zero_point in [-128, 0, 127] {
            for layouts in [(Nhwc, Nhwc), (Planar, Planar)] {
                let numbers = Numbers { input_zero_point, output_zero_point, ..Numbers::ORDINARY };
                let spec = Spec::new((4, 4, 9), 9).filter(3, 3).padding(SAME_3X3).layouts(layouts);
                case::<K>(trial, spec.numbers(numbers));
            }
        }
    }
}

/// Factors of 1 and more, and the largest sums.
pub fn shifts_and_extremes<K: Kernels>(trial: &mut Trial<'_>) {
    for shift in [0, 1, 2, 5, 13, 30] {
        for values in [Values::Small, Values::Random, Values::Lowest, Values::Highest] {
            for layouts in [(Nhwc, Nhwc), (Planar, Planar)] {
                let numbers = Numbers { shift, values, ..Numbers::ORDINARY };
                let spec = Spec::new((5, 5, 10), 10).filter(5, 5).padding([2, 2, 2, 2]).layouts(layouts);
                case::<K>(trial, spec.numbers(numbers));
            }
        }
    }
}

/// Every range of output rows by itself.
pub fn row_ranges_of_output<K: Kernels>(trial: &mut Trial<'_>) {
    for layouts in LAYOUTS {
        let spec = Spec::new((7, 5, 3), 3).filter(3, 3).padding(SAME_3X3).layouts(layouts).every_range();
        case::<K>(trial, spec);
        case::<K>(trial, spec.stride(2, 2));
        case::<K>(trial, spec.filter(4, 3).padding([2, 1, 1, 1]).stride(3, 1));
    }
}

/// Signals over time, and inputs smaller than the filter.
pub fn narrow<K: Kernels>(trial: &mut Trial<'_>) {
    for layouts in LAYOUTS {
        for c in [1, 3, 16] {
            case::<K>(trial, Spec::new((20, 1, c), c).filter(3, 1).padding([1, 0, 1, 0]).layouts(layouts));
            case::<K>(trial, Spec::new((20, 1, c), c).filter(9, 1).stride(2, 1).layouts(layouts));
            case::<K>(trial, Spec::new((20, 1, c), c).filter(3, 3).padding(SAME_3X3).layouts(layouts));
            case::<K>(trial, Spec::new((1, 1, c), c).filter(3, 3).padding(SAME_3X3).layouts(layouts));
            case::<K>(trial, Spec::new((2, 2, c), c).filter(7, 7).padding([3, 3, 3, 3]).layouts(layouts));
        }
    }
}

/// Channels in blocks of four: all kinds of windows, at all positions against the edges.
pub fn blocks_of_four<K: Kernels>(trial: &mut Trial<'_>) {
    for c in [4, 8, 20] {
        for stride in [(1, 1), (2, 2), (2, 1), (1, 3)] {
            for padding in [[0; 4], SAME_3X3, [0, 0, 1, 1], [2, 2, 2, 2]] {
                let spec = Spec::new((6, 7, c), c).stride(stride.0, stride.1).padding(padding);
                case::<K>(trial, spec.filter(3, 3).every_range());
                case::<K>(trial, spec.filter(5, 3));
            }
            for (h, w) in [(1, 1), (2, 2), (5, 5), (1, 4), (4, 1)] {
                case::<K>(trial, Spec::new((6, 7, c), c).stride(stride.0, stride.1).filter(h, w));
            }
        }
        for w in 1..=6 {
            case::<K>(trial, Spec::new((3, w, c), c).filter(3, 3).padding(SAME_3X3));
        }
        case::<K>(trial, Spec::new((7, 8, c), c).filter(3, 3).dilation(2, 2).padding([2, 2, 2, 2]));
        case::<K>(trial, Spec::new((12, 1, c), c).filter(10, 1));
    }
    for (output_min, output_max) in [(-128, 126), (-127, 127), (-3, 90)] {
        let numbers = Numbers { output_min, output_max, ..Numbers::ORDINARY };
        case::<K>(trial, Spec::new((5, 5, 8), 8).filter(3, 3).padding(SAME_3X3).numbers(numbers));
    }
}
