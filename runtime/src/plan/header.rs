//! The fixed first part of a plan.

use super::format::{u16_at, u32_at};
use super::record::OpKind;
use super::{ALIGNMENT, LoadError, OP_RECORD_LEN, VALUE_RECORD_LEN};

/// Version of the plan format that this crate writes, and the only one it reads. Raised whenever a byte changes its
/// meaning; what an older reader may ignore (metadata keys, reserved bytes that stay 0) does not raise it.
pub const VERSION: u16 = 2;

/// Bytes of the header.
pub const HEADER_LEN: usize = 128;

pub(super) const MAGIC: [u8; 4] = *b"TEFF";
/// The checksum covers everything from here on.
pub(super) const CHECKED_FROM: usize = 16;

/// The processor that a plan is packed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Target {
    /// Plain weights; runs everywhere.
    #[default]
    Generic,
    /// Armv6-M.
    CortexM0,
    /// Armv7-M.
    CortexM3,
    /// Armv7E-M.
    CortexM4,
    /// Armv7E-M, dual issue.
    CortexM7,
    /// Armv8-M with the DSP extension.
    CortexM33,
    /// Armv8.1-M with Helium.
    CortexM55,
    /// 64-bit Arm with NEON.
    Aarch64,
    /// 64-bit x86.
    X86_64,
}

impl Target {
    /// All targets, in the order of their codes.
    pub const ALL: [Self; 9] = [
        Self::Generic,
        Self::CortexM0,
        Self::CortexM3,
        Self::CortexM4,
        Self::CortexM7,
        Self::CortexM33,
        Self::CortexM55,
        Self::Aarch64,
        Self::X86_64,
    ];

    /// Name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::CortexM0 => "cortex-m0",
            Self::CortexM3 => "cortex-m3",
            Self::CortexM4 => "cortex-m4",
            Self::CortexM7 => "cortex-m7",
            Self::CortexM33 => "cortex-m33",
            Self::CortexM55 => "cortex-m55",
            Self::Aarch64 => "aarch64",
            Self::X86_64 => "x86_64",
        }
    }
}

/// A set of operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct OpSet(
    /// Bit `k` stands for the operator with code `k`, bit 63 for operators that run in lock step.
    pub u64,
);

impl OpSet {
    /// Every operator.
    pub const ALL: Self = Self(u64::MAX);

    /// Whether `kind` is in the set.
    #[inline(always)]
    pub const fn contains(self, kind: OpKind) -> bool {
        self.0 >> (kind as u32) & 1 == 1
    }

    /// The set with `kind` added.
    pub const fn with(self, kind: OpKind) -> Self {
        Self(self.0 | 1 << (kind as u32))
    }

    /// Whether operators that run in lock step occur.
    #[inline(always)]
    pub const fn contains_groups(self) -> bool {
        self.0 >> 63 == 1
    }

    /// The set with operators that run in lock step.
    pub const fn with_groups(self) -> Self {
        Self(self.0 | 1 << 63)
    }

    /// Whether every member of `other` is in the set.
    pub const fn contains_all(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }
}

/// The header of a plan, parsed. Offsets are in bytes from the beginning of the plan, lengths in bytes.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)] // the fields below say what they are; their bytes stand in docs/plan-format.md
pub struct Header {
    /// Length of the whole plan.
    pub total_len: u32,
    /// CRC-32 of all bytes from offset 16 on.
    pub crc32: u32,
    /// Code of the [`Target`].
    pub target: u16,
    /// Arena the session needs: activations and scratch.
    pub arena_bytes: u32,
    /// Largest sum of values alive at one time, for reports.
    pub live_set_bytes: u32,
    /// Operators that occur.
    pub ops: OpSet,
    /// SHA-256 of the ONNX file that the plan was made from.
    pub source_hash: [u8; 32],
    pub n_values: u16,
    pub n_ops: u16,
    pub n_inputs: u16,
    pub n_outputs: u16,
    pub values_offset: u32,
    pub ops_offset: u32,
    pub io_offset: u32,
    /// Weights, biases, multipliers, tables.
    pub data_offset: u32,
    pub data_len: u32,
    /// Front-end settings and tables; length 0 where the caller gives features.
    pub front_end_offset: u32,
    pub front_end_len: u32,
    /// Key-value pairs of text.
    pub metadata_offset: u32,
    pub metadata_len: u32,
}

