//! `trainer evaluate`: a model on a data set.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use teff_compiler::onnx::metadata;

use anyhow::Result;
use comfy_table::Table;
use serde::Serialize;
use teff_board::Board;

use super::{Output, progress};
use crate::anomaly::{self, Figures, Scores, Subject};
use crate::dataset::{self, Split};
use crate::engine::board::OnBoard;
use crate::engine::{self, Engine, Kind, Options};
use crate::error::InputError;
use crate::evaluation;
use crate::metrics::ClassFigures;
use crate::model_file::Facts;
use crate::recipe::{DataSource, Recipe};

/// Measure how many examples of a data set a model gets right
///
/// Of a model that says how unusual a signal is: how well its score tells normal windows from others, and what its
/// threshold makes of them.
///
/// The samples go through the front end that the model names, as on the device. Which examples are tested on stands in
/// the recipe; an exported model carries that part of its recipe.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model: .onnx or .tflite, or .teff for the engine `teff`
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// Folder of the data set, or its parent
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Recipe whose data set is meant [default: what the model says]
    #[arg(long, value_name = "RECIPE.toml")]
    pub recipe: Option<PathBuf>,
    /// Which examples
    #[arg(long, value_enum, default_value = "test")]
    pub split: SplitArg,
    /// What runs the model
    #[arg(long, value_enum, default_value = "teff")]
    pub engine: Kind,
    /// Run this engine too, and say for how many examples both decide the same
    #[arg(long, value_enum, value_name = "ENGINE")]
    pub against: Option<Kind>,
    /// Run on this emulated board, with the engine `teff`
    #[arg(long, value_name = "BOARD")]
    pub board: Option<String>,
    #[command(flatten)]
    pub output: Output,
}

/// Which examples of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum SplitArg {
    /// Those that are measured once, at the end
    Test,
    /// Those that chose among epochs
    Validation,
    /// Those that the weights were fitted to
    Train,
}

impl From<SplitArg> for Split {
    fn from(split: SplitArg) -> Split {
        match split {
            SplitArg::Test => Split::Test,
            SplitArg::Validation => Split::Validation,
            SplitArg::Train => Split::Train,
        }
    }
}

#[derive(Debug, Serialize)]
struct Report {
    model: String,
    engine: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    board: Option<&'static str>,
    split: &'static str,
    samples: usize,
    top1: f64,
    classes: Vec<ClassFigures>,
    /// Rows are true classes, columns decisions.
    confusion: Vec<Vec<usize>>,
    /// Examples that the loader left out.
    skipped: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    against: Option<Agreement>,
}

/// How often another engine decides the same.
#[derive(Debug, Serialize)]
struct Agreement {
    engine: &'static str,
    top1: f64,
    agreement: f64,
}

/// Of a model that says how unusual a signal is.
#[derive(Debug, Serialize)]
struct AnomalyReport {
    model: String,
    engine: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    board: Option<&'static str>,
    split: &'static str,
    /// Windows of the split, those at the beginnings of recordings included.
    windows: usize,
    #[serde(flatten)]
    figures: Figures,
    skipped: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    against: Option<AnomalyAgreement>,
}

/// How often another engine is on the same side of the threshold.
#[derive(Debug, Serialize)]
struct AnomalyAgreement {
    engine: &'static str,
    auc: Option<f64>,
    agreement: f64,
}

