//! A quantized graph in exact arithmetic: what each operator should ideally give for given integers.
//!
//! Sums are taken in integers, scales are the rational numbers that their floats are, and the real result is rounded
//! once, ties away from zero. Functions (softmax, sigmoid, …) are computed in double precision by `libm`. The rounding
//! rules of other engines stand beside it ([`Rule`]), so that every engine can be measured with one ruler.

mod quotient;
mod rules;
mod sums;

use teff::quant::round_half_away;

use super::elementwise::steps;
use super::mat_mul;
use crate::error::{Error, Result};
use crate::graph::{Clamp, ElementType, Elements, Graph, Node, Op, Pool2d, Quant, Value, ValueId};
use quotient::{Dyadic, Quotient, Rounded};
pub use rules::Rule;
use rules::{Fixed, Sum};
use sums::Input;

/// Runs a quantized graph over and over.
#[derive(Debug)]
pub struct Exact<'g> {
    graph: &'g Graph,
    rule: Rule,
    filters: Vec<Option<Filter>>,
    values: Vec<Vec<i8>>,
}

/// What one operator gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The integers, `[h, w, c]`.
    pub integers: Vec<i8>,
    /// For each of them, whether the real result lies in the middle between two integers, so that the rule for ties
    /// decides. Empty where an operator cannot have any.
    pub ties: Vec<bool>,
}

/// Scale and zero point of an activation.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Step {
    scale: f32,
    zero_point: i32,
}

/// Weights and biases of an operator.
#[derive(Debug)]
struct Filter {
    /// Integers without their zero point.
    weights: Vec<i16>,
    channels: Vec<Channel>,
}

/// What follows the sum of one output channel.
#[derive(Debug)]
struct Channel {
    /// Bias in units of the sum.
    bias: i64,
    /// Another bias, in units of its own: the second of the quotient's integers.
    apart: i64,
    /// Real result in units of the output.
    exact: Quotient,
    fixed: Fixed,
    factor: f32,
    /// Both biases in units of the sum, rounded.
    rounded_bias: i64,
}

/// How the real sum becomes the output.
struct Finish {
    to: Step,
    min: i8,
    max: i8,
}

impl Finish {
    fn new(value: &Value, clamp: Clamp) -> Result<Finish> {
        let to = step(value)?;
        let limit = |limit: f32, open: i8| {
            if limit.is_finite() {
                let quotient = Quotient::new(&[Dyadic::float(limit)], Dyadic::float(to.scale));
                saturate(quotient.round(&[1]).away + to.zero_point)
            } else {
                open
            }
        };
        let (min, max) = (limit(clamp.min, i8::MIN), limit(clamp.max, i8::MAX));
        Ok(Finish { to, min, max: max.max(min) })
    }

    fn apply(&self, steps: i32) -> i8 {
        saturate(steps.saturating_add(self.to.zero_point)).max(self.min).min(self.max)
    }
}

fn saturate(q: i32) -> i8 {
    q.clamp(i8::MIN.into(), i8::MAX.into()) as i8
}

