//! The network of a recipe: its layers with every shape worked out.
//!
//! Values are `[n, h, w, c]` and one-dimensional signals have `h` for time and `w = 1`. Nothing here depends on the
//! training framework; `train::forward` runs a network and `trace` turns trained weights into a graph.

use anyhow::{bail, ensure};

use crate::recipe::network as recipe;
use crate::recipe::network::{Outputs, Padding};

/// Added to the variance of a batch normalisation.
pub const BATCH_NORM_EPSILON: f32 = 1e-3;

/// Height, width and channels of a value.
pub type Shape = [usize; 3];

/// The function after a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    None,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
}

impl Activation {
    /// Lowest and highest value.
    pub fn bounds(self) -> (f32, f32) {
        match self {
            Self::None => (f32::NEG_INFINITY, f32::INFINITY),
            Self::Relu => (0.0, f32::INFINITY),
            Self::Relu6 => (0.0, 6.0),
        }
    }
}

/// A sliding window: what convolution and pooling share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Height and width of the window.
    pub kernel: [usize; 2],
    /// Steps of the window.
    pub stride: [usize; 2],
    /// Zeros before the input: above, left.
    pub pad_begin: [usize; 2],
    /// Zeros after the input: below, right.
    pub pad_end: [usize; 2],
}

/// What a layer computes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Convolution by `[c_out, kernel_h, kernel_w, c_in]`.
    Conv(Window),
    /// Convolution of each channel by a filter of its own, `[kernel_h, kernel_w, c]`.
    Depthwise(Window),
    /// Matrix product of all of the input with `[out, in]`.
    Dense,
    /// Largest value under the window.
    MaxPool(Window),
    /// Mean of the values under the window.
    AveragePool(Window),
    /// `[h, w, c]` to `[1, 1, h * w * c]`.
    Flatten,
    /// Sets values to zero with this probability while training.
    Dropout(f64),
    /// The activation alone.
    Activation,
}

/// One layer of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// `conv_0`, `depthwise_3`, …: the type and the position among the recipe's layers, activations counted.
    pub name: String,
    /// What it computes.
    pub kind: Kind,
    /// Shape of its input.
    pub input: Shape,
    /// Shape of its output.
    pub output: Shape,
    /// Whether batch normalisation follows; it takes the place of the bias.
    pub batch_norm: bool,
    /// The function at the end.
    pub activation: Activation,
}

impl Layer {
    /// Shape of the weights: OHWI, `[kernel_h, kernel_w, c]` for depthwise, `[out, in]` for dense.
    pub fn weights_shape(&self) -> Option<Vec<usize>> {
        match self.kind {
            Kind::Conv(window) => {
                Some(vec![self.output[2], window.kernel[0], window.kernel[1], self.input[2]])
            }
            Kind::Depthwise(window) => Some(vec![window.kernel[0], window.kernel[1], self.input[2]]),
            Kind::Dense => Some(vec![self.output[2], self.fan_in()]),
            _ => None,
        }
    }

    /// Weights that one output element depends on.
    pub fn fan_in(&self) -> usize {
        match self.kind {
            Kind::Conv(window) => window.kernel[0] * window.kernel[1] * self.input[2],
            Kind::Depthwise(window) => window.kernel[0] * window.kernel[1],
            Kind::Dense => self.input.iter().product(),
            _ => 0,
        }
    }

    /// Multiply-accumulates of one inference.
    pub fn macs(&self) -> u64 {
        self.output.iter().map(|&d| d as u64).product::<u64>() * self.fan_in() as u64
    }
}

/// A network whose shapes fit together.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// Shape of the input.
    pub input: Shape,
    /// The layers in order.
    pub layers: Vec<Layer>,
    /// What it gives.
    pub outputs: Outputs,
}

