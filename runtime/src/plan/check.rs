//! The full check of a plan when it is opened, or while a program that embeds it is compiled. What holds afterwards is
//! what the kernels rely on.

use core::ops::Range;

use super::header::OpSet;
use super::lines::Group;
use super::model::{LoadError, Model};
use super::record::{Location, NONE, OpKind, OpRecord, ValueRecord};
use super::rows::Rows;
use crate::kernels::packing;
use crate::kernels::params::Window;
use crate::shape::Extent;

/// Limit of one extent and of a value's elements: all products of extents then fit 32 bits.
const MAX_ELEMENTS: u64 = 1 << 30;

/// Leaves the function with an error unless a condition holds. (`?` cannot be used while compiling.)
macro_rules! require {
    ($holds:expr, $error:expr) => {
        if !$holds {
            return Err($error);
        }
    };
}

/// Leaves the function with the error of a result.
macro_rules! attempt {
    ($result:expr) => {
        if let Err(error) = $result {
            return Err(error);
        }
    };
}

/// Checks everything but the header, for a program that links the operators `linked`.
pub(super) const fn check(model: &Model<'_>, linked: OpSet) -> Result<(), LoadError> {
    let header = model.header();
    require!(model.metadata().is_well_formed(), LoadError::Metadata);
    let mut value = 0;
    while value < header.n_values {
        let record = model.value(value);
        require!(value_fits(model, &record), LoadError::Value { value });
        require!(linked.contains_groups() || !is_lines(&record), LoadError::Value { value });
        value += 1;
    }
    let mut i = 0;
    while i < model.n_inputs() + model.n_outputs() {
        let value = model.io_index(i);
        let in_arena = matches!(model.value(value).location, Location::Arena(_));
        require!(value < header.n_values && in_arena, LoadError::Value { value });
        i += 1;
    }
    let mut op = 0;
    while op < header.n_ops {
        let Some(record) = model.op(op) else { return Err(LoadError::UnknownOp { op }) };
        let is_linked = linked.contains(record.kind) && header.ops.contains(record.kind);
        require!(is_linked, LoadError::NotLinked { op });
        attempt!(check_op(model, op, &record));
        require!(keeps_values(model, op, &record), LoadError::Overlap { op });
        let is_linked = header.ops.contains_groups() || !model.value_words(record.output).is_lines();
        require!(is_linked, LoadError::NotLinked { op });
        op += 1;
    }
    if linked.contains_groups() {
        attempt!(check_groups(model));
    }
    i = 0;
    while i < model.n_outputs() {
        let value = model.io_index(model.n_inputs() + i);
        require!(is_intact(model, header.n_ops, value), LoadError::Overlap { op: header.n_ops });
        i += 1;
    }
    Ok(())
}

const fn is_lines(value: &ValueRecord) -> bool {
    matches!(value.location, Location::Lines { .. })
}

const fn value_fits(model: &Model<'_>, value: &ValueRecord) -> bool {
    let Extent { h, w, c } = value.view.extent;
    let Some(elements) = (h as u64).checked_mul(w as u64) else { return false };
    let Some(elements) = elements.checked_mul(c as u64) else { return false };
    let scale_ok = value.quant.scale > 0.0 && value.quant.scale.is_finite();
    if elements == 0 || elements > MAX_ELEMENTS || !scale_ok {
        return false;
    }
    let header = model.header();
    let (offset, limit, held) = match value.location {
        Location::Arena(offset) => (offset, header.arena_bytes, elements),
        Location::Data(offset) => (offset, header.data_len, elements),
        Location::Lines { offset, rows } => {
            if rows as usize > h {
                return false;
            }
            (offset, header.arena_bytes, w as u64 * c as u64 * rows as u64)
        }
    };
    offset as u64 + held <= limit as u64
}

/// Bytes that are held of a value in the arena; `None` for a constant.
pub const fn arena_range(value: &ValueRecord) -> Option<Range<usize>> {
    let (offset, len) = match value.location {
        Location::Arena(offset) => (offset, value.view.extent.len()),
        Location::Lines { offset, rows } => (offset, rows as usize * value.view.extent.row_len()),
        Location::Data(_) => return None,
    };
    Some(offset as usize..offset as usize + len)
}

