//! Matrix products of two activations.

use teff::kernels::params;
use teff::plan::{OpKind, OpRecord};
use teff::quant::Multiplier;

use super::steps::{Cost, Lowering};
use crate::error::{Error, Result};
use crate::graph::{MatMul, Node};

pub(super) fn mat_mul(lowering: &mut Lowering<'_>, node: &Node, product: &MatMul) -> Result<()> {
    let inputs = [lowering.read(node.inputs[0])?, lowering.read(node.inputs[1])?];
    let output = lowering.define(node.output())?;
    let fault = |reason: String| Error::node(&node.name, node.op.name(), reason);
    let [lhs, rhs] = inputs.map(|i| lowering.operand(i).clone());
    let to = lowering.operand(output).clone();
    let inner = lhs.view.extent.c;
    if inner > params::MatMul::MAX_INNER {
        let most = params::MatMul::MAX_INNER;
        return Err(fault(format!("{inner} products per output; sums of up to {most} fit 32 bits"))
            .remedy("split the matrices along the axis that is summed over"));
    }
    let factor = f64::from(lhs.quant.scale) * f64::from(rhs.quant.scale) / f64::from(to.quant.scale);
    let multiplier = Multiplier::from_factor(factor).ok_or_else(|| {
        fault(format!("its scales give a factor of {factor:e}, out of range"))
            .remedy("calibrate the model again")
    })?;
    let (output_min, output_max) = lowering.clamp(product.activation, to.quant);
    let record = OpRecord {
        inputs,
        a: multiplier.mantissa,
        b: product.order.code(),
        shift: multiplier.shift,
        output_min,
        output_max,
        ..OpRecord::new(OpKind::MatMul, inputs[0], output)
    };
    let macs = to.view.extent.len().saturating_mul(inner);
    lowering.push_step(node, record, Cost { macs, ..Cost::default() });
    Ok(())
}
