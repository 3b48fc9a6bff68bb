//! The full check of a plan when it is opened. What holds afterwards is what the kernels rely on.

use core::ops::Range;

use super::lines::Group;
use super::model::{LoadError, Model, Ops};
use super::record::{Location, NONE, OpKind, OpRecord, ValueRecord};
use super::rows::Rows;
use crate::kernels::Kernels;
use crate::kernels::params::{Packing, Window};
use crate::shape::Extent;

/// Limit of one extent and of a value's elements: all products of extents then fit 32 bits.
const MAX_ELEMENTS: u64 = 1 << 30;

pub(super) fn check<M: Ops, K: Kernels>(model: &Model<'_>) -> Result<(), LoadError> {
    let header = model.header();
    if !model.metadata().into_well_formed() {
        return Err(LoadError::Metadata);
    }
    for value in 0..header.n_values {
        let record = model.value(value);
        check_value(model, &record).ok_or(LoadError::Value { value })?;
        if !M::OPS.contains_groups() && matches!(record.location, Location::Lines { .. }) {
            return Err(LoadError::Value { value });
        }
    }
    for i in 0..model.n_inputs() + model.n_outputs() {
        let value = model.io_index(i);
        if value >= header.n_values || !matches!(model.value(value).location, Location::Arena(_)) {
            return Err(LoadError::Value { value });
        }
    }
    for op in 0..header.n_ops {
        let record = model.op(op).ok_or(LoadError::UnknownOp { op })?;
        if !M::OPS.contains(record.kind) || !header.ops.contains(record.kind) || !K::reads(record.packing) {
            return Err(LoadError::NotLinked { op });
        }
        check_op::<K>(model, op, &record)?;
        check_overlap(model, op, &record).ok_or(LoadError::Overlap { op })?;
        if model.writes_lines(&record) && !header.ops.contains_groups() {
            return Err(LoadError::NotLinked { op });
        }
    }
    if M::OPS.contains_groups() {
        check_groups(model)?;
    }
    for i in 0..model.n_outputs() {
        let value = model.io_index(model.n_inputs() + i);
        if !is_intact(model, header.n_ops, value) {
            return Err(LoadError::Overlap { op: header.n_ops });
        }
    }
    Ok(())
}

fn check_value(model: &Model<'_>, value: &ValueRecord) -> Option<()> {
    let Extent { h, w, c } = value.view.extent;
    let elements = (h as u64).checked_mul(w as u64)?.checked_mul(c as u64)?;
    let scale_ok = value.quant.scale > 0.0 && value.quant.scale.is_finite();
    if elements == 0 || elements > MAX_ELEMENTS || !scale_ok {
        return None;
    }
    let (offset, limit, held) = match value.location {
        Location::Arena(offset) => (offset, model.header().arena_bytes, elements),
        Location::Data(offset) => (offset, model.header().data_len, elements),
        Location::Lines { offset, rows } => {
            if usize::from(rows) > h {
                return None;
            }
            (offset, model.header().arena_bytes, w as u64 * c as u64 * u64::from(rows))
        }
    };
    (u64::from(offset) + held <= u64::from(limit)).then_some(())
}

/// Bytes that are held of a value in the arena; `None` for a constant.
pub fn arena_range(value: &ValueRecord) -> Option<Range<usize>> {
    let (offset, len) = match value.location {
        Location::Arena(offset) => (offset, value.view.extent.len()),
        Location::Lines { offset, rows } => (offset, usize::from(rows) * value.view.extent.row_len()),
        Location::Data(_) => return None,
    };
    Some(offset as usize..offset as usize + len)
}

pub(crate) fn scratch_range(op: &OpRecord) -> Range<usize> {
    if op.scratch_len == 0 {
        return 0..0;
    }
    op.scratch_offset as usize..op.scratch_offset as usize + op.scratch_len as usize
}

fn overlaps(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}

fn input_indices(op: &OpRecord) -> impl Iterator<Item = u16> {
    let binary = matches!(op.kind, OpKind::Add | OpKind::Mul);
    op.inputs.into_iter().take(if binary { 2 } else { 1 })
}

