//! `trainer monitor`: what a running board tells.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use comfy_table::{Table, presets};
use console::Term;
use serde::Serialize;
use teff_board::{Board, Destination, Time, Way};

use super::line::{Options, check_emulated, emulated, seconds};
use crate::line::flashed::{self, Flashed};
use crate::line::probe::Logs;
use crate::line::watch::{Figures, News, Watch, named};
use crate::line::{Line, Look, Patience, Source, Stop};

/// Show what a running board tells: decisions, figures, logs, its sensor's health
///
/// On a terminal it is a live view, else a line for each event; with --json one JSON object in each line. An emulated
/// board runs the program that `trainer flash` kept, until its recording is over. A board on a debug probe tells its logs
/// through `probe-rs`, which decodes them, and with --port the rest too. Ctrl-C ends it.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("from").required(true).multiple(true).args(["port", "board"])))]
pub struct Args {
    /// The board's serial port, such as /dev/ttyACM0
    #[arg(long, value_name = "PORT")]
    pub port: Option<String>,
    /// An emulated board, which is started; or one on a debug probe, whose logs are shown
    #[arg(long, value_name = "BOARD")]
    pub board: Option<String>,
    /// Folder of what was flashed [default: flashed/BOARD]
    #[arg(long, value_name = "DIR", requires = "board")]
    pub flashed: Option<PathBuf>,
    /// Let an emulated board's time pass without waiting
    #[arg(long)]
    pub fast: bool,
    /// Stop after so many seconds [default: when an emulated board's recording is over, or at Ctrl-C]
    #[arg(long, value_name = "N", value_parser = seconds)]
    pub seconds: Option<f64>,
    #[command(flatten)]
    pub options: Options,
    /// Print one JSON object in each line
    #[arg(long)]
    pub json: bool,
    /// Print lines on a terminal too
    #[arg(long, conflicts_with = "json")]
    pub plain: bool,
}

/// What all of it came to.
#[derive(Debug, Serialize)]
struct Summary {
    kind: &'static str,
    decisions: u64,
    #[serde(flatten)]
    figures: Figures,
    /// Of the inferences that were told: the least, the mean and the most.
    inference_us_min: Option<u32>,
    inference_us_mean: Option<u64>,
    inference_us_max: Option<u32>,
    frames: u64,
    missing_frames: u64,
    damaged: u64,
    damaged_bytes: u64,
    restarts: u32,
    /// How often the line was cut.
    cuts: u32,
}

impl Summary {
    fn of(watch: &Watch, cuts: u32) -> Summary {
        let account = watch.account();
        let times = watch.inference_us;
        Summary {
            kind: "summary",
            decisions: watch.decisions,
            figures: watch.figures,
            inference_us_min: times.map(|(least, ..)| least),
            inference_us_mean: times.map(|(_, _, sum, count)| sum / count.max(1)),
            inference_us_max: times.map(|(_, most, ..)| most),
            frames: account.frames,
            missing_frames: account.missing_frames,
            damaged: account.damaged,
            damaged_bytes: account.damaged_bytes,
            restarts: account.restarts,
            cuts,
        }
    }
}

/// Runs the sub-command.
pub fn run(args: Args) -> Result<()> {
    let mut logs = logs(&args)?;
    if args.port.is_none()
        && let Some(logs) = logs
    {
        return only_logs(&args, logs);
    }
    let source = source(&args)?;
    let stop = Stop::listen()?;
    let mut line = Line::open(source)?;
    let mut view = View::new(&args, &line.name());
    let mut watch = Watch::new();
    let mut cuts = 0;
    let ended = follow(&args, &stop, (&mut line, &mut logs), &mut watch, &mut view, &mut cuts);
    view.end(&Summary::of(&watch, cuts))?;
    ended?;
    if watch.sender.is_none() && watch.account().frames == 0 && !stop.is_wanted() {
        bail!(
            "{}: no frame came{}. Remedy: flash a program that sends them (docs/link.md), check --baud, or wait longer with \
             --wait",
            line.name(),
            match watch.account().damaged {
                0 => String::new(),
                damaged => format!(", though {damaged} pieces came that are none"),
            }
        );
    }
    Ok(())
}

