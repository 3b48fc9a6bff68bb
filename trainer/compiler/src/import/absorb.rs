//! Quantization as a property of values: quantizing a float result makes that result an integer
//! one.

use crate::error::Result;
use crate::graph::{Graph, Op, Port, ValueId};

pub(crate) fn absorb(graph: &mut Graph) -> Result<()> {
    fold_input_reshapes(graph);
    loop {
        let consumers = graph.consumers();
        let found = graph.nodes.iter().position(|node| {
            let input = node.inputs[0];
            node.op == Op::Requantize
                && graph.value(input).quant.is_none()
                && !graph.is_output(input)
                && !graph.value(input).is_constant()
                && consumers[input.index()].iter().all(|&reader| {
                    let reader = &graph.nodes[reader];
                    reader.op == Op::Requantize
                        && graph.value(reader.output()).quant == graph.value(node.output()).quant
                })
        });
        let Some(index) = found else { break };
        let node = graph.nodes.remove(index);
        let (input, output) = (node.inputs[0], node.output());
        let quant = graph.value(output).quant.clone();
        graph.value_mut(input).quant = quant;
        rename(graph, input, output);
        graph.replace_uses(output, input);
        // Further readers of the same kind are the same value now.
        while let Some(index) = graph.nodes.iter().position(|n| {
            n.op == Op::Requantize
                && n.inputs[0] == input
                && graph.value(n.output()).quant == graph.value(input).quant
        }) {
            let same = graph.nodes.remove(index);
            graph.replace_uses(same.output(), input);
        }
    }
    // A value seen under another shape is the same integers.
    for index in 0..graph.nodes.len() {
        let node = &graph.nodes[index];
        if let Op::Reshape { .. } = node.op {
            let (input, output) = (node.inputs[0], node.output());
            if graph.value(output).quant.is_none() {
                let quant = graph.value(input).quant.clone();
                graph.value_mut(output).quant = quant;
            }
        }
    }
    crate::passes::remove_dead(graph);
    Ok(())
}

/// An input that is only ever seen under another shape has that shape.
fn fold_input_reshapes(graph: &mut Graph) {
    let inputs: Vec<ValueId> = graph.inputs.iter().map(|p: &Port| p.value).collect();
    for input in inputs {
        let consumers = graph.consumers();
        let [only] = consumers[input.index()][..] else {
            continue;
        };
        if !matches!(graph.nodes[only].op, Op::Reshape { .. }) || graph.is_output(input) {
            continue;
        }
        let node = graph.nodes.remove(only);
        let shape = graph.value(node.output()).shape.clone();
        graph.value_mut(input).shape = shape;
        graph.replace_uses(node.output(), input);
    }
}

/// The quantized value keeps the name of the integers, unless it is an input of the model: that is
/// the name under which other engines show it.
fn rename(graph: &mut Graph, input: ValueId, output: ValueId) {
    if !graph.is_input(input) {
        let name = graph.value(output).name.clone();
        let old = graph.value(input).name.clone();
        graph.value_mut(output).name = format!("{old}.absorbed");
        graph.value_mut(input).name = name;
    }
}
