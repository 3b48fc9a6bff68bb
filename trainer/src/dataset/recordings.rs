//! Recordings of motion sensors as text, with labels.
//!
//! Three layouts are read:
//! - `class_folders`: `{class}/{group}_{anything}.csv` with a header line; the recipe names the columns. This is what
//!   `trainer record` and the machine simulator write. A file is one recording; its group is the part of its name
//!   before the last `_`.
//! - `segments`: `labels.txt` with lines `experiment user class first last` (samples from 1, both ends included) beside
//!   `{signal}_exp{experiment}_user{user}.txt` with one sample a line, values separated by spaces. A line of
//!   `labels.txt` is one recording; its group is the user.
//! - `terminal_capture`: `{class}/*_{class}_{group}.txt`, captured from a serial terminal: a line `-,-,-` starts a
//!   recording and lines of numbers separated by commas follow. Whatever else stands there (shell prompts, escape
//!   sequences, half lines, bytes that are no text) is skipped and counted.
//!
//! In the first two layouts a line that cannot be read is an error: nobody expects dirt there.

use std::collections::BTreeMap;
use std::path::Path;

use super::archive::{Entry, Files, Limits, has_ending};
use super::{DataSet, SignalKind, Skipped, Split, split, windows};
use crate::error::{InputError, Result};
use crate::recipe::data::{Data, RecordingLayout, RecordingSettings, Scale};

/// One labelled recording, before windows are cut from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// Sensor counts, interleaved by axis.
    pub samples: Vec<i16>,
    /// Index into the recipe's labels.
    pub label: usize,
    /// Person, subject, machine or file.
    pub group: String,
    /// What it is for.
    pub split: Split,
    /// The file it comes from and the place in it.
    pub source: String,
}

impl split::Unit for Recording {
    fn label(&self) -> usize {
        self.label
    }
    fn group(&self) -> &str {
        &self.group
    }
    fn split(&self) -> Split {
        self.split
    }
    fn set_split(&mut self, split: Split) {
        self.split = split;
    }
}

/// Loads the set in `root`.
pub fn load(root: &Path, data: &Data, settings: &RecordingSettings, seed: u64) -> Result<DataSet> {
    let (recordings, skipped) = read(root, data, settings)?;
    cut(recordings, skipped, data, settings, seed, root)
}

/// Splits recordings and cuts them into windows; `place` is for messages.
pub fn cut(
    mut recordings: Vec<Recording>,
    mut skipped: Skipped,
    data: &Data,
    settings: &RecordingSettings,
    seed: u64,
    place: &Path,
) -> Result<DataSet> {
    split::assign(&mut recordings, false, &data.split, seed, place)?;
    let examples = windows::cut(&recordings, settings.axes, &settings.window, seed, &mut skipped, place)?;
    Ok(DataSet {
        name: data.path.clone(),
        labels: data.labels.clone(),
        kind: SignalKind::Motion {
            rate_hz: settings.rate_hz,
            axes: settings.axes,
            lsb_per_unit: settings.scale.lsb_per_unit,
            unit: settings.scale.unit.clone(),
        },
        examples,
        skipped,
        withheld: 0,
    })
}

/// Reads all recordings of the recipe's classes, by source.
pub fn read(root: &Path, data: &Data, settings: &RecordingSettings) -> Result<(Vec<Recording>, Skipped)> {
    let files = Files::find(root, settings.archive.as_deref(), settings.below.as_deref())?;
    let mut skipped = Skipped::default();
    let mut recordings = match &settings.layout {
        RecordingLayout::ClassFolders { columns } => {
            read_class_folders(&files, data, &settings.scale, columns)?
        }
        RecordingLayout::Segments { signal } => read_segments(&files, data, settings, signal)?,
        RecordingLayout::TerminalCapture => read_captures(&files, data, settings, &mut skipped)?,
    };
    if recordings.is_empty() {
        return Err(InputError::new(
            files.shown(),
            "holds no recording of the recipe's classes",
            "check --data, and `layout`, `below` and `labels` in [data]",
        ));
    }
    recordings.sort_by(|a, b| a.source.cmp(&b.source));
    Ok((recordings, skipped))
}

