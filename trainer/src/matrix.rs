//! What each engine makes of a model file: one cell of the import matrix.

use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::arrays::{self, Array, Named};
use crate::compare::reference::real;
use crate::engine::{self, Engine, Kind, Options, Port, batch};
use crate::metrics::argmax;
use crate::model_file;

/// The engines, in the order of the columns.
pub const ENGINES: [Kind; 3] = [Kind::Teff, Kind::Ort, Kind::Tract];

/// Arrays that a reference is looked for under, the nearest to the file's own engine first.
const REFERENCES: [&str; 6] = ["y_ref", "y_tflm", "y_ort_off", "y_ort", "y_prob_ort", "y_torch"];

/// What one engine makes of one file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Why it does not load or run, in the words of the engine.
    pub refusal: Option<String>,
    /// How it runs: `integers` or `float` for Teff, `runs` for engines that do not tell; nothing without arrays.
    pub runs: Option<String>,
    /// Against the recorded outputs.
    pub agreement: Option<Agreement>,
    /// Teff, a float file: quantized on the arrays beside it and run in integers.
    pub quantized: Option<Agreement>,
    /// Why it cannot be quantized.
    pub not_quantized: Option<String>,
}

/// How near outputs are to recorded ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// Name of the recorded array.
    pub reference: String,
    /// Largest difference, in steps of the output where that is quantized.
    pub largest: f64,
    /// Whether it is in steps.
    pub steps: bool,
    /// Examples with the same first place; absent where an output is one number.
    pub same_first: Option<u64>,
    /// Examples.
    pub examples: u64,
}

/// A file and its cells, in the order of [`ENGINES`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Name of the file.
    pub file: String,
    /// One cell per engine.
    pub cells: Vec<Cell>,
}

/// One cell, computed in this process. An engine that panics or hangs takes the process with it: [`isolated`] does not.
pub fn cell(model: &Path, kind: Kind) -> Cell {
    match try_cell(model, kind) {
        Ok(cell) => cell,
        Err(error) => Cell { refusal: Some(told(&error, model)), ..Cell::default() },
    }
}

fn try_cell(model: &Path, kind: Kind) -> Result<Cell> {
    let is_tflite = model.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("tflite"));
    if is_tflite && kind != Kind::Teff {
        bail!("reads ONNX only");
    }
    let options = Options { as_written: true };
    let (mut engine, how) = if kind == Kind::Teff {
        let graph = model_file::import(model)?;
        match graph.has_integers() {
            true => (engine::load(Kind::Teff, model, &options)?, "integers"),
            false => (engine::load(Kind::Float, model, &options)?, "float"),
        }
    } else {
        (engine::load(kind, model, &options)?, "runs")
    };
    let file = model.with_extension("npz");
    if !file.is_file() {
        return Ok(Cell::default());
    }
    let arrays = arrays::read(&file)?;
    let agreement = agreement(engine.as_mut(), &arrays, &file)?;
    let mut cell = Cell { runs: Some(how.to_string()), agreement, ..Cell::default() };
    if how == "float" {
        match quantized(model, &file, &arrays) {
            Ok(agreement) => cell.quantized = agreement,
            Err(error) => cell.not_quantized = Some(told(&error, model)),
        }
    }
    Ok(cell)
}

/// A float model, quantized as `trainer quantize` does on the arrays beside it, in integers.
fn quantized(model: &Path, file: &Path, arrays: &[Named]) -> Result<Option<Agreement>> {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("quantized.onnx");
    let output = Command::new(std::env::current_exe()?)
        .arg("quantize")
        .arg(model)
        .arg("--calibrate")
        .arg(file)
        .arg("--out")
        .arg(&out)
        .output()
        .context("cannot start `trainer quantize`")?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        bail!("{}", text.trim().trim_start_matches("error: "));
    }
    let mut engine = engine::load(Kind::Teff, &out, &Options::default())?;
    agreement(engine.as_mut(), arrays, file)
}

fn agreement(engine: &mut dyn Engine, arrays: &[Named], file: &Path) -> Result<Option<Agreement>> {
    let examples = batch::examples(engine.inputs(), arrays, file)?;
    let results = engine.run(&examples)?;
    let ports: Vec<Port> = engine.outputs().to_vec();
    for name in REFERENCES {
        let Some(Named { array, .. }) = arrays.iter().find(|named| named.name == name) else { continue };
        let fits =
            |at: &usize| results.iter().map(|outputs| outputs[*at].len()).sum::<usize>() == array.len();
        let Some(at) = (0..ports.len()).find(fits) else { continue };
        return Ok(Some(against(name, array, &ports[at], &results, at)));
    }
    Ok(None)
}

