//! Checks that a graph is sound.

use std::collections::BTreeSet;

use super::{ElementType, Graph, Node, Op, Port, Value, infer};
use crate::error::{Error, Result};

impl Graph {
    /// Checks names, order, shapes, quantization and ports.
    ///
    /// # Errors
    /// Names the first node or value that does not hold.
    pub fn verify(&self) -> Result<()> {
        self.verify_values()?;
        self.verify_nodes()?;
        if self.outputs.is_empty() {
            return Err(Error::model("the model has no output"));
        }
        let mut names = BTreeSet::new();
        for port in self.inputs.iter().chain(&self.outputs) {
            if port.name.is_empty() || !names.insert(port.name.as_str()) {
                return Err(Error::value(&port.name, "each input and output needs a name of its own"));
            }
            self.verify_port(port)?;
        }
        Ok(())
    }

    fn verify_values(&self) -> Result<()> {
        let mut names = BTreeSet::new();
        for value in self.values() {
            if !names.insert(value.name.as_str()) {
                return Err(Error::value(&value.name, "two values have this name"));
            }
            let Some(len) = super::checked_len(&value.shape) else {
                return Err(Error::value(&value.name, format!("shape {:?} is too large", value.shape)));
            };
            if len == 0 {
                return Err(Error::value(&value.name, format!("shape {:?} is empty", value.shape)));
            }
            match &value.constant {
                Some(tensor) if tensor.shape() != value.shape => {
                    return Err(Error::value(
                        &value.name,
                        format!("shape {:?} but constant {:?}", value.shape, tensor.shape()),
                    ));
                }
                Some(_) => {}
                None if value.shape.len() != 4 => {
                    return Err(Error::value(
                        &value.name,
                        format!("an activation has four axes, not {:?}", value.shape),
                    ));
                }
                None => {}
            }
            verify_quant(value)?;
        }
        Ok(())
    }

    fn verify_nodes(&self) -> Result<()> {
        let mut known = vec![false; self.values().len()];
        for id in self.value_ids() {
            known[id.index()] = self.value(id).is_constant();
        }
        for port in &self.inputs {
            known[port.value.index()] = true;
        }
        let mut names = BTreeSet::new();
        for node in &self.nodes {
            let fault = |reason: String| Error::node(&node.name, node.op.name(), reason);
            if !names.insert(node.name.as_str()) {
                return Err(fault("two nodes have this name".into()));
            }
            let wanted = operand_count(&node.op);
            if !wanted.contains(&node.inputs.len()) {
                return Err(fault(format!("{} operands", node.inputs.len())));
            }
            for input in &node.inputs {
                if !known[input.index()] {
                    return Err(fault(format!(
                        "`{}` is read before it is produced",
                        self.value(*input).name
                    )));
                }
            }
            self.verify_operands(node)?;
            if node.outputs.len() != 1 {
                return Err(fault(format!("{} results", node.outputs.len())));
            }
            for output in &node.outputs {
                if std::mem::replace(&mut known[output.index()], true) {
                    return Err(fault(format!("`{}` is produced twice", self.value(*output).name)));
                }
            }
            let shapes: Vec<&[usize]> = node.inputs.iter().map(|&i| self.value(i).shape.as_slice()).collect();
            let shape = infer::output_shape(&node.op, &shapes).map_err(fault)?;
            let output = self.value(node.output());
            if output.shape != shape {
                return Err(fault(format!(
                    "the result has shape {shape:?}, `{}` has {:?}",
                    output.name, output.shape
                )));
            }
        }
        Ok(())
    }

    fn verify_operands(&self, node: &Node) -> Result<()> {
        let first_constant = match node.op {
            Op::Conv2d(_) | Op::DepthwiseConv2d(_) | Op::FullyConnected { .. } | Op::ScaleShift => 1,
            _ => return Ok(()),
        };
        for &input in &node.inputs[first_constant..] {
            if !self.value(input).is_constant() {
                return Err(Error::node(
                    &node.name,
                    node.op.name(),
                    format!("`{}` must be a constant", self.value(input).name),
                ));
            }
        }
        Ok(())
    }

    fn verify_port(&self, port: &Port) -> Result<()> {
        let value = self.value(port.value);
        let fault = |reason: String| Err(Error::value(&port.name, reason));
        let len = super::checked_len(&port.shape);
        if len != Some(value.len()) || super::checked_len(&port.axes) != len {
            return fault(format!("ONNX shape {:?} does not hold the value {:?}", port.shape, value.shape));
        }
        let mut order = port.permutation.clone();
        order.sort_unstable();
        if order != (0..port.axes.len()).collect::<Vec<_>>() {
            return fault(format!("{:?} does not order {:?}", port.permutation, port.axes));
        }
        Ok(())
    }
}

/// How many operands an operator takes.
fn operand_count(op: &Op) -> std::ops::RangeInclusive<usize> {
    match op {
        Op::Conv2d(_) | Op::DepthwiseConv2d(_) | Op::FullyConnected { .. } => 2..=3,
        Op::ScaleShift => 3..=3,
        Op::Add { .. } | Op::Sub { .. } | Op::Mul { .. } | Op::MatMul(_) => 2..=2,
        Op::Concat { .. } => 1..=usize::MAX,
        Op::MaxPool2d(_)
        | Op::AveragePool2d(_)
        | Op::Pad { .. }
        | Op::Reshape { .. }
        | Op::Softmax
        | Op::Unary(_)
        | Op::Requantize => 1..=1,
    }
}

fn verify_quant(value: &Value) -> Result<()> {
    let Some(quant) = &value.quant else {
        if matches!(value.element_type(), ElementType::I8 | ElementType::I32) {
            return Err(Error::value(&value.name, "integers without a scale"));
        }
        return Ok(());
    };
    let fault = |reason: String| Err(Error::value(&value.name, reason));
    if let Some(bad) = quant.scales.iter().find(|s| !(s.is_finite() && **s > 0.0)) {
        return fault(format!("a scale is {bad}"));
    }
    let wanted = match quant.channel_axis {
        None => 1,
        Some(axis) => match value.shape.get(axis) {
            Some(&channels) => channels,
            None => return fault(format!("there is no channel axis {axis}")),
        },
    };
    if quant.scales.len() != wanted {
        return fault(format!("{} scales for {wanted} channels", quant.scales.len()));
    }
    let range = match quant.element_type {
        ElementType::I8 => -128..=127,
        ElementType::I32 => 0..=0,
        ElementType::F32 => return fault("real numbers have no quantization".into()),
    };
    if !range.contains(&quant.zero_point) {
        return fault(format!("zero point {} is out of range", quant.zero_point));
    }
    if value.constant.is_some() && value.element_type() != quant.element_type {
        return fault(format!(
            "{} numbers quantized as {}",
            value.element_type().name(),
            quant.element_type.name()
        ));
    }
    if value.constant.is_none() && quant.channel_axis.is_some() {
        return fault("an activation is quantized per tensor".into());
    }
    Ok(())
}
