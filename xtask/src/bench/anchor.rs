//! The figures of TensorFlow Lite Micro with CMSIS-NN, and the models they were counted on.
//!
//! Both lie outside the project, in the folder that the variable `TEFF_SHARED` names, else in `shared`
//! beside the project: `anchors/mcu.json` and `models/*.tflite`.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::shell::root;

/// The models that were counted.
pub const MODELS: &[&str] = &[
    "ad01_int8",
    "pretrainedResnet_quant",
    "kws_ref_model",
    "vww_96_int8",
    "str_ww_ref_model",
    "person_detect",
    "micro_speech_quantized",
    "hello_world_int8",
];

/// What is there of them.
#[derive(Debug)]
pub struct Anchor {
    /// The models' files.
    pub models: Vec<PathBuf>,
    figures: Value,
}

/// The other engine's figures for one model on one core.
#[derive(Clone, Debug)]
pub struct Figures {
    pub instructions: u64,
    pub arena_bytes: u64,
    /// Cycles from its counts of instruction kinds, at least and at most ([`cycles`]); none for a core without timings.
    pub cycles: Option<(u64, u64)>,
}

impl Anchor {
    /// Looks for them; what is absent is said and left out.
    pub fn find() -> Result<Anchor> {
        let shared = match std::env::var_os("TEFF_SHARED") {
            Some(folder) => PathBuf::from(folder),
            None => root()?.parent().context("the project stands in no folder")?.join("shared"),
        };
        let mut models = Vec::new();
        for model in MODELS {
            let path = shared.join("models").join(model).with_extension("tflite");
            if path.is_file() {
                models.push(path);
            } else {
                println!(
                    "SKIPPED {model}: there is no {}; set TEFF_SHARED to the folder of the shared data",
                    path.display()
                );
            }
        }
        let path = shared.join("anchors/mcu.json");
        let figures = match fs::read_to_string(&path) {
            Ok(text) => {
                serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))?
            }
            Err(error) => {
                println!("SKIPPED the comparison: {}: {error}", path.display());
                Value::Null
            }
        };
        Ok(Anchor { models, figures })
    }

    /// The figures to compare with: on the M4 the build with fewer instructions of "speed" and "stock",
    /// elsewhere "speed".
    pub fn figures(&self, model: &str, core: &str) -> Option<Figures> {
        let builds = if core == "m4" { &["speed", "stock"][..] } else { &["speed"] };
        let results = self.figures["results"].as_array()?.iter();
        let fitting = results.filter(|result| {
            result["model"] == model
                && result["core"] == core
                && result["kernels"] == "cmsis"
                && builds.iter().any(|build| result["build"] == *build)
        });
        let best = fitting.min_by_key(|result| result["instr_invoke"].as_u64())?;
        let instructions = best["instr_invoke"].as_u64()?;
        let of_kind = |kind: &str| best["by_class"][kind].as_u64().unwrap_or(0);
        Some(Figures {
            instructions,
            arena_bytes: best["arena_used"].as_u64()?,
            cycles: cycles(core, instructions, of_kind),
        })
    }

    /// The other engine's outputs for the fixed input, the first sixteen numbers at most.
    pub fn outputs(&self, model: &str) -> Option<Vec<i64>> {
        self.figures["golden"][model]["output"].as_array()?.iter().map(Value::as_i64).collect()
    }
}

/// Cycles at least and at most, from counts of instruction kinds, which say neither which loads stand in a row nor which
/// branches are taken.
///
/// M3 and M4 by the timings that ours are estimated by: a load takes up to one more, a branch up to two. M7 by its units, as
/// ours, at least; one at a time, at most. M55: a vector instruction takes two cycles, of which those of loads and stores can lie
/// beside those of arithmetic or not.
fn cycles(core: &str, instructions: u64, of_kind: impl Fn(&str) -> u64) -> Option<(u64, u64)> {
    match core {
        "m3" | "m4" => Some((instructions, instructions + of_kind("load") + 2 * of_kind("branch"))),
        "m7" => {
            let multiplies = of_kind("mul") + of_kind("mul64") + of_kind("smlad");
            let memory = of_kind("load").div_ceil(2) + of_kind("store");
            let units = multiplies.max(of_kind("branch")).max(memory);
            Some((instructions.div_ceil(2).max(units), instructions))
        }
        "m55" => {
            let memory = of_kind("vload") + of_kind("vstore");
            let arithmetic = of_kind("vmac") + of_kind("vother");
            let scalar = instructions.checked_sub(memory + arithmetic)?;
            Some((scalar + 2 * memory.max(arithmetic), scalar + 2 * (memory + arithmetic)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::cycles;

    #[test]
    fn cycles_of_the_other_engine_are_bounds() {
        let of_kind = |kind: &str| match kind {
            "load" | "vload" => 10,
            "branch" => 5,
            "vmac" => 30,
            _ => 0,
        };
        assert_eq!(cycles("m4", 100, of_kind), Some((100, 120)));
        assert_eq!(cycles("m7", 100, of_kind), Some((50, 100)));
        assert_eq!(cycles("m55", 100, of_kind), Some((120, 140)));
        assert_eq!(cycles("m33", 100, of_kind), None);
    }
}
