//! A plan on an emulated board: the very program that a device runs.

use std::path::Path;

use anyhow::{Context, Result};
use teff_board::{Board, Case, Device};
use teff_compiler::target::parse_target;

use super::teff::{RawCase, Teff, signed};
use super::{Engine, Port};
use crate::arrays::Array;
use crate::model_file;

/// A plan, and the board that runs it.
#[derive(Debug)]
pub struct OnBoard {
    board: &'static Board,
    device: Device,
    teff: Teff,
    instructions: Vec<u64>,
    names: Vec<String>,
}

impl OnBoard {
    /// Loads a plan, or compiles a quantized model file for the board's processor; builds the board's program.
    pub fn load(model: &Path, board: &'static Board) -> Result<OnBoard> {
        let (teff, names) = if model_file::is_plan(model) {
            (Teff::load(model)?, Vec::new())
        } else {
            let compiled = model_file::compile(model, parse_target(board.plan_target)?)?;
            let names = compiled.report.layers.into_iter().map(|layer| layer.name).collect();
            (Teff::from_plan(&compiled.plan, model)?, names)
        };
        let device = Device::open(board)?;
        Ok(OnBoard { board, device, teff, instructions: Vec::new(), names })
    }

    /// Names of the plan's operators, where the model is no plan.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The board with its program.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The plan on the host.
    pub fn host(&mut self) -> &mut Teff {
        &mut self.teff
    }

    /// Instructions of each inference so far.
    pub fn instructions(&self) -> &[u64] {
        &self.instructions
    }

    /// Runs cases on the board and gives the bytes of their outputs.
    pub fn run_raw(&mut self, cases: &[RawCase]) -> Result<Vec<Vec<Vec<i8>>>> {
        let plan = self.teff.model().as_bytes().to_vec();
        let given: Vec<Case> = cases.iter().map(Case::from).collect();
        let results = self
            .device
            .infer(&plan, &given)
            .with_context(|| format!("board {} did not run the model", self.board.name))?;
        self.instructions.extend(results.iter().map(|result| result.instructions));
        Ok(results.iter().map(|result| result.outputs.iter().map(|bytes| signed(bytes)).collect()).collect())
    }

    /// How many cases the board's memory holds beside the plan.
    fn room(&self, examples: &[Vec<Array>]) -> usize {
        let case: usize = examples.first().map_or(1, |arrays| arrays.iter().map(Array::len).sum());
        let left = self.board.job_bytes.saturating_sub(self.teff.model().as_bytes().len() + 4096);
        (left / (case + 8)).max(1)
    }
}

impl Engine for OnBoard {
    fn inputs(&self) -> &[Port] {
        self.teff.inputs()
    }

    fn outputs(&self) -> &[Port] {
        self.teff.outputs()
    }

    fn chunk(&self) -> usize {
        // Each start of the emulator costs more than a few inferences.
        512
    }

    fn run(&mut self, examples: &[Vec<Array>]) -> Result<Vec<Vec<Array>>> {
        let mut results = Vec::with_capacity(examples.len());
        for part in examples.chunks(self.room(examples)) {
            let cases = self.teff.cases(part)?;
            for outputs in self.run_raw(&cases)? {
                results.push(self.teff.outputs_of(&outputs));
            }
        }
        Ok(results)
    }
}
