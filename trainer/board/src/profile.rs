//! What an inference costs on an emulated board: as a whole, by operator, by slice, and on the stack.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::emulator::{Marks, TemporaryFile};
use crate::job::{self, Kind};
use crate::plugin::{self, Count};
use crate::{Board, Case, Device, Elf, Emulator, Firmware, Link, Run, TIME_LIMIT};

/// What an inference costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The whole inference, in one piece.
    pub total: Count,
    /// Each operator of the plan, run alone, or row by row with those that it is in lock step with.
    pub layers: Vec<Count>,
    /// The slice with the most instructions: how long [`teff::Session::step`] works at least.
    ///
    /// [`teff::Session::step`]: https://docs.rs/teff
    pub longest_slice: Count,
    /// How many slices there are.
    pub slices: usize,
    /// Bytes of stack below the caller of an inference.
    pub stack_bytes: u64,
    /// The bytes of each output.
    pub outputs: Vec<Vec<u8>>,
}

/// Runs a program of a board that needs neither a model nor a job, and gives what ran between each
/// two marks of it.
///
/// # Errors
/// The program does not build or ends with a failure, or the emulator takes no plugin.
pub fn count_program(board: &'static Board, program: &str) -> Result<Vec<Count>> {
    let emulator = Emulator::find(board)?;
    let program = Firmware { board, program, link: Link::None }.build()?;
    let (run, regions) = count(&emulator, board, &program, None)?;
    if !run.success {
        bail!("the program ended with a failure and said: {}{}", run.stdout, run.stderr);
    }
    Ok(regions)
}

/// Runs a program with the plugin, and gives what ran between each two marks of it.
pub(crate) fn count(
    emulator: &Emulator<'_>,
    board: &Board,
    program: &Path,
    job: Option<&[u8]>,
) -> Result<(Run, Vec<Count>)> {
    let elf = Elf::read(program)?;
    let counts = TemporaryFile::new("counts");
    let marks = Marks {
        plugin: plugin::build(board)?,
        begin: elf.function("4mark5begin")?,
        end: elf.function("4mark3end")?,
        counts: counts.path().to_path_buf(),
    };
    let run = emulator.run_counted(program, job, &marks, TIME_LIMIT)?;
    let regions = plugin::read(counts.path(), &elf, board)
        .with_context(|| format!("the emulator said: {}{}", run.stdout, run.stderr))?;
    Ok((run, regions))
}

/// Runs a program of an emulated board to its end, and gives the bytes of its stack that it wrote to: of main and of all
/// interrupts in it. What the processor itself pushes at an interrupt counts as far as the handler writes below it.
///
/// # Errors
/// The program ends with a failure, or its stack reaches variables, or the emulator takes no plugin.
pub fn stack_bytes(board: &'static Board, program: &Path) -> Result<u64> {
    let emulator = Emulator::find(board)?;
    let (low, high) = Elf::read(program)?.stack()?;
    let lowest = TemporaryFile::new("stack");
    let plugin = plugin::build(board)?;
    let run = emulator.run_watched(program, &plugin, (low, high), lowest.path(), TIME_LIMIT)?;
    if !run.success {
        bail!("the program ended with a failure and said: {}{}", run.stdout, run.stderr);
    }
    let text = fs::read_to_string(lowest.path())
        .with_context(|| format!("cannot read {}", lowest.path().display()))?;
    let mut addresses = text.lines().filter_map(|line| u64::from_str_radix(line, 16).ok());
    let lowest = addresses.next_back().context("the program wrote nothing to its stack")?;
    // Writes below are to variables or to a stack that has overflowed: which of both, nobody knows.
    if lowest < low + 8 {
        bail!("the {} bytes of {} that are left for the stack do not suffice", high - low, program.display());
    }
    Ok(high - lowest)
}

impl Device {
    /// Counts what `case` costs. The plan has `operators` operators.
    ///
    /// # Errors
    /// The board refuses the plan or the case, the emulator takes no plugin, or the three ways to run
    /// a plan (whole, by operator, by slice) do not give the same bits.
    pub fn profile(&self, plan: &[u8], case: &Case, operators: usize) -> Result<Profile> {
        let board = self.board();
        let job = job::encode(Kind::Profile, plan, &[case.inputs.concat()]);
        let (run, regions) = count(self.emulator(), board, self.program(), Some(&job))?;
        let results = crate::device::answers(board, &run)?;
        let [whole, by_operator, by_slice] = results.as_slice() else {
            bail!("board {} answered {} of 3 runs", board.name, results.len());
        };
        if whole.outputs != by_operator.outputs || whole.outputs != by_slice.outputs {
            bail!("board {}: whole, by operator and by slice, the outputs are not the same", board.name);
        }
        let too_few = || format!("the counter wrote {} regions, for {operators} operators", regions.len());
        let (total, rest) = regions.split_first().with_context(too_few)?;
        let lines = run.stdout.lines();
        let owners = lines.filter_map(|line| line.strip_prefix("region ")?.trim().parse::<usize>().ok());
        let owners: Vec<usize> = owners.collect();
        let (pieces, slices) = rest.split_at_checked(owners.len()).with_context(too_few)?;
        let mut layers = vec![Count::default(); operators];
        for (&owner, &piece) in owners.iter().zip(pieces) {
            *layers.get_mut(owner).with_context(too_few)? += piece;
        }
        if layers.contains(&Count::default()) {
            bail!(too_few());
        }
        let longest = slices.iter().max_by_key(|slice| slice.instructions).with_context(too_few)?;
        let stack = run.stdout.lines().find_map(|line| line.strip_prefix("stack ")?.parse().ok());
        Ok(Profile {
            total: *total,
            layers,
            longest_slice: *longest,
            slices: slices.len(),
            stack_bytes: stack.context("the board did not say how much stack was used")?,
            outputs: whole.outputs.clone(),
        })
    }
}
