//! Asking an emulated board for outputs, features and instruction counts.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::job::{self, Kind};
use crate::{Board, Emulator, Firmware, Link, Run, TIME_LIMIT};

/// One inference to run: the bytes of each of the model's inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// In the order of the plan.
    pub inputs: Vec<Vec<u8>>,
}

/// What the board answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseResult {
    /// The bytes of each of the model's outputs, in the order of the plan.
    pub outputs: Vec<Vec<u8>>,
    /// Instructions that the inference took.
    pub instructions: u64,
}

/// What the board's front end made of one recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Features {
    /// The features of all frames.
    pub frames: Vec<i16>,
    /// The model inputs of all windows.
    pub inputs: Vec<i8>,
    /// Instructions that the front end took.
    pub instructions: u64,
}

/// An emulated board with the program that answers questions, built once.
#[derive(Debug)]
pub struct Device {
    board: &'static Board,
    emulator: Emulator<'static>,
    program: PathBuf,
}

impl Device {
    /// Finds the emulator and builds the program.
    ///
    /// # Errors
    /// What is missing and what installs it, or why the program does not build.
    pub fn open(board: &'static Board) -> Result<Device> {
        // Looked for first: a missing emulator is said at once, not after a build.
        let emulator = Emulator::find(board)?;
        let program = Firmware { board, program: "verify", link: Link::None }.build()?;
        Ok(Device { board, emulator, program })
    }

    /// Runs each case through the plan.
    ///
    /// # Errors
    /// The board refuses the plan or a case, or does not answer.
    pub fn infer(&self, plan: &[u8], cases: &[Case]) -> Result<Vec<CaseResult>> {
        self.ask(Kind::Inference, plan, &joined(cases))
    }

    /// Runs each case through the plan, as fast as the emulator can; the instructions of the results mean nothing.
    ///
    /// # Errors
    /// The board refuses the plan or a case, or does not answer within `limit`.
    pub fn infer_fast(&self, plan: &[u8], cases: &[Case], limit: Duration) -> Result<Vec<CaseResult>> {
        let job = job::encode(Kind::Inference, plan, &joined(cases));
        let run = self.emulator.run_fast(&self.program, Some(&job), limit)?;
        all_answers(self.board, &run, cases.len())
    }

    /// Streams each recording (samples of all axes, interleaved) through the front end of that blob.
    ///
    /// # Errors
    /// The board refuses the blob or does not answer.
    pub fn features(&self, blob: &[u8], recordings: &[Vec<i16>]) -> Result<Vec<Features>> {
        let cases: Vec<Vec<u8>> = recordings
            .iter()
            .map(|samples| samples.iter().flat_map(|sample| sample.to_le_bytes()).collect())
            .collect();
        let results = self.ask(Kind::FrontEnd, blob, &cases)?;
        Ok(results.into_iter().map(Features::from).collect())
    }

    /// Runs the plan on `count` inputs that board and host draw alike ([`crate::numbers`]), every second time in steps of
    /// budgets that change, and gives the checksum of the outputs of each.
    ///
    /// # Errors
    /// The board refuses the plan or does not answer within `limit`.
    pub fn checksums(&self, plan: &[u8], seed: u32, count: u32, limit: Duration) -> Result<Vec<u32>> {
        let case = [seed.to_le_bytes(), count.to_le_bytes()].concat();
        let job = job::encode(Kind::Checksums, plan, &[case]);
        let run = self.emulator.run_fast(&self.program, Some(&job), limit)?;
        let results = answers(self.board, &run)?;
        let bytes = results.first().and_then(|result| result.outputs.first()).map_or(&[][..], Vec::as_slice);
        Ok(bytes.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect())
    }

    fn ask(&self, kind: Kind, body: &[u8], cases: &[Vec<u8>]) -> Result<Vec<CaseResult>> {
        let run = self.emulator.run(&self.program, Some(&job::encode(kind, body, cases)), TIME_LIMIT)?;
        all_answers(self.board, &run, cases.len())
    }

