//! Values: the edges of the graph.

use super::tensor::{ElementType, Tensor};

/// Index of a value in its graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(pub(super) u32);

impl ValueId {
    /// Position in [`super::Graph::values`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// An activation or a constant.
///
/// Activations have four axes `[n, h, w, c]`; a one-dimensional signal has `w = 1`, a vector
/// `h = w = 1`. The shapes of constants are those their operator asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// Unique within the graph.
    pub name: String,
    /// Sizes of the axes, outermost first.
    pub shape: Vec<usize>,
    /// The numbers, where the value is a constant.
    pub constant: Option<Tensor>,
    /// How the value is held in integers, once it is.
    pub quant: Option<Quant>,
}

/// How real numbers are held as integers: `real = scale * (q - zero_point)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Quant {
    /// Integer type.
    pub element_type: ElementType,
    /// One scale, or one per channel. Greater than zero and finite.
    pub scales: Vec<f32>,
    /// Integer that means zero; 0 for weights and biases.
    pub zero_point: i32,
    /// Axis along which `scales` runs, for per-channel quantization.
    pub channel_axis: Option<usize>,
}

impl Quant {
    /// An activation: int8, one scale and one zero point.
    pub fn per_tensor(scale: f32, zero_point: i32) -> Quant {
        Quant { element_type: ElementType::I8, scales: vec![scale], zero_point, channel_axis: None }
    }

    /// Weights: int8, symmetric, one scale per index of `channel_axis`.
    pub fn per_channel(scales: Vec<f32>, channel_axis: usize) -> Quant {
        Quant { element_type: ElementType::I8, scales, zero_point: 0, channel_axis: Some(channel_axis) }
    }

    /// A bias: int32, one scale per element.
    pub fn bias(scales: Vec<f32>) -> Quant {
        Quant { element_type: ElementType::I32, scales, zero_point: 0, channel_axis: Some(0) }
    }

    /// The first scale: the only one of a per-tensor quantization.
    pub fn scale(&self) -> f32 {
        self.scales.first().copied().unwrap_or(1.0)
    }

    /// The scale of one channel; the same for every channel of a per-tensor quantization.
    pub fn scale_of(&self, channel: usize) -> f32 {
        if self.scales.len() == 1 { self.scale() } else { self.scales[channel] }
    }

    /// True where one pair describes the whole tensor.
    pub fn is_per_tensor(&self) -> bool {
        self.channel_axis.is_none()
    }
}

impl Value {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// True where an axis has size zero.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True for constants.
    pub fn is_constant(&self) -> bool {
        self.constant.is_some()
    }

    /// The four axes of an activation as `[n, h, w, c]`.
    pub fn nhwc(&self) -> Option<[usize; 4]> {
        self.shape.as_slice().try_into().ok()
    }

    /// Type of the elements as they are held.
    pub fn element_type(&self) -> ElementType {
        match (&self.constant, &self.quant) {
            (Some(tensor), _) => tensor.element_type(),
            (None, Some(quant)) => quant.element_type,
            (None, None) => ElementType::F32,
        }
    }
}
