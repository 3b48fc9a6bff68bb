//! The `[data]` table: where recordings are, how they are laid out, which are trained on and which are tested on.

use std::path::Path;

use super::reader::Section;
use crate::error::{InputError, Result};

/// The `[data]` table.
#[derive(Debug, Clone, PartialEq)]
pub struct Data {
    /// Folder of the set below `--data`.
    pub path: String,
    /// Names of the classes, in the order of the network's outputs.
    pub labels: Vec<String>,
    /// What the classes are called in the files: folder, part of the file name or number; as many as `labels`.
    pub classes: Vec<String>,
    /// Classes in the files that are left out.
    pub ignore: Vec<String>,
    /// The format, with its settings.
    pub format: Format,
    /// What is trained on and what is tested on.
    pub split: SplitSettings,
}

impl Data {
    /// The label of a class as the files call it; nothing when it is to be ignored; an error when it is not known.
    pub fn label_of(&self, class: &str, shown: &Path) -> Result<Option<usize>> {
        if let Some(label) = self.classes.iter().position(|known| known == class) {
            return Ok(Some(label));
        }
        if self.ignore.iter().any(|ignored| ignored == class) {
            return Ok(None);
        }
        Err(InputError::new(
            shown,
            format!("its class `{class}` is not in the recipe"),
            "add it to `labels` of [data], or to `ignore`",
        ))
    }
}

/// Formats on disk.
#[derive(Debug, Clone, PartialEq)]
pub enum Format {
    /// The four IDX files of the MNIST family.
    Idx,
    /// WAV files.
    Wav(WavSettings),
}

/// Settings of `format = "wav"`.
#[derive(Debug, Clone, PartialEq)]
pub struct WavSettings {
    /// A `.tar.gz` archive in the folder of the set, read in place where it is there.
    pub archive: Option<String>,
    /// The sub-folder, of the archive or of the set's folder, that holds the files.
    pub below: Option<String>,
    /// How files are named.
    pub layout: WavLayout,
    /// Samples per second that every file must have.
    pub rate_hz: u32,
}

/// How the files of a WAV set are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WavLayout {
    /// `{class}/*.wav`
    ClassFolders,
    /// `{split}/{class}/*.wav`
    SplitClassFolders,
    /// `{class}_{speaker}_{index}.wav`
    ClassSpeakerIndex,
}

impl WavLayout {
    /// The pattern of a path.
    pub fn pattern(self) -> &'static str {
        match self {
            WavLayout::ClassFolders => "{class}/*.wav",
            WavLayout::SplitClassFolders => "{split}/{class}/*.wav",
            WavLayout::ClassSpeakerIndex => "{class}_{speaker}_{index}.wav",
        }
    }
}

/// The `[data.split]` table.
#[derive(Debug, Clone, PartialEq)]
pub struct SplitSettings {
    /// What is tested on.
    pub rule: Rule,
    /// The share of the training side that is set aside for validation; none is where the data brings its own.
    pub validation: f64,
    /// What is set aside as a whole.
    pub validation_by: By,
}

/// What is tested on.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    /// The split of the data's authors.
    Official,
    /// Groups by name.
    Groups {
        /// Groups that are tested on.
        test: Vec<String>,
        /// Groups that choose among epochs.
        validation: Vec<String>,
    },
    /// One of several sets of groups is left out; groups in none of them are always trained on.
    Folds {
        /// The sets.
        folds: Vec<Vec<String>>,
        /// Which is left out, from 0.
        fold: usize,
    },
    /// A random share.
    Share {
        /// The share, above 0 and below 1.
        test: f64,
        /// What is taken as a whole.
        by: By,
    },
}

/// What a random share consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Single examples (for windowed recordings: whole recordings), class by class.
    Example,
    /// Whole groups.
    Group,
}

