//! Operator by operator: what the runtime makes of a reference's own integers.
//!
//! Every operator of the plan is given the integers that the reference computed before it, so that differences do not
//! add up: each one is the operator's own.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use serde::Serialize;
use teff::quant::QuantParams;
use teff::{AnyModel, Model, Session};
use teff_compiler::evaluate::Evaluator;
use teff_compiler::graph::{Graph, Value};
use teff_compiler::lower::LayerReport;
use teff_compiler::{Compiled, Target};

use crate::arrays::{Array, Data};
use crate::engine::ports::Order;
use crate::engine::teff::Teff;
use crate::engine::{Engine, Kind, Port, batch};
use crate::metrics::argmax;
use crate::model_file;

/// How one operator differs from the reference, over all examples.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerDifference {
    /// Position in the order of execution.
    pub index: usize,
    /// Name of the node in the ONNX file.
    pub name: String,
    /// What is computed.
    pub operator: &'static str,
    /// Elements compared.
    pub elements: u64,
    /// Elements that differ.
    pub differing: u64,
    /// Their share.
    pub differing_share: f64,
    /// Largest difference in units of the output's last bit.
    pub largest_lsb: u32,
    /// Signal-to-noise ratio in decibels; absent where nothing differs.
    pub snr_db: Option<f64>,
}

/// How an output of the whole network differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OutputDifference {
    /// Name of the output.
    pub name: String,
    /// Largest difference of real numbers.
    pub largest_difference: f64,
    /// Share of examples whose largest number stands at the same place.
    pub top1_agreement: f64,
}

/// The whole comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Examples that were run.
    pub examples: usize,
    /// Largest difference of any operator, in units of its output's last bit.
    pub largest_lsb: u32,
    /// Operators in the order of execution.
    pub layers: Vec<LayerDifference>,
    /// Operators for which the reference shows no integers, by name of their node.
    pub not_compared: Vec<String>,
    /// The network end to end.
    pub outputs: Vec<OutputDifference>,
}

/// What the reference computed for one example: integers by name of the value, in the order `[h, w, c]`.
type Values = BTreeMap<String, Vec<i8>>;

/// Compares the runtime with a reference.
///
/// # Errors
/// The model is not quantized, or the reference cannot show its integers.
pub fn compare(model: &Path, reference: Kind, examples: &Examples<'_>) -> Result<Comparison> {
    let onnx = model_file::read(model)?;
    let in_file = |error: teff_compiler::Error| error.in_file(model);
    let compiled = teff_compiler::compile(&onnx, Target::Generic).map_err(in_file)?;
    let graph = teff_compiler::compile::import_quantized(&onnx).map_err(in_file)?;
    let mut engine = Teff::from_plan(&compiled.plan, model)?;
    let examples = examples.for_engine(&engine)?;
    let mut reference = Reference::new(reference, &onnx, &graph, model)?;

    let mut sums = Sums::new(&compiled);
    let mut ends: Vec<End> = engine.outputs().iter().map(|_| End::default()).collect();
    for example in &examples {
        let known = reference.values(&graph, engine.inputs(), example)?;
        sums.add(model, &compiled, &graph, &known)?;
        let ours = engine.run(std::slice::from_ref(example))?.remove(0);
        let theirs = reference.outputs(&graph, engine.inputs(), example)?;
        for (index, end) in ends.iter_mut().enumerate() {
            end.add(&real(&ours[index], &engine.outputs()[index]), &theirs[index]);
        }
    }
    let layers = sums.finish(&compiled);
    let compared = |index: usize| layers.iter().any(|layer: &LayerDifference| layer.index == index);
    let not_compared = compiled
        .report
        .layers
        .iter()
        .enumerate()
        .filter(|(index, _)| !compared(*index) && !is_continued(&compiled.report.layers, *index))
        .map(|(_, layer)| layer.name.clone())
        .collect();
    Ok(Comparison {
        examples: examples.len(),
        largest_lsb: layers.iter().map(|layer| layer.largest_lsb).max().unwrap_or(0),
        not_compared,
        outputs: engine.outputs().iter().zip(&ends).map(|(port, end)| end.finish(&port.name)).collect(),
        layers,
    })
}

/// The arrays that a user gave, before they are brought to the model's inputs.
#[derive(Debug)]
pub struct Examples<'a> {
    /// The arrays.
    pub arrays: &'a [crate::arrays::Named],
    /// Their file.
    pub file: &'a Path,
}

impl Examples<'_> {
    fn for_engine(&self, engine: &Teff) -> Result<Vec<Vec<Array>>> {
        batch::examples(engine.inputs(), self.arrays, self.file)
    }
}

