//! The plan writer, beside the reader so that a round trip can be tested here.

use alloc::string::String;
use alloc::vec::Vec;

use super::ALIGNMENT;
use super::format::crc32;
use super::header::{CHECKED_FROM, HEADER_LEN, MAGIC, OpSet, Target, VERSION};
use super::record::{Location, OpRecord, ValueRecord};

/// Why a plan cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// More than 65,534 values or operators.
    TooMany,
    /// The plan would be longer than 4 GiB.
    TooLong,
    /// A window axis of this operator is above 65,535.
    Window {
        /// Position of the operator.
        op: usize,
    },
}

impl core::fmt::Display for WriteError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::TooMany => f.write_str("a plan holds at most 65,534 values and operators"),
            Self::TooLong => f.write_str("a plan is at most 4 GiB long"),
            Self::Window { op } => {
                write!(f, "filter, stride, dilation or padding of operator {op} is above 65,535")
            }
        }
    }
}

impl core::error::Error for WriteError {}

/// Collects the parts of a plan.
#[derive(Clone, Debug, Default)]
pub struct PlanWriter {
    /// Processor that the weights are packed for.
    pub target: Target,
    /// SHA-256 of the ONNX file.
    pub source_hash: [u8; 32],
    /// Arena the session needs.
    pub arena_bytes: u32,
    /// Largest sum of values alive at one time.
    pub live_set_bytes: u32,
    /// Indices of the input values.
    pub inputs: Vec<u16>,
    /// Indices of the output values.
    pub outputs: Vec<u16>,
    /// Front-end settings and tables, or empty.
    pub front_end: Vec<u8>,
    /// Pairs of text.
    pub metadata: Vec<(String, String)>,
    pub(super) values: Vec<ValueRecord>,
    pub(super) ops: Vec<OpRecord>,
    pub(super) data: Vec<u8>,
}

impl PlanWriter {
    /// An empty plan for `target`.
    pub fn new(target: Target) -> Self {
        Self { target, ..Self::default() }
    }

    /// Adds a value and gives its index.
    ///
    /// # Errors
    /// [`WriteError::TooMany`].
    pub fn push_value(&mut self, value: ValueRecord) -> Result<u16, WriteError> {
        let index =
            u16::try_from(self.values.len()).ok().filter(|&i| i < u16::MAX).ok_or(WriteError::TooMany)?;
        self.values.push(value);
        Ok(index)
    }

    /// Adds an operator at the end of the order of execution.
    pub fn push_op(&mut self, op: OpRecord) {
        self.ops.push(op);
    }

    /// Adds bytes to the data section on a boundary of `alignment` bytes (a power of two up to 16) and gives their
    /// offset.
    ///
    /// # Errors
    /// [`WriteError::TooLong`].
    pub fn push_data(&mut self, bytes: &[u8], alignment: usize) -> Result<u32, WriteError> {
        while !self.data.len().is_multiple_of(alignment.clamp(1, ALIGNMENT)) {
            self.data.push(0);
        }
        let offset = u32::try_from(self.data.len()).map_err(|_| WriteError::TooLong)?;
        self.data.extend_from_slice(bytes);
        Ok(offset)
    }

    /// The data section so far.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// Adds 32-bit words to the data section.
    ///
    /// # Errors
    /// [`WriteError::TooLong`].
    pub fn push_words(&mut self, words: impl IntoIterator<Item = i32>) -> Result<u32, WriteError> {
        let bytes: Vec<u8> = words.into_iter().flat_map(i32::to_le_bytes).collect();
        self.push_data(&bytes, 4)
    }

    /// The plan's bytes.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub fn finish(&self) -> Result<Vec<u8>, WriteError> {
        let count = |len: usize| u16::try_from(len).map_err(|_| WriteError::TooMany);
        let mut plan = alloc::vec![0u8; HEADER_LEN];
        let mut section = |bytes: &[u8]| -> Result<[u32; 2], WriteError> {
            plan.resize(plan.len().next_multiple_of(ALIGNMENT), 0);
            let offset = u32::try_from(plan.len()).map_err(|_| WriteError::TooLong)?;
            plan.extend_from_slice(bytes);
            u32::try_from(plan.len()).map_err(|_| WriteError::TooLong)?;
            Ok([offset, bytes.len() as u32])
        };
        let values: Vec<u8> = self.values.iter().flat_map(ValueRecord::bytes).collect();
        let mut ops = Vec::new();
        for (i, op) in self.ops.iter().enumerate() {
            ops.extend(op.bytes().ok_or(WriteError::Window { op: i })?);
        }
        let io: Vec<u8> = self.inputs.iter().chain(&self.outputs).flat_map(|i| i.to_le_bytes()).collect();
        let mut metadata = Vec::new();
        for (key, value) in &self.metadata {
            for text in [key, value] {
                let len = u32::try_from(text.len()).map_err(|_| WriteError::TooLong)?;
                metadata.extend(len.to_le_bytes());
            }
            metadata.extend(key.bytes().chain(value.bytes()));
        }
        let [values_offset, _] = section(&values)?;
        let [ops_offset, _] = section(&ops)?;
        let [io_offset, _] = section(&io)?;
        let [data_offset, data_len] = section(&self.data)?;
        let [front_end_offset, front_end_len] = section(&self.front_end)?;
        let [metadata_offset, metadata_len] = section(&metadata)?;
        plan.resize(plan.len().next_multiple_of(ALIGNMENT), 0);

        let mut set = self.ops.iter().fold(OpSet::default(), |set, op| set.with(op.kind));
        if self.values.iter().any(|value| matches!(value.location, Location::Lines { .. })) {
            set = set.with_groups();
        }
        let total_len = plan.len() as u32;
        let mut put = |at: usize, bytes: &[u8]| plan[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &MAGIC);
        put(16, &self.source_hash);
        put(60, &set.0.to_le_bytes());
        let target = Target::ALL.iter().position(|&t| t == self.target).unwrap_or(0) as u16;
        let half_words = [
            (4, VERSION),
            (6, HEADER_LEN as u16),
            (48, target),
            (68, count(self.values.len())?),
            (70, count(self.ops.len())?),
            (72, count(self.inputs.len())?),
            (74, count(self.outputs.len())?),
        ];
        for (at, x) in half_words {
            put(at, &x.to_le_bytes());
        }
        let words = [
            (8, total_len),
            (52, self.arena_bytes),
            (56, self.live_set_bytes),
            (76, values_offset),
            (80, ops_offset),
            (84, io_offset),
            (88, data_offset),
            (92, data_len),
            (96, front_end_offset),
            (100, front_end_len),
            (104, metadata_offset),
            (108, metadata_len),
        ];
        for (at, x) in words {
            put(at, &x.to_le_bytes());
        }
        let crc = crc32(&plan[CHECKED_FROM..]);
        plan[12..16].copy_from_slice(&crc.to_le_bytes());
        Ok(plan)
    }
}
