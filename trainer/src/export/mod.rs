//! From a trained run, or any model file, to the folder that a user keeps: quantized ONNX, plan, labels, golden vectors,
//! model card.

pub mod card;

use std::path::Path;

use anyhow::{Context, Result, bail};
use teff_app::decision::{self, Kind as DecisionKind};
use teff_compiler::graph::Graph;
use teff_compiler::onnx::metadata;
use teff_compiler::quantize::{self, Method, Quantized, Step};
use teff_compiler::{Compiled, Format, Options, Target};

use crate::anomaly::{self, Figures, Found, Subject};
use crate::arrays;
use crate::dataset::{self, DataSet, Split};
use crate::engine::float::Float;
use crate::engine::teff::Teff;
use crate::engine::{Engine, batch};
use crate::evaluation;
use crate::features::{self, Features};
use crate::files::Staged;
use crate::golden;
use crate::metrics::Confusion;
use crate::model_file::{self, Facts};
use crate::recipe::decision::Reconstruction;
use crate::recipe::{self, Data, DataSource, Decision, Recipe};
use crate::rng::Rng;
use crate::run::Run;
use crate::trace::trace;
use card::Card;

/// Names of the files.
pub const ONNX: &str = "model.onnx";
/// The compiled plan.
pub const PLAN: &str = "model.teff";
/// One label per line.
pub const LABELS: &str = "labels.txt";
/// The model card.
pub const CARD: &str = "README.md";
/// What the weights may be used for.
pub const LICENCE: &str = "LICENSE";
/// The recipe of a trained model.
pub const RECIPE: &str = "recipe.toml";

/// A quantized model and all that is known about it.
#[derive(Debug)]
pub struct Model {
    /// Its name.
    pub name: String,
    /// Whether it was quantized here; an ONNX file that was quantized already is kept byte for byte.
    pub was_float: bool,
    /// The ONNX file.
    pub onnx: Vec<u8>,
    /// Its plan.
    pub compiled: Compiled,
    /// The recipe and its text, where it has one.
    pub recipe: Option<(Recipe, String)>,
    /// How good it was before quantization.
    pub float: Option<Quality>,
    /// How good the integers are.
    pub int8: Option<Quality>,
    /// Where the threshold of a model of normal signals comes from.
    pub found: Option<Found>,
    /// How it was quantized here.
    pub quantization: Option<quantize::Report>,
}

/// What was measured on the test split.
#[derive(Debug, Clone, PartialEq)]
pub enum Quality {
    /// Of a model that tells classes apart.
    Accuracy(Accuracy),
    /// Of a model that says how unusual the signal is.
    Anomaly(Figures),
}

impl Quality {
    /// The accuracy of a model that tells classes apart.
    pub fn accuracy(&self) -> Option<Accuracy> {
        match self {
            Quality::Accuracy(accuracy) => Some(*accuracy),
            Quality::Anomaly(_) => None,
        }
    }

    /// The figures of a model that says how unusual the signal is.
    pub fn anomaly(&self) -> Option<&Figures> {
        match self {
            Quality::Accuracy(_) => None,
            Quality::Anomaly(figures) => Some(figures),
        }
    }
}

/// How many test examples were right.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Accuracy {
    /// Share of examples that were right.
    pub top1: f64,
    /// How many examples there were.
    pub samples: usize,
}

impl From<&Confusion> for Quality {
    fn from(confusion: &Confusion) -> Quality {
        Quality::Accuracy(Accuracy { top1: confusion.top1(), samples: confusion.samples() })
    }
}

/// Where calibration examples and test examples come from.
#[derive(Debug, Clone, Copy)]
pub enum Calibration<'a> {
    /// Arrays in a file.
    Arrays(&'a Path),
    /// The folder of a data set, or its parent.
    DataSet(&'a Path),
}

/// The settings of an export.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    /// Calibration data; for a run, the folder of its data set where that has moved.
    pub calibration: Option<Calibration<'a>>,
    /// Recipe of a model that does not carry its own.
    pub recipe: Option<&'a Path>,
    /// How it is quantized, where that differs from the recipe's way or the default.
    pub quantize: Wishes,
    /// Processor that weights are packed for.
    pub target: Target,
    /// Wishes about the plan.
    pub options: Options,
}

/// What was asked for in place of the recipe's way to quantize, or of the default.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Wishes {
    /// How ranges are chosen.
    pub method: Option<Method>,
    /// Whether channels are evened out between layers.
    pub equalize: Option<Step>,
    /// Whether weights are rounded for the smallest error of their sums.
    pub round_weights: Option<Step>,
    /// Whether mean errors are taken off the biases.
    pub correct_bias: Option<Step>,
    /// How many samples it is done with.
    pub samples: Option<usize>,
}

