//! Building a graph by hand, operator by operator.

use super::{
    Clamp, Conv2d, Graph, MatMul, MatrixOrder, Node, Op, Padding, Pool2d, Port, Tensor, Unary, ValueId,
    output_shape,
};
use crate::error::{Error, Result};

/// Builds a graph. Each method adds one operator and gives its result; the first fault is reported
/// by [`Builder::finish`], so that a network can be written down without a `?` on every line.
///
/// ```
/// use teff_compiler::graph::{Builder, Conv2d, Tensor};
///
/// let mut b = Builder::new("tiny");
/// let x = b.input("x", [1, 8, 8, 1]);
/// let filter = Tensor::f32(&[4, 3, 3, 1], vec![0.1; 36]).unwrap();
/// let y = b.conv_2d("conv", x, filter, Some(vec![0.0; 4]), Conv2d::default());
/// let y = b.relu("relu", y);
/// let y = b.global_average_pool("pool", y);
/// let dense = Tensor::f32(&[2, 4], vec![0.5; 8]).unwrap();
/// let y = b.fully_connected("dense", y, dense, None);
/// b.output("scores", y);
/// let graph = b.finish().unwrap();
/// assert_eq!(graph.nodes.len(), 4);
/// ```
#[derive(Debug)]
pub struct Builder {
    graph: Graph,
    fault: Option<Error>,
}

impl Builder {
    /// An empty graph of that name.
    pub fn new(name: &str) -> Builder {
        Builder { graph: Graph::new(name), fault: None }
    }

    /// An input of the model, `[n, h, w, c]`. In ONNX it will be `[1, c, h, w]`, or `[1, c]` where
    /// `h` and `w` are 1.
    pub fn input(&mut self, name: &str, nhwc: [usize; 4]) -> ValueId {
        let value = self.graph.add_activation(name, nhwc);
        self.graph.inputs.push(Port::channels_first(value, name, nhwc));
        value
    }

    /// Declares a value an output of the model.
    pub fn output(&mut self, name: &str, value: ValueId) {
        let nhwc = self.shape(value);
        if self.graph.is_input(value) || self.graph.is_output(value) {
            self.report(Error::value(name, "an output must be the result of an operator, once"));
            return;
        }
        self.graph.value_mut(value).name = name.to_string();
        self.graph.outputs.push(Port::channels_first(value, name, nhwc));
    }

    /// A `teff.` key of the model's metadata.
    pub fn metadata(&mut self, key: &str, text: &str) {
        self.graph.metadata.insert(key.to_string(), text.to_string());
    }

    /// The shape of an activation.
    pub fn shape(&self, value: ValueId) -> [usize; 4] {
        self.graph.value(value).nhwc().unwrap_or([1; 4])
    }

    /// Convolution with a filter `[c_out, kh, kw, c_in / groups]`.
    pub fn conv_2d(
        &mut self,
        name: &str,
        x: ValueId,
        filter: Tensor,
        bias: Option<Vec<f32>>,
        conv: Conv2d,
    ) -> ValueId {
        self.weighted(name, Op::Conv2d(conv), x, filter, bias)
    }

    /// Depthwise convolution with a filter `[1, kh, kw, c_out]`.
    pub fn depthwise_conv_2d(
        &mut self,
        name: &str,
        x: ValueId,
        filter: Tensor,
        bias: Option<Vec<f32>>,
        conv: Conv2d,
    ) -> ValueId {
        let groups = self.shape(x)[3];
        self.weighted(name, Op::DepthwiseConv2d(Conv2d { groups, ..conv }), x, filter, bias)
    }

    /// Fully connected layer with a filter `[out, in]`. An input of several places is flattened
    /// first, in the order `[h, w, c]`.
    pub fn fully_connected(
        &mut self,
        name: &str,
        x: ValueId,
        filter: Tensor,
        bias: Option<Vec<f32>>,
    ) -> ValueId {
        let x = self.flatten(&format!("{name}.flatten"), x);
        self.weighted(name, Op::FullyConnected { activation: Clamp::NONE }, x, filter, bias)
    }

    /// Batch normalization in inference: `(x - mean) / sqrt(variance + epsilon) * scale + offset`.
    pub fn batch_norm(&mut self, name: &str, x: ValueId, norm: BatchNorm<'_>) -> ValueId {
        let BatchNorm { scale, offset, mean, variance, .. } = norm;
        let channels = self.shape(x)[3];
        if [scale.len(), offset.len(), mean.len(), variance.len()] != [channels; 4] {
            self.report(Error::node(
                name,
                "batch_norm",
                format!("needs {channels} of each of scale, offset, mean and variance"),
            ));
            return x;
        }
        let (scale, offset) = norm.to_scale_shift();
        self.scale_shift(name, x, scale, offset)
    }