impl Network {
    /// Works out the shapes of a recipe's layers for an input and what is to come of it.
    ///
    /// A `relu` after a convolution or a dense layer becomes that layer's activation.
    pub fn new(input: Shape, outputs: Outputs, recipe: &[recipe::Layer]) -> anyhow::Result<Self> {
        ensure!(input.iter().all(|&d| d > 0), "the features have the empty shape {}", show(input));
        if let Outputs::Classes(classes) = outputs {
            ensure!(classes >= 2, "a network needs at least two classes; the data set has {classes}");
        }
        let mut layers: Vec<Layer> = Vec::with_capacity(recipe.len());
        let mut shape = input;
        for (i, wish) in recipe.iter().enumerate() {
            let activation = match wish {
                recipe::Layer::Relu => Activation::Relu,
                recipe::Layer::Relu6 => Activation::Relu6,
                _ => Activation::None,
            };
            if activation != Activation::None
                && let Some(last) = layers.last_mut()
                && last.activation == Activation::None
                && last.weights_shape().is_some()
            {
                last.activation = activation;
                continue;
            }
            let name = format!("{}_{i}", type_name(wish));
            let (kind, output) = lay(wish, shape, i + 1 == recipe.len())
                .map_err(|problem| problem.context(format!("network layer {name}")))?;
            let batch_norm = matches!(
                wish,
                recipe::Layer::Conv { batch_norm: true, .. }
                    | recipe::Layer::Depthwise { batch_norm: true, .. }
            );
            layers.push(Layer { name, kind, input: shape, output, batch_norm, activation });
            shape = output;
        }
        let Some(last) = layers.last() else {
            bail!("the network has no layers; add `[[network.layers]]` tables to the recipe");
        };
        ensure!(
            shape == [1, 1, outputs.count()],
            "network layer {}: the network ends with the shape {}, but the {}; end it with a `dense` layer without \
             `units`",
            last.name,
            show(shape),
            match outputs {
                Outputs::Classes(count) => format!("data set has {count} classes"),
                Outputs::Features(count) => format!("input has {count} features, which it is to give again"),
            },
        );
        ensure!(
            layers.iter().any(|layer| layer.weights_shape().is_some()),
            "the network has nothing to train; add a `conv`, `depthwise` or `dense` layer"
        );
        Ok(Self { input, layers, outputs })
    }

    /// Multiply-accumulates of one inference.
    pub fn macs(&self) -> u64 {
        self.layers.iter().map(Layer::macs).sum()
    }

    /// Multiply-accumulates of one example in training: the forward pass, the gradients of the weights, and the
    /// gradients of every input except that of the first layer with weights.
    pub fn training_macs(&self) -> u64 {
        let first = self.layers.iter().find(|layer| layer.fan_in() > 0).map_or(0, Layer::macs);
        3 * self.macs() - first
    }

    /// Trained numbers of the exported network: weights and one bias per output channel.
    pub fn parameters(&self) -> u64 {
        self.layers
            .iter()
            .filter_map(|layer| {
                let weights: usize = layer.weights_shape()?.iter().product();
                Some((weights + layer.output[2]) as u64)
            })
            .sum()
    }
}

fn type_name(layer: &recipe::Layer) -> &'static str {
    match layer {
        recipe::Layer::Conv { .. } => "conv",
        recipe::Layer::Depthwise { .. } => "depthwise",
        recipe::Layer::Dense { .. } => "dense",
        recipe::Layer::MaxPool { .. } => "max_pool",
        recipe::Layer::AveragePool { .. } => "average_pool",
        recipe::Layer::GlobalAveragePool => "global_average_pool",
        recipe::Layer::Flatten => "flatten",
        recipe::Layer::Dropout { .. } => "dropout",
        recipe::Layer::Relu => "relu",
        recipe::Layer::Relu6 => "relu6",
    }
}

/// A shape for a message.
fn show(shape: Shape) -> String {
    format!("{}x{}x{}", shape[0], shape[1], shape[2])
}

/// Kind and output shape of a layer. A dense layer flattens what it reads.
fn lay(layer: &recipe::Layer, input: Shape, is_last: bool) -> anyhow::Result<(Kind, Shape)> {
    use recipe::Padding::Valid;
    Ok(match *layer {
        recipe::Layer::Conv { filters, kernel, stride, padding, .. } => {
            let (window, [h, w]) = window(input, kernel, stride, padding)?;
            (Kind::Conv(window), [h, w, filters])
        }
        recipe::Layer::Depthwise { kernel, stride, padding, .. } => {
            let (window, [h, w]) = window(input, kernel, stride, padding)?;
            (Kind::Depthwise(window), [h, w, input[2]])
        }
        recipe::Layer::Dense { units } => (Kind::Dense, [1, 1, units]),
        recipe::Layer::MaxPool { kernel, stride } => {
            let (window, [h, w]) = window(input, kernel, stride, Valid)?;
            (Kind::MaxPool(window), [h, w, input[2]])
        }
        recipe::Layer::AveragePool { kernel, stride } => {
            let (window, [h, w]) = window(input, kernel, stride, Valid)?;
            (Kind::AveragePool(window), [h, w, input[2]])
        }
        recipe::Layer::GlobalAveragePool => {
            let kernel = [input[0], input[1]];
            let (window, _) = window(input, kernel, [1, 1], Valid)?;
            (Kind::AveragePool(window), [1, 1, input[2]])
        }
        recipe::Layer::Flatten => (Kind::Flatten, [1, 1, input.iter().product()]),
        recipe::Layer::Dropout { rate } => (Kind::Dropout(rate), input),
        recipe::Layer::Relu | recipe::Layer::Relu6 => {
            ensure!(
                !is_last,
                "an activation stands at the end; what the last layer gives is taken as it is, so remove it"
            );
            (Kind::Activation, input)
        }
    })
}

