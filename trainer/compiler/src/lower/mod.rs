//! From a quantized graph to a plan.
//!
//! Each node becomes one or a few *steps*, the operators of a plan (module `steps`); values get a view of the arena;
//! [`crate::memory`] decides where. Nothing here rounds: that is `teff::quant`'s.

mod arena;
mod channel;
mod elementwise;
mod filter;
mod flash;
mod layout;
mod lock_step;
mod mat_mul;
mod metadata;
mod order;
mod overlap;
mod pool;
mod price;
mod repeat;
mod report;
mod shape;
mod steps;
mod wide;

pub use report::{BufferReport, LayerReport, Report};

use std::collections::BTreeSet;

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Op, ValueId};
use crate::options::Options;
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

/// Compiles a quantized graph. `source_hash` is the SHA-256 of the model file that the graph was read from.
///
/// # Errors
/// Names the node that cannot run in integers, and why.
pub fn lower(graph: &Graph, target: Target, source_hash: [u8; 32]) -> Result<Compiled> {
    lower_with(graph, target, &Options::default(), source_hash)
}

/// As [`lower`], with wishes.
///
/// # Errors
/// As [`lower`]; a budget is too small.
pub fn lower_with(
    graph: &Graph,
    target: Target,
    options: &Options,
    source_hash: [u8; 32],
) -> Result<Compiled> {
    graph.verify()?;
    float_islands(graph)?;
    let once = |order: &[usize]| {
        lower_once(graph, order, target, options, source_hash, &BTreeSet::new(), &mut Vec::new())
    };
    let mut orders = order::candidates(graph, options.overlap).into_iter();
    let mut order = orders.next().unwrap_or_default();
    let mut best = once(&order);
    // The arena of the file's own order, if another is taken.
    let mut usual = None;
    for other in orders {
        let plan = once(&other);
        if is_better(&plan, &best, options) {
            usual = usual.or_else(|| Some(best.as_ref().ok().map(|plan| plan.report.arena_bytes)));
            (order, best) = (other, plan);
        }
    }
    let mut lowered = match options.flash_bytes {
        Some(flash) => flash::spend(flash, options, |larger, offers| {
            lower_once(graph, &order, target, options, source_hash, larger, offers)
        })?,
        None => best?,
    };
    if let Some(usual) = usual {
        lowered.report.notes.push(match usual {
            Some(bytes) => format!(
                "Operators run in another order than in the file: {} bytes of RAM instead of {bytes}.",
                lowered.report.arena_bytes
            ),
            None => "Operators run in another order than in the file: in that, the RAM budget is not kept."
                .to_string(),
        });
    }
    Ok(lowered)
}

/// Whether a plan is to be preferred: one that fits, and then the one that takes fewer predicted instructions where there is
/// a RAM budget, the smaller arena where there is none and that costs next to no instructions.
fn is_better(plan: &Result<Compiled>, usual: &Result<Compiled>, options: &Options) -> bool {
    let instructions = |plan: &Compiled| plan.report.layers.iter().map(|layer| layer.predicted).sum::<u64>();
    match (plan, usual) {
        (Ok(plan), Ok(usual)) if options.ram_bytes.is_some() => instructions(plan) < instructions(usual),
        (Ok(plan), Ok(usual)) => {
            let most = instructions(usual) + instructions(usual) / arena::LOCK_STEP_SHARE;
            plan.report.arena_bytes < usual.report.arena_bytes && instructions(plan) <= most
        }
        (Ok(_), Err(_)) => true,
        (Err(_), _) => false,
    }
}

/// A plan in which the nodes run in `order` and the steps `larger` have their weights in the larger form; says where else
/// that is possible.
fn lower_once(
    graph: &Graph,
    order: &[usize],
    target: Target,
    options: &Options,
    source_hash: [u8; 32],
    larger: &BTreeSet<usize>,
    offers: &mut Vec<flash::Offer>,
) -> Result<Compiled> {
    let mut lowering = Lowering::new(graph, target, options)?;
    lowering.larger.clone_from(larger);
    for &index in order {
        lower_node(&mut lowering, &graph.nodes[index])?;
    }
    offers.append(&mut lowering.offers);
    arena::assign(&mut lowering, options)?.write(source_hash)
}

/// Refuses nodes that compute with real numbers in a graph that is quantized elsewhere.
fn float_islands(graph: &Graph) -> Result<()> {
    let real = |id: &ValueId| graph.value(*id).quant.is_none();
    if !graph.has_integers() {
        return Ok(());
    }
    let remedy = "put QuantizeLinear and DequantizeLinear around it, or quantize the float model with `trainer quantize`";
    // A chain of functions is one table, so only its last result is in integers.
    let readers = graph.consumers();
    let within = |node: &Node| {
        is_inner(graph, node)
            && !graph.is_output(node.output())
            && readers[node.output().index()].iter().all(|&reader| is_function(&graph.nodes[reader]))
    };
    if let Some(node) = graph.nodes.iter().find(|node| real(&node.output()) && !within(node)) {
        let output = &graph.value(node.output()).name;
        let reason = format!("it runs in float: its result `{output}` is not rounded to integers");
        return Err(Error::node(&node.name, node.op.name(), reason).remedy(remedy));
    }
    match graph.inputs.iter().find(|port| real(&port.value)) {
        Some(port) => Err(Error::value(&port.name, "this input is read in float").remedy(remedy)),
        None => Ok(()),
    }
}

/// True for functions of one number, which are tables.
fn is_function(node: &Node) -> bool {
    matches!(node.op, Op::Unary(_) | Op::Requantize)
}

/// True for a function whose result is not rounded to integers.
fn is_inner(graph: &Graph, node: &Node) -> bool {
    is_function(node) && graph.value(node.output()).quant.is_none()
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
        Op::MatMul(product) => mat_mul::mat_mul(lowering, node, product),
        Op::Unary(_) | Op::Requantize => elementwise::lookup(lowering, node),
        Op::Softmax => elementwise::softmax(lowering, node),
        Op::Concat { axis } => shape::concat(lowering, node, *axis),
        Op::Pad { padding, value } => shape::pad(lowering, node, *padding, *value),
        Op::Reshape { .. } => shape::reshape(lowering, node),
        Op::ScaleShift => Err(Error::node(&node.name, "scale_shift", "a batch normalization that could not be folded")
            .remedy("put it directly behind a convolution or a fully connected layer, or quantize the float model with `trainer quantize`")),
    }
}