const fn scratch_range(op: &OpRecord) -> Range<usize> {
    if op.scratch_len == 0 {
        return 0..0;
    }
    op.scratch_offset as usize..op.scratch_offset as usize + op.scratch_len as usize
}

const fn overlaps(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}

const fn is_same(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start == b.start && a.end == b.end
}

const fn n_inputs(op: &OpRecord) -> usize {
    op.kind.operands()
}

const fn check_op(model: &Model<'_>, index: u16, op: &OpRecord) -> Result<(), LoadError> {
    let operand = LoadError::Operand { op: index };
    let shape = LoadError::Shape { op: index };
    let parameters = LoadError::Parameters { op: index };
    let header = model.header();

    require!(op.output < header.n_values, operand);
    let mut i = 0;
    while i < n_inputs(op) {
        require!(op.inputs[i] < header.n_values, operand);
        // Element-wise kernels read and write through cells, which the plan's bytes cannot give: constants are copied
        // first.
        let in_arena = arena_range(&model.value(op.inputs[i])).is_some();
        require!(in_arena || !op.kind.is_elementwise(), operand);
        i += 1;
    }
    let output = model.value(op.output);
    let input = model.value(op.inputs[0]);
    let (from, to) = (input.view.extent, output.view.extent);
    require!(arena_range(&output).is_some(), operand);
    require!(op.output_min <= op.output_max, parameters);
    require!(op.kind.is_spatial() || !op.from_last_row, parameters);

    let window = &op.window;
    let is_spatial = window.filter_h >= 1
        && window.filter_w >= 1
        && window.stride_h >= 1
        && window.stride_w >= 1
        && window.dilation_h >= 1
        && window.dilation_w >= 1
        && window_fits(from.h, to.h, window.filter_h, window.stride_h, window.dilation_h, window.pad_top)
        && window_fits(from.w, to.w, window.filter_w, window.stride_w, window.dilation_w, window.pad_left);
    let taps = window.filter_h as u64 * window.filter_w as u64;
    let mut scratch_needed = 0;
    let Some(words) = model.op_words(index) else { return Err(LoadError::UnknownOp { op: index }) };
    match op.kind {
        OpKind::Conv2d => {
            let groups = op.groups as usize;
            let divisible = groups > 0 && from.c % groups == 0 && to.c % groups == 0;
            require!(is_spatial && divisible, shape);
            let conv = model.conv_2d(words);
            require!(weights_fit(op, conv.weights_len(), conv.weights), parameters);
            require!(per_channel_fit(op, conv.bias, conv.requantize.multipliers, to.c), parameters);
            require!(conv.suits(op.packing), parameters);
            scratch_needed = packing::conv_2d_scratch_len(&conv);
        }
        OpKind::DepthwiseConv2d => {
            require!(is_spatial && to.c % from.c == 0, shape);
            let conv = model.depthwise_conv_2d(words);
            require!(weights_fit(op, conv.weights_len(), conv.weights), parameters);
            require!(per_channel_fit(op, conv.bias, conv.requantize.multipliers, to.c), parameters);
            require!(conv.suits(op.packing), parameters);
            scratch_needed = packing::depthwise_conv_2d_scratch_len(&conv);
        }
        OpKind::FullyConnected => {
            require!(to.h == 1 && to.w == 1, shape);
            let (input, output) = (model.value_words(op.inputs[0]), model.value_words(op.output));
            let layer = model.fully_connected(words, input, output);
            require!(weights_fit(op, layer.weights_len(), layer.weights), parameters);
            require!(per_channel_fit(op, layer.bias, layer.requantize.multipliers, to.c), parameters);
            require!(layer.suits(op.packing), parameters);
        }
        OpKind::MaxPool2d => require!(is_spatial && from.c == to.c, shape),
        OpKind::AveragePool2d => {
            require!(is_spatial && from.c == to.c && taps <= MAX_ELEMENTS / 256, shape);
            require!(op.a >= 0 && op.shift <= 30 && (op.b == 0 || op.b == 1), parameters);
        }
        OpKind::Add => {
            let rhs = model.value(op.inputs[1]).view;
            require!(input.view.is(output.view) && rhs.is(output.view), shape);
            require!(1 <= op.shift && op.shift <= 30, parameters);
        }
        OpKind::Mul => {
            let rhs = model.value(op.inputs[1]).view;
            let per_channel = rhs.extent.is(Extent { h: 1, w: 1, c: to.c });
            require!(input.view.is(output.view) && (rhs.is(output.view) || per_channel), shape);
            require!(op.a >= 0 && op.shift <= 30, parameters);
        }
        OpKind::Lookup => {
            require!(input.view.is(output.view), shape);
            require!(model.table(words).len() == 256, parameters);
        }
        OpKind::Softmax => {
            require!(input.view.is(output.view), shape);
            let exponentials = model.softmax(words).exponentials;
            let complete = op.weights_len == 4 * 256 && exponentials.len() == 256;
            require!(complete && exponentials[0] > 0 && op.a >= 0, parameters);
            let mut i = 0;
            while i < exponentials.len() {
                require!(exponentials[i] as u64 * to.c as u64 <= u32::MAX as u64, parameters);
                i += 1;
            }
        }
        OpKind::Concat => require!(model.concat(words).fits(), shape),
        OpKind::Pad => {
            require!(model.pad(words).fits(), shape);
            require!(op.c == op.c as i8 as i32, parameters);
        }
        OpKind::Copy => require!(from.is(to), shape),
        OpKind::MatMul => {
            require!(model.mat_mul_fits(words), shape);
            require!(op.a >= 0 && op.shift <= 30, parameters);
        }
    }
    let scratch_end = op.scratch_offset as u64 + op.scratch_len as u64;
    require!(
        op.scratch_len as usize >= scratch_needed
            && scratch_end <= header.arena_bytes as u64
            && (op.scratch_len == 0 || (op.scratch_offset as usize).is_multiple_of(super::ALIGNMENT)),
        parameters
    );
    Ok(())
}

