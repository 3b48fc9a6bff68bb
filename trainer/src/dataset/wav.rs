//! Folders of WAV files, or archives of them.
//!
//! Three layouts are read: `{class}/*.wav` (with the `validation_list.txt` and `testing_list.txt` of Speech Commands
//! as the official split, where they are there), `{split}/{class}/*.wav`, and flat files named
//! `{class}_{speaker}_{index}.wav` as in the Free Spoken Digit Dataset, whose official test split is index 0 to 4.
//! A file may have 8, 16, 24 or 32-bit integer or 32-bit float samples and several channels, which are averaged.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;

use super::archive::{Files, Limits, has_ending};
use super::{DataSet, Example, Samples, SignalKind, Skipped, Split, split};
use crate::error::{InputError, Result};
use crate::recipe::data::{Data, WavLayout, WavSettings};

/// Loads the set in `root`.
pub fn load(root: &Path, data: &Data, settings: &WavSettings, seed: u64) -> Result<DataSet> {
    let files = Files::find(root, settings.archive.as_deref(), settings.below.as_deref())?;
    let mut examples = Vec::new();
    let mut lists: BTreeMap<String, Split> = BTreeMap::new();
    let mut names = Vec::new();
    let is_wanted = |name: &str| has_ending(name, &["wav"]) || list_split(name).is_some();
    files.visit(Limits { file_bytes: 1 << 28, ..Limits::default() }, is_wanted, |entry| {
        if let Some(split) = list_split(&entry.name) {
            let listed = String::from_utf8_lossy(&entry.bytes).into_owned();
            lists.extend(listed.lines().map(|line| (line.trim().to_string(), split)));
            return Ok(());
        }
        let Some(name) = Name::parse(&entry.name, settings.layout) else {
            return Err(InputError::new(
                &entry.shown,
                format!("its name does not fit the layout `{}`", settings.layout.pattern()),
                "rename it, or set another `layout` in [data]",
            ));
        };
        let Some(label) = data.label_of(&name.class, &entry.shown)? else {
            return Ok(());
        };
        let samples = decode(&entry.bytes, settings.rate_hz, &entry.shown)?;
        names.push(entry.name);
        examples.push(Example {
            samples: Samples::I16(samples),
            label,
            group: name.speaker,
            split: name.official.unwrap_or(Split::Train),
            source: entry.shown.display().to_string(),
        });
        Ok(())
    })?;
    if examples.is_empty() {
        return Err(InputError::new(
            files.shown(),
            "holds no WAV file of the recipe's classes",
            format!(
                "the layout is `{}`: check --data, `archive`, `below` and `labels`",
                settings.layout.pattern()
            ),
        ));
    }
    for (example, name) in examples.iter_mut().zip(&names) {
        if let Some(&split) = lists.get(name) {
            example.split = split;
        }
    }
    let official = settings.layout != WavLayout::ClassFolders || !lists.is_empty();
    // Archives store files in any order; the order of examples must not depend on it.
    examples.sort_by(|a, b| a.source.cmp(&b.source));
    split::assign(&mut examples, official, &data.split, seed, files.shown())?;
    Ok(DataSet {
        name: data.path.clone(),
        labels: data.labels.clone(),
        kind: SignalKind::Audio { rate_hz: settings.rate_hz },
        examples,
        skipped: Skipped::default(),
        withheld: 0,
    })
}

/// The split that a list file of Speech Commands gives to the files in it.
fn list_split(name: &str) -> Option<Split> {
    match name {
        "validation_list.txt" => Some(Split::Validation),
        "testing_list.txt" => Some(Split::Test),
        _ => None,
    }
}

/// What the path of a file says.
#[derive(Debug, PartialEq, Eq)]
struct Name {
    class: String,
    speaker: String,
    official: Option<Split>,
}

impl Name {
    fn parse(name: &str, layout: WavLayout) -> Option<Self> {
        let mut parts = name.rsplit('/');
        let stem = parts.next()?.rsplit_once('.')?.0;
        match layout {
            WavLayout::ClassFolders => {
                let class = parts.next()?.to_string();
                Some(Self { class, speaker: speaker_of(stem), official: None })
            }
            WavLayout::SplitClassFolders => {
                let class = parts.next()?.to_string();
                let official = super::split_of_folder(parts.next()?)?;
                Some(Self { class, speaker: speaker_of(stem), official: Some(official) })
            }
            WavLayout::ClassSpeakerIndex => {
                let (rest, index) = stem.rsplit_once('_')?;
                let (class, speaker) = rest.split_once('_')?;
                let index: usize = index.parse().ok()?;
                let official = if index < 5 { Split::Test } else { Split::Train };
                Some(Self {
                    class: class.to_string(),
                    speaker: speaker.to_string(),
                    official: Some(official),
                })
            }
        }
    }
}

