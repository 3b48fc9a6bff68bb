//! `cargo xtask bench fit`: the coefficients of the compiler's cost model, fitted to counted instructions.
//!
//! On each board `trainer samples` counts layers that are made for it and part of no model that predictions are judged by. For
//! each kernel the instructions are explained as a sum of counts (calls, rows, products, …), each times a coefficient that
//! is not negative, such that the sum of squared relative errors is least.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};
use comfy_table::{Table, presets};
use serde_json::Value;

use crate::demo::build_light_trainer;
use crate::shell::{root, say};
use crate::size;
use crate::toolchain::Installer;

/// Where the compiler reads the coefficients.
const TABLE: &str = "trainer/compiler/src/cost/coefficients.tsv";
/// Coefficients are written in this part of an instruction.
const UNIT: f64 = 1000.0;
/// Passes over the coefficients; they settle in a few hundred.
const PASSES: usize = 20_000;

/// Which boards.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this board; may be given several times; the others keep their coefficients
    #[arg(long)]
    board: Vec<String>,
}

/// Layers of one kernel: counts and instructions.
type Samples = Vec<(Vec<f64>, f64)>;

/// Counts, fits, and writes the table.
pub fn run(installer: &Installer, args: &Args) -> Result<()> {
    let boards = size::boards(&args.board)?;
    for board in &boards {
        installer.board(board)?;
    }
    let path = root()?.join(TABLE);
    let old = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut rows: BTreeMap<(String, String), Vec<u64>> = BTreeMap::new();
    let trainer = build_light_trainer()?;
    let mut shown = Table::new();
    shown.load_style(presets::UTF8_FULL_CONDENSED).set_header([
        "core",
        "kernel",
        "layers",
        "mean error",
        "largest",
    ]);
    let mut titles = Vec::new();
    let mut fitted = Vec::new();
    for board in &boards {
        let report = trainer.json(&["samples", "--board", board.name])?;
        titles = texts(&report["counts"]);
        let core = board.plan_target.trim_start_matches("cortex-").to_string();
        for (kernel, samples) in by_kernel(&report)? {
            let costs = fit(&samples);
            let errors: Vec<f64> =
                samples.iter().map(|(work, counted)| (sum(work, &costs) / counted - 1.0).abs()).collect();
            let mean = errors.iter().sum::<f64>() / errors.len() as f64;
            let largest = errors.iter().copied().fold(0.0, f64::max);
            shown.add_row([
                core.clone(),
                kernel.clone(),
                samples.len().to_string(),
                format!("{:.1} %", 100.0 * mean),
                format!("{:.1} %", 100.0 * largest),
            ]);
            rows.insert(
                (core.clone(), kernel),
                costs.iter().map(|cost| (cost * UNIT).round() as u64).collect(),
            );
        }
        fitted.push(core);
    }
    for line in old.lines().skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        let [core, kernel, costs @ ..] = cells.as_slice() else { continue };
        if !fitted.iter().any(|fitted| fitted == core) && costs.len() == titles.len() {
            let costs: Result<Vec<u64>, _> = costs.iter().map(|cost| cost.parse()).collect();
            rows.insert(
                (core.to_string(), kernel.to_string()),
                costs.with_context(|| format!("{TABLE}: {line}"))?,
            );
        }
    }
    fs::write(&path, text(&titles, &rows)).with_context(|| format!("cannot write {}", path.display()))?;
    println!("{shown}");
    say(&format!("written to {TABLE}; `cargo xtask bench mcu` shows how well it predicts other models"));
    Ok(())
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(String::from)).collect()
}

fn by_kernel(report: &Value) -> Result<BTreeMap<String, Samples>> {
    let mut kernels: BTreeMap<String, Samples> = BTreeMap::new();
    for layer in report["layers"].as_array().context("the samples have no layers")? {
        let kernel = layer["kernel"].as_str().context("a sample has no kernel")?;
        let work = layer["work"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
        let counted = layer["instructions"].as_f64().context("a sample has no instructions")?;
        kernels.entry(kernel.to_string()).or_default().push((work, counted.max(1.0)));
    }
    Ok(kernels)
}

fn sum(work: &[f64], costs: &[f64]) -> f64 {
    work.iter().zip(costs).map(|(work, cost)| work * cost).sum()
}

/// The coefficients, none of them negative, with the least sum of squared relative errors.
fn fit(samples: &Samples) -> Vec<f64> {
    let columns = samples.first().map_or(0, |(work, _)| work.len());
    // Relative to the count, and each column of length 1, so that all settle alike.
    let mut matrix: Vec<Vec<f64>> =
        samples.iter().map(|(work, counted)| work.iter().map(|work| work / counted).collect()).collect();
    let lengths: Vec<f64> = (0..columns)
        .map(|column| matrix.iter().map(|row| row[column] * row[column]).sum::<f64>().sqrt())
        .collect();
    for row in &mut matrix {
        row.iter_mut().zip(&lengths).for_each(|(cell, length)| *cell /= length.max(f64::MIN_POSITIVE));
    }
    let mut costs = vec![0.0; columns];
    let mut left = vec![1.0; samples.len()];
    for _ in 0..PASSES {
        for column in 0..columns {
            if lengths[column] == 0.0 {
                continue;
            }
            let gain: f64 = matrix.iter().zip(&left).map(|(row, left)| row[column] * left).sum();
            let changed = (costs[column] + gain).max(0.0);
            let by = changed - costs[column];
            costs[column] = changed;
            matrix.iter().zip(&mut left).for_each(|(row, left)| *left -= by * row[column]);
        }
    }
    costs
        .iter()
        .zip(&lengths)
        .map(|(cost, length)| if *length == 0.0 { 0.0 } else { cost / length })
        .collect()
}

fn text(titles: &[String], rows: &BTreeMap<(String, String), Vec<u64>>) -> String {
    let mut text = format!("core\tkernel\t{}\n", titles.join("\t"));
    for ((core, kernel), costs) in rows {
        let costs: Vec<String> = costs.iter().map(u64::to_string).collect();
        text += &format!("{core}\t{kernel}\t{}\n", costs.join("\t"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_sums_are_found() {
        let work = [[1.0, 10.0, 0.0], [1.0, 200.0, 3.0], [2.0, 5.0, 40.0], [1.0, 77.0, 9.0], [1.0, 3.0, 3.0]];
        let samples: Samples =
            work.iter().map(|row| (row.to_vec(), 300.0 * row[0] + 2.5 * row[1] + 0.25 * row[2])).collect();
        let costs = fit(&samples);
        for (found, expected) in costs.iter().zip([300.0, 2.5, 0.25]) {
            assert!((found - expected).abs() < 0.01, "{costs:?}");
        }
    }

    #[test]
    fn no_coefficient_is_negative() {
        let samples: Samples = vec![(vec![1.0, 1.0], 10.0), (vec![1.0, 2.0], 8.0), (vec![1.0, 4.0], 5.0)];
        let costs = fit(&samples);
        assert!(costs.iter().all(|&cost| cost >= 0.0) && costs[1] == 0.0, "{costs:?}");
    }
}
