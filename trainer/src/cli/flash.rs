//! `trainer flash`: a model on a board.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use teff::ModelFile;
use teff::dsp::Settings as FrontEndSettings;
use teff_app::decision::{MOST_CLASSES, MOST_SMOOTHING, Settings};
use teff_board::flash::{self, Delivery, Use};
use teff_board::{Build, Destination, Link, Recorded, Way};
use teff_compiler::front_end::{FrontEndConfig, Kind};
use teff_compiler::onnx::metadata;
use teff_compiler::options::{Options, parse_bytes};
use teff_compiler::target::parse_target;

use super::{Output, progress};
use crate::error::InputError;
use crate::files;
use crate::line::flashed::{self, Flashed};
use crate::model_file::{self, Facts};

/// Build a board's program with a model and write it to the board
///
/// The model is compiled for the board's processor, and its RAM and flash are compared with the board's before
/// anything is built. Then the program is built, checked, and written: by probe-rs, as a UF2 file on the boot loader's
/// drive, by ssh, or to a memory card. Of an emulated board the program is kept, for `trainer monitor --board`.
/// --dry-run shows all of it and does nothing.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The quantized model: .onnx, .tflite or .teff; none for --app record
    #[arg(value_name = "MODEL", required_unless_present_any = ["app"])]
    pub model: Option<PathBuf>,
    /// The board; a wrong name lists them all
    #[arg(long, value_name = "BOARD")]
    pub board: String,
    /// The board's program: listen, motion or record [default: listen for models of sound, motion for those of motion]
    #[arg(long, value_name = "APP", value_parser = ["listen", "motion", "record"])]
    pub app: Option<String>,
    /// What `record` records: motion (the accelerometer) or sound (the microphone) [default: motion]
    #[arg(long, value_name = "SENSOR", value_parser = ["motion", "sound"])]
    pub sensor: Option<String>,
    /// Samples in a second that `record` asks of the sensor [default: 1600 of motion, 16000 of sound]
    #[arg(long, value_name = "HZ", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rate: Option<u32>,
    /// Bytes of RAM that the arena may have, as 32768, 32k or 32Ki
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    pub ram: Option<usize>,
    /// Bytes of flash that the plan may have, as 128000, 128k or 128Ki
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    pub flash: Option<usize>,
    /// Folder for the plan and the program [default: flashed/BOARD]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Where the drive of the board's boot loader is mounted [default: looked for]
    #[arg(long, value_name = "DIR")]
    pub drive: Option<PathBuf>,
    /// Where the boot partition of a memory card is mounted, for rpi3-bare
    #[arg(long, value_name = "DIR")]
    pub sd: Option<PathBuf>,
    /// The machine, for rpi-linux
    #[arg(long, value_name = "USER@HOST")]
    pub host: Option<String>,
    /// Show every step and do none of them
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Serialize)]
struct Report {
    board: &'static str,
    app: String,
    model: Option<String>,
    target: &'static str,
    dry_run: bool,
    plan: Option<PlanReport>,
    /// What the plan and its front end alone need, of what the board has.
    needs: Vec<UseReport>,
    /// What the built program occupies; empty where nothing was built.
    program: Vec<UseReport>,
    steps: Vec<StepReport>,
    /// What was written, in this folder.
    out: String,
    /// How the emulator is started by hand; null for other boards.
    start: Option<String>,
    /// Whether `trainer monitor` can follow the program.
    #[serde(skip)]
    sends_frames: bool,
    notes: Vec<String>,
}

#[derive(Debug, Serialize)]
struct PlanReport {
    plan_bytes: u64,
    arena_bytes: u64,
    front_end_ram_bytes: u64,
}

#[derive(Debug, Serialize)]
struct UseReport {
    region: String,
    needed: u64,
    has: u64,
}

impl From<&Use> for UseReport {
    fn from(part: &Use) -> UseReport {
        UseReport { region: part.region.clone(), needed: part.needed, has: part.has }
    }
}

#[derive(Debug, Serialize)]
struct StepReport {
    what: String,
    command: Option<String>,
    done: bool,
}

