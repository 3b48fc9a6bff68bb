//! Teff's runtime: the arithmetic of the device, on the host.

use std::path::Path;

use ::teff::plan::Model;
use ::teff::plan::file::{HostArena, ModelFile};
use ::teff::{AnyModel, Session};
use anyhow::{Result, anyhow};
use teff_compiler::Target;

use super::ports::{Direction, Wire, wires};
use super::{Engine, Port};
use crate::arrays::{Array, Data, ElementType};
use crate::error::InputError;
use crate::model_file;

/// A plan, and the arena it runs in.
#[derive(Debug)]
pub struct Teff {
    file: ModelFile,
    arena: HostArena,
    inputs: Vec<Wire>,
    outputs: Vec<Wire>,
    input_ports: Vec<Port>,
    output_ports: Vec<Port>,
}

impl Teff {
    /// Loads a plan, or compiles a quantized ONNX file for the target `generic`.
    pub fn load(model: &Path) -> Result<Teff> {
        if model_file::is_plan(model) {
            return Teff::new(model_file::open_plan(model)?, model);
        }
        let compiled = model_file::compile(model, Target::Generic)?;
        Teff::from_plan(&compiled.plan, model)
    }

    /// An engine of a plan's bytes; `model` is for messages.
    pub fn from_plan(plan: &[u8], model: &Path) -> Result<Teff> {
        let file = ModelFile::from_bytes(plan).map_err(|error| {
            InputError::new(
                model,
                format!("cannot be opened: {error}"),
                "compile it again with `trainer compile`",
            )
        })?;
        Teff::new(file, model)
    }

    fn new(file: ModelFile, model: &Path) -> Result<Teff> {
        let fault =
            |problem: String| InputError::new(model, problem, "compile it again with `trainer compile`");
        let plan = file.model();
        let inputs = wires(&plan, Direction::In).map_err(fault)?;
        let outputs = wires(&plan, Direction::Out).map_err(fault)?;
        let ports = |wires: &[Wire]| wires.iter().map(|wire| wire.port.clone()).collect();
        Ok(Teff {
            arena: file.arena(),
            input_ports: ports(&inputs),
            output_ports: ports(&outputs),
            file,
            inputs,
            outputs,
        })
    }

    /// The plan.
    pub fn model(&self) -> Model<'_> {
        self.file.model()
    }

    /// Runs examples in quantized units, in the order of the values' memory: per example the bytes of each input and
    /// those of each output.
    pub fn run_raw(&mut self, examples: &[Vec<Array>]) -> Result<Vec<RawCase>> {
        let model = self.file.model();
        let mut session = Session::<AnyModel>::from_model(model, self.arena.as_mut_slice())
            .map_err(|error| anyhow!("the plan does not run: {error}"))?;
        let mut cases = Vec::with_capacity(examples.len());
        for example in examples {
            let mut inputs = Vec::with_capacity(self.inputs.len());
            for (index, (wire, array)) in self.inputs.iter().zip(example).enumerate() {
                let value = session.input_mut(index);
                match &array.data {
                    Data::I8(numbers) => wire.order.to_value(numbers, value),
                    Data::U8(numbers) => {
                        let shifted: Vec<i8> = numbers.iter().map(|&q| (i16::from(q) - 128) as i8).collect();
                        wire.order.to_value(&shifted, value);
                    }
                    _ => return Err(anyhow!("input `{}` takes int8", wire.port.name)),
                }
                inputs.push(value.to_vec());
            }
            session.invoke();
            let outputs =
                (0..self.outputs.len()).map(|index| session.output(index).values.to_vec()).collect();
            cases.push(RawCase { inputs, outputs });
        }
        Ok(cases)
    }

    /// The outputs of a case as arrays of the model.
    pub fn outputs_of(&self, case: &RawCase) -> Vec<Array> {
        let arrays = self.outputs.iter().zip(&case.outputs).map(|(wire, bytes)| {
            let shape: Vec<usize> = wire.port.shape.iter().map(|size| size.unwrap_or(1)).collect();
            let numbers = wire.order.to_onnx(bytes);
            let data = match wire.port.element_type {
                ElementType::U8 => Data::U8(numbers.iter().map(|&q| (i16::from(q) + 128) as u8).collect()),
                _ => Data::I8(numbers),
            };
            Array { shape, data }
        });
        arrays.collect()
    }
}

/// One inference in the order of the values' memory, as a board is given it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawCase {
    /// The bytes of each input.
    pub inputs: Vec<Vec<i8>>,
    /// The bytes of each output.
    pub outputs: Vec<Vec<i8>>,
}

impl Engine for Teff {
    fn inputs(&self) -> &[Port] {
        &self.input_ports
    }

    fn outputs(&self) -> &[Port] {
        &self.output_ports
    }

    fn run(&mut self, examples: &[Vec<Array>]) -> Result<Vec<Vec<Array>>> {
        let cases = self.run_raw(examples)?;
        Ok(cases.iter().map(|case| self.outputs_of(case)).collect())
    }
}
