//! What an inference costs, as a whole, by operator and by slice.
//!
//! The same case runs four times, after once without counting: in one piece, operator by operator,
//! slice by slice, and in one piece on a painted stack. Each of the first three writes its outputs,
//! which must be the same. An operator is counted in two or more regions: its way in, and its work,
//! row by row where it runs in lock step with others; a line `region K` before each says whose it is.

use core::fmt::Write;

use teff::{Model, Progress, Session};

use crate::job::Job;
use crate::{Failure, Instruments, write_inputs, write_outputs};

/// The regions of the answer are, in this order: the inference, those of the operators, each slice.
pub(crate) fn profile(
    job: &Job<'_>,
    arena: &mut [i8],
    instruments: &mut impl Instruments,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let model = Model::new(job.body).map_err(Failure::Model)?;
    let mut session = Session::from_model(model, arena).map_err(Failure::Model)?;
    let case = job.cases().next().ok_or(Failure::NoCase)?;
    instruments.keep_still();
    write_inputs(&mut session, 0, case)?;
    session.invoke();

    write_inputs(&mut session, 0, case)?;
    instruments.begin();
    session.invoke();
    instruments.end();
    writeln!(out, "case 0")?;
    write_outputs(&session, out)?;

    write_inputs(&mut session, 0, case)?;
    let mut written = Ok(());
    for index in 0..model.header().n_ops {
        writeln!(out, "region {index}")?;
        instruments.begin();
        session.invoke_op_with(index, |op| {
            instruments.end();
            written = written.and(writeln!(out, "region {op}"));
            instruments.begin();
        });
        instruments.end();
    }
    written?;
    writeln!(out, "case 1")?;
    write_outputs(&session, out)?;

    write_inputs(&mut session, 0, case)?;
    loop {
        instruments.begin();
        // The least budget there is: one slice.
        let progress = session.step(1);
        instruments.end();
        if progress == Progress::Done {
            break;
        }
    }
    writeln!(out, "case 2")?;
    write_outputs(&session, out)?;

    write_inputs(&mut session, 0, case)?;
    instruments.paint_stack();
    session.invoke();
    writeln!(out, "stack {}", instruments.stack_bytes())?;
    Ok(())
}
