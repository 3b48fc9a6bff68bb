//! Text of the plan: what the ONNX file says, and how its inputs and outputs lie.

use super::steps::Operand;
use crate::error::Result;
use crate::front_end::{self, FrontEndConfig};
use crate::graph::{Graph, Port};
use crate::onnx::metadata::{FRONT_END, INPUTS, OUTPUTS};

/// The graph's metadata, and `teff.inputs` and `teff.outputs`.
pub(super) fn pairs(graph: &Graph) -> Vec<(String, String)> {
    let described = |ports: &[Port]| ports.iter().map(describe).collect::<Vec<_>>().join("\n");
    let mut pairs: Vec<(String, String)> = graph.metadata.clone().into_iter().collect();
    pairs.retain(|(key, _)| key != INPUTS && key != OUTPUTS);
    pairs.push((INPUTS.into(), described(&graph.inputs)));
    pairs.push((OUTPUTS.into(), described(&graph.outputs)));
    pairs
}

/// `type;shape;axes;permutation;name`, see [`Port`].
fn describe(port: &Port) -> String {
    let list = |xs: &[usize]| xs.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let name = port.name.replace(['\n', '\r'], " ");
    format!(
        "{};{};{};{};{name}",
        port.kind.name(),
        list(&port.shape),
        list(&port.axes),
        list(&port.permutation)
    )
}

/// Settings and tables of the front end for the model's first input; empty where there is none.
pub(super) fn front_end(graph: &Graph, operands: &[Operand]) -> Result<Vec<u8>> {
    let (Some(line), Some(input)) = (graph.metadata.get(FRONT_END), operands.first()) else {
        return Ok(Vec::new());
    };
    front_end::build(&FrontEndConfig::parse(line)?, input.quant.scale, input.quant.zero_point)
}
