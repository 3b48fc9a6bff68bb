//! Nodes and values that no output depends on go.

use crate::graph::Graph;

/// Removes them. Inputs of the model stay.
pub fn remove_dead(graph: &mut Graph) {
    let mut live = vec![false; graph.values().len()];
    for port in graph.inputs.iter().chain(&graph.outputs) {
        live[port.value.index()] = true;
    }
    for node in graph.nodes.iter().rev() {
        if node.outputs.iter().any(|o| live[o.index()]) {
            for id in node.inputs.iter().chain(&node.outputs) {
                live[id.index()] = true;
            }
        }
    }
    graph.nodes.retain(|n| n.outputs.iter().any(|o| live[o.index()]));
    graph.retain_values(&live);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Builder;

    #[test]
    fn what_nobody_reads_goes() {
        let mut b = Builder::new("dead");
        let x = b.input("x", [1, 1, 1, 2]);
        let y = b.relu("kept", x);
        b.relu("dead", x);
        b.scale_shift("also.dead", x, vec![1.0; 2], vec![0.0; 2]);
        b.output("y", y);
        let mut graph = b.finish().unwrap();
        remove_dead(&mut graph);
        graph.verify().unwrap();
        assert_eq!(
            graph.to_string(),
            "graph dead
  input  %x f32[1,1,1,2]  as [1, 2] by [0, 1]
  %y f32[1,1,1,2] = relu %x
  output %y  as [1, 2] by [0, 1]
"
        );
    }
}
