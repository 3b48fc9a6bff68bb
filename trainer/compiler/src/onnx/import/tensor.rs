//! Constants of an ONNX file.

use crate::error::{Error, Result};
use crate::onnx::proto::{TensorProto, data_type};

pub(super) use crate::import::MAX_ELEMENTS;
use crate::import::half;

/// A constant, in the types that matter here. Half and double precision become `f32`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct OnnxTensor {
    pub shape: Vec<usize>,
    pub data: Data,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Data {
    F32(Vec<f32>),
    I8(Vec<i8>),
    U8(Vec<u8>),
    I32(Vec<i32>),
    I64(Vec<i64>),
}

impl Data {
    pub fn len(&self) -> usize {
        match self {
            Data::F32(v) => v.len(),
            Data::I8(v) => v.len(),
            Data::U8(v) => v.len(),
            Data::I32(v) => v.len(),
            Data::I64(v) => v.len(),
        }
    }

    pub fn type_name(&self) -> &'static str {
        match self {
            Data::F32(_) => "float",
            Data::I8(_) => "int8",
            Data::U8(_) => "uint8",
            Data::I32(_) => "int32",
            Data::I64(_) => "int64",
        }
    }

    /// Adds the elements of another of the same type. False where it is of another.
    pub fn extend(&mut self, other: &Data) -> bool {
        match (self, other) {
            (Data::F32(a), Data::F32(b)) => a.extend(b),
            (Data::I8(a), Data::I8(b)) => a.extend(b),
            (Data::U8(a), Data::U8(b)) => a.extend(b),
            (Data::I32(a), Data::I32(b)) => a.extend(b),
            (Data::I64(a), Data::I64(b)) => a.extend(b),
            _ => return false,
        }
        true
    }

    /// The elements at `order`.
    pub fn gathered(&self, order: &[usize]) -> Data {
        match self {
            Data::F32(v) => Data::F32(order.iter().map(|&i| v[i]).collect()),
            Data::I8(v) => Data::I8(order.iter().map(|&i| v[i]).collect()),
            Data::U8(v) => Data::U8(order.iter().map(|&i| v[i]).collect()),
            Data::I32(v) => Data::I32(order.iter().map(|&i| v[i]).collect()),
            Data::I64(v) => Data::I64(order.iter().map(|&i| v[i]).collect()),
        }
    }
}

