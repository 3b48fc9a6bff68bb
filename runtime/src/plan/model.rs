//! A checked plan.

use super::check;
use super::format::{crc32, part, u16_at, u32_at};
use super::header::{self, CHECKED_FROM, HEADER_LEN, Header, OpSet};
use super::record::{Location, OP_RECORD_LEN, OpKind, OpRecord, VALUE_RECORD_LEN, ValueRecord};
use super::words::{OpWords, ValueWords};
use crate::bytes::{PlanBytes, as_i8};
use crate::kernels::linked::{Linked, Variants};
use crate::kernels::params::Packing;

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

impl LoadError {
    /// What is wrong, without the place.
    pub const fn message(&self) -> &'static str {
        match self {
            Self::TooShort => "the plan is cut short",
            Self::NotAPlan => "this is not a Teff plan",
            Self::Version { .. } => {
                "the plan has another format than this version reads: compile the ONNX again"
            }
            Self::Section => "a section of the plan lies outside of it: the file is damaged",
            Self::PlanAlignment => "the plan does not begin on a 16-byte boundary in memory",
            Self::Checksum => "the checksum does not match: the plan is damaged",
            Self::UnknownOp { .. } => "an operator has a code that this version does not know",
            Self::NotLinked { .. } => "an operator or its weight packing is not linked into this program",
            Self::Value { .. } => "a value of the plan has impossible extents, place or quantization",
            Self::Operand { .. } => "an operator of the plan names a value that does not exist",
            Self::Shape { .. } => "extents or window of an operator of the plan do not fit",
            Self::Parameters { .. } => "parameters of an operator of the plan have the wrong length or place",
            Self::Overlap { .. } => "an operator of the plan overwrites what is still read",
            Self::Metadata => "the metadata of the plan is not well formed",
            Self::ArenaTooSmall { .. } => "the arena is smaller than the plan needs",
            Self::ArenaAlignment => "the arena does not begin on a 16-byte boundary",
        }
    }
}

impl core::fmt::Display for LoadError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Version { found } => {
                write!(
                    f,
                    "plan format {found}, but this version reads format {}: compile the ONNX again",
                    super::VERSION
                )
            }
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
            Self::ArenaTooSmall { needed, given } => {
                write!(f, "the plan needs an arena of {needed} bytes; {given} given")
            }
            _ => f.write_str(self.message()),
        }
    }
}

impl core::error::Error for LoadError {}

/// The operators that a program links for a model, and the variants of kernels.
pub trait Ops: Linked {
    /// The set; operators outside of it are dropped by the compiler.
    const OPS: OpSet;
    /// The model, where it is known while compiling: a session then reads its plan at constant addresses.
    const EMBEDDED: Option<Model<'static>> = None;
}

/// A plan embedded in the program, declared by [`crate::include_model!`].
pub trait StaticModel {
    /// The bytes.
    const PLAN: PlanBytes<'static>;
    /// The header, read while compiling.
    const HEADER: Header = Header::of_static(Self::PLAN.as_bytes());
    /// The model, checked in full while compiling; a plan with anything wrong does not compile.
    const MODEL: Model<'static> = Model::of_static(Self::PLAN);
}

impl<M: StaticModel> Linked for M {
    const VARIANTS: Variants = M::MODEL.variants();
}

