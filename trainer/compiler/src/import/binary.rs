//! Two activations combined element by element.

use super::arrange::{Activation, Assembly, Site};
use super::view::View;
use crate::error::Result;
use crate::graph::{Op, ValueId};

/// A sum, difference or product of two activations; axes of size 1 are repeated. Gives the result
/// and how the file's tensor looks at it.
pub(crate) fn combine(
    state: &mut Assembly,
    node: &dyn Site,
    op: Op,
    mut a: Activation,
    mut b: Activation,
) -> Result<(ValueId, View)> {
    let rank = a.view.axes.len().max(b.view.axes.len());
    for view in [&mut a.view, &mut b.view] {
        while view.axes.len() < rank {
            view.axes.insert(0, Vec::new());
        }
    }
    let swap = a.view.atoms.len() < b.view.atoms.len();
    let (full, part) = if swap { (&b, &a) } else { (&a, &b) };
    let places = match places_in(&full.view, &part.view) {
        Some(places) => places,
        None => {
            return Err(node.error(format!(
                "shapes {:?} and {:?} cannot be combined",
                a.view.shape(),
                b.view.shape()
            )));
        }
    };
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by_key(|&i| places[i]);
    if !part.view.lies_at(0, &order) && part.view.origin.is_none() && full.view.origin.is_some() {
        // The other operand's order is fixed, so the full one's must follow.
        let mut wanted: Vec<usize> = places.clone();
        wanted.extend((0..full.view.atoms.len()).filter(|p| !places.contains(p)));
        state.arranged(node, full, &wanted)?;
    }
    state.arranged(node, part, &order)?;

    // Sizes of the part's four axes: those of the full value, or 1.
    let whole = state.graph.value(full.value).nhwc().unwrap_or([1; 4]);
    let present: Vec<bool> = (0..full.view.atoms.len()).map(|p| places.contains(&p)).collect();
    let shapes = match group(&full.view, whole, &present) {
        Some(part_shape) => Some((whole, part_shape)),
        None => {
            let all = [1, 1, 1, full.view.atoms.iter().map(|a| a.size).product()];
            present.iter().all(|p| *p).then_some((all, all))
        }
    };
    let Some((whole, part_shape)) = shapes else {
        return Err(node.error(format!(
            "repeating {:?} over {:?} is not supported",
            part.view.shape(),
            full.view.shape()
        )));
    };
    let (full_value, part_value) = (state.shaped(full.value, whole), state.shaped(part.value, part_shape));
    let inputs = if swap { [part_value, full_value] } else { [full_value, part_value] };
    let view = full.view.detached();
    let result = state.push(node, op, &inputs)?;
    Ok((result, view))
}

/// For each atom of `part`, the atom of `full` that it runs along. Axes of size 1 are repeated.
fn places_in(full: &View, part: &View) -> Option<Vec<usize>> {
    let mut places = vec![0; part.atoms.len()];
    for (f, p) in full.axes.iter().zip(&part.axes) {
        if p.is_empty() {
            continue;
        }
        if f.len() != p.len() {
            return None;
        }
        for (&f, &p) in f.iter().zip(p) {
            if full.atoms[f].size != part.atoms[p].size {
                return None;
            }
            places[p] = f;
        }
    }
    Some(places)
}

/// The four axes of `whole`, with 1 for those whose atoms are not present; `None` where some of
/// an axis' atoms are and others are not.
fn group(view: &View, whole: [usize; 4], present: &[bool]) -> Option<[usize; 4]> {
    let mut shape = whole;
    let mut atom = 0;
    for size in &mut shape {
        let mut covered = 1;
        let start = atom;
        while covered < *size {
            covered *= view.atoms.get(atom)?.size;
            atom += 1;
        }
        if covered != *size {
            return None;
        }
        let here = &present[start..atom];
        if here.iter().all(|p| !p) {
            *size = 1;
        } else if !here.iter().all(|p| *p) {
            return None;
        }
    }
    Some(shape)
}
