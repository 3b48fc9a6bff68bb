//! Zeros around an activation become the padding of the convolution that reads it.

use crate::graph::{Graph, Op, Padding};

/// Fuses what can be fused.
pub fn fuse_pad(graph: &mut Graph) {
    let mut index = 0;
    while index < graph.nodes.len() {
        let Op::Pad { padding, value } = graph.nodes[index].op else {
            index += 1;
            continue;
        };
        let (input, output) = (graph.nodes[index].inputs[0], graph.nodes[index].output());
        let consumers = graph.consumers();
        let (before, after) = (&graph.value(input).quant, &graph.value(output).quant);
        let fits = value == 0.0
            && !graph.is_output(output)
            && (after.is_none() || before == after)
            && consumers[output.index()]
                .iter()
                .all(|&reader| matches!(graph.nodes[reader].op, Op::Conv2d(_) | Op::DepthwiseConv2d(_)));
        if !fits {
            index += 1;
            continue;
        }
        for &reader in &consumers[output.index()] {
            let node = &mut graph.nodes[reader];
            if let Op::Conv2d(c) | Op::DepthwiseConv2d(c) = &mut node.op {
                let own = c.padding;
                c.padding = Padding {
                    top: own.top + padding.top,
                    left: own.left + padding.left,
                    bottom: own.bottom + padding.bottom,
                    right: own.right + padding.right,
                };
                node.inputs[0] = input;
            }
        }
        graph.nodes.remove(index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Builder, Conv2d, Tensor};
    use crate::passes::remove_dead;

    #[test]
    fn padding_goes_into_the_convolution() {
        let mut b = Builder::new("pad");
        let x = b.input("x", [1, 2, 2, 1]);
        let y = b.pad("pad", x, Padding { top: 1, left: 0, bottom: 2, right: 1 });
        let filter = Tensor::f32(&[1, 3, 3, 1], vec![1.0; 9]).unwrap();
        let y = b.conv_2d("conv", y, filter, None, Conv2d::default());
        b.output("y", y);
        let mut graph = b.finish().unwrap();
        fuse_pad(&mut graph);
        remove_dead(&mut graph);
        graph.verify().unwrap();
        assert_eq!(
            graph.to_string(),
            "graph pad
  input  %x f32[1,2,2,1]  as [1, 1, 2, 2] by [0, 2, 3, 1]
  %y f32[1,3,1,1] = conv_2d(pad=1,0,2,1) %x, %conv.filter f32[1,3,3,1]
  output %y  as [1, 1, 3, 1] by [0, 2, 3, 1]
"
        );
    }
}