impl<M: StaticModel> Ops for M {
    const OPS: OpSet = M::HEADER.ops;
    const EMBEDDED: Option<Model<'static>> = Some(M::MODEL);
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
    header: &'a [u32; HEADER_LEN / 4],
    plan: PlanBytes<'a>,
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
        // A file that is no plan is called so wherever it lies.
        Header::parse(plan)?;
        let plan = PlanBytes::new(plan).ok_or(LoadError::PlanAlignment)?;
        let model = Self::checked(plan, M::OPS)?;
        match model.not_read(K::READS) {
            Some(op) => Err(LoadError::NotLinked { op }),
            None => Ok(model),
        }
    }

    /// The plan with everything checked that holds for any kernels.
    pub(super) const fn checked(plan: PlanBytes<'a>, linked: OpSet) -> Result<Self, LoadError> {
        let header = match Header::parse(plan.as_bytes()) {
            Ok(header) => header,
            Err(error) => return Err(error),
        };
        let plan = plan.first(header.total_len as usize);
        let Some((_, rest)) = plan.as_bytes().split_at_checked(CHECKED_FROM) else {
            return Err(LoadError::TooShort);
        };
        if crc32(rest) != header.crc32 {
            return Err(LoadError::Checksum);
        }
        let Some(model) = Self::unchecked(plan) else { return Err(LoadError::TooShort) };
        match check::check(&model, linked) {
            Ok(()) => Ok(model),
            Err(error) => Err(error),
        }
    }

    /// A plan that was checked before, which ends with these bytes; `None` where they are less than a header.
    pub(super) const fn unchecked(plan: PlanBytes<'a>) -> Option<Self> {
        match plan.record(0) {
            Some(header) => Some(Self { header, plan }),
            None => None,
        }
    }

    /// The checked plan, where an error is a compile error.
    const fn of_static(plan: PlanBytes<'a>) -> Self {
        match Self::checked(plan, OpSet::ALL) {
            Ok(model) => model,
            Err(error) => panic!("{}", error.message()),
        }
    }

    /// The first operator whose packing is not among `packings`.
    pub(crate) const fn not_read(&self, packings: &[Packing]) -> Option<u16> {
        let mut index = 0;
        while let Some(op) = self.op_words(index) {
            let mut i = 0;
            while i < packings.len() && !packings[i].is(op.packing()) {
                i += 1;
            }
            if i == packings.len() {
                return Some(index);
            }
            index += 1;
        }
        None
    }

    /// The header.
    pub const fn header(&self) -> Header {
        Header::read(self.header)
    }

    /// The whole plan.
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.plan.as_bytes()
    }

    /// Number of inputs.
    #[inline(always)]
    pub const fn n_inputs(&self) -> usize {
        header::n_inputs(self.header) as usize
    }

    /// Number of outputs.
    #[inline(always)]
    pub const fn n_outputs(&self) -> usize {
        header::n_outputs(self.header) as usize
    }

    /// Input `i`, or `None` beyond the last.
    pub const fn input(&self, i: usize) -> Option<ValueRecord> {
        if i < self.n_inputs() { Some(self.value(self.io_index(i))) } else { None }
    }

    /// Output `i`, or `None` beyond the last.
    pub const fn output(&self, i: usize) -> Option<ValueRecord> {
        if i < self.n_outputs() { Some(self.value(self.io_index(self.n_inputs() + i))) } else { None }
    }

    /// Index of the value that is the `i`-th of inputs and outputs together.
    pub(super) const fn io_index(&self, i: usize) -> u16 {
        u16_at(self.plan.as_bytes(), header::io_offset(self.header) as usize + 2 * i)
    }

    /// Value `index`; an empty value for an index beyond the last.
    pub const fn value(&self, index: u16) -> ValueRecord {
        ValueRecord::read(self.value_words(index).0)
    }

    /// As [`Model::value`], nothing of it read yet.
    pub(crate) const fn value_words(&self, index: u16) -> ValueWords<'a> {
        let start = header::values_offset(self.header) as usize + index as usize * VALUE_RECORD_LEN;
        let known = index < header::n_values(self.header);
        let record = if known { self.plan.record(start) } else { None };
        ValueWords(match record {
            Some(words) => words,
            None => &[0; VALUE_RECORD_LEN / 4],
        })
    }

    /// Operator `index`, in the order of execution, or `None` beyond the last.
    pub const fn op(&self, index: u16) -> Option<OpRecord> {
        match self.op_words(index) {
            Some(words) => OpRecord::read(words.0),
            None => None,
        }
    }

    /// As [`Model::op`], nothing of it read yet.
    #[inline]
    pub(crate) const fn op_words(&self, index: u16) -> Option<OpWords<'a>> {
        if index >= header::n_ops(self.header) {
            return None;
        }
        let start = header::ops_offset(self.header) as usize + index as usize * OP_RECORD_LEN;
        match self.plan.record(start) {
            Some(words) => Some(OpWords(words)),
            None => None,
        }
    }

    /// All operators in the order of execution.
    pub fn ops(&self) -> impl Iterator<Item = OpRecord> + '_ {
        (0..header::n_ops(self.header)).filter_map(|i| self.op(i))
    }

    /// `len` bytes of the data section from `offset` on; empty where they are not all inside.
    pub const fn data(&self, offset: u32, len: u32) -> &'a [u8] {
        let [start, data_len] = header::data(self.header);
        if offset > data_len || len > data_len - offset {
            return &[];
        }
        part(self.plan.as_bytes(), start + offset, len)
    }

    /// `count` words of the data section from `offset` on; empty where they are not all inside or `offset` is no multiple
    /// of four.
    pub(super) const fn data_words(&self, offset: u32, count: usize) -> &'a [u32] {
        let [start, data_len] = header::data(self.header);
        if offset > data_len || (data_len - offset) as usize / 4 < count {
            return &[];
        }
        self.plan.words(start as usize + offset as usize, count)
    }

    /// Elements of a constant value; empty for a value in the arena.
    pub const fn constant(&self, value: &ValueRecord) -> &'a [i8] {
        match value.location {
            Location::Data(offset) => as_i8(self.data(offset, value.view.extent.len() as u32)),
            Location::Arena(_) | Location::Lines { .. } => &[],
        }
    }

    /// As [`Model::constant`].
    pub(crate) const fn constant_of(&self, value: ValueWords<'_>) -> &'a [i8] {
        match value.location() {
            Location::Data(offset) => as_i8(self.data(offset, value.extent().len() as u32)),
            Location::Arena(_) | Location::Lines { .. } => &[],
        }
    }

    /// Settings and tables of the front end; empty where the caller gives features.
    pub const fn front_end(&self) -> &'a [u8] {
        {
            let header = self.header();
            part(self.as_bytes(), header.front_end_offset, header.front_end_len)
        }
    }

    /// Pairs of metadata, keys and values as they stand in the ONNX file.
    pub const fn metadata(&self) -> Metadata<'a> {
        Metadata({
            let header = self.header();
            part(self.as_bytes(), header.metadata_offset, header.metadata_len)
        })
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
        if self.ops().any(|op| self.value_words(op.output).is_lines()) { set.with_groups() } else { set }
    }

    /// Slices of operator `op`: the units in which [`crate::Session::step`] works. Rows of the output,
    /// [`OUTPUTS_PER_SLICE`] outputs of a fully connected layer, or rows of the results of a matrix product.
    pub const fn slices(&self, op: &OpRecord) -> usize {
        self.slices_of(op.kind, op.inputs[0], self.value_words(op.output), OpSet::ALL)
    }

    /// As [`Model::slices`], by the operator's kind, input and output, where no operator is outside of `linked`.
    #[inline(always)]
    pub(crate) const fn slices_of(
        &self,
        kind: OpKind,
        input: u16,
        output: ValueWords<'_>,
        linked: OpSet,
    ) -> usize {
        match kind {
            OpKind::FullyConnected if linked.contains(OpKind::FullyConnected) => {
                output.extent().c.div_ceil(OUTPUTS_PER_SLICE)
            }
            OpKind::Concat | OpKind::Pad | OpKind::Copy
                if linked.contains(OpKind::Concat)
                    || linked.contains(OpKind::Pad)
                    || linked.contains(OpKind::Copy) =>
            {
                self.value_words(input).extent().h
            }
            OpKind::MatMul if linked.contains(OpKind::MatMul) => {
                let output = output.extent();
                output.h.saturating_mul(output.w)
            }
            _ => output.extent().h,
        }
    }
}

