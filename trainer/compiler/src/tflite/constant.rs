//! Constants of a TensorFlow Lite file.

use std::rc::Rc;

use super::node::Node;
use super::schema::{ElementType, Quantization, Tensor as FileTensor};
use crate::error::{Error, Result};
use crate::graph::{Elements, Quant, Tensor, checked_len};
use crate::import::{MAX_ELEMENTS, half};

/// A constant. Half precision is held as `f32`, `uint8` as `int8` with 128 taken off, `int64` as
/// `int32`.
#[derive(Debug, Clone)]
pub(super) struct Constant {
    pub name: String,
    pub tensor: Rc<Tensor>,
    /// How its integers stand for real numbers, where they do.
    pub quant: Option<ConstantQuant>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct ConstantQuant {
    pub scales: Vec<f32>,
    /// One, or one per scale.
    pub zero_points: Vec<i32>,
    /// The axis that the scales run along, where there are several.
    pub axis: usize,
}

impl Constant {
    /// Reads a tensor that has data; the memory taken is that of the bytes present.
    pub fn read(tensor: &FileTensor<'_>, data: &[u8]) -> Result<Constant> {
        let fault = |reason: String| Error::value(&tensor.name, reason);
        let shape = &tensor.shape;
        let len = checked_len(shape)
            .filter(|&len| len <= MAX_ELEMENTS)
            .ok_or_else(|| fault(format!("shape {shape:?} is too large")))?;
        let bytes = match tensor.element_type {
            ElementType::F32 | ElementType::I32 => 4,
            ElementType::F16 => 2,
            ElementType::U8 | ElementType::I8 => 1,
            ElementType::I64 => 8,
            ElementType::Other(_) => {
                return Err(fault(format!("constants of type {} are not read", tensor.element_type.name()))
                    .remedy("convert the model to int8 or float32"));
            }
        };
        if data.len() != len * bytes {
            return Err(fault(format!(
                "shape {shape:?} of {} needs {} bytes, the file holds {}",
                tensor.element_type.name(),
                len * bytes,
                data.len()
            ))
            .remedy("the file is damaged or cut short"));
        }
        let four = |b: &[u8]| [b[0], b[1], b[2], b[3]];
        let elements = match tensor.element_type {
            ElementType::F32 => {
                Elements::F32(data.chunks_exact(4).map(|b| f32::from_le_bytes(four(b))).collect())
            }
            ElementType::F16 => {
                Elements::F32(data.chunks_exact(2).map(|b| half(u16::from_le_bytes([b[0], b[1]]))).collect())
            }
            ElementType::I8 => Elements::I8(data.iter().map(|&b| b as i8).collect()),
            ElementType::U8 => Elements::I8(data.iter().map(|&b| (b ^ 0x80) as i8).collect()),
            ElementType::I64 => {
                let narrow = |b: &[u8]| {
                    let wide = i64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]);
                    i32::try_from(wide).map_err(|_| fault(format!("{wide} does not fit 32 bits")))
                };
                Elements::I32(data.chunks_exact(8).map(narrow).collect::<Result<Vec<i32>>>()?)
            }
            _ => Elements::I32(data.chunks_exact(4).map(|b| i32::from_le_bytes(four(b))).collect()),
        };
        let quant = match (&tensor.quantization, tensor.element_type) {
            (Some(quantization), ElementType::I8 | ElementType::U8 | ElementType::I32) => {
                quantization_of(tensor, quantization)?
            }
            _ => None,
        };
        Ok(Constant { name: tensor.name.clone(), tensor: Rc::new(Tensor::new(shape, elements)?), quant })
    }

    /// A list of integers that was computed while importing.
    pub fn ints(name: &str, shape: &[usize], ints: Vec<i32>) -> Result<Constant> {
        let tensor = Rc::new(Tensor::new(shape, Elements::I32(ints))?);
        Ok(Constant { name: name.to_string(), tensor, quant: None })
    }

    /// The elements as integers, where they are no more than that: shapes, axes, pads.
    pub fn as_ints(&self) -> Option<&[i32]> {
        self.tensor.as_i32()
    }

    /// The constant as real numbers.
    pub fn dequantized(&self) -> Vec<f32> {
        let raw: Vec<f32> = match self.tensor.elements() {
            Elements::F32(v) => return v.clone(),
            Elements::I8(v) => v.iter().map(|&q| f32::from(q)).collect(),
            Elements::I32(v) => v.iter().map(|&q| q as f32).collect(),
        };
        let Some(quant) = &self.quant else {
            return raw;
        };
        let inner: usize = self.tensor.shape().iter().skip(quant.axis + 1).product();
        let channel =
            |i: usize| if quant.scales.len() > 1 { i / inner.max(1) % quant.scales.len() } else { 0 };
        let zero = |c: usize| quant.zero_points.get(c).or(quant.zero_points.first()).map_or(0, |z| *z);
        raw.iter()
            .enumerate()
            .map(|(i, &q)| (q - zero(channel(i)) as f32) * quant.scales[channel(i)])
            .collect()
    }

    /// The constant with its numbers dequantized.
    pub fn real(&self) -> Result<Constant> {
        let tensor = Tensor::f32(self.tensor.shape(), self.dequantized())?;
        Ok(Constant { name: self.name.clone(), tensor: Rc::new(tensor), quant: None })
    }

    /// Integer weights whose output channels are the axis `channels`, without their zero points:
    /// int8 where they fit it, int32 where they do not.
    pub fn weights(&self, node: &Node<'_>, channels: usize) -> Result<(Tensor, Quant)> {
        let (Elements::I8(integers), Some(quant)) = (self.tensor.elements(), &self.quant) else {
            return Err(node
                .fault(format!("its weights `{}` are integers without a scale", self.name))
                .remedy("convert the model again"));
        };
        let channel_axis = if quant.scales.len() > 1 { Some(quant.axis) } else { None };
        if channel_axis.is_some_and(|axis| axis != channels) {
            return Err(node
                .fault(format!(
                    "its weights are quantized along axis {}, not along the output channels",
                    quant.axis
                ))
                .remedy("quantize per output channel or per tensor"));
        }
        let zeros = &quant.zero_points;
        let inner: usize = self.tensor.shape().iter().skip(quant.axis + 1).product();
        let zero = |i: usize| if zeros.len() > 1 { zeros[i / inner.max(1) % zeros.len()] } else { zeros[0] };
        let shifted: Vec<i32> = integers.iter().enumerate().map(|(i, &q)| i32::from(q) - zero(i)).collect();
        let elements = if shifted.iter().all(|&q| i8::try_from(q).is_ok()) {
            Elements::I8(shifted.iter().map(|&q| q as i8).collect())
        } else {
            Elements::I32(shifted)
        };
        let tensor = Tensor::new(self.tensor.shape(), elements)?;
        let quant = Quant {
            element_type: tensor.element_type(),
            channel_axis,
            ..Quant::per_channel(quant.scales.clone(), 0)
        };
        Ok((tensor, quant))
    }
}

