//! Case classes of the fully connected layer.

use super::outcome::{Case, Difference};
use super::spec::{Numbers, Values};
use super::trial::{PACKINGS, Trial, WEIGHTS_LEN, row_ranges};
use crate::kernels::Kernels;
use crate::kernels::params::{FullyConnected, Packing};
use crate::kernels::reference::{Reference, fully_connected::accumulator};
use crate::shape::{Layout, View};

/// Compares one case, in every packing that suits it. Output elements count as rows.
pub fn case<K: Kernels>(
    trial: &mut Trial<'_>,
    inputs: usize,
    outputs: usize,
    numbers: Numbers,
    every_range: bool,
) {
    PACKINGS
        .into_iter()
        .for_each(|packing| case_in::<K>(trial, (inputs, outputs), numbers, every_range, packing));
}

fn case_in<K: Kernels>(
    trial: &mut Trial<'_>,
    (inputs, outputs): (usize, usize),
    numbers: Numbers,
    every_range: bool,
    packing: Packing,
) {
    if trial.has_failed() {
        return;
    }
    let case = Case {
        input: View::new(1, 1, inputs, Layout::Nhwc),
        output: View::new(outputs, 1, 1, Layout::Nhwc),
        window: None,
        groups: 1,
    };
    let mut random = trial.random;
    // Biases and multipliers are filled per output channel, here per row.
    let filled = Case { output: View::new(1, 1, outputs, Layout::Nhwc), ..case };
    let Some((operands, mut target)) = trial.prepare(filled, inputs * outputs, inputs, &numbers, packing)
    else {
        return;
    };
    let op = FullyConnected {
        inputs,
        outputs,
        weights: operands.weights,
        packing: Packing::Plain,
        bias: operands.bias,
        requantize: operands.requantize,
    };
    let plain = op;
    let packed = core::mem::take(&mut target.packed);
    let op = match packing {
        Packing::Plain => plain,
        _ if !plain.suits(packing) => return,
        _ => {
            let op = FullyConnected { packing, ..plain };
            let Some(packed) = packed.get_mut(..op.weights_len()) else {
                return trial.fail(case, 0..outputs, Difference::Buffers);
            };
            match plain.pack(packing, packed) {
                Some(()) if !K::reads(packing) => plain,
                Some(()) => FullyConnected { weights: packed, ..op },
                None => return,
            }
        }
    };
    Reference::fully_connected(&plain, operands.input, target.expected, 0..outputs);
    let mut calls = 0;
    let failed = row_ranges(outputs, every_range, &mut random).find_map(|range| {
        calls += 1;
        let compute =
            |output: &mut [i8], _: &mut [i8]| K::fully_connected(&op, operands.input, output, range.clone());
        let acc = |o, _, _| Some(accumulator(&plain, operands.input, o));
        target.compare(case.output, range.clone(), compute, acc).map(|difference| (range, difference))
    });
    trial.finish(case, calls, failed);
}

/// Inputs around the block sizes.
pub fn k_remainders<K: Kernels>(trial: &mut Trial<'_>) {
    for inputs in (1..=20).chain([31, 32, 33, 47, 63, 64, 65, 127, 128, 129, 255, 400]) {
        case::<K>(trial, inputs, 5, Numbers::ORDINARY, false);
    }
}

/// Outputs around the block sizes.
pub fn output_blocks<K: Kernels>(trial: &mut Trial<'_>) {
    for outputs in (1..=18).chain([31, 32, 33, 64]) {
        for inputs in [1, 16, 29] {
            case::<K>(trial, inputs, outputs, Numbers::ORDINARY, false);
        }
    }
}

/// Clamps, zero points, shifts and the largest sums.
pub fn numbers<K: Kernels>(trial: &mut Trial<'_>) {
    for values in [Values::Small, Values::Random, Values::Lowest, Values::Highest] {
        for shift in [0, 1, 4, 30] {
            for output_zero_point in [-128, 0, 127] {
                for (output_min, output_max) in [(-128, 127), (0, 127), (-128, 5), (9, 9)] {
                    let numbers = Numbers {
                        values,
                        shift,
                        output_zero_point,
                        output_min,
                        output_max,
                        ..Numbers::ORDINARY
                    };
                    case::<K>(trial, 37, 6, numbers, false);
                }
            }
        }
    }
}

/// Every range of outputs by itself.
pub fn output_ranges<K: Kernels>(trial: &mut Trial<'_>) {
    for inputs in [1, 5, 16, 33] {
        case::<K>(trial, inputs, 13, Numbers::ORDINARY, true);
    }
}

/// Outputs in blocks of eight, inputs in groups of four, up to the widest sums that fit 24 bits with their sign.
pub fn blocks_of_eight<K: Kernels>(trial: &mut Trial<'_>) {
    for inputs in [4, 8, 12, 64] {
        for outputs in [1, 2, 3, 7, 8, 9, 10, 16, 17, 19] {
            case::<K>(trial, inputs, outputs, Numbers::ORDINARY, true);
        }
    }
    for values in [Values::Lowest, Values::Highest, Values::Random] {
        for inputs in [512, 516, 520] {
            case::<K>(trial, inputs, 4, Numbers { values, output_max: 100, ..Numbers::ORDINARY }, false);
        }
        case::<K>(trial, 256, 9, Numbers { values, ..Numbers::ORDINARY }, false);
    }
}

/// Inputs in parts whose sums fit 24 bits although those of all inputs do not, and outputs of every loop.
pub fn parts_of_inputs<K: Kernels>(trial: &mut Trial<'_>) {
    for inputs in [636, 640, 644] {
        for outputs in [1, 2, 3, 4, 7, 8] {
            case::<K>(trial, inputs, outputs, Numbers::ORDINARY, true);
        }
    }
    for inputs in [1276, 1280, 1284, 1924] {
        for outputs in [1, 2, 3, 4] {
            if inputs * outputs <= WEIGHTS_LEN {
                case::<K>(trial, inputs, outputs, Numbers { output_max: 100, ..Numbers::ORDINARY }, false);
            }
        }
    }
}
