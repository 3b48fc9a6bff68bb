//! Property tests with random shapes, on the host.

extern crate std;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::outcome::Outcome;
use super::spec::{LAYOUTS, Numbers, Spec, Values};
use super::trial::{Buffers, CHANNELS, INPUT_LEN, OUTPUT_LEN, Trial, WEIGHTS_LEN};
use super::{conv_2d, depthwise_conv_2d, fully_connected, mat_mul, pool};
use crate::kernels::Kernels;
use crate::kernels::params::Average;

/// The property tests.
pub(crate) struct Property;

fn numbers() -> impl Strategy<Value = Numbers> {
    let values = prop_oneof![
        6 => Just(Values::Random),
        2 => Just(Values::Small),
        1 => Just(Values::Lowest),
        1 => Just(Values::Highest),
    ];
    (any::<i8>(), any::<i8>(), any::<i8>(), any::<i8>(), prop_oneof![3 => Just(0u8), 1 => 0..=30u8], values)
        .prop_map(|(input_zero_point, output_zero_point, a, b, shift, values)| Numbers {
            input_zero_point,
            output_zero_point,
            output_min: a.min(b),
            output_max: a.max(b),
            shift,
            values,
        })
}

fn axis() -> impl Strategy<Value = (usize, usize, usize, usize, usize, usize)> {
    // length, filter, stride, dilation, padding before, padding after
    (1..=9usize, 1..=5usize, 1..=4usize, 1..=3usize, 0..=4usize, 0..=4usize)
}

/// Specs without channels: those follow from the operator.
fn spec() -> impl Strategy<Value = (Spec, bool)> {
    let dense = prop_oneof![2 => Just(true), 1 => Just(false)];
    (axis(), axis(), 0..4usize, numbers(), dense).prop_map(|(h, w, layout, numbers, dense)| {
        let dilation = |axis: usize| if dense { 1 } else { axis };
        let spec = Spec::new((h.0, w.0, 1), 1)
            .filter(h.1, w.1)
            .stride(h.2, w.2)
            .dilation(dilation(h.3), dilation(w.3))
            .padding([h.4, w.4, h.5, w.5])
            .layouts(LAYOUTS[layout])
            .numbers(numbers);
        (spec, dense)
    })
}

