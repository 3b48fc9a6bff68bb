//! Whole recordings through the device's own code: what the trainer trains on.

use teff::dsp::FrontEnd;

use super::build::write;
use super::config::{Align, FrontEndConfig, Kind};
use crate::{Error, Result};

/// Computes features on the host with `teff::dsp`, so that they are those of the device.
///
/// An extractor keeps its blob and workspace from one recording to the next. Its results do not depend on what it
/// computed before.
#[derive(Clone, Debug)]
pub struct Extractor {
    config: FrontEndConfig,
    shape: [usize; 3],
    blob: Vec<u8>,
    workspace: Vec<u32>,
    /// Real value of one step of each feature of a frame.
    scales: Vec<f64>,
    offsets: Vec<i32>,
}

impl Extractor {
    /// An extractor of real features.
    ///
    /// # Errors
    /// If the settings are not valid or are of kind `none`, which computes nothing.
    pub fn new(config: &FrontEndConfig) -> Result<Self> {
        let largest = config.feature_scales().iter().copied().fold(0.0, f64::max);
        Self::for_model(config, if largest > 0.0 { largest as f32 } else { 1.0 }, 0)
    }

    /// An extractor for a model whose input has this scale and zero point: also gives the device's int8 input.
    ///
    /// # Errors
    /// As [`Self::new`] and [`super::build`].
    pub fn for_model(config: &FrontEndConfig, input_scale: f32, input_zero_point: i8) -> Result<Self> {
        let Some(shape) = config.shape() else {
            return Err(Error::key("teff.front_end", "kind=none computes no features")
                .remedy("give the model input itself, or another kind"));
        };
        let blob = write(config, input_scale, input_zero_point, true)?;
        let words =
            teff::dsp::Settings::read(&blob).map_err(|e| Error::model(e.to_string()))?.workspace_words();
        Ok(Extractor {
            config: config.clone(),
            shape,
            blob,
            workspace: vec![0; words],
            scales: config.feature_scales(),
            offsets: config.feature_offsets(),
        })
    }

    /// Shape of the features of one window, [h, w, c].
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The settings.
    pub fn config(&self) -> &FrontEndConfig {
        &self.config
    }

    /// The features of one recording (samples interleaved by axis) as one window, whatever its length: `align` says
    /// where it stands. Real values in the order of [`Self::shape`].
    ///
    /// # Errors
    /// If the recording is not whole in all axes, or the front end takes pixels.
    pub fn features(&mut self, samples: &[i16]) -> Result<Vec<f32>> {
        let window = self.fit(samples)?;
        let mut features = Vec::new();
        // Where the rate is raised, the last sample can complete more than the one window.
        self.stream(&window, |real, _| {
            if features.is_empty() {
                features.extend_from_slice(real);
            }
        })?;
        Ok(features)
    }

    /// The same as the int8 model input that the device computes.
    ///
    /// # Errors
    /// As [`Self::features`].
    pub fn quantized(&mut self, samples: &[i16]) -> Result<Vec<i8>> {
        let window = self.fit(samples)?;
        let mut features = Vec::new();
        self.stream(&window, |_, quantized| {
            if features.is_empty() {
                features.extend_from_slice(quantized);
            }
        })?;
        Ok(features)
    }

    /// Runs over a recording as the device does over its stream, and calls `each` with the real and the quantized
    /// features whenever the model is to run.
    ///
    /// # Errors
    /// As [`Self::features`].
    pub fn stream(&mut self, samples: &[i16], mut each: impl FnMut(&[f32], &[i8])) -> Result<()> {
        self.check_samples(samples)?;
        let Extractor { blob, workspace, scales, offsets, .. } = self;
        let mut front_end = FrontEnd::new(blob, workspace).map_err(|e| Error::model(e.to_string()))?;
        let len = front_end.settings().window_features();
        let (mut features, mut real, mut quantized) = (vec![0; len], vec![0.0; len], vec![0; len]);
        let mut rest = samples;
        while let Some(hop) = front_end.push(&mut rest) {
            if hop.ready && front_end.write_features(&mut features) && front_end.write_input(&mut quantized) {
                let steps = scales.iter().zip(offsets.iter()).cycle();
                for ((to, f), (scale, offset)) in real.iter_mut().zip(&features).zip(steps) {
                    *to = (f64::from(f - offset) * scale) as f32;
                }
                each(&real, &quantized);
            }
        }
        Ok(())
    }

    /// The features of an image, pixels interleaved by channel.
    ///
    /// # Errors
    /// If the number of pixels is not that of the image, or the front end takes samples.
    pub fn pixels(&self, pixels: &[u8]) -> Result<Vec<f32>> {
        self.check_pixels(pixels)?;
        let steps = self.scales.iter().zip(&self.offsets).cycle();
        let real = |(p, (scale, offset)): (&u8, (&f64, &i32))| {
            (f64::from((i32::from(*p) << teff::dsp::PIXEL_FRAC_BITS) - offset) * scale) as f32
        };
        Ok(pixels.iter().zip(steps).map(real).collect())
    }

    /// The same as the int8 model input that the device computes.
    ///
    /// # Errors
    /// As [`Self::pixels`].
    pub fn quantized_pixels(&mut self, pixels: &[u8]) -> Result<Vec<i8>> {
        self.check_pixels(pixels)?;
        let front_end =
            FrontEnd::new(&self.blob, &mut self.workspace).map_err(|e| Error::model(e.to_string()))?;
        let mut quantized = vec![0; pixels.len()];
        if front_end.write_pixels(pixels, &mut quantized) {
            Ok(quantized)
        } else {
            Err(Error::model("the front end took no pixels"))
        }
    }

    /// A recording cut or padded with zeros to exactly one window.
    fn fit(&self, samples: &[i16]) -> Result<Vec<i16>> {
        self.check_samples(samples)?;
        let axes = self.config.axes;
        let (len, wanted) = (samples.len() / axes, self.config.window_samples());
        let share = |difference: usize| match self.config.align {
            Align::Start => 0,
            Align::Centre => difference / 2,
            Align::End => difference,
        };
        let (before, from) = (share(wanted.saturating_sub(len)), share(len.saturating_sub(wanted)));
        let mut window = vec![0; before * axes];
        window.extend_from_slice(&samples[from * axes..(from + len.min(wanted)) * axes]);
        window.resize(wanted * axes, 0);
        Ok(window)
    }

    fn check_samples(&self, samples: &[i16]) -> Result<()> {
        if self.config.kind == Kind::Image {
            return Err(Error::key("teff.front_end", "kind=image takes pixels, the data has samples"));
        }
        let axes = self.config.axes;
        if !samples.len().is_multiple_of(axes) {
            return Err(Error::key(
                "teff.front_end",
                format!("{} samples are not whole in {axes} axes", samples.len()),
            )
            .remedy("the data has another number of axes than the front end"));
        }
        Ok(())
    }

    fn check_pixels(&self, pixels: &[u8]) -> Result<()> {
        if self.config.kind != Kind::Image {
            return Err(Error::key("teff.front_end", "the data has pixels, this kind takes samples")
                .remedy("use kind=image"));
        }
        let [h, w, c] = self.shape;
        if pixels.len() != h * w * c {
            return Err(Error::key("teff.front_end", format!("an image has {} values", pixels.len()))
                .remedy(format!("height {h}, width {w} and {c} channels need {}", h * w * c)));
        }
        Ok(())
    }
}