/// Runs the sub-command.
pub fn run(args: Args) -> Result<()> {
    let board = Destination::find(&args.board)?;
    check_options(&args, &board)?;
    let model = args.model.as_deref();
    let plan = model.map(|model| Plan::of(model, &board, &args)).transpose()?;
    let app = app(&args, plan.as_ref())?;
    let is_linux = matches!(board.way, Way::Linux { .. });
    let is_emulated = matches!(board.way, Way::Emulated(_));
    if !is_linux {
        board.check_program(&app)?;
        if let (Some(plan), Some(model)) = (&plan, model) {
            plan.check_decision(model)?;
        }
    }
    let needs = plan.as_ref().map_or(Ok(Vec::new()), |plan| plan.fit(&board, model))?;
    let out = args.out.clone().unwrap_or_else(|| flashed::folder(board.name));
    let (elf, plan_path) = (out.join(format!("{app}.elf")), out.join("model.teff"));
    let delivery = Delivery {
        board,
        elf: &elf,
        plan: plan.is_some().then_some(&plan_path),
        drive: args.drive.as_deref(),
        card: args.sd.as_deref(),
        host: args.host.as_deref(),
    };
    let mut notes = plan.as_ref().map(|plan| plan.notes.clone()).unwrap_or_default();
    match delivery.check() {
        Err(missing) if args.dry_run => notes.push(format!("{missing:#}")),
        other => other?,
    }
    let link = if plan.is_some() { Link::File(plan_path.clone()) } else { Link::None };
    let link = if app == "record" { Link::None } else { link };
    let features: &[&str] = if board.has_feature("link") { &["link"] } else { &[] };
    let Destination { name, target, cpu, .. } = board;
    let recorded = (app == "record" && !is_emulated)
        .then(|| Recorded { sound: args.sensor.as_deref() == Some("sound"), rate_hz: args.rate });
    let build = Build { board: name, target, cpu, program: &app, link: &link, features, recorded };

    let mut steps = Vec::new();
    let mut step =
        |what: String, command: Option<String>, done: bool| steps.push(StepReport { what, command, done });
    if let (Some(plan), Some(model)) = (&plan, model) {
        let what =
            format!("compile {} for {} into {}", model.display(), board.plan_target, plan_path.display());
        if !args.dry_run {
            files::write_bytes(&plan_path, plan.file.as_bytes())?;
        }
        step(what, None, !args.dry_run);
    }
    let mut program = Vec::new();
    if !is_linux {
        let (command, _) = build.command()?;
        let what = format!("build `{app}` for {} into {}", board.title, elf.display());
        if !args.dry_run {
            let waiting = progress::waiting(&format!("building `{app}` for {name}"));
            let built = std::fs::create_dir_all(&out)
                .with_context(|| format!("{}: the folder cannot be written", out.display()))
                .and_then(|()| build.run_to(&elf));
            waiting.finish_and_clear();
            built.map_err(|error| explain(error, &board))?;
        }
        step(what, Some(flash::shown(&command)), !args.dry_run);
        let what = format!("check {} against the memory of the board", elf.display());
        if !args.dry_run {
            program = check(&board, &elf, plan.as_ref().filter(|_| link != Link::None))?;
        }
        step(what, None, !args.dry_run);
    }
    for mut part in delivery.steps()? {
        if !args.dry_run {
            delivery.perform(&mut part)?;
        }
        step(part.what, part.command, !args.dry_run);
    }
    let start = match board.way {
        Way::Emulated(emulated) => flash::emulator_command(emulated, &elf).ok(),
        _ => None,
    };
    if !args.dry_run {
        let flashed = Flashed {
            board: name.to_string(),
            app: app.clone(),
            elf: (!is_linux).then(|| format!("{app}.elf")),
            model: model.map(|model| model.display().to_string()),
        };
        flashed.write(&out)?;
    }
    let report = Report {
        board: name,
        model: model.map(|model| model.display().to_string()),
        target: board.plan_target,
        dry_run: args.dry_run,
        plan: plan.as_ref().map(Plan::report),
        needs: needs.iter().map(UseReport::from).collect(),
        program: program.iter().map(UseReport::from).collect(),
        steps,
        out: out.display().to_string(),
        start,
        sends_frames: board.has_feature("link"),
        notes,
        app,
    };
    args.output.print(&report, |out| table(out, &report, &board))
}