fn check_op<K: Kernels>(model: &Model<'_>, index: u16, op: &OpRecord) -> Result<(), LoadError> {
    let operand = LoadError::Operand { op: index };
    let shape = LoadError::Shape { op: index };
    let parameters = LoadError::Parameters { op: index };
    let require = |holds: bool, error: LoadError| if holds { Ok(()) } else { Err(error) };

    require(op.output < model.header().n_values, operand)?;
    require(input_indices(op).all(|i| i < model.header().n_values), operand)?;
    let output = model.value(op.output);
    let input = model.value(op.inputs[0]);
    let (from, to) = (input.view.extent, output.view.extent);
    require(arena_range(&output).is_some(), operand)?;
    require(op.output_min <= op.output_max, parameters)?;
    require(op.kind.is_spatial() || !op.from_last_row, parameters)?;
    // Element-wise kernels read and write through cells, which the plan's bytes cannot give: constants are copied first.
    let in_arena = |i| arena_range(&model.value(i)).is_some();
    require(!op.kind.is_elementwise() || input_indices(op).all(in_arena), operand)?;

    let window = op.window;
    let spatial = window.filter_h >= 1
        && window.filter_w >= 1
        && window.stride_h >= 1
        && window.stride_w >= 1
        && window.dilation_h >= 1
        && window.dilation_w >= 1
        && window_fits(from.h, to.h, window.filter_h, window.stride_h, window.dilation_h, window.pad_top)
        && window_fits(from.w, to.w, window.filter_w, window.stride_w, window.dilation_w, window.pad_left);
    let taps = window.filter_h as u64 * window.filter_w as u64;
    let mut scratch_needed = 0;
    match op.kind {
        OpKind::Conv2d => {
            let groups = usize::from(op.groups);
            let divisible = |channels: usize| channels.checked_rem(groups) == Some(0);
            require(spatial && divisible(from.c) && divisible(to.c), shape)?;
            let conv = model.conv_2d(op);
            require(weights_fit(op, conv.weights_len(), conv.weights), parameters)?;
            require(per_channel_fit(op, conv.bias, conv.requantize.multipliers, to.c), parameters)?;
            require(op.packing == Packing::Plain || conv.suits_dsp(), parameters)?;
            scratch_needed = K::conv_2d_scratch_len(&conv);
        }
        OpKind::DepthwiseConv2d => {
            require(spatial && to.c.checked_rem(from.c) == Some(0), shape)?;
            let conv = model.depthwise_conv_2d(op);
            require(weights_fit(op, conv.weights_len(), conv.weights), parameters)?;
            require(per_channel_fit(op, conv.bias, conv.requantize.multipliers, to.c), parameters)?;
            require(op.packing == Packing::Plain || conv.suits_dsp(), parameters)?;
            scratch_needed = K::depthwise_conv_2d_scratch_len(&conv);
        }
        OpKind::FullyConnected => {
            require(to.h == 1 && to.w == 1, shape)?;
            let layer = model.fully_connected(op);
            require(weights_fit(op, layer.weights_len(), layer.weights), parameters)?;
            require(per_channel_fit(op, layer.bias, layer.requantize.multipliers, to.c), parameters)?;
            require(op.packing == Packing::Plain || layer.suits_dsp(), parameters)?;
        }
        OpKind::MaxPool2d => require(spatial && from.c == to.c, shape)?,
        OpKind::AveragePool2d => {
            require(spatial && from.c == to.c && taps <= MAX_ELEMENTS / 256, shape)?;
            require(op.a >= 0 && op.shift <= 30 && (0..=1).contains(&op.b), parameters)?;
        }
        OpKind::Add => {
            let rhs = model.value(op.inputs[1]).view;
            require(input.view == output.view && rhs == output.view, shape)?;
            require((1..=30).contains(&op.shift), parameters)?;
        }
        OpKind::Mul => {
            let rhs = model.value(op.inputs[1]).view;
            let per_channel = rhs.extent == Extent { h: 1, w: 1, c: to.c };
            require(input.view == output.view && (rhs == output.view || per_channel), shape)?;
            require(op.a >= 0 && op.shift <= 30, parameters)?;
        }
        OpKind::Lookup => {
            require(input.view == output.view, shape)?;
            require(model.table(op).len() == 256, parameters)?;
        }
        OpKind::Softmax => {
            require(input.view == output.view, shape)?;
            let softmax = model.softmax(op);
            let sum_fits =
                softmax.exponentials.iter().all(|&e| u64::from(e) * to.c as u64 <= u64::from(u32::MAX));
            let first_positive = softmax.exponentials.first().is_some_and(|&e| e > 0);
            require(
                softmax.exponentials.len() == 256 && sum_fits && first_positive && op.a >= 0,
                parameters,
            )?;
        }
        OpKind::Concat => require(model.concat(op).fits(), shape)?,
        OpKind::Pad => {
            require(model.pad(op).fits(), shape)?;
            require(i8::try_from(op.c).is_ok(), parameters)?;
        }
        OpKind::Copy => require(from == to, shape)?,
    }
    let scratch_end = u64::from(op.scratch_offset) + u64::from(op.scratch_len);
    require(
        op.scratch_len as usize >= scratch_needed
            && scratch_end <= u64::from(model.header().arena_bytes)
            && (op.scratch_len == 0 || (op.scratch_offset as usize).is_multiple_of(super::ALIGNMENT)),
        parameters,
    )
}

