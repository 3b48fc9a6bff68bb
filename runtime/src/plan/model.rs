//! A checked plan.

use super::format::{crc32, part, u16_at};
use super::header::{CHECKED_FROM, Header, OpSet};
use super::record::{Location, OP_RECORD_LEN, OpKind, OpRecord, VALUE_RECORD_LEN, ValueRecord};
use super::{ALIGNMENT, check};
use crate::bytes::as_i8;
use crate::kernels::linked::{Linked, Variants};

/// Why a plan or an arena was refused. Operators are named by their position in the plan, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum LoadError {
    /// Fewer bytes than the header says, or than a header has.
    TooShort,
    /// The first bytes are not those of a plan.
    NotAPlan,
    /// Another version of the format.
    Version {
        /// Version of the plan.
        found: u16,
    },
    /// A section lies outside of the plan or is not aligned.
    Section,
    /// The plan does not begin on a 16-byte boundary in memory.
    PlanAlignment,
    /// The checksum does not match: the plan is damaged.
    Checksum,
    /// An operator or a packing that this version does not know.
    UnknownOp {
        /// Position of the operator.
        op: u16,
    },
    /// An operator that the program did not link, or weights packed for other kernels.
    NotLinked {
        /// Position of the operator.
        op: u16,
    },
    /// A value's extents, place, or quantization are impossible.
    Value {
        /// Index of the value.
        value: u16,
    },
    /// An operator names a value that does not exist.
    Operand {
        /// Position of the operator.
        op: u16,
    },
    /// Extents or window of an operator do not fit each other.
    Shape {
        /// Position of the operator.
        op: u16,
    },
    /// Weights, biases, multipliers or a table have the wrong length or place.
    Parameters {
        /// Position of the operator.
        op: u16,
    },
    /// An operator's output or scratch overlaps what it still reads, or it reads what another has overwritten.
    Overlap {
        /// Position of the operator.
        op: u16,
    },
    /// Metadata is not well formed.
    Metadata,
    /// The arena is smaller than the plan needs.
    ArenaTooSmall {
        /// Bytes needed.
        needed: u32,
        /// Bytes given.
        given: u32,
    },
    /// The arena does not begin on a 16-byte boundary.
    ArenaAlignment,
}

impl core::fmt::Display for LoadError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::TooShort => f.write_str("the plan is cut short"),
            Self::NotAPlan => f.write_str("this is not a Teff plan"),
            Self::Version { found } => {
                write!(
                    f,
                    "plan format {found}, but this version reads format {}: compile the ONNX again",
                    super::VERSION
                )
            }
            Self::Section => f.write_str("a section of the plan lies outside of it: the file is damaged"),
            Self::PlanAlignment => f.write_str("the plan does not begin on a 16-byte boundary in memory"),
            Self::Checksum => f.write_str("the checksum does not match: the plan is damaged"),
            Self::UnknownOp { op } => write!(f, "operator {op} has a code that this version does not know"),
            Self::NotLinked { op } => {
                write!(f, "operator {op} or its weight packing is not linked into this program")
            }
            Self::Value { value } => write!(f, "value {value} has impossible extents, place or quantization"),
            Self::Operand { op } => write!(f, "operator {op} names a value that does not exist"),
            Self::Shape { op } => write!(f, "extents or window of operator {op} do not fit"),
            Self::Parameters { op } => {
                write!(f, "parameters of operator {op} have the wrong length or place")
            }
            Self::Overlap { op } => write!(f, "operator {op} overwrites what is still read"),
            Self::Metadata => f.write_str("the metadata is not well formed"),
            Self::ArenaTooSmall { needed, given } => {
                write!(f, "the plan needs an arena of {needed} bytes; {given} given")
            }
            Self::ArenaAlignment => f.write_str("the arena does not begin on a 16-byte boundary"),
        }
    }
}

impl core::error::Error for LoadError {}

/// The operators that a program links for a model, and the variants of kernels.
pub trait Ops: Linked {
    /// The set; operators outside of it are dropped by the compiler.
    const OPS: OpSet;
}

/// A plan embedded in the program, declared by [`crate::include_model!`].
pub trait StaticModel {
    /// The bytes, on a 16-byte boundary.
    const PLAN: &'static [u8];
    /// The header, read while compiling.
    const HEADER: Header = Header::of_static(Self::PLAN);
}

impl<M: StaticModel> Linked for M {
    const VARIANTS: Variants = Variants::ALL;
}

impl<M: StaticModel> Ops for M {
    const OPS: OpSet = M::HEADER.ops;
}

/// Stands for a model known only at run time: every operator is linked.
#[derive(Clone, Copy, Debug)]
pub struct AnyModel;

impl Linked for AnyModel {
    const VARIANTS: Variants = Variants::ALL;
}

impl Ops for AnyModel {
    const OPS: OpSet = OpSet::ALL;
}

/// A plan that was checked in full. Copies share the bytes.
#[derive(Clone, Copy, Debug)]
pub struct Model<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) header: Header,
}

impl<'a> Model<'a> {
    /// Opens a plan for the native kernels and every operator.
    ///
    /// `plan` begins on a 16-byte boundary. Everything is checked: checksum, sections, extents, weights, and that
    /// no operator overwrites what is still read.
    ///
    /// # Errors
    /// The first thing found wrong.
    pub fn new(plan: &'a [u8]) -> Result<Self, LoadError> {
        Self::open::<AnyModel, crate::kernels::Native>(plan)
    }

