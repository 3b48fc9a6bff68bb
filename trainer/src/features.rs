//! From examples to what the network sees, through the device's own front end.
//!
//! There is no signal processing here: samples go through `teff_compiler::front_end::Extractor`, which runs `teff::dsp`.

use std::sync::Mutex;

use anyhow::{Context as _, ensure};
use teff_compiler::front_end::{Extractor, FrontEndConfig, Kind};

use crate::dataset::augment::{self, Outside, Window};
use crate::dataset::{DataSet, Example, Samples, SignalKind, Split};
use crate::recipe::{Augment, Recipe};
use crate::rng::Rng;

/// The features of one split, and what is needed to make varied ones.
#[derive(Debug)]
pub struct Features {
    extractor: Extractor,
    /// Extractors that are not in use; each thread takes one.
    idle: Mutex<Vec<Extractor>>,
    axes: usize,
    outside: Outside,
    examples: Vec<Example>,
    /// Features of the examples as they are, one after the other.
    plain: Vec<f32>,
}

impl Features {
    /// Computes the features of all examples of a split.
    pub fn new(set: &DataSet, split: Split, config: &FrontEndConfig) -> anyhow::Result<Self> {
        let (axes, outside) = match set.kind {
            SignalKind::Image { h, w, c } => {
                let stated = [config.height, config.width, config.channels];
                ensure!(
                    config.kind != Kind::Image || stated == [h, w, c],
                    "the images of `{}` are {h} x {w} with {c} channels, but [front_end] says {} x {} with {}; \
                     correct `height`, `width` and `channels` there",
                    set.name,
                    stated[0],
                    stated[1],
                    stated[2],
                );
                (c, Outside::Zero)
            }
            SignalKind::Audio { .. } => (1, Outside::Zero),
            SignalKind::Motion { axes, .. } => (axes, Outside::Hold),
        };
        let mut features = Self {
            extractor: Extractor::new(config)?,
            idle: Mutex::default(),
            axes,
            outside,
            examples: set.of(split).cloned().collect(),
            plain: Vec::new(),
        };
        features.compute_plain()?;
        Ok(features)
    }

    fn compute_plain(&mut self) -> anyhow::Result<()> {
        let len = self.feature_len();
        let mut plain = vec![0.0; len * self.examples.len()];
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let share = self.examples.len().div_ceil(threads).max(1);
        let this = &*self;
        let work = |(examples, out): (&[Example], &mut [f32])| -> anyhow::Result<()> {
            let mut extractor = this.extractor.clone();
            for (example, out) in examples.iter().zip(out.chunks_exact_mut(len.max(1))) {
                let computed = match &example.samples {
                    Samples::U8(pixels) => extractor.pixels(pixels),
                    Samples::I16(samples) => extractor.features(samples),
                };
                out.copy_from_slice(&computed.with_context(|| format!("features of {}", example.source))?);
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let parts = this.examples.chunks(share).zip(plain.chunks_mut((share * len).max(1)));
            let handles: Vec<_> = parts.map(|part| scope.spawn(move || work(part))).collect();
            handles
                .into_iter()
                .try_for_each(|handle| handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })?;
        self.plain = plain;
        Ok(())
    }

    /// Shape of the features of one example, `[h, w, c]`.
    pub fn shape(&self) -> [usize; 3] {
        self.extractor.shape()
    }

    /// The settings that the features are computed with.
    pub fn config(&self) -> &FrontEndConfig {
        self.extractor.config()
    }

    /// Number of examples.
    pub fn len(&self) -> usize {
        self.examples.len()
    }

    /// Whether there is no example.
    pub fn is_empty(&self) -> bool {
        self.examples.is_empty()
    }

    /// The examples.
    pub fn examples(&self) -> &[Example] {
        &self.examples
    }

    /// The class of an example.
    pub fn label(&self, example: usize) -> usize {
        self.examples[example].label
    }

    /// The features of all examples as they are, one after the other.
    pub fn all(&self) -> &[f32] {
        &self.plain
    }

    /// The features of an example as it is.
    pub fn plain(&self, example: usize) -> &[f32] {
        let len = self.feature_len();
        &self.plain[example * len..(example + 1) * len]
    }

    /// Writes the features of an example after a random change.
    ///
    /// # Panics
    /// If `out` is not as long as the features of an example.
    pub fn varied(&self, example: usize, augment: &Augment, rng: &mut Rng, out: &mut [f32]) {
        let mut extractor = self.take_extractor();
        let computed = match &self.examples[example].samples {
            Samples::U8(pixels) => extractor.pixels(&augment::image(pixels, self.shape(), augment, rng)),
            Samples::I16(samples) => {
                let window = Window {
                    len: self.config().window_samples(),
                    align: self.config().align,
                    outside: self.outside,
                };
                extractor.features(&augment::signal(samples, self.axes, window, augment, rng))
            }
        };
        self.give_back(extractor);
        match computed {
            Ok(features) => out.copy_from_slice(&features),
            // Samples of the same form were taken when the plain features were computed.
            Err(_) => out.copy_from_slice(self.plain(example)),
        }
        augment::mask(out, self.shape(), augment, rng);
    }

    fn feature_len(&self) -> usize {
        self.shape().iter().product()
    }

    fn take_extractor(&self) -> Extractor {
        let idle = self.idle.lock().ok().and_then(|mut idle| idle.pop());
        idle.unwrap_or_else(|| self.extractor.clone())
    }

    fn give_back(&self, extractor: Extractor) {
        if let Ok(mut idle) = self.idle.lock() {
            idle.push(extractor);
        }
    }
}

/// The front end of a recipe on its data: standardized where the recipe asks for it.
pub fn front_end(recipe: &Recipe, set: &DataSet) -> anyhow::Result<FrontEndConfig> {
    match recipe.standardize {
        true => standardized(&recipe.front_end, set),
        false => Ok(recipe.front_end.clone()),
    }
}

/// The same front end with the mean and the deviation of each feature of a frame over the training examples, so that
/// the network sees numbers around 0 with deviations around 1.
fn standardized(config: &FrontEndConfig, set: &DataSet) -> anyhow::Result<FrontEndConfig> {
    let features = Features::new(set, Split::Train, config)?;
    let per_frame = config.features_per_frame();
    let mut sums = vec![(0.0_f64, 0.0_f64); per_frame];
    for frame in features.all().chunks_exact(per_frame.max(1)) {
        for ((sum, squares), &value) in sums.iter_mut().zip(frame) {
            *sum += f64::from(value);
            *squares += f64::from(value) * f64::from(value);
        }
    }
    let frames = (features.all().len() / per_frame.max(1)).max(1) as f64;
    // Three digits are enough, and keep the line of metadata short.
    let short = |value: f64| format!("{value:.3e}").parse::<f64>().unwrap_or(value);
    let mut standardized = config.clone();
    standardized.feature_mean = sums.iter().map(|(sum, _)| short(sum / frames)).collect();
    let deviation = |(sum, squares): &(f64, f64)| {
        let variance = (squares / frames - (sum / frames) * (sum / frames)).max(0.0);
        // A feature that never changes is left at its scale.
        if variance > 1e-12 { short(libm::sqrt(variance)) } else { 1.0 }
    };
    standardized.feature_std = sums.iter().map(deviation).collect();
    // What was computed must be a front end that the compiler takes.
    Ok(FrontEndConfig::parse(&standardized.to_string())?)
}
