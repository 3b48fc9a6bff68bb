//! The dated record of a measurement in `tests/bench-record`: Markdown for people, JSON beside it.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde_json::Value;

use super::mcu::shown;
use crate::shell::{command, root, say};

/// The cells of a row of the main table.
pub fn cells(row: &Value) -> [String; 11] {
    let per_mac = match (row["instructions"].as_f64(), row["macs"].as_f64()) {
        (Some(instructions), Some(macs)) if macs > 0.0 => format!("{:.2}", instructions / macs),
        _ => "–".to_string(),
    };
    let cell = |key: &str| shown(&row[key]);
    [
        cell("model"),
        cell("core"),
        cell("instructions"),
        per_mac,
        cell("ratio_to_anchor"),
        cell("cycles_estimated"),
        cell("arena_bytes"),
        cell("live_set_bytes"),
        cell("stack_bytes"),
        cell("code_bytes"),
        cell("plan_bytes"),
    ]
}

/// An array with one object on each line.
pub fn to_json(rows: &[Value]) -> Result<String> {
    let lines: Vec<String> = rows.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
    Ok(format!("[\n{}\n]\n", lines.join(",\n")))
}

/// The day, and the commit where there is one.
pub fn stamp() -> Result<(String, Option<String>)> {
    Ok((today()?, first_line(command("git")?.args(["rev-parse", "--short", "HEAD"]))))
}

/// Writes both files, named after the day and the commit.
pub fn write(rows: &[Value]) -> Result<()> {
    let (date, commit) = stamp()?;
    let folder = root()?.join("tests/bench-record");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let name = format!("mcu-{date}-{}", commit.as_deref().unwrap_or("uncommitted"));
    let markdown = folder.join(format!("{name}.md"));
    fs::write(folder.join(format!("{name}.json")), to_json(rows)?)
        .and_then(|()| fs::write(&markdown, page(rows, &date, commit.as_deref())))
        .with_context(|| format!("cannot write {}", markdown.display()))?;
    say(&format!("recorded in {}", markdown.display()));
    Ok(())
}

