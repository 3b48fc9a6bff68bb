//! What `super` promises of scratch: a band needs no more than the whole operator.

use proptest::prelude::*;

use super::packing::{conv_2d_scratch_len, depthwise_conv_2d_scratch_len};
use super::params::{Conv2d, DepthwiseConv2d, Packing, Window};
use crate::plan::{Order, Rows};
use crate::quant::Requantize;
use crate::shape::{Layout, View};

pub(crate) const REQUANTIZE: Requantize<'static> =
    Requantize { multipliers: &[], shift: 0, zero_point: 0, output_min: -128, output_max: 127 };

/// Window, input, output and groups of an operator that opening a plan accepts.
pub(crate) fn operators() -> impl Strategy<Value = (Window, View, View)> {
    let axis = || (1usize..6, 1usize..4, 1usize..3, 0usize..10, 1usize..40, 1usize..40);
    (axis(), axis(), 1usize..40, 1usize..20, any::<bool>()).prop_map(|(rows, columns, c, out, planar)| {
        let fit =
            |(filter, stride, dilation, pad, input, outputs): (usize, usize, usize, usize, usize, usize)| {
                let reach = dilation * (filter - 1) + 1;
                let pad = pad % reach;
                // The last window begins inside the padded input.
                (filter, stride, dilation, pad, input, 1 + (outputs - 1) % ((input + pad - 1) / stride + 1))
            };
        let (rows, columns) = (fit(rows), fit(columns));
        let window = Window {
            filter_h: rows.0,
            filter_w: columns.0,
            stride_h: rows.1,
            stride_w: columns.1,
            dilation_h: rows.2,
            dilation_w: columns.2,
            pad_top: rows.3,
            pad_left: columns.3,
        };
        let layout = if planar { Layout::Planar } else { Layout::Nhwc };
        let input = View::new(rows.4, columns.4, c, Layout::Nhwc);
        (window, input, View::new(rows.5, columns.5, out, layout))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn a_band_needs_no_more_scratch_than_the_whole(
        (window, input, output) in operators(),
        slice: prop::sample::Index,
        count: prop::sample::Index,
        from_last_row: bool,
        multiplier in 1usize..6,
    ) {
        let rows = Rows::new(&window, input.extent, output.extent);
        let slice = slice.index(output.extent.h);
        let count = 1 + count.index(output.extent.h - slice);
        let order = match from_last_row {
            true => Order::Descending { gap: 0 },
            false => Order::Free,
        };
        let band = rows.band(order, slice, count);
        for packing in Packing::ALL {
            let whole = Conv2d {
                input,
                output,
                window,
                groups: 1,
                input_zero_point: 0,
                weights: &[],
                packing,
                bias: &[],
                requantize: REQUANTIZE,
            };
            let mut part = whole;
            band.cut(&mut part.input, &mut part.output, &mut part.window);
            let (needed, given) = (conv_2d_scratch_len(&part), conv_2d_scratch_len(&whole));
            // A copy of a small input is made for speed where there is room; what is needed is tested beside the kernel.
            prop_assert!(packing == Packing::Dsp || needed <= given, "convolution, {:?}: {} > {}", packing, needed, given);
            let c = input.extent.c;
            let whole = DepthwiseConv2d {
                input,
                output: View::new(output.extent.h, output.extent.w, c * multiplier, Layout::Nhwc),
                window,
                input_zero_point: 0,
                weights: &[],
                packing,
                bias: &[],
                requantize: REQUANTIZE,
            };
            let mut part = whole;
            band.cut(&mut part.input, &mut part.output, &mut part.window);
            let (needed, given) = (depthwise_conv_2d_scratch_len(&part), depthwise_conv_2d_scratch_len(&whole));
            prop_assert!(needed <= given, "depthwise, {:?}: {} > {}", packing, needed, given);
        }
    }
}
