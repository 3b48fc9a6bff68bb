//! Differentiable layers that the training framework runs slowly or not at all, on `[n, h, w, c]` tensors.
//!
//! Each is an operation of the framework's autodiff with forward and backward loops of its own. Work is cut by
//! example or by a fixed number of rows, and partial sums are added in that order, so that the number of threads
//! does not change a bit of the result.

mod depthwise;
mod geometry;
mod normalise;
mod patches;
mod pool;
#[cfg(test)]
mod tests;

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::ops::{Backward, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::tensor::{Tensor, TensorData};

pub use depthwise::depthwise;
pub use geometry::Geometry;
pub use normalise::{Clamp, normalise};
pub use patches::patches;
pub use pool::{average_pool, max_pool};

/// The framework's backend with gradients.
type Autodiff = burn::backend::Autodiff<Flex>;
/// A tensor of that backend.
type Tracked = burn::backend::tensor::FloatTensor<Autodiff>;

/// Rows of one partial sum over all rows of a batch.
const ROWS_PER_SUM: usize = 512;

/// An input of an operation.
enum Operand {
    Plain(FlexTensor),
    Tracked(Tracked),
}

impl Operand {
    /// The operand of a tensor, with or without gradients.
    fn new<const D: usize>(tensor: Tensor<D>, tracked: bool) -> Self {
        const FLEX: &str = "training tensors are on the flex backend";
        if tracked {
            Self::Tracked(tensor.autodiff().try_into_primitive::<Autodiff>().expect(FLEX))
        } else {
            Self::Plain(tensor.inner().try_into_primitive::<Flex>().expect(FLEX))
        }
    }

    /// The values in row-major order.
    fn contiguous(&self) -> FlexTensor {
        match self {
            Self::Plain(tensor) => tensor.to_contiguous(),
            Self::Tracked(tensor) => tensor.primitive().to_contiguous(),
        }
    }
}

/// The values of a contiguous tensor.
fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.storage::<f32>()
}

/// A tensor of values in row-major order.
fn tensor(values: Vec<f32>, shape: &[usize]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape.to_vec()))
}

/// Puts an operation whose output is known into the autodiff graph of its inputs, with what `backward` needs.
fn record<const N: usize, const D: usize, B: Backward<Flex, N>>(
    backward: B,
    inputs: [Operand; N],
    state: B::State,
    output: FlexTensor,
) -> Tensor<D> {
    let mut guards = Vec::with_capacity(N);
    for input in &inputs {
        match input {
            Operand::Plain(_) => return Tensor::from_primitive::<Flex>(output),
            Operand::Tracked(tensor) => guards.push(tensor.node()),
        }
    }
    let Ok(guards) = <[_; N]>::try_from(guards) else {
        return Tensor::from_primitive::<Flex>(output);
    };
    let output = match backward.prepare::<NoCheckpointing>(guards).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(state, output),
        OpsKind::UnTracked(prep) => prep.finish(output),
    };
    Tensor::from_primitive::<Autodiff>(output)
}

/// Adds partial sums in their order.
fn sum_in_order(parts: Vec<Vec<f32>>, len: usize) -> Vec<f32> {
    let mut total = vec![0.0_f64; len];
    for part in parts {
        for (total, part) in total.iter_mut().zip(part) {
            *total += f64::from(part);
        }
    }
    total.into_iter().map(|v| v as f32).collect()
}
