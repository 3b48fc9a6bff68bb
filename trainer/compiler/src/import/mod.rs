//! What the importers of all formats share: how tensors look at the bytes of values, and the graph
//! while it is put together.
//!
//! Transposing and reshaping change how a tensor looks at the bytes and become no operators. The
//! order in which the bytes of a model input lie is free: an operator that needs another one asks
//! for it ([`Assembly::arranged`]), and the import starts again with that order.

mod absorb;
mod arrange;
mod binary;
mod constant;
mod half;
mod join;
mod mat_mul;
mod reduce;
mod view;

pub(crate) use absorb::absorb;
pub(crate) use arrange::{Activation, Assembly, InputOrders, MAX_ELEMENTS, MAX_NODES, Site, with_orders};
pub(crate) use binary::combine;
pub(crate) use constant::{Arithmetic, ConstantOperand, combine_with_constant, push_scale_shift};
pub(crate) use half::half;
pub(crate) use join::join;
pub(crate) use mat_mul::multiply;
pub(crate) use reduce::reduce;
pub(crate) use view::View;