/// Whether each window of `outputs` begins inside the padded input, padding is narrower than the window, and the
/// last window reaches at most one window beyond the input.
fn window_fits(
    input: usize,
    outputs: usize,
    filter: usize,
    stride: usize,
    dilation: usize,
    pad: usize,
) -> bool {
    let reach = dilation as u64 * (filter as u64 - 1) + 1;
    let last_start = stride as u64 * (outputs as u64 - 1);
    (pad as u64) < reach && last_start < (input + pad) as u64
}

fn weights_fit(op: &OpRecord, expected: usize, weights: &[i8]) -> bool {
    op.weights_len as usize == expected && weights.len() == expected
}

fn per_channel_fit(op: &OpRecord, bias: &[i32], multipliers: &[i32], channels: usize) -> bool {
    op.bias_offset != NONE
        && bias.len() == channels
        && multipliers.len() == channels
        && op.shift <= 30
        && multipliers.iter().all(|&m| m >= 0)
}

/// Output and scratch against the inputs, and the inputs against whatever was written since they were made.
fn check_overlap(model: &Model<'_>, index: u16, op: &OpRecord) -> Option<()> {
    let output = arena_range(&model.value(op.output))?;
    let scratch = scratch_range(op);
    if overlaps(&output, &scratch) {
        return None;
    }
    for input in input_indices(op) {
        let Some(range) = arena_range(&model.value(input)) else { continue };
        let on_itself = op.kind.is_elementwise() && range == output;
        if overlaps(&range, &scratch)
            || (overlaps(&range, &output) && !on_itself && !keeps_ahead(model, op, &range, &output))
            || !is_intact(model, index, input)
        {
            return None;
        }
    }
    Some(())
}

