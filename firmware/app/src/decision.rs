//! From scores to events: smoothing, threshold, hysteresis and refractory time, in integers.
//!
//! A score is a probability as the model gives it, in 256ths (0 to 255). The smoothed score of a
//! class is the mean of its last `smoothing` scores; those before the first inference count as 0.
//! An event is reported when the largest smoothed score reaches the threshold; the class then stays
//! the current one until its smoothed score falls below the threshold less the hysteresis, and for
//! the refractory time after an event no other one is reported.

/// How scores become events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Settings {
    /// Inferences whose scores are averaged; 1 takes every score as it is.
    pub smoothing: u16,
    /// Smallest smoothed score that is an event, in 256ths.
    pub threshold: u16,
    /// How far below the threshold the current class stays the current one, in 256ths.
    pub hysteresis: u16,
    /// Inferences after an event during which no other one is reported.
    pub refractory: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { smoothing: 3, threshold: 154, hysteresis: 38, refractory: 0 }
    }
}

/// Why a settings line cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SettingsError {
    /// A word is not `key=value` with a key of the documentation.
    UnknownKey,
    /// A value is not a number of the key's range.
    BadValue,
}

impl Settings {
    /// Reads the line that a model carries under `teff.decision`: words `smoothing=N`,
    /// `threshold=0.6`, `hysteresis=0.15`, `refractory=N`, each optional.
    ///
    /// # Errors
    /// [`SettingsError`] for an unknown key or a value outside its range.
    pub fn read(line: &str) -> Result<Settings, SettingsError> {
        let mut settings = Settings::default();
        for word in line.split_ascii_whitespace() {
            let (key, value) = word.split_once('=').ok_or(SettingsError::UnknownKey)?;
            match key {
                "smoothing" => {
                    settings.smoothing = value.parse().map_err(|_| SettingsError::BadValue)?;
                    if settings.smoothing == 0 {
                        return Err(SettingsError::BadValue);
                    }
                }
                "threshold" => settings.threshold = fraction(value)?,
                "hysteresis" => settings.hysteresis = fraction(value)?,
                "refractory" => {
                    settings.refractory = value.parse().map_err(|_| SettingsError::BadValue)?;
                }
                _ => return Err(SettingsError::UnknownKey),
            }
        }
        Ok(settings)
    }
}

/// `0.6` in 256ths, downwards, without floating point.
fn fraction(text: &str) -> Result<u16, SettingsError> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let mut value: u32 = whole.parse().map_err(|_| SettingsError::BadValue)?;
    let mut scale: u32 = 1;
    for digit in decimals.bytes().take(6) {
        if !digit.is_ascii_digit() {
            return Err(SettingsError::BadValue);
        }
        value = value.checked_mul(10).ok_or(SettingsError::BadValue)? + u32::from(digit - b'0');
        scale *= 10;
    }
    if value > scale {
        return Err(SettingsError::BadValue);
    }
    // At most 10^6 * 256.
    Ok((value * 256 / scale) as u16)
}

/// What a decision reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Event {
    /// Class, an index into the model's labels.
    pub class: usize,
    /// Its smoothed score, in 256ths.
    pub score: u16,
    /// Which inference since the start, counted from 0, made it so.
    pub inference: u32,
}

/// The state of the decision between inferences, for up to `CLASSES` classes and a smoothing of up
/// to `MEMORY` inferences.
#[derive(Clone, Debug)]
pub struct Decision<const CLASSES: usize, const MEMORY: usize> {
    settings: Settings,
    /// The last scores; those of inference `n` stand at `n % smoothing`.
    scores: [[u8; CLASSES]; MEMORY],
    /// Their sums per class.
    sums: [u32; CLASSES],
    current: Option<usize>,
    inferences: u32,
    quiet: u32,
}

impl<const CLASSES: usize, const MEMORY: usize> Decision<CLASSES, MEMORY> {
    /// A decision that has seen nothing; `None` where the settings average over more than `MEMORY`
    /// inferences.
    pub fn new(settings: Settings) -> Option<Self> {
        if settings.smoothing == 0 || usize::from(settings.smoothing) > MEMORY {
            return None;
        }
        Some(Decision {
            settings,
            scores: [[0; CLASSES]; MEMORY],
            sums: [0; CLASSES],
            current: None,
            inferences: 0,
            quiet: 0,
        })
    }

