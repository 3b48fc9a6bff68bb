//! Values that share one quantization.

use crate::error::{Error, Result};
use crate::graph::{Graph, Op, Quant, Unary, ValueId};

/// The values of a graph that share one quantization.
#[derive(Debug, Clone)]
pub(super) struct Group {
    /// In the order of their ids.
    pub members: Vec<ValueId>,
    /// The quantization that the functions behind all of them fix.
    pub fixed: Option<Quant>,
    /// Numbers that the group holds besides those that were observed.
    extra: Option<(f32, f32)>,
}

/// The quantization that the range of a function fixes.
fn fixed_quant(op: &Op) -> Option<Quant> {
    match op {
        Op::Softmax | Op::Unary(Unary::Sigmoid | Unary::HardSigmoid { .. }) => {
            Some(Quant::per_tensor(1.0 / 256.0, -128))
        }
        Op::Unary(Unary::Tanh | Unary::Softsign | Unary::Erf) => Some(Quant::per_tensor(1.0 / 128.0, 0)),
        _ => None,
    }
}

/// Operators whose output has the quantization of their inputs.
fn shares_quant(graph: &Graph, op: &Op, input: ValueId) -> bool {
    match op {
        Op::Reshape { .. } | Op::MaxPool2d(_) | Op::Concat { .. } | Op::Pad { .. } | Op::Requantize => true,
        // The mean over everything has a much smaller range than what it is taken of, and a scale
        // of its own; smaller windows share that of their input and are divided exactly.
        Op::AveragePool2d(pool) => {
            let shape = &graph.value(input).shape;
            pool.filter != [shape[1], shape[2]] || !pool.padding.is_zero()
        }
        _ => false,
    }
}

/// The groups of a graph, in the order of their first members. Every activation is in one.
pub(super) fn groups(graph: &Graph) -> Vec<Group> {
    // Values that share a quantization form groups, named by one of their members.
    let mut leader: Vec<usize> = (0..graph.values().len()).collect();
    fn root(leader: &[usize], mut id: usize) -> usize {
        while leader[id] != id {
            id = leader[id];
        }
        id
    }
    for node in &graph.nodes {
        if shares_quant(graph, &node.op, node.inputs[0]) {
            for input in &node.inputs {
                let (a, b) = (root(&leader, input.index()), root(&leader, node.output().index()));
                leader[a.max(b)] = a.min(b);
            }
        }
    }
    let mut groups: Vec<Option<Group>> = vec![None; leader.len()];
    // A group has a fixed quantization only where every number in it comes from such functions.
    let mut free = vec![false; leader.len()];
    let producers = graph.producers();
    for id in graph.value_ids().filter(|&id| !graph.value(id).is_constant()) {
        let at = root(&leader, id.index());
        let group = groups[at].get_or_insert(Group { members: Vec::new(), fixed: None, extra: None });
        group.members.push(id);
        let Some(node) = producers[id.index()].map(|p| &graph.nodes[p]) else {
            free[at] = true;
            continue;
        };
        let mut widen = |(least, most): (f32, f32)| {
            let old = group.extra.unwrap_or((least, most));
            group.extra = Some((old.0.min(least), old.1.max(most)));
        };
        if let Op::Pad { value, .. } = node.op {
            widen((value, value));
        }
        if let Some(quant) = fixed_quant(&node.op) {
            widen((0.0, 255.0 / 256.0));
            match &group.fixed {
                Some(other) if *other != quant => free[at] = true,
                _ => group.fixed = Some(quant),
            }
        } else if !shares_quant(graph, &node.op, node.inputs[0]) {
            free[at] = true;
        }
    }
    for (group, free) in groups.iter_mut().zip(free) {
        if let (Some(group), true) = (group, free) {
            group.fixed = None;
        }
    }
    groups.into_iter().flatten().collect()
}

impl Group {
    /// The range that holds those of all members.
    ///
    /// # Errors
    /// Nothing was seen of one.
    pub fn joint(&self, graph: &Graph, range: impl Fn(ValueId) -> Option<(f32, f32)>) -> Result<(f32, f32)> {
        let mut joint = self.extra;
        for &id in &self.members {
            let (least, most) = range(id)
                .ok_or_else(|| Error::value(&graph.value(id).name, "it was not seen in calibration"))?;
            let old = joint.unwrap_or((least, most));
            joint = Some((old.0.min(least), old.1.max(most)));
        }
        Ok(joint.unwrap_or((0.0, 0.0)))
    }
}

/// Scale and zero point of an activation that takes numbers from `least` to `most`. Zero is always
/// among the numbers that are met exactly.
pub fn activation_quant(least: f32, most: f32) -> Quant {
    let (least, most) = (f64::from(least.min(0.0)), f64::from(most.max(0.0)));
    let scale = ((most - least) / 255.0) as f32;
    // A value that is always zero, or nearly, still needs a scale.
    let scale = if scale < 1e-12 { 1.0 / 256.0 } else { scale };
    let zero_point = teff::quant::round_half_away(-128.0 - least / f64::from(scale));
    Quant::per_tensor(scale, zero_point.clamp(-128, 127) as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_exact_and_scales_are_positive() {
        for (least, most) in [(0.0, 0.0), (-1.0, 1.0), (0.5, 2.0), (-3.0, -1.0), (-1e-30, 1e-30)] {
            let quant = activation_quant(least, most);
            assert!(quant.scale() > 0.0 && (-128..=127).contains(&quant.zero_point));
        }
        let relu = activation_quant(0.0, 2.55);
        assert_eq!((relu.zero_point, relu.scale()), (-128, 0.01));
    }
}
