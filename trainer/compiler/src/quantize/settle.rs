//! The decisions, one after the other.

use std::rc::Rc;

use super::calibrate::{Chosen, Observed, Sample, chosen, observe};
use super::criterion::{Criterion, decibels, mean, surely_less};
use super::equalize::Pair;
use super::groups::{Group, groups};
use super::range::Method;
use super::report::{Gain, Report, Tensor};
use super::sweep::{Steps, has_layers, quantized};
use super::{Quantized, Settings, Step, equalize, search};
use crate::error::Result;
use crate::graph::{Graph, ValueId};

/// From so many samples on, a quarter of them takes no part in what it judges.
const ENOUGH: usize = 32;

/// Multiply-accumulates that one measurement of the outputs may take.
const JUDGE_MACS: u64 = 4_000_000_000;

/// Multiply-accumulates that the choice of all ranges may take.
const SEARCH_MACS: u64 = 40_000_000_000;

/// Bytes that the numbers of all samples may take while the walk goes through the network.
const WALK_BYTES: usize = 400 << 20;

/// Strengths of equalization that are tried.
const STRENGTHS: [f64; 2] = [1.0, 0.5];

/// What is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What it is.
    pub stage: &'static str,
    /// Steps of it that are done.
    pub done: usize,
    /// Its steps.
    pub total: usize,
}

