//! Data sets: recordings on disk become labelled examples with a split.
//!
//! [`load`] is the door: it takes the `[data]` table of a recipe and the folder that the user named, and picks the
//! loader. A loader knows one format on disk; the rules that decide what is trained on and what is tested on stand in
//! [`split`], the cutting of long recordings in [`windows`], and random changes to training examples in [`augment`].

use std::path::{Path, PathBuf};

use crate::error::{InputError, Result};
use crate::recipe::data::{Data, Format};

pub mod archive;
pub mod augment;
pub mod idx;
pub mod machine;
pub mod recordings;
pub mod split;
pub mod wav;
pub mod windows;

/// What the numbers of a data set are.
#[derive(Debug, Clone, PartialEq)]
pub enum SignalKind {
    /// Pixels, `u8`, in the order row, column, channel.
    Image {
        /// Rows.
        h: usize,
        /// Columns.
        w: usize,
        /// Channels: 1 is grey, 3 is RGB.
        c: usize,
    },
    /// One channel of sound, `i16`, full scale ±32,768.
    Audio {
        /// Samples per second.
        rate_hz: u32,
    },
    /// Counts of a motion sensor, `i16`, interleaved by axis.
    Motion {
        /// Samples per second and axis.
        rate_hz: f32,
        /// Axes.
        axes: usize,
        /// Counts for one `unit`.
        lsb_per_unit: f32,
        /// The physical unit, such as `g`.
        unit: String,
    },
}

/// The numbers of one example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Samples {
    /// Pixels.
    U8(Vec<u8>),
    /// Sound, or sensor counts interleaved by axis.
    I16(Vec<i16>),
}

impl Samples {
    /// How many numbers there are, all axes and channels counted.
    pub fn len(&self) -> usize {
        match self {
            Samples::U8(values) => values.len(),
            Samples::I16(values) => values.len(),
        }
    }

    /// Whether there is no number at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What an example is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Split {
    /// The weights are fitted to it.
    Train,
    /// It chooses among epochs and settings; it is taken from the training side.
    Validation,
    /// It is measured once, at the end.
    Test,
}

/// One labelled example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// Its numbers.
    pub samples: Samples,
    /// Index into [`DataSet::labels`].
    pub label: usize,
    /// Who or what it comes from: person, speaker, subject, machine, file. Splits by group keep a group together.
    pub group: String,
    /// What it is for.
    pub split: Split,
    /// The file it comes from and the place in it.
    pub source: String,
}

/// What a loader left out, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Skipped {
    /// How many lines, segments or files were left out.
    pub count: usize,
    /// The first of them, each with its place and reason.
    pub reasons: Vec<String>,
}

impl Skipped {
    /// How many reasons are kept.
    const KEPT: usize = 20;

    /// Counts one thing left out.
    pub fn add(&mut self, reason: impl FnOnce() -> String) {
        if self.reasons.len() < Self::KEPT {
            self.reasons.push(reason());
        }
        self.count += 1;
    }
}

/// Labelled examples, each with its split.
#[derive(Debug, Clone, PartialEq)]
pub struct DataSet {
    /// The name of the recipe's data.
    pub name: String,
    /// The classes, in the order of the network's outputs.
    pub labels: Vec<String>,
    /// What the numbers are.
    pub kind: SignalKind,
    /// The examples, in an order that depends on the data and the recipe only.
    pub examples: Vec<Example>,
    /// What was left out.
    pub skipped: Skipped,
    /// Examples of the training side that are not normal, which a model of normal signals is not shown.
    pub withheld: usize,
}

impl DataSet {
    /// The examples of one split.
    pub fn of(&self, split: Split) -> impl Iterator<Item = &Example> {
        self.examples.iter().filter(move |example| example.split == split)
    }

    /// How many examples of each class a split has.
    pub fn counts(&self, split: Split) -> Vec<usize> {
        let mut counts = vec![0; self.labels.len()];
        for example in self.of(split) {
            counts[example.label] += 1;
        }
        counts
    }

    /// Leaves to training and validation what is normal, where the recipe says what that is.
    fn withhold(&mut self, data: &Data) {
        if !data.normal.is_empty() {
            let before = self.examples.len();
            self.examples.retain(|example| example.split == Split::Test || data.is_normal(example.label));
            self.withheld = before - self.examples.len();
        }
    }

    /// Refuses a set that cannot be trained or tested on: a class without examples to train on, or no test examples.
    fn check(self, data: &Data, place: &Path) -> Result<Self> {
        let counts = self.counts(Split::Train);
        let is_trained_on = |label: usize| data.normal.is_empty() || data.is_normal(label);
        if let Some(empty) = (0..counts.len()).find(|&label| is_trained_on(label) && counts[label] == 0) {
            return Err(InputError::new(
                place,
                format!("class `{}` has no example to train on", self.labels[empty]),
                "add recordings of it, remove it from `labels`, or change [data.split] so that some of it is trained on",
            ));
        }
        if self.of(Split::Test).next().is_none() {
            return Err(InputError::new(
                place,
                "no example is left for the test",
                "change [data.split]: its test groups or shares select nothing",
            ));
        }
        Ok(self)
    }
}

/// Loads the data of a recipe.
///
/// `folder` is what the user passed as `--data`: the folder of the set or its parent. Without it the set is looked for
/// beside the recipe, in `recipe_folder`.
pub fn load(data: &Data, seed: u64, folder: Option<&Path>, recipe_folder: &Path) -> Result<DataSet> {
    let root = || find_folder(&data.path, folder, recipe_folder);
    let (mut set, place) = match &data.format {
        Format::Idx => {
            let root = root()?;
            (idx::load(&root, data, seed)?, root)
        }
        Format::Wav(settings) => {
            let root = root()?;
            (wav::load(&root, data, settings, seed)?, root)
        }
        Format::Recordings(settings) => {
            let root = root()?;
            (recordings::load(&root, data, settings, seed)?, root)
        }
        Format::Machine(settings) => (
            machine::load(folder, data, settings, seed)?,
            folder.map_or_else(|| PathBuf::from(&data.path), Path::to_path_buf),
        ),
    };
    set.withhold(data);
    set.check(data, &place)
}

/// The folder of a set: `given/path`, or `given` itself; without `given`, `recipe_folder/path`.
fn find_folder(path: &str, given: Option<&Path>, recipe_folder: &Path) -> Result<PathBuf> {
    let (inside, itself) = match given {
        Some(given) => (given.join(path), Some(given.to_path_buf())),
        None => (recipe_folder.join(path), None),
    };
    if inside.is_dir() {
        return Ok(inside);
    }
    match itself {
        Some(folder) if folder.is_dir() => Ok(folder),
        Some(folder) => Err(InputError::new(
            folder,
            "is no folder",
            "pass --data with the folder of the data set or its parent",
        )),
        None => Err(InputError::new(
            inside,
            "the recipe's data set is not there",
            "pass --data with the folder of the data set or its parent",
        )),
    }
}

/// The split that a folder's name stands for.
fn split_of_folder(name: &str) -> Option<Split> {
    match name.to_ascii_lowercase().as_str() {
        "train" | "training" => Some(Split::Train),
        "val" | "valid" | "validation" | "dev" => Some(Split::Validation),
        "test" | "testing" => Some(Split::Test),
        _ => None,
    }
}
