//! The reference against formulas in f64 and i64 on real numbers, and against examples computed by hand.

extern crate std;

use core::cell::Cell;
use std::vec;
use std::vec::Vec;

use super::Reference;
use crate::kernels::Kernels;
use crate::kernels::params::*;
use crate::kernels::suite::Random;
use crate::quant::{AddCoefficients, Multiplier, QuantParams, Requantize, round_half_away};
use crate::shape::Layout::{self, Nhwc, Planar};
use crate::shape::View;

const UNIT: [i32; 8] = [1 << 30; 8]; // factor 1/2

fn half<'a>() -> Requantize<'a> {
    Requantize { multipliers: &UNIT, shift: 0, zero_point: 0, output_min: -128, output_max: 127 }
}

fn window(filter: (usize, usize), stride: usize, dilation: usize, pad: (usize, usize)) -> Window {
    Window {
        filter_h: filter.0,
        filter_w: filter.1,
        stride_h: stride,
        stride_w: stride,
        dilation_h: dilation,
        dilation_w: dilation,
        pad_top: pad.0,
        pad_left: pad.1,
    }
}

fn cells(values: &mut [i8]) -> &[Cell<i8>] {
    Cell::from_mut(values).as_slice_of_cells()
}

#[test]
fn a_convolution_by_hand() {
    // Input 1 2 3, filter 10 -20
    //       4 5 6          30  40
    let op = Conv2d {
        input: View::new(2, 3, 1, Nhwc),
        output: View::new(1, 2, 1, Nhwc),
        window: window((2, 2), 1, 1, (0, 0)),
        groups: 1,
        input_zero_point: 0,
        weights: &[10, -20, 30, 40],
        packing: Packing::Plain,
        bias: &[-300],
        requantize: half(),
    };
    let mut output = [0; 2];
    Reference::conv_2d(&op, &[1, 2, 3, 4, 5, 6], &mut output, 0..1, &mut []);
    // 1*10 - 2*20 + 4*30 + 5*40 - 300 = -10; 2*10 - 3*20 + 5*30 + 6*40 - 300 = 50; halved.
    assert_eq!(output, [-5, 25]);

    // Dilation 2, padding above and left that reads 7.
    let op = Conv2d {
        output: View::new(2, 2, 1, Nhwc),
        window: window((2, 2), 1, 2, (1, 1)),
        input_zero_point: 7,
        bias: &[0],
        ..op
    };
    let mut output = [0; 4];
    Reference::conv_2d(&op, &[1, 2, 3, 4, 5, 6], &mut output, 0..2, &mut []);
    assert_eq!(output, [127, 127, 127, 127]);
    let op = Conv2d { bias: &[-340], ..op };
    Reference::conv_2d(&op, &[1, 2, 3, 4, 5, 6], &mut output, 0..2, &mut []);
    // (0, 0): 7*10 - 7*20 + 7*30 + 5*40 - 340 = 0; (0, 1): 7*10 - 7*20 + 4*30 + 6*40 - 340 = -50, halved.
    // Row 1 reads input row 0 and the padding below it: 7*10 - 2*20 + 7*30 + 7*40 - 340 = 180 and
    // 1*10 - 3*20 + 7*30 + 7*40 - 340 = 100, halved.
    assert_eq!(output, [0, -25, 90, 50]);
}

#[test]
fn groups_and_multipliers_by_hand() {
    let op = Conv2d {
        input: View::new(1, 1, 4, Nhwc),
        output: View::new(1, 1, 2, Nhwc),
        window: window((1, 1), 1, 1, (0, 0)),
        groups: 2,
        input_zero_point: 0,
        weights: &[1, 2, 3, 4],
        packing: Packing::Plain,
        bias: &[0, 0],
        requantize: half(),
    };
    let mut output = [0; 2];
    Reference::conv_2d(&op, &[10, 20, 5, 6], &mut output, 0..1, &mut []);
    assert_eq!(output, [25, 20]); // (10 + 40) / 2, (15 + 24) / 2 = 19.5, up

    let op = DepthwiseConv2d {
        input: View::new(1, 2, 2, Planar),
        output: View::new(1, 1, 4, Planar),
        window: window((1, 2), 1, 1, (0, 0)),
        input_zero_point: 0,
        weights: &[1, 2, 3, 4, 5, 6, 7, 8],
        packing: Packing::Plain,
        bias: &[0, 1, 0, -1],
        requantize: half(),
    };
    let mut output = [0; 4];
    // Planar: channel 0 is [2, 4], channel 1 is [6, 8].
    Reference::depthwise_conv_2d(&op, &[2, 4, 6, 8], &mut output, 0..1, &mut []);
    // (2*1 + 4*5) / 2; (2*2 + 4*6 + 1) / 2 = 14.5; (6*3 + 8*7) / 2; (6*4 + 8*8 - 1) / 2 = 43.5.
    assert_eq!(output, [11, 15, 37, 44]);

    let op = FullyConnected {
        inputs: 3,
        outputs: 2,
        weights: &[1, 2, 3, -1, -2, -4],
        packing: Packing::Plain,
        bias: &[0, 1],
        requantize: half(),
    };
    let mut output = [0; 1];
    Reference::fully_connected(&op, &[3, 5, 7], &mut output, 1..2);
    assert_eq!(output, [-20]); // (-3 - 10 - 28 + 1) / 2
}

