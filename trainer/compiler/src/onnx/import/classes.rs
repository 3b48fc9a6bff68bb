//! The classes that scores stand for: their names, and which of them is the largest.
//!
//! A plan gives scores; whoever reads them finds the largest. So outputs that say which score is the
//! largest are left out, and the names of the classes become metadata.

use super::attributes::Reader;
use super::item::{Item, Place, Symbol};
use super::state::Import;
use crate::error::Result;

/// ArgMax: the place of the largest, which is not computed.
pub(super) fn arg_max(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    let scores = state.any_activation(node, 0)?;
    let rank = scores.view.axes.len();
    let axis = super::reshape::axis(node, node.int_or("axis", 0)?, rank)?;
    if scores.view.shape()[axis] != scores.view.shape().iter().product::<usize>() {
        return Err(node
            .fault(format!("the largest along axis {axis} of {:?} are several", scores.view.shape()))
            .remedy("cut the model before it: the scores are what runs on a device"));
    }
    // Of shape and ties of what is left out.
    let _left_out = (node.flag("keepdims", true)?, node.flag("select_last_index", false)?);
    let name = node.required(0)?.to_string();
    state.set(node.output()?, Item::Symbol(Symbol::Place(Place { scores, name })));
    Ok(())
}

/// ArrayFeatureExtractor and Gather of the names of classes by the place of the largest.
pub(super) fn class_of(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    let names = match state.item(node, 0)? {
        Item::Symbol(Symbol::Texts(names)) => Some(names.clone()),
        Item::Constant(c) => c.tensor.as_ints().map(|ints| ints.iter().map(i64::to_string).collect()),
        _ => None,
    };
    match (names, state.item(node, 1)?.clone()) {
        (Some(names), item @ Item::Symbol(Symbol::Place(_))) => {
            if let Item::Symbol(Symbol::Place(place)) = &item {
                state.name_classes(place.scores.value, names);
            }
            // Of an axis of what is left out.
            node.all_attributes();
            state.set(node.output()?, item);
            Ok(())
        }
        _ if node.operator() == "Gather" => super::cut::gather(state, node),
        _ => super::fold::only_constants(state, node),
    }
}

/// ZipMap: a map of class names to scores; the scores stay.
pub(super) fn zip_map(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    let scores = state.activation(node, 0)?;
    if let Some(names) = class_names(node, "classlabels_int64s", "classlabels_strings")? {
        state.name_classes(scores.value, names);
    }
    let name = node.output()?;
    state.graph.note(format!(
        "output `{name}` holds the scores of all classes in their order; the file makes a map of names and scores of them \
         (ZipMap)"
    ));
    state.set(name, Item::Activation(scores));
    Ok(())
}

/// Names of classes, given as integers or as texts.
pub(super) fn class_names(node: &Reader<'_>, ints: &str, texts: &str) -> Result<Option<Vec<String>>> {
    let of_ints = node.ints(ints)?.filter(|list| !list.is_empty());
    let of_texts = node.strings(texts)?.filter(|list| !list.is_empty());
    Ok(of_texts.or(of_ints.map(|list| list.iter().map(i64::to_string).collect())))
}

/// Where operand 0 is the place of the largest score, the result is the same place, however its
/// shape or type changes. False where it is not.
pub(super) fn passed_on(state: &mut Import, node: &Reader<'_>) -> Result<bool> {
    match state.item(node, 0)? {
        item @ Item::Symbol(Symbol::Place(_)) => {
            let item = item.clone();
            node.all_attributes();
            state.set(node.output()?, item);
            Ok(true)
        }
        _ => Ok(false),
    }
}