fn source(args: &Args) -> Result<Source> {
    let board = match (&args.port, &args.board) {
        (Some(port), _) => match emulated(port)? {
            Some(board) => board,
            None if args.fast => {
                bail!("--fast is for emulated boards: the time of the board at {port} is its own")
            }
            None => return args.options.port(port),
        },
        (None, Some(board)) => Board::find(board)?,
        (None, None) => bail!("say where the board is: --port PORT, or --board BOARD for an emulated one"),
    };
    check_emulated(board, &args.options)?;
    let folder = args.flashed.clone().unwrap_or_else(|| flashed::folder(board.name));
    let elf = Flashed::read(&folder, board.name)?.program(&folder)?;
    let signal = match &args.options.signal {
        Some(choice) => Some(choice.load(args.seconds.unwrap_or(10.0), 0)?),
        None => None,
    };
    let time = if args.fast { Time::Skipping } else { Time::Real };
    Ok(Source::Emulated { board, elf, signal, time })
}

/// The logs of a board on a debug probe, where one is named.
fn logs(args: &Args) -> Result<Option<Logs>> {
    let Some(name) = &args.board else { return Ok(None) };
    match Destination::find(name)?.way {
        Way::Probe { chip } | Way::Drive { chip, .. } => {
            if args.fast || args.options.signal.is_some() {
                bail!("--fast and --signal are for emulated boards");
            }
            let folder = args.flashed.clone().unwrap_or_else(|| flashed::folder(name));
            let elf = Flashed::read(&folder, name)?.program(&folder)?;
            Ok(Some(Logs::attach(chip, &elf)?))
        }
        Way::Emulated(_) if args.port.is_none() => Ok(None),
        Way::Linux { .. } => {
            bail!("board {name} is a Linux machine: `journalctl -u teff-sensord -f` there shows its logs")
        }
        _ if args.port.is_some() => bail!("--board beside --port is for boards on a debug probe"),
        _ => bail!(
            "board {name} is neither emulated nor on a debug probe: name its serial line with --port PORT"
        ),
    }
}

