//! The patches under the window of a convolution, as rows: a convolution is their product with the weights.

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::tensor::Tensor;
use rayon::prelude::*;

use super::{Geometry, Operand, record, tensor, values};

#[derive(Debug)]
struct Patches;

impl Backward<Flex, 1> for Patches {
    type State = (Geometry, usize);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (geometry, n) = ops.state;
        let grad = grads.consume::<Flex>(&ops.node).to_contiguous();
        let [Some(parent)] = ops.parents else { return };
        let grad_input = scatter(values(&grad), &geometry, n);
        let [h, w] = geometry.input;
        grads.register::<Flex>(parent.id, tensor(grad_input, &[n, h, w, geometry.channels]));
    }
}

/// The patches of `[n, h, w, c]` as rows `[n * positions, kernel_h * kernel_w * c]`; outside the input is zero.
pub fn patches(input: Tensor<4>, geometry: Geometry) -> Tensor<2> {
    let [n, ..] = input.dims();
    let tracked = input.is_autodiff();
    let input = Operand::new(input, tracked);
    let rows = gather(values(&input.contiguous()), &geometry);
    let shape = [n * geometry.positions(), geometry.taps() * geometry.channels];
    record(Patches, [input], (geometry, n), tensor(rows, &shape))
}

fn gather(input: &[f32], geometry: &Geometry) -> Vec<f32> {
    let c = geometry.channels;
    let row_len = geometry.taps() * c;
    let image_len = geometry.positions() * row_len;
    let n = input.len() / geometry.input_len();
    let mut out = vec![0.0; n * image_len];
    out.par_chunks_mut(image_len).zip(input.par_chunks(geometry.input_len())).for_each(|(out, image)| {
        for_each_run(geometry, |row, pixel, len| {
            out[row..row + len].copy_from_slice(&image[pixel..pixel + len]);
        });
    });
    out
}

fn scatter(grad: &[f32], geometry: &Geometry, n: usize) -> Vec<f32> {
    let image_len = geometry.positions() * geometry.taps() * geometry.channels;
    let mut out = vec![0.0; n * geometry.input_len()];
    out.par_chunks_mut(geometry.input_len()).zip(grad.par_chunks(image_len)).for_each(|(image, grad)| {
        for_each_run(geometry, |row, pixel, len| {
            for (to, from) in image[pixel..pixel + len].iter_mut().zip(&grad[row..row + len]) {
                *to += from;
            }
        });
    });
    out
}

/// Calls `f(first element in the patches, first element in the input, length)` for every run of taps in one row.
fn for_each_run(geometry: &Geometry, mut f: impl FnMut(usize, usize, usize)) {
    let c = geometry.channels;
    let row_len = geometry.taps() * c;
    for oy in 0..geometry.output[0] {
        let (rows, iy) = geometry.inside(0, oy);
        for ox in 0..geometry.output[1] {
            let (columns, ix) = geometry.inside(1, ox);
            let position = oy * geometry.output[1] + ox;
            for (y, ky) in rows.clone().enumerate() {
                let row = position * row_len + (ky * geometry.kernel[1] + columns.start) * c;
                let pixel = ((iy + y) * geometry.input[1] + ix) * c;
                f(row, pixel, columns.len() * c);
            }
        }
    }
}
