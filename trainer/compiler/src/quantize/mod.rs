//! From a float graph and samples to a quantized graph.
//!
//! ```text
//! float graph ─ Calibrator, observes each value over samples ─> Ranges ─ assign ─> quantized graph
//! ```

mod assign;
mod calibrate;
mod observer;

pub use assign::{activation_quant, assign};
pub use calibrate::{Calibrator, Ranges};
pub use observer::{Method, Observer};

use crate::error::Result;
use crate::graph::Graph;

/// Calibrates a float graph on samples and quantizes it. Each sample holds one array per input, in
/// the order of the input's value, `[h, w, c]`. The graph is simplified first.
///
/// # Errors
/// When there is no sample, a sample does not fit, or the graph cannot be quantized.
pub fn quantize<'s>(
    graph: &Graph,
    samples: impl IntoIterator<Item = Vec<&'s [f32]>>,
    method: Method,
) -> Result<Graph> {
    let mut graph = graph.clone();
    crate::passes::simplify(&mut graph);
    let mut calibrator = Calibrator::new(&graph, method)?;
    for sample in samples {
        calibrator.observe(&sample)?;
    }
    let ranges = calibrator.finish()?;
    assign(&graph, &ranges)
}
