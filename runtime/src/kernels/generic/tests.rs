//! The suite, and slices that do not fit.

extern crate std;

use core::cell::Cell;
use std::vec;
use std::vec::Vec;

use super::Generic;
use crate::kernels::Kernels;
use crate::kernels::params::*;
use crate::kernels::suite::Random;
use crate::quant::{AddCoefficients, Requantize};
use crate::shape::Layout::{Nhwc, Planar};
use crate::shape::View;

crate::kernels::suite::kernel_suite!(Generic);

/// Every slice cut at random: elements may stay unwritten, but nothing panics.
#[test]
fn short_slices_leave_elements_unwritten() {
    let mut random = Random::new(21);
    for case in 0..3000 {
        let mut number = |low: i32, high: i32| random.within(low, high) as usize;
        let (h, w, c) = (number(1, 6), number(1, 40), number(1, 9));
        let (out_h, out_w, multiplier) = (number(1, 6), number(1, 40), number(1, 3));
        let window = Window {
            filter_h: number(1, 4),
            filter_w: number(1, 4),
            stride_h: number(1, 3),
            stride_w: number(1, 3),
            dilation_h: number(1, 2),
            dilation_w: number(1, 2),
            pad_top: number(0, 3),
            pad_left: number(0, 3),
        };
        let layouts = [[Nhwc, Planar][case % 2], [Nhwc, Planar][case / 2 % 2]];
        let input = View::new(h, w, c, layouts[0]);
        let output = View::new(out_h, out_w, c * multiplier, layouts[1]);
        let mut bytes = || -> Vec<i8> { vec![1; number(0, 2000)] };
        let (values, weights, mut result, mut scratch) = (bytes(), bytes(), bytes(), bytes());
        let words = |count: usize| vec![1 << 20; count];
        let (bias, multipliers) = (words(number(0, 30)), words(number(0, 30)));
        let rows = 0..number(0, 7);
        let groups = if case % 3 == 0 { c } else { 1 };
        let requantize = Requantize {
            multipliers: &multipliers,
            shift: 0,
            zero_point: 0,
            output_min: i8::MIN,
            output_max: i8::MAX,
        };
        let (weights, bias, packing, input_zero_point) = (&weights[..], &bias[..], Packing::Plain, -1);
        let conv =
            Conv2d { input, output, window, groups, input_zero_point, weights, packing, bias, requantize };
        Generic::conv_2d(&conv, &values, &mut result, rows.clone(), &mut scratch);
        let depthwise =
            DepthwiseConv2d { input, output, window, input_zero_point, weights, packing, bias, requantize };
        Generic::depthwise_conv_2d(&depthwise, &values, &mut result, rows.clone(), &mut []);
        let dense = FullyConnected { inputs: c, outputs: 9, weights, packing, bias, requantize };
        Generic::fully_connected(&dense, &values, &mut result, rows.clone());
        let (output_min, output_max) = (i8::MIN, i8::MAX);
        let max = MaxPool2d { input, output, window, output_min, output_max };
        Generic::max_pool_2d(&max, &values, &mut result, rows.clone());
        let (counted_padding, average) = (None, Average::Exact);
        let average =
            AveragePool2d { input, output, window, counted_padding, average, output_min, output_max };
        Generic::average_pool_2d(&average, &values, &mut result, rows.clone());
        for (rhs_transposed, output_by_row) in [(false, false), (true, false), (false, true), (true, true)] {
            let stack = Stack { matrix_stride: h, row_stride: c };
            let (matrices, inner, columns) = (out_h, w, out_w);
            let product = MatMul {
                matrices,
                rows: h,
                inner,
                columns,
                lhs: stack,
                rhs: stack,
                rhs_transposed,
                output_by_row,
                lhs_zero_point: -128,
                rhs_zero_point: 127,
                mantissa: 1 << 20,
                shift: 0,
                output_zero_point: 0,
                output_min,
                output_max,
            };
            Generic::mat_mul(&product, &values, weights, &mut result, rows.clone());
        }
        let place = Place { input, output, top: window.pad_top, left: window.pad_left, channel: 1 };
        Generic::place(&place, &values, &mut result, rows);

        let (mut values, mut factors) = (values, weights.to_vec());
        let cells = |values| Cell::as_slice_of_cells(Cell::from_mut(values));
        let (lhs, rhs, result): (_, &[_], &[_]) =
            (cells(&mut values[..]), cells(&mut factors[..]), cells(&mut result[..]));
        let coefficients = AddCoefficients { lhs: 1 << 20, rhs: 1 << 20, offset: 0, shift: 20 };
        Generic::add(&Add { coefficients, output_min, output_max }, lhs, rhs, result);
        let mul = Mul {
            lhs_zero_point: -128,
            rhs_zero_point: 127,
            view: input,
            rhs_per_channel: case % 2 == 0,
            mantissa: 1 << 20,
            shift: 0,
            output_zero_point: 0,
            output_min,
            output_max,
        };
        Generic::mul(&mul, lhs, rhs, result);
        Generic::lookup(weights, lhs, result);
        let exponentials = vec![0; number(0, 300)];
        let softmax = Softmax { view: input, exponentials: &exponentials, mantissa: 1, output_zero_point: 0 };
        Generic::softmax(&softmax, lhs, result);
    }
}