/// Files of text are small; this many bytes are months of motion.
const LIMITS: Limits = Limits { file_bytes: 1 << 28, total_bytes: 4 << 30, files: 1_000_000 };

fn read_class_folders(
    files: &Files,
    data: &Data,
    scale: &Scale,
    columns: &[String],
) -> Result<Vec<Recording>> {
    let mut recordings = Vec::new();
    files.visit(
        LIMITS,
        |name| has_ending(name, &["csv"]),
        |entry| {
            let (class, stem) = class_and_stem(&entry)?;
            let Some(label) = data.label_of(class, &entry.shown)? else {
                return Ok(());
            };
            let samples = parse_csv(&entry, scale, columns)?;
            recordings.push(Recording {
                samples,
                label,
                group: stem.rsplit_once('_').map_or(stem, |(group, _)| group).to_string(),
                split: Split::Train,
                source: entry.shown.display().to_string(),
            });
            Ok(())
        },
    )?;
    Ok(recordings)
}

/// The folder that a file lies in, and its name without ending.
fn class_and_stem(entry: &Entry) -> Result<(&str, &str)> {
    let parts = entry.name.rsplit_once('/').and_then(|(folders, name)| {
        Some((folders.rsplit('/').next()?, name.rsplit_once('.').map_or(name, |(stem, _)| stem)))
    });
    parts.ok_or_else(|| {
        InputError::new(
            &entry.shown,
            "lies in no class folder",
            "move it into a folder named after its class",
        )
    })
}

/// The named columns of a CSV file, as counts.
fn parse_csv(entry: &Entry, scale: &Scale, columns: &[String]) -> Result<Vec<i16>> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(&entry.bytes[..]);
    let unreadable = |error: csv::Error, line: u64| {
        let line = error.position().map_or(line, csv::Position::line);
        InputError::new(&entry.shown, format!("cannot be read as CSV: {error}"), "correct or remove the line")
            .at_line(line as usize)
    };
    let header = reader.headers().map_err(|error| unreadable(error, 1))?.clone();
    let mut indices = Vec::new();
    for column in columns {
        indices.push(header.iter().position(|name| name == column).ok_or_else(|| {
            InputError::new(
                &entry.shown,
                format!(
                    "its header `{}` has no column `{column}`",
                    header.iter().collect::<Vec<_>>().join(",")
                ),
                "correct the header, or `columns` in [data]",
            )
            .at_line(1)
        })?);
    }
    let mut samples = Vec::new();
    let mut record = csv::StringRecord::new();
    loop {
        let line = reader.position().line();
        if !reader.read_record(&mut record).map_err(|error| unreadable(error, line))? {
            break;
        }
        let line = record.position().map_or(line, csv::Position::line) as usize;
        for (&index, column) in indices.iter().zip(columns) {
            let text = record.get(index).unwrap_or_default();
            samples.push(parse_count(text, scale, 1.0).ok_or_else(|| {
                InputError::new(
                    &entry.shown,
                    format!("`{text}` in column `{column}` is no number"),
                    "correct or remove the line",
                )
                .at_line(line)
            })?);
        }
    }
    if samples.is_empty() {
        return Err(InputError::new(&entry.shown, "holds no sample", "remove the file, or record it again"));
    }
    Ok(samples)
}

