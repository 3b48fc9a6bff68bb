//! From a quantized graph to a plan.
//!
//! Each node becomes one or a few *steps*, the operators of a plan (module `steps`); values get a view of the arena;
//! [`crate::memory`] decides where. Nothing here rounds: that is `teff::quant`'s.

mod arena;
mod elementwise;
mod filter;
mod metadata;
mod pool;
mod report;
mod shape;
mod steps;
mod wide;

pub use report::{BufferReport, LayerReport, Report};

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Op, ValueId};
use crate::target::Target;
use steps::Lowering;

/// A plan and what there is to say about it.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// The plan's bytes.
    pub plan: Vec<u8>,
    /// Layers, memory and sizes.
    pub report: Report,
}

/// Compiles a quantized graph. `source_hash` is the SHA-256 of the ONNX file that the graph was read from.
///
/// # Errors
/// Names the node that cannot run in integers, and why.
pub fn lower(graph: &Graph, target: Target, source_hash: [u8; 32]) -> Result<Compiled> {
    graph.verify()?;
    float_islands(graph)?;
    let mut lowering = Lowering::new(graph, target)?;
    for node in &graph.nodes {
        lower_node(&mut lowering, node)?;
    }
    arena::assign(&mut lowering)?.write(source_hash)
}

/// Refuses nodes that compute with real numbers in a graph that is quantized elsewhere.
fn float_islands(graph: &Graph) -> Result<()> {
    let real = |id: &ValueId| graph.value(*id).quant.is_none();
    if graph.value_ids().all(|id| graph.value(id).is_constant() || real(&id)) {
        return Ok(());
    }
    let remedy = "put QuantizeLinear and DequantizeLinear around it, or quantize the float model with `trainer quantize`";
    if let Some(node) = graph.nodes.iter().find(|node| real(&node.output())) {
        let output = &graph.value(node.output()).name;
        let reason = format!("it runs in float: its result `{output}` is not rounded to integers");
        return Err(Error::node(&node.name, node.op.name(), reason).remedy(remedy));
    }
    match graph.inputs.iter().find(|port| real(&port.value)) {
        Some(port) => Err(Error::value(&port.name, "this input is read in float").remedy(remedy)),
        None => Ok(()),
    }
}

fn lower_node(lowering: &mut Lowering<'_>, node: &Node) -> Result<()> {
    match &node.op {
        Op::Conv2d(attributes) => filter::conv_2d(lowering, node, attributes),
        Op::DepthwiseConv2d(attributes) => filter::depthwise_conv_2d(lowering, node, attributes),
        Op::FullyConnected { activation } => filter::fully_connected(lowering, node, *activation),
        Op::MaxPool2d(attributes) => pool::max_pool_2d(lowering, node, attributes),
        Op::AveragePool2d(attributes) => pool::average_pool_2d(lowering, node, attributes),
        Op::Add { activation } => elementwise::add(lowering, node, *activation, false),
        Op::Sub { activation } => elementwise::add(lowering, node, *activation, true),
        Op::Mul { activation } => elementwise::mul(lowering, node, *activation),
        Op::Unary(unary) => elementwise::lookup(lowering, node, |x| unary.apply_f64(x)),
        Op::Requantize => elementwise::lookup(lowering, node, |x| x),
        Op::Softmax => elementwise::softmax(lowering, node),
        Op::Concat { axis } => shape::concat(lowering, node, *axis),
        Op::Pad { padding, value } => shape::pad(lowering, node, *padding, *value),
        Op::Reshape { .. } => shape::reshape(lowering, node),
        Op::ScaleShift => Err(Error::node(&node.name, "scale_shift", "a batch normalization that could not be folded")
            .remedy("put it directly behind a convolution or a fully connected layer, or quantize the float model with `trainer quantize`")),
    }
}