impl Wishes {
    /// The settings, and the number of samples.
    fn over(self, recipe: &recipe::Quantize) -> recipe::Quantize {
        let old = recipe.settings;
        recipe::Quantize {
            settings: quantize::Settings {
                method: self.method.unwrap_or(old.method),
                equalize: self.equalize.unwrap_or(old.equalize),
                round_weights: self.round_weights.unwrap_or(old.round_weights),
                correct_bias: self.correct_bias.unwrap_or(old.correct_bias),
            },
            samples: self.samples.unwrap_or(recipe.samples),
        }
    }
}

/// Told how far the quantization is.
pub type Tell<'a> = &'a mut dyn FnMut(quantize::Progress);

/// Quantizes and measures the network of a run.
pub fn of_run(folder: &Path, settings: &Settings<'_>, tell: Tell<'_>) -> Result<Model> {
    let run = Run::open(folder)?;
    let recipe = &run.recipe;
    let data = match settings.calibration {
        Some(Calibration::DataSet(data)) => Some(data),
        Some(Calibration::Arrays(file)) => bail!(
            "{}: is an array file, but a run is calibrated on its own data set. Remedy: leave `--calibrate` out, or name \
             the folder of the data set",
            file.display()
        ),
        None => run.data.as_deref(),
    };
    if settings.recipe.is_some() {
        bail!(
            "`--recipe` is for model files; the run {} has its own. Remedy: leave it out",
            folder.display()
        );
    }
    let set = dataset::load(&recipe.data, recipe.seed, data, &run.recipe_folder)?;
    let mut graph = trace(&recipe.name, &run.network, &run.weights)?;
    describe(&mut graph, recipe, &run.recipe_text, &run.front_end.to_string(), folder)?;
    let features = Features::new(&set, Split::Train, &run.front_end)?;
    let way = settings.quantize.over(&recipe.quantize);
    let quantized =
        quantize_on(&graph, &features, &way, recipe.seed, recipe.reconstruction().is_some(), tell)?;
    let mut model = match recipe.reconstruction() {
        Some(reconstruction) => {
            let data = Reconstructed { source: folder, reconstruction, data: &recipe.data, set: &set };
            data.finish(recipe.name.clone(), graph, quantized, settings)?
        }
        None => {
            let mut model = finish(folder, recipe.name.clone(), quantized, settings)?;
            let samples = run.summary.samples;
            model.float = run.summary.float_top1.map(|top1| Quality::Accuracy(Accuracy { top1, samples }));
            model.int8 = Some(measure_int8(folder, &model, &recipe.data, &set)?);
            model
        }
    };
    model.recipe = Some((run.recipe.clone(), run.recipe_text.clone()));
    Ok(model)
}