fn read_segments(
    files: &Files,
    data: &Data,
    settings: &RecordingSettings,
    signal: &str,
) -> Result<Vec<Recording>> {
    let mut index: Option<Entry> = None;
    let mut signals: BTreeMap<String, (Vec<i16>, Entry)> = BTreeMap::new();
    let prefix = format!("{signal}_");
    files.visit(
        LIMITS,
        |name| name == "labels.txt" || (name.starts_with(&prefix) && has_ending(name, &["txt"])),
        |mut entry| {
            if entry.name == "labels.txt" {
                index = Some(entry);
            } else {
                let samples = parse_columns(&entry, settings)?;
                entry.bytes = Vec::new();
                signals.insert(entry.name.clone(), (samples, entry));
            }
            Ok(())
        },
    )?;
    let Some(index) = index else {
        return Err(InputError::new(
            files.shown(),
            "has no `labels.txt`",
            "check --data and `below` in [data]; the layout `segments` needs this index",
        ));
    };
    let mut recordings = Vec::new();
    for (n, line) in String::from_utf8_lossy(&index.bytes).lines().enumerate() {
        let fault = |problem: String| {
            InputError::new(&index.shown, problem, "correct or remove the line").at_line(n + 1)
        };
        if line.trim().is_empty() {
            continue;
        }
        let numbers: Option<Vec<usize>> = line.split_whitespace().map(|number| number.parse().ok()).collect();
        let Some(&[experiment, user, class, first, last]) = numbers.as_deref() else {
            return Err(fault(format!(
                "`{line}` is not `experiment user class first last` in whole numbers"
            )));
        };
        let Some(label) = data.label_of(&class.to_string(), &index.shown)? else {
            continue;
        };
        let name = format!("{signal}_exp{experiment:02}_user{user:02}.txt");
        let Some((samples, entry)) = signals.get(&name) else {
            return Err(fault(format!("the recording `{name}` that it refers to is not there")));
        };
        let present = samples.len() / settings.axes;
        if first == 0 || first > last || last > present {
            return Err(fault(format!("samples {first} to {last} are not in `{name}`, which has {present}")));
        }
        recordings.push(Recording {
            samples: samples[(first - 1) * settings.axes..last * settings.axes].to_vec(),
            label,
            group: user.to_string(),
            split: Split::Train,
            source: format!("{}#{first:06}", entry.shown.display()),
        });
    }
    Ok(recordings)
}

/// A file with one sample a line, values separated by spaces.
fn parse_columns(entry: &Entry, settings: &RecordingSettings) -> Result<Vec<i16>> {
    let mut samples = Vec::new();
    for (n, line) in entry.bytes.split(|&byte| byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let before = samples.len();
        let values = line.split(u8::is_ascii_whitespace).filter(|value| !value.is_empty());
        samples
            .extend(values.map_while(|value| parse_count(str::from_utf8(value).ok()?, &settings.scale, 1.0)));
        let n_values = line.split(u8::is_ascii_whitespace).filter(|value| !value.is_empty()).count();
        if n_values != settings.axes || samples.len() != before + n_values {
            return Err(InputError::new(
                &entry.shown,
                format!("`{}` is not {} numbers", String::from_utf8_lossy(line), settings.axes),
                "correct or remove the line; if it is the last, the file is cut off",
            )
            .at_line(n + 1));
        }
    }
    if samples.is_empty() {
        return Err(InputError::new(&entry.shown, "holds no sample", "fetch the file again"));
    }
    Ok(samples)
}

fn read_captures(
    files: &Files,
    data: &Data,
    settings: &RecordingSettings,
    skipped: &mut Skipped,
) -> Result<Vec<Recording>> {
    let mut recordings = Vec::new();
    files.visit(
        LIMITS,
        // Texts about the set lie beside its class folders.
        |name| name.contains('/') && has_ending(name, &["txt"]),
        |entry| {
            let (class, stem) = class_and_stem(&entry)?;
            let Some(label) = data.label_of(class, &entry.shown)? else {
                return Ok(());
            };
            let group = stem.split_once(&format!("{class}_")).map_or(stem, |(_, group)| group);
            let captured = parse_capture(&entry, settings, skipped);
            if captured.is_empty() {
                return Err(InputError::new(
                    &entry.shown,
                    "holds no recording: no line `-,-,-` is followed by samples",
                    "remove the file, or record it again",
                ));
            }
            recordings.extend(captured.into_iter().map(|(line, samples)| Recording {
                samples,
                label,
                group: group.to_string(),
                split: Split::Train,
                source: format!("{}:{line:06}", entry.shown.display()),
            }));
            Ok(())
        },
    )?;
    Ok(recordings)
}