impl<'g> Exact<'g> {
    /// Prepares a quantized graph.
    ///
    /// # Errors
    /// The graph is not sound, or a value is not held in integers; the error names it.
    pub fn new(graph: &'g Graph) -> Result<Exact<'g>> {
        Exact::with_rule(graph, Rule::Exact)
    }

    /// Prepares a quantized graph that is to be run under a rounding rule.
    ///
    /// # Errors
    /// As [`Exact::new`].
    pub fn with_rule(graph: &'g Graph, rule: Rule) -> Result<Exact<'g>> {
        graph.verify()?;
        for port in &graph.inputs {
            step(graph.value(port.value))?;
        }
        let filters = graph.nodes.iter().map(|node| filter(graph, node)).collect::<Result<_>>()?;
        for node in &graph.nodes {
            step(graph.value(node.output()))?;
            if node.op == Op::ScaleShift {
                return Err(Error::node(&node.name, node.op.name(), "a batch normalization stands alone")
                    .remedy("put it directly behind a convolution or a fully connected layer"));
            }
        }
        let values = graph.values().iter().map(|value| match &value.constant {
            Some(tensor) => tensor.as_i8().map(<[i8]>::to_vec).unwrap_or_default(),
            None => vec![0; value.len()],
        });
        Ok(Exact { graph, rule, filters, values: values.collect() })
    }

    /// Computes all values. `inputs` are integers in the order of the inputs' values, `[h, w, c]`.
    ///
    /// # Errors
    /// There are not as many inputs, or not as long ones, as the graph has; a node's operands are not integers.
    pub fn run(&mut self, inputs: &[&[i8]]) -> Result<()> {
        if inputs.len() != self.graph.inputs.len() {
            let (given, wanted) = (inputs.len(), self.graph.inputs.len());
            return Err(Error::model(format!("{given} inputs are given, the model has {wanted}")));
        }
        for (port, input) in self.graph.inputs.iter().zip(inputs) {
            let value = &mut self.values[port.value.index()];
            if value.len() != input.len() {
                let reason = format!("{} numbers are given, the input has {}", input.len(), value.len());
                return Err(Error::value(&port.name, reason));
            }
            value.copy_from_slice(input);
        }
        for (index, node) in self.graph.nodes.iter().enumerate() {
            let operands: Vec<&[i8]> =
                node.inputs.iter().map(|id| self.values[id.index()].as_slice()).collect();
            let outcome = self.run_node(index, &operands, self.rule)?;
            self.values[node.output().index()] = outcome.integers;
        }
        Ok(())
    }

    /// The integers of a value after [`Exact::run`], and those of constants always.
    pub fn value(&self, id: ValueId) -> &[i8] {
        &self.values[id.index()]
    }

    /// The integers of an output of the model.
    pub fn output(&self, index: usize) -> &[i8] {
        self.value(self.graph.outputs[index].value)
    }

    /// Computes one operator from given operands under a rule: one slice for each of the node's inputs. Those of
    /// weights and biases are not looked at.
    ///
    /// # Errors
    /// An operand's length does not fit.
    pub fn run_node(&self, index: usize, operands: &[&[i8]], rule: Rule) -> Result<Outcome> {
        let graph = self.graph;
        let node = &graph.nodes[index];
        let fault = |reason: String| Error::node(&node.name, node.op.name(), reason);
        let read = match node.op {
            Op::Conv2d(_) | Op::DepthwiseConv2d(_) | Op::FullyConnected { .. } => 1,
            _ => node.inputs.len(),
        };
        for (i, &id) in node.inputs.iter().take(read).enumerate() {
            let (given, wanted) = (operands.get(i).map_or(0, |operand| operand.len()), graph.value(id).len());
            if given != wanted {
                return Err(fault(format!("operand {i} has {given} integers, not {wanted}")));
            }
        }
        let input = |i: usize| graph.value(node.inputs[i]);
        let y = graph.value(node.output());
        let y_shape = y.nhwc().unwrap_or([1; 4]);
        let centred = |i: usize| -> Result<Vec<i16>> { Ok(centred(operands[i], step(input(i))?.zero_point)) };
        match &node.op {
            Op::Conv2d(_) | Op::DepthwiseConv2d(_) | Op::FullyConnected { .. } => {
                let filter = self.filters[index].as_ref().ok_or_else(|| fault("it has no filter".into()))?;
                let numbers = centred(0)?;
                let x = Input { numbers: &numbers, shape: four_axes(&input(0).shape) };
                let filter_shape = input(1).nhwc().unwrap_or([1; 4]);
                let sums = match &node.op {
                    Op::Conv2d(conv) => sums::conv_2d(conv, filter_shape, &filter.weights, &x, y_shape),
                    Op::DepthwiseConv2d(conv) => {
                        sums::depthwise_conv_2d(conv, filter_shape, &filter.weights, &x, y_shape)
                    }
                    _ => sums::fully_connected(&filter.weights, &x),
                };
                let finish = Finish::new(y, node.op.activation().unwrap_or(Clamp::NONE))?;
                Ok(filter.finish(&sums, &finish, rule))
            }
            Op::MaxPool2d(pool) => {
                let numbers = centred(0)?;
                let x = Input { numbers: &numbers, shape: four_axes(&input(0).shape) };
                let rescale = Rescale::new(step(input(0))?, Finish::new(y, pool.activation)?);
                let pooled = sums::pool_2d(pool, &x, y_shape);
                Ok(Outcome::collect(pooled.iter().map(|p| match p.largest {
                    Some(largest) => rescale.apply(largest.into()),
                    None => (rescale.finish.min, false),
                })))
            }
            Op::AveragePool2d(pool) => {
                let numbers = centred(0)?;
                let x = Input { numbers: &numbers, shape: four_axes(&input(0).shape) };
                average(pool, &x, step(input(0))?, y, rule)
            }
            Op::Add { activation } | Op::Sub { activation } | Op::Mul { activation } => {
                let pair =
                    Pair { a: &centred(0)?, b: &centred(1)?, shapes: [&input(0).shape, &input(1).shape] };
                let steps = [step(input(0))?, step(input(1))?];
                let finish = Finish::new(y, *activation)?;
                Ok(if let Op::Mul { .. } = node.op {
                    pair.product(y_shape, steps, &finish, rule)
                } else {
                    let sign = if let Op::Sub { .. } = node.op { -1 } else { 1 };
                    pair.sum(y_shape, steps, sign, &finish, rule)
                })
            }
            Op::MatMul(product) => {
                let shapes = [four_axes(&input(0).shape), four_axes(&input(1).shape), y_shape];
                let mut sums = vec![0i64; y.len()];
                mat_mul::products(product, shapes, &centred(0)?, &centred(1)?, &mut sums);
                let scaled =
                    Product::new([step(input(0))?, step(input(1))?], Finish::new(y, product.activation)?);
                Ok(Outcome::collect(sums.iter().map(|&sum| scaled.apply(sum, rule))))
            }
            Op::Concat { axis } => {
                let inner: usize = y_shape[axis + 1..].iter().product();
                let row = y_shape[*axis] * inner;
                let mut outcome = Outcome { integers: vec![0; y.len()], ties: vec![false; y.len()] };
                let mut start = 0;
                for (i, operand) in operands.iter().enumerate() {
                    let rescale = Rescale::new(step(input(i))?, Finish::new(y, Clamp::NONE)?);
                    let part = four_axes(&input(i).shape)[*axis] * inner;
                    for (number, run) in operand.chunks_exact(part).enumerate() {
                        for (at, &q) in run.iter().enumerate() {
                            let place = number * row + start + at;
                            (outcome.integers[place], outcome.ties[place]) = rescale.raw(q);
                        }
                    }
                    start += part;
                }
                Ok(outcome)
            }
            Op::Pad { padding, value } => {
                let rescale = Rescale::new(step(input(0))?, Finish::new(y, Clamp::NONE)?);
                let constant =
                    Quotient::new(&[Dyadic::float(*value)], Dyadic::float(rescale.finish.to.scale));
                let constant = rescale.finish.apply(constant.round(&[1]).away);
                let mut outcome = Outcome { integers: vec![constant; y.len()], ties: vec![false; y.len()] };
                let x_shape = four_axes(&input(0).shape);
                let (row_in, row_out) = (x_shape[2] * x_shape[3], y_shape[2] * y_shape[3]);
                for (h, row) in operands[0].chunks_exact(row_in).enumerate() {
                    let start = (h + padding.top) * row_out + padding.left * x_shape[3];
                    for (at, &q) in row.iter().enumerate() {
                        (outcome.integers[start + at], outcome.ties[start + at]) = rescale.raw(q);
                    }
                }
                Ok(outcome)
            }
            Op::Reshape { .. } | Op::Requantize => {
                let rescale = Rescale::new(step(input(0))?, Finish::new(y, Clamp::NONE)?);
                Ok(Outcome::collect(operands[0].iter().map(|&q| rescale.raw(q))))
            }
            Op::Softmax => softmax(operands[0], step(input(0))?, y),
            Op::Unary(crate::graph::Unary::Clamp(clamp)) => {
                let rescale = Rescale::new(step(input(0))?, Finish::new(y, *clamp)?);
                Ok(Outcome::collect(operands[0].iter().map(|&q| rescale.raw(q))))
            }
            Op::Unary(unary) => {
                let (from, finish) = (step(input(0))?, Finish::new(y, Clamp::NONE)?);
                let table: Vec<(i8, bool)> = (i8::MIN..=i8::MAX)
                    .map(|q| {
                        let real = f64::from(from.scale) * f64::from(i32::from(q) - from.zero_point);
                        finish.apply_f64(unary.apply_f64(real))
                    })
                    .collect();
                Ok(Outcome::collect(operands[0].iter().map(|&q| table[(i32::from(q) + 128) as usize])))
            }
            Op::ScaleShift => Err(fault("a batch normalization stands alone".into())),
        }
    }
}

impl Finish {
    /// A real result that is known in double precision only. What is not a number counts as zero.
    fn apply_f64(&self, real: f64) -> (i8, bool) {
        let steps = real / f64::from(self.to.scale);
        let tie = (steps - libm::floor(steps)) == 0.5;
        (self.apply(round_half_away(steps.clamp(-1e6, 1e6)) as i32), tie)
    }
}

impl Outcome {
    fn collect(pairs: impl Iterator<Item = (i8, bool)>) -> Outcome {
        let (integers, ties) = pairs.unzip();
        Outcome { integers, ties }
    }
}

/// From one quantization to another.
struct Rescale {
    from: Step,
    ratio: Quotient,
    finish: Finish,
}

impl Rescale {
    fn new(from: Step, finish: Finish) -> Rescale {
        let ratio = Quotient::new(&[Dyadic::float(from.scale)], Dyadic::float(finish.to.scale));
        Rescale { from, ratio, finish }
    }

    /// For an integer without its zero point.
    fn apply(&self, centred: i64) -> (i8, bool) {
        let rounded = self.ratio.round(&[centred]);
        (self.finish.apply(rounded.away), rounded.tie)
    }

    /// For an integer with its zero point.
    fn raw(&self, q: i8) -> (i8, bool) {
        self.apply(i64::from(i32::from(q) - self.from.zero_point))
    }
}

impl Filter {
    fn finish(&self, sums: &[i64], finish: &Finish, rule: Rule) -> Outcome {
        let rows = sums.chunks_exact(self.channels.len().max(1));
        Outcome::collect(rows.flat_map(|row| row.iter().zip(&self.channels)).map(|(&sum, channel)| {
            let acc = sum.saturating_add(channel.rounded_bias);
            let steps = match rule {
                Rule::Exact => {
                    let Rounded { away, tie } = channel.exact.round(&[sum + channel.bias, channel.apart]);
                    return (finish.apply(away), tie);
                }
                Rule::Double | Rule::Single => {
                    channel.fixed.apply(rule, acc.clamp(i32::MIN.into(), i32::MAX.into()) as i32)
                }
                Rule::Float => rules::float(acc, channel.factor),
            };
            (finish.apply(steps), false)
        }))
    }
}

/// A mean, of the integers or of them and counted padding.
fn average(pool: &Pool2d, x: &Input<'_>, from: Step, y: &Value, rule: Rule) -> Result<Outcome> {
    let finish = Finish::new(y, pool.activation)?;
    let shape = y.nhwc().unwrap_or([1; 4]);
    let mut known: Option<(i64, Quotient)> = None;
    let mut mean = |p: &sums::Pooled| {
        // Windows of one size follow each other.
        let quotient = match &known {
            Some((count, quotient)) if *count == p.count => quotient,
            _ => {
                let ratio = Quotient::over(from.scale, finish.to.scale, p.count.max(1));
                &known.insert((p.count, ratio)).1
            }
        };
        let rounded = quotient.round(&[p.sum]);
        let steps = match rule {
            Rule::Exact => rounded.away,
            Rule::Float => rounded.even(),
            // The raw integers are divided, zero point included: the same apart from the direction of ties.
            Rule::Double | Rule::Single if from == finish.to => {
                let raw = p.sum + p.count * i64::from(from.zero_point);
                let unit = Quotient::over(1.0, 1.0, p.count.max(1));
                unit.round(&[raw]).away - from.zero_point
            }
            Rule::Double | Rule::Single => rounded.away,
        };
        (finish.apply(steps), rounded.tie)
    };
    Ok(Outcome::collect(sums::pool_2d(pool, x, shape).iter().map(&mut mean)))
}

/// A sum of products of two activations on the scale of the result.
struct Product {
    exact: Quotient,
    fixed: Fixed,
    factor: f32,
    finish: Finish,
}

impl Product {
    fn new(from: [Step; 2], finish: Finish) -> Product {
        let scales = from.map(|step| step.scale);
        let factor = f64::from(scales[0]) * f64::from(scales[1]) / f64::from(finish.to.scale);
        Product {
            exact: Quotient::new(&[Dyadic::product(&scales)], Dyadic::float(finish.to.scale)),
            fixed: Fixed::new(factor),
            factor: scales[0] * scales[1] / finish.to.scale,
            finish,
        }
    }

    fn apply(&self, sum: i64, rule: Rule) -> (i8, bool) {
        let steps = match rule {
            Rule::Exact => {
                let rounded = self.exact.round(&[sum]);
                return (self.finish.apply(rounded.away), rounded.tie);
            }
            Rule::Double | Rule::Single => {
                self.fixed.apply(rule, sum.clamp(i32::MIN.into(), i32::MAX.into()) as i32)
            }
            Rule::Float => rules::float(sum, self.factor),
        };
        (self.finish.apply(steps), false)
    }
}

/// Two operands, one of which may be repeated along axes of size 1.
struct Pair<'a> {
    a: &'a [i16],
    b: &'a [i16],
    shapes: [&'a [usize]; 2],
}

impl Pair<'_> {
    /// `f` of each pair of elements.
    fn map(&self, y: [usize; 4], f: impl Fn(i64, i64) -> (i8, bool)) -> Outcome {
        let [a, b] = self.shapes.map(|shape| steps(four_axes(shape)));
        let mut pairs = Vec::with_capacity(y.iter().product());
        for n in 0..y[0] {
            for h in 0..y[1] {
                for w in 0..y[2] {
                    for c in 0..y[3] {
                        let at = |s: [usize; 4]| n * s[0] + h * s[1] + w * s[2] + c * s[3];
                        pairs.push(f(self.a[at(a)].into(), self.b[at(b)].into()));
                    }
                }
            }
        }
        Outcome::collect(pairs.into_iter())
    }

    fn sum(&self, y: [usize; 4], from: [Step; 2], sign: i64, finish: &Finish, rule: Rule) -> Outcome {
        let scales = from.map(|step| step.scale);
        let exact = Quotient::new(&scales.map(Dyadic::float), Dyadic::float(finish.to.scale));
        let sum = Sum::new(scales[0], scales[1], finish.to.scale);
        self.map(y, |a, b| {
            let b = sign * b;
            let steps = match rule {
                Rule::Exact => {
                    let rounded = exact.round(&[a, b]);
                    return (finish.apply(rounded.away), rounded.tie);
                }
                Rule::Double | Rule::Single => sum.apply(rule, a as i32, b as i32),
                Rule::Float => {
                    let real = scales[0] * a as f32 + scales[1] * b as f32;
                    teff::quant::round_ties_even(real / finish.to.scale) as i32
                }
            };
            (finish.apply(steps), false)
        })
    }

    fn product(&self, y: [usize; 4], from: [Step; 2], finish: &Finish, rule: Rule) -> Outcome {
        let scales = from.map(|step| step.scale);
        let exact = Quotient::new(&[Dyadic::product(&scales)], Dyadic::float(finish.to.scale));
        let factor = f64::from(scales[0]) * f64::from(scales[1]) / f64::from(finish.to.scale);
        let fixed = Fixed::new(factor);
        self.map(y, |a, b| {
            let steps = match rule {
                Rule::Exact => {
                    let rounded = exact.round(&[a * b]);
                    return (finish.apply(rounded.away), rounded.tie);
                }
                Rule::Double | Rule::Single => fixed.apply(rule, (a * b) as i32),
                Rule::Float => {
                    let real = (scales[0] * a as f32) * (scales[1] * b as f32);
                    teff::quant::round_ties_even(real / finish.to.scale) as i32
                }
            };
            (finish.apply(steps), false)
        })
    }
}

fn softmax(x: &[i8], from: Step, y: &Value) -> Result<Outcome> {
    let finish = Finish::new(y, Clamp::NONE)?;
    let channels = y.shape.last().copied().unwrap_or(1).max(1);
    let mut pairs = Vec::with_capacity(x.len());
    for x in x.chunks_exact(channels) {
        let most = i32::from(x.iter().copied().max().unwrap_or(0));
        let powers: Vec<f64> =
            x.iter().map(|&q| libm::exp(f64::from(from.scale) * f64::from(i32::from(q) - most))).collect();
        let sum: f64 = powers.iter().sum();
        pairs.extend(powers.iter().map(|power| finish.apply_f64(power / sum)));
    }
    Ok(Outcome::collect(pairs.into_iter()))
}

/// Weights, biases and factors of a node that has them.
fn filter(graph: &Graph, node: &Node) -> Result<Option<Filter>> {
    let channel_axis = match node.op {
        Op::Conv2d(_) | Op::FullyConnected { .. } => 0,
        Op::DepthwiseConv2d(_) => 3,
        _ => return Ok(None),
    };
    let value = graph.value(node.inputs[1]);
    let not_integer = |value: &Value| Error::value(&value.name, "it is not quantized");
    let (Some(tensor), Some(quant)) = (&value.constant, &value.quant) else { return Err(not_integer(value)) };
    let weights = centred(tensor.as_i8().ok_or_else(|| not_integer(value))?, quant.zero_point);
    let (from, to) = (step(graph.value(node.inputs[0]))?, step(graph.value(node.output()))?);
    let bias = node.inputs.get(2).map(|&id| graph.value(id));
    let channels = (0..value.shape[channel_axis]).map(|c| channel(from, quant.scale_of(c), to, bias, c));
    Ok(Some(Filter { weights, channels: channels.collect::<Result<_>>()? }))
}

fn channel(from: Step, weight_scale: f32, to: Step, bias: Option<&Value>, c: usize) -> Result<Channel> {
    let unit = f64::from(from.scale) * f64::from(weight_scale);
    let own = Dyadic::product(&[from.scale, weight_scale]);
    // Bias in units of the sum; or an integer and its unit.
    let (joined, apart, apart_unit, rounded_bias) = match bias {
        None => (0, 0, Dyadic::integer(0), 0),
        Some(bias) => {
            let (integer, scale) = bias_of(bias, c)?;
            let ratio = f64::from(scale) / unit;
            // A file holds the product of two scales rounded to 32 bits: it means the product.
            if (ratio - 1.0).abs() < 1e-5 {
                (integer, 0, Dyadic::integer(0), integer)
            } else {
                (0, integer, Dyadic::float(scale), round_half_away(integer as f64 * ratio))
            }
        }
    };
    let factor = unit / f64::from(to.scale);
    Ok(Channel {
        bias: joined,
        apart,
        exact: Quotient::new(&[own, apart_unit], Dyadic::float(to.scale)),
        fixed: Fixed::new(factor),
        factor: from.scale * weight_scale / to.scale,
        rounded_bias,
    })
}

/// A bias as an integer and its unit.
fn bias_of(bias: &Value, c: usize) -> Result<(i64, f32)> {
    let fault = || Error::value(&bias.name, "a bias is a constant: real numbers, or integers with a scale");
    let tensor = bias.constant.as_ref().ok_or_else(fault)?;
    let with_scale = |q: i64| {
        let quant = bias.quant.as_ref().ok_or_else(fault)?;
        Ok((q - i64::from(quant.zero_point), quant.scale_of(c)))
    };
    match tensor.elements() {
        Elements::F32(real) => Ok((1, real.get(c).copied().ok_or_else(fault)?)),
        Elements::I8(q) => with_scale(q.get(c).copied().ok_or_else(fault)?.into()),
        Elements::I32(q) => with_scale(q.get(c).copied().ok_or_else(fault)?.into()),
    }
}

fn step(value: &Value) -> Result<Step> {
    match &value.quant {
        Some(Quant { element_type: ElementType::I8, scales, zero_point, channel_axis: None })
            if scales.len() == 1 =>
        {
            Ok(Step { scale: scales[0], zero_point: *zero_point })
        }
        _ => Err(Error::value(&value.name, "it is not held as int8 with one scale and one zero point")
            .remedy("quantize the float model with `trainer quantize`")),
    }
}

fn centred(integers: &[i8], zero_point: i32) -> Vec<i16> {
    integers.iter().map(|&q| (i32::from(q) - zero_point) as i16).collect()
}

/// A shape with axes of size 1 in front.
fn four_axes(shape: &[usize]) -> [usize; 4] {
    let mut four = [1; 4];
    for (to, &from) in four.iter_mut().rev().zip(shape.iter().rev()) {
        *to = from;
    }
    four
}