/// Runs the sub-command.
pub fn run(args: Args) -> Result<()> {
    let facts = Facts::read(&args.model)?;
    let (source, folder) = source(&args.model, args.recipe.as_deref(), &facts)?;
    let board = args.board.as_deref().map(Board::find).transpose()?;
    let mut engine: Box<dyn Engine> = match board {
        Some(board) if args.engine == Kind::Teff => Box::new(OnBoard::load(&args.model, board)?),
        Some(board) => anyhow::bail!(
            "board {} runs plans, not the engine `{}`. Remedy: leave out `--engine` or `--board`",
            board.name,
            args.engine.name()
        ),
        None => engine::load(args.engine, &args.model, &Options::default())?,
    };
    let set = dataset::load(&source.data, source.seed, args.data.as_deref(), &folder)?;
    let split = Split::from(args.split);
    let count = set.of(split).count();
    if count == 0 {
        anyhow::bail!(InputError::new(
            folder,
            "has no example in that split",
            "give another `--split`, or a recipe that makes one",
        ));
    }
    let split_name = match split {
        Split::Train => "train",
        Split::Validation => "validation",
        Split::Test => "test",
    };
    if let Some(settings) = anomaly::settings(&args.model, &facts)? {
        evaluation::check_normal(&args.model, &source.data)?;
        let subject = Subject { model: &args.model, facts: &facts, kind: settings.kind, input_step: None };
        let windows = |engine: &mut dyn Engine| {
            let bar = progress::bar(count, "examples");
            let windows = subject.windows(engine, &source.data, &set, split, |done| bar.inc(done as u64));
            bar.finish_and_clear();
            windows
        };
        let of_engine = windows(engine.as_mut())?;
        let against = match args.against {
            None => None,
            Some(kind) => {
                let mut other = engine::load(kind, &args.model, &Options::default())?;
                let others = windows(other.as_mut())?;
                let same = anomaly::agreeing(settings, &of_engine, &others);
                Some(AnomalyAgreement {
                    engine: kind.name(),
                    auc: Figures::new(settings, &source.data, &others).auc,
                    agreement: same as f64 / count as f64,
                })
            }
        };
        let report = AnomalyReport {
            model: args.model.display().to_string(),
            engine: args.engine.name(),
            board: board.map(|board| board.name),
            split: split_name,
            windows: count,
            figures: Figures::new(settings, &source.data, &of_engine),
            skipped: set.skipped.count,
            against,
        };
        return args.output.print(&report, |out| anomaly_tables(out, &report));
    }
    let decide = |engine: &mut dyn Engine| {
        let bar = progress::bar(count, "examples");
        let decided =
            evaluation::evaluate(&args.model, &facts, engine, &set, split, |done| bar.inc(done as u64));
        bar.finish_and_clear();
        decided
    };
    let decided = decide(engine.as_mut())?;
    let against = match args.against {
        None => None,
        Some(kind) => {
            let mut other = engine::load(kind, &args.model, &Options::default())?;
            let others = decide(other.as_mut())?;
            let same = decided.iter().zip(&others).filter(|(a, b)| a.decided == b.decided).count();
            Some(Agreement {
                engine: kind.name(),
                top1: evaluation::confusion(&others, set.labels.len()).top1(),
                agreement: same as f64 / count as f64,
            })
        }
    };
    let confusion = evaluation::confusion(&decided, set.labels.len());
    let report = Report {
        model: args.model.display().to_string(),
        engine: args.engine.name(),
        board: board.map(|board| board.name),
        split: split_name,
        samples: confusion.samples(),
        top1: confusion.top1(),
        classes: confusion.classes(&set.labels),
        confusion: confusion.counts().to_vec(),
        skipped: set.skipped.count,
        against,
    };
    args.output.print(&report, |out| tables(out, &report, confusion.right()))
}

/// The data set that is meant, and the folder where it is looked for.
pub(super) fn source(model: &Path, recipe: Option<&Path>, facts: &Facts) -> Result<(DataSource, PathBuf)> {
    let folder_of = |path: &Path| path.parent().unwrap_or(Path::new("")).to_path_buf();
    if let Some(path) = recipe {
        return Ok((DataSource::of(&Recipe::read(path)?), folder_of(path)));
    }
    let text = facts.metadata(metadata::DATA).ok_or_else(|| {
        InputError::new(
            model,
            "does not say what data set it was trained on (no metadata key `teff.data`)",
            "name its recipe with `--recipe RECIPE.toml`",
        )
    })?;
    Ok((DataSource::parse(model, text)?, folder_of(model)))
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "–".to_string(), |share| format!("{:.1} %", 100.0 * share))
}

