//! Answers a host's questions on a board.
//!
//! The host puts a *job* into the board's memory: a plan with inputs, or a front-end blob with
//! recordings. The program answers in lines of text: outputs and features bit for bit, and the
//! instructions they took. Neither plan nor inputs are compiled in, so that one program serves every
//! model. The table of bytes and the form of the answer stand with the host's side, in the package
//! `teff-board`.
#![no_std]
#![deny(missing_docs)]

#[cfg(test)]
extern crate std;

pub mod job;
mod numbers;
mod profile;

use core::fmt::{self, Write};

use teff::dsp::{FrontEnd, Kind};
use teff::plan::AnyModel;
use teff::{Model, Progress, Session};

use job::{Job, Question};
use numbers::{EMPTY, Numbers, checksum};

/// Bytes of an output on one line of the answer.
const BYTES_PER_LINE: usize = 64;

/// Samples that the front end is given at once.
const SAMPLES_PER_PUSH: usize = 64;

/// What a board lends for the work.
#[derive(Debug)]
pub struct Memory<'a> {
    /// For activations; begins on a 16-byte boundary.
    pub arena: &'a mut [i8],
    /// For the front end.
    pub workspace: &'a mut [u32],
}

/// What a board measures with.
pub trait Instruments {
    /// Instructions since any fixed moment.
    fn now(&mut self) -> u64;

    /// From now on nothing but the program runs: no interrupt.
    fn keep_still(&mut self);

    /// Counting begins, for one region of the profile.
    fn begin(&mut self);

    /// Counting ends.
    fn end(&mut self);

    /// Paints the stack below the caller.
    fn paint_stack(&mut self);

    /// Bytes of the painted stack that were used since.
    fn stack_bytes(&mut self) -> usize;
}

/// Reads the job and writes the answer; tells whether all of it could be answered.
pub fn answer(
    job: &[u8],
    memory: Memory<'_>,
    instruments: &mut impl Instruments,
    out: &mut impl Write,
) -> bool {
    let result = Job::read(job).map_err(Failure::Job).and_then(|job| match job.question {
        Question::Inference => infer(&job, memory.arena, instruments, out),
        Question::FrontEnd => features(&job, memory, instruments, out),
        Question::Profile => profile::profile(&job, memory.arena, instruments, out),
        Question::Checksums => checksums(&job, memory.arena, instruments, out),
        Question::FrontEndCosts | Question::Hops => {
            Err(Failure::Job("the program `front_end` answers that, not this one"))
        }
    });
    match result {
        Ok(()) => writeln!(out, "done").is_ok(),
        Err(failure) => {
            // Where even this line cannot be written there is nobody to tell.
            let _ = writeln!(out, "error {failure}");
            false
        }
    }
}

/// Why a question cannot be answered.
enum Failure {
    Job(&'static str),
    Model(teff::LoadError),
    FrontEnd(teff::dsp::FrontEndError),
    InputLen { case: usize, needed: usize, given: usize },
    Image,
    Window { needed: usize },
    NoCase,
    NoCount,
    Write,
}

impl From<fmt::Error> for Failure {
    fn from(_: fmt::Error) -> Self {
        Failure::Write
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Job(why) => f.write_str(why),
            Failure::Model(error) => error.fmt(f),
            Failure::FrontEnd(error) => error.fmt(f),
            Failure::InputLen { case, needed, given } => {
                write!(f, "case {case} has {given} bytes of inputs, but the model takes {needed}")
            }
            Failure::Image => f.write_str("an image front end has no frames"),
            Failure::Window { needed } => {
                write!(f, "a window of {needed} features does not fit this board's arena")
            }
            Failure::NoCase => f.write_str("a profile needs one case"),
            Failure::NoCount => f.write_str("a case of checksums is a seed and a number of inferences"),
            Failure::Write => f.write_str("the answer could not be written"),
        }
    }
}

fn infer(
    job: &Job<'_>,
    arena: &mut [i8],
    instruments: &mut impl Instruments,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let model = Model::new(job.body).map_err(Failure::Model)?;
    let mut session = Session::from_model(model, arena).map_err(Failure::Model)?;
    for (number, case) in job.cases().enumerate() {
        write_inputs(&mut session, number, case)?;
        writeln!(out, "case {number}")?;
        let before = instruments.now();
        session.invoke();
        let instructions = instruments.now() - before;
        write_outputs(&session, out)?;
        writeln!(out, "instructions {instructions}")?;
    }
    Ok(())
}

/// Runs inferences on inputs that are drawn here, every second one in steps of changing budgets, and writes a checksum of
/// the outputs of each.
fn checksums(
    job: &Job<'_>,
    arena: &mut [i8],
    instruments: &mut impl Instruments,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let model = Model::new(job.body).map_err(Failure::Model)?;
    let mut session = Session::from_model(model, arena).map_err(Failure::Model)?;
    instruments.keep_still();
    for (number, case) in job.cases().enumerate() {
        let word = |at: usize| Some(u32::from_le_bytes(*case.get(at..at + 4)?.first_chunk()?));
        let (Some(seed), Some(count)) = (word(0), word(4)) else { return Err(Failure::NoCount) };
        writeln!(out, "case {number}")?;
        for inference in 0..count {
            let mut numbers = Numbers::new(seed, inference);
            for index in 0..session.model().n_inputs() {
                session.input_mut(index).iter_mut().for_each(|to| *to = numbers.byte());
            }
            if inference % 2 == 0 {
                session.invoke();
            } else {
                while session.step(numbers.budget()) == Progress::Pending {}
            }
            let outputs = 0..session.model().n_outputs();
            let sum = outputs.fold(EMPTY, |sum, index| checksum(sum, session.output(index).values));
            write_hex(out, 0, sum.to_le_bytes().into_iter())?;
        }
        writeln!(out, "instructions 0")?;
    }
    Ok(())
}

