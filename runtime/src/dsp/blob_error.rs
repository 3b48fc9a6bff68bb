//! What may be wrong with the bytes of a front end.

use super::settings::VERSION;

/// Why bytes are no front-end blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum BlobError {
    /// Fewer bytes than the header has or states.
    TooShort,
    /// The first four bytes are not [`MAGIC`].
    NotAFrontEnd,
    /// A version that this code does not read.
    UnsupportedVersion(u16),
    /// The header field at this byte offset holds a value that is not allowed, or that contradicts another field.
    BadField(u8),
    /// The blob does not begin on a four-byte boundary.
    Misaligned,
    /// The table that starts at this byte offset holds a value that is not allowed.
    BadTable(u32),
}

impl core::fmt::Display for BlobError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            BlobError::TooShort => write!(f, "front-end blob: fewer bytes than its header states"),
            BlobError::NotAFrontEnd => write!(f, "front-end blob: the first four bytes are not 'TFFE'"),
            BlobError::UnsupportedVersion(v) => {
                write!(
                    f,
                    "front-end blob: version {v}, this code reads version {VERSION}; compile the model again"
                )
            }
            BlobError::BadField(at) => {
                write!(f, "front-end blob: the header field at byte {at} is not valid")
            }
            BlobError::Misaligned => write!(f, "front-end blob: it must begin on a four-byte boundary"),
            BlobError::BadTable(at) => write!(f, "front-end blob: the table at byte {at} is not valid"),
        }
    }
}

impl core::error::Error for BlobError {}