impl Data {
    pub(super) fn read(section: &Section) -> Result<Self> {
        let format_name = section.choice("format", &[("idx", 0), ("wav", 1)])?;
        let format_name = section.required("format", format_name)?;
        let path = section.required("path", section.text("path")?)?;
        let labels = section.required("labels", section.texts("labels")?)?;
        check_names(section, "labels", &labels)?;
        if labels.len() < 2 {
            return Err(section.fault("labels", "names fewer than two classes", "name every class"));
        }
        let (classes, ignore) = if format_name == 0 {
            ((0..labels.len()).map(|n| n.to_string()).collect(), Vec::new())
        } else {
            let classes = section.texts("classes")?.unwrap_or_else(|| labels.clone());
            check_names(section, "classes", &classes)?;
            if classes.len() != labels.len() {
                let problem =
                    format!("names {} classes, but there are {} labels", classes.len(), labels.len());
                return Err(section.fault("classes", problem, "name one for each label, in the same order"));
            }
            (classes, section.texts("ignore")?.unwrap_or_default())
        };
        let format = match format_name {
            0 => Format::Idx,
            _ => Format::Wav(WavSettings::read(section)?),
        };
        let split = match section.section("split", "[data.split]")? {
            Some(split) => SplitSettings::read(&split)?,
            None => {
                return Err(section.fault("split", "is missing", "add a table [data.split] with `rule`"));
            }
        };
        section.finish()?;
        Ok(Self { path, labels, classes, ignore, format, split })
    }
}

/// Refuses empty and repeated names.
fn check_names(section: &Section, key: &'static str, names: &[String]) -> Result<()> {
    for (n, name) in names.iter().enumerate() {
        if name.is_empty() || name.contains('\n') {
            return Err(section.fault(
                key,
                "has a name that is empty or has a line break",
                "give every class a name",
            ));
        }
        if names[..n].contains(name) {
            return Err(section.fault(
                key,
                format!("has `{name}` twice"),
                "give every class a name of its own",
            ));
        }
    }
    Ok(())
}

impl WavSettings {
    fn read(section: &Section) -> Result<Self> {
        let layouts = [
            ("class_folders", WavLayout::ClassFolders),
            ("split_class_folders", WavLayout::SplitClassFolders),
            ("class_speaker_index", WavLayout::ClassSpeakerIndex),
        ];
        Ok(Self {
            archive: section.text("archive")?,
            below: section.text("below")?,
            layout: section.required("layout", section.choice("layout", &layouts)?)?,
            rate_hz: section.required("rate_hz", section.integer("rate_hz", 1_000..=384_000)?)? as u32,
        })
    }
}

impl SplitSettings {
    fn read(section: &Section) -> Result<Self> {
        let by = [("example", By::Example), ("group", By::Group)];
        let rule_name =
            section.choice("rule", &[("official", 0), ("groups", 1), ("folds", 2), ("share", 3)])?;
        let rule = match section.required("rule", rule_name)? {
            0 => Rule::Official,
            1 => {
                let test = section.required("test", section.texts("test")?)?;
                let validation = section.texts("validation_groups")?.unwrap_or_default();
                if let Some(both) = test.iter().find(|group| validation.contains(group)) {
                    let problem = format!("has `{both}`, which is in `test` too");
                    return Err(section.fault("validation_groups", problem, "name it in one of them"));
                }
                Rule::Groups { test, validation }
            }
            2 => {
                let folds = section.required("folds", section.lists_of_texts("folds")?)?;
                if folds.is_empty() || folds.iter().any(Vec::is_empty) {
                    return Err(section.fault(
                        "folds",
                        "has no fold, or one without groups",
                        "name the groups of each",
                    ));
                }
                let fold = section.size("fold", 0..=folds.len() - 1)?.unwrap_or(0);
                Rule::Folds { folds, fold }
            }
            _ => {
                let test = section.required("test", section.number("test", 0.01..=0.9)?)?;
                Rule::Share { test, by: section.choice("by", &by)?.unwrap_or(By::Example) }
            }
        };
        let validation = section.number("validation", 0.0..=0.5)?.unwrap_or(0.0);
        let validation_by = section.choice("validation_by", &by)?.unwrap_or(By::Example);
        section.finish()?;
        Ok(Self { rule, validation, validation_by })
    }
}