    /// `x * scale[c] + offset[c]`.
    pub fn scale_shift(&mut self, name: &str, x: ValueId, scale: Vec<f32>, offset: Vec<f32>) -> ValueId {
        let scale = self.constant(&format!("{name}.scale"), Tensor::vector(scale));
        let offset = self.constant(&format!("{name}.offset"), Tensor::vector(offset));
        self.node(name, Op::ScaleShift, &[x, scale, offset])
    }

    /// `max(x, 0)`.
    pub fn relu(&mut self, name: &str, x: ValueId) -> ValueId {
        self.unary(name, x, Unary::Clamp(Clamp::RELU))
    }

    /// Any function of one number.
    pub fn unary(&mut self, name: &str, x: ValueId, unary: Unary) -> ValueId {
        self.node(name, Op::Unary(unary), &[x])
    }

    /// Largest element of each window.
    pub fn max_pool_2d(
        &mut self,
        name: &str,
        x: ValueId,
        filter: [usize; 2],
        stride: [usize; 2],
        padding: Padding,
    ) -> ValueId {
        let (count_padding, activation) = (false, Clamp::NONE);
        let pool = Pool2d { filter, stride, padding, count_padding, activation };
        self.node(name, Op::MaxPool2d(pool), &[x])
    }

    /// Mean of each window; padding is left out of it.
    pub fn average_pool_2d(
        &mut self,
        name: &str,
        x: ValueId,
        filter: [usize; 2],
        stride: [usize; 2],
        padding: Padding,
    ) -> ValueId {
        let (count_padding, activation) = (false, Clamp::NONE);
        let pool = Pool2d { filter, stride, padding, count_padding, activation };
        self.node(name, Op::AveragePool2d(pool), &[x])
    }

    /// Mean over all places, channel by channel.
    pub fn global_average_pool(&mut self, name: &str, x: ValueId) -> ValueId {
        let [_, h, w, _] = self.shape(x);
        self.average_pool_2d(name, x, [h, w], [1, 1], Padding::default())
    }

    /// Sum of two activations.
    pub fn add(&mut self, name: &str, a: ValueId, b: ValueId) -> ValueId {
        self.node(name, Op::Add { activation: Clamp::NONE }, &[a, b])
    }

    /// Product of two activations.
    pub fn mul(&mut self, name: &str, a: ValueId, b: ValueId) -> ValueId {
        self.node(name, Op::Mul { activation: Clamp::NONE }, &[a, b])
    }

    /// Products of the matrices of two activations.
    pub fn mat_mul(&mut self, name: &str, a: ValueId, b: ValueId, order: MatrixOrder) -> ValueId {
        self.node(name, Op::MatMul(MatMul { order, activation: Clamp::NONE }), &[a, b])
    }

    /// Activations one after the other along an axis: 1 = h, 2 = w, 3 = c.
    pub fn concat(&mut self, name: &str, parts: &[ValueId], axis: usize) -> ValueId {
        self.node(name, Op::Concat { axis }, parts)
    }

    /// Zeros around the activation.
    pub fn pad(&mut self, name: &str, x: ValueId, padding: Padding) -> ValueId {
        self.node(name, Op::Pad { padding, value: 0.0 }, &[x])
    }

    /// The same bytes under another shape.
    pub fn reshape(&mut self, name: &str, x: ValueId, shape: [usize; 4]) -> ValueId {
        self.node(name, Op::Reshape { shape }, &[x])
    }

    /// All elements as channels of one place, in the order `[h, w, c]`.
    pub fn flatten(&mut self, name: &str, x: ValueId) -> ValueId {
        let [n, h, w, c] = self.shape(x);
        if h == 1 && w == 1 { x } else { self.reshape(name, x, [n, 1, 1, h * w * c]) }
    }

    /// Softmax over the channels.
    pub fn softmax(&mut self, name: &str, x: ValueId) -> ValueId {
        self.node(name, Op::Softmax, &[x])
    }

    /// The graph, checked.
    ///
    /// # Errors
    /// The first fault met while building, or by [`Graph::verify`].
    pub fn finish(self) -> Result<Graph> {
        match self.fault {
            Some(fault) => Err(fault),
            None => {
                self.graph.verify()?;
                Ok(self.graph)
            }
        }
    }

    fn weighted(
        &mut self,
        name: &str,
        op: Op,
        x: ValueId,
        filter: Tensor,
        bias: Option<Vec<f32>>,
    ) -> ValueId {
        let filter = self.constant(&format!("{name}.filter"), filter);
        let mut inputs = vec![x, filter];
        if let Some(bias) = bias {
            inputs.push(self.constant(&format!("{name}.bias"), Tensor::vector(bias)));
        }
        self.node(name, op, &inputs)
    }

