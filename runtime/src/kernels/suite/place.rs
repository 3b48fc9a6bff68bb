//! Case classes of the copy into a part of a value.

use super::outcome::{Case, Difference};
use super::spec::{LAYOUTS, Values};
use super::trial::{Buffers, Trial, position, row_ranges};
use crate::kernels::Kernels;
use crate::kernels::params::Place;
use crate::kernels::reference::Reference;
use crate::shape::View;

type Extents = (usize, usize, usize);

/// Compares one case: the input `input` goes to (`top`, `left`, `channel`) of an output with `margin` elements more
/// along each axis than that needs.
fn case<K: Kernels>(trial: &mut Trial<'_>, input: Extents, at: Extents, margin: Extents, every_range: bool) {
    for layouts in LAYOUTS {
        if trial.has_failed() {
            return;
        }
        let extent = |input: usize, at: usize, margin: usize| input + at + margin;
        let op = Place {
            input: View::new(input.0, input.1, input.2, layouts.0),
            output: View::new(
                extent(input.0, at.0, margin.0),
                extent(input.1, at.1, margin.1),
                extent(input.2, at.2, margin.2),
                layouts.1,
            ),
            top: at.0,
            left: at.1,
            channel: at.2,
        };
        let case = Case { input: op.input, output: op.output, window: None, groups: 1 };
        let (input_len, output_len) = (op.input.extent.len(), op.output.extent.len());
        trial.fill_input(input_len, Values::Random);
        let mut random = trial.random;
        let Buffers { input: elements, expected, actual, .. } = &mut *trial.buffers;
        let (Some(elements), Some(expected), Some(actual)) =
            (elements.get(..input_len), expected.get_mut(..output_len), actual.get_mut(..output_len))
        else {
            trial.fail(case, 0..0, Difference::Buffers);
            return;
        };
        let mut calls = 0;
        let failed = row_ranges(input.0, every_range, &mut random).find_map(|range| {
            calls += 1;
            // What is not copied must stay.
            expected.fill(77);
            actual.fill(77);
            Reference::place(&op, elements, expected, range.clone());
            K::place(&op, elements, actual, range.clone());
            let (index, (&got, &expected)) = actual
                .iter()
                .zip(expected.iter())
                .enumerate()
                .find(|(_, (got, expected))| got != expected)?;
            let (y, x, c) = position(op.output, index);
            Some((range, Difference::Element { y, x, c, got, expected, acc: None }))
        });
        trial.finish(case, calls, failed);
    }
}

/// Inputs of a concatenation along the channels.
pub fn concatenation<K: Kernels>(trial: &mut Trial<'_>) {
    for (c, channel, rest) in [(1, 0, 1), (3, 2, 0), (8, 8, 8), (16, 1, 3), (5, 0, 0), (17, 15, 2)] {
        case::<K>(trial, (3, 5, c), (0, 0, channel), (0, 0, rest), false);
        case::<K>(trial, (4, 1, c), (0, 0, channel), (0, 0, rest), false);
    }
}

/// The inside of a padded value; concatenation along height and width.
pub fn padding<K: Kernels>(trial: &mut Trial<'_>) {
    for (at, margin) in
        [((1, 1, 0), (1, 1, 0)), ((2, 0, 0), (0, 3, 0)), ((0, 3, 1), (1, 0, 2)), ((0, 0, 0), (2, 2, 0))]
    {
        for c in [1, 3, 8] {
            case::<K>(trial, (3, 4, c), at, margin, false);
        }
    }
}

/// Changes of layout, and every range of rows.
pub fn layouts_and_rows<K: Kernels>(trial: &mut Trial<'_>) {
    for (h, w, c) in [(1, 1, 1), (3, 7, 5), (2, 16, 16), (4, 1, 9), (4, 9, 1), (5, 3, 17)] {
        case::<K>(trial, (h, w, c), (0, 0, 0), (0, 0, 0), true);
        case::<K>(trial, (h, w, c), (1, 1, 1), (1, 1, 1), true);
    }
}
