//! Arrays from and to NumPy's `.npz` and `.npy` files.
//!
//! [`read`] checks everything that it reads: a claimed size is believed only once that many bytes are there. What is
//! wrong is told with the file, the member and the byte. [`write()`] writes all or nothing, the same bytes for the same
//! arrays.

mod npy;

use std::fs::File;
use std::io::{BufReader, Cursor, Read};
use std::path::Path;

use ndarray::{ArrayViewD, IxDyn};
use ndarray_npy::{NpzWriter, WritableElement, WriteNpzError};
use zip::ZipArchive;
use zip::result::ZipError;

use crate::error::{InputError, Result};
use crate::files;

/// The largest member that is read.
const MEMBER_LIMIT: u64 = 4 << 30;

/// A dense array in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Sizes of the axes, outermost first; empty for a single number.
    pub shape: Vec<usize>,
    /// The numbers.
    pub data: Data,
}

/// The numbers of an [`Array`].
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// 32-bit floating point.
    F32(Vec<f32>),
    /// 64-bit floating point.
    F64(Vec<f64>),
    /// 8-bit signed.
    I8(Vec<i8>),
    /// 8-bit unsigned.
    U8(Vec<u8>),
    /// 16-bit signed.
    I16(Vec<i16>),
    /// 32-bit signed.
    I32(Vec<i32>),
    /// 64-bit signed.
    I64(Vec<i64>),
}

/// The type of an array's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElementType {
    /// 32-bit floating point.
    F32,
    /// 64-bit floating point.
    F64,
    /// 8-bit signed.
    I8,
    /// 8-bit unsigned.
    U8,
    /// 16-bit signed.
    I16,
    /// 32-bit signed.
    I32,
    /// 64-bit signed.
    I64,
}

/// An array with its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    /// Name of the member, without `.npy`.
    pub name: String,
    /// The array.
    pub array: Array,
}

/// Runs `$body` with `$v` bound to the vector of numbers, whatever their type.
macro_rules! with_numbers {
    ($data:expr, $v:ident => $body:expr) => {
        match $data {
            Data::F32($v) => $body,
            Data::F64($v) => $body,
            Data::I8($v) => $body,
            Data::U8($v) => $body,
            Data::I16($v) => $body,
            Data::I32($v) => $body,
            Data::I64($v) => $body,
        }
    };
}

impl ElementType {
    /// Name as NumPy writes it.
    pub fn name(self) -> &'static str {
        match self {
            ElementType::F32 => "float32",
            ElementType::F64 => "float64",
            ElementType::I8 => "int8",
            ElementType::U8 => "uint8",
            ElementType::I16 => "int16",
            ElementType::I32 => "int32",
            ElementType::I64 => "int64",
        }
    }
}

impl Data {
    /// How many numbers there are.
    pub fn len(&self) -> usize {
        with_numbers!(self, v => v.len())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Their type.
    pub fn element_type(&self) -> ElementType {
        match self {
            Data::F32(_) => ElementType::F32,
            Data::F64(_) => ElementType::F64,
            Data::I8(_) => ElementType::I8,
            Data::U8(_) => ElementType::U8,
            Data::I16(_) => ElementType::I16,
            Data::I32(_) => ElementType::I32,
            Data::I64(_) => ElementType::I64,
        }
    }
}

impl Array {
    /// An array of 32-bit floating point numbers.
    pub fn f32(shape: &[usize], numbers: Vec<f32>) -> Array {
        debug_assert_eq!(shape.iter().product::<usize>(), numbers.len());
        Array { shape: shape.to_vec(), data: Data::F32(numbers) }
    }

    /// An array of 8-bit signed numbers.
    pub fn i8(shape: &[usize], numbers: Vec<i8>) -> Array {
        debug_assert_eq!(shape.iter().product::<usize>(), numbers.len());
        Array { shape: shape.to_vec(), data: Data::I8(numbers) }
    }

    /// Type of the numbers.
    pub fn element_type(&self) -> ElementType {
        self.data.element_type()
    }