/// A convolution of real numbers, from the definition: scales and zero points taken out first, padding 0.
#[test]
fn convolution_equals_the_real_one_rounded_once() {
    let mut random = Random::new(11);
    for case in 0..200 {
        let groups = random.within(1, 3) as usize;
        let (c_in, c_out) = (groups * random.within(1, 4) as usize, groups * random.within(1, 4) as usize);
        let filter = (random.within(1, 4) as usize, random.within(1, 4) as usize);
        let (stride, dilation) = (random.within(1, 3) as usize, random.within(1, 2) as usize);
        let pad = (random.within(0, 2) as usize, random.within(0, 2) as usize);
        let (h, w) = (random.within(8, 10) as usize, random.within(8, 10) as usize);
        let out =
            |len: usize, filter: usize, pad: usize| (len + pad - (filter - 1) * dilation - 1) / stride + 1;
        let input_view = View::new(h, w, c_in, [Nhwc, Planar][case % 2]);
        let output_view =
            View::new(out(h, filter.0, pad.0), out(w, filter.1, pad.1), c_out, [Planar, Nhwc][case / 2 % 2]);
        let k = filter.0 * filter.1 * c_in / groups;
        let input: Vec<i8> = (0..input_view.extent.len()).map(|_| random.value()).collect();
        let weights: Vec<i8> = (0..k * c_out).map(|_| random.weight()).collect();
        let input_quant =
            QuantParams { scale: random.within(1, 99) as f32 / 1000.0, zero_point: random.value() };
        let output_quant =
            QuantParams { scale: random.within(100, 900) as f32 / 10.0, zero_point: random.value() };
        let weight_scales: Vec<f32> = (0..c_out).map(|_| random.within(1, 50) as f32 / 100.0).collect();
        let plain_bias: Vec<i32> = (0..c_out).map(|_| random.within(-20_000, 20_000)).collect();
        let bias: Vec<i32> = (0..c_out)
            .map(|o| {
                let sum: i32 = weights[o * k..][..k].iter().map(|&w| i32::from(w)).sum();
                plain_bias[o] - i32::from(input_quant.zero_point) * sum
            })
            .collect();
        let scale = |o: usize| f64::from(input_quant.scale) * f64::from(weight_scales[o]);
        let factor = |o: usize| scale(o) / f64::from(output_quant.scale);
        let multipliers: Vec<i32> =
            (0..c_out).map(|o| Multiplier::with_shift(factor(o), 0).unwrap().mantissa).collect();
        let requantize = Requantize {
            multipliers: &multipliers,
            shift: 0,
            zero_point: output_quant.zero_point,
            output_min: -128,
            output_max: 127,
        };
        let op = Conv2d {
            input: input_view,
            output: output_view,
            window: window(filter, stride, dilation, pad),
            groups,
            input_zero_point: input_quant.zero_point,
            weights: &weights,
            packing: Packing::Plain,
            bias: &bias,
            requantize,
        };
        let mut output = vec![0; output_view.extent.len()];
        Reference::conv_2d(&op, &input, &mut output, 0..output_view.extent.h, &mut []);
        for y in 0..output_view.extent.h {
            for x in 0..output_view.extent.w {
                for o in 0..c_out {
                    let mut real = scale(o) * f64::from(plain_bias[o]);
                    for ky in 0..filter.0 {
                        for kx in 0..filter.1 {
                            for i in 0..c_in / groups {
                                let iy = (y * stride + ky * dilation) as isize - pad.0 as isize;
                                let ix = (x * stride + kx * dilation) as isize - pad.1 as isize;
                                if (0..h as isize).contains(&iy) && (0..w as isize).contains(&ix) {
                                    let channel = o / (c_out / groups) * (c_in / groups) + i;
                                    let q = input[input_view.index(iy as usize, ix as usize, channel)];
                                    let weight = weights[o * k + (ky * filter.1 + kx) * (c_in / groups) + i];
                                    real += f64::from(input_quant.dequantize(q))
                                        * f64::from(weight)
                                        * f64::from(weight_scales[o]);
                                }
                            }
                        }
                    }
                    let exact = real / f64::from(output_quant.scale) + f64::from(output_quant.zero_point);
                    let got = f64::from(output[output_view.index(y, x, o)]);
                    let error = (got - exact.clamp(-128.0, 127.0)).abs();
                    assert!(error <= 0.5001, "case {case} at {y} {x} {o}: {got} against {exact}");
                }
            }
        }
    }
}

