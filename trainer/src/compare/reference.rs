//! Who the runtime is compared with: engines that show the integers between operators.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use teff::quant::QuantParams;
use teff_compiler::evaluate::Evaluator;
use teff_compiler::evaluate::exact::Exact;
use teff_compiler::graph::{Graph, Value};

use crate::arrays::{Array, Data};
#[cfg(any(feature = "ort", feature = "tract"))]
use crate::engine::{Engine, batch};
use crate::engine::{Kind, Port, exact::signed};

/// What a reference computed for one example: integers by name of the value, in the order `[h, w, c]`.
pub(crate) type Values = BTreeMap<String, Vec<i8>>;

/// Who is compared with.
pub(crate) enum Reference<'g> {
    /// Exact arithmetic, rounded once in each operator.
    Exact(Exact<'g>),
    /// The compiler's evaluator, rounded wherever the integers are.
    Float(Evaluator<'g>),
    /// ONNX Runtime on the graph as it is written, or tract.
    #[cfg(any(feature = "ort", feature = "tract"))]
    Exposed(Exposed),
}

/// An engine that runs the model with its integers as further outputs.
#[cfg(any(feature = "ort", feature = "tract"))]
pub(crate) struct Exposed {
    engine: Box<dyn Engine>,
    /// For each output of the engine, its order in `[h, w, c]`.
    orders: Vec<Vec<usize>>,
    /// How many of them are the model's own.
    own: usize,
    last: Vec<Array>,
    own_ports: Vec<Port>,
}

impl<'g> Reference<'g> {
    pub(crate) fn new(kind: Kind, onnx: &[u8], graph: &'g Graph, model: &Path) -> Result<Reference<'g>> {
        match kind {
            Kind::Exact => Ok(Reference::Exact(Exact::new(graph).map_err(|error| error.in_file(model))?)),
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
                "the engine `teff` is what is compared. Remedy: compare it with `exact`, `ort`, `tract` or `float`"
            ),
            #[allow(unreachable_patterns, reason = "reachable without the engines' features")]
            absent => {
                let _ = onnx;
                bail!(
                    "this `trainer` was built without the engine `{0}`. Remedy: build it with `--features {0}`, or \
                     compare with `exact`",
                    absent.name()
                )
            }
        }
    }

    /// The integers of one example.
    pub(crate) fn values(&mut self, graph: &Graph, inputs: &[Port], example: &[Array]) -> Result<Values> {
        let mut values = input_values(graph, example)?;
        match self {
            Reference::Exact(exact) => {
                let given: Vec<&[i8]> = graph
                    .inputs
                    .iter()
                    .filter_map(|port| values.get(&graph.value(port.value).name).map(Vec::as_slice))
                    .collect();
                exact.run(&given)?;
                for id in graph.value_ids() {
                    if !graph.value(id).is_constant() {
                        values.insert(graph.value(id).name.clone(), exact.value(id).to_vec());
                    }
                }
            }
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

    /// The model's own outputs, as real numbers, of the example that [`Reference::values`] was asked for last.
    pub(crate) fn outputs(&self, graph: &Graph) -> Result<Vec<Vec<f64>>> {
        match self {
            Reference::Exact(exact) => {
                let real = |(index, port): (usize, &teff_compiler::graph::Port)| {
                    let params = params(graph.value(port.value))
                        .with_context(|| format!("output `{}` is not quantized", port.name))?;
                    let integers = port.to_onnx(exact.output(index));
                    Ok(integers.iter().map(|&q| f64::from(params.dequantize(q))).collect())
                };
                graph.outputs.iter().enumerate().map(real).collect()
            }
            Reference::Float(evaluator) => {
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

/// The integers of the inputs of one example.
pub(crate) fn input_values(graph: &Graph, example: &[Array]) -> Result<Values> {
    let mut values = Values::new();
    for (port, array) in graph.inputs.iter().zip(example) {
        let Some(integers) = signed(array) else { bail!("input `{}` takes int8", port.name) };
        values.insert(graph.value(port.value).name.clone(), port.to_value(&integers));
    }
    Ok(values)
}

/// An array as the real numbers that it stands for.
pub(crate) fn real(array: &Array, port: &Port) -> Vec<f64> {
    match (&array.data, port.quant) {
        (Data::I8(raw), Some(quant)) => raw.iter().map(|&q| f64::from(quant.dequantize(q))).collect(),
        (Data::U8(raw), Some(quant)) => {
            raw.iter().map(|&q| f64::from(quant.dequantize((i16::from(q) - 128) as i8))).collect()
        }
        _ => array.to_f64(),
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

/// How a value is held in integers.
pub(crate) fn params(value: &Value) -> Option<QuantParams> {
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
            let Some(integers) = signed(array) else { continue };
            if integers.len() == order.len() {
                values.insert(port.name.clone(), order.iter().map(|&index| integers[index]).collect());
            }
        }
        Ok(())
    }
}
