//! `x * sigmoid(x)` and `x * hard_sigmoid(x)` become one function of one number.

use crate::graph::{Graph, Op, Unary};

/// Fuses what can be fused.
pub fn fuse_swish(graph: &mut Graph) {
    let mut index = 0;
    while index < graph.nodes.len() {
        match swish(graph, index) {
            Some((gate, x, unary)) => {
                graph.nodes[index].op = Op::Unary(unary);
                graph.nodes[index].inputs = vec![x];
                graph.nodes.remove(gate);
            }
            None => index += 1,
        }
    }
}

/// The gate, the value and the function, where node `index` is such a product.
fn swish(graph: &Graph, index: usize) -> Option<(usize, crate::graph::ValueId, Unary)> {
    let node = &graph.nodes[index];
    if !matches!(&node.op, Op::Mul { activation } if activation.is_none()) {
        return None;
    }
    let consumers = graph.consumers();
    [(0, 1), (1, 0)].into_iter().find_map(|(x, gate)| {
        let (x, gate) = (node.inputs[x], node.inputs[gate]);
        let gate_index = graph.nodes.iter().position(|n| n.output() == gate)?;
        if super::only_reader(graph, &consumers, gate) != Some(index) {
            return None;
        }
        let gate_node = &graph.nodes[gate_index];
        let unary = match gate_node.op {
            Op::Unary(Unary::Sigmoid) => Unary::Swish { alpha: 1.0 },
            Op::Unary(Unary::HardSigmoid { alpha, beta })
                if (alpha - 1.0 / 6.0).abs() < 1e-6 && beta == 0.5 =>
            {
                Unary::HardSwish
            }
            _ => return None,
        };
        (gate_node.inputs[0] == x).then_some((gate_index, x, unary))
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