/// A depthwise convolution is a convolution with as many groups as input channels.
#[test]
fn depthwise_equals_the_grouped_convolution() {
    let mut random = Random::new(12);
    for case in 0..100 {
        let (c_in, multiplier) = (random.within(1, 6) as usize, random.within(1, 3) as usize);
        let (c_out, filter) =
            (c_in * multiplier, (random.within(1, 3) as usize, random.within(1, 3) as usize));
        let (input, output) = (View::new(6, 7, c_in, [Nhwc, Planar][case % 2]), View::new(5, 6, c_out, Nhwc));
        let window = window(filter, 1, 1, (1, 0));
        let values: Vec<i8> = (0..input.extent.len()).map(|_| random.value()).collect();
        let taps = filter.0 * filter.1;
        let weights: Vec<i8> = (0..taps * c_out).map(|_| random.weight()).collect();
        let by_channel: Vec<i8> = (0..c_out)
            .flat_map(|o| (0..taps).map(move |tap| (o, tap)))
            .map(|(o, tap)| weights[tap * c_out + o])
            .collect();
        let bias: Vec<i32> = (0..c_out).map(|_| random.within(-9000, 9000)).collect();
        let multipliers: Vec<i32> = (0..c_out).map(|_| random.within(1 << 20, 1 << 25)).collect();
        let requantize = Requantize {
            multipliers: &multipliers,
            shift: 0,
            zero_point: 4,
            output_min: -100,
            output_max: 120,
        };
        let (packing, input_zero_point, bias) = (Packing::Plain, -9, &bias[..]);
        let depthwise = DepthwiseConv2d {
            input,
            output,
            window,
            input_zero_point,
            weights: &weights,
            packing,
            bias,
            requantize,
        };
        let grouped = Conv2d {
            input,
            output,
            window,
            groups: c_in,
            input_zero_point,
            weights: &by_channel,
            packing,
            bias,
            requantize,
        };
        let mut outputs = [vec![0; output.extent.len()], vec![1; output.extent.len()]];
        Reference::depthwise_conv_2d(&depthwise, &values, &mut outputs[0], 0..5, &mut []);
        Reference::conv_2d(&grouped, &values, &mut outputs[1], 0..5, &mut []);
        assert_eq!(outputs[0], outputs[1], "case {case}");
    }
}

#[test]
fn pooling_by_hand() {
    let (input, output) = (View::new(2, 4, 1, Nhwc), View::new(1, 2, 1, Nhwc));
    let window = window((2, 2), 2, 1, (0, 0));
    let values = [1, 2, -8, -3, 3, 5, -4, -3];
    let max = MaxPool2d { input, output, window, output_min: -2, output_max: 4 };
    let mut result = [0; 2];
    Reference::max_pool_2d(&max, &values, &mut result, 0..1);
    assert_eq!(result, [4, -2]);
    let mut average = AveragePool2d {
        input,
        output,
        window,
        counted_padding: None,
        average: Average::Exact,
        output_min: -128,
        output_max: 127,
    };
    Reference::average_pool_2d(&average, &values, &mut result, 0..1);
    assert_eq!(result, [3, -5]); // 11/4 = 2.75, -18/4 = -4.5 away from zero

    // One column of padding on the left: left out, then counted as 6.
    average.window.pad_left = 1;
    average.output = View::new(1, 1, 1, Nhwc);
    Reference::average_pool_2d(&average, &values, &mut result[..1], 0..1);
    assert_eq!(result[0], 2); // (1 + 3) / 2
    average.counted_padding = Some(6);
    Reference::average_pool_2d(&average, &values, &mut result[..1], 0..1);
    assert_eq!(result[0], 4); // (1 + 3 + 12) / 4

    // Factor 1/8 of the sum less four times -2, from 3 on: 3 + (11 + 8) / 8 = 5.375.
    average.window.pad_left = 0;
    average.average =
        Average::Scaled { mantissa: 1 << 28, shift: 0, input_zero_point: -2, output_zero_point: 3 };
    average.counted_padding = None;
    Reference::average_pool_2d(&average, &values, &mut result[..1], 0..1);
    assert_eq!(result[0], 5);
}

