//! The page `docs/conformance.md`.

use std::fmt::Write;

use super::{Differing, Flip, ModelConformance, Operator, total};

/// Mark before the part of the page that depends on this project alone.
pub const EXACT_BEGIN: &str = "<!-- exact: begin -->";
/// Mark after it.
pub const EXACT_END: &str = "<!-- exact: end -->";

const HEAD: &str = include_str!("head.md");

/// The page of all models.
pub fn page(models: &[ModelConformance]) -> String {
    let mut page = HEAD.to_string();
    // Writing to a string does not fail.
    let _ = write_page(&mut page, models);
    page
}

fn write_page(page: &mut String, models: &[ModelConformance]) -> std::fmt::Result {
    writeln!(page, "\n{EXACT_BEGIN}\n\n## All models, by operator\n")?;
    header(page, "operator")?;
    for (kind, operator) in total(models) {
        row(page, &format!("`{kind}`"), &operator)?;
    }
    writeln!(page, "\n## Each model, by operator\n")?;
    header(page, "model and operator")?;
    for model in models {
        for (kind, operator) in &model.operators {
            row(page, &format!("{} `{kind}`", model.model), operator)?;
        }
    }
    writeln!(page, "\n## End to end\n")?;
    writeln!(
        page,
        "Outputs of the whole network against those that other engines gave (recorded beside the models). Differences \
         of one step inside a network grow on the way to its output; the other engines differ among themselves in the \
         same way. `same first` counts examples with the same largest output (an auto-encoder has no such thing as a \
         class, but it is counted too).\n"
    )?;
    writeln!(page, "| model | reference | outputs | differ | largest, steps | same first |")?;
    writeln!(page, "|---|---|---:|---:|---:|---:|")?;
    for model in models {
        for end in &model.end_to_end {
            writeln!(
                page,
                "| {} | `{}` | {} | {} | {} | {} of {} |",
                model.model,
                end.reference,
                end.elements,
                end.differing.elements,
                end.differing.largest_lsb,
                end.same_first,
                end.examples
            )?;
        }
    }
    write_flips(page, models)?;
    writeln!(page, "\n{EXACT_END}")?;
    let with_engine: Vec<_> = models
        .iter()
        .filter_map(|m| m.onnx_runtime.map(|o| (&m.model, o)))
        .filter(|(_, o)| o.elements > 0)
        .collect();
    if !with_engine.is_empty() {
        writeln!(page, "\n## Against ONNX Runtime\n")?;
        writeln!(
            page,
            "ONNX Runtime 1.32 on the graph as it is written (optimisations off), its integers made visible as further \
             outputs; each operator of Teff is fed those integers. ONNX Runtime computes each operator in 32-bit \
             floating point and rounds to even, so its own last bits depend on the machine.\n"
        )?;
        writeln!(page, "| model | elements | differ | share | largest, LSB |\n|---|---:|---:|---:|---:|")?;
        for (model, onnx_runtime) in with_engine {
            let share = share(&onnx_runtime.differing, onnx_runtime.elements);
            let (elements, Differing { elements: differing, largest_lsb }) =
                (onnx_runtime.elements, onnx_runtime.differing);
            writeln!(page, "| {model} | {elements} | {differing} | {share} | {largest_lsb} |")?;
        }
    }
    Ok(())
}

/// Each example that has another first place than all references of its model.
fn write_flips(page: &mut String, models: &[ModelConformance]) -> std::fmt::Result {
    let count: usize = models.iter().map(|model| model.flips.len()).sum();
    writeln!(
        page,
        "\nExamples in which all references of a model agree on the first place and Teff gives another: {count}."
    )?;
    if count == 0 {
        return Ok(());
    }
    writeln!(
        page,
        "\nSteps ahead: how many steps of the output the score of Teff's first place lies above that of theirs, in each engine; \
         `exact` is the whole network with every operator rounded once from its exact result. The reason \
         stands in the last column: the operators of Teff that differ from exact arithmetic in this example, each fed exact \
         integers. Where the references themselves have both places equal, the last bit of one of these decides; for ties, \
         see *How it is fed*.\n"
    )?;
    writeln!(
        page,
        "| model | example | first, Teff | first, references | steps ahead | operators that differ |"
    )?;
    writeln!(page, "|---|---:|---:|---:|---|---|")?;
    for model in models {
        for flip in &model.flips {
            let ahead: Vec<String> =
                flip.ahead.iter().map(|(name, steps)| format!("{name} {steps}")).collect();
            let operators: Vec<String> = flip
                .operators
                .iter()
                .map(|(name, elements, ties)| format!("`{name}`: {elements}, of these ties {ties}"))
                .collect();
            let Flip { example, ours, theirs, .. } = flip;
            writeln!(
                page,
                "| {} | {example} | {ours} | {theirs} | {} | {} |",
                model.model,
                ahead.join(", "),
                operators.join("; ")
            )?;
        }
    }
    Ok(())
}

fn header(page: &mut String, first: &str) -> std::fmt::Result {
    writeln!(page, "| {first} | elements | ties | Teff | LSB | double | LSB | single | LSB | float | LSB |")?;
    writeln!(page, "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
}

fn row(page: &mut String, name: &str, operator: &Operator) -> std::fmt::Result {
    write!(page, "| {name} | {} | {} |", operator.elements, operator.ties)?;
    for differing in [operator.teff, operator.double, operator.single, operator.float] {
        write!(page, " {} | {} |", share(&differing, operator.elements), differing.largest_lsb)?;
    }
    writeln!(page)
}

fn share(differing: &Differing, of: u64) -> String {
    if differing.elements == 0 {
        "0".to_string()
    } else {
        format!("{:.4} %", 100.0 * differing.elements as f64 / of.max(1) as f64)
    }
}
