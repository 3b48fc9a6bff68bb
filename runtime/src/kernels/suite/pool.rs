//! Case classes of maximum and average pooling.

use super::spec::{LAYOUTS, Numbers, Spec, Values};
use super::trial::{Trial, row_ranges};
use crate::kernels::Kernels;
use crate::kernels::params::{Average, AveragePool2d, MaxPool2d, Packing};
use crate::kernels::reference::Reference;

/// Compares one case of maximum pooling.
pub fn max_case<K: Kernels>(trial: &mut Trial<'_>, spec: Spec) {
    if trial.has_failed() {
        return;
    }
    let case = spec.case();
    let mut random = trial.random;
    let Some((operands, mut target)) = trial.prepare(case, 0, 1, &spec.numbers, Packing::Plain) else {
        return;
    };
    let op = MaxPool2d {
        input: case.input,
        output: case.output,
        window: spec.window(),
        output_min: spec.numbers.output_min,
        output_max: spec.numbers.output_max,
    };
    let rows = case.output.extent.h;
    Reference::max_pool_2d(&op, operands.input, target.expected, 0..rows);
    let mut calls = 0;
    let failed = row_ranges(rows, spec.every_range, &mut random).find_map(|range| {
        calls += 1;
        let compute =
            |output: &mut [i8], _: &mut [i8]| K::max_pool_2d(&op, operands.input, output, range.clone());
        target
            .compare(case.output, range.clone(), compute, |_, _, _| None)
            .map(|difference| (range, difference))
    });
    trial.finish(case, calls, failed);
}

/// Compares one case of average pooling.
pub fn average_case<K: Kernels>(
    trial: &mut Trial<'_>,
    spec: Spec,
    average: Average,
    counted_padding: Option<i8>,
) {
    if trial.has_failed() {
        return;
    }
    let case = spec.case();
    let mut random = trial.random;
    let Some((operands, mut target)) = trial.prepare(case, 0, 1, &spec.numbers, Packing::Plain) else {
        return;
    };
    let op = AveragePool2d {
        input: case.input,
        output: case.output,
        window: spec.window(),
        counted_padding,
        average,
        output_min: spec.numbers.output_min,
        output_max: spec.numbers.output_max,
    };
    let rows = case.output.extent.h;
    Reference::average_pool_2d(&op, operands.input, target.expected, 0..rows);
    let mut calls = 0;
    let failed = row_ranges(rows, spec.every_range, &mut random).find_map(|range| {
        calls += 1;
        let compute =
            |output: &mut [i8], _: &mut [i8]| K::average_pool_2d(&op, operands.input, output, range.clone());
        target
            .compare(case.output, range.clone(), compute, |_, _, _| None)
            .map(|difference| (range, difference))
    });
    trial.finish(case, calls, failed);
}

/// Windows of every kind: filter, stride, padding, channels, widths.
fn windows() -> impl Iterator<Item = Spec> {
    let windows = [
        ((2, 2), (2, 2), [0, 0, 0, 0]),
        ((3, 3), (1, 1), [1, 1, 1, 1]),
        ((3, 3), (2, 2), [0, 1, 1, 0]),
        ((3, 2), (2, 3), [1, 1, 1, 0]),
        ((1, 1), (2, 2), [0, 0, 0, 0]),
        ((2, 1), (2, 1), [0, 0, 0, 0]),
        ((1, 4), (1, 4), [0, 0, 0, 0]),
        ((5, 7), (1, 1), [2, 3, 2, 3]),
        ((6, 7), (6, 7), [0, 0, 0, 0]),
    ];
    windows.into_iter().flat_map(|(filter, stride, padding)| {
        [1, 3, 16, 17].into_iter().flat_map(move |c| {
            let spec = Spec::new((6, 7, c), c)
                .filter(filter.0, filter.1)
                .stride(stride.0, stride.1)
                .padding(padding);
            LAYOUTS.into_iter().map(move |layouts| spec.layouts(layouts))
        })
    })
}

/// Maximum: all windows, channels and layouts.
pub fn max_windows<K: Kernels>(trial: &mut Trial<'_>) {
    for spec in windows() {
        max_case::<K>(trial, spec);
    }
}

/// Maximum: dilation, clamps, constant inputs, every range of rows.
pub fn max_edges<K: Kernels>(trial: &mut Trial<'_>) {
    for layouts in LAYOUTS {
        let spec = Spec::new((7, 8, 5), 5).filter(3, 2).layouts(layouts);
        max_case::<K>(trial, spec.dilation(2, 3));
        max_case::<K>(trial, spec.padding([2, 1, 2, 1]).stride(2, 1).every_range());
        for values in [Values::Lowest, Values::Highest, Values::Random] {
            for (output_min, output_max) in [(-128, 127), (-10, 20), (0, 127), (127, 127), (-128, -128)] {
                let numbers = Numbers { output_min, output_max, values, ..Numbers::ORDINARY };
                max_case::<K>(trial, spec.padding([1, 1, 1, 1]).numbers(numbers));
            }
        }
        // The corner windows lie wholly in the padding.
        max_case::<K>(trial, Spec::new((3, 3, 4), 4).filter(2, 2).padding([2, 2, 2, 2]).layouts(layouts));
    }
}

