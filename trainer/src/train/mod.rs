//! Training: from a network and examples to weights.
//!
//! A run is a folder. After every epoch it holds the newest checkpoints, one line of metrics more, and nothing
//! half-written, so that it can be interrupted at any time and goes on from the last epoch to the same weights.

mod batch;
mod checkpoint;
mod examples;
mod forward;
mod metrics;
mod ops;
mod optimiser;
mod schedule;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::Instant;

use anyhow::ensure;
use burn::tensor::{Device, Tensor, activation};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

pub use batch::Source;
pub use examples::Examples;
pub use metrics::EpochMetrics;

use batch::{ClassTargets, Targets};
use checkpoint::{Best, State};
use forward::Parameters;
use metrics::EpochLog;
use optimiser::{Optimiser, Rule};
use schedule::{Fall, Schedule};

use crate::metrics::auc;
use crate::network::Network;
use crate::recipe::Outputs;
use crate::recipe::training::{self as recipe, Keep};
use crate::rng::Rng;
use crate::run::Summary;
use crate::weights::Weights;

/// Examples per pass when nothing is trained.
const EVALUATION_BATCH: usize = 256;

/// What is trained, on what, and how.
pub struct Job<'a> {
    /// Name of the model.
    pub name: &'a str,
    /// What every random choice starts from.
    pub seed: u64,
    /// The layers.
    pub network: &'a Network,
    /// The settings.
    pub train: &'a recipe::Train,
    /// Parameter of the beta distribution by which pairs of examples are mixed.
    pub mixup: f64,
    /// Training examples.
    pub training: &'a dyn Source,
    /// Examples that choose the epoch.
    pub validation: &'a dyn Source,
    /// Examples measured at the end.
    pub test: &'a dyn Source,
    /// Which labels are those of normal signals, where the network gives its input again.
    pub normal: &'a [bool],
    /// What tells this recipe and data from others.
    pub fingerprint: &'a str,
}

