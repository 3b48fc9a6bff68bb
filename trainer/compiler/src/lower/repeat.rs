//! Activations whose axes of size 1 are repeated: the maximum over windows that each see one element, the others being
//! padding. It copies, exactly, with an operator that there is.

use teff::kernels::params::Window;
use teff::plan::{OpKind, OpRecord};
use teff::shape::View;

use super::steps::{Cost, Lowering};
use crate::error::{Error, Result};
use crate::graph::Node;

/// The operand, in the arena, with its axes of size 1 repeated to the extent of `view`.
pub(super) fn to_view(lowering: &mut Lowering<'_>, node: &Node, index: u16, view: View) -> Result<u16> {
    let (from, to) = (lowering.operand(index).view.extent, view.extent);
    if from == to {
        return Ok(index);
    }
    let fits = [(from.h, to.h), (from.w, to.w), (from.c, to.c)].iter().all(|&(a, b)| a == b || a == 1);
    if !fits {
        let reason = format!("an operand of {from:?} does not repeat to {to:?}");
        return Err(Error::node(&node.name, node.op.name(), reason).remedy("use operands of one shape"));
    }
    let mut index = index;
    if from.c != to.c {
        // Every place is a row of its own, and its channels are the places of that row.
        let rows = lowering.alias(index, View::new(from.h * from.w, 1, 1, view.layout))?;
        let wide = repeated(lowering, node, rows, View::new(from.h * from.w, to.c, 1, view.layout))?;
        index = lowering.alias(wide, View::new(from.h, from.w, to.c, view.layout))?;
    }
    if (from.h, from.w) != (to.h, to.w) {
        index = repeated(lowering, node, index, view)?;
    }
    Ok(index)
}

/// Rows and columns of which there is one, repeated.
fn repeated(lowering: &mut Lowering<'_>, node: &Node, index: u16, view: View) -> Result<u16> {
    let from = lowering.operand(index).clone();
    let times = |from: usize, to: usize| if from == to { 1 } else { to };
    let (h, w) = (times(from.view.extent.h, view.extent.h), times(from.view.extent.w, view.extent.w));
    if h.max(w) > usize::from(u16::MAX) {
        return Err(Error::node(&node.name, node.op.name(), "an axis above 65,535 is repeated"));
    }
    let output = lowering.temporary(&format!("{} repeated", from.name), view, from.quant)?;
    let window = Window {
        filter_h: h,
        filter_w: w,
        stride_h: 1,
        stride_w: 1,
        dilation_h: 1,
        dilation_w: 1,
        pad_top: h - 1,
        pad_left: w - 1,
    };
    let record = OpRecord {
        window,
        output_min: i8::MIN,
        output_max: i8::MAX,
        ..OpRecord::new(OpKind::MaxPool2d, index, output)
    };
    lowering.push_step(node, record, Cost::default());
    Ok(output)
}