/// The window of a layer and the height and width of its output.
fn window(
    input: Shape,
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: Padding,
) -> anyhow::Result<(Window, [usize; 2])> {
    let mut window = Window { kernel, stride, pad_begin: [0; 2], pad_end: [0; 2] };
    let mut output = [0; 2];
    for axis in 0..2 {
        let (name, size, k, s) = (["height", "width"][axis], input[axis], kernel[axis], stride[axis]);
        ensure!(k > 0 && s > 0, "`kernel` and `stride` must be at least 1");
        match padding {
            Padding::Same => {
                output[axis] = size.div_ceil(s);
                let total = ((output[axis] - 1) * s + k).saturating_sub(size);
                window.pad_begin[axis] = total / 2;
                window.pad_end[axis] = total - total / 2;
            }
            Padding::Valid => {
                ensure!(
                    k <= size,
                    "the {name} of the kernel is {k}, but the input is {}; use a smaller kernel or `padding = \"same\"`",
                    show(input)
                );
                output[axis] = (size - k) / s + 1;
            }
        }
    }
    Ok((window, output))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::network::Layer::{Conv, Dense, Flatten, GlobalAveragePool, MaxPool, Relu};

    fn conv(filters: usize, k: usize, s: usize, padding: Padding) -> recipe::Layer {
        Conv { filters, kernel: [k, k], stride: [s, s], padding, batch_norm: true }
    }

    #[test]
    fn shapes_follow_the_layers() {
        let network = Network::new(
            [28, 28, 1],
            Outputs::Classes(10),
            &[
                conv(8, 3, 2, Padding::Same),
                Relu,
                conv(16, 3, 2, Padding::Valid),
                Relu,
                GlobalAveragePool,
                Dense { units: 10 },
            ],
        )
        .expect("a network that fits");
        let shapes: Vec<Shape> = network.layers.iter().map(|layer| layer.output).collect();
        assert_eq!(shapes, [[14, 14, 8], [6, 6, 16], [1, 1, 16], [1, 1, 10]]);
        assert_eq!(network.layers[1].activation, Activation::Relu);
        let macs = 14 * 14 * 8 * 9 + 6 * 6 * 16 * 72 + 160;
        assert_eq!(network.macs(), macs);
        assert_eq!(network.training_macs(), 3 * macs - 14 * 14 * 8 * 9);
        assert_eq!(network.parameters(), 8 * 9 + 8 + 16 * 72 + 16 + 160 + 10);
    }

    #[test]
    fn same_padding_puts_the_odd_zero_after_the_input() {
        let (window, output) = window([28, 5, 1], [3, 3], [2, 1], Padding::Same).expect("fits");
        assert_eq!(output, [14, 5]);
        assert_eq!((window.pad_begin, window.pad_end), ([0, 1], [1, 1]));
    }

    #[test]
    fn misfits_name_the_layer() {
        let dense = Dense { units: 3 };
        for (layers, expected) in [
            (vec![conv(4, 9, 1, Padding::Valid), dense.clone()], "network layer conv_0"),
            (vec![MaxPool { kernel: [1, 9], stride: [1, 1] }, dense.clone()], "network layer max_pool_0"),
            (vec![Flatten, Dense { units: 4 }], "network layer dense_1"),
            (vec![], "the network has no layers"),
        ] {
            let error = Network::new([8, 8, 1], Outputs::Classes(3), &layers).map(|_| ());
            let error = error.map_err(|e| format!("{e:#}"));
            assert!(error.as_ref().is_err_and(|e| e.contains(expected)), "{error:?}");
        }
        let error = Network::new([2, 1, 3], Outputs::Features(6), &[Dense { units: 5 }]).map(|_| ());
        let error = error.map_err(|e| format!("{e:#}"));
        assert!(error.as_ref().is_err_and(|e| e.contains("has 6 features")), "{error:?}");
        assert!(Network::new([2, 1, 3], Outputs::Features(6), &[Dense { units: 6 }]).is_ok());
    }
}
