//! TensorFlow Lite file to graph.
//!
//! Tensors of these files have the axes of the graph, `[n, h, w, c]`, so most operators become
//! operators of the graph as they stand; transpositions and reshapes look at the bytes in another
//! way ([`crate::import`]). Operators stand in the order of execution; those that no output
//! depends on are left out.

mod constant;
mod convolve;
mod dense;
mod elementwise;
mod flatbuffer;
mod fold;
mod node;
mod pool;
mod quantized;
mod reshape;
mod schema;
mod state;
mod table;

use std::collections::BTreeSet;

use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::import::with_orders;
use node::Node;
use schema::File;
use state::Import;
pub(crate) use table::operators_section;
pub use table::{OPERATORS, Operator};

/// Whether the bytes have the mark of a TensorFlow Lite file.
pub fn is_tflite(bytes: &[u8]) -> bool {
    bytes.get(4..8) == Some(b"TFL3")
}

/// Reads a TensorFlow Lite file: float, or quantized to int8 or uint8.
///
/// # Errors
/// Names the operator or tensor that is damaged or not supported, and what to do about it. An
/// operator is named by the tensor that it gives.
pub fn import(bytes: &[u8]) -> Result<Graph> {
    if !is_tflite(bytes) {
        return Err(Error::model("not a TensorFlow Lite file: it has no mark `TFL3`"));
    }
    let file = File::read(bytes)?;
    let live = live_operators(&file)?;
    let state = with_orders(
        file.inputs.len(),
        |orders| Import::new(&file, orders),
        |state| run(state, &file, &live),
    )?;
    let graph = state.finish()?;
    graph.verify()?;
    Ok(graph)
}

/// Indices of the operators that outputs depend on, in the order of the file.
fn live_operators(file: &File<'_>) -> Result<Vec<usize>> {
    let mut wanted: BTreeSet<i32> = file.outputs.iter().copied().collect();
    let mut live = Vec::new();
    for index in (0..file.operator_count()).rev() {
        let operator = file.operator(index)?;
        if operator.outputs.iter().any(|output| wanted.contains(output)) {
            wanted.extend(&operator.inputs);
            live.push(index);
        }
    }
    live.reverse();
    Ok(live)
}

fn run(state: &mut Import<'_, '_>, file: &File<'_>, live: &[usize]) -> Result<()> {
    let mut given: BTreeSet<i32> = file.inputs.iter().copied().collect();
    let mut read: BTreeSet<i32> = file.outputs.iter().copied().collect();
    let nodes = live.iter().map(|&index| Node::read(file, index)).collect::<Result<Vec<Node<'_>>>>()?;
    for node in &nodes {
        read.extend(&node.operator.inputs);
    }
    for node in &nodes {
        let operator = table::find(node).ok_or_else(|| unknown(node))?;
        for &output in &node.operator.outputs {
            let tensor = state
                .tensor(output)
                .map_err(|_| node.fault(format!("it gives tensor {output}, which is not there")))?;
            if !given.insert(output) {
                return Err(node
                    .fault(format!("`{}` is produced twice, or is an input of the model", tensor.name))
                    .remedy("the file is damaged"));
            }
            if tensor.data.is_some() {
                return Err(node.fault(format!("its result `{}` is a constant", tensor.name)));
            }
        }
        if let Some(second) = node.operator.outputs.iter().skip(1).find(|o| read.contains(o)) {
            let name = &state.tensor(*second)?.name;
            return Err(node.fault(format!("its further result `{name}` is not supported")));
        }
        if !fold::fold(state, node)? {
            (operator.import)(state, node)?;
        }
    }
    Ok(())
}

fn unknown(node: &Node<'_>) -> Error {
    let kind = node.kind.as_str();
    let (what, remedy) = match kind {
        "LSTM"
        | "RNN"
        | "SVDF"
        | "UNIDIRECTIONAL_SEQUENCE_LSTM"
        | "UNIDIRECTIONAL_SEQUENCE_RNN"
        | "BIDIRECTIONAL_SEQUENCE_LSTM"
        | "BIDIRECTIONAL_SEQUENCE_RNN" => (
            "recurrent operators are not supported",
            "use convolutions over time, or cut the model before it",
        ),
        "IF" | "WHILE" | "CALL" | "CALL_ONCE" => (
            "the flow of control cannot depend on data",
            "convert the model without branches and loops (for recurrent layers: `unroll=True`)",
        ),
        "VAR_HANDLE" | "READ_VARIABLE" | "ASSIGN_VARIABLE" => (
            "models with a state are not supported",
            "convert the model without its state: give the whole window as input",
        ),
        "PRELU" => {
            ("a slope per channel is not supported", "train with LEAKY_RELU, whose slope is one number")
        }
        "MIRROR_PAD" => ("only padding with a constant is supported", "train with padding by zeros"),
        _ => (
            "this operator is not supported",
            "docs/operators.md lists those that are; replace it, or cut the model before it",
        ),
    };
    node.fault(what).remedy(remedy)
}
