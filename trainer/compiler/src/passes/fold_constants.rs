//! Weights that are quantized in a layer that is not become real numbers; scalings of scalings
//! become one; those by 1 go.

use crate::evaluate::dequantized;
use crate::graph::{Elements, Graph, Op, Tensor, Unary};

/// Folds them.
pub fn fold_constants(graph: &mut Graph) {
    dequantize_weights(graph);
    merge_linear(graph);
}

/// Constants whose readers all compute in floating point.
fn dequantize_weights(graph: &mut Graph) {
    let consumers = graph.consumers();
    for id in graph.value_ids() {
        let value = graph.value(id);
        let (Some(tensor), Some(quant)) = (&value.constant, &value.quant) else { continue };
        let real = consumers[id.index()].iter().all(|&reader| {
            let node = &graph.nodes[reader];
            let input = graph.value(node.inputs[0]);
            input.quant.is_none() && graph.value(node.output()).quant.is_none()
        });
        if real {
            let numbers = Elements::F32(dequantized(tensor, Some(quant)));
            if let Ok(tensor) = Tensor::new(&value.shape.clone(), numbers) {
                let value = graph.value_mut(id);
                value.constant = Some(tensor);
                value.quant = None;
            }
        }
    }
}

fn merge_linear(graph: &mut Graph) {
    let mut index = 0;
    while index < graph.nodes.len() {
        let node = &graph.nodes[index];
        let Op::Unary(Unary::Linear { scale, offset }) = node.op else {
            index += 1;
            continue;
        };
        let (input, output) = (node.inputs[0], node.output());
        let identity = scale == 1.0 && offset == 0.0;
        if identity
            && !graph.is_output(output)
            && (graph.value(output).quant.is_none() || graph.value(output).quant == graph.value(input).quant)
        {
            graph.nodes.remove(index);
            graph.replace_uses(output, input);
            continue;
        }
        let consumers = graph.consumers();
        if let Some(reader) = super::only_reader(graph, &consumers, output)
            && let Op::Unary(Unary::Linear { scale: s, offset: o }) = graph.nodes[reader].op
        {
            let merged = Unary::Linear { scale: scale * s, offset: offset * s + o };
            graph.nodes[index].op = Op::Unary(merged);
            super::absorb_reader(graph, index, reader);
            continue;
        }
        index += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Builder;

    #[test]
    fn scalings_become_one() {
        let mut b = Builder::new("linear");
        let x = b.input("x", [1, 1, 1, 2]);
        let y = b.unary("a", x, Unary::Linear { scale: 1.0, offset: 0.0 });
        let y = b.unary("b", y, Unary::Linear { scale: 2.0, offset: 1.0 });
        let y = b.unary("c", y, Unary::Linear { scale: 3.0, offset: -1.0 });
        b.output("y", y);
        let mut graph = b.finish().unwrap();
        fold_constants(&mut graph);
        graph.verify().unwrap();
        assert_eq!(
            graph.to_string(),
            "graph linear
  input  %x f32[1,1,1,2]  as [1, 2] by [0, 1]
  %y f32[1,1,1,2] = linear(scale=6 offset=2) %x
  output %y  as [1, 2] by [0, 1]
"
        );
    }
}