fn anomaly_tables(out: &mut dyn Write, report: &AnomalyReport) -> io::Result<()> {
    let figures = &report.figures;
    let number =
        |number: Option<f64>| number.map_or_else(|| "–".to_string(), |number| format!("{number:.4}"));
    writeln!(
        out,
        "{}: AUC {}, {} detected and {} false alarms of {} windows, {} split, engine {}",
        report.model,
        number(figures.auc),
        percent(figures.detection_rate),
        percent(figures.false_alarm_rate),
        figures.samples,
        report.split,
        report.board.map_or_else(|| report.engine.to_string(), |board| format!("teff on {board}"))
    )?;
    writeln!(
        out,
        "threshold {:.3}, smoothed over {}: {} windows with fewer before them in their recording are not counted",
        figures.threshold,
        figures.smoothing,
        report.windows - figures.samples
    )?;
    if let Some(other) = &report.against {
        writeln!(
            out,
            "{}: AUC {}; both are on the same side of the threshold for {:.2} % of the windows",
            other.engine,
            number(other.auc),
            100.0 * other.agreement
        )?;
    }
    if report.skipped > 0 {
        writeln!(out, "{} recordings were left out by the loader", report.skipped)?;
    }
    let mut table = Table::new();
    table.load_style(comfy_table::presets::ASCII_MARKDOWN);
    table.set_header([
        "label",
        "windows",
        "at threshold",
        "AUC",
        "recordings",
        "with event",
        "least",
        "median",
        "largest",
    ]);
    for label in &figures.labels {
        let score = |of: fn(&Scores) -> f64| {
            label.scores.as_ref().map_or_else(|| "–".to_string(), |scores| format!("{:.2}", of(scores)))
        };
        table.add_row([
            if label.normal { format!("{} (normal)", label.label) } else { label.label.clone() },
            label.samples.to_string(),
            percent(label.above),
            number(label.auc),
            label.recordings.to_string(),
            label.recordings_with_event.to_string(),
            score(|scores| scores.least),
            score(|scores| scores.median),
            score(|scores| scores.largest),
        ]);
    }
    super::align_right(&mut table, &[1, 2, 3, 4, 5, 6, 7, 8]);
    writeln!(out, "\n{table}")
}

fn tables(out: &mut dyn Write, report: &Report, right: usize) -> io::Result<()> {
    writeln!(
        out,
        "{}: {:.2} % of {} examples ({} right), {} split, engine {}",
        report.model,
        100.0 * report.top1,
        report.samples,
        right,
        report.split,
        report.board.map_or_else(|| report.engine.to_string(), |board| format!("teff on {board}"))
    )?;
    if let Some(other) = &report.against {
        writeln!(
            out,
            "{}: {:.2} %; both decide the same for {:.2} % of the examples",
            other.engine,
            100.0 * other.top1,
            100.0 * other.agreement
        )?;
    }
    if report.skipped > 0 {
        writeln!(out, "{} recordings were left out by the loader", report.skipped)?;
    }
    let mut figures = Table::new();
    figures.load_style(comfy_table::presets::ASCII_MARKDOWN);
    figures.set_header(["class", "examples", "precision", "recall", "F1"]);
    for class in &report.classes {
        figures.add_row([
            class.label.clone(),
            class.samples.to_string(),
            percent(class.precision),
            percent(class.recall),
            percent(class.f1),
        ]);
    }
    writeln!(out, "\n{figures}\n\nTrue class (rows) and decision (columns):\n")?;
    let mut matrix = Table::new();
    let labels = report.classes.iter().map(|class| class.label.clone());
    matrix.set_header(std::iter::once(String::new()).chain(labels));
    for (class, row) in report.classes.iter().zip(&report.confusion) {
        let cells = row.iter().map(|&count| if count == 0 { ".".to_string() } else { count.to_string() });
        matrix.add_row(std::iter::once(class.label.clone()).chain(cells));
    }
    writeln!(out, "{matrix}")
}
