//! What operators cost on a processor: instructions, predicted.
//!
//! An operator is described by a few counts ([`Work`]): kernel calls, rows, positions, outputs, multiply-accumulates
//! and so on. For each core and each *kernel* (an operator in one packing, with a window of one kind) a row of
//! `coefficients.tsv` has the instructions that each of these takes. The rows are fitted to instructions that were
//! counted in the emulator (`cargo xtask bench fit`), on layers made for it; all decisions of the compiler that weigh
//! time go by them.

mod table;

use teff::kernels::params::Packing;
use teff::plan::{OpKind, OpRecord, Rows, Target};
use teff::shape::{Layout, View};

/// Elements of a vector of Helium.
const VECTOR: usize = 16;
/// Input channels from which on a convolution is no first layer.
const FEW_CHANNELS: usize = 4;

/// Names of the counts, in the order of [`Work::counts`] and of the columns of the table.
pub const COUNTS: [&str; 10] =
    ["call", "row", "position", "output", "mac", "copied", "edge", "left_over", "read", "moved"];

/// What one operator does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// The kernel, as the first column of the table names it: operator, window, packing.
    pub kernel: String,
    /// In the order of [`COUNTS`].
    pub counts: [u64; COUNTS.len()],
}

impl Work {
    /// An operator that is done in `calls` calls of its kernel.
    pub fn new(op: &OpRecord, input: View, output: View, calls: usize) -> Self {
        let (from, to) = (input.extent, output.extent);
        let window = &op.window;
        let taps = window.filter_h.saturating_mul(window.filter_w);
        let per_output = match op.kind {
            OpKind::Conv2d => taps.saturating_mul(from.c / usize::from(op.groups).max(1)),
            OpKind::DepthwiseConv2d | OpKind::MaxPool2d | OpKind::AveragePool2d => taps,
            OpKind::FullyConnected => from.len(),
            OpKind::MatMul => from.c,
            _ => 0,
        };
        let is_copy = matches!(op.kind, OpKind::Concat | OpKind::Pad | OpKind::Copy);
        let done = if is_copy { from } else { to };
        let (positions, outputs) = (done.h.saturating_mul(done.w), done.len());
        // The rows of matrices are positions.
        let rows = if op.kind == OpKind::MatMul { positions } else { done.h };
        let calls = calls.clamp(1, rows.max(1));
        let edges = if op.kind.is_spatial() { at_the_edge(op, input, output) } else { 0 };
        let left_over = match op.kind {
            OpKind::Conv2d => {
                let per_call = (rows / calls).max(1).saturating_mul(done.w) % positions_at_once(op.packing);
                per_call.saturating_mul(calls).min(positions).saturating_mul(to.c).saturating_mul(per_output)
            }
            OpKind::FullyConnected => (to.c % outputs_at_once(op.packing)).saturating_mul(per_output),
            _ => 0,
        };
        let edge = match op.kind {
            OpKind::Conv2d => edges.saturating_mul(per_output),
            _ => edges.saturating_mul(to.c),
        };
        if let Some(columns) = winograd_columns(op.packing) {
            return Self {
                kernel: kernel(op, input, output),
                counts: winograd(from.c, output, calls, columns),
            };
        }
        // Input rows are read anew by each call that needs them.
        let reach = window.dilation_h.saturating_mul(window.filter_h.saturating_sub(1)).saturating_add(1);
        let rows_read = if op.kind.is_spatial() {
            let at_once = (rows / calls).max(1) - 1;
            at_once.saturating_mul(window.stride_h).saturating_add(reach).min(from.h).saturating_mul(calls)
        } else {
            0
        };
        let copied = match op.kind {
            // What is gathered for each position before it is multiplied.
            OpKind::Conv2d => positions.saturating_mul(per_output),
            // Input rows with each channel repeated.
            OpKind::DepthwiseConv2d if from.c != to.c && op.packing != Packing::Plain => {
                rows_read.saturating_mul(from.w).saturating_mul(to.c)
            }
            _ => 0,
        };
        let (outputs, macs) = match op.packing {
            Packing::Mve => in_vectors(op, output, per_output),
            _ => (outputs, outputs.saturating_mul(per_output)),
        };
        let counts = [
            calls,
            rows,
            positions,
            outputs,
            macs,
            copied,
            edge,
            left_over,
            rows_read.saturating_mul(from.row_len()),
            0,
        ];
        Self { kernel: kernel(op, input, output), counts: counts.map(|count| count as u64) }
    }

    /// The same in lock step, where a call makes one row and, if it `reads_lines`, moves those that it still needs.
    pub fn in_lock_step(op: &OpRecord, input: View, output: View, reads_lines: bool) -> Self {
        let mut work = Self::new(op, input, output, output.extent.h);
        let rows = Rows::new(&op.window, input.extent, output.extent);
        if reads_lines {
            let kept = rows.most().saturating_sub(op.window.stride_h);
            let moved = rows.output_rows().saturating_mul(kept).saturating_mul(input.extent.row_len());
            work.counts[9] = moved as u64;
        }
        work
    }

