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
    /// By the same timings as ours, from its counts of instruction kinds: at least and at most, since they do
    /// not say which loads stand in a row and which branches are taken.
    pub cycles: (u64, u64),
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
        let more = of_kind("load") + 2 * of_kind("branch");
        Some(Figures {
            instructions,
            arena_bytes: best["arena_used"].as_u64()?,
            cycles: (instructions, instructions + more),
        })
    }

    /// The other engine's outputs for the fixed input, the first sixteen numbers at most.
    pub fn outputs(&self, model: &str) -> Option<Vec<i64>> {
        self.figures["golden"][model]["output"].as_array()?.iter().map(Value::as_i64).collect()
    }
}
