//! Element-wise operators, tables and softmax.

use teff::plan::{OpKind, OpRecord};
use teff::quant::{AddCoefficients, Multiplier, QuantParams, round_half_away};
use teff::shape::{Extent, View};

use super::repeat;
use super::steps::{Cost, Lowering, Place, too_large};
use crate::error::{Error, Result};
use crate::graph::{Clamp, Node, Op};

pub(super) fn add(lowering: &mut Lowering<'_>, node: &Node, activation: Clamp, subtract: bool) -> Result<()> {
    let operands = [lowering.read(node.inputs[0])?, lowering.read(node.inputs[1])?];
    let output = lowering.define(node.output())?;
    let to = lowering.operand(output).clone();
    let mut inputs = [0; 2];
    for (input, operand) in inputs.iter_mut().zip(operands) {
        let operand = spread_constant(lowering, operand, to.view)?;
        let operand = lowering.in_arena(node, operand)?;
        *input = repeat::to_view(lowering, node, operand, to.view)?;
    }
    let [lhs, rhs] = inputs.map(|i| lowering.operand(i).quant);
    let coefficients = if subtract {
        AddCoefficients::difference(lhs, rhs, to.quant)
    } else {
        AddCoefficients::new(lhs, rhs, to.quant)
    };
    let c = coefficients.ok_or_else(|| {
        Error::node(&node.name, node.op.name(), "its output scale is far smaller than an operand's")
            .remedy("calibrate the model again")
    })?;
    let (output_min, output_max) = lowering.clamp(activation, to.quant);
    let record = OpRecord {
        inputs,
        a: c.lhs,
        b: c.rhs,
        c: c.offset,
        shift: c.shift,
        output_min,
        output_max,
        ..OpRecord::new(OpKind::Add, inputs[0], output)
    };
    lowering.push_step(node, record, Cost::default());
    Ok(())
}

pub(super) fn mul(lowering: &mut Lowering<'_>, node: &Node, activation: Clamp) -> Result<()> {
    let mut operands = [lowering.read(node.inputs[0])?, lowering.read(node.inputs[1])?];
    let output = lowering.define(node.output())?;
    let to = lowering.operand(output).clone();
    let per_channel = Extent { h: 1, w: 1, c: to.view.extent.c };
    if lowering.operand(operands[0]).view != to.view {
        operands.swap(0, 1);
    }
    if lowering.operand(operands[1]).view.extent != per_channel {
        operands[1] = spread_constant(lowering, operands[1], to.view)?;
    }
    let mut inputs = [lowering.in_arena(node, operands[0])?, lowering.in_arena(node, operands[1])?];
    inputs[0] = repeat::to_view(lowering, node, inputs[0], to.view)?;
    if lowering.operand(inputs[1]).view.extent != per_channel {
        inputs[1] = repeat::to_view(lowering, node, inputs[1], to.view)?;
    }
    let [lhs, rhs] = inputs.map(|i| lowering.operand(i).quant);
    let factor = f64::from(lhs.scale) * f64::from(rhs.scale) / f64::from(to.quant.scale);
    let multiplier = Multiplier::from_factor(factor).ok_or_else(|| {
        Error::node(
            &node.name,
            node.op.name(),
            format!("its scales give a factor of {factor:e}, out of range"),
        )
        .remedy("calibrate the model again")
    })?;
    let (output_min, output_max) = lowering.clamp(activation, to.quant);
    let record = OpRecord {
        inputs,
        a: multiplier.mantissa,
        shift: multiplier.shift,
        output_min,
        output_max,
        ..OpRecord::new(OpKind::Mul, inputs[0], output)
    };
    lowering.push_step(node, record, Cost::default());
    Ok(())
}

/// A constant whose axes of size 1 are repeated to the extent of `view`; anything else as it is.
fn spread_constant(lowering: &mut Lowering<'_>, index: u16, view: View) -> Result<u16> {
    let operand = lowering.operand(index).clone();
    let (from, to) = (operand.view.extent, view.extent);
    let repeats = |from: usize, to: usize| from == to || from == 1;
    let Place::Data(offset) = operand.place else { return Ok(index) };
    if from == to || !(repeats(from.h, to.h) && repeats(from.w, to.w) && repeats(from.c, to.c)) {
        return Ok(index);
    }
    let pick = |at: usize, len: usize| if len == 1 { 0 } else { at };
    let mut bytes = Vec::with_capacity(to.len());
    for y in 0..to.h {
        for x in 0..to.w {
            for c in 0..to.c {
                let at = operand.view.index(pick(y, from.h), pick(x, from.w), pick(c, from.c));
                bytes.push(lowering.writer.data()[offset as usize + at]);
            }
        }
    }
    let offset = lowering.writer.push_data(&bytes, 4).map_err(too_large)?;
    lowering.constant(&format!("{} repeated", operand.name), view, operand.quant, offset)
}