/// Options that mean nothing for a board are refused, not left aside.
fn check_options(args: &Args, board: &Destination) -> Result<()> {
    let fits = |option: &str, given: bool, meant: bool| {
        if given && !meant {
            bail!("{option} has no meaning for board {}", board.name);
        }
        Ok(())
    };
    fits("--drive", args.drive.is_some(), matches!(board.way, Way::Drive { .. }))?;
    fits("--sd", args.sd.is_some(), matches!(board.way, Way::Card { .. }))?;
    fits("--host", args.host.is_some(), matches!(board.way, Way::Linux { .. }))?;
    fits("--app", args.app.is_some(), !matches!(board.way, Way::Linux { .. }))?;
    let is_record = args.app.as_deref() == Some("record");
    for (option, given) in [("--sensor", args.sensor.is_some()), ("--rate", args.rate.is_some())] {
        if given && !is_record {
            bail!("{option} is for `--app record`: a model's front end says what it takes of which sensor");
        }
        if given && matches!(board.way, Way::Emulated(_)) {
            bail!(
                "{option} has no meaning for board {}: it records the signal that `trainer record --signal` gives it",
                board.name
            );
        }
    }
    if is_record {
        if let Some(model) = &args.model {
            bail!("the program `record` has no model: leave {} out", model.display());
        }
        fits("--ram", args.ram.is_some(), false)?;
        fits("--flash", args.flash.is_some(), false)?;
    } else if args.model.is_none() {
        bail!(
            "the program `{}` needs a model: trainer flash MODEL --board {}",
            args.app.as_deref().unwrap_or(""),
            board.name
        );
    }
    Ok(())
}

/// The program that suits the model.
fn app(args: &Args, plan: Option<&Plan>) -> Result<String> {
    let kind = plan.and_then(|plan| plan.kind);
    let fitting = match kind {
        Some(Kind::LogMel | Kind::Mfcc) => Some("listen"),
        Some(Kind::RawWindow | Kind::MotionStats) => Some("motion"),
        _ => None,
    };
    if let Some(app) = &args.app {
        let other = fitting.filter(|fitting| ["listen", "motion"].contains(&app.as_str()) && app != fitting);
        if let (Some(fitting), Some(model)) = (other, &args.model) {
            let reason = format!("has a front end that `{app}` cannot feed");
            let remedy = format!("take `--app {fitting}`, or leave it out");
            return Err(InputError::new(model, reason, remedy).into());
        }
        return Ok(app.clone());
    }
    Ok(match fitting {
        Some(fitting) => fitting,
        None => {
            let model = args.model.as_deref().unwrap_or(Path::new("the model"));
            return Err(InputError::new(
                model,
                "has no front end for sound or motion, so that no program of the boards can feed it",
                "train it from a recipe with a [front_end], or quantize it with `--recipe`",
            )
            .into());
        }
    }
    .to_string())
}

/// The compiled model.
struct Plan {
    file: ModelFile,
    kind: Option<Kind>,
    front_end_ram_bytes: u64,
    notes: Vec<String>,
    /// `--ram` can make it smaller.
    from_model: bool,
}

impl Plan {
    fn of(model: &Path, board: &Destination, args: &Args) -> Result<Plan> {
        let from_model = !model_file::is_plan(model);
        let (file, notes) = if from_model {
            let options = Options { ram_bytes: args.ram, flash_bytes: args.flash, ..Options::default() };
            let compiled = model_file::compile_with(model, parse_target(board.plan_target)?, &options)?;
            (model_file::plan_from_bytes(model, &compiled.plan)?, compiled.report.notes)
        } else {
            if args.ram.is_some() || args.flash.is_some() {
                bail!("{} is a plan already: --ram and --flash are for model files", model.display());
            }
            (model_file::open_plan(model)?, Vec::new())
        };
        let fault =
            |problem: String| InputError::new(model, problem, "compile it again with `trainer compile`");
        let facts = Facts::of_plan(&file.model()).map_err(fault)?;
        let line = facts.metadata(metadata::FRONT_END);
        let kind = line.map(FrontEndConfig::parse).transpose().map_err(|error| error.in_file(model))?;
        let blob = file.model().front_end();
        let words = if blob.is_empty() {
            0
        } else {
            FrontEndSettings::read(blob)
                .map_err(|error| fault(format!("has a front end that cannot be read: {error}")))?
                .workspace_words()
        };
        let kind = kind.map(|config| config.kind);
        Ok(Plan { file, kind, front_end_ram_bytes: 4 * words as u64, notes, from_model })
    }