/// Ranges by one method, weights to the nearest.
pub(super) fn plain(graph: &Graph, samples: &[Sample<'_>], method: Method) -> Result<Graph> {
    method.check()?;
    let mut graph = graph.clone();
    crate::passes::simplify(&mut graph);
    let observed = observe(&graph, samples, method.needs_bins(), &mut |_| {})?;
    let groups = groups(&graph);
    let chosen: Vec<Chosen> =
        groups.iter().map(|group| chosen(&graph, group, &observed, method)).collect::<Result<_>>()?;
    quantized(&graph, &groups, &chosen, Steps::default(), samples)
}

/// Calibrates a float graph on samples and quantizes it. Each sample holds one array per input, in the order of the input's
/// value, `[h, w, c]`. The graph is simplified first.
///
/// What is left to be decided is decided by the error at the outputs, over samples that took no part where there are enough of
/// them.
///
/// # Errors
/// When there is no sample, a sample does not fit, a number is infinite or not a number, or the graph cannot be
/// quantized.
pub fn quantize_with(
    graph: &Graph,
    samples: &[Sample<'_>],
    settings: &Settings,
    progress: &mut dyn FnMut(Progress),
) -> Result<Quantized> {
    settings.method.check()?;
    let mut float = graph.clone();
    crate::passes::simplify(&mut float);
    let job = Job::new(float, samples, settings)?;
    job.run(progress)
}

/// The float graph that is quantized, and what its values held.
#[derive(Debug)]
struct Basis {
    /// Strength of the equalization, where there was one.
    strength: Option<f64>,
    float: Graph,
    observed: Observed,
}

/// A way to quantize a graph.
#[derive(Debug, Clone)]
struct Plan {
    basis: Rc<Basis>,
    /// For each group, how its range is chosen.
    methods: Vec<Method>,
    steps: Steps,
}

/// What is fixed while plans are compared.
struct Job<'s> {
    settings: Settings,
    float: Graph,
    groups: Vec<Group>,
    pairs: Vec<Pair>,
    macs: u64,
    all: Vec<Sample<'s>>,
    /// Samples that plans are made from while they are judged.
    fit: Vec<Sample<'s>>,
    /// Samples that plans are judged on.
    criterion: Criterion<'s>,
    held_out: bool,
}

/// The plan that is kept so far, and the error of each sample under it.
struct Kept {
    plan: Plan,
    errors: Vec<f64>,
    gains: Vec<Gain>,
}

impl<'s> Job<'s> {
    fn new(float: Graph, samples: &[Sample<'s>], settings: &Settings) -> Result<Job<'s>> {
        let macs = macs(&float).max(1);
        let held_out = samples.len() >= ENOUGH;
        let pick = |judge: bool| -> Vec<Sample<'s>> {
            let chosen = samples.iter().enumerate().filter(|(i, _)| !held_out || (i % 4 == 3) == judge);
            chosen.map(|(_, sample)| sample.clone()).collect()
        };
        let (fit, judge) = (pick(false), pick(true));
        let judge = spread(&judge, ((JUDGE_MACS / macs) as usize).clamp(8, 128));
        Ok(Job {
            settings: *settings,
            groups: groups(&float),
            pairs: equalize::pairs(&float),
            macs,
            all: samples.to_vec(),
            fit,
            criterion: Criterion::new(&float, judge)?,
            held_out,
            float,
        })
    }

    fn run(&self, progress: &mut dyn FnMut(Progress)) -> Result<Quantized> {
        let settings = &self.settings;
        let basis = Rc::new(self.basis(None, &self.fit, progress)?);
        let uniform = |method: Method| vec![method; self.groups.len()];
        let plan = Plan { basis, methods: uniform(Method::MinMax), steps: Steps::default() };
        let errors = self.judge(&plan)?;
        let plain = mean(&errors);
        let mut kept = Kept { plan, errors, gains: Vec::new() };

        match settings.method {
            Method::MinMax => {}
            Method::Auto => {
                let methods = self.search(&kept.plan.basis, progress)?;
                let plan = Plan { methods, ..kept.plan.clone() };
                self.offer(&mut kept, "ranges", Step::Auto, [plan])?;
            }
            method => {
                let plan = Plan { methods: uniform(method), ..kept.plan.clone() };
                self.offer(&mut kept, "ranges", Step::On, [plan])?;
            }
        }
        let mut evened = Vec::new();
        if settings.equalize != Step::Off && !self.pairs.is_empty() {
            for strength in STRENGTHS {
                evened.push(Rc::new(self.basis(Some(strength), &self.fit, progress)?));
            }
            let plans = evened.iter().map(|basis| Plan { basis: basis.clone(), ..kept.plan.clone() });
            let plans: Vec<Plan> = plans.collect();
            self.offer(&mut kept, "equalize", settings.equalize, plans)?;
        }
        if settings.method == Method::Auto && kept.plan.basis.strength.is_some() {
            let methods = self.search(&kept.plan.basis, progress)?;
            let plan = Plan { methods, ..kept.plan.clone() };
            self.offer(&mut kept, "ranges", Step::Auto, [plan])?;
        }
        if has_layers(&self.float) {
            let mut tell = Stage::new(progress, "settling weights and biases", 2);
            if settings.round_weights != Step::Off {
                let steps = Steps { round_weights: true, ..kept.plan.steps };
                let plan = Plan { steps, ..kept.plan.clone() };
                self.offer(&mut kept, "round-weights", settings.round_weights, [plan])?;
            }
            tell.done(1);
            // Means over few samples, judged on the same samples, would always seem to gain.
            let sound = self.held_out || settings.correct_bias == Step::On;
            if settings.correct_bias != Step::Off && sound {
                let steps = Steps { correct_bias: true, ..kept.plan.steps };
                let plan = Plan { steps, ..kept.plan.clone() };
                self.offer(&mut kept, "correct-bias", settings.correct_bias, [plan])?;
            }
            tell.done(1);
        }
        if kept.plan.basis.strength.is_none() && kept.plan.steps != Steps::default() && !evened.is_empty() {
            let methods = [kept.plan.methods.clone(), uniform(Method::MinMax)];
            let auto = settings.method == Method::Auto;
            let methods = &methods[..if auto { 2 } else { 1 }];
            let plans = evened.iter().flat_map(|basis| methods.iter().map(move |methods| (basis, methods)));
            let plans: Vec<Plan> = plans
                .map(|(basis, methods)| Plan {
                    basis: basis.clone(),
                    methods: methods.clone(),
                    steps: kept.plan.steps,
                })
                .collect();
            self.offer(&mut kept, "equalize", settings.equalize, plans)?;
        }
        if settings.method == Method::Auto {
            // With better weights and biases, what was no gain before may be one now.
            let plan = Plan { methods: uniform(Method::MinMax), ..kept.plan.clone() };
            self.offer(&mut kept, "ranges", Step::Auto, [plan])?;
        }
        self.finish(kept, plain, progress)
    }

    /// Keeps the best of some plans: where the step is to be decided, only if it is surely better than what is kept already.
    fn offer(
        &self,
        kept: &mut Kept,
        step: &'static str,
        decide: Step,
        plans: impl IntoIterator<Item = Plan>,
    ) -> Result<()> {
        let mut best: Option<(Vec<f64>, Plan)> = None;
        for plan in plans {
            let errors = self.judge(&plan)?;
            if best.as_ref().is_none_or(|(least, _)| mean(&errors) < mean(least)) {
                best = Some((errors, plan));
            }
        }
        let Some((errors, plan)) = best else { return Ok(()) };
        let keep = decide == Step::On || surely_less(&errors, &kept.errors);
        let (before, after) = (decibels(mean(&kept.errors)), decibels(mean(&errors)));
        kept.gains.push(Gain { step, kept: keep, before, after });
        if keep {
            kept.errors = errors;
            kept.plan = plan;
        }
        Ok(())
    }

    /// The float graph, evened out where a strength is given, and what it holds over some samples.
    fn basis(
        &self,
        strength: Option<f64>,
        samples: &[Sample<'_>],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Basis> {
        let mut float = self.float.clone();
        if let Some(strength) = strength {
            equalize::equalize(&mut float, &self.pairs, strength, samples)?;
        }
        let mut tell = Stage::new(progress, "observing values", samples.len());
        let bins = self.settings.method.needs_bins();
        let observed = observe(&float, samples, bins, &mut |done| tell.done(done))?;
        Ok(Basis { strength, float, observed })
    }

    /// The best method for each group.
    fn search(&self, basis: &Basis, progress: &mut dyn FnMut(Progress)) -> Result<Vec<Method>> {
        let runs = search::METHODS.len() as u64 * self.groups.len().max(1) as u64 / 2 + 1;
        let most = ((SEARCH_MACS / runs / self.macs) as usize).clamp(8, 128);
        let criterion = Criterion::new(&basis.float, spread(&self.fit, most))?;
        let mut tell = Stage::new(progress, "choosing ranges", self.groups.len());
        let mut done = |groups| tell.done(groups);
        search::choose(&basis.float, &self.groups, &basis.observed, &criterion, &mut done)
    }

    /// The quantization of each group under a plan.
    fn chosen(&self, plan: &Plan) -> Result<Vec<Chosen>> {
        let Basis { float, observed, .. } = &*plan.basis;
        let groups = self.groups.iter().zip(&plan.methods);
        groups.map(|(group, &method)| chosen(float, group, observed, method)).collect()
    }

    fn graph(&self, plan: &Plan, samples: &[Sample<'_>]) -> Result<Graph> {
        let float = &plan.basis.float;
        let samples = spread(samples, affordable(float));
        quantized(float, &self.groups, &self.chosen(plan)?, plan.steps, &samples)
    }

    /// The error of each sample under a plan.
    fn judge(&self, plan: &Plan) -> Result<Vec<f64>> {
        self.criterion.errors(&self.graph(plan, &self.fit)?)
    }

    /// The plan that was kept, made anew from all samples.
    fn finish(&self, kept: Kept, plain: f64, progress: &mut dyn FnMut(Progress)) -> Result<Quantized> {
        let Kept { mut plan, gains, .. } = kept;
        if self.held_out {
            plan.basis = Rc::new(self.basis(plan.basis.strength, &self.all, progress)?);
        }
        let mut tell = Stage::new(progress, "quantizing", 1);
        let graph = self.graph(&plan, &self.all)?;
        let error = mean(&self.criterion.errors(&graph)?);
        tell.done(1);
        let chosen = self.chosen(&plan)?;
        let mut tensors: Vec<(ValueId, Tensor)> = Vec::new();
        for (group, chosen) in self.groups.iter().zip(&chosen) {
            for &id in &group.members {
                let seen = plan.basis.observed.histogram(id).extremes().unwrap_or((0.0, 0.0));
                tensors.push((id, Tensor::new(&plan.basis.float, id, chosen, seen)));
            }
        }
        tensors.sort_by_key(|(id, _)| *id);
        let report = Report {
            samples: self.all.len(),
            judged: self.criterion.samples().len(),
            held_out: self.held_out,
            plain_decibels: decibels(plain),
            decibels: decibels(error),
            gains,
            tensors: tensors.into_iter().map(|(_, tensor)| tensor).collect(),
            equalized: if plan.basis.strength.is_some() { self.pairs.len() } else { 0 },
        };
        Ok(Quantized { graph, report })
    }
}

/// Tells the caller how far one stage is.
struct Stage<'p> {
    progress: &'p mut dyn FnMut(Progress),
    state: Progress,
}

impl<'p> Stage<'p> {
    fn new(progress: &'p mut dyn FnMut(Progress), stage: &'static str, total: usize) -> Stage<'p> {
        let state = Progress { stage, done: 0, total };
        progress(state);
        Stage { progress, state }
    }

    fn done(&mut self, steps: usize) {
        self.state.done += steps;
        (self.progress)(self.state);
    }
}

/// At most so many of the samples, at equal distances.
fn spread<'s>(samples: &[Sample<'s>], most: usize) -> Vec<Sample<'s>> {
    let count = samples.len().min(most);
    (0..count).map(|i| samples[i * samples.len() / count].clone()).collect()
}

/// How many samples the walk through a network may take side by side.
fn affordable(graph: &Graph) -> usize {
    let activations = graph.values().iter().filter(|value| !value.is_constant());
    // Few values are alive at a time; where that is not so, four of the largest are a fair guess.
    let largest = activations.map(|value| value.len()).max().unwrap_or(1);
    (WALK_BYTES / (largest.max(1) * 4 * 2 * 4)).clamp(8, 1024)
}

/// Multiply-accumulates of one inference.
fn macs(graph: &Graph) -> u64 {
    let layers = graph.nodes.iter().filter_map(|node| {
        let filter = graph.value(*node.inputs.get(1)?).constant.as_ref()?;
        let output = &graph.value(node.output()).shape;
        let places: usize = output[..output.len() - 1].iter().product();
        Some(places as u64 * filter.elements().len() as u64)
    });
    layers.sum()
}