impl Job<'_> {
    /// Refuses a folder that holds a run of another job.
    pub fn check_folder(&self, run: &Path) -> anyhow::Result<()> {
        self.start(run).map(|_| ())
    }

    /// The state of the newest checkpoint, or the state before training; and whether there was a checkpoint.
    fn start(&self, run: &Path) -> anyhow::Result<(State, bool)> {
        let weights = Weights::random(self.network, self.seed);
        let optimiser = Optimiser::new(self.rule(), self.train.weight_decay as f32, &weights);
        let mut state = State { epoch: 0, seconds: 0.0, weights, optimiser, best: None };
        let resumed = state.resume(run, self.fingerprint)?;
        Ok((state, resumed))
    }

    /// Trains in the folder `run`, going on where an interrupted run of the same job stopped.
    pub fn run(&self, run: &Path) -> anyhow::Result<(Weights, Summary)> {
        self.run_until(run, self.train.epochs)
    }

    /// Trains up to an epoch and finishes there.
    fn run_until(&self, run: &Path, last: usize) -> anyhow::Result<(Weights, Summary)> {
        ensure!(!self.training.is_empty(), "there are no training examples");
        ensure!(
            self.train.keep == Keep::Last || !self.validation.is_empty(),
            "`keep` of [train] is `best`, but there are no validation examples; set `validation` in [data.split], or \
             `keep = \"last\"`"
        );
        let (mut state, resumed) = self.start(run)?;
        if resumed {
            eprintln!("going on after epoch {} of {}", state.epoch, self.train.epochs);
        }
        keep_freed_memory();
        let mut log = EpochLog::open(run, state.epoch)?;
        let progress = Progress::new(self, state.epoch);
        while state.epoch < last.min(self.train.epochs) {
            let metrics = self.epoch(&mut state, &progress)?;
            log.push(&metrics)?;
            state.save(run, self.fingerprint)?;
            progress.epoch_done(&metrics);
        }
        progress.finish();
        self.finish(state)
    }

    fn rule(&self) -> Rule {
        match self.train.optimiser {
            recipe::Optimiser::Adam => Rule::AdamW,
            recipe::Optimiser::Sgd { momentum } => Rule::Sgd { momentum: momentum as f32 },
        }
    }

    fn schedule(&self) -> Schedule {
        let fall = match self.train.schedule {
            recipe::Schedule::Constant => Fall::Constant,
            recipe::Schedule::Cosine => Fall::Cosine,
            recipe::Schedule::Step { factor, every_epochs } => Fall::Step { every: every_epochs, factor },
        };
        Schedule {
            rate: self.train.learning_rate,
            warmup_epochs: self.train.warmup_epochs as f64,
            fall,
            epochs: self.train.epochs,
        }
    }

    fn targets(&self) -> Targets {
        let Outputs::Classes(classes) = self.network.outputs else {
            return Targets::Features;
        };
        let mut counts = vec![0_usize; classes];
        for i in 0..self.training.len() {
            counts[self.training.label(i)] += 1;
        }
        let class_weights = counts
            .iter()
            .map(|&count| match self.train.balance_classes {
                true => self.training.len() as f32 / (classes * count.max(1)) as f32,
                false => 1.0,
            })
            .collect();
        let smoothing = self.train.label_smoothing;
        Targets::Classes(ClassTargets { classes, smoothing, class_weights, mixup: self.mixup })
    }

    /// Trains one epoch.
    fn epoch(&self, state: &mut State, progress: &Progress) -> anyhow::Result<EpochMetrics> {
        let start = Instant::now();
        let device = Device::flex().autodiff();
        let epoch = state.epoch + 1;
        let order = batch::order(self.training.len(), self.seed, epoch);
        let mut rng = Rng::for_purpose(self.seed, &format!("batches of epoch {epoch}"));
        let (schedule, targets) = (self.schedule(), self.targets());
        let steps = order.len().div_ceil(self.train.batch) as u64;
        let (mut loss_sum, mut weight_sum, mut right) = (0.0, 0.0, 0_usize);
        let mut rate = 0.0;
        for examples in order.chunks(self.train.batch) {
            let batch = batch::training_batch(
                self.training,
                examples,
                (self.seed, epoch),
                &targets,
                &mut rng,
                &device,
            );
            let parameters = Parameters::new(&state.weights, &device);
            let (scores, seen) = forward::train_pass(self.network, &parameters, batch.input, &mut rng)?;
            let loss = match &targets {
                Targets::Classes(_) => {
                    (batch.targets * activation::log_softmax(scores.clone(), 1)).sum().neg()
                }
                Targets::Features => {
                    let difference = scores.clone() - batch.targets;
                    (difference.clone() * difference).sum()
                }
            };
            let loss_value = forward::floats(loss.clone())?.first().copied().unwrap_or(f32::NAN);
            ensure!(
                loss_value.is_finite(),
                "the training diverged in epoch {epoch} (the loss is {loss_value}); lower `learning_rate` of [train]"
            );
            let gradients = parameters.gradients(&(loss / batch.weight.max(f32::MIN_POSITIVE)))?;
            rate = schedule.at(state.optimiser.step, steps);
            state.optimiser.step(&mut state.weights, gradients, rate as f32);
            forward::gather_statistics(&mut state.weights, seen);
            loss_sum += f64::from(loss_value);
            weight_sum += f64::from(batch.weight);
            if let Targets::Classes(targets) = &targets {
                right += count_right(&forward::floats(scores.inner())?, &batch.labels, targets.classes);
            }
            progress.examples_done(examples.len());
        }
        ensure!(
            state.weights.is_finite(),
            "the training diverged in epoch {epoch}; lower `learning_rate` of [train]"
        );
        let measured = match self.validation.is_empty() {
            true => None,
            false => Some(self.measure(&state.weights, self.validation)?),
        };
        state.epoch = epoch;
        state.seconds += start.elapsed().as_secs_f64();
        if let Some((top1, loss)) = measured {
            // Without classes none is right, and the loss decides.
            let top1 = top1.unwrap_or(0.0);
            ensure!(
                loss.is_finite(),
                "the training diverged in epoch {epoch} (the loss on validation examples is {loss}); lower \
                 `learning_rate` of [train]"
            );
            if state.best.as_ref().is_none_or(|best| (top1, -loss) > (best.top1, -best.loss)) {
                state.best = Some(Best { epoch, top1, loss, weights: state.weights.clone() });
            }
        }
        Ok(EpochMetrics {
            epoch,
            loss: loss_sum / weight_sum,
            train_top1: (self.mixup == 0.0 && matches!(targets, Targets::Classes(_)))
                .then(|| right as f64 / order.len() as f64),
            validation_loss: measured.map(|(_, loss)| loss),
            validation_top1: measured.and_then(|(top1, _)| top1),
            learning_rate: rate,
            seconds: state.seconds,
        })
    }

    /// Share of examples that the float network gets right, where it tells classes apart, and its mean loss.
    pub fn measure(&self, weights: &Weights, source: &dyn Source) -> anyhow::Result<(Option<f64>, f64)> {
        let n = source.len().max(1) as f64;
        let Outputs::Classes(classes) = self.network.outputs else {
            return Ok((None, self.errors(weights, source)?.iter().sum::<f64>() / n));
        };
        let (mut right, mut loss) = (0, 0.0);
        self.infer(weights, source, |outputs, _, labels| {
            let likelihoods = forward::floats(activation::log_softmax(outputs, 1))?;
            right += count_right(&likelihoods, labels, classes);
            for (row, &label) in likelihoods.chunks_exact(classes).zip(labels) {
                loss -= f64::from(row[label]);
            }
            Ok(())
        })?;
        Ok((Some(right as f64 / n), loss / n))
    }

    /// The mean squared difference between output and input of each example.
    fn errors(&self, weights: &Weights, source: &dyn Source) -> anyhow::Result<Vec<f64>> {
        let features = self.network.outputs.count();
        let mut errors = Vec::with_capacity(source.len());
        self.infer(weights, source, |outputs, input, _| {
            let (outputs, input) = (forward::floats(outputs)?, forward::floats(input)?);
            errors.extend(outputs.chunks_exact(features).zip(input.chunks_exact(features)).map(|(b, a)| {
                let squares = b.iter().zip(a).map(|(b, a)| f64::from(b - a) * f64::from(b - a));
                squares.sum::<f64>() / features as f64
            }));
            Ok(())
        })?;
        Ok(errors)
    }

    /// Runs the network on examples as they are, some at a time; `each` is given outputs, input and labels.
    fn infer(
        &self,
        weights: &Weights,
        source: &dyn Source,
        mut each: impl FnMut(Tensor<2>, Tensor<4>, &[usize]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let device = Device::flex();
        let parameters = Parameters::new(weights, &device);
        let all: Vec<usize> = (0..source.len()).collect();
        for examples in all.chunks(EVALUATION_BATCH) {
            let (input, labels) = batch::plain_batch(source, examples, &device);
            let outputs = forward::infer(self.network, &parameters, input.clone())?;
            each(outputs, input, &labels)?;
        }
        Ok(())
    }

    /// How well the errors of normal test examples are told from those of the others.
    fn auc(&self, weights: &Weights) -> anyhow::Result<Option<f64>> {
        let errors = self.errors(weights, self.test)?;
        let is_normal = |example: usize| self.normal.get(self.test.label(example)) == Some(&true);
        let of = |normal: bool| -> Vec<f64> {
            errors
                .iter()
                .enumerate()
                .filter(|(i, _)| is_normal(*i) == normal)
                .map(|(_, error)| *error)
                .collect()
        };
        Ok(auc(&of(true), &of(false)))
    }

    /// Chooses the weights and measures them.
    fn finish(&self, state: State) -> anyhow::Result<(Weights, Summary)> {
        let best = state.best.filter(|_| self.train.keep == Keep::Best);
        let (weights, kept_epoch) = match best {
            Some(best) => (best.weights, best.epoch),
            None => (state.weights, state.epoch),
        };
        let (validation_top1, validation_loss) = match self.validation.is_empty() {
            true => (None, None),
            false => {
                let (top1, loss) = self.measure(&weights, self.validation)?;
                (top1, Some(loss))
            }
        };
        let reconstructs = matches!(self.network.outputs, Outputs::Features(_));
        let (float_top1, float_auc) = match reconstructs {
            true => (None, self.auc(&weights)?),
            false => (self.measure(&weights, self.test)?.0, None),
        };
        let epochs = state.epoch as u64;
        let per_epoch = self.network.training_macs() * self.training.len() as u64
            + self.network.macs() * self.validation.len() as u64;
        let summary = Summary {
            name: self.name.into(),
            seed: self.seed,
            float_top1,
            float_auc,
            samples: self.test.len(),
            train_samples: self.training.len(),
            validation_samples: self.validation.len(),
            validation_top1,
            validation_loss: validation_loss.filter(|_| reconstructs),
            epochs: state.epoch,
            kept_epoch,
            seconds: state.seconds,
            macs: self.network.macs(),
            training_macs: per_epoch * epochs,
            parameters: self.network.parameters(),
        };
        Ok((weights, summary))
    }
}