    /// Takes the scores of one inference, in 256ths; those beyond `CLASSES` are not looked at.
    pub fn push(&mut self, scores: impl Iterator<Item = u8>) -> Option<Event> {
        let inference = self.inferences;
        self.inferences = self.inferences.wrapping_add(1);
        let smoothing = u32::from(self.settings.smoothing);
        let oldest = self.scores.get_mut((inference % smoothing) as usize)?;
        let mut best = None;
        for (class, ((sum, old), new)) in self.sums.iter_mut().zip(oldest).zip(scores).enumerate() {
            *sum = *sum - u32::from(*old) + u32::from(new);
            *old = new;
            if best.is_none_or(|(_, most)| *sum > most) {
                best = Some((class, *sum));
            }
        }
        let threshold = u32::from(self.settings.threshold) * smoothing;
        let hysteresis = u32::from(self.settings.hysteresis) * smoothing;
        if let Some(class) = self.current
            && self.sums.get(class).is_none_or(|&sum| sum < threshold.saturating_sub(hysteresis))
        {
            self.current = None;
        }
        if self.quiet > 0 {
            self.quiet -= 1;
            return None;
        }
        let (class, sum) = best?;
        if self.current.is_some() || sum < threshold {
            return None;
        }
        self.current = Some(class);
        self.quiet = self.settings.refractory;
        // A mean of scores never exceeds 255.
        Some(Event { class, score: (sum / smoothing) as u16, inference })
    }

    /// The class that the last event named and that still holds.
    pub fn current(&self) -> Option<usize> {
        self.current
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn events(settings: Settings, scores: &[[u8; 2]]) -> Vec<Event> {
        let mut decision = Decision::<2, 8>::new(settings).unwrap();
        scores.iter().filter_map(|pair| decision.push(pair.iter().copied())).collect()
    }

    const PLAIN: Settings = Settings { smoothing: 1, threshold: 150, hysteresis: 50, refractory: 0 };

    #[test]
    fn a_class_is_reported_once_while_it_lasts() {
        let found = events(PLAIN, &[[200, 0], [140, 10], [160, 10], [20, 30], [200, 0]]);
        let inferences: Vec<u32> = found.iter().map(|event| event.inference).collect();
        assert_eq!(inferences, [0, 4]);
    }

    #[test]
    fn another_class_waits_until_the_first_is_over() {
        let found = events(PLAIN, &[[200, 0], [120, 200], [90, 200]]);
        assert_eq!(found[1], Event { class: 1, score: 200, inference: 2 });
    }

    #[test]
    fn smoothing_ignores_a_single_outlier() {
        let settings = Settings { smoothing: 4, ..PLAIN };
        assert!(events(settings, &[[0, 0], [255, 0], [0, 0]]).is_empty());
        assert_eq!(events(settings, &[[255, 0]; 8])[0].inference, 2);
    }

    #[test]
    fn nothing_is_reported_in_the_refractory_time() {
        let settings = Settings { refractory: 3, ..PLAIN };
        let found = events(settings, &[[200, 0], [0, 0], [200, 0], [0, 0], [0, 200]]);
        let inferences: Vec<u32> = found.iter().map(|event| event.inference).collect();
        assert_eq!(inferences, [0, 4]);
    }

    #[test]
    fn more_smoothing_than_memory_is_refused() {
        assert!(Decision::<2, 8>::new(Settings { smoothing: 9, ..PLAIN }).is_none());
    }

    #[test]
    fn a_settings_line_is_read() {
        let settings = Settings::read("smoothing=5 threshold=0.6 hysteresis=0.25 refractory=8");
        assert_eq!(settings, Ok(Settings { smoothing: 5, threshold: 153, hysteresis: 64, refractory: 8 }));
        assert_eq!(Settings::read(""), Ok(Settings::default()));
        assert_eq!(Settings::read("treshold=0.6"), Err(SettingsError::UnknownKey));
        for line in ["threshold=1.5", "threshold=x", "smoothing=0", "threshold=0.x", "refractory=-1"] {
            assert_eq!(Settings::read(line), Err(SettingsError::BadValue), "{line}");
        }
    }
}
