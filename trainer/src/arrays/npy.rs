//! The `.npy` format: a header in the syntax of a Python dictionary, then the numbers.

use std::path::Path;

use super::{Array, Data};
use crate::error::{InputError, Result};

const MAGIC: &[u8] = b"\x93NUMPY";

/// Reads one array; `place` is for messages.
pub(super) fn parse(place: &Path, bytes: &[u8]) -> Result<Array> {
    let cut = |at: usize| {
        InputError::new(place, "is cut short", "write or fetch the file again").at_byte(at as u64)
    };
    if !bytes.starts_with(MAGIC) {
        return Err(InputError::new(
            place,
            "is no .npy array",
            "write it with `numpy.save` or `numpy.savez`",
        ));
    }
    let major = *bytes.get(6).ok_or_else(|| cut(bytes.len()))?;
    let (length_bytes, at) = match major {
        1 => (2, 8),
        2 | 3 => (4, 8),
        _ => {
            return Err(InputError::new(
                place,
                format!("has version {major} of the .npy format, which is not known here"),
                "write it with `numpy.save` or `numpy.savez`",
            )
            .at_byte(6));
        }
    };
    let length = bytes.get(at..at + length_bytes).ok_or_else(|| cut(bytes.len()))?;
    let header_at = at + length_bytes;
    let header_len = length.iter().rev().fold(0usize, |sum, &byte| (sum << 8) | usize::from(byte));
    let header = bytes.get(header_at..header_at + header_len).ok_or_else(|| cut(bytes.len()))?;
    let header = Header::parse(header).ok_or_else(|| {
        InputError::new(place, "has a header that cannot be read", "write it again with `numpy.save`")
            .at_byte(header_at as u64)
    })?;
    let numbers_at = header_at + header_len;
    let numbers = &bytes[numbers_at..];
    let claimed = header.shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
    let (data, element_bytes) = decode(&header.descr, numbers).ok_or_else(|| {
        let problem = format!("holds numbers of the type `{}`, which is not supported", header.descr);
        InputError::new(place, problem, "convert it, for instance with `x.astype(numpy.float32)`")
            .at_byte(header_at as u64)
    })?;
    let found = numbers.len() / element_bytes;
    if claimed != Some(found) || found * element_bytes != numbers.len() {
        let problem = format!("says shape {:?} but holds {} bytes of numbers", header.shape, numbers.len());
        return Err(
            InputError::new(place, problem, "write or fetch the file again").at_byte(numbers_at as u64)
        );
    }
    let array = Array { shape: header.shape, data };
    Ok(if header.fortran_order { from_column_major(array) } else { array })
}

/// The numbers and the bytes of one.
fn decode(descr: &str, bytes: &[u8]) -> Option<(Data, usize)> {
    macro_rules! numbers {
        ($data:path, $type:ty, $from:path) => {{
            const BYTES: usize = size_of::<$type>();
            let number = |chunk: &[u8]| {
                let mut number = [0; BYTES];
                number.copy_from_slice(chunk);
                $from(number)
            };
            ($data(bytes.chunks_exact(BYTES).map(number).collect()), BYTES)
        }};
    }
    Some(match descr {
        "<f4" => numbers!(Data::F32, f32, f32::from_le_bytes),
        ">f4" => numbers!(Data::F32, f32, f32::from_be_bytes),
        "<f8" => numbers!(Data::F64, f64, f64::from_le_bytes),
        ">f8" => numbers!(Data::F64, f64, f64::from_be_bytes),
        "|i1" | "<i1" | ">i1" => numbers!(Data::I8, i8, i8::from_le_bytes),
        // Truth values are stored as 0 and 1.
        "|u1" | "<u1" | ">u1" | "|b1" => numbers!(Data::U8, u8, u8::from_le_bytes),
        "<i2" => numbers!(Data::I16, i16, i16::from_le_bytes),
        ">i2" => numbers!(Data::I16, i16, i16::from_be_bytes),
        "<i4" => numbers!(Data::I32, i32, i32::from_le_bytes),
        ">i4" => numbers!(Data::I32, i32, i32::from_be_bytes),
        "<i8" => numbers!(Data::I64, i64, i64::from_le_bytes),
        ">i8" => numbers!(Data::I64, i64, i64::from_be_bytes),
        _ => return None,
    })
}

