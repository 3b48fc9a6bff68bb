//! Examples of a data set as training sees them.

use crate::features::Features;
use crate::network::Shape;
use crate::recipe::Augment;
use crate::rng::Rng;

use super::batch::Source;

/// Features with the changes that a recipe asks for.
pub struct Examples<'a> {
    features: &'a Features,
    augment: Option<&'a Augment>,
}

impl<'a> Examples<'a> {
    /// Examples that training sees changed.
    pub fn varied(features: &'a Features, augment: &'a Augment) -> Self {
        // Mixing is done on whole batches.
        let changes = *augment != Augment { mixup: augment.mixup, ..Augment::default() };
        Self { features, augment: changes.then_some(augment) }
    }

    /// Examples as they are.
    pub fn plain(features: &'a Features) -> Self {
        Self { features, augment: None }
    }
}

impl Source for Examples<'_> {
    fn shape(&self) -> Shape {
        self.features.shape()
    }

    fn len(&self) -> usize {
        self.features.len()
    }

    fn label(&self, example: usize) -> usize {
        self.features.label(example)
    }

    fn features(&self, example: usize, rng: Option<&mut Rng>, out: &mut [f32]) {
        match (self.augment, rng) {
            (Some(augment), Some(rng)) => self.features.varied(example, augment, rng, out),
            _ => out.copy_from_slice(self.features.plain(example)),
        }
    }
}
