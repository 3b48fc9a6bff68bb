//! Every operation against differences of its own output, and against the arithmetic written down plainly.

use burn::tensor::{Device, Tensor, TensorData};

use super::{Clamp, Geometry, average_pool, depthwise, max_pool, normalise, patches};
use crate::rng::Rng;

const GEOMETRY: Geometry =
    Geometry { input: [5, 4], channels: 3, kernel: [3, 2], stride: [2, 1], pad: [1, 0], output: [3, 4] };
const N: usize = 2;

fn random(len: usize, seed: u64) -> Vec<f32> {
    let mut rng = Rng::new(seed);
    (0..len).map(|_| rng.normal() as f32).collect()
}

fn leaf(values: &[f32]) -> Tensor<1> {
    let data = TensorData::new(values.to_vec(), [values.len()]);
    Tensor::from_data(data, &Device::flex().autodiff()).require_grad()
}

fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec::<f32>().expect("floats")
}

/// A weighted sum of the output, so that every element has a gradient of its own.
fn weigh<const D: usize>(output: Tensor<D>) -> Tensor<1> {
    let len = output.shape().num_elements();
    let weights = TensorData::new(random(len, 99), [len]);
    let weights = Tensor::<1>::from_data(weights, &output.device());
    (output.reshape([len]) * weights).sum()
}

/// Compares the gradients of `f` at `inputs` with differences.
fn check_gradients(inputs: &[Vec<f32>], f: impl Fn(&[Tensor<1>]) -> Tensor<1>) {
    let leaves: Vec<Tensor<1>> = inputs.iter().map(|values| leaf(values)).collect();
    let gradients = f(&leaves).backward();
    let value = |inputs: &[Vec<f32>]| {
        let leaves: Vec<Tensor<1>> = inputs.iter().map(|values| leaf(values)).collect();
        f64::from(floats(f(&leaves))[0])
    };
    for (which, leaf) in leaves.iter().enumerate() {
        let gradient = floats(leaf.grad(&gradients).expect("a gradient"));
        for i in 0..gradient.len() {
            let step = 1e-2;
            let moved = |by: f32| {
                let mut inputs = inputs.to_vec();
                inputs[which][i] += by;
                value(&inputs)
            };
            let difference = (moved(step) - moved(-step)) / (2.0 * f64::from(step));
            let error = (difference - f64::from(gradient[i])).abs();
            assert!(
                error < 2e-2 * (1.0 + difference.abs()),
                "input {which}, element {i}: gradient {}, difference {difference}",
                gradient[i]
            );
        }
    }
}

fn images(tensor: &Tensor<1>) -> Tensor<4> {
    tensor.clone().reshape([N, GEOMETRY.input[0], GEOMETRY.input[1], GEOMETRY.channels])
}

#[test]
fn gradients_are_the_slopes() {
    let x = random(N * GEOMETRY.input_len(), 1);
    check_gradients(std::slice::from_ref(&x), |leaves| weigh(patches(images(&leaves[0]), GEOMETRY)));
    check_gradients(std::slice::from_ref(&x), |leaves| weigh(average_pool(images(&leaves[0]), GEOMETRY)));
    // Values far apart, so that a small change does not change which is largest.
    let mut apart: Vec<f32> = (0..x.len()).map(|i| i as f32 * 0.1).collect();
    Rng::new(4).shuffle(&mut apart);
    check_gradients(&[apart], |leaves| weigh(max_pool(images(&leaves[0]), GEOMETRY)));
    let weights = random(GEOMETRY.taps() * GEOMETRY.channels, 2);
    check_gradients(&[x.clone(), weights], |leaves| {
        let weights = leaves[1].clone().reshape([3, 2, 3]);
        weigh(depthwise(images(&leaves[0]), weights, GEOMETRY))
    });
}

#[test]
fn normalisation_has_its_slopes_and_moments() {
    let (rows, c) = (7, 3);
    let x = random(rows * c, 5);
    let open = Clamp { min: f32::NEG_INFINITY, max: f32::INFINITY };
    let run = |leaves: &[Tensor<1>], clamp| {
        let x = leaves[0].clone().reshape([rows, c]);
        normalise(x, leaves[1].clone(), leaves[2].clone(), 1e-3, clamp)
    };
    let inputs = [x.clone(), vec![1.0, 0.5, -2.0], vec![0.1, 0.0, -0.3]];
    check_gradients(&inputs, |leaves| weigh(run(leaves, open).output));
    let leaves: Vec<Tensor<1>> = inputs.iter().map(|values| leaf(values)).collect();
    let result = run(&leaves, Clamp { min: 0.0, max: 0.5 });
    assert!(floats(result.output).iter().all(|v| (0.0..=0.5).contains(v)));
    for channel in 0..c {
        let column: Vec<f32> = x.chunks_exact(c).map(|row| row[channel]).collect();
        let mean = column.iter().sum::<f32>() / rows as f32;
        let variance = column.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>() / rows as f32;
        assert!((result.mean[channel] - mean).abs() < 1e-5);
        assert!((result.variance[channel] - variance).abs() < 1e-5);
    }
}

#[test]
fn depthwise_is_its_sum() {
    let x = random(N * GEOMETRY.input_len(), 1);
    let weights = random(GEOMETRY.taps() * GEOMETRY.channels, 2);
    let output = depthwise(images(&leaf(&x)), leaf(&weights).reshape([3, 2, 3]), GEOMETRY);
    let output = floats(output);
    let [h, w] = GEOMETRY.input;
    let c = GEOMETRY.channels;
    for n in 0..N {
        for oy in 0..3 {
            for ox in 0..4 {
                for ch in 0..c {
                    let mut expected = 0.0;
                    for ky in 0..3 {
                        for kx in 0..2 {
                            let (iy, ix) = ((2 * oy + ky) as isize - 1, ox + kx);
                            if (0..h as isize).contains(&iy) && ix < w {
                                let pixel = (n * h + iy as usize) * w + ix;
                                expected += x[pixel * c + ch] * weights[(ky * 2 + kx) * c + ch];
                            }
                        }
                    }
                    let got = output[((n * 3 + oy) * 4 + ox) * c + ch];
                    assert!((got - expected).abs() < 1e-5, "{got} {expected}");
                }
            }
        }
    }
}
