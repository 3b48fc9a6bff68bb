//! Recipes: one TOML file says what is trained, on what, and how.
//!
//! The file is read key by key ([`reader`]) into the types here, which hold checked values only. Everything that a
//! recipe does not say has the default that stands at its field's reader; nothing is read and then ignored.

use std::path::Path;

use teff_compiler::front_end::FrontEndConfig;

use crate::error::{InputError, Result};

pub mod data;
mod data_source;
pub mod decision;
mod front_end;
pub mod network;
pub mod reader;
pub mod training;

use decision::Reconstruction;
use reader::Section;

pub use data::Data;
pub use data_source::DataSource;
pub use decision::Decision;
pub use network::{Layer, Network, Outputs};
pub use training::{Augment, Quantize, Train};

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
        let data_section = table("data", "[data]")?;
        let data = Data::read(&data_section)?;
        let (front_end, standardize) = front_end::read(&table("front_end", "[front_end]")?, &data)?;
        let augment = root.section("augment", "[augment]")?;
        let train = table("train", "[train]")?;
        let decision = match root.section("decision", "[decision]")? {
            Some(section) => {
                let decision = Decision::read(&section, &data.labels)?;
                if let Decision::Reconstruction(reconstruction) = &decision {
                    reconstruction.check(&section, &data, &front_end)?;
                }
                Some(decision)
            }
            None => None,
        };
        let outputs = match decision {
            Some(Decision::Reconstruction(_)) => {
                suits_reconstruction(&data_section, augment.as_ref(), &train)?;
                Outputs::Features(front_end.shape().map_or(0, |shape| shape.iter().product()))
            }
            _ if data_section.has("normal") => {
                let remedy = "set `kind = \"reconstruction\"` in [decision], or remove it";
                return Err(data_section.fault("normal", "is for models of normal signals only", remedy));
            }
            _ => Outputs::Classes(data.labels.len()),
        };
        let network = Network::read(&table("network", "[network]")?, outputs)?;
        let recipe = Self {
            name,
            seed,
            card: Card::read(&card)?,
            data,
            front_end,
            standardize,
            augment: augment.map(|s| Augment::read(&s)).transpose()?.unwrap_or_default(),
            network,
            train: Train::read(&train)?,
            quantize: root
                .section("quantize", "[quantize]")?
                .map(|s| Quantize::read(&s))
                .transpose()?
                .unwrap_or_default(),
            decision,
        };
        root.finish()?;
        Ok(recipe)
    }

    /// The settings of a network that gives its input again; nothing where it tells classes apart.
    pub fn reconstruction(&self) -> Option<&Reconstruction> {
        match &self.decision {
            Some(Decision::Reconstruction(reconstruction)) => Some(reconstruction),
            _ => None,
        }
    }

    /// What the network gives for features of a shape.
    pub fn outputs(&self, features: [usize; 3]) -> Outputs {
        match self.reconstruction() {
            Some(_) => Outputs::Features(features.iter().product()),
            None => Outputs::Classes(self.data.labels.len()),
        }
    }
}

/// Refuses what has no meaning for a network that gives its input again, and the lack of what it needs.
fn suits_reconstruction(data: &Section, augment: Option<&Section>, train: &Section) -> Result<()> {
    if !data.has("normal") {
        let remedy =
            "add the labels of normal signals, as `normal = [\"healthy\"]`: only they are trained on";
        return Err(data.fault("normal", "is missing, which `kind = \"reconstruction\"` needs", remedy));
    }
    let refuse = |section: &Section, key: &str, why: &str| {
        let problem = format!("is not for `kind = \"reconstruction\"`: {why}");
        Err(section.fault(key, problem, "remove it"))
    };
    for key in ["label_smoothing", "balance_classes"] {
        if train.has(key) {
            return refuse(train, key, "the network is not trained on labels");
        }
    }
    for (section, key) in
        augment.into_iter().flat_map(|s| ["mixup", "time_mask", "band_mask"].map(|key| (s, key)))
    {
        if section.has(key) {
            return refuse(
                section,
                key,
                "what it changes is no normal signal, and the output is to be like it",
            );
        }
    }
    Ok(())
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
