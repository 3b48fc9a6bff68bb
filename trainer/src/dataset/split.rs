//! Which examples are trained on, which choose among epochs, and which are tested on.
//!
//! Every rule is deterministic: it depends on the data, the recipe's `[data.split]` table and its seed.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Example, Split};
use crate::error::{InputError, Result};
use crate::recipe::data::{By, Rule, SplitSettings};
use crate::rng::Rng;

/// What a rule needs to know of an example or of a recording that examples are cut from.
pub trait Unit {
    /// The class.
    fn label(&self) -> usize;
    /// Person, speaker, subject, machine, file.
    fn group(&self) -> &str;
    /// The split it has; before [`assign`], the one its authors gave it.
    fn split(&self) -> Split;
    /// Gives it a split.
    fn set_split(&mut self, split: Split);
}

impl Unit for Example {
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

/// Gives every unit its split. `official` says whether the units come with a split of the data's authors.
pub fn assign(
    units: &mut [impl Unit],
    official: bool,
    settings: &SplitSettings,
    seed: u64,
    place: &Path,
) -> Result<()> {
    match &settings.rule {
        Rule::Official if !official => {
            return Err(InputError::new(
                place,
                "this data comes without an official split",
                "choose another `rule` in [data.split]: `groups`, `folds` or `share`",
            ));
        }
        Rule::Official => {}
        Rule::Groups { test, validation } => {
            require_groups(units, test.iter().chain(validation), place)?;
            for unit in &mut *units {
                let split = if test.iter().any(|group| group == unit.group()) {
                    Split::Test
                } else if validation.iter().any(|group| group == unit.group()) {
                    Split::Validation
                } else {
                    Split::Train
                };
                unit.set_split(split);
            }
        }
        Rule::Folds { folds, fold } => {
            require_groups(units, folds.iter().flatten(), place)?;
            for unit in &mut *units {
                let held_out = folds[*fold].iter().any(|group| group == unit.group());
                unit.set_split(if held_out { Split::Test } else { Split::Train });
            }
        }
        Rule::Share { test, by } => {
            units.iter_mut().for_each(|unit| unit.set_split(Split::Train));
            take_share(units, *test, *by, Split::Test, Rng::for_purpose(seed, "split test"), place)?;
        }
    }
    let has_validation = units.iter().any(|unit| unit.split() == Split::Validation);
    if settings.validation > 0.0 && !has_validation {
        let rng = Rng::for_purpose(seed, "split validation");
        take_share(units, settings.validation, settings.validation_by, Split::Validation, rng, place)?;
    }
    Ok(())
}

/// Refuses groups that the data does not have: they are spelling mistakes.
fn require_groups<'a>(
    units: &[impl Unit],
    named: impl Iterator<Item = &'a String>,
    place: &Path,
) -> Result<()> {
    let present: BTreeSet<&str> = units.iter().map(Unit::group).collect();
    for group in named {
        if !present.contains(group.as_str()) {
            let some: Vec<&str> = present.iter().copied().take(40).collect();
            return Err(InputError::new(
                place,
                format!("no example belongs to the group `{group}` of [data.split]"),
                format!("the groups are: {}", some.join(", ")),
            ));
        }
    }
    Ok(())
}

/// Moves a share of the training units to another split.
fn take_share(
    units: &mut [impl Unit],
    share: f64,
    by: By,
    split: Split,
    mut rng: Rng,
    place: &Path,
) -> Result<()> {
    let train = |unit: &dyn Unit| unit.split() == Split::Train;
    match by {
        By::Example => {
            let n_labels = units.iter().map(|unit| unit.label() + 1).max().unwrap_or(0);
            for label in 0..n_labels {
                let mut of_label: Vec<usize> =
                    (0..units.len()).filter(|&n| train(&units[n]) && units[n].label() == label).collect();
                rng.shuffle(&mut of_label);
                let take = share_of(of_label.len(), share);
                of_label[..take].iter().for_each(|&n| units[n].set_split(split));
            }
        }
        By::Group => {
            let present: BTreeSet<String> =
                units.iter().filter(|unit| train(*unit)).map(|unit| unit.group().to_string()).collect();
            let mut groups: Vec<String> = present.into_iter().collect();
            if groups.len() < 2 {
                return Err(InputError::new(
                    place,
                    "there are fewer than two groups, so none can be held out",
                    "split by `example` in [data.split], or record more people, machines or files",
                ));
            }
            rng.shuffle(&mut groups);
            let held_out: BTreeSet<String> = groups.drain(..share_of(groups.len(), share)).collect();
            for unit in units {
                if train(unit) && held_out.contains(unit.group()) {
                    unit.set_split(split);
                }
            }
        }
    }
    Ok(())
}

