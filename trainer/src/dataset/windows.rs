//! Cutting recordings into windows of a fixed length.
//!
//! *Slide* is for states that last: a window every `stride` samples.
//!
//! *Place* is for events that begin and end, such as gestures, which have a recording each, shorter than the window,
//! beside long recordings without any event. If windows were cut plainly, their emptiness would give the class away: a
//! full one could only be a non-event. Therefore
//! - long recordings are cut into pieces whose lengths are drawn from the lengths of the short training recordings of
//!   all classes together;
//! - each training piece is stretched in time to a length drawn from that same pool, so that in training the length of
//!   the movement says nothing about the class; pieces for validation and test keep their own length;
//! - every piece, whatever its class, is put into the window at a random place (validation and test: in the middle),
//!   and the sensor rests before and after it: the first and last sample are held, with noise of rest on top.

use std::path::Path;

use super::recordings::Recording;
use super::{Example, Samples, Skipped, Split};
use crate::error::{InputError, Result};
use crate::recipe::data::{Cut, WindowSettings};
use crate::rng::Rng;

/// Cuts every recording. What is too short for a single window is counted as skipped.
pub fn cut(
    recordings: &[Recording],
    axes: usize,
    settings: &WindowSettings,
    seed: u64,
    skipped: &mut Skipped,
    place: &Path,
) -> Result<Vec<Example>> {
    match settings.cut {
        Cut::Slide => Ok(recordings.iter().flat_map(|r| slide(r, axes, settings, skipped)).collect()),
        Cut::Place { copies, rest_noise } => {
            let placing = Placing::new(recordings, axes, settings, rest_noise, place)?;
            let windows = recordings.iter().flat_map(|recording| {
                // Each recording has a stream of its own, so that others may come and go.
                let mut rng = Rng::for_purpose(
                    seed,
                    &format!("windows {} {}", recording.label, file_and_place(&recording.source)),
                );
                placing.windows(recording, copies, &mut rng)
            });
            Ok(windows.collect())
        }
    }
}

/// The last part of a source: what does not depend on where the data lies.
fn file_and_place(source: &str) -> &str {
    source.rsplit(['/', '\\']).next().unwrap_or(source)
}

/// An example of one window of a recording.
fn example(recording: &Recording, samples: Vec<i16>, start: usize) -> Example {
    Example {
        samples: Samples::I16(samples),
        label: recording.label,
        group: recording.group.clone(),
        split: recording.split,
        source: format!("{}+{start}", recording.source),
    }
}

fn slide(
    recording: &Recording,
    axes: usize,
    settings: &WindowSettings,
    skipped: &mut Skipped,
) -> Vec<Example> {
    let len = settings.length * axes;
    if recording.samples.len() < len {
        skipped.add(|| {
            let present = recording.samples.len() / axes;
            format!(
                "{}: has {present} samples, fewer than the window's {}",
                recording.source, settings.length
            )
        });
    }
    let windows = recording.samples.windows(len).step_by(settings.stride * axes);
    windows.enumerate().map(|(n, window)| example(recording, window.to_vec(), n * settings.stride)).collect()
}

/// How pieces are placed into windows.
struct Placing<'a> {
    axes: usize,
    settings: &'a WindowSettings,
    rest_noise: f64,
    /// Lengths of the short training recordings, in samples.
    pool: Vec<usize>,
}

impl<'a> Placing<'a> {
    fn new(
        recordings: &[Recording],
        axes: usize,
        settings: &'a WindowSettings,
        rest_noise: f64,
        place: &Path,
    ) -> Result<Self> {
        let mut pool: Vec<usize> = recordings
            .iter()
            .filter(|recording| recording.split == Split::Train)
            .map(|recording| recording.samples.len() / axes)
            .filter(|&len| len <= settings.length)
            .collect();
        // Sorted, so that draws do not depend on the order of files.
        pool.sort_unstable();
        if pool.is_empty() {
            return Err(InputError::new(
                place,
                format!("no training recording is as short as the window of {} samples", settings.length),
                "raise `length` in [data.window], or set `cut = \"slide\"` there",
            ));
        }
        Ok(Self { axes, settings, rest_noise, pool })
    }