/// Whether the next operator goes on writing to the same value, as the parts of a concatenation do.
fn is_continued(layers: &[LayerReport], index: usize) -> bool {
    layers.get(index + 1).is_some_and(|next| next.output_value == layers[index].output_value)
}

/// Differences of each operator so far.
#[derive(Debug)]
struct Sums(Vec<Sum>);

#[derive(Debug, Clone, Default)]
struct Sum {
    elements: u64,
    differing: u64,
    largest: u32,
    signal: f64,
    noise: f64,
}

impl Sums {
    fn new(compiled: &Compiled) -> Sums {
        Sums(vec![Sum::default(); compiled.report.layers.len()])
    }

    /// Runs each operator alone on the reference's integers.
    fn add(&mut self, model: &Path, compiled: &Compiled, graph: &Graph, known: &Values) -> Result<()> {
        let file = model_file::plan_from_bytes(model, &compiled.plan)?;
        let mut arena = file.arena();
        let plan = file.model();
        let mut session = Session::<AnyModel>::from_model(plan, arena.as_mut_slice())
            .map_err(|error| anyhow!("the plan does not run: {error}"))?;
        let names = Names::new(&plan, compiled, graph);
        let layers = &compiled.report.layers;
        for (index, layer) in layers.iter().enumerate() {
            for &input in &layer.input_values {
                if let Some(integers) = names.find(input, index).and_then(|name| known.get(name)) {
                    let order = identity(&plan, input, integers.len())?;
                    session.value_mut(input).copy_from_slice(&order.to_value(integers));
                }
            }
            let op = u16::try_from(index).context("too many operators")?;
            session.invoke_op(op);
            if is_continued(layers, index) {
                continue;
            }
            let Some(expected) = known.get(&layer.output_name) else { continue };
            let order = identity(&plan, layer.output_value, expected.len())?;
            let zero_point = plan.value(layer.output_value).quant.zero_point;
            let given = order.to_onnx(session.value(layer.output_value));
            self.0[index].add(&given, expected, zero_point);
        }
        Ok(())
    }

    fn finish(self, compiled: &Compiled) -> Vec<LayerDifference> {
        let layers = compiled.report.layers.iter().zip(self.0).enumerate();
        layers
            .filter(|(_, (_, sum))| sum.elements > 0)
            .map(|(index, (layer, sum))| LayerDifference {
                index,
                name: layer.name.clone(),
                operator: layer.op,
                elements: sum.elements,
                differing: sum.differing,
                differing_share: sum.differing as f64 / sum.elements as f64,
                largest_lsb: sum.largest,
                snr_db: (sum.noise > 0.0).then(|| 10.0 * libm::log10(sum.signal / sum.noise)),
            })
            .collect()
    }
}

impl Sum {
    fn add(&mut self, given: &[i8], expected: &[i8], zero_point: i8) {
        for (&a, &b) in given.iter().zip(expected) {
            let difference = u32::from(a.abs_diff(b));
            self.elements += 1;
            self.differing += u64::from(difference > 0);
            self.largest = self.largest.max(difference);
            let signal = f64::from(b) - f64::from(zero_point);
            self.signal += signal * signal;
            self.noise += f64::from(difference) * f64::from(difference);
        }
    }
}

/// The order `[h, w, c]` of a value of the plan.
fn identity(plan: &Model<'_>, value: u16, len: usize) -> Result<Order> {
    let order: Vec<usize> = (0..len).collect();
    Order::new(&order, plan.value(value).view)
        .with_context(|| format!("value {value} of the plan has another size than the reference's"))
}

/// Which value of the graph each value of the plan holds.
struct Names<'c> {
    /// Index, name, and the operator from which on it is known.
    known: Vec<(u16, &'c str, usize)>,
    /// Indices of values that lie at the same place with the same length.
    places: Vec<(teff::plan::Location, usize)>,
}

impl<'c> Names<'c> {
    fn new(plan: &Model<'_>, compiled: &'c Compiled, graph: &'c Graph) -> Names<'c> {
        let place = |index| {
            let value = plan.value(index);
            (value.location, value.view.extent.len())
        };
        let places = (0..plan.header().n_values).map(place).collect();
        // The inputs are the first values of a plan.
        let inputs = graph.inputs.iter().enumerate();
        let mut known: Vec<(u16, &str, usize)> =
            inputs.map(|(index, port)| (index as u16, graph.value(port.value).name.as_str(), 0)).collect();
        let layers = compiled.report.layers.iter().enumerate();
        known.extend(layers.map(|(at, layer)| (layer.output_value, layer.output_name.as_str(), at + 1)));
        Names { known, places }
    }

    /// The name of a value that operator `at` reads. A value that no operator gives is another view of the bytes that
    /// were last written at its place.
    fn find(&self, value: u16, at: usize) -> Option<&'c str> {
        let before = self.known.iter().filter(|(_, _, from)| *from <= at);
        if let Some((_, name, _)) = before.clone().find(|(known, _, _)| *known == value) {
            return Some(name);
        }
        let place = self.places.get(usize::from(value))?;
        let same = before.filter(|(known, _, _)| self.places.get(usize::from(*known)) == Some(place));
        same.max_by_key(|(_, _, from)| *from).map(|(_, name, _)| *name)
    }
}