/// Outputs of a fully connected layer in one slice: as many as kernels compute at once.
pub const OUTPUTS_PER_SLICE: usize = 8;

/// Pairs of metadata; see [`Model::metadata`].
#[derive(Clone, Debug)]
pub struct Metadata<'a>(&'a [u8]);

impl<'a> Metadata<'a> {
    /// Whether the bytes are whole pairs of UTF-8 to the last one.
    pub(super) const fn is_well_formed(&self) -> bool {
        let mut rest = self.0;
        while let Some((_, _, behind)) = split_pair(rest) {
            rest = behind;
        }
        rest.is_empty()
    }
}

impl<'a> Iterator for Metadata<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, value, rest) = split_pair(self.0)?;
        self.0 = rest;
        Some((key, value))
    }
}

/// The first pair of metadata, and what is behind it.
const fn split_pair(bytes: &[u8]) -> Option<(&str, &str, &[u8])> {
    let Some((lengths, body)) = bytes.split_at_checked(8) else { return None };
    let (key_len, value_len) = (u32_at(lengths, 0) as usize, u32_at(lengths, 4) as usize);
    let Some((key, rest)) = body.split_at_checked(key_len) else { return None };
    let Some((value, rest)) = rest.split_at_checked(value_len) else { return None };
    match (core::str::from_utf8(key), core::str::from_utf8(value)) {
        (Ok(key), Ok(value)) => Some((key, value, rest)),
        _ => None,
    }
}
