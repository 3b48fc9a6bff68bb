//! From trained weights to a float graph.

use anyhow::Context as _;
use teff_compiler::graph::{BatchNorm, Builder, Clamp, Conv2d, Graph, Padding, Tensor, Unary, ValueId};

use crate::network::{Activation, BATCH_NORM_EPSILON, Kind, Layer, Network, Window};
use crate::recipe::Outputs;
use crate::weights::Weights;

/// Name of the graph's input.
pub const INPUT: &str = "features";
/// Name of the graph's output: one probability per class.
pub const OUTPUT: &str = "scores";
/// Name of the output of a network that gives its input again.
pub const RECONSTRUCTION: &str = "reconstruction";

/// The graph that computes the probabilities of a trained network, or its reconstruction of the features.
///
/// Batch normalisation and activations stand as operators of their own; the compiler's passes fold them.
pub fn trace(name: &str, network: &Network, weights: &Weights) -> anyhow::Result<Graph> {
    let mut builder = Builder::new(name);
    let [h, w, c] = network.input;
    let mut x = builder.input(INPUT, [1, h, w, c]);
    for layer in &network.layers {
        x = add(&mut builder, layer, weights, x).with_context(|| format!("layer {}", layer.name))?;
    }
    match network.outputs {
        Outputs::Classes(_) => {
            x = builder.softmax("softmax", x);
            builder.output(OUTPUT, x);
        }
        Outputs::Features(_) => builder.output(RECONSTRUCTION, x),
    }
    Ok(builder.finish()?)
}

fn add(builder: &mut Builder, layer: &Layer, weights: &Weights, x: ValueId) -> anyhow::Result<ValueId> {
    let name = layer.name.as_str();
    let part = |part: &str| {
        let tensor = weights.get(name, part).with_context(|| format!("the weights have no `{name}.{part}`"));
        tensor.map(|tensor| tensor.values.clone())
    };
    let filter = |shape: &[usize]| anyhow::Ok(Tensor::f32(shape, part("weights")?)?);
    let bias = || match layer.batch_norm {
        true => Ok(None),
        false => part("bias").map(Some),
    };
    let shape = layer.weights_shape().unwrap_or_default();
    let mut x = match layer.kind {
        Kind::Conv(window) => builder.conv_2d(name, x, filter(&shape)?, bias()?, conv(window)),
        Kind::Depthwise(window) => {
            let shape = [&[1], &shape[..]].concat();
            builder.depthwise_conv_2d(name, x, filter(&shape)?, bias()?, conv(window))
        }
        Kind::Dense => builder.fully_connected(name, x, filter(&shape)?, bias()?),
        Kind::MaxPool(window) => builder.max_pool_2d(name, x, window.kernel, window.stride, padding(window)),
        Kind::AveragePool(window) => {
            builder.average_pool_2d(name, x, window.kernel, window.stride, padding(window))
        }
        Kind::Flatten => builder.flatten(name, x),
        // Dropout is for training only.
        Kind::Dropout(_) | Kind::Activation => x,
    };
    if layer.batch_norm {
        let (gamma, beta) = (part("gamma")?, part("beta")?);
        let (mean, variance) = (part("mean")?, part("variance")?);
        let norm = BatchNorm {
            scale: &gamma,
            offset: &beta,
            mean: &mean,
            variance: &variance,
            epsilon: BATCH_NORM_EPSILON,
        };
        x = builder.batch_norm(&format!("{name}.norm"), x, norm);
    }
    let clamp = match layer.activation {
        Activation::None => return Ok(x),
        Activation::Relu => Clamp::RELU,
        Activation::Relu6 => Clamp::RELU6,
    };
    Ok(builder.unary(&format!("{name}.activation"), x, Unary::Clamp(clamp)))
}

fn conv(window: Window) -> Conv2d {
    Conv2d { stride: window.stride, padding: padding(window), ..Conv2d::default() }
}

fn padding(window: Window) -> Padding {
    let ([top, left], [bottom, right]) = (window.pad_begin, window.pad_end);
    Padding { top, left, bottom, right }
}
