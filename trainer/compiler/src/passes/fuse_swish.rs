//! `x * sigmoid(a * x)` and `x * hard_sigmoid(x)` become one function of one number.

use crate::graph::{Graph, Node, Op, Unary, ValueId};

/// Fuses what can be fused.
pub fn fuse_swish(graph: &mut Graph) {
    let mut index = 0;
    while index < graph.nodes.len() {
        // What computed the gate alone is read by nobody afterwards.
        if let Some((x, unary)) = swish(graph, index) {
            graph.nodes[index].op = Op::Unary(unary);
            graph.nodes[index].inputs = vec![x];
        }
        index += 1;
    }
}

/// The value and the function, where node `index` is such a product.
fn swish(graph: &Graph, index: usize) -> Option<(ValueId, Unary)> {
    let node = &graph.nodes[index];
    if !matches!(&node.op, Op::Mul { activation } if activation.is_none()) {
        return None;
    }
    let consumers = graph.consumers();
    let producer = |value: ValueId| graph.nodes.iter().position(|n| n.output() == value);
    let only = |value: ValueId, reader: usize| super::only_reader(graph, &consumers, value) == Some(reader);
    [(0, 1), (1, 0)].into_iter().find_map(|(x, gate)| {
        let (x, gate) = (node.inputs[x], node.inputs[gate]);
        let gate_index = producer(gate).filter(|_| only(gate, index))?;
        let gate_node = &graph.nodes[gate_index];
        let read = gate_node.inputs[0];
        match gate_node.op {
            Op::Unary(Unary::Sigmoid) if read == x => Some((x, Unary::Swish { alpha: 1.0 })),
            Op::Unary(Unary::Sigmoid) if only(read, gate_index) => match graph.nodes[producer(read)?] {
                Node { op: Op::Unary(Unary::Linear { scale, offset: 0.0 }), ref inputs, .. }
                    if inputs[0] == x =>
                {
                    Some((x, Unary::Swish { alpha: scale }))
                }
                _ => None,
            },
            Op::Unary(Unary::HardSigmoid { alpha, beta })
                if read == x && (alpha - 1.0 / 6.0).abs() < 1e-6 && beta == 0.5 =>
            {
                Some((x, Unary::HardSwish))
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Builder;
    use crate::passes::remove_dead;

    #[test]
    fn a_gate_by_itself_is_swish() {
        let mut b = Builder::new("swish");
        let x = b.input("x", [1, 2, 2, 1]);
        let gate = b.unary("gate", x, Unary::Sigmoid);
        let y = b.mul("product", gate, x);
        let other = b.unary("other", x, Unary::Sigmoid);
        let y = b.mul("kept", y, other);
        b.output("y", y);
        let mut graph = b.finish().unwrap();
        fuse_swish(&mut graph);
        remove_dead(&mut graph);
        graph.verify().unwrap();
        assert_eq!(
            graph.to_string(),
            "graph swish
  input  %x f32[1,2,2,1]  as [1, 1, 2, 2] by [0, 2, 3, 1]
  %product f32[1,2,2,1] = swish(alpha=1) %x
  %other f32[1,2,2,1] = sigmoid %x
  %y f32[1,2,2,1] = mul %product, %other
  output %y  as [1, 1, 2, 2] by [0, 2, 3, 1]
"
        );
    }
}