impl Header {
    /// Reads and checks the header alone; everything else, the checksum included, is [`super::Model::new`]'s.
    ///
    /// # Errors
    /// [`LoadError::TooShort`], [`LoadError::NotAPlan`], [`LoadError::Version`], or [`LoadError::Section`] where a section does
    /// not lie within the plan.
    pub const fn parse(bytes: &[u8]) -> Result<Self, LoadError> {
        if bytes.len() < HEADER_LEN {
            return Err(LoadError::TooShort);
        }
        let mut i = 0;
        while i < MAGIC.len() {
            if bytes[i] != MAGIC[i] {
                return Err(LoadError::NotAPlan);
            }
            i += 1;
        }
        let version = u16_at(bytes, 4);
        if version != VERSION || u16_at(bytes, 6) as usize != HEADER_LEN {
            return Err(LoadError::Version { found: version });
        }
        let mut words = [0; HEADER_LEN / 4];
        i = 0;
        while i < words.len() {
            words[i] = u32_at(bytes, 4 * i);
            i += 1;
        }
        let header = Self::read(&words);
        if header.total_len as usize > bytes.len() {
            return Err(LoadError::TooShort);
        }
        let sections = [
            (header.values_offset, header.n_values as u64 * VALUE_RECORD_LEN as u64),
            (header.ops_offset, header.n_ops as u64 * OP_RECORD_LEN as u64),
            (header.io_offset, 2 * (header.n_inputs as u64 + header.n_outputs as u64)),
            (header.data_offset, header.data_len as u64),
            (header.front_end_offset, header.front_end_len as u64),
            (header.metadata_offset, header.metadata_len as u64),
        ];
        i = 0;
        while i < sections.len() {
            let (offset, len) = sections[i];
            if !(offset as usize).is_multiple_of(ALIGNMENT)
                || (offset as usize) < HEADER_LEN
                || offset as u64 + len > header.total_len as u64
            {
                return Err(LoadError::Section);
            }
            i += 1;
        }
        Ok(header)
    }

    /// As [`Header::parse`], for plans embedded in a program: an error is a compile error.
    pub const fn of_static(bytes: &[u8]) -> Self {
        match Self::parse(bytes) {
            Ok(header) => header,
            Err(error) => panic!("{}", error.message()),
        }
    }

    /// The header of a plan that has been parsed before.
    pub(super) const fn read(words: &[u32; HEADER_LEN / 4]) -> Self {
        let mut source_hash = [0; 32];
        let mut i = 0;
        while i < source_hash.len() {
            source_hash[i] = (words[4 + i / 4] >> (i % 4 * 8)) as u8;
            i += 1;
        }
        let [data_offset, data_len] = data(words);
        Self {
            total_len: words[2],
            crc32: words[3],
            source_hash,
            target: words[12] as u16,
            arena_bytes: words[13],
            live_set_bytes: words[14],
            ops: OpSet(words[15] as u64 | (words[16] as u64) << 32),
            n_values: n_values(words),
            n_ops: n_ops(words),
            n_inputs: n_inputs(words),
            n_outputs: n_outputs(words),
            values_offset: values_offset(words),
            ops_offset: ops_offset(words),
            io_offset: io_offset(words),
            data_offset,
            data_len,
            front_end_offset: words[24],
            front_end_len: words[25],
            metadata_offset: words[26],
            metadata_len: words[27],
        }
    }

    /// The [`Target`], or `None` for a code this version does not know.
    pub fn target(&self) -> Option<Target> {
        Target::ALL.get(self.target as usize).copied()
    }
}

// What a session reads of the header, each where it stands.

pub(super) const fn n_values(words: &[u32; HEADER_LEN / 4]) -> u16 {
    words[17] as u16
}

pub(super) const fn n_ops(words: &[u32; HEADER_LEN / 4]) -> u16 {
    (words[17] >> 16) as u16
}

pub(super) const fn n_inputs(words: &[u32; HEADER_LEN / 4]) -> u16 {
    words[18] as u16
}

pub(super) const fn n_outputs(words: &[u32; HEADER_LEN / 4]) -> u16 {
    (words[18] >> 16) as u16
}

pub(super) const fn values_offset(words: &[u32; HEADER_LEN / 4]) -> u32 {
    words[19]
}

pub(super) const fn ops_offset(words: &[u32; HEADER_LEN / 4]) -> u32 {
    words[20]
}

pub(super) const fn io_offset(words: &[u32; HEADER_LEN / 4]) -> u32 {
    words[21]
}

/// Offset and length.
pub(super) const fn data(words: &[u32; HEADER_LEN / 4]) -> [u32; 2] {
    [words[22], words[23]]
}
