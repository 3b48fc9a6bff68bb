//! Per-channel energy normalization in floating point, with the powers of the crate `libm`.

/// Constants.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Weight of the newest energy in the smoothed one.
    pub smoothing: f32,
    /// Power of the smoothed energy that an energy is divided by.
    pub gain: f32,
    /// What is added before the root.
    pub bias: f32,
    /// Power that is taken at last.
    pub root: f32,
}

/// The smoothed energies.
#[derive(Debug)]
pub struct Pcen<'a> {
    settings: Settings,
    /// `bias^root`.
    base: f32,
    smoothed: &'a mut [f32],
    begun: bool,
}

impl<'a> Pcen<'a> {
    /// `smoothed` has a number for each band.
    pub fn new(settings: Settings, smoothed: &'a mut [f32]) -> Self {
        let base = libm::powf(settings.bias, settings.root);
        Pcen { settings, base, smoothed, begun: false }
    }

    /// Makes energies into features.
    pub fn normalize(&mut self, energies: &mut [f32], floor: f32) {
        let Settings { smoothing, gain, bias, root } = self.settings;
        for (x, smoothed) in energies.iter_mut().zip(&mut *self.smoothed) {
            let energy = *x;
            *smoothed = if self.begun { *smoothed + smoothing * (energy - *smoothed) } else { energy };
            let ratio = energy / libm::powf(floor + *smoothed, gain);
            *x = libm::powf(ratio + bias, root) - self.base;
        }
        self.begun = true;
    }
}