    /// Whether the boards' programs can decide on the model: else they refuse it at the start.
    fn check_decision(&self, model: &Path) -> Result<()> {
        let facts = Facts::of_plan(&self.file.model()).map_err(anyhow::Error::msg)?;
        let line = facts.metadata(metadata::DECISION).unwrap_or("");
        let fault = |problem: String, remedy: &str| Err(InputError::new(model, problem, remedy).into());
        let settings = match Settings::read(line) {
            Ok(settings) => settings,
            Err(error) => {
                return fault(
                    format!("has a decision (`{line}`) that boards refuse: {error}"),
                    "export it again",
                );
            }
        };
        if usize::from(settings.smoothing) > MOST_SMOOTHING {
            let smoothing = settings.smoothing;
            let problem =
                format!("averages over {smoothing} inferences, and boards over {MOST_SMOOTHING} at most");
            return fault(problem, "lower `smoothing` in [decision] of the recipe");
        }
        let classes = facts.labels().len();
        if classes > MOST_CLASSES {
            let problem = format!("has {classes} classes, and boards have room for {MOST_CLASSES}");
            return fault(problem, "raise `MOST_CLASSES` in firmware/app/src/decision.rs");
        }
        Ok(())
    }

    fn report(&self) -> PlanReport {
        let header = self.file.model().header();
        PlanReport {
            plan_bytes: header.total_len.into(),
            arena_bytes: header.arena_bytes.into(),
            front_end_ram_bytes: self.front_end_ram_bytes,
        }
    }

    /// Compares what the model alone needs with the board's memory, before anything is built.
    fn fit(&self, board: &Destination, model: Option<&Path>) -> Result<Vec<Use>> {
        let model = model.map(|model| model.display().to_string()).unwrap_or_default();
        let PlanReport { plan_bytes, arena_bytes, front_end_ram_bytes } = self.report();
        let mut uses = Vec::new();
        for region in flash::regions(board)? {
            let has = region.bytes;
            let needed = match region.name.as_str() {
                "FLASH" => plan_bytes,
                "RAM" => arena_bytes + front_end_ram_bytes,
                _ => continue,
            };
            if needed > has && region.name == "FLASH" {
                bail!(
                    "{model}: its plan needs {needed} bytes of FLASH, and board {} has {has}. Remedy: train a smaller network",
                    board.name
                );
            }
            if needed > has {
                let left = has.saturating_sub(front_end_ram_bytes);
                let remedy = if self.from_model && left > 0 {
                    format!("try --ram {left}, or train a smaller network")
                } else {
                    "compile the model with `trainer compile --ram`, or train a smaller network".to_string()
                };
                bail!(
                    "{model}: it needs {needed} bytes of RAM (arena {arena_bytes}, front end {front_end_ram_bytes}), and board \
                     {} has {has}. Remedy: {remedy}",
                    board.name
                );
            }
            uses.push(Use { region: region.name, needed, has });
        }
        Ok(uses)
    }
}

/// What the linker says of a program that is too large, in the words of this command.
fn explain(error: anyhow::Error, board: &Destination) -> anyhow::Error {
    match flash::too_large(&format!("{error:#}")) {
        Some(too_large) => error.context(format!(
            "board {}: {too_large}. Remedy: --ram makes the model's arena smaller; else train a smaller network",
            board.name
        )),
        None => error,
    }
}

/// Checks the built program, and that it holds the plan.
fn check(board: &Destination, elf: &Path, plan: Option<&Plan>) -> Result<Vec<Use>> {
    let uses = flash::check_program(board, elf)?;
    if let Some(plan) = plan {
        let bytes = std::fs::read(elf).map_err(|error| InputError::unreadable(elf, &error))?;
        let wanted = plan.file.as_bytes();
        if !bytes.windows(wanted.len()).any(|window| window == wanted) {
            bail!("{}: was built, but the model's plan is not in it", elf.display());
        }
    }
    Ok(uses)
}

fn table(out: &mut dyn std::io::Write, report: &Report, board: &Destination) -> std::io::Result<()> {
    let model = report.model.as_deref().map(|model| format!(" with {model}")).unwrap_or_default();
    writeln!(out, "{} ({}): `{}`{model}", report.board, board.title, report.app)?;
    for (uses, what) in [(&report.needs, "the model alone"), (&report.program, "the program")] {
        for part in uses {
            writeln!(out, "  {:<6} {} of {} bytes, {what}", part.region, part.needed, part.has)?;
        }
    }
    for (number, step) in report.steps.iter().enumerate() {
        let state = if step.done { "" } else { "would " };
        writeln!(out, "  {}. {state}{}", number + 1, step.what)?;
        if let Some(command) = step.command.as_ref().filter(|_| !step.done) {
            writeln!(out, "       {command}")?;
        }
    }
    super::write_notes(out, &report.notes)?;
    if let Some(start) = &report.start {
        if report.sends_frames {
            writeln!(out, "  run it with  trainer monitor --board {}", report.board)?;
            writeln!(out, "  or by hand   {start}")?;
        } else {
            writeln!(out, "  run it with  {start}")?;
        }
    }
    Ok(())
}
