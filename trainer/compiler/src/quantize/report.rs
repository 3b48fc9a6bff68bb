//! What was done to quantize a graph, and what it gained.

use super::calibrate::Chosen;
use super::range::Method;
use crate::graph::{Graph, ValueId};

/// What was done.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Number of samples that ranges were taken from.
    pub samples: usize,
    /// Number of samples that decisions were judged on.
    pub judged: usize,
    /// Whether those took no part in what was judged.
    pub held_out: bool,
    /// Signal-to-noise ratio at the outputs, in decibels, with ranges from the smallest to the largest number, weights to the
    /// nearest and nothing else.
    pub plain_decibels: f64,
    /// The same of the result.
    pub decibels: f64,
    /// The steps, in the order in which they were tried.
    pub gains: Vec<Gain>,
    /// The activations, in the order of the graph.
    pub tensors: Vec<Tensor>,
    /// Number of pairs of layers whose channels were evened out.
    pub equalized: usize,
}

/// What one step gained.
#[derive(Debug, Clone, PartialEq)]
pub struct Gain {
    /// Name of the step, as options and recipes write it.
    pub step: &'static str,
    /// Whether it was kept.
    pub kept: bool,
    /// Signal-to-noise ratio at the outputs without it, in decibels.
    pub before: f64,
    /// The same with it.
    pub after: f64,
}

/// The quantization of one activation.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Name of the value.
    pub name: String,
    /// What chose its range; `None` where the function behind it fixes it.
    pub method: Option<Method>,
    /// Smallest and largest number that was seen.
    pub seen: (f32, f32),
    /// Smallest and largest number that the integers stand for.
    pub range: (f32, f32),
    /// Scale.
    pub scale: f32,
    /// Zero point.
    pub zero_point: i32,
}

impl Tensor {
    pub(super) fn new(graph: &Graph, id: ValueId, chosen: &Chosen, seen: (f32, f32)) -> Tensor {
        let (scale, zero_point) = (chosen.quant.scale(), chosen.quant.zero_point);
        let real = |q: i32| scale * (q - zero_point) as f32;
        Tensor {
            name: graph.value(id).name.clone(),
            method: chosen.method,
            seen,
            range: (real(-128), real(127)),
            scale,
            zero_point,
        }
    }
}