/// Lets the allocator keep what a step frees for the next step.
///
/// The allocator of glibc gives freed blocks of 128 kB and more back to the system, and a training step allocates the
/// same hundred of them again and again: more than half of the time went into the system's clearing of pages. It raises
/// that limit, and the one for memory at the end of the heap, to the size of the largest block of at most 32 MB that
/// was ever freed; this frees such a block. Other allocators do not mind.
fn keep_freed_memory() {
    const LARGEST: usize = (32 << 20) - (64 << 10);
    drop(std::hint::black_box(vec![1_u8; LARGEST]));
}

/// How many rows of scores are largest at their label.
fn count_right(scores: &[f32], labels: &[usize], classes: usize) -> usize {
    scores
        .chunks_exact(classes)
        .zip(labels)
        .filter(|(row, label)| row.iter().enumerate().all(|(i, v)| i == **label || *v < row[**label]))
        .count()
}

/// The progress bar on standard error.
struct Progress {
    bar: ProgressBar,
    is_terminal: bool,
    epochs: usize,
}

impl Progress {
    fn new(job: &Job, epochs_done: usize) -> Self {
        let per_epoch = job.training.len() as u64;
        let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
        let target = match is_terminal {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(Some(per_epoch * job.train.epochs as u64), target);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent:>3}% {per_sec} ETA {eta} {msg}") {
            bar.set_style(style);
        }
        bar.set_position(per_epoch * epochs_done as u64);
        bar.reset_eta();
        Self { bar, is_terminal, epochs: job.train.epochs }
    }

    fn examples_done(&self, n: usize) {
        self.bar.inc(n as u64);
    }

    fn epoch_done(&self, metrics: &EpochMetrics) {
        let mut line = format!("epoch {}/{} loss {:.4}", metrics.epoch, self.epochs, metrics.loss);
        for (name, top1) in [("train", metrics.train_top1), ("validation", metrics.validation_top1)] {
            if let Some(top1) = top1 {
                line += &format!(" {name} {top1:.4}");
            }
        }
        if let (None, Some(loss)) = (metrics.validation_top1, metrics.validation_loss) {
            line += &format!(" validation loss {loss:.4}");
        }
        match self.is_terminal {
            true => self.bar.set_message(line),
            false => eprintln!("{line} {:.0} s", metrics.seconds),
        }
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Scores of one batch as probabilities; for tests of the traced graph.
pub fn probabilities(network: &Network, weights: &Weights, input: &[f32]) -> anyhow::Result<Vec<f32>> {
    let device = Device::flex();
    let [h, w, c] = network.input;
    let n = input.len() / (h * w * c).max(1);
    let data = burn::tensor::TensorData::new(input.to_vec(), [n, h, w, c]);
    let parameters = Parameters::new(weights, &device);
    let scores = forward::infer(network, &parameters, Tensor::from_data(data, &device))?;
    forward::floats(activation::softmax(scores, 1))
}