/// What holds of every group: lines are read by the next operator alone, are as many as that one reads at once, and
/// nothing that a member writes lies on what another one still needs.
fn check_groups(model: &Model<'_>) -> Result<(), LoadError> {
    let mut first = 0;
    let mut held: Option<u16> = None;
    for index in 0..model.header().n_ops {
        let Some(op) = model.op(index) else { return Err(LoadError::UnknownOp { op: index }) };
        let operand = LoadError::Operand { op: index };
        let is_lines = |value| matches!(model.value(value).location, Location::Lines { .. });
        let reads = input_indices(&op).any(is_lines);
        let second_is_whole = input_indices(&op).skip(1).all(|value| !is_lines(value));
        let writes = model.writes_lines(&op);
        let in_order = match held {
            Some(value) => op.inputs[0] == value,
            None => !reads,
        };
        let by_rows = op.kind.is_spatial() || (op.kind.is_elementwise() && is_point(&op.window));
        if !in_order || !second_is_whole || ((reads || writes) && (!by_rows || op.from_last_row)) {
            return Err(operand);
        }
        if !reads {
            first = index;
        }
        held = writes.then_some(op.output);
        if reads {
            let lines = arena_range(&model.value(op.inputs[0])).unwrap_or_default();
            let overlap = LoadError::Overlap { op: index };
            let group = model.group(first, index).ok_or(operand)?;
            let rows = group.rows(group.len() - 1);
            let most = rows.most().saturating_mul(rows.row_lens().0);
            if lines.len() < most || rows.output_rows() > usize::from(u16::MAX) {
                return Err(operand);
            }
            if !writes {
                check_group(model, first, index, &group).ok_or(overlap)?;
            }
        }
    }
    // The lines of the last operator would have no reader.
    let last = model.header().n_ops.saturating_sub(1);
    if held.is_some() { Err(LoadError::Operand { op: last }) } else { Ok(()) }
}

/// Whether an output row needs the input row of the same number alone.
fn is_point(window: &Window) -> bool {
    (window.filter_h, window.stride_h, window.pad_top) == (1, 1, 0)
}

fn check_group(model: &Model<'_>, first: u16, last: u16, group: &Group) -> Option<()> {
    let input = arena_range(&model.value(model.op(first)?.inputs[0]));
    for index in first..=last {
        let op = model.op(index)?;
        let (output, scratch) = (arena_range(&model.value(op.output))?, scratch_range(&op));
        for other in (first..=last).filter(|&other| other != index) {
            let other = model.op(other)?;
            let written = arena_range(&model.value(other.output))?;
            if overlaps(&written, &output) || overlaps(&written, &scratch) {
                return None;
            }
            // The whole operand of another member: only the last one may write over it, once it has read it itself.
            for operand in input_indices(&other).skip(1) {
                let Some(operand) = arena_range(&model.value(operand)) else { continue };
                if overlaps(&operand, &output) || overlaps(&operand, &scratch) {
                    return None;
                }
            }
        }
        let Some(input) = &input else { continue };
        let ahead = index == last && output.start + group.gap_below() <= input.start;
        if overlaps(&scratch, input) || (overlaps(&output, input) && !ahead) {
            return None;
        }
    }
    Some(())
}

/// Whether a spatial operator can run over its input: each output row is written where no later one reads.
fn keeps_ahead(model: &Model<'_>, op: &OpRecord, input: &Range<usize>, output: &Range<usize>) -> bool {
    let extent = |value| model.value(value).view.extent;
    let rows = Rows::new(&op.window, extent(op.inputs[0]), extent(op.output));
    op.kind.is_spatial()
        && !model.reads_lines(op)
        && !model.writes_lines(op)
        && if op.from_last_row {
            output.start >= input.start + rows.gap_above()
        } else {
            output.start + rows.gap_below() <= input.start
        }
}

/// Whether the value still holds, before operator `before`, what its producer (or the caller) wrote: the last writer
/// that touched its bytes wrote it whole and nothing else. Reshaped values share their bytes and their length.
fn is_intact(model: &Model<'_>, before: u16, value: u16) -> bool {
    let Some(range) = arena_range(&model.value(value)) else { return true };
    let mut parts = 0;
    for index in (0..before).rev() {
        let Some(op) = model.op(index) else { return false };
        if overlaps(&range, &scratch_range(&op)) {
            return false;
        }
        let Some(written) = arena_range(&model.value(op.output)) else { return false };
        if !overlaps(&range, &written) {
            continue;
        }
        if written != range {
            return false;
        }
        // Parts of a concatenation are all there when their elements fill the value.
        if op.kind != OpKind::Concat {
            return parts == 0 || parts == range.len();
        }
        parts += model.value(op.inputs[0]).view.extent.len();
        if parts >= range.len() {
            return parts == range.len();
        }
    }
    parts == 0
        && (0..model.n_inputs())
            .any(|i| arena_range(&model.value(model.io_index(i))).as_ref() == Some(&range))
}
