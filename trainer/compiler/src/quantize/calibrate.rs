//! Runs a float graph over samples and observes its values.

use super::observer::{Method, Observer};
use crate::error::{Error, Result};
use crate::evaluate::Evaluator;
use crate::graph::{Graph, ValueId};

/// Observes the values of a graph.
#[derive(Debug)]
pub struct Calibrator<'g> {
    graph: &'g Graph,
    evaluator: Evaluator<'g>,
    observers: Vec<Option<Observer>>,
    samples: usize,
}

/// The range of each value.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranges {
    ranges: Vec<Option<(f32, f32)>>,
}

impl<'g> Calibrator<'g> {
    /// A calibrator that has seen nothing.
    ///
    /// # Errors
    /// When the graph is not sound, or the percentile is not between 50 and 100.
    pub fn new(graph: &'g Graph, method: Method) -> Result<Calibrator<'g>> {
        if let Method::Percentile(p) = method
            && !(50.0..=100.0).contains(&p)
        {
            return Err(Error::model(format!("a percentile of {p} is not between 50 and 100"))
                .remedy("use one such as 99.99"));
        }
        let evaluator = Evaluator::new(graph)?;
        let observer = |constant: bool| (!constant).then(|| Observer::new(method));
        let observers = graph.values().iter().map(|v| observer(v.is_constant())).collect();
        Ok(Calibrator { graph, evaluator, observers, samples: 0 })
    }

    /// Runs one sample: one array per input, in the order of the input's value, `[h, w, c]`.
    ///
    /// # Errors
    /// When the arrays do not fit the inputs.
    pub fn observe(&mut self, inputs: &[&[f32]]) -> Result<()> {
        self.evaluator.run(inputs)?;
        for id in self.graph.value_ids() {
            if let Some(observer) = &mut self.observers[id.index()] {
                observer.observe(self.evaluator.value(id));
            }
        }
        self.samples += 1;
        Ok(())
    }

    /// The ranges.
    ///
    /// # Errors
    /// When no sample was run, or a value came out infinite or not a number.
    pub fn finish(self) -> Result<Ranges> {
        if self.samples == 0 {
            return Err(Error::model("calibration has no samples").remedy("give at least one"));
        }
        for id in self.graph.value_ids() {
            if let Some(observer) = &self.observers[id.index()]
                && observer.strange() > 0
            {
                return Err(Error::value(
                    &self.graph.value(id).name,
                    format!("{} numbers are infinite or not numbers", observer.strange()),
                )
                .remedy("check the weights and the calibration data"));
            }
        }
        let ranges = self.observers.iter().map(|o| o.as_ref().and_then(Observer::range)).collect();
        Ok(Ranges { ranges })
    }
}

impl Ranges {
    /// The range of a value.
    pub fn get(&self, value: ValueId) -> Option<(f32, f32)> {
        self.ranges.get(value.index()).copied().flatten()
    }
}
