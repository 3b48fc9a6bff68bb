//! QUANTIZE and DEQUANTIZE.

use super::node::Node;
use super::state::{Import, Item};
use crate::error::Result;
use crate::graph::{Op, PortType};
use crate::import::Activation;

pub(super) fn quantize(state: &mut Import<'_, '_>, node: &Node<'_>) -> Result<()> {
    let x = state.activation(node, 0)?;
    let (kind, quant) = state.result_type(node)?;
    if kind == PortType::F32 {
        return Err(node.fault("its result is real").remedy("the file is damaged"));
    }
    let mut value = x.value;
    if state.graph.value(value).quant != quant {
        value = state.push(node, Op::Requantize, &[value])?;
        state.graph.value_mut(value).quant = quant;
    }
    state.set(node.output(), Item::Activation(Activation { value, kind, ..x }));
    Ok(())
}

pub(super) fn dequantize(state: &mut Import<'_, '_>, node: &Node<'_>) -> Result<()> {
    let (kind, _) = state.result_type(node)?;
    if kind != PortType::F32 {
        return Err(node.fault("its result is not real").remedy("the file is damaged"));
    }
    match state.item(node, 0)? {
        Item::Constant(constant) => {
            let real = constant.real()?;
            state.set(node.output(), Item::Constant(real));
        }
        _ => {
            let x = state.activation(node, 0)?;
            if x.kind == PortType::F32 {
                return Err(node.fault("it reads real numbers").remedy("the file is damaged"));
            }
            state.set(node.output(), Item::Activation(Activation { kind, ..x }));
        }
    }
    Ok(())
}