/// Whether each window of `outputs` begins inside the padded input, padding is narrower than the window, and the
/// last window reaches at most one window beyond the input.
const fn window_fits(
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

const fn weights_fit(op: &OpRecord, expected: usize, weights: &[i8]) -> bool {
    op.weights_len as usize == expected && weights.len() == expected
}

const fn per_channel_fit(op: &OpRecord, bias: &[i32], multipliers: &[i32], channels: usize) -> bool {
    let mut i = 0;
    while i < multipliers.len() {
        if multipliers[i] < 0 {
            return false;
        }
        i += 1;
    }
    op.bias_offset != NONE && bias.len() == channels && multipliers.len() == channels && op.shift <= 30
}

/// Whether output and scratch leave the inputs alone, and the inputs hold what was made of them.
const fn keeps_values(model: &Model<'_>, index: u16, op: &OpRecord) -> bool {
    let Some(output) = arena_range(&model.value(op.output)) else { return false };
    let scratch = scratch_range(op);
    if overlaps(&output, &scratch) {
        return false;
    }
    let mut i = 0;
    while i < n_inputs(op) {
        let input = op.inputs[i];
        i += 1;
        let Some(range) = arena_range(&model.value(input)) else { continue };
        let on_itself = op.kind.is_elementwise() && is_same(&range, &output);
        if overlaps(&range, &scratch)
            || (overlaps(&range, &output) && !on_itself && !keeps_ahead(model, op, &range, &output))
            || !is_intact(model, index, input)
        {
            return false;
        }
    }
    true
}

/// What holds of every group: lines are read by the next operator alone, are as many as that one reads at once, and
/// nothing that a member writes lies on what another one still needs.
const fn check_groups(model: &Model<'_>) -> Result<(), LoadError> {
    let n_ops = model.header().n_ops;
    let (mut first, mut index) = (0, 0);
    let mut held: Option<u16> = None;
    while index < n_ops {
        let Some(op) = model.op(index) else { return Err(LoadError::UnknownOp { op: index }) };
        let operand = LoadError::Operand { op: index };
        let lhs_is_lines = model.value_words(op.inputs[0]).is_lines();
        let rhs_is_lines = n_inputs(&op) == 2 && is_lines(&model.value(op.inputs[1]));
        let reads = lhs_is_lines || rhs_is_lines;
        let writes = model.value_words(op.output).is_lines();
        let in_order = match held {
            Some(value) => op.inputs[0] == value,
            None => !reads,
        };
        let by_rows = op.kind.is_spatial() || (op.kind.is_elementwise() && is_point(&op.window));
        require!(in_order && !rhs_is_lines, operand);
        require!(!(reads || writes) || (by_rows && !op.from_last_row), operand);
        if !reads {
            first = index;
        }
        held = if writes { Some(op.output) } else { None };
        if reads {
            let Some(lines) = arena_range(&model.value(op.inputs[0])) else { return Err(operand) };
            let Some(group) = model.group(first, index) else { return Err(operand) };
            let rows = group.rows(group.len() - 1);
            let most = rows.most().saturating_mul(rows.row_lens().0);
            require!(lines.end - lines.start >= most && rows.output_rows() <= u16::MAX as usize, operand);
            require!(writes || group_fits(model, first, index, &group), LoadError::Overlap { op: index });
        }
        index += 1;
    }
    // The lines of the last operator would have no reader.
    require!(held.is_none(), LoadError::Operand { op: n_ops.saturating_sub(1) });
    Ok(())
}

/// Whether an output row needs the input row of the same number alone.
const fn is_point(window: &Window) -> bool {
    window.filter_h == 1 && window.stride_h == 1 && window.pad_top == 0
}

/// Whether no member of a group writes over what another one holds or still reads.
const fn group_fits(model: &Model<'_>, first: u16, last: u16, group: &Group) -> bool {
    let Some(first_op) = model.op(first) else { return false };
    let input = arena_range(&model.value(first_op.inputs[0]));
    let mut index = first;
    while index <= last {
        let Some(op) = model.op(index) else { return false };
        let Some(output) = arena_range(&model.value(op.output)) else { return false };
        let scratch = scratch_range(&op);
        let mut other = first;
        while other <= last {
            if other != index {
                let Some(op) = model.op(other) else { return false };
                let Some(written) = arena_range(&model.value(op.output)) else { return false };
                if overlaps(&written, &output) || overlaps(&written, &scratch) {
                    return false;
                }
                // The whole operand of another member: only the last one may write over it, once it has read it itself.
                if n_inputs(&op) == 2
                    && let Some(operand) = arena_range(&model.value(op.inputs[1]))
                    && (overlaps(&operand, &output) || overlaps(&operand, &scratch))
                {
                    return false;
                }
            }
            other += 1;
        }
        if let Some(input) = &input {
            let ahead = index == last && output.start + group.gap_below() <= input.start;
            if overlaps(&scratch, input) || (overlaps(&output, input) && !ahead) {
                return false;
            }
        }
        index += 1;
    }
    true
}

/// Whether a spatial operator can run over its input: each output row is written where no later one reads.
const fn keeps_ahead(model: &Model<'_>, op: &OpRecord, input: &Range<usize>, output: &Range<usize>) -> bool {
    let (from, to) = (model.value(op.inputs[0]).view.extent, model.value(op.output).view.extent);
    let rows = Rows::new(&op.window, from, to);
    op.kind.is_spatial()
        && !model.value_words(op.inputs[0]).is_lines()
        && !model.value_words(op.output).is_lines()
        && if op.from_last_row {
            output.start >= input.start + rows.gap_above()
        } else {
            output.start + rows.gap_below() <= input.start
        }
}

/// Whether the value still holds, before operator `before`, what its producer (or the caller) wrote: the last writer
/// that touched its bytes wrote it whole and nothing else. Reshaped values share their bytes and their length.
const fn is_intact(model: &Model<'_>, before: u16, value: u16) -> bool {
    let Some(range) = arena_range(&model.value(value)) else { return true };
    let len = range.end - range.start;
    let (mut parts, mut index) = (0, before);
    while index > 0 {
        index -= 1;
        let Some(op) = model.op(index) else { return false };
        if overlaps(&range, &scratch_range(&op)) {
            return false;
        }
        let Some(written) = arena_range(&model.value(op.output)) else { return false };
        if !overlaps(&range, &written) {
            continue;
        }
        if !is_same(&written, &range) {
            return false;
        }
        // Parts of a concatenation are all there when their elements fill the value.
        if !matches!(op.kind, OpKind::Concat) {
            return parts == 0 || parts == len;
        }
        parts += model.value(op.inputs[0]).view.extent.len();
        if parts >= len {
            return parts == len;
        }
    }
    if parts != 0 {
        return false;
    }
    let mut i = 0;
    while i < model.n_inputs() {
        if let Some(input) = arena_range(&model.value(model.io_index(i)))
            && is_same(&input, &range)
        {
            return true;
        }
        i += 1;
    }
    false
}
