//! `trainer compare`: the runtime against a reference, operator by operator.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Result, bail};
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use super::{Output, progress};
use crate::arrays;
use crate::compare::{self, Comparison, Examples};
use crate::engine::Kind;

/// Compare the runtime with another engine, operator by operator
///
/// Each operator is given the reference's own integers, so that what is shown is its own difference and not that of
/// the operators before it. ONNX Runtime runs the graph as it is written, without its optimisations: with them it
/// computes much of a quantized network in floating point.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The quantized model
    #[arg(value_name = "MODEL.onnx")]
    pub model: PathBuf,
    /// Arrays to run the model on
    #[arg(long, value_name = "X.npz")]
    pub input: PathBuf,
    /// What is compared and with what: teff,ort or teff,tract or teff,float
    #[arg(long, value_enum, value_delimiter = ',', num_args = 1.., default_value = "teff,ort")]
    pub engines: Vec<Kind>,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Serialize)]
struct Report {
    model: String,
    engines: Vec<&'static str>,
    #[serde(flatten)]
    comparison: Comparison,
}

/// Runs the sub-command.
pub fn run(args: Args) -> Result<()> {
    let &[Kind::Teff, reference] = args.engines.as_slice() else {
        bail!(
            "`--engines` names the engine `teff` and one to compare it with. Remedy: write `--engines teff,ort`"
        );
    };
    if crate::model_file::is_plan(&args.model) {
        bail!(
            "{}: is a plan, which other engines do not run. Remedy: give the ONNX file that it was compiled from",
            args.model.display()
        );
    }
    let arrays = arrays::read(&args.input)?;
    let waiting = progress::waiting("running both engines");
    let comparison =
        compare::compare(&args.model, reference, &Examples { arrays: &arrays, file: &args.input });
    waiting.finish_and_clear();
    let report = Report {
        model: args.model.display().to_string(),
        engines: args.engines.iter().map(|kind| kind.name()).collect(),
        comparison: comparison?,
    };
    args.output.print(&report, |out| tables(out, &report))
}

fn tables(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    let comparison = &report.comparison;
    writeln!(
        out,
        "{}: {} against {}, {} examples; each operator is given the reference's integers\n",
        report.model, report.engines[0], report.engines[1], comparison.examples
    )?;
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(["#", "operator", "elements", "differ", "largest, LSB", "SNR, dB", "node"]);
    for layer in &comparison.layers {
        table.add_row([
            layer.index.to_string(),
            layer.operator.to_string(),
            layer.elements.to_string(),
            format!("{:.4} %", 100.0 * layer.differing_share),
            layer.largest_lsb.to_string(),
            layer.snr_db.map_or_else(|| "–".to_string(), |snr| format!("{snr:.1}")),
            super::short(&layer.name),
        ]);
    }
    for column in [0, 2, 3, 4, 5] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    writeln!(out, "{table}\n")?;
    if !comparison.not_compared.is_empty() {
        writeln!(
            out,
            "not compared, as {} shows no integers there: {}",
            report.engines[1],
            comparison.not_compared.join(", ")
        )?;
    }
    writeln!(out, "largest difference of an operator: {} LSB", comparison.largest_lsb)?;
    for output in &comparison.outputs {
        writeln!(
            out,
            "end to end, `{}`: largest difference {}, same first place in {:.2} % of the examples",
            output.name,
            output.largest_difference,
            100.0 * output.top1_agreement
        )?;
    }
    Ok(())
}
