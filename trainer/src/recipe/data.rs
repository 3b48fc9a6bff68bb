//! The `[data]` table: where recordings are, how they are laid out, which are trained on and which are tested on.

use std::path::Path;

use super::reader::Section;
use crate::dataset::machine::STATES;
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
    /// Labels of normal signals, of a model that knows nothing else; empty for one that tells classes apart.
    pub normal: Vec<String>,
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

impl Data {
    /// Whether a label is that of a normal signal.
    pub fn is_normal(&self, label: usize) -> bool {
        self.labels.get(label).is_some_and(|label| self.normal.contains(label))
    }

    /// How windows are cut, where recordings are cut at all.
    pub fn window(&self) -> Option<&WindowSettings> {
        match &self.format {
            Format::Idx | Format::Wav(_) => None,
            Format::Recordings(settings) => Some(&settings.window),
            Format::Machine(settings) => Some(&settings.window),
        }
    }
}

/// Formats on disk.
#[derive(Debug, Clone, PartialEq)]
pub enum Format {
    /// The four IDX files of the MNIST family.
    Idx,
    /// WAV files.
    Wav(WavSettings),
    /// Text recordings of motion sensors.
    Recordings(RecordingSettings),
    /// The simulated machine, written as such recordings.
    Machine(MachineSettings),
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

/// Settings of `format = "recordings"`.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordingSettings {
    /// A `.tar.gz` archive in the folder of the set, read in place where it is there.
    pub archive: Option<String>,
    /// The sub-folder, of the archive or of the set's folder, that holds the files.
    pub below: Option<String>,
    /// How the files are laid out.
    pub layout: RecordingLayout,
    /// Samples per second and axis.
    pub rate_hz: f32,
    /// Axes.
    pub axes: usize,
    /// From the values in the files to sensor counts.
    pub scale: Scale,
    /// How windows are cut.
    pub window: WindowSettings,
}

/// How the files of recordings are laid out; see [`crate::dataset::recordings`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordingLayout {
    /// `{class}/{group}_{anything}.csv`
    ClassFolders {
        /// The columns that are the axes, in order.
        columns: Vec<String>,
    },
    /// `labels.txt` and `{signal}_exp{n}_user{n}.txt`
    Segments {
        /// The beginning of the file names, such as `acc`.
        signal: String,
    },
    /// `{class}/*_{class}_{group}.txt`
    TerminalCapture,
}

/// From the values in files to sensor counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Scale {
    /// The physical unit, such as `g`.
    pub unit: String,
    /// What one unit is in the files: 1 where they are in the unit, 1,000 where in thousandths.
    pub values_per_unit: f64,
    /// A recording whose median vector length exceeds this is taken to be in thousandths of what
    /// `values_per_unit` says.
    pub milli_above: Option<f64>,
    /// The counts of one unit.
    pub lsb_per_unit: f32,
    /// Where the sensor saturates, in units.
    pub range: Option<f64>,
}

/// The `[data.window]` table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WindowSettings {
    /// Samples of a window.
    pub length: usize,
    /// Samples between the starts of windows.
    pub stride: usize,
    /// How they are cut.
    pub cut: Cut,
}

/// How windows are cut; see [`crate::dataset::windows`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cut {
    /// One after the other.
    Slide,
    /// Events, with rest around them.
    Place {
        /// Windows for each training piece.
        copies: usize,
        /// Standard deviation of the sensor at rest, in counts.
        rest_noise: f64,
    },
}

/// Settings of `format = "machine"`; see [`crate::dataset::machine`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MachineSettings {
    /// How many machines are simulated; each is recorded in each state.
    pub machines: usize,
    /// Length of a recording.
    pub seconds: f64,
    /// What the simulation starts from. The recipe's own seed changes the training, not the data.
    pub seed: u64,
    /// How windows are cut.
    pub window: WindowSettings,
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
        let format = section.word("format", &["idx", "wav", "recordings", "machine"])?;
        let format = section.required("format", format)?;
        let path = section.required("path", section.text("path")?)?;
        let labels = section.required("labels", section.texts("labels")?)?;
        check_names(section, "labels", &labels)?;
        let normal = named_labels(section, "normal", &labels)?.unwrap_or_default();
        if labels.len() < 2 && normal.is_empty() {
            return Err(section.fault("labels", "names fewer than two classes", "name every class"));
        }
        let (classes, ignore) = if format == "idx" {
            ((0..labels.len()).map(|n| n.to_string()).collect(), Vec::new())
        } else {
            let classes = section.texts("classes")?.unwrap_or_else(|| labels.clone());
            check_names(section, "classes", &classes)?;
            if classes.len() != labels.len() {
                let problem =
                    format!("names {} classes, but there are {} labels", classes.len(), labels.len());
                return Err(section.fault("classes", problem, "name one for each label, in the same order"));
            }
            let ignore = match format {
                "machine" => machine_states_besides(section, &classes)?,
                _ => section.texts("ignore")?.unwrap_or_default(),
            };
            (classes, ignore)
        };
        let format = match format {
            "idx" => Format::Idx,
            "wav" => Format::Wav(WavSettings::read(section)?),
            "recordings" => Format::Recordings(RecordingSettings::read(section)?),
            _ => Format::Machine(MachineSettings::read(section)?),
        };
        let split = match section.section("split", "[data.split]")? {
            Some(split) => SplitSettings::read(&split)?,
            None => {
                return Err(section.fault("split", "is missing", "add a table [data.split] with `rule`"));
            }
        };
        section.finish()?;
        Ok(Self { path, labels, classes, ignore, normal, format, split })
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

