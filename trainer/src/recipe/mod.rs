//! Recipes: one TOML file says what is trained, on what, and how.
//!
//! The file is read key by key ([`reader`]) into the types here, which hold checked values only. Everything that a
//! recipe does not say has the default that stands at its field's reader; nothing is read and then ignored.

use std::path::Path;

use teff_compiler::front_end::FrontEndConfig;

use crate::error::{InputError, Result};

pub mod data;
mod data_source;
mod front_end;
pub mod network;
pub mod reader;
pub mod training;

pub use data::Data;
pub use data_source::DataSource;
pub use network::{Layer, Network};
pub use training::{Augment, Decision, Quantize, Train};

/// A checked recipe.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// Name of the model: letters, digits, `-` and `_`.
    pub name: String,
    /// What every random choice starts from.
    pub seed: u64,
    /// Texts for the model card.
    pub card: Card,
    /// The data set.
    pub data: Data,
    /// Samples to features.
    pub front_end: FrontEndConfig,
    /// Whether each feature of a frame is to have mean 0 and deviation 1 over the training examples.
    pub standardize: bool,
    /// Random changes to training examples.
    pub augment: Augment,
    /// The layers.
    pub network: Network,
    /// The training.
    pub train: Train,
    /// Ranges of int8.
    pub quantize: Quantize,
    /// Scores to events.
    pub decision: Option<Decision>,
}

/// The `[card]` table: texts for the model card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// What the model does, in one sentence.
    pub title: String,
    /// The data's name, origin and citation.
    pub data: String,
    /// The licence of the data.
    pub data_licence: String,
    /// The licence of the weights.
    pub licence: String,
}

impl Recipe {
    /// Reads a recipe file.
    pub fn read(file: &Path) -> Result<Self> {
        let bytes = std::fs::read(file).map_err(|error| InputError::unreadable(file, &error))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            InputError::new(file, "is no UTF-8 text", "check that it is a recipe")
                .at_byte(error.utf8_error().valid_up_to() as u64)
        })?;
        Self::parse(file, &text)
    }

    /// Reads the text of a recipe; `file` is for messages.
    pub fn parse(file: &Path, text: &str) -> Result<Self> {
        let document = reader::Document::parse(file, text)?;
        let root = document.root();
        let table = |key: &'static str, title: &str| root.required(key, root.section(key, title)?);
        let name = root.required("name", root.text("name")?)?;
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
            let remedy = "write letters, digits, `-` and `_` only: files are named after it";
            return Err(root.fault("name", format!("is `{name}`"), remedy));
        }
        let seed = root.required("seed", root.integer("seed", 0..=i64::MAX)?)? as u64;
        let card = table("card", "[card]")?;
        let data = Data::read(&table("data", "[data]")?)?;
        let network = Network::read(&table("network", "[network]")?, data.labels.len())?;
        let (front_end, standardize) = front_end::read(&table("front_end", "[front_end]")?, &data)?;
        let recipe = Self {
            name,
            seed,
            card: Card::read(&card)?,
            data,
            front_end,
            standardize,
            augment: root
                .section("augment", "[augment]")?
                .map(|s| Augment::read(&s))
                .transpose()?
                .unwrap_or_default(),
            network,
            train: Train::read(&table("train", "[train]")?)?,
            quantize: root
                .section("quantize", "[quantize]")?
                .map(|s| Quantize::read(&s))
                .transpose()?
                .unwrap_or_default(),
            decision: root.section("decision", "[decision]")?.map(|s| Decision::read(&s)).transpose()?,
        };
        root.finish()?;
        Ok(recipe)
    }
}

impl Card {
    fn read(section: &reader::Section) -> Result<Self> {
        let text = |key: &'static str| section.required(key, section.text(key)?);
        let card = Self {
            title: text("title")?,
            data: text("data")?,
            data_licence: text("data_licence")?,
            licence: text("licence")?,
        };
        section.finish()?;
        Ok(card)
    }
}