fn check<S: Strategy>(strategy: S, set: &'static str, test: impl Fn(&mut Trial<'_>, S::Value))
where
    S::Value: core::fmt::Debug,
{
    // As many as PROPTEST_CASES says, which `Config::default` reads, and no fewer than 400.
    let default = Config::default();
    let config = Config { cases: default.cases.max(400), failure_persistence: None, ..default };
    let result = TestRunner::new(config).run(&(strategy, any::<u32>()), |(value, seed)| {
        let mut buffers = Buffers::new();
        let mut trial = Trial::new(&mut buffers, set, "property", seed);
        test(&mut trial, value);
        match trial.outcome() {
            Outcome::Passed { .. } => Ok(()),
            Outcome::Failed(failure) => Err(TestCaseError::fail(std::format!("{failure}"))),
        }
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

/// The case with the most channels that fits the suite's buffers, starting from `c_in` and `c_out` (in units of
/// `multiple` channels) and halving. `weights_per_output` gives the elements per output channel.
fn fitted(
    spec: Spec,
    c_in: usize,
    c_out: usize,
    multiple: usize,
    weights_per_output: impl Fn(usize) -> usize,
) -> Spec {
    let mut size = (c_in, c_out);
    loop {
        let fitted =
            Spec { input: (spec.input.0, spec.input.1, size.0 * multiple), c_out: size.1 * multiple, ..spec };
        let case = fitted.case();
        let weights = fitted.filter.0 * fitted.filter.1 * weights_per_output(size.0) * fitted.c_out;
        let fits = case.input.extent.len() <= INPUT_LEN && case.output.extent.len() <= OUTPUT_LEN;
        if fits && weights <= WEIGHTS_LEN && fitted.c_out <= CHANNELS {
            return fitted;
        }
        if size == (1, 1) {
            return Spec { groups: 1, ..Spec::new((1, 1, 1), 1) };
        }
        size = (size.0.div_ceil(2), size.1.div_ceil(2));
    }
}

impl Property {
    pub(crate) fn conv_2d<K: Kernels>() {
        let groups = prop_oneof![3 => Just(1usize), 1 => 1..=4usize];
        check(
            (spec(), 1..=40usize, 1..=40usize, groups),
            K::NAME,
            |trial, ((spec, _), c_in, c_out, groups)| {
                conv_2d::case::<K>(trial, fitted(spec.groups(groups), c_in, c_out, groups, |c_in| c_in));
            },
        );
    }

    pub(crate) fn depthwise_conv_2d<K: Kernels>() {
        let multiplier = prop_oneof![3 => Just(1usize), 1 => 1..=5usize];
        check((spec(), 1..=40usize, multiplier), K::NAME, |trial, ((spec, _), c, multiplier)| {
            let spec = fitted(spec, c, c * multiplier, 1, |_| 1);
            // Halving may have lost the multiple.
            let spec = Spec { c_out: spec.c_out / spec.input.2 * spec.input.2, ..spec };
            depthwise_conv_2d::case::<K>(trial, spec);
        });
    }

    pub(crate) fn fully_connected<K: Kernels>() {
        check((1..=400usize, 1..=40usize, numbers()), K::NAME, |trial, (inputs, outputs, numbers)| {
            let outputs = outputs.min(WEIGHTS_LEN / inputs).max(1);
            fully_connected::case::<K>(trial, inputs, outputs, numbers, false);
        });
    }

    pub(crate) fn mat_mul<K: Kernels>() {
        let extents = (1..=4usize, 1..=9usize, 1..=70usize, 1..=40usize);
        let order = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), 0..3u8, 0..6usize);
        check((extents, order, any::<i8>(), numbers()), K::NAME, |trial, (extents, order, zero, numbers)| {
            let (mut matrices, mut rows, mut inner, mut columns) = extents;
            let (rhs_transposed, lhs_by_row, rhs_by_row, output_by_row, shared, gap) = order;
            let fits = |matrices: usize, rows: usize, inner: usize, columns: usize| {
                matrices * rows * (inner + gap) <= INPUT_LEN
                    && matrices * inner.max(columns + gap) * columns.max(inner + gap) <= WEIGHTS_LEN
                    && matrices * rows * columns <= OUTPUT_LEN
            };
            while !fits(matrices, rows, inner, columns) {
                (matrices, rows) = (matrices.div_ceil(2), rows.div_ceil(2));
                (inner, columns) = (inner.div_ceil(2), columns.div_ceil(2));
            }
            let spec = mat_mul::Spec {
                matrices,
                rows,
                inner,
                columns,
                rhs_transposed,
                lhs_by_row,
                rhs_by_row,
                output_by_row,
                shared_lhs: shared == 1,
                shared_rhs: shared == 2,
                gap,
                rhs_zero_point: zero,
                numbers,
                every_range: false,
            };
            mat_mul::case::<K>(trial, spec);
        });
    }

    pub(crate) fn pool<K: Kernels>() {
        let scaled = (0..i32::MAX, 0..3u8, any::<i8>(), any::<i8>());
        check((spec(), 1..=20usize, scaled), K::NAME, |trial, ((spec, _), c, scaled)| {
            let spec = fitted(spec, c, c, 1, |_| 0);
            let (mantissa, shift, input_zero_point, output_zero_point) = scaled;
            pool::max_case::<K>(trial, spec);
            pool::average_case::<K>(trial, spec, Average::Exact, None);
            pool::average_case::<K>(trial, spec, Average::Exact, Some(spec.numbers.input_zero_point));
            let average = Average::Scaled { mantissa, shift, input_zero_point, output_zero_point };
            pool::average_case::<K>(trial, spec, average, Some(input_zero_point));
        });
    }
}
