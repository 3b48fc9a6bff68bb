//! Every plan that the compiler can make of a model, on an emulated board and here: no bit may differ.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use teff::kernels::params::Packing;
use teff::kernels::reference::Reference;
use teff::plan::NONE;
use teff::plan::file::ModelFile;
use teff::shape::Layout;
use teff::{AnyModel, Model, Session};
use teff_board::numbers::{EMPTY, Numbers, checksum};
use teff_board::{Board, Case, CaseResult, Device};
use teff_compiler::target::{packings, parse_target};
use teff_compiler::{Options, Target};

use crate::arrays::{self, Array};
use crate::engine::teff::{Teff, signed};
use crate::engine::{Engine, batch};
use crate::{golden, model_file};

/// Seed of the inputs.
const SEED: u32 = 0x7eff;
/// A flash budget under which every layer has the weights that take the fewest instructions.
const FLASH: usize = 16 << 20;
/// How long the board may take for one plan.
const LIMIT: Duration = Duration::from_secs(3600);

/// One plan of a model on one board.
#[derive(Debug, Clone, Serialize)]
pub struct Choice {
    /// What was asked of the compiler.
    pub choice: String,
    /// Bytes of the arena.
    pub arena_bytes: u64,
    /// Whether some operators run in lock step.
    pub lock_step: bool,
    /// Packings that occur.
    pub packings: Vec<String>,
    /// Inferences on the board with drawn inputs.
    pub inputs: u32,
    /// Inferences on the board with the inputs recorded beside the model.
    pub recorded: usize,
    /// Inferences whose outputs differ from the reference kernels' on the host: by their checksum for drawn inputs, byte by
    /// byte for recorded ones.
    pub differing: usize,
}

/// What there is to ask for: the usual plan, everything apart, more flash, each packing wherever it suits, and planar
/// values.
fn choices(target: Target) -> Vec<(String, Options)> {
    let mut choices = vec![
        ("usual".to_string(), Options::default()),
        ("every value apart".to_string(), Options { overlap: false, ..Options::default() }),
        ("more flash".to_string(), Options { flash_bytes: Some(FLASH), ..Options::default() }),
    ];
    for packing in packings(target) {
        for layout in [Layout::Nhwc, Layout::Planar] {
            let name = format!("{packing:?}, {layout:?}").to_lowercase();
            let options = Options { packing: Some(packing), layout: Some(layout), ..Options::default() };
            choices.push((name, options));
        }
    }
    choices
}

/// Compares board and host with every plan of a model file: on `inputs` drawn inputs, and on those that are recorded beside
/// the model ([`golden::recorded`]), where there are any.
///
/// # Errors
/// The model does not compile, the recorded inputs do not fit it, or the board does not answer.
pub fn compare(model: &Path, board: &'static Board, inputs: u32) -> Result<Vec<Choice>> {
    let target = parse_target(board.plan_target)?;
    let device = Device::open(board)?;
    let plain = Options { packing: Some(Packing::Plain), overlap: false, ..Options::default() };
    let plain = model_file::compile_with(model, Target::Generic, &plain)?.plan;
    let expected = drawn(&plain, inputs)?;
    let recorded = Recorded::of(model, &plain)?;
    let mut found = Vec::new();
    let mut seen: Vec<Vec<u8>> = Vec::new();
    let mut all: Vec<(String, Vec<u8>)> = Vec::new();
    for (choice, options) in choices(target) {
        let compiled = model_file::compile_with(model, target, &options)?;
        all.push((choice, compiled.plan));
    }
    all.push(("smallest arena".to_string(), smallest(model, target)?));
    for (choice, plan) in all {
        // Where a wish changes nothing the plan is that of an earlier one.
        if seen.contains(&plan) {
            continue;
        }
        let file = ModelFile::from_bytes(&plan).map_err(|error| anyhow::anyhow!("{choice}: {error}"))?;
        let sums = device.checksums(&plan, SEED, inputs, LIMIT).with_context(|| choice.clone())?;
        ensure!(sums.len() == expected.len(), "{choice}: {} of {} inferences", sums.len(), expected.len());
        let differing = sums.iter().zip(&expected).filter(|(board, host)| board != host).count();
        let of_recorded = recorded.differing(&device, &plan, model).with_context(|| choice.clone())?;
        let compiled = file.model();
        let weighted = compiled.ops().filter(|op| op.multipliers_offset != NONE);
        let mut used: Vec<String> = weighted.map(|op| format!("{:?}", op.packing).to_lowercase()).collect();
        used.sort();
        used.dedup();
        found.push(Choice {
            choice,
            arena_bytes: compiled.header().arena_bytes.into(),
            lock_step: compiled.header().ops.contains_groups(),
            packings: used,
            inputs,
            recorded: recorded.examples.len(),
            differing: differing + of_recorded,
        });
        seen.push(plan);
    }
    Ok(found)
}