/// One function of one number, or several after each other of which only the last result is rounded: a table of 256
/// results.
pub(super) fn lookup(lowering: &mut Lowering<'_>, node: &Node) -> Result<()> {
    let graph = lowering.graph;
    let mut functions = vec![&node.op];
    let mut source = node.inputs[0];
    while graph.value(source).quant.is_none()
        && let Some(before) = graph.nodes.iter().find(|n| n.output() == source)
    {
        functions.push(&before.op);
        source = before.inputs[0];
    }
    let input = lowering.read(source)?;
    let input = lowering.in_arena(node, input)?;
    let output = lowering.define(node.output())?;
    table(lowering, node, input, output, |x| {
        functions.iter().rev().fold(x, |x, op| match op {
            Op::Unary(unary) => unary.apply_f64(x),
            _ => x,
        })
    })
}

/// The same real numbers in the quantization of `output`.
pub(super) fn requantize_to(lowering: &mut Lowering<'_>, node: &Node, input: u16, output: u16) -> Result<()> {
    table(lowering, node, input, output, |x| x)
}

fn table(
    lowering: &mut Lowering<'_>,
    node: &Node,
    input: u16,
    output: u16,
    function: impl Fn(f64) -> f64,
) -> Result<()> {
    let (from, to) = (lowering.operand(input).quant, lowering.operand(output).clone());
    let bytes = table_of(from, to.quant, function);
    let mut record = OpRecord { weights_len: 256, ..OpRecord::new(OpKind::Lookup, input, output) };
    record.weights_offset = lowering.writer.push_data(&bytes, 4).map_err(too_large)?;
    lowering.push_step(node, record, Cost { weights_bytes: 256, ..Cost::default() });
    Ok(())
}

/// `clamp(round(f(scale_in * (q - zero_in)) / scale_out) + zero_out)` for q from -128 to 127, in double precision, ties to
/// even; a result that is not a number gives the zero point.
fn table_of(input: QuantParams, output: QuantParams, function: impl Fn(f64) -> f64) -> Vec<u8> {
    (i8::MIN..=i8::MAX)
        .map(|q| {
            let real = f64::from(input.scale) * f64::from(i32::from(q) - i32::from(input.zero_point));
            let scaled = libm::rint(function(real) / f64::from(output.scale));
            let q = if scaled.is_nan() { 0.0 } else { scaled } + f64::from(output.zero_point);
            q.clamp(-128.0, 127.0) as i8 as u8
        })
        .collect()
}

/// Channels up to which the result is within 1 of the correctly rounded one (`docs/arithmetic.md`).
const SOFTMAX_CHANNELS: usize = 2048;

/// Softmax: a table of exponentials and one multiplier (`docs/arithmetic.md`).
pub(super) fn softmax(lowering: &mut Lowering<'_>, node: &Node) -> Result<()> {
    let input = lowering.read(node.inputs[0])?;
    let input = lowering.in_arena(node, input)?;
    let output = lowering.define(node.output())?;
    let (from, to) = (lowering.operand(input).quant, lowering.operand(output).clone());
    let channels = to.view.extent.c;
    if channels > SOFTMAX_CHANNELS {
        let reason =
            format!("{channels} channels; the rounding of exponentials is bounded up to {SOFTMAX_CHANNELS}");
        return Err(Error::node(&node.name, "softmax", reason)
            .remedy("leave the softmax out: it does not change the order of the scores"));
    }
    let bits = 31 - i32::try_from(channels.next_power_of_two().trailing_zeros()).unwrap_or(31);
    let one = f64::from(1u32 << bits.clamp(0, 24));
    let exponentials =
        (0..256).map(|d| round_half_away(one * libm::exp(-f64::from(d) * f64::from(from.scale))) as i32);
    let mut record = OpRecord { weights_len: 1024, ..OpRecord::new(OpKind::Softmax, input, output) };
    record.weights_offset = lowering.writer.push_words(exponentials).map_err(too_large)?;
    let factor = 1.0 / (f64::from(to.quant.scale) * f64::from(1u32 << 23));
    record.a = Multiplier::with_shift(factor, 0).map(|m| m.mantissa).ok_or_else(|| {
        Error::node(&node.name, "softmax", format!("its output scale {:e} is too small", to.quant.scale))
            .remedy("use the scale 1/256 and the zero point -128")
    })?;
    lowering.push_step(node, record, Cost { weights_bytes: 1024, ..Cost::default() });
    Ok(())
}