/// The speaker in the name of a Speech Commands file, `[word_]SPEAKER_nohash_N`; the whole stem where there is none.
fn speaker_of(stem: &str) -> String {
    let before = stem.split_once("_nohash").map_or(stem, |(before, _)| before);
    match before == stem {
        true => stem.to_string(),
        false => before.rsplit('_').next().unwrap_or(before).to_string(),
    }
}

/// The samples of a WAV file as one channel of `i16`; `shown` is for messages.
pub fn decode(bytes: &[u8], rate_hz: u32, shown: &Path) -> Result<Vec<i16>> {
    let damaged =
        |problem: String| InputError::new(shown, problem, "the file is cut off or damaged; fetch it again");
    let mut reader = hound::WavReader::new(Cursor::new(bytes))
        .map_err(|error| damaged(format!("is no WAV file that can be read: {error}")))?;
    let spec = reader.spec();
    if spec.sample_rate != rate_hz {
        return Err(InputError::new(
            shown,
            format!("has {} samples per second, but the recipe says {rate_hz}", spec.sample_rate),
            format!("set `rate_hz` in [data], or resample the file (`sox in.wav -r {rate_hz} out.wav`)"),
        ));
    }
    let channels = usize::from(spec.channels);
    if channels == 0 {
        return Err(damaged("has no channel".into()));
    }
    let claimed = reader.len() as usize;
    let scaled: Vec<i16> = match (spec.sample_format, spec.bits_per_sample) {
        (hound::SampleFormat::Int, 16) => collect(reader.samples::<i16>()),
        (hound::SampleFormat::Int, bits @ (8 | 24 | 32)) => collect(reader.samples::<i32>().map(|sample| {
            let sample = sample?;
            Ok(if bits == 8 { (sample << 8) as i16 } else { (sample >> (bits - 16)) as i16 })
        })),
        (hound::SampleFormat::Float, 32) => collect(
            reader.samples::<f32>().map(|sample| Ok((sample? * 32_768.0).clamp(-32_768.0, 32_767.0) as i16)),
        ),
        (format, bits) => {
            return Err(InputError::new(
                shown,
                format!("has {bits}-bit {format:?} samples"),
                "convert it to 16-bit PCM (`sox in.wav -b 16 out.wav`)",
            ));
        }
    }
    .map_err(|(read, error)| {
        damaged(format!("ends after {read} of {claimed} samples ({error})")).at_byte(bytes.len() as u64)
    })?;
    if scaled.is_empty() {
        return Err(damaged("holds no sample".into()));
    }
    if !scaled.len().is_multiple_of(channels) {
        return Err(damaged(format!(
            "has {} samples, which its {channels} channels do not divide",
            scaled.len()
        )));
    }
    if channels == 1 {
        return Ok(scaled);
    }
    let average = |frame: &[i16]| (frame.iter().map(|&s| i64::from(s)).sum::<i64>() / channels as i64) as i16;
    Ok(scaled.chunks_exact(channels).map(average).collect())
}

