//! A limit on results (ReLU, ReLU6, Clip) becomes part of the operator that makes them.

use crate::graph::{Graph, Op, Unary};

/// Fuses what can be fused.
pub fn fuse_activation(graph: &mut Graph) {
    let mut index = 0;
    while index < graph.nodes.len() {
        let Op::Unary(Unary::Clamp(clamp)) = graph.nodes[index].op else {
            index += 1;
            continue;
        };
        let (input, output) = (graph.nodes[index].inputs[0], graph.nodes[index].output());
        let producer = graph.nodes.iter().position(|n| n.output() == input);
        let consumers = graph.consumers();
        let alone = !graph.is_output(input) && consumers[input.index()] == [index];
        // Rounded to the same numbers before and after, a limit is a limit on the integers.
        let (before, after) = (&graph.value(input).quant, &graph.value(output).quant);
        let same = before.is_none() || before == after;
        let Some(producer) = producer.filter(|_| alone && same) else {
            index += 1;
            continue;
        };
        if let Op::Unary(Unary::Clamp(first)) = &mut graph.nodes[producer].op {
            *first = first.then(clamp);
        } else if let Some(activation) = graph.nodes[producer].op.activation_mut() {
            *activation = activation.then(clamp);
        } else {
            index += 1;
            continue;
        }
        super::absorb_reader(graph, producer, index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Builder, Clamp, Conv2d, Quant, Tensor};
    use crate::passes::remove_dead;

    fn network() -> Graph {
        let mut b = Builder::new("relu");
        let x = b.input("x", [1, 2, 2, 1]);
        let filter = Tensor::f32(&[1, 1, 1, 1], vec![1.0]).unwrap();
        let y = b.conv_2d("conv", x, filter, None, Conv2d::default());
        let z = b.relu("relu", y);
        let z = b.unary("six", z, Unary::Clamp(Clamp { min: -1.0, max: 6.0 }));
        let z = b.add("add", z, x);
        b.output("y", z);
        b.finish().unwrap()
    }

    #[test]
    fn limits_are_fused() {
        let mut graph = network();
        fuse_activation(&mut graph);
        remove_dead(&mut graph);
        graph.verify().unwrap();
        assert_eq!(
            graph.to_string(),
            "graph relu
  input  %x f32[1,2,2,1]  as [1, 1, 2, 2] by [0, 2, 3, 1]
  %six f32[1,2,2,1] = conv_2d(clamp=0..6) %x, %conv.filter f32[1,1,1,1]
  %y f32[1,2,2,1] = add %six, %x
  output %y  as [1, 1, 2, 2] by [0, 2, 3, 1]
"
        );
    }

    #[test]
    fn a_limit_after_another_rounding_stays() {
        let mut graph = network();
        let conv = graph.find_value("conv").unwrap();
        graph.value_mut(conv).quant = Some(Quant::per_tensor(0.1, 0));
        fuse_activation(&mut graph);
        assert!(graph.to_string().contains("%six f32[1,2,2,1] = clamp(clamp=0..6) %conv"));
    }
}