fn against(name: &str, array: &Array, port: &Port, results: &[Vec<Array>], at: usize) -> Agreement {
    let theirs = real(array, port);
    let len = (theirs.len() / results.len().max(1)).max(1);
    let scale = port.quant.map(|quant| f64::from(quant.scale));
    let (mut largest, mut same) = (0.0f64, 0);
    for (outputs, theirs) in results.iter().zip(theirs.chunks_exact(len)) {
        let ours = real(&outputs[at], port);
        for (a, b) in ours.iter().zip(theirs) {
            largest = largest.max((a - b).abs());
        }
        same += u64::from(argmax(&ours) == argmax(theirs));
    }
    Agreement {
        reference: name.to_string(),
        largest: scale.map_or(largest, |scale| libm::round(largest / scale)),
        steps: scale.is_some(),
        same_first: (len > 1).then_some(same),
        examples: results.len() as u64,
    }
}

/// An error in one line, without the folder of the file.
fn told(error: &anyhow::Error, model: &Path) -> String {
    let folder = model.parent().map(|folder| format!("{}/", folder.display())).unwrap_or_default();
    let mut lines: Vec<String> = Vec::new();
    for cause in error.chain() {
        let text = cause.to_string();
        if !lines.iter().any(|line| line.contains(&text)) {
            lines.push(text);
        }
    }
    let text = lines.join(": ").replace(&folder, "").split_whitespace().collect::<Vec<&str>>().join(" ");
    // What the row says already, and what to do with a damaged file, are left out.
    let name = model.file_name().map(|name| format!("{}: ", name.to_string_lossy())).unwrap_or_default();
    let text = text.strip_prefix(name.as_str()).unwrap_or(&text);
    match text.split_once("use another engine: ") {
        Some((_, reason)) => reason.to_string(),
        None => text.to_string(),
    }
}

/// One cell in a process of its own: panics and time limits become refusals.
pub fn isolated(model: &Path, kind: Kind, limit: Duration) -> Result<Cell> {
    let out = tempfile::NamedTempFile::new()?;
    let mut child = Command::new(std::env::current_exe()?)
        .arg("matrix")
        .arg(model)
        .args(["--json", "--cell", kind.name()])
        .stdout(Stdio::from(out.reopen()?))
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start a process for one file")?;
    let begun = Instant::now();
    let refused = |reason: String| Cell { refusal: Some(reason), ..Cell::default() };
    loop {
        if let Some(status) = child.try_wait()? {
            let text = std::fs::read(out.path())?;
            return Ok(match serde_json::from_slice(&text) {
                Ok(cell) if status.success() => cell,
                _ => refused(format!("panics or stops ({status})")),
            });
        }
        if begun.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(refused(format!("takes more than {} s", limit.as_secs())));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

impl Cell {
    /// The cell as people read it, on one line.
    pub fn text(&self) -> String {
        if let Some(refusal) = &self.refusal {
            return format!("refused: {}", escape(refusal));
        }
        let Some(runs) = &self.runs else { return "loads; no arrays beside it".to_string() };
        let mut text = runs.clone();
        if let Some(agreement) = &self.agreement {
            let _ = write!(text, "; {}", agreement.text());
        }
        if let Some(quantized) = &self.quantized {
            let _ = write!(text, "; quantized, in integers: {}", quantized.text());
        }
        if let Some(reason) = &self.not_quantized {
            let _ = write!(text, "; not quantized: {}", escape(reason));
        }
        text
    }
}

impl Agreement {
    fn text(&self) -> String {
        let size =
            if self.steps { format!("{} steps", self.largest) } else { format!("{:.1e}", self.largest) };
        let first = self.same_first.map(|same| format!(", first {same} of {}", self.examples));
        format!("{size} from `{}`{}", self.reference, first.unwrap_or_default())
    }
}

fn escape(text: &str) -> String {
    const MOST: usize = 300;
    let mut short: String = text.chars().take(MOST).collect();
    if text.chars().count() > MOST {
        short.push('…');
    }
    short.replace('|', "\\|").replace('<', "&lt;")
}

/// The page `docs/import-matrix.md`.
pub fn page(rows: &[Row]) -> String {
    let mut page = "# Import matrix\n\nWhat each engine makes of each file of a folder, written by `trainer matrix DIR --out \
docs/import-matrix.md` (`DIR` here is `shared/models`).\nEach file is run on the arrays beside it (same name, `.npz`) and compared with \
the outputs that are recorded there.\n\n- *integers*: Teff runs the file in integers end to end. *float*: the file is a float model; the \
compiler's own\n  evaluator runs it, and after `trainer quantize` on the same arrays the runtime runs it in integers.\n- ONNX Runtime runs \
graphs as they are written (optimisations off), tract its typed graph; `trainer` gives them tensors only. Neither tells whether it computes\n  in integers end to end, so \
*runs* says no more than that.\n- The number is the largest difference from the recorded outputs: in steps of the output where it is \
quantized, else of real\n  numbers. *first*: examples whose largest output stands at the same place.\n- Each cell is computed in a process \
of its own: an engine that panics or hangs is refused.\n\n| file | Teff | ONNX Runtime | tract |\n|---|---|---|---|\n"
        .to_string();
    for row in rows {
        let cells: Vec<String> = row.cells.iter().map(Cell::text).collect();
        let _ = writeln!(page, "| {} | {} |", row.file, cells.join(" | "));
    }
    page
}