/// The share of `n` things, to the nearest: at least one where there are two, and never all.
fn share_of(n: usize, share: f64) -> usize {
    if n < 2 {
        return 0;
    }
    ((n as f64 * share + 0.5) as usize).clamp(1, n - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Samples;

    /// Ten examples of each of three classes, in six groups.
    fn examples() -> Vec<Example> {
        let example = |n: usize| Example {
            samples: Samples::U8(vec![]),
            label: n % 3,
            group: format!("g{}", n / 5),
            split: Split::Train,
            source: n.to_string(),
        };
        (0..30).map(example).collect()
    }

    fn assigned(rule: Rule, validation: f64, validation_by: By, seed: u64) -> Vec<Example> {
        let mut examples = examples();
        let settings = SplitSettings { rule, validation, validation_by };
        assign(&mut examples, false, &settings, seed, Path::new("set")).unwrap();
        examples
    }

    fn count(examples: &[Example], split: Split) -> usize {
        examples.iter().filter(|example| example.split == split).count()
    }

    #[test]
    fn a_share_of_examples_is_taken_from_every_class() {
        let examples = assigned(Rule::Share { test: 0.3, by: By::Example }, 0.2, By::Example, 1);
        for label in 0..3 {
            let of_label: Vec<Example> = examples.iter().filter(|e| e.label == label).cloned().collect();
            assert_eq!(count(&of_label, Split::Test), 3);
            assert_eq!(count(&of_label, Split::Validation), 1);
        }
    }

    #[test]
    fn a_share_of_groups_keeps_groups_together() {
        for seed in 0..20 {
            let examples = assigned(Rule::Share { test: 0.3, by: By::Group }, 0.25, By::Group, seed);
            assert_eq!((count(&examples, Split::Test), count(&examples, Split::Validation)), (10, 5));
            for group in examples.chunks(5) {
                assert!(group.iter().all(|example| example.split == group[0].split));
            }
        }
    }

    #[test]
    fn the_seed_decides() {
        let by_seed = |seed| assigned(Rule::Share { test: 0.5, by: By::Example }, 0.0, By::Example, seed);
        assert_eq!(by_seed(1), by_seed(1));
        assert_ne!(by_seed(1), by_seed(2));
    }

    #[test]
    fn groups_in_no_fold_are_trained_on() {
        let folds = vec![vec!["g0".to_string()], vec!["g1".to_string(), "g2".to_string()]];
        for (fold, tested) in [(0, 5), (1, 10)] {
            let rule = Rule::Folds { folds: folds.clone(), fold };
            let examples = assigned(rule, 0.0, By::Example, 1);
            assert_eq!(count(&examples, Split::Test), tested);
            assert_eq!(count(&examples, Split::Train), 30 - tested);
        }
    }

    #[test]
    fn data_without_an_official_split_cannot_be_split_so() {
        let settings = SplitSettings { rule: Rule::Official, validation: 0.0, validation_by: By::Example };
        let error = assign(&mut examples(), false, &settings, 1, Path::new("set")).unwrap_err();
        assert!(error.to_string().contains("`groups`, `folds` or `share`"), "{error}");
    }

    #[test]
    fn one_group_cannot_be_divided() {
        let mut examples = examples();
        examples.iter_mut().for_each(|example| example.group = "only".into());
        let settings = SplitSettings {
            rule: Rule::Share { test: 0.3, by: By::Group },
            validation: 0.0,
            validation_by: By::Example,
        };
        assert!(assign(&mut examples, false, &settings, 1, Path::new("set")).is_err());
    }
}
