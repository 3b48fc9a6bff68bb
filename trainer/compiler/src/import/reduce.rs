//! One number for all elements along some axes.

use super::arrange::{Activation, Assembly, Site};
use super::view::View;
use crate::error::Result;
use crate::graph::{Op, Pool2d, ValueId};

/// Mean or maximum over axes: a pooling whose window is the axes taken together. Gives the result
/// and how the file's tensor looks at it; without `keep` the axes are gone.
pub(crate) fn reduce(
    state: &mut Assembly,
    node: &dyn Site,
    x: &Activation,
    axes: &[usize],
    keep: bool,
    op: fn(Pool2d) -> Op,
) -> Result<(ValueId, View)> {
    let mut reduced: Vec<usize> = axes.iter().flat_map(|&a| x.view.axes[a].clone()).collect();
    reduced.sort_unstable();
    let first = reduced.first().copied().unwrap_or(0);
    if !x.view.lies_at(first, &reduced) {
        let rest = (0..x.view.atoms.len()).filter(|a| !reduced.contains(a));
        let order: Vec<usize> = reduced.iter().copied().chain(rest).collect();
        state.arranged(node, x, &order)?;
    }
    let before: usize = x.view.atoms[..first].iter().map(|a| a.size).product();
    let inside = x.view.size_of(&reduced);
    let after: usize = x.view.atoms[first + reduced.len()..].iter().map(|a| a.size).product();
    let own = state.graph.value(x.value).nhwc().unwrap_or([1; 4]);
    let (nhwc, filter) = if before == 1 && own[1] * own[2] == inside && own[3] == after {
        (own, [own[1], own[2]])
    } else if before == 1 {
        ([1, inside, 1, after], [inside, 1])
    } else {
        ([1, before, inside, after], [1, inside])
    };
    let value = state.shaped(x.value, nhwc);
    let pool = Pool2d { filter, ..Pool2d::default() };
    let result = state.push(node, op(pool), &[value])?;
    let mut view = x.view.detached();
    view.atoms.drain(first..first + reduced.len());
    for list in &mut view.axes {
        list.retain(|a| !reduced.contains(a));
        for atom in list.iter_mut() {
            if *atom > first {
                *atom -= reduced.len();
            }
        }
    }
    if !keep {
        let mut index = 0;
        view.axes.retain(|_| {
            index += 1;
            !axes.contains(&(index - 1))
        });
    }
    Ok((result, view))
}