/// Scales and zero points of a constant, checked against its shape.
fn quantization_of(tensor: &FileTensor<'_>, file: &Quantization<'_>) -> Result<Option<ConstantQuant>> {
    let fault = |reason: String| Error::value(&tensor.name, reason);
    let most = tensor.shape.iter().copied().max().unwrap_or(1).max(1);
    let scales = checked_scales(tensor, file, most)?;
    if scales.is_empty() {
        return Ok(None);
    }
    let axis = if scales.len() == 1 || tensor.shape.len() == 1 {
        // A vector has one axis only, whatever the file says.
        0
    } else {
        let axis = file.axis()?;
        usize::try_from(axis)
            .ok()
            .filter(|&axis| axis < tensor.shape.len())
            .ok_or_else(|| fault(format!("it is quantized along axis {axis} of {}", tensor.shape.len())))?
    };
    if scales.len() > 1 && tensor.shape.get(axis) != Some(&scales.len()) {
        return Err(fault(format!("{} scales for axis {axis} of shape {:?}", scales.len(), tensor.shape)));
    }
    let zero_points = checked_zero_points(tensor, file, scales.len())?;
    Ok(Some(ConstantQuant { scales, zero_points, axis }))
}

/// The scales of a tensor, each positive and finite.
pub(super) fn checked_scales(
    tensor: &FileTensor<'_>,
    file: &Quantization<'_>,
    most: usize,
) -> Result<Vec<f32>> {
    let fault = |reason: String| Error::value(&tensor.name, reason);
    if !file.is_affine()? {
        return Err(fault("its quantization is not by scale and zero point".into())
            .remedy("quantize per tensor or per channel"));
    }
    let scales = file.scales(most)?;
    match scales.iter().find(|s| !(s.is_finite() && **s > 0.0)) {
        Some(bad) => {
            Err(fault(format!("its scale is {bad}"))
                .remedy("scales must be positive; calibrate the model again"))
        }
        None => Ok(scales),
    }
}

/// The zero points of a tensor as its int8 form has them.
pub(super) fn checked_zero_points(
    tensor: &FileTensor<'_>,
    file: &Quantization<'_>,
    scales: usize,
) -> Result<Vec<i32>> {
    let fault = |reason: String| Error::value(&tensor.name, reason);
    let stated = file.zero_points(scales)?;
    let stated = if stated.is_empty() { vec![0] } else { stated };
    if stated.len() != 1 && stated.len() != scales {
        return Err(fault(format!("{} zero points for {scales} scales", stated.len())));
    }
    let (range, shift) = match tensor.element_type {
        ElementType::U8 => (0..=255, 128),
        ElementType::I8 => (-128..=127, 0),
        _ => (0..=0, 0),
    };
    let shifted = stated.iter().map(|&zero| match i32::try_from(zero) {
        Ok(zero) if range.contains(&zero) => Ok(zero - shift),
        _ => Err(fault(format!("a zero point of {zero} for {}", tensor.element_type.name()))),
    });
    shifted.collect()
}