    pub(crate) fn board(&self) -> &'static Board {
        self.board
    }

    pub(crate) fn emulator(&self) -> &Emulator<'static> {
        &self.emulator
    }

    pub(crate) fn program(&self) -> &Path {
        &self.program
    }
}

fn joined(cases: &[Case]) -> Vec<Vec<u8>> {
    cases.iter().map(|case| case.inputs.concat()).collect()
}

fn all_answers(board: &Board, run: &Run, cases: usize) -> Result<Vec<CaseResult>> {
    let results = answers(board, run)?;
    if results.len() != cases {
        bail!("{} of {cases} cases were answered; {}", results.len(), said(board, run));
    }
    Ok(results)
}

/// What the board answered in a run that ended well.
pub(crate) fn answers(board: &Board, run: &Run) -> Result<Vec<CaseResult>> {
    let results = parse(&run.stdout).with_context(|| said(board, run))?;
    if !run.success {
        bail!("the program ended with a failure; {}", said(board, run));
    }
    Ok(results)
}

fn said(board: &Board, run: &Run) -> String {
    format!("board {} said:\n{}", board.name, tail(&run.stdout, &run.stderr))
}

impl From<CaseResult> for Features {
    fn from(result: CaseResult) -> Features {
        let bytes = |output: usize| result.outputs.get(output).map_or(&[][..], Vec::as_slice);
        Features {
            frames: bytes(0).as_chunks().0.iter().map(|pair| i16::from_le_bytes(*pair)).collect(),
            inputs: bytes(1).iter().map(|byte| *byte as i8).collect(),
            instructions: result.instructions,
        }
    }
}

/// Reads the lines described in [`crate::job`].
fn parse(text: &str) -> Result<Vec<CaseResult>> {
    let mut results: Vec<CaseResult> = Vec::new();
    let mut done = false;
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            Some("case") => {
                let number: usize = words.next().unwrap_or_default().parse()?;
                if number != results.len() {
                    bail!("line `{line}` was not expected here");
                }
                results.push(CaseResult { outputs: Vec::new(), instructions: 0 });
            }
            Some("instructions") => {
                let Some(result) = results.last_mut() else {
                    bail!("a count came before its case");
                };
                result.instructions = words.next().unwrap_or_default().parse()?;
            }
            Some("output") => {
                let Some(result) = results.last_mut() else {
                    bail!("an output came before its case");
                };
                let number: usize = words.next().unwrap_or_default().parse()?;
                let bytes = from_hex(words.next().unwrap_or_default())?;
                // A long output comes in several lines of one number.
                if number == result.outputs.len() {
                    result.outputs.push(Vec::new());
                }
                let Some(output) = result.outputs.get_mut(number) else {
                    bail!("line `{line}` was not expected here");
                };
                output.extend(bytes);
            }
            Some("error") => bail!("{}", line.trim_start_matches("error ")),
            Some("done") => done = true,
            _ => {}
        }
    }
    if !done {
        bail!("the program stopped before its last line");
    }
    Ok(results)
}

fn from_hex(text: &str) -> Result<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        bail!("`{text}` is not a row of bytes in hexadecimal");
    }
    (0..text.len()).step_by(2).map(|at| Ok(u8::from_str_radix(&text[at..at + 2], 16)?)).collect()
}

/// The last lines of both streams, for a message.
fn tail(stdout: &str, stderr: &str) -> String {
    let lines: Vec<&str> = stdout.lines().chain(stderr.lines()).collect();
    let shown = &lines[lines.len().saturating_sub(10)..];
    shown.iter().map(|line| line.chars().take(200).collect::<String>()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        let results =
            parse("case 0\noutput 0 01ff\noutput 0 02\noutput 1 80\ninstructions 40\ndone\n").unwrap();
        assert_eq!(results, [CaseResult { outputs: vec![vec![1, 255, 2], vec![128]], instructions: 40 }]);
    }

    #[test]
    fn what_is_not_an_answer_is_refused() {
        for text in [
            "",
            "case 0\n",
            "output 0 00\ndone\n",
            "case 1\ndone\n",
            "case 0\noutput 0 0x\ndone\n",
            "error the arena is too small\n",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