#[test]
fn product_and_sum_equal_the_real_ones_rounded_once() {
    let mut random = Random::new(13);
    for _ in 0..20_000 {
        let mut quant =
            |low| QuantParams { scale: random.within(low, 1000) as f32 / 4096.0, zero_point: random.value() };
        let (lhs, rhs, output) = (quant(1), quant(1), quant(400));
        let (mut a, mut b, mut result) = ([random.value()], [random.value()], [0i8]);
        let (real_a, real_b) = (f64::from(lhs.dequantize(a[0])), f64::from(rhs.dequantize(b[0])));
        let exact =
            |real: f64| (real / f64::from(output.scale) + f64::from(output.zero_point)).clamp(-128.0, 127.0);

        let factor = f64::from(lhs.scale) * f64::from(rhs.scale) / f64::from(output.scale);
        let multiplier = Multiplier::from_factor(factor).unwrap();
        let mul = Mul {
            lhs_zero_point: lhs.zero_point,
            rhs_zero_point: rhs.zero_point,
            view: View::new(1, 1, 1, Nhwc),
            rhs_per_channel: false,
            mantissa: multiplier.mantissa,
            shift: multiplier.shift,
            output_zero_point: output.zero_point,
            output_min: -128,
            output_max: 127,
        };
        Reference::mul(&mul, cells(&mut a), cells(&mut b), cells(&mut result));
        assert!((f64::from(result[0]) - exact(real_a * real_b)).abs() <= 0.501, "{mul:?} {a:?} {b:?}");

        let Some(coefficients) = AddCoefficients::new(lhs, rhs, output) else { continue };
        let add = Add { coefficients, output_min: -128, output_max: 127 };
        Reference::add(&add, cells(&mut a), cells(&mut b), cells(&mut result));
        assert!((f64::from(result[0]) - exact(real_a + real_b)).abs() <= 0.501, "{add:?} {a:?} {b:?}");
    }
}

#[test]
fn a_factor_per_channel_follows_the_layout() {
    let mut factors = [1, 2, 3];
    for (layout, expected) in [(Nhwc, [10, 20, 30, 10, 20, 30]), (Planar, [10, 10, 20, 20, 30, 30])] {
        let op = Mul {
            lhs_zero_point: 0,
            rhs_zero_point: 0,
            view: View::new(1, 2, 3, layout),
            rhs_per_channel: true,
            mantissa: 1 << 30,
            shift: 1,
            output_zero_point: 0,
            output_min: -128,
            output_max: 127,
        };
        let mut values = [10; 6];
        let values = cells(&mut values);
        Reference::mul(&op, values, cells(&mut factors), values);
        assert!(values.iter().map(Cell::get).eq(expected));
    }
}

#[test]
fn lookup_maps_every_value() {
    let table: Vec<i8> = (0..=255u8).map(|i| (i ^ 0x5A) as i8).collect();
    let mut values: Vec<i8> = (-128..=127).collect();
    let cells = cells(&mut values);
    Reference::lookup(&table, cells, cells);
    assert!(cells.iter().map(Cell::get).eq(table.iter().copied()));
}

#[test]
fn place_puts_rows_where_they_belong() {
    let op = Place {
        input: View::new(2, 1, 2, Nhwc),
        output: View::new(3, 2, 3, Planar),
        top: 1,
        left: 1,
        channel: 1,
    };
    let mut output = [0; 18];
    Reference::place(&op, &[1, 2, 3, 4], &mut output, 0..2);
    assert_eq!(output, [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 3, 0, 4]);
    let mut output = [0; 18];
    Reference::place(&op, &[1, 2, 3, 4], &mut output, 1..2);
    assert_eq!(output[12..], [0, 0, 0, 3, 0, 4]);
}

