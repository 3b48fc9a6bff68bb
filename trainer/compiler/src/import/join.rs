//! Activations one after the other along an axis.

use super::arrange::{Activation, Assembly, Site};
use super::view::View;
use crate::error::Result;
use crate::graph::{Op, ValueId};

/// Joins activations whose shapes differ along `axis` at most. Gives the result and how the file's
/// tensor looks at it.
pub(crate) fn join(
    state: &mut Assembly,
    node: &dyn Site,
    parts: &[Activation],
    axis: usize,
) -> Result<(ValueId, View)> {
    // The first operand whose axis is longer than 1 says where in the bytes the axis lies.
    let template = parts.iter().find(|p| !p.view.axes[axis].is_empty());
    let (before, reference) = match template {
        Some(part) => (part.view.axes[axis].iter().copied().min().unwrap_or(0), part),
        None => {
            let part = &parts[0];
            let before = part.view.axes[..axis].iter().map(Vec::len).sum();
            // As channels where the other axes already lie as convolutions leave them.
            let before = if part.view.is_in_order() { before } else { part.view.atoms.len() };
            (before, part)
        }
    };
    // Every other axis must lie in the same order in all operands.
    let rest_of = |p: &Activation| -> Vec<Vec<usize>> {
        let own = &p.view.axes[axis];
        let place = |a: usize| a - own.iter().filter(|&&o| o < a).count();
        let axes = p.view.axes.iter().enumerate();
        axes.filter(|(i, _)| *i != axis).map(|(_, l)| l.iter().map(|&a| place(a)).collect()).collect()
    };
    let pattern = rest_of(reference);
    for part in parts {
        let own = &part.view.axes[axis];
        let start = own.iter().copied().min().unwrap_or(before);
        if rest_of(part) != pattern || !part.view.lies_at(start, own) || start != before {
            // Ask for the reference's order where the operand's can still be chosen.
            let rest = part.view.axes.iter().enumerate().filter(|(i, _)| *i != axis);
            let mut flat: Vec<(usize, usize)> = rest
                .flat_map(|(_, l)| l.iter().copied())
                .zip(pattern.iter().flatten().copied())
                .map(|(atom, place)| (place, atom))
                .collect();
            flat.sort_unstable();
            let mut wanted: Vec<usize> = flat.into_iter().map(|(_, atom)| atom).collect();
            for (i, &atom) in own.iter().enumerate() {
                wanted.insert((before + i).min(wanted.len()), atom);
            }
            state.arranged(node, part, &wanted)?;
            return Err(node.error("its operands lie in different orders".into()));
        }
    }

    let pre: usize = reference.view.atoms[..before].iter().map(|a| a.size).product();
    let own_len = reference.view.axes[axis].len();
    let post: usize = reference.view.atoms[before + own_len..].iter().map(|a| a.size).product();
    let sizes: Vec<usize> = parts.iter().map(|p| p.view.size_of(&p.view.axes[axis])).collect();
    let total = sizes.iter().sum();
    let shapes: Vec<[usize; 4]> =
        parts.iter().map(|p| state.graph.value(p.value).nhwc().unwrap_or([1; 4])).collect();
    // The axis of the values as they are, or of a common view of them.
    let fits = |a: usize| {
        shapes.iter().zip(&sizes).all(|(s, &size)| {
            s[a] == size
                && s[..a].iter().product::<usize>() == pre
                && (0..4).all(|other| other == a || s[other] == shapes[0][other])
        })
    };
    let (inputs, ir_axis): (Vec<ValueId>, usize) = match (1..4).rev().find(|&a| fits(a)) {
        Some(a) => (parts.iter().map(|p| p.value).collect(), a),
        None => {
            let ir_axis = if post == 1 { 3 } else { 2 };
            let seen = parts.iter().zip(&sizes).map(|(p, &size)| {
                let nhwc = if post == 1 { [1, pre, 1, size] } else { [1, pre, size, post] };
                state.shaped(p.value, nhwc)
            });
            (seen.collect(), ir_axis)
        }
    };
    let view = reference.view.with_axis(axis, total, before);
    let result = state.push(node, Op::Concat { axis: ir_axis }, &inputs)?;
    Ok((result, view))
}
