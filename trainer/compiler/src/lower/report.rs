//! What there is to say about a plan: layers, memory, sizes.

use teff::kernels::params::Packing;
use teff::shape::Layout;

/// Figures of a compiled model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Name of the target.
    pub target: &'static str,
    /// Multiply-accumulates of one inference, padded taps included.
    pub macs: u64,
    /// Weights and biases.
    pub parameters: u64,
    /// Bytes of weights, biases and tables, without multipliers.
    pub weights_bytes: u64,
    /// Bytes of the plan.
    pub plan_bytes: u64,
    /// Bytes of the arena: activations and scratch.
    pub arena_bytes: u64,
    /// Largest sum of buffers in use at one time.
    pub live_set_bytes: u64,
    /// Operators in the order of execution.
    pub layers: Vec<LayerReport>,
    /// What a person should know of how the plan came about: the notes of the graph.
    pub notes: Vec<String>,
}

/// Figures of one operator of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerReport {
    /// Node of the graph that it comes from.
    pub name: String,
    /// Operator of the plan.
    pub op: &'static str,
    /// Extents `[h, w, c]` of the inputs.
    pub inputs: Vec<[usize; 3]>,
    /// Extent `[h, w, c]` of the output.
    pub output: [usize; 3],
    /// Indices of the inputs among the plan's values.
    pub input_values: Vec<u16>,
    /// Index of the output among the plan's values.
    pub output_value: u16,
    /// Name of the output in the graph.
    pub output_name: String,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Weights and biases.
    pub parameters: u64,
    /// Bytes of weights, biases and tables.
    pub weights_bytes: u64,
    /// Whether the output lies on an input.
    pub in_place: bool,
    /// Scratch.
    pub scratch_bytes: u64,
    /// What runs it: operator, window, packing ([`crate::cost`]).
    pub kernel: String,
    /// Order of the weights.
    pub packing: Packing,
    /// Layout of the output.
    pub layout: Layout,
    /// Predicted instructions.
    pub predicted: u64,
    /// Predicted instructions of one slice.
    pub slice_cost: u32,
    /// Sum of the buffers in use while it runs.
    pub live_bytes: u64,
    /// The buffers in use while it runs.
    pub arena: Vec<BufferReport>,
}

/// A piece of the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BufferReport {
    /// First byte.
    pub offset: u64,
    /// Number of bytes.
    pub len: u64,
}