/// Puts a case's bytes into the inputs.
fn write_inputs(session: &mut Session<'_, AnyModel>, number: usize, case: &[u8]) -> Result<(), Failure> {
    let mut rest = case;
    let mut needed = 0;
    for index in 0..session.model().n_inputs() {
        let input = session.input_mut(index);
        needed += input.len();
        let (here, later) = rest.split_at_checked(input.len()).unwrap_or((&[], &[]));
        for (to, byte) in input.iter_mut().zip(here) {
            *to = *byte as i8;
        }
        rest = later;
    }
    if case.len() != needed {
        return Err(Failure::InputLen { case: number, needed, given: case.len() });
    }
    Ok(())
}

fn write_outputs(session: &Session<'_, AnyModel>, out: &mut impl Write) -> fmt::Result {
    for index in 0..session.model().n_outputs() {
        let values = session.output(index).values;
        write_hex(out, index, values.iter().map(|value| *value as u8))?;
    }
    Ok(())
}

/// Output 0 is the features of all frames, output 1 the model inputs of all windows.
fn features(
    job: &Job<'_>,
    memory: Memory<'_>,
    instruments: &mut impl Instruments,
    out: &mut impl Write,
) -> Result<(), Failure> {
    for (number, case) in job.cases().enumerate() {
        let mut front_end = FrontEnd::new(job.body, memory.workspace).map_err(Failure::FrontEnd)?;
        if front_end.settings().kind == Kind::Image {
            return Err(Failure::Image);
        }
        let needed = front_end.settings().window_features();
        let Some(input) = memory.arena.get_mut(..needed) else {
            return Err(Failure::Window { needed });
        };
        writeln!(out, "case {number}")?;
        let mut instructions = 0;
        for bytes in case.chunks(2 * SAMPLES_PER_PUSH) {
            let mut piece = [0; SAMPLES_PER_PUSH];
            for (sample, pair) in piece.iter_mut().zip(bytes.as_chunks().0) {
                *sample = i16::from_le_bytes(*pair);
            }
            let mut samples = piece.get(..bytes.len() / 2).unwrap_or(&[]);
            loop {
                let before = instruments.now();
                let hop = front_end.push(&mut samples);
                instructions += instruments.now() - before;
                let Some(hop) = hop else { break };
                write_hex(out, 0, front_end.frame().iter().flat_map(|value| value.to_le_bytes()))?;
                if hop.ready {
                    let before = instruments.now();
                    let wrote = front_end.write_input(input);
                    instructions += instruments.now() - before;
                    if wrote {
                        write_hex(out, 1, input.iter().map(|value| *value as u8))?;
                    }
                }
            }
        }
        writeln!(out, "instructions {instructions}")?;
    }
    Ok(())
}

/// Writes bytes of an output in lines that a slow connection takes as a whole.
///
/// # Errors
/// Those of `out`.
pub fn write_hex(out: &mut impl Write, output: usize, bytes: impl Iterator<Item = u8>) -> fmt::Result {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let mut line = [0; 2 * BYTES_PER_LINE];
    let mut len = 0;
    for byte in bytes {
        if let Some([high, low]) = line.get_mut(len..len + 2) {
            *high = DIGITS[usize::from(byte >> 4)];
            *low = DIGITS[usize::from(byte & 15)];
        }
        len += 2;
        if len == line.len() {
            write_line(out, output, &line)?;
            len = 0;
        }
    }
    if len > 0 {
        write_line(out, output, line.get(..len).unwrap_or(&[]))?;
    }
    Ok(())
}

fn write_line(out: &mut impl Write, output: usize, digits: &[u8]) -> fmt::Result {
    writeln!(out, "output {output} {}", core::str::from_utf8(digits).unwrap_or(""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;
    use std::vec;

    /// Measures nothing.
    struct Nothing;

    impl Instruments for Nothing {
        fn now(&mut self) -> u64 {
            0
        }
        fn keep_still(&mut self) {}
        fn begin(&mut self) {}
        fn end(&mut self) {}
        fn paint_stack(&mut self) {}
        fn stack_bytes(&mut self) -> usize {
            0
        }
    }

    fn ask(job: &[u8]) -> (bool, String) {
        let mut arena = teff::Arena::<1024>::new();
        let mut workspace = vec![0; 64];
        let mut text = String::new();
        let memory = Memory { arena: arena.as_mut_slice(), workspace: &mut workspace };
        (answer(job, memory, &mut Nothing, &mut text), text)
    }

    #[test]
    fn what_is_no_job_is_an_error_in_words() {
        assert_eq!(ask(&[0; 64]), (false, "error there is no job in memory\n".into()));
    }

    #[test]
    fn a_plan_that_is_none_is_an_error_in_words() {
        use teff_board::job::{Kind, encode};
        let job = encode(Kind::Inference, &[0; 256], &[]);
        assert_eq!(ask(&job), (false, "error this is not a Teff plan\n".into()));
        let job = encode(Kind::FrontEnd, &[0; 256], &[vec![0; 4]]);
        assert!(ask(&job).1.contains("front-end blob"));
    }

    #[test]
    fn a_long_output_is_cut_into_lines() {
        let mut text = String::new();
        write_hex(&mut text, 3, (0..65).map(|byte| byte as u8)).unwrap();
        assert!(text.starts_with("output 3 000102"));
        assert!(text.ends_with("3e3f\noutput 3 40\n"));
    }
}
