//! Which layer of a float model a layer of a quantized one came from.

use teff_compiler::graph::{Graph, Node, Op, Unary, ValueId};

/// For each value of `quantized` its counterpart in `float`. Nodes correspond where they compute the same kind of thing
/// with as many results, in the same order; of several ways to pair them the one with the most equal names.
pub(super) fn align(quantized: &Graph, float: &Graph) -> Vec<Option<ValueId>> {
    let mut pairs = vec![None; quantized.values().len()];
    for (ours, theirs) in quantized.inputs.iter().zip(&float.inputs) {
        pairs[ours.value.index()] = Some(theirs.value);
    }
    let (a, b) = (&quantized.nodes, &float.nodes);
    let score = |i: usize, j: usize| score(quantized, &a[i], float, &b[j]);
    // best[i][j]: the most that nodes from i and j on can score together.
    let width = b.len() + 1;
    let mut best = vec![0u32; (a.len() + 1) * width];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            let paired = match score(i, j) {
                0 => 0,
                score => score + best[(i + 1) * width + j + 1],
            };
            best[i * width + j] = paired.max(best[(i + 1) * width + j]).max(best[i * width + j + 1]);
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < a.len() && j < b.len() {
        let here = best[i * width + j];
        let paired = score(i, j);
        if paired > 0 && here == paired + best[(i + 1) * width + j + 1] {
            pairs[a[i].output().index()] = Some(b[j].output());
            (i, j) = (i + 1, j + 1);
        } else if here == best[(i + 1) * width + j] {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}

/// 0 where the nodes do not correspond.
fn score(quantized: &Graph, ours: &Node, float: &Graph, theirs: &Node) -> u32 {
    let (a, b) = (quantized.value(ours.output()), float.value(theirs.output()));
    if kind(&ours.op) != kind(&theirs.op) || a.shape != b.shape {
        return 0;
    }
    let same = |a: &str, b: &str| a == b || a.strip_suffix("_quant") == Some(b);
    let weights = |graph: &Graph, node: &Node| node.inputs.get(1).map(|&id| graph.value(id).shape.clone());
    // The same weights count a little, the same name decides.
    2 + u32::from(weights(quantized, ours) == weights(float, theirs))
        + 4 * u32::from(same(&ours.name, &theirs.name) || same(&a.name, &b.name))
}

/// What is computed, without its attributes. A clamp may have become part of the operator before it.
fn kind(op: &Op) -> &'static str {
    match op {
        Op::Unary(Unary::Clamp(_)) => "clamp",
        other => other.name(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use teff_compiler::graph::{Builder, Tensor};

    #[test]
    fn layers_are_paired_in_order_and_by_name() {
        let dense = |inputs: usize, outputs: usize| {
            Tensor::f32(&[outputs, inputs], vec![0.5; inputs * outputs]).unwrap()
        };
        let mut b = Builder::new("float");
        let x = b.input("x", [1, 1, 1, 4]);
        let y = b.fully_connected("one", x, dense(4, 4), None);
        let y = b.fully_connected("two", y, dense(4, 4), None);
        let y = b.relu("relu", y);
        let y = b.fully_connected("three", y, dense(4, 2), None);
        b.output("y", y);
        let float = b.finish().unwrap();
        // Without the first layer and the activation, as if they had been folded.
        let mut b = Builder::new("quantized");
        let x = b.input("x", [1, 1, 1, 4]);
        let y = b.fully_connected("two", x, dense(4, 4), None);
        let y = b.fully_connected("else", y, dense(4, 2), None);
        b.output("y", y);
        let quantized = b.finish().unwrap();
        let pairs = align(&quantized, &float);
        let name = |of: &str| {
            let value = quantized.nodes.iter().find(|node| node.name == of).unwrap().output();
            pairs[value.index()].map(|id| float.value(id).name.clone())
        };
        // The last value has the name of the output that it is.
        assert_eq!(name("two"), Some("two".to_string()));
        assert_eq!(name("else"), Some("y".to_string()));
        assert_eq!(pairs[quantized.inputs[0].value.index()], Some(float.inputs[0].value));
    }
}