/// The plan with the smallest arena that is found.
fn smallest(model: &Path, target: Target) -> Result<Vec<u8>> {
    let mut smallest = model_file::compile_with(model, target, &Options::default())?;
    loop {
        let ram_bytes = Some(smallest.report.arena_bytes as usize * 31 / 32);
        match model_file::compile_with(model, target, &Options { ram_bytes, ..Options::default() }) {
            Ok(smaller) => smallest = smaller,
            Err(_) => return Ok(smallest.plan),
        }
    }
}

/// Inputs recorded beside a model, and the outputs of the reference kernels on the host for them.
struct Recorded {
    examples: Vec<Vec<Array>>,
    outputs: Vec<Vec<Array>>,
}

impl Recorded {
    /// Runs the plan `plain` of a model on the host.
    fn of(model: &Path, plain: &[u8]) -> Result<Recorded> {
        let Some(file) = golden::recorded(model) else {
            return Ok(Recorded { examples: Vec::new(), outputs: Vec::new() });
        };
        let engine = Teff::from_plan(plain, model)?;
        let examples = batch::examples(engine.inputs(), &arrays::read(&file)?, &file)?;
        let cases = engine.cases(&examples)?;
        let outputs = on_host(plain, cases.len(), |inference, index, input| {
            input.copy_from_slice(&cases[inference].inputs[index]);
        })?;
        Ok(Recorded { examples, outputs: outputs.iter().map(|outputs| engine.outputs_of(outputs)).collect() })
    }

    /// How many inferences of another plan of the model have other outputs on a board.
    fn differing(&self, device: &Device, plan: &[u8], model: &Path) -> Result<usize> {
        if self.examples.is_empty() {
            return Ok(0);
        }
        let engine = Teff::from_plan(plan, model)?;
        let results = device.infer_fast(
            plan,
            &engine.cases(&self.examples)?.iter().map(Case::from).collect::<Vec<_>>(),
            LIMIT,
        )?;
        let differs = |(result, expected): (&CaseResult, &Vec<Array>)| {
            let outputs: Vec<Vec<i8>> = result.outputs.iter().map(|bytes| signed(bytes)).collect();
            engine.outputs_of(&outputs) != *expected
        };
        Ok(results.iter().zip(&self.outputs).filter(|pair| differs(*pair)).count())
    }
}

/// Checksums by the reference kernels for drawn inputs.
fn drawn(plan: &[u8], inputs: u32) -> Result<Vec<u32>> {
    let mut numbers = Numbers::new(SEED, 0);
    let outputs = on_host(plan, inputs as usize, |inference, index, input| {
        if index == 0 {
            numbers = Numbers::new(SEED, inference as u32);
        }
        input.iter_mut().for_each(|to| *to = numbers.byte());
    })?;
    let sum = |outputs: &Vec<Vec<i8>>| outputs.iter().fold(EMPTY, |sum, output| checksum(sum, output));
    Ok(outputs.iter().map(sum).collect())
}

/// The outputs of `inferences` inferences by the reference kernels; `fill` is given the inference, the input's index and its
/// bytes.
fn on_host(
    plan: &[u8],
    inferences: usize,
    mut fill: impl FnMut(usize, usize, &mut [i8]),
) -> Result<Vec<Vec<Vec<i8>>>> {
    let file = ModelFile::from_bytes(plan).map_err(|error| anyhow::anyhow!("{error}"))?;
    let model = Model::open::<AnyModel, Reference>(file.model().as_bytes())
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    let mut arena = file.arena();
    let mut session = Session::<AnyModel, Reference>::with_model(model, arena.as_mut_slice())
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    let run = |inference| {
        (0..model.n_inputs()).for_each(|index| fill(inference, index, session.input_mut(index)));
        session.invoke();
        (0..model.n_outputs()).map(|index| session.output(index).values.to_vec()).collect()
    };
    Ok((0..inferences).map(run).collect())
}