    /// Those of the predicted instructions that are taken once per call.
    pub fn call_instructions(&self, target: Target) -> u64 {
        let per_call = u64::from(table::costs(target, &self.kernel)[0]);
        self.counts[0].saturating_mul(per_call).div_ceil(table::UNIT)
    }

    /// Predicted instructions on `target`.
    pub fn instructions(&self, target: Target) -> u64 {
        let costs = table::costs(target, &self.kernel);
        let sum = self
            .counts
            .iter()
            .zip(costs)
            .fold(0u64, |sum, (&count, cost)| sum.saturating_add(count.saturating_mul(cost.into())));
        sum.div_ceil(table::UNIT)
    }
}

/// Positions that convolutions take at once.
pub(crate) fn positions_at_once(packing: Packing) -> usize {
    match packing {
        Packing::Base | Packing::Mve => 3,
        _ => 4,
    }
}

/// Outputs of a fully connected layer that are taken at once.
fn outputs_at_once(packing: Packing) -> usize {
    if packing == Packing::Mve { 4 } else { 8 }
}

/// Outputs and products with those that fill groups and vectors of Helium.
fn in_vectors(op: &OpRecord, output: View, per_output: usize) -> (usize, usize) {
    let to = output.extent;
    if op.kind == OpKind::DepthwiseConv2d {
        let fills_with_pixels = op.window.stride_w == 1 && VECTOR.is_multiple_of(to.c.max(1));
        let row = if fills_with_pixels { to.row_len() } else { to.c };
        let vectors = row.div_ceil(VECTOR) * if fills_with_pixels { to.h } else { to.h * to.w };
        let outputs = vectors.saturating_mul(VECTOR);
        return (outputs, outputs.saturating_mul(per_output));
    }
    let outputs = (to.h * to.w).saturating_mul(to.c.next_multiple_of(outputs_at_once(op.packing)));
    (outputs, outputs.saturating_mul(per_output.next_multiple_of(VECTOR)))
}

/// What the names of depthwise kernels with several output channels for each input channel have, those with a window of
/// 3×3 where it matters.
const MULTIPLIER: &str = " multiplier";
const MULTIPLIER_3X3: &str = " multiplier 3x3";

/// Columns of output that kernels of Winograd's scheme take at once, in two rows; `None` for other packings.
fn winograd_columns(packing: Packing) -> Option<usize> {
    match packing {
        Packing::DspWinograd => Some(4),
        Packing::BaseWinograd => Some(8),
        _ => None,
    }
}

/// Counts of a convolution by Winograd's scheme. Positions are groups of tiles of 2×2, outputs those of whole groups,
/// products those of transformed numbers, and what is copied are the input channels of the groups.
fn winograd(c_in: usize, output: View, calls: usize, columns: usize) -> [u64; COUNTS.len()] {
    let to = output.extent;
    // All calls but the last have as many rows.
    let rows = to.h.div_ceil(calls).max(1);
    let tile_rows = (to.h / rows).saturating_mul(rows.div_ceil(2)).saturating_add((to.h % rows).div_ceil(2));
    let groups = tile_rows.saturating_mul(to.w.div_ceil(columns));
    let outputs = groups.saturating_mul(2 * columns).saturating_mul(to.c);
    let products = outputs.saturating_mul(4).saturating_mul(c_in);
    [calls, to.h, groups, outputs, products, groups.saturating_mul(c_in), 0, 0, 0, 0]
        .map(|count| count as u64)
}

/// Positions whose window reaches beyond the input.
fn at_the_edge(op: &OpRecord, input: View, output: View) -> usize {
    let window = &op.window;
    let inside =
        |outputs: usize, inputs: usize, filter: usize, stride: usize, dilation: usize, pad: usize| {
            let reach = dilation.saturating_mul(filter.saturating_sub(1)).saturating_add(1);
            let is_inside = |at: usize| at * stride >= pad && at * stride + reach <= inputs + pad;
            (0..outputs).filter(|&at| is_inside(at)).count()
        };
    let (from, to) = (input.extent, output.extent);
    let rows = inside(to.h, from.h, window.filter_h, window.stride_h, window.dilation_h, window.pad_top);
    let columns = inside(to.w, from.w, window.filter_w, window.stride_w, window.dilation_w, window.pad_left);
    to.h.saturating_mul(to.w).saturating_sub(rows.saturating_mul(columns))
}