    /// As [`Model::new`], for the operators of `M` and the kernels `K`.
    ///
    /// # Errors
    /// The first thing found wrong.
    pub fn open<M: Ops, K: crate::kernels::Kernels>(plan: &'a [u8]) -> Result<Self, LoadError> {
        let header = Header::parse(plan)?;
        if plan.as_ptr().align_offset(ALIGNMENT) != 0 {
            return Err(LoadError::PlanAlignment);
        }
        let bytes = part(plan, 0, header.total_len);
        if crc32(bytes.get(CHECKED_FROM..).unwrap_or(&[])) != header.crc32 {
            return Err(LoadError::Checksum);
        }
        let model = Self { bytes, header };
        check::check::<M, K>(&model)?;
        Ok(model)
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The whole plan.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Number of inputs.
    pub fn n_inputs(&self) -> usize {
        self.header.n_inputs.into()
    }

    /// Number of outputs.
    pub fn n_outputs(&self) -> usize {
        self.header.n_outputs.into()
    }

    /// Input `i`, or `None` beyond the last.
    pub fn input(&self, i: usize) -> Option<ValueRecord> {
        (i < self.n_inputs()).then(|| self.value(self.io_index(i)))
    }

    /// Output `i`, or `None` beyond the last.
    pub fn output(&self, i: usize) -> Option<ValueRecord> {
        (i < self.n_outputs()).then(|| self.value(self.io_index(self.n_inputs() + i)))
    }

    /// Index of the value that is the `i`-th of inputs and outputs together.
    pub(super) fn io_index(&self, i: usize) -> u16 {
        u16_at(self.bytes, self.header.io_offset as usize + 2 * i)
    }

    /// Value `index`; an empty value for an index beyond the last.
    #[inline]
    pub fn value(&self, index: u16) -> ValueRecord {
        let start = self.header.values_offset as usize + usize::from(index) * VALUE_RECORD_LEN;
        let known = index < self.header.n_values;
        let bytes = if known { self.bytes.get(start..start + VALUE_RECORD_LEN) } else { None };
        ValueRecord::read(bytes.unwrap_or(&[]))
    }

    /// Operator `index`, in the order of execution, or `None` beyond the last.
    #[inline]
    pub fn op(&self, index: u16) -> Option<OpRecord> {
        if index >= self.header.n_ops {
            return None;
        }
        let start = self.header.ops_offset as usize + usize::from(index) * OP_RECORD_LEN;
        OpRecord::read(self.bytes.get(start..start + OP_RECORD_LEN)?)
    }

    /// All operators in the order of execution.
    pub fn ops(&self) -> impl Iterator<Item = OpRecord> + '_ {
        (0..self.header.n_ops).filter_map(|i| self.op(i))
    }

    /// `len` bytes of the data section from `offset` on; empty where they are not all inside.
    pub fn data(&self, offset: u32, len: u32) -> &'a [u8] {
        part(part(self.bytes, self.header.data_offset, self.header.data_len), offset, len)
    }

    /// Elements of a constant value; empty for a value in the arena.
    pub fn constant(&self, value: &ValueRecord) -> &'a [i8] {
        match value.location {
            Location::Data(offset) => as_i8(self.data(offset, value.view.extent.len() as u32)),
            Location::Arena(_) | Location::Lines { .. } => &[],
        }
    }

    /// Settings and tables of the front end; empty where the caller gives features.
    pub fn front_end(&self) -> &'a [u8] {
        part(self.bytes, self.header.front_end_offset, self.header.front_end_len)
    }

    /// Pairs of metadata, keys and values as they stand in the ONNX file.
    pub fn metadata(&self) -> Metadata<'a> {
        Metadata(part(self.bytes, self.header.metadata_offset, self.header.metadata_len))
    }

    /// The metadata value of `key`.
    pub fn metadata_value(&self, key: &str) -> Option<&'a str> {
        self.metadata().find(|&(k, _)| k == key).map(|(_, v)| v)
    }

    /// Class labels, in the order of the outputs; empty where the model has none.
    pub fn labels(&self) -> core::str::Lines<'a> {
        self.metadata_value("teff.labels").unwrap_or("").lines()
    }

    /// The operators that occur.
    pub fn op_set(&self) -> OpSet {
        let set = self.ops().fold(OpSet::default(), |set, op| set.with(op.kind));
        if self.ops().any(|op| self.writes_lines(&op)) { set.with_groups() } else { set }
    }

    /// Slices of operator `op`: the units in which [`crate::Session::step`] works. Rows of the output, or elements of
    /// a fully connected layer.
    pub fn slices(&self, op: &OpRecord) -> usize {
        match op.kind {
            OpKind::FullyConnected => self.value(op.output).view.extent.c,
            OpKind::Concat | OpKind::Pad | OpKind::Copy => {
                self.value(op.inputs.first().copied().unwrap_or(u16::MAX)).view.extent.h
            }
            _ => self.value(op.output).view.extent.h,
        }
    }
}

/// Pairs of metadata; see [`Model::metadata`].
#[derive(Clone, Debug)]
pub struct Metadata<'a>(&'a [u8]);

impl<'a> Metadata<'a> {
    /// Whether the bytes are whole pairs of UTF-8 to the last one.
    pub(super) fn into_well_formed(mut self) -> bool {
        while self.next().is_some() {}
        self.0.is_empty()
    }
}

impl<'a> Iterator for Metadata<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.len() < 8 {
            return None;
        }
        let length = |at| super::format::u32_at(self.0, at) as usize;
        let (key_len, value_len) = (length(0), length(4));
        let body = self.0.get(8..)?;
        let (key, rest) = body.split_at_checked(key_len)?;
        let (value, rest) = rest.split_at_checked(value_len)?;
        let pair = (core::str::from_utf8(key).ok()?, core::str::from_utf8(value).ok()?);
        self.0 = rest;
        Some(pair)
    }
}
