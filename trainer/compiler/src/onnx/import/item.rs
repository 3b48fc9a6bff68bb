//! What the names of an ONNX file stand for.

use std::rc::Rc;

use super::attributes::Reader;
use super::tensor::{Data, OnnxTensor};
use crate::error::Result;
use crate::graph::{Elements, Quant, Tensor, ValueId};
use crate::import::Activation;

/// What an ONNX name stands for.
#[derive(Debug, Clone)]
pub(super) enum Item {
    Constant(Constant),
    Activation(Activation),
    Symbol(Symbol),
}

/// Something that is not computed here, and which only certain operators can do something with.
#[derive(Debug, Clone)]
pub(super) enum Symbol {
    /// The integers of a DynamicQuantizeLinear; here the real numbers that it reads.
    Integers(Activation),
    /// Their scale, times a constant.
    Scale { of: ValueId, factor: Option<Constant> },
    /// Their zero point.
    ZeroPoint { of: ValueId },
    /// The int32 sums of a ConvInteger or MatMulInteger.
    Sums(Sums),
    /// Which score is the largest.
    Place(Place),
    /// Names of classes.
    Texts(Vec<String>),
}

/// Which of some scores is the largest, or the name of that class.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub scores: Activation,
    /// Name of the scores in the file.
    pub name: String,
}

/// Sums in steps of the input's scale: the layer that gives them times that scale.
#[derive(Debug, Clone)]
pub(super) struct Sums {
    pub layer: Activation,
    pub steps: Steps,
}

/// What one step of an input stands for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Steps {
    /// Not known before the model runs: the dynamic scale of this value.
    Dynamic(ValueId),
    /// This much.
    Fixed(f32),
}

impl Symbol {
    /// What it is, for messages.
    pub fn what(&self) -> &'static str {
        match self {
            Symbol::Integers(_) => "integers whose scale is computed while the model runs",
            Symbol::Scale { .. } => "a scale that is computed while the model runs",
            Symbol::ZeroPoint { .. } => "a zero point that is computed while the model runs",
            Symbol::Sums(_) => "int32 sums that have not been scaled",
            Symbol::Place(_) => "the class of the largest score, which is not computed",
            Symbol::Texts(_) => "a list of texts",
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Constant {
    /// Name of the initializer, or of what computed it.
    pub name: String,
    pub tensor: Rc<OnnxTensor>,
    /// Set once the integers have been declared to stand for reals by a DequantizeLinear.
    pub quant: Option<ConstantQuant>,
}

#[derive(Debug, Clone)]
pub(super) struct ConstantQuant {
    pub scales: Vec<f32>,
    pub zero_points: Vec<i32>,
    pub axis: usize,
}

impl Constant {
    /// The constant as real numbers.
    pub fn dequantized(&self) -> Vec<f32> {
        let Some(quant) = &self.quant else {
            return self.tensor.to_f32();
        };
        let raw = self.tensor.to_f32();
        let inner: usize = self.tensor.shape.iter().skip(quant.axis + 1).product();
        let channels = quant.scales.len();
        let zero = |c: usize| quant.zero_points.get(c).or(quant.zero_points.first()).map_or(0, |z| *z);
        raw.iter()
            .enumerate()
            .map(|(i, &q)| {
                let c = if channels > 1 { i / inner.max(1) % channels } else { 0 };
                (q - zero(c) as f32) * quant.scales[c]
            })
            .collect()
    }

    /// The constant as the tensor of an operator, its axes taken in the order `axes`. Integers are
    /// given without their zero point: int8 where they fit it, int32 where they do not.
    pub fn parameter(&self, node: &Reader<'_>, axes: &[usize]) -> Result<(Tensor, Option<Quant>)> {
        let moved = self.tensor.transposed(axes);
        let Some(quant) = &self.quant else {
            return match moved.data {
                Data::F32(elements) => Ok((Tensor::new(&moved.shape, Elements::F32(elements))?, None)),
                other => Err(node
                    .fault(format!("a weight of type {} has no scale", other.type_name()))
                    .remedy("put a DequantizeLinear after it")),
            };
        };
        let axis = axes.iter().position(|&a| a == quant.axis);
        let inner: usize = axis.map_or(1, |axis| moved.shape[axis + 1..].iter().product());
        let zeros = &quant.zero_points;
        let zero = |i: usize| zeros.get(i / inner.max(1) % zeros.len().max(1)).copied().unwrap_or(0);
        let symmetric = zeros.iter().all(|z| *z == 0);
        let from_zero = |integers: Vec<i32>| {
            let shifted: Vec<i32> = integers.iter().enumerate().map(|(i, &q)| q - zero(i)).collect();
            if shifted.iter().all(|q| (-127..=127).contains(q)) {
                Elements::I8(shifted.iter().map(|&q| q as i8).collect())
            } else {
                Elements::I32(shifted)
            }
        };
        let elements = match moved.data {
            Data::I8(v) if symmetric => Elements::I8(v),
            Data::I8(v) => from_zero(v.into_iter().map(i32::from).collect()),
            Data::U8(v) => from_zero(v.into_iter().map(i32::from).collect()),
            Data::I32(v) if symmetric => Elements::I32(v),
            Data::I32(_) => {
                return Err(node
                    .fault(format!("`{}` is int32 with a zero point other than 0", self.name))
                    .remedy("quantize biases with zero point 0"));
            }
            other => return Err(node.fault(format!("weights of type {}", other.type_name()))),
        };
        let tensor = Tensor::new(&moved.shape, elements)?;
        let quant = Quant {
            element_type: tensor.element_type(),
            scales: quant.scales.clone(),
            zero_point: 0,
            channel_axis: if quant.scales.len() > 1 { axis } else { None },
        };
        Ok((tensor, Some(quant)))
    }
}