/// Differences of an output of the network so far.
#[derive(Debug, Clone, Default)]
struct End {
    largest: f64,
    agreeing: usize,
    examples: usize,
}

impl End {
    fn add(&mut self, ours: &[f64], theirs: &[f64]) {
        let differences = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs());
        self.largest = differences.fold(self.largest, f64::max);
        self.agreeing += usize::from(argmax(ours) == argmax(theirs));
        self.examples += 1;
    }

    fn finish(&self, name: &str) -> OutputDifference {
        OutputDifference {
            name: name.to_string(),
            largest_difference: self.largest,
            top1_agreement: self.agreeing as f64 / self.examples.max(1) as f64,
        }
    }
}

/// An array as the real numbers that it stands for.
fn real(array: &Array, port: &Port) -> Vec<f64> {
    match (&array.data, port.quant) {
        (Data::I8(raw), Some(quant)) => raw.iter().map(|&q| f64::from(quant.dequantize(q))).collect(),
        (Data::U8(raw), Some(quant)) => {
            raw.iter().map(|&q| f64::from(quant.dequantize((i16::from(q) - 128) as i8))).collect()
        }
        _ => array.to_f64(),
    }
}

/// Who is compared with.
enum Reference<'g> {
    /// The compiler's evaluator, rounded wherever the integers are.
    Float(Evaluator<'g>),
    /// ONNX Runtime on the graph as it is written, or tract.
    #[cfg(any(feature = "ort", feature = "tract"))]
    Exposed(Exposed),
}

/// An engine that runs the model with its integers as further outputs.
#[cfg(any(feature = "ort", feature = "tract"))]
struct Exposed {
    engine: Box<dyn Engine>,
    /// For each output of the engine, its order in `[h, w, c]`.
    orders: Vec<Vec<usize>>,
    /// How many of them are the model's own.
    own: usize,
    last: Vec<Array>,
    own_ports: Vec<Port>,
}

