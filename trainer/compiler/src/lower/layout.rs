//! Which values lie planar: channel by channel within each row.
//!
//! A row has the same bytes in both layouts, and no operator turns one into the other. No kernel is faster with planar
//! values today, so that all lie NHWC unless a caller asks for planar ones.

use std::collections::BTreeSet;

use teff::shape::Layout;

use crate::graph::{Graph, Op, ValueId};

/// The values that can lie planar, if `wish` is that.
pub(super) fn planar_values(graph: &Graph, wish: Option<Layout>) -> BTreeSet<ValueId> {
    if wish != Some(Layout::Planar) {
        return BTreeSet::new();
    }
    let readers = graph.consumers();
    let writes_any = |op: &Op| {
        matches!(op, Op::Conv2d(_) | Op::DepthwiseConv2d(_) | Op::MaxPool2d(_) | Op::AveragePool2d(_))
    };
    let is_free = |value: ValueId| {
        !graph.is_output(value)
            && readers[value.index()].iter().all(|&reader| {
                let node = &graph.nodes[reader];
                writes_any(&node.op) && node.inputs.first() == Some(&value)
            })
    };
    let written = graph.nodes.iter().filter(|node| writes_any(&node.op)).map(|node| node.output());
    written.filter(|&value| is_free(value)).collect()
}
