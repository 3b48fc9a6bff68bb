//! Which operators can run over their own input, and at what distance.

use teff::kernels::params::Packing;
use teff::plan::{OpKind, OpRecord, Rows};

use super::arena::buffer_of;
use super::steps::Lowering;
use crate::cost::positions_at_once;
use crate::memory::{Buffer, Overlap};

/// Positions that a kernel should get at once, so that what it does once per call does not count.
const POSITIONS: usize = 16;

/// A spatial operator whose input nobody reads afterwards, or several in lock step.
#[derive(Clone)]
pub(super) struct Candidate {
    /// Index of the step, of the last one in lock step.
    pub step: usize,
    input: usize,
    output: usize,
    input_len: usize,
    output_len: usize,
    below: usize,
    above: usize,
    /// Bytes by which a further output row at once widens the distance.
    row_len: usize,
    /// Output rows that kernels should get at once.
    band: usize,
}

/// Rows that the kernel of an operator takes together.
fn rows_at_once(record: &OpRecord) -> usize {
    let w = &record.window;
    let is_3x3 =
        (w.filter_h, w.filter_w, w.stride_h, w.stride_w, w.dilation_h, w.dilation_w) == (3, 3, 1, 1, 1, 1);
    match (record.kind, record.packing) {
        (OpKind::Conv2d, Packing::DspWinograd | Packing::BaseWinograd) => 2,
        (OpKind::DepthwiseConv2d, Packing::Dsp) if is_3x3 => 2,
        _ => 1,
    }
}

pub(super) fn candidates(lowering: &Lowering<'_>, lives: &[Buffer]) -> Vec<Candidate> {
    let steps = lowering.steps.iter().enumerate();
    let candidate = |(step, part): (usize, &super::steps::Step)| {
        let record = &part.record;
        let (from, to) = (lowering.operand(record.inputs[0]), lowering.operand(record.output));
        let (input, output) = (buffer_of(from)?, buffer_of(to)?);
        let dies = lives[input].last == step && lives[output].first == step && input != output;
        if !record.kind.is_spatial() || !dies {
            return None;
        }
        let (input_extent, output_extent) = (from.view.extent, to.view.extent);
        let rows = Rows::new(&record.window, input_extent, output_extent);
        let band = POSITIONS.div_ceil(output_extent.w).next_multiple_of(rows_at_once(record));
        let group = positions_at_once(record.packing);
        // Whole groups of positions, where what is left over would count.
        let positions = band * output_extent.w;
        let left_over = positions.next_multiple_of(group) - positions;
        let even = (band..band + group).find(|rows| {
            (rows * output_extent.w).is_multiple_of(group) && rows.is_multiple_of(rows_at_once(record))
        });
        let even = even.filter(|_| left_over * 8 > positions);
        Some(Candidate {
            step,
            input,
            output,
            input_len: input_extent.len(),
            output_len: output_extent.len(),
            below: rows.gap_below(),
            above: rows.gap_above(),
            row_len: output_extent.row_len(),
            band: even.unwrap_or(band),
        })
    };
    steps.filter_map(candidate).collect()
}

impl Candidate {
    /// Steps in lock step up to `step`, from the input of the first to the output of the last. Their rows run from the
    /// first to the last, one by one.
    pub fn of_group(step: usize, [input, output]: [usize; 2], lives: &[Buffer], below: usize) -> Self {
        let (input_len, output_len) = (lives[input].len, lives[output].len);
        Self { step, input, output, input_len, output_len, below, above: input_len, row_len: 0, band: 1 }
    }

    /// The distances with which `rows` output rows can be computed at once.
    fn with_rows(&self, rows: usize) -> Overlap {
        let more = (rows - 1).saturating_mul(self.row_len);
        Overlap {
            input: self.input,
            output: self.output,
            below: self.below.saturating_add(more).min(self.output_len),
            above: self.above.saturating_add(more).min(self.input_len),
        }
    }

    /// The least distances.
    pub fn tight(&self) -> Overlap {
        self.with_rows(1)
    }

    /// Distances at which kernels get enough rows at once, or nearly.
    pub fn usual(&self) -> Vec<Overlap> {
        (2..=self.band).rev().map(|rows| self.with_rows(rows)).collect()
    }

    /// Larger distances, the best first.
    pub fn wider(&self) -> Vec<Overlap> {
        let apart =
            Overlap { input: self.input, output: self.output, below: self.output_len, above: self.input_len };
        vec![apart, self.with_rows(4 * self.band), self.with_rows(2 * self.band)]
    }

    /// Whether rows have to be computed from the last to the first where the buffers lie at these offsets.
    pub fn runs_from_last_row(&self, offsets: &[usize]) -> bool {
        let (input, output) = (offsets[self.input], offsets[self.output]);
        output > input && output < input + self.input_len
    }
}
