//! Nodes: operators with their attributes, inputs and outputs.

use super::value::ValueId;
pub use teff::plan::MatrixOrder;

/// One operator of the graph.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Unique within the graph.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// Operands, in the order that [`Op`] states.
    pub inputs: Vec<ValueId>,
    /// Results.
    pub outputs: Vec<ValueId>,
}

impl Node {
    /// The first result, which every operator has.
    pub fn output(&self) -> ValueId {
        self.outputs[0]
    }
}

/// Operators. Activations are `[n, h, w, c]`, filters `[c_out, h, w, c_in]`.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// Convolution. Inputs: activation, filter `[c_out, kh, kw, c_in / groups]`, bias `[c_out]`
    /// (optional).
    Conv2d(Conv2d),
    /// Depthwise convolution. Inputs: activation, filter `[1, kh, kw, c_out]`, bias `[c_out]`
    /// (optional). Output channel `o` reads input channel `o / (c_out / c_in)`.
    DepthwiseConv2d(Conv2d),
    /// Matrix product over the channel axis, at every place of the other axes. Inputs: activation,
    /// filter `[c_out, c_in]`, bias `[c_out]` (optional).
    FullyConnected {
        /// Range the result is limited to.
        activation: Clamp,
    },
    /// `x * scale[c] + offset[c]`. Inputs: activation, scale `[c]`, offset `[c]`.
    ScaleShift,
    /// Largest element of each window.
    MaxPool2d(Pool2d),
    /// Mean of each window.
    AveragePool2d(Pool2d),
    /// Sum of two activations; axes of size 1 are repeated.
    Add {
        /// Range the result is limited to.
        activation: Clamp,
    },
    /// Difference of two activations; axes of size 1 are repeated.
    Sub {
        /// Range the result is limited to.
        activation: Clamp,
    },
    /// Product of two activations; axes of size 1 are repeated.
    Mul {
        /// Range the result is limited to.
        activation: Clamp,
    },
    /// Products of the matrices of two activations, pair by pair.
    MatMul(MatMul),
    /// Activations one after the other along an axis.
    Concat {
        /// 1 = h, 2 = w, 3 = c.
        axis: usize,
    },
    /// Rows and columns of one constant around the activation.
    Pad {
        /// How many on each side.
        padding: Padding,
        /// The constant.
        value: f32,
    },
    /// The same bytes under another shape.
    Reshape {
        /// The new shape, `[n, h, w, c]`.
        shape: [usize; 4],
    },
    /// `exp(x) / sum(exp(x))` over the channel axis.
    Softmax,
    /// One function of one number, at every element.
    Unary(Unary),
    /// Real to integer and back again, or from one quantization to another: the identity, apart
    /// from rounding to the output's quantization.
    Requantize,
}

/// Attributes of a convolution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conv2d {
    /// Step between outputs: rows, columns.
    pub stride: [usize; 2],
    /// Step between the elements a filter reads: rows, columns.
    pub dilation: [usize; 2],
    /// Zeros around the input.
    pub padding: Padding,
    /// Input and output channels are split into this many groups. A depthwise convolution has as
    /// many as it has input channels.
    pub groups: usize,
    /// Range the result is limited to.
    pub activation: Clamp,
}

impl Default for Conv2d {
    fn default() -> Conv2d {
        Conv2d {
            stride: [1, 1],
            dilation: [1, 1],
            padding: Padding::default(),
            groups: 1,
            activation: Clamp::NONE,
        }
    }
}

/// Attributes of a matrix product. Each operand is a stack of matrices: `[1, matrices, rows, columns]`, or
/// `[1, rows, matrices, columns]` where they lie row by row. A stack of one matrix takes part in every product.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct MatMul {
    /// How operands and result lie, and whether the right matrices are held transposed.
    pub order: MatrixOrder,
    /// Range the result is limited to.
    pub activation: Clamp,
}

/// Attributes of a pooling.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pool2d {
    /// Size of the window: rows, columns.
    pub filter: [usize; 2],
    /// Step between outputs: rows, columns.
    pub stride: [usize; 2],
    /// Rows and columns around the input. A maximum never takes them; a mean counts them as zeros
    /// where `count_padding`, and leaves them out otherwise.
    pub padding: Padding,
    /// Whether a mean divides by the whole window where that hangs over the edge.
    pub count_padding: bool,
    /// Range the result is limited to.
    pub activation: Clamp,
}