/// Quantizes a model file, unless it is quantized already, and measures it where there is a data set.
pub fn of_file(path: &Path, settings: &Settings<'_>, tell: Tell<'_>) -> Result<Model> {
    let bytes = model_file::read(path)?;
    let in_file = |error: teff_compiler::Error| error.in_file(path);
    let mut graph = teff_compiler::import(&bytes).map_err(in_file)?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let recipe = settings.recipe.map(|file| Ok::<_, anyhow::Error>((Recipe::read(file)?, read_text(file)?)));
    let recipe = recipe.transpose()?;
    if graph.has_integers() {
        if matches!(settings.calibration, Some(Calibration::Arrays(_)))
            || settings.quantize != Wishes::default()
        {
            bail!(
                "{}: is quantized already. Remedy: leave out `--calibrate` and what says how to quantize",
                path.display()
            );
        }
        let onnx = match Format::of(&bytes) {
            Format::Onnx => bytes,
            Format::Tflite => teff_compiler::onnx::export(&graph).map_err(in_file)?,
        };
        let compiled = compile(&onnx, &graph, settings).map_err(in_file)?;
        let mut model = Model {
            name,
            was_float: false,
            onnx,
            compiled,
            recipe,
            float: None,
            int8: None,
            found: None,
            quantization: None,
        };
        let facts = Facts::of_graph(&graph);
        if anomaly::settings(path, &facts)?.is_none()
            && model.recipe.as_ref().is_some_and(|(recipe, _)| recipe.reconstruction().is_some())
        {
            bail!(
                "{}: is quantized already and kept as it is, so no threshold can be written to it. Remedy: give the float \
                 model, or a file with a line `teff.decision`",
                path.display()
            );
        }
        if let Some(Calibration::DataSet(data)) = settings.calibration {
            let (source, set) = data_set(path, &facts, &model.recipe, data)?;
            model.int8 = Some(measure_int8(path, &model, &source, &set)?);
        }
        return Ok(model);
    }
    let way =
        settings.quantize.over(recipe.as_ref().map_or(&recipe::Quantize::default(), |(r, _)| &r.quantize));
    match settings.calibration {
        None => bail!(
            "{}: is a float model, and its ranges have to be measured. Remedy: give `--calibrate X.npz` with some inputs, \
             or `--calibrate DATASET`",
            path.display()
        ),
        Some(Calibration::Arrays(file)) => {
            if recipe.is_some() {
                bail!(
                    "{}: `--recipe` says how inputs are made from a data set, but arrays are inputs already. Remedy: leave \
                     `--recipe` out, or give the folder of the data set as `--calibrate`",
                    file.display()
                );
            }
            let arrays = arrays::read(file)?;
            let float = Float::new(graph.clone());
            let examples = batch::examples(float.inputs(), &arrays, file)?;
            let samples: Vec<Vec<Vec<f32>>> = examples
                .iter()
                .map(|example| {
                    let ports = graph.inputs.iter().zip(example);
                    ports.map(|(port, array)| port.to_value(&array.to_f32())).collect()
                })
                .collect();
            let count = settings.quantize.samples.unwrap_or(samples.len()).min(samples.len());
            let slices: Vec<quantize::Sample<'_>> =
                samples[..count].iter().map(|sample| sample.iter().map(Vec::as_slice).collect()).collect();
            let quantized = quantize::quantize_with(&graph, &slices, &way.settings, tell).map_err(in_file)?;
            finish(path, name, quantized, settings)
        }
        Some(Calibration::DataSet(data)) => {
            let (source, set) = data_set(path, &Facts::of_graph(&graph), &recipe, data)?;
            if let (Some((recipe, text)), None) = (&recipe, graph.metadata.get(metadata::FRONT_END)) {
                let front_end = features::front_end(recipe, &set)?.to_string();
                describe(&mut graph, recipe, text, &front_end, path)?;
            }
            let facts = Facts::of_graph(&graph);
            let line = facts.metadata(metadata::FRONT_END).with_context(|| {
                format!(
                    "{}: does not say how its input is computed from samples. Remedy: name its recipe with `--recipe`",
                    path.display()
                )
            })?;
            let config = teff_compiler::front_end::FrontEndConfig::parse(line).map_err(in_file)?;
            let features = Features::new(&set, Split::Train, &config)?;
            let seed = recipe.as_ref().map_or(0, |(recipe, _)| recipe.seed);
            let reconstruction = recipe.as_ref().and_then(|(recipe, _)| recipe.reconstruction());
            let quantized = quantize_on(&graph, &features, &way, seed, reconstruction.is_some(), tell)
                .map_err(|e| e.context(path.display().to_string()))?;
            let mut model = if let Some(reconstruction) = reconstruction {
                anomaly::check(reconstruction, &source, &set)?;
                let data = Reconstructed { source: path, reconstruction, data: &source, set: &set };
                data.finish(name, graph, quantized, settings)?
            } else {
                let mut model = finish(path, name, quantized, settings)?;
                // In floating point an unusual signal has no score in steps of integers.
                if anomaly::settings(path, &facts)?.is_none() {
                    let mut float = Float::new(graph);
                    let decided = evaluation::evaluate(path, &facts, &mut float, &set, Split::Test, |_| {})?;
                    model.float = Some(Quality::from(&evaluation::confusion(&decided, set.labels.len())));
                }
                model.int8 = Some(measure_int8(path, &model, &source, &set)?);
                model
            };
            model.recipe = recipe;
            Ok(model)
        }
    }
}

/// Writes the files of a model into a folder: all of them, or none.
pub fn write(model: &Model, source: &Path, folder: &Path) -> Result<()> {
    let mut staged = Staged::new(folder)?;
    staged.add(ONNX, &model.onnx)?;
    staged.add(PLAN, &model.compiled.plan)?;
    let mut engine = Teff::from_plan(&model.compiled.plan, source)?;
    let facts = Facts::of_plan(&engine.model()).map_err(anyhow::Error::msg)?;
    if !facts.labels().is_empty() {
        staged.add(LABELS, (facts.labels().join("\n") + "\n").as_bytes())?;
    }
    let golden = arrays::to_npz(&golden::make(&mut engine)?).context("golden vectors")?;
    staged.add(golden::FILE, &golden)?;
    let card = Card { model, facts: &facts, ports: [engine.inputs(), engine.outputs()] };
    staged.add(CARD, card.text().as_bytes())?;
    if let Some((recipe, text)) = &model.recipe {
        staged.add(RECIPE, text.as_bytes())?;
        staged.add(LICENCE, card::licence(recipe).as_bytes())?;
    }
    staged.finish()
}

