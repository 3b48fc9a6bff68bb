//! The learning rate over a training run.

/// How the learning rate falls after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fall {
    /// Not at all.
    Constant,
    /// Along half a cosine to zero at the end.
    Cosine,
    /// By a factor every so many epochs.
    Step {
        /// Epochs between two falls.
        every: usize,
        /// What the rate is multiplied by.
        factor: f64,
    },
}

/// The learning rate of every step of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// The rate after the warm-up.
    pub rate: f64,
    /// Epochs over which the rate rises from near zero.
    pub warmup_epochs: f64,
    /// How it falls.
    pub fall: Fall,
    /// Epochs of the run.
    pub epochs: usize,
}

impl Schedule {
    /// The rate of a step, counted from 0, where an epoch has `steps_per_epoch` steps.
    pub fn at(&self, step: u64, steps_per_epoch: u64) -> f64 {
        let epoch = step as f64 / steps_per_epoch.max(1) as f64;
        if epoch < self.warmup_epochs {
            let warmup_steps = self.warmup_epochs * steps_per_epoch as f64;
            return self.rate * ((step + 1) as f64 / warmup_steps).min(1.0);
        }
        let progress = match self.epochs as f64 - self.warmup_epochs {
            length if length > 0.0 => ((epoch - self.warmup_epochs) / length).min(1.0),
            _ => 0.0,
        };
        match self.fall {
            Fall::Constant => self.rate,
            Fall::Cosine => self.rate * 0.5 * (1.0 + libm::cos(std::f64::consts::PI * progress)),
            Fall::Step { every, factor } => {
                let falls = (epoch as usize).checked_div(every).unwrap_or(0);
                self.rate * libm::pow(factor, falls as f64)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warm_up_then_cosine() {
        let schedule = Schedule { rate: 0.1, warmup_epochs: 2.0, fall: Fall::Cosine, epochs: 12 };
        assert!((schedule.at(0, 10) - 0.005).abs() < 1e-12);
        assert!((schedule.at(19, 10) - 0.1).abs() < 1e-12);
        assert!((schedule.at(70, 10) - 0.05).abs() < 1e-12);
        assert!(schedule.at(119, 10) < 1e-4);
    }

    #[test]
    fn steps_fall_by_their_factor() {
        let fall = Fall::Step { every: 3, factor: 0.5 };
        let schedule = Schedule { rate: 1.0, warmup_epochs: 0.0, fall, epochs: 9 };
        let rates: Vec<f64> = (0..9).map(|epoch| schedule.at(epoch * 4, 4)).collect();
        assert_eq!(rates, [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25]);
    }
}