impl<'g> Reference<'g> {
    fn new(kind: Kind, onnx: &[u8], graph: &'g Graph, model: &Path) -> Result<Reference<'g>> {
        match kind {
            Kind::Float => Ok(Reference::Float(Evaluator::new(graph)?)),
            #[cfg(feature = "ort")]
            Kind::Ort => {
                use crate::engine::{Options, ort::Ort};
                let load = |onnx: &[u8]| -> Result<Box<dyn Engine>> {
                    Ok(Box::new(Ort::from_bytes(onnx, &Options { as_written: true })?))
                };
                Ok(Reference::Exposed(Exposed::new(load, onnx, graph, model)?))
            }
            #[cfg(feature = "tract")]
            Kind::Tract => {
                use crate::engine::tract::Tract;
                let load =
                    |onnx: &[u8]| -> Result<Box<dyn Engine>> { Ok(Box::new(Tract::from_bytes(onnx)?)) };
                Ok(Reference::Exposed(Exposed::new(load, onnx, graph, model)?))
            }
            Kind::Teff => bail!(
                "the engine `teff` is what is compared. Remedy: compare it with `ort`, `tract` or `float`"
            ),
            #[allow(unreachable_patterns, reason = "reachable without the engines' features")]
            absent => {
                let _ = (onnx, model);
                bail!(
                    "this `trainer` was built without the engine `{0}`. Remedy: build it with `--features {0}`, or \
                     compare with `float`",
                    absent.name()
                )
            }
        }
    }

    /// The integers of one example.
    fn values(&mut self, graph: &Graph, inputs: &[Port], example: &[Array]) -> Result<Values> {
        let mut values = Values::new();
        for (port, array) in graph.inputs.iter().zip(example) {
            let integers = match &array.data {
                Data::I8(raw) => raw.clone(),
                Data::U8(raw) => raw.iter().map(|&q| (i16::from(q) - 128) as i8).collect(),
                _ => bail!("input `{}` takes int8", port.name),
            };
            values.insert(graph.value(port.value).name.clone(), port.to_value(&integers));
        }
        match self {
            Reference::Float(evaluator) => {
                run_evaluator(evaluator, graph, inputs, example)?;
                for id in graph.value_ids() {
                    let value = graph.value(id);
                    if let (false, Some(params)) = (value.is_constant(), params(value)) {
                        let integers =
                            evaluator.value(id).iter().map(|&real| params.quantize(real)).collect();
                        values.insert(value.name.clone(), integers);
                    }
                }
            }
            #[cfg(any(feature = "ort", feature = "tract"))]
            Reference::Exposed(reference) => reference.add_values(inputs, example, &mut values)?,
        }
        Ok(values)
    }

    /// The model's own outputs, as real numbers.
    fn outputs(&mut self, graph: &Graph, inputs: &[Port], example: &[Array]) -> Result<Vec<Vec<f64>>> {
        match self {
            Reference::Float(evaluator) => {
                run_evaluator(evaluator, graph, inputs, example)?;
                let outputs = graph.outputs.iter().enumerate().map(|(index, port)| {
                    let numbers = port.to_onnx(evaluator.output(index));
                    numbers.iter().map(|&x| f64::from(x)).collect()
                });
                Ok(outputs.collect())
            }
            #[cfg(any(feature = "ort", feature = "tract"))]
            Reference::Exposed(reference) => Ok(reference
                .last
                .iter()
                .take(reference.own)
                .zip(&reference.own_ports)
                .map(|(array, port)| real(array, port))
                .collect()),
        }
    }
}

fn run_evaluator(
    evaluator: &mut Evaluator<'_>,
    graph: &Graph,
    inputs: &[Port],
    example: &[Array],
) -> Result<()> {
    let reals: Vec<Vec<f32>> = graph
        .inputs
        .iter()
        .zip(inputs.iter().zip(example))
        .map(|(port, (wire, array))| {
            let numbers: Vec<f32> = real(array, wire).iter().map(|&x| x as f32).collect();
            port.to_value(&numbers)
        })
        .collect();
    let slices: Vec<&[f32]> = reals.iter().map(Vec::as_slice).collect();
    Ok(evaluator.run(&slices)?)
}

fn params(value: &Value) -> Option<QuantParams> {
    let quant = value.quant.as_ref()?;
    Some(QuantParams { scale: quant.scale(), zero_point: i8::try_from(quant.zero_point).ok()? })
}

#[cfg(any(feature = "ort", feature = "tract"))]
impl Exposed {
    fn new(
        load: impl FnOnce(&[u8]) -> Result<Box<dyn Engine>>,
        onnx: &[u8],
        graph: &Graph,
        model: &Path,
    ) -> Result<Exposed> {
        use crate::engine::expose::{expose, integer_tensors};
        let wanted: Vec<String> =
            integer_tensors(onnx).into_iter().filter(|name| graph.find_value(name).is_some()).collect();
        let exposed = expose(onnx, &wanted);
        let engine = load(&exposed).with_context(|| format!("{}", model.display()))?;
        // The importer says in what order each of these tensors is held.
        let shown = teff_compiler::onnx::import(&exposed).map_err(|error| error.in_file(model))?;
        let orders = engine
            .outputs()
            .iter()
            .map(|port| {
                let found = shown.outputs.iter().find(|shown| shown.name == port.name);
                found.map(|port| port.order()).with_context(|| format!("output `{}` is not known", port.name))
            })
            .collect::<Result<_>>()?;
        let own_ports = crate::engine::ports::of_graph(graph, &graph.outputs);
        Ok(Exposed { engine, orders, own: graph.outputs.len(), last: Vec::new(), own_ports })
    }

    fn add_values(&mut self, inputs: &[Port], example: &[Array], values: &mut Values) -> Result<()> {
        let given = self
            .engine
            .inputs()
            .iter()
            .zip(inputs.iter().zip(example))
            .map(|(port, (wire, array))| {
                let exact = Port { quant: wire.quant, ..port.clone() };
                batch::convert(&exact, array).map_err(anyhow::Error::msg)
            })
            .collect::<Result<Vec<Array>>>()?;
        self.last = self.engine.run(&[given])?.remove(0);
        for ((port, array), order) in self.engine.outputs().iter().zip(&self.last).zip(&self.orders) {
            let integers: Vec<i8> = match &array.data {
                Data::I8(raw) => raw.clone(),
                Data::U8(raw) => raw.iter().map(|&q| (i16::from(q) - 128) as i8).collect(),
                _ => continue,
            };
            if integers.len() == order.len() {
                values.insert(port.name.clone(), order.iter().map(|&index| integers[index]).collect());
            }
        }
        Ok(())
    }
}