impl OnnxTensor {
    /// Reads a tensor; the memory taken is that of the bytes present.
    pub fn read(proto: &TensorProto) -> Result<OnnxTensor> {
        let name = proto.name.as_deref().unwrap_or("");
        let fault = |reason: String| Error::value(name, reason);
        if proto.data_location.unwrap_or(0) != 0 || !proto.external_data.is_empty() {
            return Err(fault("its numbers stand in another file".into())
                .remedy("save the model as one file (`onnx.save(model, path)` without external data)"));
        }
        let mut shape = Vec::with_capacity(proto.dims.len());
        for &dim in &proto.dims {
            let dim = usize::try_from(dim)
                .ok()
                .filter(|&d| d <= MAX_ELEMENTS)
                .ok_or_else(|| fault(format!("shape {:?} is out of range", proto.dims)))?;
            shape.push(dim);
        }
        let len = crate::graph::checked_len(&shape)
            .filter(|&len| len <= MAX_ELEMENTS)
            .ok_or_else(|| fault(format!("shape {shape:?} is too large")))?;
        let kind = proto.data_type.unwrap_or(0);
        let short = |present: usize| {
            fault(format!(
                "shape {shape:?} of {} needs {len} elements, the file holds {present}",
                data_type::name(kind)
            ))
            .remedy("the file is damaged or cut short")
        };
        let raw = proto.raw_data.as_deref();
        let raw_of = |bytes: usize| -> Result<Option<&[u8]>> {
            match raw {
                Some(raw) if raw.len() == len * bytes => Ok(Some(raw)),
                Some(raw) if !raw.is_empty() || len == 0 => Err(short(raw.len() / bytes)),
                _ => Ok(None),
            }
        };
        let from_i32 = || -> Result<&[i32]> {
            if proto.int32_data.len() == len {
                Ok(&proto.int32_data)
            } else {
                Err(short(proto.int32_data.len()))
            }
        };
        let data = match kind {
            data_type::FLOAT => Data::F32(match raw_of(4)? {
                Some(raw) => {
                    raw.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
                }
                None if proto.float_data.len() == len => proto.float_data.clone(),
                None => return Err(short(proto.float_data.len())),
            }),
            data_type::DOUBLE => Data::F32(match raw_of(8)? {
                Some(raw) => raw
                    .chunks_exact(8)
                    .map(|b| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]) as f32)
                    .collect(),
                None if proto.double_data.len() == len => {
                    proto.double_data.iter().map(|&v| v as f32).collect()
                }
                None => return Err(short(proto.double_data.len())),
            }),
            data_type::FLOAT16 => Data::F32(match raw_of(2)? {
                Some(raw) => raw.chunks_exact(2).map(|b| half(u16::from_le_bytes([b[0], b[1]]))).collect(),
                None => from_i32()?.iter().map(|&v| half(v as u16)).collect(),
            }),
            data_type::BFLOAT16 => Data::F32(match raw_of(2)? {
                Some(raw) => raw.chunks_exact(2).map(|b| f32::from_le_bytes([0, 0, b[0], b[1]])).collect(),
                None => from_i32()?.iter().map(|&v| f32::from_bits((v as u32) << 16)).collect(),
            }),
            data_type::INT8 => Data::I8(match raw_of(1)? {
                Some(raw) => raw.iter().map(|&b| b as i8).collect(),
                None => from_i32()?.iter().map(|&v| v as i8).collect(),
            }),
            data_type::UINT8 | data_type::BOOL => Data::U8(match raw_of(1)? {
                Some(raw) => raw.to_vec(),
                None => from_i32()?.iter().map(|&v| v as u8).collect(),
            }),
            data_type::INT32 => Data::I32(match raw_of(4)? {
                Some(raw) => {
                    raw.chunks_exact(4).map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
                }
                None => from_i32()?.to_vec(),
            }),
            data_type::INT64 => Data::I64(match raw_of(8)? {
                Some(raw) => raw
                    .chunks_exact(8)
                    .map(|b| i64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]))
                    .collect(),
                None if proto.int64_data.len() == len => proto.int64_data.clone(),
                None => return Err(short(proto.int64_data.len())),
            }),
            other => {
                return Err(fault(format!("constants of type {} are not read", data_type::name(other)))
                    .remedy("export real numbers in float32, and quantize to int8 or uint8"));
            }
        };
        Ok(OnnxTensor { shape, data })
    }

    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// The elements as integers, where they are integers: shapes, axes, pads.
    pub fn as_ints(&self) -> Option<Vec<i64>> {
        match &self.data {
            Data::I64(v) => Some(v.clone()),
            Data::I32(v) => Some(v.iter().map(|&x| i64::from(x)).collect()),
            _ => None,
        }
    }

    /// The elements as reals, whatever their type.
    pub fn to_f32(&self) -> Vec<f32> {
        match &self.data {
            Data::F32(v) => v.clone(),
            Data::I8(v) => v.iter().map(|&x| f32::from(x)).collect(),
            Data::U8(v) => v.iter().map(|&x| f32::from(x)).collect(),
            Data::I32(v) => v.iter().map(|&x| x as f32).collect(),
            Data::I64(v) => v.iter().map(|&x| x as f32).collect(),
        }
    }

    /// The tensor with its axes in another order.
    pub fn transposed(&self, axes: &[usize]) -> OnnxTensor {
        let order = crate::graph::transposed_order(&self.shape, axes);
        OnnxTensor { shape: axes.iter().map(|&a| self.shape[a]).collect(), data: self.data.gathered(&order) }
    }
}

/// The elements of a tensor of texts.
pub(super) fn texts(proto: &TensorProto) -> Vec<String> {
    proto.string_data.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claimed_sizes_are_checked_against_the_bytes() {
        let mut proto = TensorProto {
            name: Some("w".into()),
            dims: vec![1 << 20, 64],
            data_type: Some(data_type::FLOAT),
            raw_data: Some(vec![0; 16]),
            ..TensorProto::default()
        };
        let text = OnnxTensor::read(&proto).unwrap_err().to_string();
        assert!(text.contains("value `w`") && text.contains("the file holds 4"), "{text}");
        proto.dims = vec![i64::MAX, i64::MAX];
        assert!(OnnxTensor::read(&proto).is_err());
        proto.dims = vec![-1];
        assert!(OnnxTensor::read(&proto).is_err());
        proto.dims = vec![2, 2];
        assert_eq!(OnnxTensor::read(&proto).unwrap().shape, vec![2, 2]);
    }
}