/// Exact average: padding left out and counted, all windows and layouts.
pub fn average_exact<K: Kernels>(trial: &mut Trial<'_>) {
    for spec in windows() {
        average_case::<K>(trial, spec, Average::Exact, None);
        average_case::<K>(trial, spec, Average::Exact, Some(-7));
    }
}

/// Average with another output scale.
pub fn average_scaled<K: Kernels>(trial: &mut Trial<'_>) {
    for (mantissa, shift, input_zero_point, output_zero_point) in [
        (1 << 28, 0, -128, 127),
        (i32::MAX / 5, 0, 127, -128),
        (1_500_000_000, 1, 4, -9),
        (77_777_777, 0, -1, 0),
        (i32::MAX, 7, -128, 127),
        (1 << 30, 8, 127, -128),
    ] {
        let average = Average::Scaled { mantissa, shift, input_zero_point, output_zero_point };
        for spec in windows() {
            average_case::<K>(trial, spec.padding([0; 4]), average, None);
            average_case::<K>(trial, spec, average, Some(input_zero_point));
        }
    }
}

/// Average: dilation, clamps, constant inputs, every range of rows, windows wholly in the padding.
pub fn average_edges<K: Kernels>(trial: &mut Trial<'_>) {
    for layouts in LAYOUTS {
        let spec = Spec::new((7, 8, 5), 5).filter(3, 2).layouts(layouts);
        for counted_padding in [None, Some(-128), Some(127)] {
            let mut run = |spec: Spec| average_case::<K>(trial, spec, Average::Exact, counted_padding);
            run(spec.dilation(2, 3));
            run(spec.padding([2, 1, 2, 1]).stride(2, 1).every_range());
            run(Spec::new((3, 3, 4), 4).filter(2, 2).padding([2, 2, 2, 2]).layouts(layouts));
            for values in [Values::Lowest, Values::Highest, Values::Random] {
                for (output_min, output_max) in [(-128, 127), (-10, 20), (0, 127), (-128, -128)] {
                    let numbers = Numbers { output_min, output_max, values, ..Numbers::ORDINARY };
                    run(spec.padding([1, 1, 1, 1]).numbers(numbers));
                    // A whole input of as many elements as two sums in a word may have, and of more.
                    run(Spec::new((15, 17, 4), 4).filter(15, 17).layouts(layouts).numbers(numbers));
                    run(Spec::new((16, 17, 7), 7).filter(16, 17).layouts(layouts).numbers(numbers));
                    run(Spec::new((17, 19, 5), 5).filter(16, 17).layouts(layouts).numbers(numbers));
                }
            }
        }
    }
}

/// Maximum and both averages of one case.
fn each_case<K: Kernels>(trial: &mut Trial<'_>, spec: Spec) {
    let (input_zero_point, output_zero_point) = (trial.random.value(), trial.random.value());
    let scaled = Average::Scaled { mantissa: 300_000_000, shift: 0, input_zero_point, output_zero_point };
    max_case::<K>(trial, spec);
    average_case::<K>(trial, spec, Average::Exact, None);
    average_case::<K>(trial, spec, scaled, Some(input_zero_point));
}

/// Channels around the block sizes, windows that lie inside between such that do not.
pub fn channel_blocks<K: Kernels>(trial: &mut Trial<'_>) {
    for c in [2, 4, 5, 6, 7, 8, 12, 15, 20, 31, 32, 33] {
        for layouts in LAYOUTS {
            let spec = Spec::new((5, 11, c), c).layouts(layouts);
            each_case::<K>(trial, spec.filter(2, 3).stride(1, 2).padding([1, 2, 0, 1]));
            each_case::<K>(trial, spec.filter(3, 2).stride(2, 1).dilation(1, 2).padding([0, 1, 2, 3]));
        }
    }
}

/// Signals over time: width 1, every range of steps.
pub fn one_dimensional<K: Kernels>(trial: &mut Trial<'_>) {
    for c in [1, 4, 18] {
        for (filter, stride, dilation, padding) in
            [(2, 2, 1, [0; 4]), (3, 1, 1, [1, 0, 1, 0]), (3, 2, 2, [2, 0, 3, 0]), (11, 11, 1, [0; 4])]
        {
            let spec = Spec::new((11, 1, c), c).filter(filter, 1).stride(stride, 1).dilation(dilation, 1);
            each_case::<K>(trial, spec.padding(padding).every_range());
        }
        // Neither is a signal with a window across its width.
        each_case::<K>(trial, Spec::new((7, 1, c), c).filter(2, 3).padding([1, 1, 0, 1]));
    }
}