/// The compiler's table, by the formula of `docs/arithmetic.md`.
fn exponentials(scale: f64, channels: usize) -> (Vec<u32>, u32) {
    let f = (31 - channels.next_power_of_two().ilog2()).min(24);
    let table =
        (0..256).map(|d| round_half_away(f64::from(1u32 << f) * (-f64::from(d) * scale).exp()) as u32);
    (table.collect(), f)
}

/// The exact softmax in steps of the output, and the kernel's.
fn softmax_errors(
    channels: usize,
    scale: f64,
    output: QuantParams,
    q: &[i8],
    mut visit: impl FnMut(f64, f64, u32),
) {
    let (table, f) = exponentials(scale, channels);
    let factor = 1.0 / (f64::from(output.scale) * f64::from(1 << 23));
    let op = Softmax {
        view: View::new(1, 1, channels, Layout::Nhwc),
        exponentials: &table,
        mantissa: Multiplier::with_shift(factor, 0).unwrap().mantissa,
        output_zero_point: output.zero_point,
    };
    let mut values = q.to_vec();
    let values = cells(&mut values);
    Reference::softmax(&op, values, values);
    let max = f64::from(*q.iter().max().unwrap());
    let sum: f64 = q.iter().map(|&q| ((f64::from(q) - max) * scale).exp()).sum();
    for (got, &q) in values.iter().zip(q) {
        let real = ((f64::from(q) - max) * scale).exp() / sum;
        let exact = real / f64::from(output.scale) + f64::from(output.zero_point);
        visit(f64::from(got.get()), exact.clamp(-128.0, 127.0), f);
    }
}

#[test]
fn softmax_is_within_its_stated_bound() {
    const USUAL: QuantParams = QuantParams { scale: 1.0 / 256.0, zero_point: -128 };
    let mut random = Random::new(14);
    let mut differing = 0u32;
    let mut total = 0u32;
    for case in 0..4000 {
        let channels = match case % 4 {
            0 => random.within(1, 12),
            1 => random.within(13, 128),
            2 => random.within(129, 1000),
            _ => random.within(1, 2048),
        } as usize;
        let scale = f64::from(random.within(1, 4000)) / 10_000.0;
        let spread = random.within(0, 127);
        let q: Vec<i8> = (0..channels).map(|_| random.within(-1 - spread, spread) as i8).collect();
        softmax_errors(channels, scale, USUAL, &q, |got, exact, f| {
            let bound = 0.5 + 256.0 * channels as f64 / f64::from(1u32 << (f + 1)) + 1.0 / 16384.0;
            assert!(
                (got - exact).abs() <= bound,
                "{channels} channels, scale {scale}: {got} against {exact}"
            );
            total += 1;
            if round_half_away(exact) != got as i64 {
                differing += 1;
                assert!(channels > 128 || (exact - exact.floor() - 0.5).abs() < 0.002);
            }
        });
    }
    assert!(differing * 200 < total, "{differing} of {total} differ from the correctly rounded value");
}

#[test]
fn softmax_at_its_ends() {
    const USUAL: QuantParams = QuantParams { scale: 1.0 / 256.0, zero_point: -128 };
    // One channel is certain: 256 steps above -128, saturated.
    softmax_errors(1, 0.1, USUAL, &[5], |got, _, _| assert_eq!(got, 127.0));
    // Equal channels share: 256/2, 256/3 and 256/1000 steps.
    for (channels, expected) in [(2, 0.0), (3, -43.0), (256, -127.0), (1000, -128.0)] {
        softmax_errors(channels, 0.1, USUAL, &vec![-128; channels], |got, _, _| assert_eq!(got, expected));
    }
    // A steep scale leaves the largest alone; every input value against the largest.
    for q in -128..=126 {
        softmax_errors(2, 30.0, USUAL, &[127, q], |got, exact, _| assert!((got - exact).abs() <= 0.51));
    }
    // Other output scales.
    for (scale, zero_point) in [(1.0 / 128.0, 0), (0.003, -128), (0.05, 100)] {
        let output = QuantParams { scale, zero_point };
        softmax_errors(5, 0.07, output, &[1, 9, -30, 50, 44], |got, exact, _| {
            assert!((got - exact).abs() <= 0.51, "{got} against {exact}");
        });
    }
}
