//! `trainer record`: labelled recordings from a board.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, bail};
use serde::Serialize;
use teff_board::{Board, Build, Link, Time};

use super::line::{Options, check_emulated, emulated, seconds};
use super::{Output, progress};
use crate::line::signal::Choice;
use crate::line::store::{Place, is_name};
use crate::line::take::{Ending, Next, Session, Take};
use crate::line::{Line, Look, Patience, Source, Stop};

/// Record what a board's sensor measures, with a label
///
/// Reads what the program `record` of a board sends over its serial line, and writes it into the layout that
/// recipes read as `class_folders`: DIR/NAME/GROUP_001.csv, or .wav for sound. What is missing is told to the
/// instant; behind a gap a new file begins. Nothing is overwritten. Ctrl-C ends it; all that came is kept.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The board's serial port, such as /dev/ttyACM0, or emulated:BOARD
    #[arg(long, value_name = "PORT")]
    pub port: String,
    /// What the sensor measures now: the class
    #[arg(long, value_name = "NAME")]
    pub label: String,
    /// Folder of the data set
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Stop after so many seconds of the sensor's time [default: when the board ends, or at Ctrl-C]
    #[arg(long, value_name = "N", value_parser = seconds)]
    pub seconds: Option<f64>,
    /// Person, machine or place that it comes from, by which data sets are split [default: t001, t002, …: a new one for
    /// each recording of a label]
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,
    #[command(flatten)]
    pub options: Options,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Serialize)]
struct Report {
    port: String,
    #[serde(flatten)]
    session: Session,
}

/// Runs the sub-command.
pub fn run(args: Args) -> Result<()> {
    for (option, name) in [("--label", Some(&args.label)), ("--group", args.group.as_ref())] {
        if let Some(name) = name.filter(|name| !is_name(name)) {
            bail!("{option} `{name}`: it becomes part of a file's name: use letters, digits, `-` and `_`");
        }
    }
    let place = Place::find(&args.out, &args.label, args.group.as_deref())?;
    // Kept until the end: the emulator reads its program from it.
    let folder = tempfile::tempdir()?;
    let source = match emulated(&args.port)? {
        Some(board) => on_emulated(board, &args, &place, folder.path().join("record.elf"))?,
        None => args.options.port(&args.port)?,
    };
    let stop = Stop::listen()?;
    let mut line = Line::open(source)?;
    let port = line.name();
    let mut take = Take::new(place, &args.label, args.seconds);
    let ending = follow(&mut line, &mut take, &args, &stop)?;
    let damaged = take.damaged_before_hello();
    let Some(session) = take.finish(ending)? else {
        line.end()?;
        bail!(
            "{port}: no board said who it is{}. Remedy: flash its program `record` (trainer flash --board BOARD --app record), \
             check --baud, or wait longer with --wait",
            if damaged > 0 {
                format!(", though {damaged} pieces came that are no frame")
            } else {
                String::new()
            }
        );
    };
    if session.files.is_empty() {
        let said = session.log.first().map(|line| format!(": it said `{line}`")).unwrap_or_default();
        bail!("{port}: board {} sent no sample{said}", session.sender.board);
    }
    let report = Report { port, session };
    args.output.print(&report, |out| table(out, &report))?;
    match report.session.ending {
        Ending::End | Ending::Seconds | Ending::Interrupted => Ok(()),
        Ending::Cut if line.is_emulated() => bail!(
            "{}: the emulated board ended in the middle of its recording; what came is kept. Remedy: record once more{}",
            report.port,
            line.end().err().map(|error| format!("; {error:#}")).unwrap_or_default()
        ),
        Ending::Cut => bail!(
            "{}: the line was cut and did not come back within {} s; what came is kept. Remedy: plug the board in again and \
             record once more",
            report.port,
            args.options.wait
        ),
        Ending::Silent => bail!(
            "{}: nothing came for {} s; what came before is kept. Remedy: check the board and record once more",
            report.port,
            args.options.wait
        ),
        Ending::OtherSender => bail!(
            "{}: {}; what came before is kept. Remedy: record each sensor by itself",
            report.port,
            report.session.log.last().map_or("another sender came onto the line", String::as_str)
        ),
    }
}