    fn draw_len(&self, rng: &mut Rng) -> usize {
        self.pool[rng.below(self.pool.len())]
    }

    /// All windows of a recording. Up to twice the window it is one event, of which the middle is taken; a longer one
    /// is cut into pieces that begin `stride` samples apart.
    fn windows(&self, recording: &Recording, copies: usize, rng: &mut Rng) -> Vec<Example> {
        let len = recording.samples.len() / self.axes;
        let mut pieces = Vec::new();
        if len <= 2 * self.settings.length {
            let taken = len.min(self.settings.length);
            pieces.push(((len - taken) / 2, taken));
        } else {
            let mut start = 0;
            while start + self.settings.length <= len {
                pieces.push((start, self.draw_len(rng)));
                start += self.settings.stride;
            }
        }
        let copies = if recording.split == Split::Train { copies } else { 1 };
        let mut windows = Vec::new();
        for (start, taken) in pieces {
            let piece = &recording.samples[start * self.axes..(start + taken) * self.axes];
            for _ in 0..copies {
                let window = if recording.split == Split::Train {
                    let stretched = stretch(piece, self.axes, self.draw_len(rng));
                    let offset = rng.below(self.settings.length - stretched.len() / self.axes + 1);
                    self.put(&stretched, offset, rng)
                } else {
                    self.put(piece, (self.settings.length - taken) / 2, rng)
                };
                windows.push(example(recording, window, start));
            }
        }
        windows
    }

    /// A window with a piece at an offset, and rest before and after it.
    fn put(&self, piece: &[i16], offset: usize, rng: &mut Rng) -> Vec<i16> {
        let last = piece.len() / self.axes - 1;
        let mut window = Vec::with_capacity(self.settings.length * self.axes);
        for n in 0..self.settings.length {
            let held = n.saturating_sub(offset).min(last);
            let is_rest = n < offset || n > offset + last;
            for &sample in &piece[held * self.axes..(held + 1) * self.axes] {
                let noise = if is_rest { libm::round(self.rest_noise * rng.normal()) } else { 0.0 };
                window.push((f64::from(sample) + noise) as i16);
            }
        }
        window
    }
}

/// A signal interleaved by axis, stretched to `len` samples by straight lines between its samples; ends stay ends.
pub fn stretch(samples: &[i16], axes: usize, len: usize) -> Vec<i16> {
    let present = samples.len() / axes;
    if present == len || present == 0 {
        return samples.to_vec();
    }
    let step = if len > 1 { (present - 1) as f64 / (len - 1) as f64 } else { 0.0 };
    let mut stretched = Vec::with_capacity(len * axes);
    for n in 0..len {
        let at = n as f64 * step;
        let before = (at as usize).min(present - 1);
        let after = (before + 1).min(present - 1);
        let share = at - before as f64;
        for axis in 0..axes {
            let (low, high) =
                (f64::from(samples[before * axes + axis]), f64::from(samples[after * axes + axis]));
            stretched.push(libm::round(low + (high - low) * share) as i16);
        }
    }
    stretched
}

/// A signal interleaved by axis, brought to `len` samples: the middle of a longer one, a shorter one in the middle of
/// zeros.
pub fn fit_middle(samples: &[i16], axes: usize, len: usize) -> Vec<i16> {
    let present = samples.len() / axes;
    let mut fitted = vec![0; len * axes];
    if present >= len {
        let start = (present - len) / 2 * axes;
        fitted.copy_from_slice(&samples[start..start + len * axes]);
    } else {
        let start = (len - present) / 2 * axes;
        fitted[start..start + present * axes].copy_from_slice(&samples[..present * axes]);
    }
    fitted
}