    /// How many numbers there are.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The numbers as 64-bit floating point. Integers beyond 2^53 are rounded.
    pub fn to_f64(&self) -> Vec<f64> {
        match &self.data {
            Data::F32(v) => v.iter().map(|&x| f64::from(x)).collect(),
            Data::F64(v) => v.clone(),
            Data::I8(v) => v.iter().map(|&x| f64::from(x)).collect(),
            Data::U8(v) => v.iter().map(|&x| f64::from(x)).collect(),
            Data::I16(v) => v.iter().map(|&x| f64::from(x)).collect(),
            Data::I32(v) => v.iter().map(|&x| f64::from(x)).collect(),
            Data::I64(v) => v.iter().map(|&x| x as f64).collect(),
        }
    }

    /// The numbers as 32-bit floating point.
    pub fn to_f32(&self) -> Vec<f32> {
        match &self.data {
            Data::F32(v) => v.clone(),
            _ => self.to_f64().iter().map(|&x| x as f32).collect(),
        }
    }

    /// The numbers from `start` to `end`, under the shape `shape`.
    pub fn slice(&self, start: usize, end: usize, shape: &[usize]) -> Array {
        let data = match &self.data {
            Data::F32(v) => Data::F32(v[start..end].to_vec()),
            Data::F64(v) => Data::F64(v[start..end].to_vec()),
            Data::I8(v) => Data::I8(v[start..end].to_vec()),
            Data::U8(v) => Data::U8(v[start..end].to_vec()),
            Data::I16(v) => Data::I16(v[start..end].to_vec()),
            Data::I32(v) => Data::I32(v[start..end].to_vec()),
            Data::I64(v) => Data::I64(v[start..end].to_vec()),
        };
        Array { shape: shape.to_vec(), data }
    }

