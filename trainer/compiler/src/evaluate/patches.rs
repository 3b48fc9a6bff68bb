//! What the channels of a layer read at one place.

use crate::graph::{Conv2d, Graph, Op};

/// Gathers the inputs of the sums of a convolution or matrix product, in the order of the weights of one channel.
#[derive(Debug)]
pub(crate) struct Patches {
    conv: Conv2d,
    /// Rows and columns of the filter.
    window: [usize; 2],
    /// Channels that one output channel reads.
    depth: usize,
    groups: usize,
    x_shape: [usize; 4],
    y_shape: [usize; 4],
}

impl Patches {
    /// For one node. Operators without weights read nothing.
    pub fn new(graph: &Graph, index: usize) -> Patches {
        let node = &graph.nodes[index];
        let shape = |id| graph.value(id).nhwc().unwrap_or([1; 4]);
        let (x_shape, y_shape) = (shape(node.inputs[0]), shape(node.output()));
        let filter = node.inputs.get(1).map_or([1; 4], |&id| shape(id));
        let (conv, window, depth, groups) = match &node.op {
            Op::Conv2d(conv) => (*conv, [filter[1], filter[2]], filter[3], conv.groups.max(1)),
            Op::DepthwiseConv2d(conv) => (*conv, [filter[1], filter[2]], 1, x_shape[3]),
            _ => (Conv2d::default(), [1, 1], x_shape[3], 1),
        };
        Patches { conv, window, depth, groups, x_shape, y_shape }
    }

    /// How many numbers one channel's sum reads.
    pub fn len(&self) -> usize {
        self.window[0] * self.window[1] * self.depth
    }

    /// Number of places of the result.
    pub fn places(&self) -> usize {
        self.y_shape[..3].iter().product()
    }

    /// Number of groups of channels that read different inputs.
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// Appends what the channels of one group read at one place.
    pub fn append(&self, x: &[f32], place: usize, group: usize, to: &mut Vec<f32>) {
        let [_, height, width, channels] = self.x_shape;
        let columns = self.y_shape[2];
        let (oy, ox) = (place / columns % self.y_shape[1], place % columns);
        let conv = &self.conv;
        for ky in 0..self.window[0] {
            let iy = (oy * conv.stride[0] + ky * conv.dilation[0]).wrapping_sub(conv.padding.top);
            for kx in 0..self.window[1] {
                let ix = (ox * conv.stride[1] + kx * conv.dilation[1]).wrapping_sub(conv.padding.left);
                let start = iy.wrapping_mul(width).wrapping_add(ix).wrapping_mul(channels);
                let start = start.wrapping_add(group * self.depth);
                match x.get(start..start.wrapping_add(self.depth)) {
                    Some(numbers) if iy < height && ix < width => to.extend_from_slice(numbers),
                    _ => to.resize(to.len() + self.depth, 0.0),
                }
            }
        }
    }
}