/// Puts what a recipe says into the metadata of a graph.
fn describe(graph: &mut Graph, recipe: &Recipe, text: &str, front_end: &str, source: &Path) -> Result<()> {
    let mut put = |key: &str, value: String| graph.metadata.insert(key.to_string(), value);
    put(metadata::VERSION, metadata::CURRENT_VERSION.to_string());
    match &recipe.decision {
        // The event has a name; the threshold is found with the quantized model.
        Some(Decision::Reconstruction(_)) => put(metadata::LABELS, anomaly::LABEL.to_string()),
        _ => put(metadata::LABELS, recipe.data.labels.join("\n")),
    };
    put(metadata::FRONT_END, front_end.to_string());
    if let Some(Decision::Classes(decision)) = &recipe.decision {
        put(metadata::DECISION, decision.to_string());
    }
    put(metadata::DATA, DataSource::text_of(source, text, recipe)?);
    put(
        metadata::LICENCE,
        format!("{}; trained on {} ({})", recipe.card.licence, recipe.card.data, recipe.card.data_licence),
    );
    Ok(())
}

/// How much further from the mean than normal signals those are that ranges have room for. Half of the steps are left to
/// normal ones, which is plenty; what is unusual would else be cut off at the ends of the input's range.
const HEADROOM: f64 = 2.0;

/// Quantizes on training examples, chosen by the seed. Those of a network that is to give its input again are normal,
/// and ranges that end with them would cut off what is unusual: each is given a second time, further from the mean.
fn quantize_on(
    graph: &Graph,
    features: &Features,
    way: &recipe::Quantize,
    seed: u64,
    reconstructs: bool,
    tell: Tell<'_>,
) -> Result<Quantized> {
    let mut order: Vec<usize> = (0..features.len()).collect();
    Rng::for_purpose(seed, "calibration").shuffle(&mut order);
    let plain: Vec<&[f32]> = order.iter().take(way.samples).map(|&example| features.plain(example)).collect();
    let unusual = if reconstructs { stretched(&plain) } else { Vec::new() };
    let mut chosen: Vec<quantize::Sample<'_>> = Vec::with_capacity(plain.len() + unusual.len());
    for (n, sample) in plain.iter().enumerate() {
        chosen.push(vec![*sample]);
        chosen.extend(unusual.get(n).map(|sample| vec![sample.as_slice()]));
    }
    Ok(quantize::quantize_with(graph, &chosen, &way.settings, tell)?)
}

/// Samples `HEADROOM` times as far from their mean, number by number.
fn stretched(samples: &[&[f32]]) -> Vec<Vec<f32>> {
    let mut means = vec![0.0_f64; samples.first().map_or(0, |sample| sample.len())];
    for sample in samples {
        for (mean, &value) in means.iter_mut().zip(*sample) {
            *mean += f64::from(value) / samples.len() as f64;
        }
    }
    let stretch = |sample: &&[f32]| -> Vec<f32> {
        let values = sample.iter().zip(&means);
        values.map(|(&value, mean)| (mean + HEADROOM * (f64::from(value) - mean)) as f32).collect()
    };
    samples.iter().map(stretch).collect()
}

fn finish(source: &Path, name: String, quantized: Quantized, settings: &Settings<'_>) -> Result<Model> {
    let in_file = |error: teff_compiler::Error| error.in_file(source);
    let Quantized { graph, report } = quantized;
    let onnx = teff_compiler::onnx::export(&graph).map_err(in_file)?;
    let compiled = compile(&onnx, &graph, settings).map_err(in_file)?;
    let quantization = Some(report);
    Ok(Model {
        name,
        was_float: true,
        onnx,
        compiled,
        recipe: None,
        float: None,
        int8: None,
        found: None,
        quantization,
    })
}

/// What a network that gives its input again is measured with.
struct Reconstructed<'a> {
    source: &'a Path,
    reconstruction: &'a Reconstruction,
    data: &'a Data,
    set: &'a DataSet,
}