    /// Appends the numbers of `other`, which is of the same type; `false` where it is not.
    pub fn append(&mut self, other: &Array) -> bool {
        match (&mut self.data, &other.data) {
            (Data::F32(a), Data::F32(b)) => a.extend(b),
            (Data::F64(a), Data::F64(b)) => a.extend(b),
            (Data::I8(a), Data::I8(b)) => a.extend(b),
            (Data::U8(a), Data::U8(b)) => a.extend(b),
            (Data::I16(a), Data::I16(b)) => a.extend(b),
            (Data::I32(a), Data::I32(b)) => a.extend(b),
            (Data::I64(a), Data::I64(b)) => a.extend(b),
            _ => return false,
        }
        true
    }
}

/// How many elements of two arrays differ. Missing ones, and all of arrays of other types, count as differing.
pub fn differing_elements(a: &Array, b: &Array) -> usize {
    if a.element_type() != b.element_type() {
        return a.len().max(b.len());
    }
    let (x, y) = (a.to_f64(), b.to_f64());
    let differing = x.iter().zip(&y).filter(|(x, y)| x.to_bits() != y.to_bits()).count();
    differing + x.len().abs_diff(y.len())
}

/// Reads all arrays of an `.npz` file, or the one of an `.npy` file, in the order of the file.
///
/// # Errors
/// Names the file, the member in it, and what to do.
pub fn read(file: &Path) -> Result<Vec<Named>> {
    let opened = File::open(file).map_err(|error| InputError::unreadable(file, &error))?;
    if file.extension().is_some_and(|extension| extension == "npy") {
        let bytes = bounded(BufReader::new(opened), file)?;
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        return Ok(vec![Named { name, array: npy::parse(file, &bytes)? }]);
    }
    let mut archive = ZipArchive::new(BufReader::new(opened)).map_err(|error| damaged_zip(file, &error))?;
    let mut arrays: Vec<Named> = Vec::new();
    for index in 0..archive.len() {
        let member = archive.by_index(index).map_err(|error| damaged_zip(file, &error))?;
        let entry = member.name().to_string();
        let Some(name) = entry.strip_suffix(".npy") else {
            return Err(InputError::new(
                file.join(&entry),
                "is no .npy array",
                "keep only arrays in the file, as `numpy.savez` writes it",
            ));
        };
        if arrays.iter().any(|known| known.name == name) {
            return Err(InputError::new(
                file.join(&entry),
                "occurs twice",
                "give each array a name of its own",
            ));
        }
        let place = file.join(&entry);
        let bytes = bounded(member, &place)?;
        arrays.push(Named { name: name.to_string(), array: npy::parse(&place, &bytes)? });
    }
    if arrays.is_empty() {
        return Err(InputError::new(file, "holds no array", "write arrays to it with `numpy.savez`"));
    }
    Ok(arrays)
}

/// Everything that a reader gives, unless that is more than any model can use.
fn bounded(reader: impl Read, place: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(MEMBER_LIMIT + 1).read_to_end(&mut bytes).map_err(|error| {
        InputError::new(place, format!("is damaged: {error}"), "write or fetch the file again")
    })?;
    if bytes.len() as u64 > MEMBER_LIMIT {
        return Err(InputError::new(
            place,
            format!("is longer than {} GiB", MEMBER_LIMIT >> 30),
            "split it into several files",
        ));
    }
    Ok(bytes)
}

fn damaged_zip(file: &Path, error: &ZipError) -> InputError {
    match error {
        ZipError::Io(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
            InputError::unreadable(file, error)
        }
        _ => InputError::new(
            file,
            format!("is no .npz archive, or is damaged: {error}"),
            "write it again with `numpy.savez`",
        ),
    }
}

/// Writes arrays to an `.npz` file, compressed, all or nothing.
///
/// # Errors
/// The file cannot be written.
pub fn write(file: &Path, arrays: &[Named]) -> anyhow::Result<()> {
    let bytes = to_npz(arrays).map_err(|error| {
        anyhow::Error::new(error).context(format!("{}: the arrays cannot be written", file.display()))
    })?;
    files::write_bytes(file, &bytes)
}

/// The bytes of an `.npz` file.
///
/// # Errors
/// A name that an archive cannot hold.
pub fn to_npz(arrays: &[Named]) -> std::result::Result<Vec<u8>, WriteNpzError> {
    fn add<T: WritableElement>(
        writer: &mut NpzWriter<Cursor<Vec<u8>>>,
        name: &str,
        shape: &[usize],
        numbers: &[T],
    ) -> std::result::Result<(), WriteNpzError> {
        let view = ArrayViewD::from_shape(IxDyn(shape), numbers)
            .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidInput, error))
            .map_err(ZipError::Io)?;
        writer.add_array(name, &view)
    }
    let mut writer = NpzWriter::new_compressed(Cursor::new(Vec::new()));
    for Named { name, array } in arrays {
        with_numbers!(&array.data, v => add(&mut writer, name, &array.shape, v))?;
    }
    Ok(writer.finish()?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<Named> {
        let named = |name: &str, shape: &[usize], data| Named {
            name: name.to_string(),
            array: Array { shape: shape.to_vec(), data },
        };
        vec![
            named("x", &[2, 3], Data::F32(vec![0.5, -1.0, 2.0, 3.0, f32::NAN, 5.0])),
            named("double", &[2], Data::F64(vec![1.0, 1e300])),
            named("raw", &[1, 2], Data::I8(vec![-128, 127])),
            named("pixels", &[3], Data::U8(vec![0, 128, 255])),
            named("counts", &[1], Data::I16(vec![-300])),
            named("bias", &[2], Data::I32(vec![i32::MIN, 7])),
            named("label", &[], Data::I64(vec![3])),
        ]
    }

    #[test]
    fn arrays_survive_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        write(&path, &sample()).unwrap();
        let back = read(&path).unwrap();
        assert_eq!(format!("{back:?}"), format!("{:?}", sample()));
        assert_eq!(to_npz(&sample()).unwrap(), std::fs::read(&path).unwrap());
    }

    #[test]
    fn every_damaged_archive_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        let whole = to_npz(&sample()).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let error = read(&path).expect_err("cut").to_string();
            assert!(error.contains("a.npz") && error.contains("Remedy"), "{error}");
        }
        for at in 0..whole.len() {
            for bit in [0, 3, 7] {
                let mut flipped = whole.clone();
                flipped[at] ^= 1 << bit;
                std::fs::write(&path, &flipped).unwrap();
                // Bytes that no reader looks at may change; none may cause a panic.
                let _ = read(&path);
            }
        }
    }

    #[test]
    fn the_member_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        let mut whole = to_npz(&sample()).unwrap();
        // The first byte of the first member's compressed data follows its local header and name.
        let at = whole.windows(5).position(|w| w == b"x.npy").unwrap() + 5;
        whole[at + 8] ^= 0xff;
        std::fs::write(&path, &whole).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("a.npz/x.npy"), "{error}");
    }
}