/// The same array in row-major order.
fn from_column_major(array: Array) -> Array {
    let mut order = vec![0usize];
    let mut stride = 1;
    // Index in column-major order of each element, in row-major order: the first axis moves slowest.
    let mut strides = Vec::with_capacity(array.shape.len());
    for &size in &array.shape {
        strides.push(stride);
        stride *= size;
    }
    for (&size, &stride) in array.shape.iter().zip(&strides) {
        order = order.iter().flat_map(|&base| (0..size).map(move |i| base + i * stride)).collect();
    }
    fn pick<T: Copy>(numbers: &[T], order: &[usize]) -> Vec<T> {
        order.iter().map(|&i| numbers[i]).collect()
    }
    let data = match &array.data {
        Data::F32(v) => Data::F32(pick(v, &order)),
        Data::F64(v) => Data::F64(pick(v, &order)),
        Data::I8(v) => Data::I8(pick(v, &order)),
        Data::U8(v) => Data::U8(pick(v, &order)),
        Data::I16(v) => Data::I16(pick(v, &order)),
        Data::I32(v) => Data::I32(pick(v, &order)),
        Data::I64(v) => Data::I64(pick(v, &order)),
    };
    Array { shape: array.shape, data }
}

/// The entries of the header.
struct Header {
    descr: String,
    fortran_order: bool,
    shape: Vec<usize>,
}

impl Header {
    /// Reads `{'descr': '<f4', 'fortran_order': False, 'shape': (8, 3), }`, with the keys in any order.
    fn parse(bytes: &[u8]) -> Option<Header> {
        let text = str::from_utf8(bytes).ok()?.trim();
        let mut rest = text.strip_prefix('{')?.strip_suffix('}')?.trim();
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        while !rest.is_empty() {
            let (key, after) = quoted(rest)?;
            let value = after.trim_start().strip_prefix(':')?.trim_start();
            rest = match key {
                "descr" => {
                    let (text, after) = quoted(value)?;
                    descr = Some(text.to_string());
                    after
                }
                "fortran_order" => {
                    let (flag, after) = match value.strip_prefix("True") {
                        Some(after) => (true, after),
                        None => (false, value.strip_prefix("False")?),
                    };
                    fortran_order = Some(flag);
                    after
                }
                "shape" => {
                    let (list, after) = value.strip_prefix('(')?.split_once(')')?;
                    let sizes = list.trim().trim_end_matches(',');
                    shape = Some(if sizes.is_empty() {
                        Vec::new()
                    } else {
                        sizes.split(',').map(|size| size.trim().parse().ok()).collect::<Option<_>>()?
                    });
                    after
                }
                _ => return None,
            };
            rest = rest.trim_start();
            rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
        }
        Some(Header { descr: descr?, fortran_order: fortran_order?, shape: shape? })
    }
}

/// A text in single or double quotes, and what follows it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|&c| c == '\'' || c == '"')?;
    text[1..].split_once(quote)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn npy(header: &str, numbers: &[u8]) -> Vec<u8> {
        let mut bytes = [MAGIC, &[1, 0], &(header.len() as u16).to_le_bytes(), header.as_bytes()].concat();
        bytes.extend(numbers);
        bytes
    }

    #[test]
    fn column_major_becomes_row_major() {
        let bytes =
            npy("{'descr': '|i1', 'fortran_order': True, 'shape': (2, 3), }  \n", &[0, 3, 1, 4, 2, 5]);
        let array = parse(Path::new("x.npy"), &bytes).unwrap();
        assert_eq!(array, Array::i8(&[2, 3], vec![0, 1, 2, 3, 4, 5]));
    }

    #[test]
    fn a_claimed_size_is_not_believed() {
        for shape in ["(4611686018427387904,)", "(4611686018427387904, 8)", "(3,)"] {
            let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n");
            let error = parse(Path::new("x.npy"), &npy(&header, &[0; 8])).unwrap_err().to_string();
            assert!(error.contains("says shape"), "{error}");
        }
    }

    #[test]
    fn other_types_are_refused_by_name() {
        let header = "{'descr': '<U5', 'fortran_order': False, 'shape': (1,), }\n";
        let error = parse(Path::new("x.npy"), &npy(header, &[0; 20])).unwrap_err().to_string();
        assert!(error.contains("`<U5`") && error.contains("astype"), "{error}");
    }
}
