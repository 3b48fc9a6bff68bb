//! From scores to events: smoothing, threshold, hysteresis and refractory time, in integers.
//!
//! A score is a probability as the model gives it, in 256ths (0 to 255). The smoothed score of a
//! class is the mean of its last `smoothing` scores; those before the first inference count as 0.
//! An event is reported when the largest smoothed score reaches the threshold of its class; the class
//! then stays the current one until its smoothed score falls below the threshold less the hysteresis,
//! and for the refractory time after an event no other one is reported.
//!
//! What an [anomaly](crate::anomaly) model gives is one score, of any size, in the same way.

/// Classes that the boards' programs have room for.
pub const MOST_CLASSES: usize = 16;
/// Inferences that the boards' programs can average over.
pub const MOST_SMOOTHING: usize = 16;

/// How scores become events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Settings {
    /// What the scores are.
    pub kind: Kind,
    /// Inferences whose scores are averaged; 1 takes every score as it is.
    pub smoothing: u16,
    /// Smallest smoothed score that is an event, in 256ths.
    pub threshold: u32,
    /// How far below the threshold the current class stays the current one, in 256ths.
    pub hysteresis: u32,
    /// Inferences after an event during which no other one is reported.
    pub refractory: u32,
}

/// What the scores of a model are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Kind {
    /// The probability of each class; thresholds are from 0 to 1.
    Classes,
    /// The model's only output, in its steps above its zero point.
    Score,
    /// How far the model's output is from its input: the mean of the squared differences, in steps of
    /// the input.
    Reconstruction,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { kind: Kind::Classes, smoothing: 3, threshold: 154, hysteresis: 38, refractory: 0 }
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
    /// Thresholds of classes stand beside a kind that has none.
    NoClasses,
    /// A kind that is no class needs a threshold.
    NoThreshold,
}

impl core::fmt::Display for SettingsError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            SettingsError::UnknownKey => "it has a word that is no key=value of this version",
            SettingsError::BadValue => "it has a value outside of its key's range",
            SettingsError::NoClasses => "it has thresholds of classes, but its kind has no classes",
            SettingsError::NoThreshold => "it has no threshold, which its kind needs",
        })
    }
}

impl core::error::Error for SettingsError {}

impl Settings {
    /// Reads the line that a model carries under `teff.decision`: words `kind=classes`, `smoothing=N`,
    /// `threshold=0.6`, `thresholds=0.6,0.8,-`, `hysteresis=0.15`, `refractory=N`, each optional. The
    /// list of thresholds is only checked here; [`thresholds`] gives it.
    ///
    /// # Errors
    /// [`SettingsError`] for an unknown key or a value outside its range.
    pub fn read(line: &str) -> Result<Settings, SettingsError> {
        let kind = match value_of(line, "kind") {
            None | Some("classes") => Kind::Classes,
            Some("score") => Kind::Score,
            Some("reconstruction") => Kind::Reconstruction,
            Some(_) => return Err(SettingsError::BadValue),
        };
        let most = if kind == Kind::Classes { 256 } else { MOST };
        let mut settings = Settings { kind, ..Settings::default() };
        let mut given = false;
        for word in line.split_ascii_whitespace() {
            let (key, value) = word.split_once('=').ok_or(SettingsError::UnknownKey)?;
            match key {
                "kind" => {}
                "smoothing" => {
                    settings.smoothing = value.parse().map_err(|_| SettingsError::BadValue)?;
                    if settings.smoothing == 0 {
                        return Err(SettingsError::BadValue);
                    }
                }
                "threshold" => {
                    settings.threshold = fraction(value, most)?;
                    given = true;
                }
                "thresholds" if kind == Kind::Classes => {
                    for threshold in thresholds(line) {
                        threshold?;
                    }
                }
                "thresholds" => return Err(SettingsError::NoClasses),
                "hysteresis" => settings.hysteresis = fraction(value, most)?,
                "refractory" => {
                    settings.refractory = value.parse().map_err(|_| SettingsError::BadValue)?;
                }
                _ => return Err(SettingsError::UnknownKey),
            }
        }
        if kind != Kind::Classes && !(given && settings.threshold > 0) {
            return Err(SettingsError::NoThreshold);
        }
        Ok(settings)
    }
}