impl Reconstructed<'_> {
    /// Finds the threshold with the integers of the device, writes it to the model, and measures the model beside the
    /// float network, which has a threshold of its own, found in the same way.
    fn finish(
        &self,
        name: String,
        float: Graph,
        mut quantized: Quantized,
        settings: &Settings<'_>,
    ) -> Result<Model> {
        let facts = Facts::of_graph(&float);
        let subject = Subject {
            model: self.source,
            facts: &facts,
            kind: DecisionKind::Reconstruction,
            input_step: None,
        };
        let without = teff_compiler::onnx::export(&quantized.graph)
            .and_then(|onnx| compile(&onnx, &quantized.graph, settings))
            .map_err(|error| error.in_file(self.source))?;
        let mut engine = Teff::from_plan(&without.plan, self.source)?;
        let input_step = engine.inputs().first().and_then(|port| port.quant).map(|quant| quant.scale);
        let (found, int8) = self.measure(&subject, &mut engine)?;
        let line = anomaly::line(self.reconstruction, found.threshold);
        quantized.graph.metadata.insert(metadata::DECISION.to_string(), line);
        let mut model = finish(self.source, name, quantized, settings)?;
        let (_, float) = self.measure(&Subject { input_step, ..subject }, &mut Float::new(float))?;
        model.float = Some(Quality::Anomaly(float));
        model.int8 = Some(Quality::Anomaly(int8));
        model.found = Some(found);
        Ok(model)
    }

    /// The threshold of an engine, and the figures on the test split with it.
    fn measure(&self, subject: &Subject<'_>, engine: &mut dyn Engine) -> Result<(Found, Figures)> {
        let mut windows = |split| subject.windows(engine, self.data, self.set, split, |_| {});
        let found = anomaly::find(self.reconstruction, &windows(Split::Validation)?)?;
        let line = anomaly::line(self.reconstruction, found.threshold);
        let settings = decision::Settings::read(&line)
            .map_err(|error| anyhow::anyhow!("the line `{line}` is refused: {error}"))?;
        Ok((found, Figures::new(settings, self.data, &windows(Split::Test)?)))
    }
}

/// Compiles the ONNX file that was made of a graph; what is to be known of the graph is to be known of the plan.
fn compile(onnx: &[u8], graph: &Graph, settings: &Settings<'_>) -> teff_compiler::Result<Compiled> {
    let mut compiled = teff_compiler::compile_with(onnx, settings.target, &settings.options)?;
    let mut notes = graph.notes.clone();
    notes.extend(compiled.report.notes.into_iter().filter(|note| !graph.notes.contains(note)));
    compiled.report.notes = notes;
    Ok(compiled)
}

fn measure_int8(source: &Path, model: &Model, data: &Data, set: &DataSet) -> Result<Quality> {
    let mut engine = Teff::from_plan(&model.compiled.plan, source)?;
    let facts = Facts::of_plan(&engine.model()).map_err(anyhow::Error::msg)?;
    if let Some(settings) = anomaly::settings(source, &facts)? {
        evaluation::check_normal(source, data)?;
        let subject = Subject { model: source, facts: &facts, kind: settings.kind, input_step: None };
        let windows = subject.windows(&mut engine, data, set, Split::Test, |_| {})?;
        return Ok(Quality::Anomaly(Figures::new(settings, data, &windows)));
    }
    let decided = evaluation::evaluate(source, &facts, &mut engine, set, Split::Test, |_| {})?;
    Ok(Quality::from(&evaluation::confusion(&decided, set.labels.len())))
}

fn data_set(
    path: &Path,
    facts: &Facts,
    recipe: &Option<(Recipe, String)>,
    data: &Path,
) -> Result<(Data, DataSet)> {
    let source = match (recipe, facts.metadata(metadata::DATA)) {
        (Some((recipe, _)), _) => DataSource::of(recipe),
        (None, Some(text)) => DataSource::parse(path, text)?,
        (None, None) => bail!(
            "{}: does not say what its data set is. Remedy: name its recipe with `--recipe`",
            path.display()
        ),
    };
    let set = dataset::load(&source.data, source.seed, Some(data), data)?;
    Ok((source.data, set))
}

fn read_text(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusual_samples_are_further_from_the_mean() {
        let found = stretched(&[&[1.0, 5.0, -2.0], &[3.0, 5.0, 2.0]]);
        assert_eq!(found, [vec![0.0, 5.0, -4.0], vec![4.0, 5.0, 4.0]]);
        assert!(stretched(&[]).is_empty());
    }
}