/// The name of the kernel that runs an operator: operator, window, packing.
pub fn kernel(op: &OpRecord, input: View, output: View) -> String {
    let (from, to, window) = (input.extent, output.extent, &op.window);
    let is_plain = op.packing == Packing::Plain;
    let is_3x3 = (window.filter_h, window.filter_w) == (3, 3);
    let is_one = (window.filter_h, window.filter_w, window.stride_h, window.stride_w) == (1, 1, 1, 1);
    let is_global = (window.filter_h, window.filter_w) == (from.h, from.w) && (to.h, to.w) == (1, 1);
    // Other pools run on the portable kernels everywhere.
    let is_by_channels = from.c >= 4 && (input.layout, output.layout) == (Layout::Nhwc, Layout::Nhwc);
    let variant = match op.kind {
        OpKind::Conv2d if op.groups > 1 => " groups",
        OpKind::Conv2d if is_one => " 1x1",
        OpKind::Conv2d if from.c < FEW_CHANNELS => " first",
        OpKind::DepthwiseConv2d if from.c != to.c && (is_plain || !is_3x3) => MULTIPLIER,
        OpKind::DepthwiseConv2d if from.c != to.c => MULTIPLIER_3X3,
        OpKind::DepthwiseConv2d if is_3x3 => " 3x3",
        OpKind::AveragePool2d if is_global => " global",
        OpKind::AveragePool2d | OpKind::MaxPool2d if !is_by_channels => " narrow",
        OpKind::Concat | OpKind::Pad | OpKind::Copy => return "place".to_string(),
        OpKind::MatMul if op.b & 1 == 1 => " transposed",
        _ => "",
    };
    if has_weights(op.kind) && !is_plain {
        let packing = format!("{:?}", op.packing).to_lowercase();
        return format!("{}{variant} {packing}", op.kind.name());
    }
    format!("{}{variant}", op.kind.name())
}

fn has_weights(kind: OpKind) -> bool {
    matches!(kind, OpKind::Conv2d | OpKind::DepthwiseConv2d | OpKind::FullyConnected)
}

#[cfg(test)]
mod tests {
    use super::*;
    use teff::kernels::params::Window;

    fn conv(filter: usize, stride: usize, pad: usize) -> OpRecord {
        let window = Window {
            filter_h: filter,
            filter_w: filter,
            stride_h: stride,
            stride_w: stride,
            pad_top: pad,
            pad_left: pad,
            dilation_h: 1,
            dilation_w: 1,
        };
        OpRecord { window, ..OpRecord::new(OpKind::Conv2d, 0, 1) }
    }

    #[test]
    fn counts_of_a_convolution() {
        let (input, output) = (View::new(6, 5, 8, Layout::Nhwc), View::new(6, 5, 16, Layout::Nhwc));
        let work = Work::new(&conv(3, 1, 1), input, output, 1);
        // 4 x 3 positions are inside; 30 positions are seven blocks and two.
        let edge = (30 - 12) * 72;
        assert_eq!(work.counts, [1, 6, 30, 480, 480 * 72, 30 * 72, edge, 2 * 16 * 72, 6 * 40, 0]);
        assert_eq!(work.kernel, "conv_2d");
        // Row by row one position of each is left over.
        let rows = Work::new(&conv(3, 1, 1), input, output, 6);
        assert_eq!((rows.counts[0], rows.counts[7], rows.counts[8]), (6, 6 * 16 * 72, 6 * 3 * 40));
        let moved = Work::in_lock_step(&conv(3, 1, 1), input, output, true).counts[9];
        assert_eq!(moved, 6 * 2 * 40);
        assert!(rows.instructions(Target::CortexM4) > work.instructions(Target::CortexM4));
    }

    #[test]
    fn kernels_have_names() {
        let view = |h, w, c| View::new(h, w, c, Layout::Nhwc);
        let name = |op: &OpRecord, input, output| kernel(op, input, output);
        assert_eq!(name(&conv(1, 1, 0), view(4, 4, 8), view(4, 4, 8)), "conv_2d 1x1");
        assert_eq!(name(&conv(3, 2, 0), view(9, 9, 3), view(4, 4, 8)), "conv_2d first");
        let packed = OpRecord { packing: Packing::Dsp, ..conv(3, 2, 0) };
        assert_eq!(name(&packed, view(9, 9, 8), view(4, 4, 8)), "conv_2d dsp");
        let multiplied = OpRecord { kind: OpKind::DepthwiseConv2d, ..conv(3, 2, 0) };
        assert_eq!(name(&multiplied, view(9, 9, 8), view(4, 4, 16)), "depthwise_conv_2d multiplier");
        let packed = OpRecord { packing: Packing::Mve, ..multiplied };
        assert_eq!(name(&packed, view(9, 9, 8), view(4, 4, 16)), "depthwise_conv_2d multiplier 3x3 mve");
        let pool = OpRecord { kind: OpKind::AveragePool2d, ..conv(4, 1, 0) };
        assert_eq!(name(&pool, view(4, 4, 8), view(1, 1, 8)), "average_pool_2d global");
        let copy = OpRecord::new(OpKind::Copy, 0, 1);
        assert_eq!(name(&copy, view(4, 4, 8), view(4, 4, 8)), "place");
    }
}