/// The largest score of an anomaly model, and the largest threshold: 2^16 in 256ths.
pub const MOST: u32 = 1 << 24;

/// The value of a key of the line.
fn value_of<'l>(line: &'l str, key: &str) -> Option<&'l str> {
    let mut pairs = line.split_ascii_whitespace().filter_map(|word| word.split_once('='));
    pairs.find(|(name, _)| *name == key).map(|(_, value)| value)
}

/// The thresholds of classes that a line lists, in 256ths; `None` for a class that is never an event.
pub fn thresholds(line: &str) -> impl Iterator<Item = Result<Option<u32>, SettingsError>> + '_ {
    let list = value_of(line, "thresholds").into_iter().flat_map(|list| list.split(','));
    list.map(|one| if one == "-" { Ok(None) } else { fraction(one, 256).map(Some) })
}

/// `0.6` in 256ths, downwards, without floating point; at most `most` of them.
fn fraction(text: &str, most: u32) -> Result<u32, SettingsError> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let bad = SettingsError::BadValue;
    if whole.is_empty() || !whole.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(bad);
    }
    let whole: u32 = whole.parse().map_err(|_| bad)?;
    let (mut value, mut scale) = (0, 1);
    for (at, digit) in decimals.bytes().enumerate() {
        if !digit.is_ascii_digit() {
            return Err(bad);
        }
        // Six digits are more than 256ths tell apart.
        if at < 6 {
            (value, scale) = (value * 10 + u32::from(digit - b'0'), scale * 10);
        }
    }
    let in_256ths = whole.checked_mul(256).ok_or(bad)?.checked_add(value * 256 / scale).ok_or(bad)?;
    if in_256ths > most { Err(bad) } else { Ok(in_256ths) }
}

/// What a decision reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Event {
    /// Class, an index into the model's labels.
    pub class: usize,
    /// Its smoothed score, in 256ths; of an anomaly model, in 256ths of the threshold.
    pub score: u16,
    /// Which inference since the start, counted from 0, made it so.
    pub inference: u32,
}

