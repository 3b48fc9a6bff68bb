//! What a band of a convolution needs at least lies within the scratch of the whole.

use proptest::prelude::*;

use super::scratch::{columns_len, conv_2d_scratch_len, copied_rows_len};
use crate::kernels::band_tests::{REQUANTIZE, operators};
use crate::kernels::params::{Conv2d, Packing};
use crate::plan::{Order, Rows};

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn a_band_runs_in_the_scratch_of_the_whole(
        (window, input, output) in operators(),
        slice: prop::sample::Index,
        count: prop::sample::Index,
    ) {
        let slice = slice.index(output.extent.h);
        let count = 1 + count.index(output.extent.h - slice);
        let whole = Conv2d {
            input,
            output,
            window,
            groups: 1,
            input_zero_point: 0,
            weights: &[],
            packing: Packing::Dsp,
            bias: &[],
            requantize: REQUANTIZE,
        };
        let mut part = whole;
        let band = Rows::new(&window, input.extent, output.extent).band(Order::Free, slice, count);
        band.cut(&mut part.input, &mut part.output, &mut part.window);
        let (needed, given) = (columns_len(&part) + copied_rows_len(&part), conv_2d_scratch_len(&whole));
        prop_assert!(needed <= given, "{} > {}", needed, given);
    }
}
