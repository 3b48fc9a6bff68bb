//! Reshapes of reshapes become one; those that change nothing go.

use crate::graph::{Graph, Op};

/// Removes them.
pub fn clean_reshapes(graph: &mut Graph) {
    for index in 0..graph.nodes.len() {
        if !matches!(graph.nodes[index].op, Op::Reshape { .. }) {
            continue;
        }
        // Read from the first of a chain; what lies between is dead unless others read it.
        let input = graph.nodes[index].inputs[0];
        let before = graph.nodes[..index].iter().find(|n| n.output() == input);
        if let Some(before) = before
            && matches!(before.op, Op::Reshape { .. })
        {
            let source = before.inputs[0];
            if graph.value(source).quant == graph.value(input).quant {
                graph.nodes[index].inputs[0] = source;
            }
        }
    }
    while let Some(index) = graph.nodes.iter().position(|node| {
        let (input, output) = (node.inputs[0], node.output());
        matches!(node.op, Op::Reshape { .. })
            && graph.value(input).shape == graph.value(output).shape
            && !graph.is_output(output)
    }) {
        let node = graph.nodes.remove(index);
        graph.replace_uses(node.output(), node.inputs[0]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Builder;
    use crate::passes::remove_dead;

    #[test]
    fn chains_become_one() {
        let mut b = Builder::new("reshapes");
        let x = b.input("x", [1, 2, 3, 4]);
        let y = b.reshape("a", x, [1, 6, 1, 4]);
        let y = b.reshape("b", y, [1, 2, 3, 4]);
        let y = b.relu("relu", y);
        let y = b.reshape("c", y, [1, 1, 6, 4]);
        let y = b.reshape("d", y, [1, 1, 1, 24]);
        let y = b.softmax("y", y);
        b.output("scores", y);
        let mut graph = b.finish().unwrap();
        clean_reshapes(&mut graph);
        remove_dead(&mut graph);
        graph.verify().unwrap();
        assert_eq!(
            graph.to_string(),
            "graph reshapes
  input  %x f32[1,2,3,4]  as [1, 4, 2, 3] by [0, 2, 3, 1]
  %relu f32[1,2,3,4] = relu %x
  %d f32[1,1,1,24] = reshape %relu
  %scores f32[1,1,1,24] = softmax %d
  output %scores  as [1, 24] by [0, 1]
"
        );
    }
}
