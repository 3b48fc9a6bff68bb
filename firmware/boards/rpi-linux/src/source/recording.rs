//! A file in a sensor's place.

use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use teff_app::needs::Needs;
use teff_app::sensor::recorded::Recorded;
use teff_app::sensor::{Format, Sensor};

use super::{Source, format_of, thousandths, time_of};
use crate::config::{Pace, Recording};

/// Instants that are handed out at once.
const PORTION: u32 = 64;

/// Reads the file whole and plays it.
pub fn start(settings: &Recording, needs: &Needs<'_>) -> Result<Source> {
    let file = &settings.file;
    let (samples, axes, rate) =
        read(file).with_context(|| format!("cannot read the recording {}", file.display()))?;
    if rate.is_some() && settings.rate_hz.is_some() {
        bail!("`sensor.recording.rate_hz`: {} tells its rate itself; leave this key out", file.display());
    }
    let rate = rate.or(settings.rate_hz.map(thousandths)).unwrap_or(needs.rate_millihertz);
    let scale = (settings.unit.as_deref(), settings.counts_per_unit);
    let format = format_of("recording", rate, axes, scale, needs);
    // For the whole run.
    let recorded = Recorded::new(format, samples.leak(), PORTION as usize);
    let over = Arc::new(AtomicBool::new(recorded.is_over()));
    let real = settings.pace == Pace::Real;
    let clock = real.then(|| (Instant::now(), 0));
    let sensor = Played { recorded, over: over.clone(), clock };
    let interval = if real { time_of(PORTION, rate).min(Duration::from_millis(100)) } else { Duration::ZERO };
    Ok(Source { patient: !real, over, ..Source::new(sensor, interval) })
}

/// Samples, axes, and the rate in thousandths of a hertz where the file tells it.
fn read(file: &Path) -> Result<(Vec<i16>, u8, Option<u32>)> {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("wav") => {
            let mut wav = hound::WavReader::open(file)?;
            let spec = wav.spec();
            if spec.bits_per_sample != 16 || spec.sample_format != hound::SampleFormat::Int {
                bail!("it has {} bits per sample; 16 whole ones are needed", spec.bits_per_sample);
            }
            let samples = wav.samples::<i16>().collect::<Result<Vec<i16>, _>>()?;
            let axes = u8::try_from(spec.channels).context("it has too many channels")?;
            let rate = spec.sample_rate.checked_mul(1000).context("its rate is too high")?;
            Ok((samples, axes, Some(rate)))
        }
        Some("csv") => {
            let text = fs::read_to_string(file)?;
            let (samples, axes) = columns(&text)?;
            Ok((samples, axes, None))
        }
        _ => bail!("it is neither `.wav` nor `.csv`"),
    }
}

/// A line of names, then a line for each instant.
fn columns(text: &str) -> Result<(Vec<i16>, u8)> {
    let mut lines = text.lines();
    let names = lines.next().context("it is empty")?.split(',').count();
    let axes = u8::try_from(names).context("it has too many columns")?;
    let mut samples = Vec::new();
    for (number, line) in lines.enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let before = samples.len();
        for word in line.split(',') {
            let sample = word.trim().parse::<i16>();
            // The names are line 1.
            let shown = number + 2;
            samples.push(sample.with_context(|| {
                format!("line {shown}: `{word}` is no whole number from -32768 to 32767")
            })?);
        }
        if samples.len() - before != names {
            bail!("line {} has {} columns, not {names}", number + 2, samples.len() - before);
        }
    }
    Ok((samples, axes))
}

/// A recording that is played.
struct Played {
    recorded: Recorded<'static>,
    over: Arc<AtomicBool>,
    /// Since when at its own rate, and instants that were handed out; none where it is played at once.
    clock: Option<(Instant, u64)>,
}

impl Sensor for Played {
    type Error = Infallible;

    fn format(&self) -> Format {
        self.recorded.format()
    }

    fn read(&mut self, samples: &mut [i16]) -> Result<usize, Infallible> {
        let format = self.recorded.format();
        let mut room = samples.len() / usize::from(format.axes).max(1);
        if let Some((since, given)) = &self.clock {
            let due = since.elapsed().as_micros() * u128::from(format.rate_millihertz) / 1_000_000_000;
            let due = usize::try_from(due.saturating_sub(u128::from(*given))).unwrap_or(usize::MAX);
            room = room.min(due);
        }
        let room = room * usize::from(format.axes).max(1);
        let instants = self.recorded.read(samples.get_mut(..room).unwrap_or_default())?;
        if let Some((_, given)) = &mut self.clock {
            *given += instants as u64;
        }
        self.over.store(self.recorded.is_over(), Ordering::Release);
        Ok(instants)
    }

    fn gaps(&self) -> u32 {
        self.recorded.gaps()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_axes() {
        assert_eq!(columns("x,y\n1,-2\n3, 4\n\n").unwrap(), (vec![1, -2, 3, 4], 2));
        assert_eq!(columns("x\n").unwrap(), (vec![], 1));
    }

    #[test]
    fn what_is_no_sample_is_named_with_its_line() {
        let refused = |text| format!("{:#}", columns(text).unwrap_err());
        assert!(refused("x,y\n1,2\n1,x\n").contains("line 3: `x`"));
        assert!(refused("x\n40000\n").contains("line 2: `40000`"));
        assert_eq!(refused("x,y\n1,2\n\n3\n"), "line 4 has 1 columns, not 2");
        assert_eq!(refused(""), "it is empty");
    }
}