fn page(rows: &[Value], date: &str, commit: Option<&str>) -> String {
    let version = |program: &str| first_line(Command::new(program).arg("--version")).unwrap_or_default();
    let mut text = format!("# Emulated Cortex-M, {date}\n\n");
    text += "Counted by `cargo xtask bench mcu`; what the figures mean stands in docs/measuring.md. Ratios are to TensorFlow Lite Micro \
             with CMSIS-NN on the same model, input and core (M4: the lower of its builds \"speed\" and \"stock\", elsewhere \"speed\").\n\n";
    let _ = writeln!(
        text,
        "Commit {}; {}; {}.\n",
        commit.unwrap_or("none"),
        version("rustc"),
        version("qemu-system-arm")
    );
    text += "## Ratio of instructions\n\n";
    text += &ratios(rows);
    text += "\n## All figures\n\n";
    text += "| model | core | instructions | per MAC | ratio | cycles, estimated | arena B | live set B | stack B | code B | plan B |\n";
    text += "|---|---|---|---|---|---|---|---|---|---|---|\n";
    for row in rows {
        let _ = writeln!(text, "| {} |", cells(row).join(" | "));
    }
    text += "\n## Cycles beside the other engine\n\n";
    text += "Estimated, not measured. Theirs are a range, because their counts do not say which loads stand in a row and which branches are taken. \
             M7: both are what its units take at least. M55: ours are two for every instruction, which is more than they can be but for taken branches; theirs have two for a vector \
             instruction, with loads and stores beside arithmetic where they can be. The M33 has no published timings; it runs the M4's kernels. The last column \
             compares ours with the least of theirs.\n\n";
    text +=
        "| model | core | cycles, ours | theirs, from | to | ratio, at most |\n|---|---|---|---|---|---|\n";
    for row in rows {
        let Some(cycles) = cycles(row) else { continue };
        let [least, most] = [0, 1].map(|at| &row["anchor_cycles_range"][at]);
        let Some(theirs) = least.as_f64() else { continue };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {:.3} |",
            shown(&row["model"]),
            shown(&row["core"]),
            shown(&cycles.into()),
            shown(least),
            shown(most),
            cycles as f64 / theirs
        );
    }
    text += "\n## Memory and outputs beside the other engine\n\n";
    text += "| model | core | arena, ours | theirs | ratio | longest slice | outputs compared | differing | largest LSB | top-1 |\n";
    text += "|---|---|---|---|---|---|---|---|---|---|\n";
    for row in rows.iter().filter(|row| row["anchor_instructions"].is_u64()) {
        let outputs = &row["anchor_outputs"];
        let share = row["arena_bytes"].as_f64().zip(row["anchor_arena_bytes"].as_f64());
        let cells = [
            shown(&row["model"]),
            shown(&row["core"]),
            shown(&row["arena_bytes"]),
            shown(&row["anchor_arena_bytes"]),
            share.map_or_else(|| "–".to_string(), |(ours, theirs)| format!("{:.3}", ours / theirs)),
            shown(&row["longest_slice"]),
            shown(&outputs["compared"]),
            shown(&outputs["differing"]),
            shown(&outputs["largest_lsb"]),
            if outputs["same_top1"] == true { "same" } else { "another" }.to_string(),
        ];
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text += "\n## Prediction\n\nPredicted instructions as a share of the counted ones; by layer, the lowest and the highest of all layers with at least 10,000.\n\n";
    text += "| model | core | predicted / counted | lowest | highest |\n|---|---|---|---|---|\n";
    for row in rows {
        let [whole, low, high] =
            prediction(row).map(|share| share.map_or("–".to_string(), |share| format!("{share:.2}")));
        let _ = writeln!(
            text,
            "| {} | {} | {whole} | {low} | {high} |",
            shown(&row["model"]),
            shown(&row["core"])
        );
    }
    text += "\n## Layers, M4\n\n";
    for row in rows.iter().filter(|row| row["core"] == "m4") {
        let _ = writeln!(text, "### {}\n", shown(&row["model"]));
        text += "| # | operator | output h x w x c | MACs | predicted | instructions | per MAC | cycles, estimated |\n|---|---|---|---|---|---|---|---|\n";
        for (index, layer) in row["layers"].as_array().into_iter().flatten().enumerate() {
            let shape: Vec<String> =
                layer[1].as_array().into_iter().flatten().map(Value::to_string).collect();
            let per_mac = match (layer[2].as_f64(), layer[4].as_f64()) {
                (Some(macs), Some(instructions)) if macs > 0.0 => format!("{:.2}", instructions / macs),
                _ => String::new(),
            };
            let _ = writeln!(
                text,
                "| {index} | {} | {} | {} | {} | {} | {per_mac} | {} |",
                shown(&layer[0]),
                shape.join(" x "),
                shown(&layer[2]),
                shown(&layer[3]),
                shown(&layer[4]),
                shown(&layer[5])
            );
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// A row for each model that the other engine was measured on, a column for each core.
fn ratios(rows: &[Value]) -> String {
    let mut cores: Vec<&str> = Vec::new();
    let mut models: Vec<&str> = Vec::new();
    for row in rows.iter().filter(|row| row["ratio_to_anchor"].is_f64()) {
        let (Some(core), Some(model)) = (row["core"].as_str(), row["model"].as_str()) else { continue };
        if !cores.contains(&core) {
            cores.push(core);
        }
        if !models.contains(&model) {
            models.push(model);
        }
    }
    let mut text = format!("| model | {} |\n|---|{}\n", cores.join(" | "), "---|".repeat(cores.len()));
    for model in models {
        let ratio = |core: &&str| {
            let row = rows.iter().find(|row| row["model"] == model && row["core"] == *core);
            row.map_or_else(|| "–".to_string(), |row| shown(&row["ratio_to_anchor"]))
        };
        let cells: Vec<String> = cores.iter().map(ratio).collect();
        let _ = writeln!(text, "| {model} | {} |", cells.join(" | "));
    }
    text
}

/// Estimated cycles; on the M55, which has no timings, at most.
fn cycles(row: &Value) -> Option<u64> {
    let doubled = || row["instructions"].as_u64().filter(|_| row["core"] == "m55").map(|count| 2 * count);
    row["cycles_estimated"].as_u64().or_else(doubled)
}

/// Predicted over counted instructions: of the whole, and of the layers the lowest and the highest.
fn prediction(row: &Value) -> [Option<f64>; 3] {
    let share = |predicted: &Value, counted: &Value| Some(predicted.as_f64()? / counted.as_f64()?.max(1.0));
    let layers: Vec<f64> = row["layers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|layer| layer[4].as_u64().is_some_and(|counted| counted >= 10_000))
        .filter_map(|layer| share(&layer[3], &layer[4]))
        .collect();
    [
        share(&row["predicted"], &row["instructions"]),
        layers.iter().copied().reduce(f64::min),
        layers.iter().copied().reduce(f64::max),
    ]
}

/// The day in UTC, as `2026-01-31`.
fn today() -> Result<String> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock stands before 1970")?;
    Ok(date(seconds.as_secs() / 86_400))
}

/// The date so many days after 1970-01-01.
fn date(days: u64) -> String {
    // Days since 1 March of the year 0: a year then ends with its leap day.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{}-{month:02}-{day:02}", era * 400 + year_of_era + next)
}

/// The first line that a program writes; nothing where it cannot be run.
pub fn first_line(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    String::from_utf8_lossy(&output.stdout).lines().next().map(String::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_their_dates() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(11_016), "2000-02-29");
        assert_eq!(date(19_723), "2024-01-01");
        assert_eq!(date(20_780), "2026-11-23");
    }

    #[test]
    fn a_page_shows_what_there_is() {
        let row = serde_json::json!({
            "model": "m", "core": "m4", "macs": 100, "instructions": 20_000, "predicted": 10_000,
            "ratio_to_anchor": 0.5, "anchor_instructions": 40_000, "cycles_estimated": null,
            "layers": [["conv_2d", [1, 1, 8], 100, 10_000, 20_000, null]],
        });
        let page = page(&[row], "2026-01-01", None);
        assert!(page.contains("| m | 0.500 |"), "{page}");
        assert!(!page.contains("| m | m4 | 0 |"), "{page}");
        assert!(page.contains("| m | m4 | 20 000 | 200.00 | 0.500 | – |"), "{page}");
        assert!(page.contains("| m | m4 | 0.50 | 0.50 | 0.50 |"), "{page}");
        assert!(page.contains("| 0 | conv_2d | 1 x 1 x 8 |"), "{page}");
    }
}
