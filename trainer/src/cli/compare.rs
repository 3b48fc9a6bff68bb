//! `trainer compare`: the runtime against a reference and against floating point, layer by layer.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Result, bail};
use comfy_table::{Table, presets};
use serde::Serialize;

use super::{Output, progress};
use crate::arrays;
use crate::compare::{self, Comparison, Examples, LayerDifference, OutputDifference};
use crate::engine::Kind;

/// Show layer by layer where a quantized model loses accuracy
///
/// Each operator is given the reference's own integers, so that what is shown is its own difference and not that of
/// the operators before it. Beside it stands the chain from the inputs on, in which differences add up: where its
/// signal-to-noise ratio falls, accuracy goes. ONNX Runtime runs the graph as it is written, without its
/// optimisations: with them it computes much of a quantized network in floating point.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The quantized model
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// Arrays to run the model on
    #[arg(long, value_name = "X.npz")]
    pub input: PathBuf,
    /// What is compared and with what: teff,exact or teff,ort or teff,tract or teff,float
    #[arg(long, value_enum, value_delimiter = ',', num_args = 1.., default_value = "teff,exact")]
    pub engines: Vec<Kind>,
    /// The float model that this one was quantized from: the chain is compared with it
    #[arg(long, value_name = "FLOAT")]
    pub float: Option<PathBuf>,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Serialize)]
struct Report {
    model: String,
    engines: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    float: Option<String>,
    #[serde(flatten)]
    comparison: Comparison,
}

/// Runs the sub-command.
pub fn run(args: Args) -> Result<()> {
    let &[Kind::Teff, reference] = args.engines.as_slice() else {
        bail!(
            "`--engines` names the engine `teff` and one to compare it with. Remedy: write `--engines teff,exact`"
        );
    };
    for model in [Some(&args.model), args.float.as_ref()].into_iter().flatten() {
        if crate::model_file::is_plan(model) {
            bail!(
                "{}: is a plan, which other engines do not run. Remedy: give the model file that it was compiled from",
                model.display()
            );
        }
    }
    let arrays = arrays::read(&args.input)?;
    let waiting = progress::waiting("running both engines");
    let examples = Examples { arrays: &arrays, file: &args.input };
    let comparison = compare::compare(&args.model, reference, args.float.as_deref(), &examples);
    waiting.finish_and_clear();
    let report = Report {
        model: args.model.display().to_string(),
        engines: args.engines.iter().map(|kind| kind.name()).collect(),
        float: args.float.as_ref().map(|file| file.display().to_string()),
        comparison: comparison?,
    };
    args.output.print(&report, |out| people(out, &report))
}

/// A loss of this many decibels in one layer is pointed out.
const NOTABLE_DB: f64 = 3.0;

fn people(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    let comparison = &report.comparison;
    let reference = report.engines[1];
    writeln!(out, "{}, {} examples", report.model, comparison.examples)?;
    writeln!(
        out,
        "  differ, LSB  integers that are not those of `{reference}`, and by how much: each operator alone"
    )?;
    writeln!(out, "  own, dB      signal to noise of the operator alone, against floating point")?;
    match &report.float {
        None => writeln!(
            out,
            "  chain        the same from the model's inputs on: dB, and the largest difference in steps of the output"
        )?,
        Some(float) => writeln!(
            out,
            "  chain        from the model's inputs on, against {float}: dB, and the largest difference in steps of the output"
        )?,
    }
    writeln!(out, "  loss         decibels that the chain loses in this layer\n")?;
    writeln!(out, "{}\n", table(report))?;
    if comparison.layers.iter().any(|layer| layer.float.as_ref().is_some_and(|float| float.rescaled)) {
        writeln!(
            out,
            "*: each channel was multiplied by a factor when the model was quantized (equalization), which is taken out"
        )?;
    }
    if !comparison.not_compared.is_empty() {
        writeln!(
            out,
            "not compared, as {reference} shows no integers there: {}",
            comparison.not_compared.join(", ")
        )?;
    }
    writeln!(out, "largest difference of an operator from `{reference}`: {} LSB", comparison.largest_lsb)?;
    let mut lossy: Vec<&LayerDifference> = comparison
        .layers
        .iter()
        .filter(|layer| layer.loss_db.is_some_and(|loss| loss >= NOTABLE_DB))
        .collect();
    lossy.sort_by(|a, b| b.loss_db.unwrap_or(0.0).total_cmp(&a.loss_db.unwrap_or(0.0)));
    if !lossy.is_empty() {
        let list: Vec<String> = lossy
            .iter()
            .take(3)
            .map(|layer| {
                format!("#{} {} ({:.1} dB)", layer.index, layer.operator, layer.loss_db.unwrap_or(0.0))
            })
            .collect();
        writeln!(out, "most is lost in {}", list.join(", "))?;
    }
    ends(out, &comparison.outputs, reference)?;
    if let Some(float) = &report.float {
        ends(out, &comparison.float_outputs, float)?;
    }
    Ok(())
}

fn ends(out: &mut dyn Write, outputs: &[OutputDifference], against: &str) -> io::Result<()> {
    for output in outputs {
        writeln!(
            out,
            "end to end against {against}, `{}`: largest difference {:.6}, same first place in {:.2} % of the examples",
            output.name,
            output.largest_difference,
            100.0 * output.top1_agreement
        )?;
    }
    Ok(())
}

fn table(report: &Report) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header([
        "#",
        "operator",
        "differ",
        "LSB",
        "own, dB",
        "chain, dB",
        "",
        "steps",
        "loss, dB",
        "node",
    ]);
    for layer in &report.comparison.layers {
        let (chain, mark) = match &layer.float {
            Some(float) => (Some(&float.difference), if float.rescaled { "*" } else { "" }),
            None if report.float.is_some() => (None, ""),
            None => (Some(&layer.chained), ""),
        };
        let decibels = |snr: Option<f64>| snr.map_or_else(|| "–".to_string(), |snr| format!("{snr:.1}"));
        let loss = layer.loss_db.unwrap_or(0.0);
        table.add_row([
            layer.index.to_string(),
            layer.operator.to_string(),
            format!("{:.3} %", 100.0 * layer.differing_share),
            layer.largest_lsb.to_string(),
            decibels(layer.own.snr_db),
            chain.map_or_else(|| "–".to_string(), |chain| format!("{}{mark}", decibels(chain.snr_db))),
            chain.and_then(|chain| chain.snr_db).map_or_else(String::new, bar),
            chain.map_or_else(|| "–".to_string(), |chain| format!("{:.1}", chain.largest_steps)),
            if loss >= NOTABLE_DB { format!("◀ {loss:.1}") } else { String::new() },
            super::short(&layer.name),
        ]);
    }
    super::align_right(&mut table, &[0, 2, 3, 4, 5, 7, 8]);
    table
}

/// A bar of up to ten characters for 0 to 50 decibels.
fn bar(decibels: f64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (decibels.clamp(0.0, 50.0) / 50.0 * 80.0).round() as usize;
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_have_their_length() {
        assert_eq!(bar(-3.0), "");
        assert_eq!(bar(5.0), "█");
        assert_eq!(bar(27.5), "█████▌");
        assert_eq!(bar(99.0), "██████████");
    }
}
