//! The data of a recipe by itself: what an exported model carries, so that it can be evaluated without its recipe.

use std::path::Path;

use super::reader::Document;
use super::{Data, Recipe};
use crate::error::{InputError, Result};

/// A data set and what its random choices start from.
#[derive(Debug, Clone, PartialEq)]
pub struct DataSource {
    /// The data set.
    pub data: Data,
    /// What every random choice starts from.
    pub seed: u64,
}

impl DataSource {
    /// The data of a whole recipe.
    pub fn of(recipe: &Recipe) -> DataSource {
        DataSource { data: recipe.data.clone(), seed: recipe.seed }
    }

    /// Reads the text of a model's metadata key `teff.data`; `file` is for messages.
    pub fn parse(file: &Path, text: &str) -> Result<DataSource> {
        let document = Document::parse(file, text)?;
        let root = document.root();
        let seed = root.required("seed", root.integer("seed", 0..=i64::MAX)?)? as u64;
        let data = Data::read(&root.required("data", root.section("data", "[data]")?)?)?;
        root.finish()?;
        Ok(DataSource { data, seed })
    }

    /// The text for `teff.data`: the seed and the `[data]` table of a recipe that was read without fault before.
    pub fn text_of(file: &Path, recipe: &str) -> Result<String> {
        let fault = |problem: String| InputError::new(file, problem, "write a recipe that can be read");
        let whole: toml::Table = toml::from_str(recipe).map_err(|error| fault(error.to_string()))?;
        let kept =
            ["seed", "data"].into_iter().filter_map(|key| Some((key.to_string(), whole.get(key)?.clone())));
        toml::to_string(&kept.collect::<toml::Table>()).map_err(|error| fault(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_recipe_reads_back() {
        let file = Path::new("recipe.toml");
        for recipe in ["digits", "fashion", "gesture", "machine", "activity"] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../models/{recipe}/recipe.toml"));
            let text = std::fs::read_to_string(&path).unwrap();
            let source = DataSource::parse(file, &DataSource::text_of(file, &text).unwrap()).unwrap();
            assert_eq!(source, DataSource::of(&Recipe::parse(file, &text).unwrap()), "{recipe}");
        }
    }
}