/// Some of the labels, at least one, which a key names.
pub(super) fn named_labels(
    section: &Section,
    key: &'static str,
    labels: &[String],
) -> Result<Option<Vec<String>>> {
    let Some(names) = section.texts(key)? else {
        return Ok(None);
    };
    check_names(section, key, &names)?;
    if names.is_empty() {
        return Err(section.fault(key, "names no label", "name at least one, or remove it"));
    }
    if let Some(unknown) = names.iter().find(|name| !labels.contains(name)) {
        let problem = format!("has `{unknown}`, which is no label");
        return Err(section.fault(key, problem, format!("name some of `labels`: {}", labels.join(", "))));
    }
    Ok(Some(names))
}

/// The states of the simulated machine that a recipe does not name; what it names must be states.
fn machine_states_besides(section: &Section, classes: &[String]) -> Result<Vec<String>> {
    if let Some(unknown) = classes.iter().find(|class| !STATES.contains(&class.as_str())) {
        let key = if section.has("classes") { "classes" } else { "labels" };
        let problem = format!("has `{unknown}`, which is no state of the simulated machine");
        return Err(section.fault(key, problem, format!("valid are: {}", STATES.join(", "))));
    }
    let others = STATES.iter().filter(|state| !classes.iter().any(|class| class == *state));
    Ok(others.map(|state| state.to_string()).collect())
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

impl RecordingSettings {
    fn read(section: &Section) -> Result<Self> {
        let layout = section.word("layout", &["class_folders", "segments", "terminal_capture"])?;
        let layout = match section.required("layout", layout)? {
            "class_folders" => {
                let columns = section.required("columns", section.texts("columns")?)?;
                check_names(section, "columns", &columns)?;
                if !(1..=16).contains(&columns.len()) {
                    let problem = format!("names {} columns", columns.len());
                    return Err(section.fault("columns", problem, "name 1 to 16 columns"));
                }
                RecordingLayout::ClassFolders { columns }
            }
            "segments" => {
                RecordingLayout::Segments { signal: section.required("signal", section.text("signal")?)? }
            }
            _ => RecordingLayout::TerminalCapture,
        };
        let axes = match &layout {
            RecordingLayout::ClassFolders { columns } => columns.len(),
            _ => section.required("axes", section.size("axes", 1..=16)?)?,
        };
        Ok(Self {
            archive: section.text("archive")?,
            below: section.text("below")?,
            layout,
            rate_hz: section.required("rate_hz", section.number("rate_hz", 0.001..=100_000.0)?)? as f32,
            axes,
            scale: Scale::read(section)?,
            window: WindowSettings::read_from(section)?,
        })
    }
}

impl Scale {
    fn read(section: &Section) -> Result<Self> {
        let lsb_per_unit = section.number("lsb_per_unit", 0.001..=1_000_000.0)?;
        Ok(Self {
            unit: section.required("unit", section.text("unit")?)?,
            values_per_unit: section.number("values_per_unit", 0.000_001..=1_000_000.0)?.unwrap_or(1.0),
            milli_above: section.number("milli_above", 0.001..=1_000_000.0)?,
            lsb_per_unit: section.required("lsb_per_unit", lsb_per_unit)? as f32,
            range: section.number("range", 0.001..=1_000_000.0)?,
        })
    }
}

impl WindowSettings {
    /// The table `window` of `[data]`.
    fn read_from(data: &Section) -> Result<Self> {
        let section = data.required("window", data.section("window", "[data.window]")?)?;
        let length = section.required("length", section.size("length", 1..=65_536)?)?;
        let stride = section.required("stride", section.size("stride", 1..=1_000_000)?)?;
        let cut = match section.word("cut", &["slide", "place"])?.unwrap_or("slide") {
            "slide" => Cut::Slide,
            _ => Cut::Place {
                copies: section.size("copies", 1..=1_000)?.unwrap_or(1),
                rest_noise: section.number("rest_noise", 0.0..=10_000.0)?.unwrap_or(0.0),
            },
        };
        section.finish()?;
        Ok(Self { length, stride, cut })
    }
}

impl MachineSettings {
    fn read(section: &Section) -> Result<Self> {
        Ok(Self {
            machines: section.required("machines", section.size("machines", 2..=10_000)?)?,
            seconds: section.required("seconds", section.number("seconds", 0.1..=600.0)?)?,
            seed: section.required("seed", section.integer("seed", 0..=i64::MAX)?)? as u64,
            window: WindowSettings::read_from(section)?,
        })
    }
}

impl SplitSettings {
    fn read(section: &Section) -> Result<Self> {
        let by = [("example", By::Example), ("group", By::Group)];
        let rule = section.word("rule", &["official", "groups", "folds", "share"])?;
        let rule = match section.required("rule", rule)? {
            "official" => Rule::Official,
            "groups" => {
                let test = section.required("test", section.texts("test")?)?;
                let validation = section.texts("validation_groups")?.unwrap_or_default();
                if let Some(both) = test.iter().find(|group| validation.contains(group)) {
                    let problem = format!("has `{both}`, which is in `test` too");
                    return Err(section.fault("validation_groups", problem, "name it in one of them"));
                }
                Rule::Groups { test, validation }
            }
            "folds" => {
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