impl Default for Pool2d {
    fn default() -> Pool2d {
        Pool2d {
            filter: [1, 1],
            stride: [1, 1],
            padding: Padding::default(),
            count_padding: false,
            activation: Clamp::NONE,
        }
    }
}

/// Rows and columns around an activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Padding {
    /// Rows above.
    pub top: usize,
    /// Columns to the left.
    pub left: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns to the right.
    pub right: usize,
}

impl Padding {
    /// The padding with which `ceil(size / stride)` outputs are made (TensorFlow's `SAME`; the odd
    /// row or column goes below or to the right).
    pub fn same(size: [usize; 2], filter: [usize; 2], stride: [usize; 2], dilation: [usize; 2]) -> Padding {
        let along = |axis: usize| {
            let reach = (filter[axis] - 1) * dilation[axis] + 1;
            let outputs = size[axis].div_ceil(stride[axis]);
            let total = (outputs.saturating_sub(1) * stride[axis] + reach).saturating_sub(size[axis]);
            (total / 2, total - total / 2)
        };
        let ((top, bottom), (left, right)) = (along(0), along(1));
        Padding { top, left, bottom, right }
    }

    /// True where nothing is added.
    pub fn is_zero(&self) -> bool {
        *self == Padding::default()
    }
}

/// Range that a result is limited to: the activation functions that cost nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clamp {
    /// Smallest result.
    pub min: f32,
    /// Largest result.
    pub max: f32,
}

impl Clamp {
    /// No limit.
    pub const NONE: Clamp = Clamp { min: f32::NEG_INFINITY, max: f32::INFINITY };
    /// `max(x, 0)`.
    pub const RELU: Clamp = Clamp { min: 0.0, max: f32::INFINITY };
    /// `min(max(x, 0), 6)`.
    pub const RELU6: Clamp = Clamp { min: 0.0, max: 6.0 };

    /// True where there is no limit.
    pub fn is_none(&self) -> bool {
        *self == Clamp::NONE
    }

    /// The limited number.
    pub fn apply(&self, x: f32) -> f32 {
        if x < self.min {
            self.min
        } else if x > self.max {
            self.max
        } else {
            x
        }
    }

    /// This range, then `next`.
    pub fn then(&self, next: Clamp) -> Clamp {
        Clamp { min: next.apply(self.min), max: next.apply(self.max) }
    }
}

impl Default for Clamp {
    fn default() -> Clamp {
        Clamp::NONE
    }
}

/// Functions of one number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Unary {
    /// Limits to a range: ReLU, ReLU6, Clip.
    Clamp(Clamp),
    /// `scale * x + offset`.
    Linear {
        /// Factor.
        scale: f32,
        /// Summand.
        offset: f32,
    },
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// `min(max(alpha * x + beta, 0), 1)`.
    HardSigmoid {
        /// Factor.
        alpha: f32,
        /// Summand.
        beta: f32,
    },
    /// `x * min(max(x / 6 + 0.5, 0), 1)`.
    HardSwish,
    /// `x * sigmoid(alpha * x)`, also called SiLU where `alpha` is 1.
    Swish {
        /// Factor inside the sigmoid.
        alpha: f32,
    },
    /// `x` where positive, `alpha * x` elsewhere.
    LeakyRelu {
        /// Slope below zero.
        alpha: f32,
    },
    /// `gamma * x` where positive, `gamma * alpha * (exp(x / width) - 1)` elsewhere: ELU, SELU, CELU.
    Elu {
        /// Height of the exponential.
        alpha: f32,
        /// Factor over all.
        gamma: f32,
        /// Width of the exponential.
        width: f32,
    },
    /// `x * Phi(x)`.
    Gelu {
        /// Whether by the approximation with `tanh`.
        tanh: bool,
    },
    /// `x * tanh(ln(1 + exp(x)))`.
    Mish,
    /// `x` where above `alpha`, zero elsewhere.
    ThresholdedRelu {
        /// The threshold.
        alpha: f32,
    },
    /// `ln(1 + exp(x))`.
    Softplus,
    /// `x / (1 + |x|)`.
    Softsign,
    /// `exp(x)`.
    Exp,
    /// Natural logarithm.
    Log,
    /// Square root.
    Sqrt,
    /// `1 / x`.
    Reciprocal,
    /// `x` to a constant power.
    Pow {
        /// The power.
        exponent: f32,
    },
    /// `|x|`.
    Abs,
    /// Error function.
    Erf,
    /// Sine.
    Sin,
    /// Cosine.
    Cos,
    /// Largest integer not above `x`.
    Floor,
    /// Smallest integer not below `x`.
    Ceil,
    /// Nearest integer, ties to even.
    Round,
    /// -1, 0 or 1.
    Sign,
}