/// Shows the logs of a board until Ctrl-C, where no frames are looked for.
fn only_logs(args: &Args, mut logs: Logs) -> Result<()> {
    let stop = Stop::listen()?;
    let begin = Instant::now();
    let mut view = if args.json { View::Json } else { View::Lines { troubles: String::new() } };
    let watch = Watch::new();
    while !stop.is_wanted() && args.seconds.is_none_or(|seconds| begin.elapsed().as_secs_f64() < seconds) {
        match logs.poll() {
            Ok(Some(news)) => view.news(&news, &watch)?,
            Ok(None) => std::thread::sleep(LOGS_EVERY),
            Err(_) if stop.is_wanted() => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn follow(
    args: &Args,
    stop: &Stop,
    (line, logs): (&mut Line, &mut Option<Logs>),
    watch: &mut Watch,
    view: &mut View,
    cuts: &mut u32,
) -> Result<()> {
    let mut patience = Patience::new(args.options.patience());
    let begin = Instant::now();
    let mut is_cut = false;
    while !stop.is_wanted() && args.seconds.is_none_or(|seconds| begin.elapsed().as_secs_f64() < seconds) {
        let mut came = false;
        let look = line.look(|received| {
            came = true;
            if let Some(news) = watch.receive(received)? {
                view.news(&news, watch)?;
            }
            Ok(())
        })?;
        if came {
            patience.renew();
        }
        loop {
            match logs.as_mut().map_or(Ok(None), Logs::poll) {
                Ok(Some(news)) => view.news(&news, watch)?,
                Ok(None) => break,
                // Ctrl-C ends `probe-rs` too.
                Err(_) if stop.is_wanted() => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        view.draw(watch, patience.waited())?;
        match look {
            Look::Open if patience.is_over() => {
                // Nothing at all is told by the caller.
                if watch.account().frames > 0 {
                    bail!("{}: nothing came for {} s", line.name(), args.options.wait);
                }
                return Ok(());
            }
            Look::Open => {}
            Look::Over if stop.is_wanted() => return Ok(()),
            Look::Over => return line.end(),
            Look::Cut => {
                if !is_cut {
                    (is_cut, *cuts) = (true, *cuts + 1);
                    view.note("the line is cut; waiting for it")?;
                    patience.renew();
                }
                if line.reopen() {
                    is_cut = false;
                    view.note("the line is back")?;
                    patience.renew();
                } else if patience.is_over() {
                    bail!(
                        "{}: the line was cut and did not come back within {} s",
                        line.name(),
                        args.options.wait
                    );
                }
            }
        }
    }
    Ok(())
}

/// Decisions and lines that the live view shows.
const SHOWN: usize = 8;
/// Characters of the bar of a score.
const SCORE_CELLS: usize = 20;
/// The live view is drawn so often at most.
const DRAW_EVERY: Duration = Duration::from_millis(200);
/// Logs that come alone are looked for so often.
const LOGS_EVERY: Duration = Duration::from_millis(50);

#[derive(Debug)]
enum View {
    Json,
    Lines { troubles: String },
    Live(Box<Live>),
}

#[derive(Debug)]
struct Live {
    term: Term,
    port: String,
    decisions: VecDeque<String>,
    lines: VecDeque<String>,
    drawn: usize,
    last: Option<Instant>,
}

impl View {
    fn new(args: &Args, port: &str) -> View {
        let term = Term::stdout();
        if args.json {
            View::Json
        } else if args.plain || !term.is_term() {
            View::Lines { troubles: String::new() }
        } else {
            View::Live(Box::new(Live {
                term,
                port: port.to_string(),
                decisions: VecDeque::new(),
                lines: VecDeque::new(),
                drawn: 0,
                last: None,
            }))
        }
    }

    fn news(&mut self, news: &News, watch: &Watch) -> Result<()> {
        match self {
            View::Json => {
                let mut out = io::stdout().lock();
                serde_json::to_writer(&mut out, news).map_err(io::Error::from)?;
                writeln!(out)?;
                out.flush()?;
            }
            View::Lines { troubles } => {
                let text = match news {
                    // Decisions are what is told of the scores.
                    News::Leading { .. } => return Ok(()),
                    // Figures are told where something is wrong that was not before.
                    News::Metrics(figures) => {
                        let now = figures.troubles();
                        if now == *troubles {
                            return Ok(());
                        }
                        *troubles = now;
                        format!("warning: {troubles}")
                    }
                    _ => text_of(news),
                };
                let mut out = io::stdout().lock();
                writeln!(out, "{text}")?;
                out.flush()?;
            }
            View::Live(live) => {
                let (list, text) = match news {
                    News::Metrics(_) | News::Leading { .. } => return Ok(()),
                    News::Decision { .. } => (&mut live.decisions, text_of(news)),
                    News::Hello(_) if watch.sender.is_some() => return Ok(()),
                    _ => (&mut live.lines, text_of(news)),
                };
                list.push_back(text);
                if list.len() > SHOWN {
                    list.pop_front();
                }
            }
        }
        Ok(())
    }

    fn note(&mut self, text: &str) -> Result<()> {
        if let View::Live(live) = self {
            live.lines.push_back(text.to_string());
            return Ok(());
        }
        eprintln!("{text}");
        Ok(())
    }

    /// Draws the live view, where it is one and the last one is old enough.
    fn draw(&mut self, watch: &Watch, silent: Duration) -> Result<()> {
        let View::Live(live) = self else { return Ok(()) };
        if live.last.is_some_and(|last| last.elapsed() < DRAW_EVERY) {
            return Ok(());
        }
        live.last = Some(Instant::now());
        let text = picture(live, watch, silent);
        live.term.clear_last_lines(live.drawn)?;
        live.term.write_str(&text)?;
        live.drawn = text.lines().count();
        Ok(live.term.flush()?)
    }

    fn end(&mut self, summary: &Summary) -> Result<()> {
        let mut out = io::stdout().lock();
        if matches!(self, View::Json) {
            serde_json::to_writer(&mut out, summary).map_err(io::Error::from)?;
            writeln!(out)?;
            return Ok(());
        }
        let figures = &summary.figures;
        writeln!(
            out,
            "{} instants, {} inferences, {} decisions",
            figures.instants, figures.inferences, summary.decisions
        )?;
        if let (Some(least), Some(mean), Some(most)) =
            (summary.inference_us_min, summary.inference_us_mean, summary.inference_us_max)
        {
            writeln!(out, "an inference took {mean} µs ({least} to {most})")?;
        }
        let troubles = figures.troubles();
        writeln!(
            out,
            "on the board: {}",
            if troubles.is_empty() { "nothing missed or lost" } else { &troubles }
        )?;
        let Summary { missing_frames, damaged, damaged_bytes, restarts, cuts, .. } = summary;
        if missing_frames + damaged + u64::from(restarts + cuts) == 0 {
            writeln!(out, "on the line: nothing lost")?;
        } else {
            writeln!(
                out,
                "on the line: {missing_frames} frames lost, {damaged} damaged pieces ({damaged_bytes} bytes), {cuts} cuts; \
                 the board began anew {restarts} times"
            )?;
        }
        Ok(out.flush()?)
    }
}

fn text_of(news: &News) -> String {
    match news {
        News::Hello(sender) => {
            let unit = if sender.unit.is_empty() {
                String::new()
            } else {
                format!(", {} counts per {}", sender.counts_per_unit(), sender.unit)
            };
            format!(
                "{}, {}: {} Hz, {} samples an instant{unit}",
                sender.board,
                sender.sensor,
                sender.rate_hz(),
                sender.axes
            )
        }
        News::Decision { instant, seconds, label, class, score } => {
            let (label, percent) = (named(label, *class), (score * 100.0) as u32);
            match seconds {
                Some(seconds) => format!("{seconds:>9.3} s  {label}  {percent} %"),
                None => format!("instant {instant}  {label}  {percent} %"),
            }
        }
        News::Leading { label, class, score, .. } => scored(&named(label, *class), *score),
        News::Metrics(figures) => figures.troubles(),
        News::Log { level: "info", text } => text.clone(),
        News::Log { level, text } => match text.strip_prefix("error: ") {
            Some(text) => format!("{level}: {text}"),
            None => format!("{level}: {text}"),
        },
        News::Health { instant, condition, begins } => {
            let state = if *begins { "is" } else { "is no longer" };
            format!("warning: the sensor {state} {condition} (instant {instant})")
        }
        News::Gap { instant, lost, cause } => match lost {
            Some(lost) => format!("warning: {lost} instants from {instant} on are missing ({cause})"),
            None => format!("warning: instants before {instant} are missing ({cause})"),
        },
        News::Damaged { bytes } => format!("warning: {bytes} bytes on the line are no frame"),
    }
}

fn scored(label: &str, score: f64) -> String {
    format!("{label}  {} %", (score * 100.0) as u32)
}

/// The live view.
fn picture(live: &Live, watch: &Watch, silent: Duration) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    let figures = &watch.figures;
    let mut row = |name: &str, value: String| {
        table.add_row([name, &value]);
    };
    match &watch.sender {
        Some(sender) => row("board", text_of(&News::Hello(sender.clone()))),
        None => row("board", format!("waiting at {}, {} s", live.port, silent.as_secs())),
    }
    let rate = watch.sender.as_ref().map_or(1.0, |sender| sender.rate_hz());
    row("time", format!("{:.1} s, {} instants", figures.instants as f64 / rate, figures.instants));
    let time = match figures.inference_us {
        0 => String::new(),
        now => format!(", the last one in {now} µs"),
    };
    row("inferences", format!("{}{time}", figures.inferences));
    let troubles = figures.troubles();
    row("on the board", if troubles.is_empty() { "nothing missed or lost".to_string() } else { troubles });
    let account = watch.account();
    row(
        "on the line",
        format!(
            "{} frames, {} lost, {} pieces damaged",
            account.frames, account.missing_frames, account.damaged
        ),
    );
    row(
        "leading",
        watch.leading.as_ref().map_or(String::new(), |(label, score)| {
            let cells = (score.clamp(0.0, 1.0) * SCORE_CELLS as f64).round() as usize;
            format!("{}{} {}", "█".repeat(cells), "░".repeat(SCORE_CELLS - cells), scored(label, *score))
        }),
    );
    let list = |lines: &VecDeque<String>| lines.iter().cloned().collect::<Vec<_>>().join("\n");
    row("decisions", list(&live.decisions));
    if !live.lines.is_empty() {
        row("logs", list(&live.lines));
    }
    format!("{table}\n")
}
