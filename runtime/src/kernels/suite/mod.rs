//! One test suite for every kernel set: named case classes, compared with the reference with tolerance 0.
//!
//! It needs no allocator, so that it also runs on a board: [`run`] reports each class. On the host
//! `kernel_suite!(Set)` declares one test per class, and property tests with random shapes.

use super::Kernels;

mod conv_2d;
mod depthwise_conv_2d;
mod elementwise;
mod fully_connected;
mod mat_mul;
mod outcome;
mod place;
mod pool;
#[cfg(test)]
mod property;
mod random;
mod softmax;
mod spec;
#[cfg(test)]
mod tests;
mod trial;

pub use outcome::{Case, Difference, Failure, Outcome};
pub use trial::{Buffers, Trial};

#[cfg(test)]
pub(crate) use property::Property;
#[cfg(test)]
pub(crate) use random::Random;

/// A case class for one kernel set.
pub type Class = fn(&mut Trial<'_>);

/// Calls the macro `$then` with the list of all case classes, operator by operator: the only such list.
macro_rules! for_each_class {
    ($then:ident $(, $set:ty)?) => {
        $then! {
            $($set,)?
            conv_2d: [
                k_remainders, sub_tiles, strides, dilation, padding, groups, layouts, clamps, zero_points, shifts,
                extremes, row_ranges_of_output, few_channels, one_dimensional, small_inputs,
                whole_words, widest_sums, winograd_tiles
            ],
            depthwise_conv_2d: [
                channel_blocks, pixel_blocks, filters, strides, dilation, padding, multiplier, clamps, zero_points,
                shifts_and_extremes, row_ranges_of_output, narrow,
                blocks_of_four, multiplied_blocks
            ],
            fully_connected: [
                k_remainders, output_blocks, numbers, output_ranges, blocks_of_eight, parts_of_inputs
            ],
            pool: [
                max_windows, max_edges, average_exact, average_scaled, average_edges, channel_blocks,
                one_dimensional
            ],
            elementwise: [add, mul, lookup],
            softmax: [channels, positions, extremes],
            place: [concatenation, padding, layouts_and_rows],
            mat_mul: [
                k_remainders, column_blocks, row_blocks, stacks, zero_points, clamps_and_shifts, extremes,
                row_ranges_of_output
            ],
        }
    };
}

macro_rules! class_count {
    ($($module:ident: [$($class:ident),*],)*) => { 0 $($(+ { let _ = stringify!($class); 1 })*)* };
}

macro_rules! class_table {
    ($set:ty, $($module:ident: [$($class:ident),*],)*) => {
        [$($((concat!(stringify!($module), "/", stringify!($class)), $module::$class::<$set> as Class),)*)*]
    };
}

/// Number of case classes.
pub const CLASSES: usize = for_each_class!(class_count);

/// The case classes with their names, for the kernel set `K`.
pub fn classes<K: Kernels>() -> [(&'static str, Class); CLASSES] {
    for_each_class!(class_table, K)
}

/// Runs all case classes on the kernel set `K` and reports the outcome of each. The buffers lie on the stack.
pub fn run<K: Kernels>(report: &mut dyn FnMut(&str, Outcome)) {
    run_in::<K>(&mut Buffers::new(), report);
}

/// Like [`run`], in buffers of the caller.
pub fn run_in<K: Kernels>(buffers: &mut Buffers, report: &mut dyn FnMut(&str, Outcome)) {
    for (seed, (name, class)) in (1..).zip(classes::<K>()) {
        report(name, run_class::<K>(buffers, name, class, seed));
    }
}

/// Runs one class.
pub fn run_class<K: Kernels>(buffers: &mut Buffers, name: &'static str, class: Class, seed: u32) -> Outcome {
    let mut trial = Trial::new(buffers, K::NAME, name, seed);
    class(&mut trial);
    trial.outcome()
}

/// Declares the tests of a kernel set: one per case class, and the property tests.
#[cfg(test)]
macro_rules! kernel_suite {
    ($set:ty) => {
        use $crate::kernels::suite::declare_class_tests;

        $crate::kernels::suite::for_each_class!(declare_class_tests, $set);

        mod property {
            #[allow(unused_imports)]
            use super::*;

            #[test]
            fn conv_2d() {
                $crate::kernels::suite::Property::conv_2d::<$set>();
            }

            #[test]
            fn depthwise_conv_2d() {
                $crate::kernels::suite::Property::depthwise_conv_2d::<$set>();
            }

            #[test]
            fn fully_connected() {
                $crate::kernels::suite::Property::fully_connected::<$set>();
            }

            #[test]
            fn mat_mul() {
                $crate::kernels::suite::Property::mat_mul::<$set>();
            }

            #[test]
            fn pool() {
                $crate::kernels::suite::Property::pool::<$set>();
            }
        }
    };
}

#[cfg(test)]
macro_rules! declare_class_tests {
    ($set:ty, $($module:ident: [$($class:ident),*],)*) => {
        $(mod $module {
            #[allow(unused_imports)]
            use super::*;

            $(#[test]
            fn $class() {
                let name = concat!(stringify!($module), "/", stringify!($class));
                $crate::kernels::suite::expect_class::<$set>(name);
            })*
        })*
    };
}

#[cfg(test)]
pub(crate) use {declare_class_tests, for_each_class, kernel_suite};

/// Runs the class `name` with several seeds and panics with the first failure.
#[cfg(test)]
pub(crate) fn expect_class<K: Kernels>(name: &str) {
    let (name, class) =
        classes::<K>().into_iter().find(|class| class.0 == name).expect("a class of the list");
    let mut buffers = Buffers::new();
    for seed in 1..=3 {
        match run_class::<K>(&mut buffers, name, class, seed) {
            Outcome::Passed { calls } => assert!(calls > 0, "{name}: nothing was compared"),
            Outcome::Failed(failure) => panic!("{failure}"),
        }
    }
}
