//! Stable text of a graph, for people and for snapshot tests.

use std::fmt::{self, Write};

use super::{Clamp, Graph, Op, Padding, Quant, Unary, Value};

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "graph {}", self.name)?;
        for port in &self.inputs {
            write!(f, "  input  {}", describe(self.value(port.value)))?;
            writeln!(f, "  as {:?} by {:?}", port.shape, port.permutation)?;
        }
        for node in &self.nodes {
            let outputs: Vec<String> = node.outputs.iter().map(|&o| describe(self.value(o))).collect();
            let inputs: Vec<String> = node
                .inputs
                .iter()
                .map(|&i| {
                    let value = self.value(i);
                    if value.is_constant() { describe(value) } else { format!("%{}", value.name) }
                })
                .collect();
            write!(f, "  {} = {}", outputs.join(", "), node.op.name())?;
            f.write_str(&attributes(&node.op))?;
            writeln!(f, " {}", inputs.join(", "))?;
        }
        for port in &self.outputs {
            write!(f, "  output %{}", self.value(port.value).name)?;
            writeln!(f, "  as {:?} by {:?}", port.shape, port.permutation)?;
        }
        Ok(())
    }
}

/// `%name f32[1,4,4,2]`, `%name i8[1,4,4,2]{0.5,-3}`.
fn describe(value: &Value) -> String {
    let sizes: Vec<String> = value.shape.iter().map(usize::to_string).collect();
    let mut text = format!("%{} {}[{}]", value.name, value.element_type().name(), sizes.join(","));
    if let Some(quant) = &value.quant {
        text.push_str(&describe_quant(quant));
    }
    text
}

fn describe_quant(quant: &Quant) -> String {
    match quant.channel_axis {
        None => format!("{{{},{}}}", quant.scale(), quant.zero_point),
        Some(axis) => {
            let least = quant.scales.iter().copied().fold(f32::INFINITY, f32::min);
            let most = quant.scales.iter().copied().fold(0.0, f32::max);
            format!("{{{least}..{most} by axis {axis}}}")
        }
    }
}

fn attributes(op: &Op) -> String {
    let mut parts: Vec<String> = Vec::new();
    match op {
        Op::Conv2d(c) | Op::DepthwiseConv2d(c) => {
            if c.stride != [1, 1] {
                parts.push(format!("stride={}x{}", c.stride[0], c.stride[1]));
            }
            if c.dilation != [1, 1] {
                parts.push(format!("dilation={}x{}", c.dilation[0], c.dilation[1]));
            }
            push_padding(&mut parts, &c.padding);
            if matches!(op, Op::Conv2d(_)) && c.groups != 1 {
                parts.push(format!("groups={}", c.groups));
            }
        }
        Op::MaxPool2d(p) | Op::AveragePool2d(p) => {
            parts.push(format!("filter={}x{}", p.filter[0], p.filter[1]));
            parts.push(format!("stride={}x{}", p.stride[0], p.stride[1]));
            push_padding(&mut parts, &p.padding);
            if p.count_padding {
                parts.push("count_padding".into());
            }
        }
        Op::MatMul(product) => {
            let order = &product.order;
            for (holds, text) in [
                (order.rhs_transposed, "rhs=transposed"),
                (order.lhs_by_row, "lhs=by_row"),
                (order.rhs_by_row, "rhs=by_row"),
                (order.output_by_row, "result=by_row"),
            ] {
                if holds {
                    parts.push(text.into());
                }
            }
        }
        Op::Concat { axis } => parts.push(format!("axis={axis}")),
        Op::Pad { padding, value } => {
            push_padding(&mut parts, padding);
            parts.push(format!("value={value}"));
        }
        Op::Unary(unary) => match unary {
            Unary::Clamp(c) if *c != Clamp::RELU => parts.push(range(c)),
            Unary::Linear { scale, offset } => {
                parts.push(format!("scale={scale}"));
                parts.push(format!("offset={offset}"));
            }
            Unary::HardSigmoid { alpha, beta } => {
                parts.push(format!("alpha={alpha}"));
                parts.push(format!("beta={beta}"));
            }
            Unary::Swish { alpha } | Unary::LeakyRelu { alpha } | Unary::ThresholdedRelu { alpha } => {
                parts.push(format!("alpha={alpha}"));
            }
            Unary::Elu { alpha, gamma, width } => {
                parts.push(format!("alpha={alpha}"));
                parts.push(format!("gamma={gamma}"));
                parts.push(format!("width={width}"));
            }
            Unary::Gelu { tanh: true } => parts.push("tanh".into()),
            Unary::Pow { exponent } => parts.push(format!("exponent={exponent}")),
            _ => {}
        },
        _ => {}
    }
    if let Some(clamp) = op.activation() {
        if clamp == Clamp::RELU {
            parts.push("relu".into());
        } else if !clamp.is_none() {
            parts.push(range(&clamp));
        }
    }
    let mut text = String::new();
    if !parts.is_empty() {
        let _ = write!(text, "({})", parts.join(" "));
    }
    text
}

fn range(clamp: &Clamp) -> String {
    format!("clamp={}..{}", clamp.min, clamp.max)
}

fn push_padding(parts: &mut Vec<String>, p: &Padding) {
    if !p.is_zero() {
        parts.push(format!("pad={},{},{},{}", p.top, p.left, p.bottom, p.right));
    }
}