impl Op {
    /// Name in snake case, as in dumps and reports.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Conv2d(_) => "conv_2d",
            Op::DepthwiseConv2d(_) => "depthwise_conv_2d",
            Op::FullyConnected { .. } => "fully_connected",
            Op::ScaleShift => "scale_shift",
            Op::MaxPool2d(_) => "max_pool_2d",
            Op::AveragePool2d(_) => "average_pool_2d",
            Op::Add { .. } => "add",
            Op::Sub { .. } => "sub",
            Op::Mul { .. } => "mul",
            Op::MatMul(_) => "mat_mul",
            Op::Concat { .. } => "concat",
            Op::Pad { .. } => "pad",
            Op::Reshape { .. } => "reshape",
            Op::Softmax => "softmax",
            Op::Unary(unary) => unary.name(),
            Op::Requantize => "requantize",
        }
    }

    /// The range the result is limited to, where the operator has one.
    pub fn activation(&self) -> Option<Clamp> {
        match self {
            Op::Conv2d(c) | Op::DepthwiseConv2d(c) => Some(c.activation),
            Op::MaxPool2d(p) | Op::AveragePool2d(p) => Some(p.activation),
            Op::MatMul(m) => Some(m.activation),
            Op::FullyConnected { activation }
            | Op::Add { activation }
            | Op::Sub { activation }
            | Op::Mul { activation } => Some(*activation),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub fn activation_mut(&mut self) -> Option<&mut Clamp> {
        match self {
            Op::Conv2d(c) | Op::DepthwiseConv2d(c) => Some(&mut c.activation),
            Op::MaxPool2d(p) | Op::AveragePool2d(p) => Some(&mut p.activation),
            Op::MatMul(m) => Some(&mut m.activation),
            Op::FullyConnected { activation }
            | Op::Add { activation }
            | Op::Sub { activation }
            | Op::Mul { activation } => Some(activation),
            _ => None,
        }
    }
}

impl Unary {
    /// Name in snake case.
    pub fn name(&self) -> &'static str {
        match self {
            Unary::Clamp(c) if *c == Clamp::RELU => "relu",
            Unary::Clamp(_) => "clamp",
            Unary::Linear { .. } => "linear",
            Unary::Sigmoid => "sigmoid",
            Unary::Tanh => "tanh",
            Unary::HardSigmoid { .. } => "hard_sigmoid",
            Unary::HardSwish => "hard_swish",
            Unary::Swish { .. } => "swish",
            Unary::LeakyRelu { .. } => "leaky_relu",
            Unary::Elu { .. } => "elu",
            Unary::Gelu { .. } => "gelu",
            Unary::Mish => "mish",
            Unary::ThresholdedRelu { .. } => "thresholded_relu",
            Unary::Softplus => "softplus",
            Unary::Softsign => "softsign",
            Unary::Exp => "exp",
            Unary::Log => "log",
            Unary::Sqrt => "sqrt",
            Unary::Reciprocal => "reciprocal",
            Unary::Pow { .. } => "pow",
            Unary::Abs => "abs",
            Unary::Erf => "erf",
            Unary::Sin => "sin",
            Unary::Cos => "cos",
            Unary::Floor => "floor",
            Unary::Ceil => "ceil",
            Unary::Round => "round",
            Unary::Sign => "sign",
        }
    }

    /// The function's result, computed in double precision by `libm` so that every machine gets
    /// the same tables.
    pub fn apply(&self, x: f32) -> f32 {
        if let Unary::Clamp(clamp) = self {
            return clamp.apply(x);
        }
        self.apply_f64(f64::from(x)) as f32
    }

    /// As [`Unary::apply`], in double precision throughout.
    pub fn apply_f64(&self, x: f64) -> f64 {
        let sigmoid = |x: f64| 1.0 / (1.0 + libm::exp(-x));
        let softplus = |x: f64| {
            if x > 30.0 { x } else { libm::log1p(libm::exp(x)) }
        };
        match *self {
            Unary::Clamp(c) => f64::from(c.apply(x as f32)),
            Unary::Linear { scale, offset } => f64::from(scale) * x + f64::from(offset),
            Unary::Sigmoid => sigmoid(x),
            Unary::Tanh => libm::tanh(x),
            Unary::HardSigmoid { alpha, beta } => (f64::from(alpha) * x + f64::from(beta)).clamp(0.0, 1.0),
            Unary::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
            Unary::Swish { alpha } => x * sigmoid(f64::from(alpha) * x),
            Unary::LeakyRelu { alpha } => {
                if x >= 0.0 {
                    x
                } else {
                    f64::from(alpha) * x
                }
            }
            Unary::Elu { alpha, gamma, width } => {
                f64::from(gamma)
                    * if x > 0.0 { x } else { f64::from(alpha) * libm::expm1(x / f64::from(width)) }
            }
            Unary::Gelu { tanh: false } => 0.5 * x * (1.0 + libm::erf(x * core::f64::consts::FRAC_1_SQRT_2)),
            Unary::Gelu { tanh: true } => {
                let root = libm::sqrt(2.0 / core::f64::consts::PI);
                0.5 * x * (1.0 + libm::tanh(root * (x + 0.044715 * x * x * x)))
            }
            Unary::Mish => x * libm::tanh(softplus(x)),
            Unary::ThresholdedRelu { alpha } => {
                if x > f64::from(alpha) {
                    x
                } else {
                    0.0
                }
            }
            Unary::Softplus => softplus(x),
            Unary::Softsign => x / (1.0 + x.abs()),
            Unary::Exp => libm::exp(x),
            Unary::Log => libm::log(x),
            Unary::Sqrt => libm::sqrt(x),
            Unary::Reciprocal => 1.0 / x,
            Unary::Pow { exponent } => libm::pow(x, f64::from(exponent)),
            Unary::Abs => x.abs(),
            Unary::Erf => libm::erf(x),
            Unary::Sin => libm::sin(x),
            Unary::Cos => libm::cos(x),
            Unary::Floor => libm::floor(x),
            Unary::Ceil => libm::ceil(x),
            Unary::Round => libm::rint(x),
            Unary::Sign => {
                if x > 0.0 {
                    1.0
                } else if x < 0.0 {
                    -1.0
                } else {
                    0.0
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_padding_puts_the_odd_one_below() {
        let p = Padding::same([4, 5], [3, 3], [2, 2], [1, 1]);
        assert_eq!(p, Padding { top: 0, left: 1, bottom: 1, right: 1 });
        assert!(Padding::same([8, 8], [1, 1], [2, 2], [1, 1]).is_zero());
    }

    #[test]
    fn clamps_compose() {
        let c = Clamp::RELU.then(Clamp { min: -1.0, max: 6.0 });
        assert_eq!(c, Clamp::RELU6);
        assert_eq!(Clamp::NONE.then(Clamp::RELU), Clamp::RELU);
    }

    #[test]
    fn functions_at_known_places() {
        let near = |u: Unary, x: f32, y: f32| {
            let got = u.apply(x);
            assert!((got - y).abs() < 1e-6, "{}({x}) = {got}, not {y}", u.name());
        };
        near(Unary::Sigmoid, 0.0, 0.5);
        near(Unary::Tanh, 1.0, 0.761_594_2);
        near(Unary::HardSwish, 3.0, 3.0);
        near(Unary::HardSwish, -3.0, 0.0);
        near(Unary::Swish { alpha: 1.0 }, 1.0, 0.731_058_6);
        near(Unary::Elu { alpha: 1.0, gamma: 1.0, width: 1.0 }, -1.0, -0.632_120_6);
        near(Unary::Gelu { tanh: false }, 1.0, 0.841_344_7);
        near(Unary::Softplus, 100.0, 100.0);
        near(Unary::Erf, 0.5, 0.520_499_9);
        near(Unary::Round, 2.5, 2.0);
        near(Unary::Linear { scale: 2.0, offset: 1.0 }, 3.0, 7.0);
    }
}