/// Reads samples to the end; on a fault, how many came before it.
fn collect(
    samples: impl Iterator<Item = std::result::Result<i16, hound::Error>>,
) -> std::result::Result<Vec<i16>, (usize, hound::Error)> {
    let mut collected = Vec::new();
    for sample in samples {
        match sample {
            Ok(sample) => collected.push(sample),
            Err(error) => return Err((collected.len(), error)),
        }
    }
    Ok(collected)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Place;

    fn wav(spec: hound::WavSpec, samples: &[i32]) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
        for &sample in samples {
            match spec.sample_format {
                hound::SampleFormat::Int => writer.write_sample(sample).unwrap(),
                hound::SampleFormat::Float => writer.write_sample(sample as f32 / 32_768.0).unwrap(),
            }
        }
        writer.finalize().unwrap();
        bytes.into_inner()
    }

    fn spec(channels: u16, bits_per_sample: u16, sample_format: hound::SampleFormat) -> hound::WavSpec {
        hound::WavSpec { channels, sample_rate: 8_000, bits_per_sample, sample_format }
    }

    fn decoded(bytes: &[u8]) -> Result<Vec<i16>> {
        decode(bytes, 8_000, Path::new("x.wav"))
    }

    #[test]
    fn every_sample_format_comes_out_at_the_same_scale() {
        use hound::SampleFormat::{Float, Int};
        let expected = vec![0, 256, -256, 32_512, -32_768];
        let of_16 = [0, 256, -256, 32_512, -32_768];
        assert_eq!(decoded(&wav(spec(1, 16, Int), &of_16)).unwrap(), expected);
        assert_eq!(decoded(&wav(spec(1, 8, Int), &of_16.map(|s| s >> 8))).unwrap(), expected);
        assert_eq!(decoded(&wav(spec(1, 24, Int), &of_16.map(|s| s << 8))).unwrap(), expected);
        assert_eq!(decoded(&wav(spec(1, 32, Int), &of_16.map(|s| s << 16))).unwrap(), expected);
        assert_eq!(decoded(&wav(spec(1, 32, Float), &of_16)).unwrap(), expected);
    }

    #[test]
    fn channels_are_averaged() {
        let stereo = wav(spec(2, 16, hound::SampleFormat::Int), &[100, 200, -5, -7]);
        assert_eq!(decoded(&stereo).unwrap(), [150, -6]);
    }

    #[test]
    fn another_rate_is_refused_with_the_two_ways_out() {
        let bytes = wav(spec(1, 16, hound::SampleFormat::Int), &[1, 2, 3]);
        let error = decode(&bytes, 16_000, Path::new("x.wav")).unwrap_err().to_string();
        assert!(error.contains("8000") && error.contains("rate_hz") && error.contains("sox"), "{error}");
    }

    #[test]
    fn every_truncation_is_refused() {
        let bytes = wav(spec(1, 16, hound::SampleFormat::Int), &[1, 2, 3, 4]);
        for len in 0..bytes.len() {
            let error = decoded(&bytes[..len]).unwrap_err();
            assert!(!error.remedy.is_empty());
        }
        assert_eq!(decoded(&bytes[..46]).unwrap_err().place, Place::Byte(46));
    }

    #[test]
    fn no_flipped_bit_of_the_header_panics() {
        for (channels, bits, format) in [
            (1, 16, hound::SampleFormat::Int),
            (2, 24, hound::SampleFormat::Int),
            (1, 32, hound::SampleFormat::Float),
        ] {
            let bytes = wav(spec(channels, bits, format), &[1, 2, 3, 4]);
            for first in 0..bytes.len() * 8 {
                for second in (first..bytes.len() * 8).step_by(7) {
                    let mut damaged = bytes.clone();
                    damaged[first / 8] ^= 1 << (first % 8);
                    damaged[second / 8] ^= 1 << (second % 8);
                    // Most are errors; a flipped sample is a different sound.
                    let _ = decoded(&damaged);
                }
            }
        }
    }

    #[test]
    fn names_say_class_speaker_and_split() {
        let name = |path: &str, layout| Name::parse(path, layout).map(|n| (n.class, n.speaker, n.official));
        assert_eq!(
            name("7_jackson_4.wav", WavLayout::ClassSpeakerIndex),
            Some(("7".into(), "jackson".into(), Some(Split::Test)))
        );
        assert_eq!(
            name("a/7_jackson_32.wav", WavLayout::ClassSpeakerIndex),
            Some(("7".into(), "jackson".into(), Some(Split::Train)))
        );
        assert_eq!(
            name("test/_unknown_/bed_0c40e715_nohash_0.wav", WavLayout::SplitClassFolders),
            Some(("_unknown_".into(), "0c40e715".into(), Some(Split::Test)))
        );
        assert_eq!(
            name("yes/0c40e715_nohash_1.wav", WavLayout::ClassFolders),
            Some(("yes".into(), "0c40e715".into(), None))
        );
        assert_eq!(name("other/yes/a.wav", WavLayout::SplitClassFolders), None);
        assert_eq!(name("7.wav", WavLayout::ClassSpeakerIndex), None);
    }
}