    fn constant(&mut self, name: &str, tensor: Tensor) -> ValueId {
        self.graph.add_constant(name, tensor)
    }

    fn node(&mut self, name: &str, op: Op, inputs: &[ValueId]) -> ValueId {
        let shapes: Vec<&[usize]> = inputs.iter().map(|&i| self.graph.value(i).shape.as_slice()).collect();
        let shape = match output_shape(&op, &shapes) {
            Ok(shape) => shape,
            Err(reason) => {
                self.report(Error::node(name, op.name(), reason));
                [1; 4]
            }
        };
        self.graph.push_node(name, op, inputs, shape)
    }

    fn report(&mut self, fault: Error) {
        self.fault.get_or_insert(fault);
    }
}

/// The numbers of a batch normalization, one of each per channel.
#[derive(Debug, Clone, Copy)]
pub struct BatchNorm<'a> {
    /// Learned factor (gamma).
    pub scale: &'a [f32],
    /// Learned summand (beta).
    pub offset: &'a [f32],
    /// Running mean.
    pub mean: &'a [f32],
    /// Running variance.
    pub variance: &'a [f32],
    /// Added to the variance.
    pub epsilon: f32,
}

impl BatchNorm<'_> {
    /// The same as one factor and one summand per channel.
    pub fn to_scale_shift(&self) -> (Vec<f32>, Vec<f32>) {
        let channels = self.scale.len();
        let factor = |c: usize| {
            let deviation = libm::sqrt(f64::from(self.variance[c]) + f64::from(self.epsilon));
            f64::from(self.scale[c]) / deviation
        };
        let scale = (0..channels).map(|c| factor(c) as f32).collect();
        let offset = (0..channels)
            .map(|c| (f64::from(self.offset[c]) - f64::from(self.mean[c]) * factor(c)) as f32)
            .collect();
        (scale, offset)
    }
}

impl Graph {
    /// Adds an operator with one result, named after the node.
    pub(crate) fn push_node(&mut self, name: &str, op: Op, inputs: &[ValueId], shape: [usize; 4]) -> ValueId {
        let output = self.add_activation(name, shape);
        let name = self.fresh_node_name(name);
        self.nodes.push(Node { name, op, inputs: inputs.to_vec(), outputs: vec![output] });
        output
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dump_is_readable() {
        let mut b = Builder::new("tiny");
        let x = b.input("x", [1, 4, 4, 1]);
        let conv = Conv2d {
            stride: [2, 2],
            padding: Padding::same([4, 4], [3, 3], [2, 2], [1, 1]),
            ..Conv2d::default()
        };
        let filter = Tensor::f32(&[2, 3, 3, 1], vec![1.0; 18]).unwrap();
        let y = b.conv_2d("conv", x, filter, Some(vec![0.0; 2]), conv);
        let y = b.relu("relu", y);
        let y = b.fully_connected("dense", y, Tensor::f32(&[3, 8], vec![0.5; 24]).unwrap(), None);
        let y = b.softmax("softmax", y);
        b.output("scores", y);
        let graph = b.finish().unwrap();
        assert_eq!(
            graph.to_string(),
            "graph tiny
  input  %x f32[1,4,4,1]  as [1, 1, 4, 4] by [0, 2, 3, 1]
  %conv f32[1,2,2,2] = conv_2d(stride=2x2 pad=0,0,1,1) %x, %conv.filter f32[2,3,3,1], %conv.bias f32[2]
  %relu f32[1,2,2,2] = relu %conv
  %dense.flatten f32[1,1,1,8] = reshape %relu
  %dense f32[1,1,1,3] = fully_connected %dense.flatten, %dense.filter f32[3,8]
  %scores f32[1,1,1,3] = softmax %dense
  output %scores  as [1, 3] by [0, 1]
"
        );
    }

    #[test]
    fn the_first_fault_is_named() {
        let mut b = Builder::new("bad");
        let x = b.input("x", [1, 4, 4, 1]);
        let filter = Tensor::f32(&[2, 3, 3, 2], vec![1.0; 36]).unwrap();
        let y = b.conv_2d("conv", x, filter, None, Conv2d::default());
        b.output("y", y);
        let text = b.finish().unwrap_err().to_string();
        assert!(text.starts_with("node `conv` (conv_2d): the filter reads 2 channels"), "{text}");
    }

    #[test]
    fn batch_norm_is_one_factor_and_one_summand() {
        let norm = BatchNorm { scale: &[2.0], offset: &[1.0], mean: &[3.0], variance: &[4.0], epsilon: 0.0 };
        assert_eq!(norm.to_scale_shift(), (vec![1.0], vec![-2.0]));
    }
}
