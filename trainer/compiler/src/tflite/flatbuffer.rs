//! Checked reads of a flatbuffer.
//!
//! A flatbuffer is a tree of tables that refer to one another by offsets. Nothing is read ahead:
//! each read checks that its bytes are there, and lists are refused where they are longer than
//! their reader allows, so that a small file cannot make the reader take much memory, however its
//! offsets run. (Accessors of the `flatbuffers` crate are `unsafe` behind a verifier that walks
//! the whole file first.)

use crate::error::{Error, Place, Result};

/// A fault at a byte of the file.
pub(super) fn fault(at: usize, reason: impl Into<String>) -> Error {
    Error::at(Place::Byte(at), reason).remedy("the file is damaged or cut short")
}

/// The `N` bytes at an offset.
fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N]> {
    let end = at.checked_add(N);
    let found = end.and_then(|end| bytes.get(at..end)).and_then(|b| b.try_into().ok());
    found.ok_or_else(|| fault(at, format!("{N} bytes are read beyond the end of the file")))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32> {
    Ok(u32::from_le_bytes(bytes_at(bytes, at)?))
}

/// The place that an offset at `at` leads to.
fn follow(bytes: &[u8], at: usize) -> Result<usize> {
    let offset = u32_at(bytes, at)? as usize;
    at.checked_add(offset)
        .filter(|&to| to < bytes.len() && offset != 0)
        .ok_or_else(|| fault(at, format!("an offset of {offset} leads out of the file")))
}

/// A number as it stands in the file, little-endian.
pub(super) trait Scalar: Sized + Copy {
    const BYTES: usize;

    fn read(bytes: &[u8], at: usize) -> Result<Self>;
}

macro_rules! scalars {
    ($($kind:ty),*) => {
        $(impl Scalar for $kind {
            const BYTES: usize = size_of::<$kind>();

            fn read(bytes: &[u8], at: usize) -> Result<Self> {
                Ok(<$kind>::from_le_bytes(bytes_at(bytes, at)?))
            }
        })*
    };
}

scalars!(u8, i8, u16, i32, u32, i64, u64, f32);

/// A table: fields by number, each of which may be absent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table<'b> {
    bytes: &'b [u8],
    at: usize,
    /// Place and length of the list of the fields' offsets.
    fields: usize,
    fields_len: usize,
}

impl<'b> Table<'b> {
    /// The table that the file begins with.
    pub fn root(bytes: &'b [u8]) -> Result<Table<'b>> {
        Table::new(bytes, follow(bytes, 0)?)
    }

    fn new(bytes: &'b [u8], at: usize) -> Result<Table<'b>> {
        let back = i64::from(i32::read(bytes, at)?);
        let start = usize::try_from(at as i64 - back)
            .map_err(|_| fault(at, "a table's list of fields lies before the file"))?;
        let len = usize::from(u16::read(bytes, start)?);
        let fields = start + 4;
        if len < 4 || start.checked_add(len).is_none_or(|end| end > bytes.len()) {
            return Err(fault(start, format!("a table's list of fields has {len} bytes")));
        }
        Ok(Table { bytes, at, fields, fields_len: len - 4 })
    }

    /// Where a field stands, or `None` where it is absent.
    fn field(&self, number: usize) -> Result<Option<usize>> {
        if 2 * number + 2 > self.fields_len {
            return Ok(None);
        }
        match u16::read(self.bytes, self.fields + 2 * number)? {
            0 => Ok(None),
            offset => Ok(Some(self.at + usize::from(offset))),
        }
    }

    /// A number; `default` where the field is absent.
    pub fn scalar<T: Scalar>(&self, number: usize, default: T) -> Result<T> {
        self.field(number)?.map_or(Ok(default), |at| T::read(self.bytes, at))
    }

    /// A flag, false where it is absent.
    pub fn flag(&self, number: usize) -> Result<bool> {
        Ok(self.scalar::<u8>(number, 0)? != 0)
    }

    pub fn table(&self, number: usize) -> Result<Option<Table<'b>>> {
        match self.field(number)? {
            None => Ok(None),
            Some(at) => Table::new(self.bytes, follow(self.bytes, at)?).map(Some),
        }
    }

    /// Place and number of the elements of a list, all of which are there.
    fn list(&self, number: usize, element_bytes: usize) -> Result<Option<(usize, usize)>> {
        let Some(field) = self.field(number)? else {
            return Ok(None);
        };
        let at = follow(self.bytes, field)?;
        let len = u32_at(self.bytes, at)? as usize;
        let start = at + 4;
        let fits = len.checked_mul(element_bytes).and_then(|l| l.checked_add(start));
        if fits.is_none_or(|end| end > self.bytes.len()) {
            return Err(fault(at, format!("a list of {len} elements goes beyond the end of the file")));
        }
        Ok(Some((start, len)))
    }

    /// The numbers of a list of `most` at most.
    pub fn scalars<T: Scalar>(&self, number: usize, most: usize) -> Result<Option<Vec<T>>> {
        let Some((start, len)) = self.list(number, T::BYTES)? else {
            return Ok(None);
        };
        if len > most {
            return Err(fault(start - 4, format!("a list of {len} elements, where {most} are the most")));
        }
        (0..len).map(|i| T::read(self.bytes, start + i * T::BYTES)).collect::<Result<Vec<T>>>().map(Some)
    }

    /// The bytes of a list of bytes.
    pub fn bytes(&self, number: usize) -> Result<Option<&'b [u8]>> {
        Ok(self.list(number, 1)?.and_then(|(start, len)| self.bytes.get(start..start + len)))
    }