/// The state of the decision between inferences, for up to `CLASSES` classes and a smoothing of up
/// to `MEMORY` inferences.
#[derive(Clone, Debug)]
pub struct Decision<const CLASSES: usize, const MEMORY: usize> {
    settings: Settings,
    /// Of each class; `None` where it is never an event.
    thresholds: [Option<u32>; CLASSES],
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
            thresholds: [Some(settings.threshold); CLASSES],
            scores: [[0; CLASSES]; MEMORY],
            sums: [0; CLASSES],
            current: None,
            inferences: 0,
            quiet: 0,
        })
    }

    /// Gives a class a threshold of its own, in 256ths; with `None` it is never an event.
    pub fn set_threshold(&mut self, class: usize, threshold: Option<u32>) {
        if let Some(of_class) = self.thresholds.get_mut(class) {
            *of_class = threshold;
        }
    }

    /// Forgets all scores and the current class, as after a gap in the signal; a refractory time goes on.
    pub fn reset(&mut self) {
        self.scores = [[0; CLASSES]; MEMORY];
        self.sums = [0; CLASSES];
        self.current = None;
    }

    /// The threshold of a class over all inferences that are averaged.
    fn threshold(&self, class: usize) -> Option<u32> {
        let threshold = self.thresholds.get(class).copied().flatten()?;
        Some(threshold * u32::from(self.settings.smoothing))
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
        let hysteresis = self.settings.hysteresis * smoothing;
        if let Some(class) = self.current {
            let least = self.threshold(class).map_or(u32::MAX, |least| least.saturating_sub(hysteresis));
            if self.sums.get(class).is_none_or(|&sum| sum < least) {
                self.current = None;
            }
        }
        if self.quiet > 0 {
            self.quiet -= 1;
            return None;
        }
        let (class, sum) = best?;
        if self.current.is_some() || self.threshold(class).is_none_or(|threshold| sum < threshold) {
            return None;
        }
        self.current = Some(class);
        self.quiet = self.settings.refractory;
        // A mean of scores never exceeds 255.
        Some(Event { class, score: (sum / smoothing) as u16, inference })
    }

    /// The class with the largest smoothed score, and that score in 256ths; `None` where all are 0.
    pub fn leading(&self) -> Option<(usize, u16)> {
        let mut best = (0, 0);
        for (class, sum) in self.sums.iter().enumerate() {
            if *sum > best.1 {
                best = (class, *sum);
            }
        }
        // A mean of scores never exceeds 255.
        (best.1 > 0).then_some((best.0, (best.1 / u32::from(self.settings.smoothing)) as u16))
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

    const PLAIN: Settings =
        Settings { kind: Kind::Classes, smoothing: 1, threshold: 150, hysteresis: 50, refractory: 0 };

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
        let expected = Settings { smoothing: 5, threshold: 153, hysteresis: 64, refractory: 8, ..PLAIN };
        assert_eq!(settings, Ok(expected));
        assert_eq!(Settings::read(""), Ok(Settings::default()));
        assert_eq!(Settings::read("treshold=0.6"), Err(SettingsError::UnknownKey));
        for line in [
            "threshold=1.5",
            "threshold=x",
            "smoothing=0",
            "threshold=0.x",
            "refractory=-1",
            "threshold=+1",
            "threshold=.5",
            "threshold=1e1",
            "kind=words",
            "thresholds=0.5,",
            "thresholds=0.5,2",
            "threshold=99999999999",
            "kind=score threshold=65537",
            "threshold=0.1234567x",
        ] {
            assert_eq!(Settings::read(line), Err(SettingsError::BadValue), "{line}");
        }
    }

    #[test]
    fn an_anomaly_model_has_a_threshold_of_any_size() {
        let settings = Settings::read("kind=reconstruction threshold=410.5 hysteresis=20").unwrap();
        assert_eq!((settings.kind, settings.threshold), (Kind::Reconstruction, 410 * 256 + 128));
        assert_eq!(Settings::read("kind=score"), Err(SettingsError::NoThreshold));
        assert_eq!(Settings::read("threshold=0 kind=score"), Err(SettingsError::NoThreshold));
        assert_eq!(Settings::read("kind=score threshold=3 thresholds=3"), Err(SettingsError::NoClasses));
    }

    #[test]
    fn classes_have_thresholds_of_their_own() {
        let line = "smoothing=1 thresholds=0.75,0.5,-";
        assert_eq!(Settings::read(line).map(|settings| settings.smoothing), Ok(1));
        let list: Vec<_> = thresholds(line).collect();
        assert_eq!(list, [Ok(Some(192)), Ok(Some(128)), Ok(None)]);
        assert_eq!(thresholds("smoothing=1").count(), 0);

        let mut decision = Decision::<3, 1>::new(Settings { hysteresis: 20, ..PLAIN }).unwrap();
        for (class, threshold) in [Some(192), Some(128), None].into_iter().enumerate() {
            decision.set_threshold(class, threshold);
        }
        let mut push = |scores: [u8; 3]| decision.push(scores.into_iter()).map(|event| event.class);
        assert_eq!(push([190, 0, 0]), None);
        assert_eq!(push([0, 130, 0]), Some(1));
        assert_eq!(push([200, 110, 0]), None);
        assert_eq!(push([200, 100, 0]), Some(0));
        // The last class wins, and is no event.
        assert_eq!(push([0, 0, 255]), None);
    }

    #[test]
    fn a_reset_forgets_scores_and_class_but_not_the_refractory_time() {
        let mut decision = Decision::<2, 2>::new(Settings { smoothing: 2, refractory: 4, ..PLAIN }).unwrap();
        let push = |decision: &mut Decision<2, 2>, score| decision.push([score, 0].into_iter());
        assert!(push(&mut decision, 255).is_none() && push(&mut decision, 255).is_some());
        decision.reset();
        assert_eq!(decision.current(), None);
        for score in [255, 255, 255, 255] {
            assert_eq!(push(&mut decision, score), None);
        }
        assert!(push(&mut decision, 255).is_some());
    }
}
