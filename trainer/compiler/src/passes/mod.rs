//! Changes to a graph that keep what it computes. One file each; [`simplify`] is their order.
//!
//! A value with a quantization is a rounding that has to stay where it is, so a pass that removes
//! a value keeps off those unless the result is the same to the bit.

mod clean_reshapes;
mod fold_batch_norm;
mod fold_constants;
mod fuse_activation;
mod fuse_pad;
mod fuse_swish;
mod remove_dead;

pub use clean_reshapes::clean_reshapes;
pub use fold_batch_norm::{fold_batch_norm, scale_shift_to_depthwise};
pub use fold_constants::fold_constants;
pub use fuse_activation::fuse_activation;
pub use fuse_pad::fuse_pad;
pub use fuse_swish::fuse_swish;
pub use remove_dead::remove_dead;

use crate::graph::{Graph, ValueId};

/// All passes, in the order in which each finds most to do.
pub fn simplify(graph: &mut Graph) {
    fold_constants(graph);
    fold_batch_norm(graph);
    fuse_swish(graph);
    remove_dead(graph);
    fuse_activation(graph);
    fuse_pad(graph);
    scale_shift_to_depthwise(graph);
    clean_reshapes(graph);
    remove_dead(graph);
}

/// The only reader of a value, where it has one, is not an output of the model and not rounded.
fn only_reader(graph: &Graph, consumers: &[Vec<usize>], value: ValueId) -> Option<usize> {
    if graph.is_output(value) || graph.value(value).quant.is_some() {
        return None;
    }
    match consumers[value.index()][..] {
        [reader] => Some(reader),
        _ => None,
    }
}

/// The node that produces a value takes over the result of its reader, which goes.
fn absorb_reader(graph: &mut Graph, producer: usize, reader: usize) {
    let output = graph.nodes[reader].output();
    graph.nodes[producer].outputs = vec![output];
    graph.nodes.remove(reader);
}
