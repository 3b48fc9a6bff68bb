//! A microphone of ALSA's, through its library.

use std::time::Duration;

use alsa::pcm::{Access, Format as SampleFormat, HwParams, PCM, State};
use alsa::{Direction, ValueOr};
use anyhow::{Context, Result, bail};
use teff_app::needs::Needs;
use teff_app::sensor::{Format, Sensor};

use super::{Explain, Source, format_of, time_of};
use crate::config::Alsa;

/// Samples between two reads.
const PORTION: u32 = 256;
/// Samples that ALSA keeps, at least wanted: half a second at 16 kHz.
const BUFFER: i64 = 8192;

/// Opens the microphone at the model's rate and lets it record.
pub fn start(settings: &Alsa, needs: &Needs<'_>) -> Result<Source> {
    let device = &settings.device;
    if !needs.rate_millihertz.is_multiple_of(1000) {
        bail!(
            "the model needs {} samples per 1000 seconds; a microphone of ALSA's has whole hertz",
            needs.rate_millihertz
        );
    }
    let rate = needs.rate_millihertz / 1000;
    let pcm = PCM::new(device, Direction::Capture, true)
        .with_context(|| format!("cannot open ALSA's `{device}`: `arecord -L` lists what there is"))?;
    set(&pcm, rate).with_context(|| {
        format!(
            "ALSA's `{device}` cannot give one channel of 16 bits at {rate} Hz: try `plughw` or `default`"
        )
    })?;
    pcm.start().with_context(|| format!("ALSA's `{device}` does not record"))?;
    let format = format_of("microphone", needs.rate_millihertz, 1, (Some(""), None), needs);
    let interval = time_of(PORTION, needs.rate_millihertz).min(Duration::from_millis(50));
    Ok(Source::new(Microphone { pcm, format, gaps: 0 }, interval))
}

fn set(pcm: &PCM, rate: u32) -> alsa::Result<()> {
    let params = HwParams::any(pcm)?;
    params.set_channels(1)?;
    params.set_rate(rate, ValueOr::Nearest)?;
    params.set_format(SampleFormat::S16LE)?;
    params.set_access(Access::RWInterleaved)?;
    params.set_buffer_size_near(BUFFER)?;
    pcm.hw_params(&params)?;
    let given = pcm.hw_params_current()?.get_rate()?;
    if given == rate { Ok(()) } else { Err(alsa::Error::unsupported("another rate")) }
}

impl Explain for alsa::Error {
    fn explain(&self) -> String {
        self.to_string()
    }
}

struct Microphone {
    pcm: PCM,
    format: Format,
    gaps: u32,
}

impl Sensor for Microphone {
    type Error = alsa::Error;

    fn format(&self) -> Format {
        self.format
    }

    fn read(&mut self, samples: &mut [i16]) -> Result<usize, alsa::Error> {
        let io = self.pcm.io_i16()?;
        match io.readi(samples) {
            Ok(count) => Ok(count),
            Err(error) if error.errno() == EAGAIN => Ok(0),
            Err(error) => {
                // Its buffer ran over, or the computer slept: what was in it is lost.
                self.gaps = self.gaps.wrapping_add(1);
                self.pcm.try_recover(error, true)?;
                if self.pcm.state() != State::Running {
                    self.pcm.start()?;
                }
                Ok(0)
            }
        }
    }

    fn gaps(&self) -> u32 {
        self.gaps
    }

    fn restart(&mut self) -> Result<(), alsa::Error> {
        self.pcm.drop()?;
        self.pcm.prepare()?;
        self.pcm.start()
    }
}

/// Nothing is there yet, as Linux numbers it.
const EAGAIN: i32 = 11;
