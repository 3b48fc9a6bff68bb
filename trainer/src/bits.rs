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
use teff_board::{Board, Device};
use teff_compiler::target::{packings, parse_target};
use teff_compiler::{Options, Target};

use crate::model_file;

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
    /// Inferences on the board.
    pub inputs: u32,
    /// Inferences whose outputs have another checksum than the reference kernels' on the host.
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

/// Compares board and host on `inputs` inputs with every plan of a model file.
///
/// # Errors
/// The model does not compile, or the board does not answer.
pub fn compare(model: &Path, board: &'static Board, inputs: u32) -> Result<Vec<Choice>> {
    let target = parse_target(board.plan_target)?;
    let device = Device::open(board)?;
    let plain = Options { packing: Some(Packing::Plain), overlap: false, ..Options::default() };
    let expected = on_host(&model_file::compile_with(model, Target::Generic, &plain)?.plan, inputs)?;
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
        let model = file.model();
        let weighted = model.ops().filter(|op| op.multipliers_offset != NONE);
        let mut used: Vec<String> = weighted.map(|op| format!("{:?}", op.packing).to_lowercase()).collect();
        used.sort();
        used.dedup();
        found.push(Choice {
            choice,
            arena_bytes: file.model().header().arena_bytes.into(),
            lock_step: file.model().header().ops.contains_groups(),
            packings: used,
            inputs,
            differing: sums.iter().zip(&expected).filter(|(board, host)| board != host).count(),
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

/// Checksums by the reference kernels.
fn on_host(plan: &[u8], inputs: u32) -> Result<Vec<u32>> {
    let file = ModelFile::from_bytes(plan).map_err(|error| anyhow::anyhow!("{error}"))?;
    let model = Model::open::<AnyModel, Reference>(file.model().as_bytes())
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    let mut arena = file.arena();
    let mut session = Session::<AnyModel, Reference>::with_model(model, arena.as_mut_slice())
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    let sum = |inference| {
        let mut numbers = Numbers::new(SEED, inference);
        for index in 0..model.n_inputs() {
            session.input_mut(index).iter_mut().for_each(|to| *to = numbers.byte());
        }
        session.invoke();
        (0..model.n_outputs()).fold(EMPTY, |sum, index| checksum(sum, session.output(index).values))
    };
    Ok((0..inputs).map(sum).collect())
}