    /// A text; bytes that are none are refused.
    pub fn text(&self, number: usize) -> Result<&'b str> {
        let Some(bytes) = self.bytes(number)? else {
            return Ok("");
        };
        std::str::from_utf8(bytes).map_err(|_| fault(self.at, "a name is not valid text"))
    }

    /// A list of tables; empty where it is absent.
    pub fn tables(&self, number: usize) -> Result<Tables<'b>> {
        let (start, len) = self.list(number, 4)?.unwrap_or((0, 0));
        Ok(Tables { bytes: self.bytes, start, len })
    }
}

/// A list of tables, each read when it is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tables<'b> {
    bytes: &'b [u8],
    start: usize,
    pub len: usize,
}

impl<'b> Tables<'b> {
    /// One of the tables, or `None` beyond the end.
    pub fn get(&self, index: usize) -> Result<Option<Table<'b>>> {
        if index >= self.len {
            return Ok(None);
        }
        Table::new(self.bytes, follow(self.bytes, self.start + 4 * index)?).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root with the number 7 as field 0, a list of two numbers as field 1 and nothing else.
    fn file() -> Vec<u8> {
        let mut bytes = vec![16, 0, 0, 0];
        bytes.extend(b"TEST");
        bytes.extend([8, 0, 12, 0, 4, 0, 8, 0]); // the list of fields, at 8
        bytes.extend([8, 0, 0, 0]); // the root, at 16
        bytes.extend([7, 0, 0, 0]);
        bytes.extend([4, 0, 0, 0]);
        bytes.extend([2, 0, 0, 0, 1, 0, 0, 0, 255, 255, 255, 255]);
        bytes
    }

    #[test]
    fn fields_are_found() {
        let bytes = file();
        let root = Table::root(&bytes).unwrap();
        assert_eq!(root.scalar::<i32>(0, 1).unwrap(), 7);
        assert_eq!(root.scalars::<i32>(1, 2).unwrap(), Some(vec![1, -1]));
        assert_eq!(root.scalar::<i32>(2, 5).unwrap(), 5);
        assert!(root.table(9).unwrap().is_none());
        assert!(root.scalars::<i32>(1, 1).unwrap_err().to_string().contains("2 elements, where 1"));
    }

    #[test]
    fn what_is_not_there_is_not_read() {
        let whole = file();
        for len in 0..whole.len() {
            let cut = &whole[..len];
            let read = Table::root(cut).and_then(|root| root.scalars::<i32>(1, 9));
            assert!(read.is_err(), "{len} bytes");
        }
        let mut far = whole.clone();
        far[28] = 0xff;
        far[29] = 0xff;
        far[30] = 0xff;
        far[31] = 0x3f;
        let text = Table::root(&far).unwrap().scalars::<i32>(1, usize::MAX).unwrap_err().to_string();
        assert!(text.starts_with("byte 28: a list of 1073741823 elements goes beyond"), "{text}");
    }
}