/// Builds the board's program, which is then started on the emulated board.
fn on_emulated(board: &'static Board, args: &Args, place: &Place, elf: PathBuf) -> Result<Source> {
    check_emulated(board, &args.options)?;
    board.ready()?;
    let signal = match (&args.options.signal, args.seconds) {
        (None, _) => None,
        (Some(choice @ Choice::Machine(_)), Some(seconds)) => {
            Some(choice.load(seconds, place.sessions() + 1)?)
        }
        (Some(Choice::Machine(_)), None) => {
            bail!("the simulated machine runs for ever: say for how long with --seconds N")
        }
        (Some(choice), _) => Some(choice.load(0.0, 0)?),
    };
    let build = Build { features: &["link"], ..Build::of(board, "record", &Link::None) };
    let waiting = progress::waiting(&format!("building `record` for {}", board.name));
    let built = build.run_to(&elf);
    waiting.finish_and_clear();
    built?;
    Ok(Source::Emulated { board, elf, signal, time: Time::Program })
}

/// Reads the line until the session is over.
fn follow(line: &mut Line, take: &mut Take, args: &Args, stop: &Stop) -> Result<Ending> {
    let bar = progress::bar(0, "waiting for the board");
    let mut patience = Patience::new(args.options.patience());
    let mut cut_since: Option<Instant> = None;
    let ending = loop {
        if stop.is_wanted() {
            break Ending::Interrupted;
        }
        let mut next = Next::GoOn;
        let mut came = false;
        let look = line.look(|received| {
            came = true;
            if next == Next::GoOn {
                next = take.receive(received)?;
            }
            Ok(())
        })?;
        if let Next::Stop(ending) = next {
            break ending;
        }
        if came {
            patience.renew();
            show(&bar, take);
        }
        match look {
            Look::Open if patience.is_over() => break Ending::Silent,
            Look::Open => {}
            Look::Over if stop.is_wanted() => break Ending::Interrupted,
            Look::Over => {
                take.line_cut();
                break Ending::Cut;
            }
            Look::Cut => {
                let since = *cut_since.get_or_insert_with(|| {
                    take.line_cut();
                    bar.suspend(|| eprintln!("the line is cut; waiting for it"));
                    patience.renew();
                    Instant::now()
                });
                if line.reopen() {
                    let seconds = since.elapsed().as_secs_f64();
                    take.line_back(seconds);
                    bar.suspend(|| eprintln!("the line is back after {seconds:.1} s"));
                    cut_since = None;
                    patience.renew();
                } else if patience.is_over() {
                    break Ending::Cut;
                }
            }
        }
    };
    bar.finish_and_clear();
    Ok(ending)
}

fn show(bar: &indicatif::ProgressBar, take: &Take) {
    let Some(sender) = take.sender() else { return };
    bar.set_length(take.wanted_instants().unwrap_or_else(|| take.passed()));
    bar.set_position(take.passed());
    bar.set_message(format!("instants, {:.1} s", take.passed() as f64 / sender.rate_hz()));
}

fn table(out: &mut dyn std::io::Write, report: &Report) -> std::io::Result<()> {
    let session = &report.session;
    for file in &session.files {
        let seconds = file.instants as f64 / session.sender.rate_hz();
        writeln!(out, "{}  {} instants, {seconds:.2} s", file.file.display(), file.instants)?;
    }
    let sender = &session.sender;
    let axes = if sender.axes == 1 { "1 axis".to_string() } else { format!("{} axes", sender.axes) };
    write!(out, "  from  {}, {}: {} Hz, {axes}", sender.board, sender.sensor, sender.rate_hz())?;
    if !sender.unit.is_empty() {
        write!(out, ", {} counts per {}", sender.counts_per_unit(), sender.unit)?;
    }
    writeln!(out)?;
    let lost = &session.lost;
    let counts = [
        (lost.by_sensor, "instants by the sensor"),
        (lost.by_queue, "instants by the board's full queue"),
        (lost.by_slow_line, "instants by the board's slow line"),
        (lost.gaps_of_unknown_length.into(), "gaps of the sensor of unknown length"),
        (lost.on_line, "instants on the line"),
        (lost.frames, "frames on the line"),
        (lost.damaged, "damaged pieces of the line"),
    ];
    let told: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    writeln!(out, "  lost  {}", if told.is_empty() { "nothing".to_string() } else { told.join(", ") })?;
    for cut in &session.cuts {
        match cut.seconds {
            Some(seconds) => writeln!(out, "  cut   at instant {}, for {seconds:.1} s", cut.instant)?,
            None => writeln!(
                out,
                "  cut   at instant {}; what the board measured after it is not known",
                cut.instant
            )?,
        }
    }
    session.log.iter().take(20).try_for_each(|line| writeln!(out, "  said  {line}"))
}
