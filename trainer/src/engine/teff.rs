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
    /// Loads a plan, or compiles a quantized model file for the target `generic`.
    pub fn load(model: &Path) -> Result<Teff> {
        if model_file::is_plan(model) {
            return Teff::new(model_file::open_plan(model)?, model);
        }
        let compiled = model_file::compile(model, Target::Generic)?;
        Teff::from_plan(&compiled.plan, model)
    }

    /// An engine of a plan's bytes; `model` is for messages.
    pub fn from_plan(plan: &[u8], model: &Path) -> Result<Teff> {
        let file = model_file::plan_from_bytes(model, plan)?;
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

    /// Examples in the order of the values' memory, as a board is given them.
    pub fn cases(&self, examples: &[Vec<Array>]) -> Result<Vec<RawCase>> {
        let case = |example: &Vec<Array>| {
            let inputs = self.inputs.iter().zip(example).map(|(wire, array)| match &array.data {
                Data::I8(numbers) => Ok(wire.order.to_value(numbers)),
                Data::U8(numbers) => {
                    let shifted: Vec<i8> = numbers.iter().map(|&q| (i16::from(q) - 128) as i8).collect();
                    Ok(wire.order.to_value(&shifted))
                }
                _ => Err(anyhow!("input `{}` takes int8", wire.port.name)),
            });
            Ok(RawCase { inputs: inputs.collect::<Result<_>>()? })
        };
        examples.iter().map(case).collect()
    }

    /// Runs cases and gives the bytes of each output.
    pub fn run_raw(&mut self, cases: &[RawCase]) -> Result<Vec<Vec<Vec<i8>>>> {
        let model = self.file.model();
        let mut session = Session::<AnyModel>::from_model(model, self.arena.as_mut_slice())
            .map_err(|error| anyhow!("the plan does not run: {error}"))?;
        let mut results = Vec::with_capacity(cases.len());
        for case in cases {
            for (index, input) in case.inputs.iter().enumerate() {
                session.input_mut(index).copy_from_slice(input);
            }
            session.invoke();
            results
                .push((0..self.outputs.len()).map(|index| session.output(index).values.to_vec()).collect());
        }
        Ok(results)
    }

    /// The outputs of a case as arrays of the model.
    pub fn outputs_of(&self, outputs: &[Vec<i8>]) -> Vec<Array> {
        let arrays = self.outputs.iter().zip(outputs).map(|(wire, bytes)| {
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

/// The inputs of one inference in the order of the values' memory, as a board is given them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawCase {
    /// The bytes of each input.
    pub inputs: Vec<Vec<i8>>,
}

impl From<&RawCase> for teff_board::Case {
    fn from(case: &RawCase) -> teff_board::Case {
        let bytes = |input: &Vec<i8>| input.iter().map(|&q| q as u8).collect();
        teff_board::Case { inputs: case.inputs.iter().map(bytes).collect() }
    }
}

/// The bytes of an output that a board gave.
pub fn signed(bytes: &[u8]) -> Vec<i8> {
    bytes.iter().map(|&byte| byte as i8).collect()
}

impl Engine for Teff {
    fn inputs(&self) -> &[Port] {
        &self.input_ports
    }

    fn outputs(&self) -> &[Port] {
        &self.output_ports
    }

    fn run(&mut self, examples: &[Vec<Array>]) -> Result<Vec<Vec<Array>>> {
        let cases = self.cases(examples)?;
        let results = self.run_raw(&cases)?;
        Ok(results.iter().map(|outputs| self.outputs_of(outputs)).collect())
    }
}