/// The recordings of a terminal capture, each with the line it starts at.
fn parse_capture(
    entry: &Entry,
    settings: &RecordingSettings,
    skipped: &mut Skipped,
) -> Vec<(usize, Vec<i16>)> {
    let mut captured: Vec<(usize, Vec<f64>)> = Vec::new();
    for (n, line) in entry.bytes.split(|&byte| byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        let is_start = line.split(|&byte| byte == b',').all(|field| field == b"-")
            && line.iter().filter(|&&byte| byte == b',').count() + 1 == settings.axes;
        if is_start {
            captured.push((n + 1, Vec::new()));
            continue;
        }
        if line.is_empty() {
            continue;
        }
        let values = str::from_utf8(line).ok().and_then(|line| {
            let values: Vec<f64> = line.split(',').map(parse_number).collect::<Option<_>>()?;
            (values.len() == settings.axes).then_some(values)
        });
        match (values, captured.last_mut()) {
            (Some(values), Some((_, samples))) => samples.extend(values),
            (Some(_), None) => skipped
                .add(|| format!("{}:{}: samples before the first recording", entry.shown.display(), n + 1)),
            (None, _) => skipped.add(|| {
                let shown: String = String::from_utf8_lossy(line).chars().take(40).collect();
                format!("{}:{}: `{}` is no sample", entry.shown.display(), n + 1, shown.escape_debug())
            }),
        }
    }
    captured.retain(|(line, values)| {
        if values.is_empty() {
            skipped.add(|| format!("{}:{line}: a recording without samples", entry.shown.display()));
        }
        !values.is_empty()
    });
    captured
        .into_iter()
        .map(|(line, values)| {
            let milli = if settings.scale.is_milli(&values, settings.axes) { 1_000.0 } else { 1.0 };
            (line, values.into_iter().map(|value| settings.scale.to_count(value, milli)).collect())
        })
        .collect()
}

/// A plain decimal number. Stricter than Rust's own: a cut-off `-0.` or a word such as `inf` is none.
fn parse_number(text: &str) -> Option<f64> {
    let text = text.trim();
    let last_is_digit = text.bytes().last().is_some_and(|byte| byte.is_ascii_digit());
    let plain = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'));
    text.parse().ok().filter(|value: &f64| last_is_digit && plain && value.is_finite())
}

/// A number as counts.
fn parse_count(text: &str, scale: &Scale, milli: f64) -> Option<i16> {
    Some(scale.to_count(parse_number(text)?, milli))
}

impl Scale {
    /// Whether a recording is in thousandths of the unit the others are in: see [`Scale::milli_above`].
    fn is_milli(&self, values: &[f64], axes: usize) -> bool {
        let Some(limit) = self.milli_above else {
            return false;
        };
        let mut squares: Vec<f64> =
            values.chunks_exact(axes).map(|sample| sample.iter().map(|v| v * v).sum()).collect();
        squares.sort_by(f64::total_cmp);
        squares.get(squares.len() / 2).is_some_and(|median| *median > limit * limit)
    }

    /// The count of a value in a file, `milli` being 1,000 where it is in thousandths: to the nearest, halves away
    /// from zero, as far as the sensor reaches.
    fn to_count(&self, value: f64, milli: f64) -> i16 {
        let real = value / (self.values_per_unit * milli);
        let limited = self.range.map_or(real, |range| real.clamp(-range, range));
        // A float outside the range of `i16` becomes its nearest end.
        libm::round(limited * f64::from(self.lsb_per_unit)) as i16
    }
}
