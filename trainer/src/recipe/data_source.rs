//! The data of a recipe by itself: what an exported model carries, so that it can be evaluated without its recipe.

use std::path::Path;

use super::data::Rule;
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

    /// The text for `teff.data`: the seed and the `[data]` table of a recipe, with the seed and the fold of `changed`,
    /// which was read from that text.
    pub fn text_of(file: &Path, text: &str, changed: &Recipe) -> Result<String> {
        let fault = |problem: String| InputError::new(file, problem, "write a recipe that can be read");
        let mut whole: toml::Table = toml::from_str(text).map_err(|error| fault(error.to_string()))?;
        whole.retain(|key, _| key == "data");
        let whole_number = |number: u64| toml::Value::Integer(i64::try_from(number).unwrap_or(i64::MAX));
        whole.insert("seed".to_string(), whole_number(changed.seed));
        if let Rule::Folds { fold, .. } = &changed.data.split.rule
            && let Some(split) = whole.get_mut("data").and_then(|data| data.get_mut("split"))
            && let Some(split) = split.as_table_mut()
        {
            split.insert("fold".to_string(), whole_number(*fold as u64));
        }
        toml::to_string(&whole).map_err(|error| fault(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_recipe_reads_back() {
        let file = Path::new("recipe.toml");
        for name in ["digits", "fashion", "gesture", "machine", "machine_anomaly", "activity"] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../models/{name}/recipe.toml"));
            let text = std::fs::read_to_string(&path).unwrap();
            let mut recipe = Recipe::parse(file, &text).unwrap();
            recipe.seed = 7;
            if let Rule::Folds { fold, .. } = &mut recipe.data.split.rule {
                *fold = 1;
            }
            let text = DataSource::text_of(file, &text, &recipe).unwrap();
            assert_eq!(DataSource::parse(file, &text).unwrap(), DataSource::of(&recipe), "{text}");
        }
    }
}
