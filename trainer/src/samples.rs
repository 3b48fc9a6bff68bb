//! The layers that the compiler's cost model is fitted to: of each operator a range of sizes and windows, in one model
//! where nothing overlaps, and chains that run in lock step. No model that predictions are judged by is among them.

use anyhow::Result;
use teff_compiler::graph::{Builder, Conv2d, Graph, MatrixOrder, Padding, Tensor, Unary, ValueId};
use teff_compiler::{Compiled, Options, Target, compile_with, onnx};

use crate::rng::Rng;
use crate::synthetic;

/// Seed of the weights.
const SEED: u64 = 0xc057;

/// Height, width, input channels, output channels.
type Size = [usize; 4];

const POINTWISE: &[Size] = &[
    [12, 12, 8, 16],
    [12, 12, 16, 32],
    [24, 24, 8, 16],
    [8, 8, 32, 32],
    [6, 6, 32, 64],
    [6, 5, 64, 64],
    [3, 3, 64, 128],
    [3, 3, 128, 128],
    [2, 2, 128, 256],
    [1, 1, 256, 256],
    [7, 1, 40, 128],
    [5, 3, 16, 8],
    [9, 1, 12, 20],
    [1, 1, 24, 24],
    [4, 4, 64, 10],
    [10, 9, 20, 12],
];

/// Size, filter, stride, whether the output is as large as the input.
const WINDOWED: &[(Size, [usize; 2], usize, bool)] = &[
    ([8, 8, 8, 8], [3, 3], 1, true),
    ([8, 8, 16, 16], [3, 3], 1, true),
    ([16, 16, 8, 12], [3, 3], 1, true),
    ([9, 9, 16, 32], [3, 3], 2, true),
    ([6, 6, 32, 32], [3, 3], 1, true),
    ([8, 8, 32, 16], [3, 3], 2, false),
    ([4, 4, 64, 32], [3, 3], 1, true),
    ([7, 7, 8, 24], [5, 5], 1, true),
    ([10, 10, 4, 8], [3, 3], 1, false),
    ([16, 1, 16, 16], [3, 1], 1, true),
    ([8, 8, 32, 64], [1, 1], 2, false),
    ([12, 12, 16, 32], [1, 1], 2, false),
    ([9, 6, 16, 16], [5, 3], 1, false),
    ([2, 2, 64, 64], [3, 3], 1, true),
    ([3, 3, 8, 8], [3, 3], 1, false),
    ([14, 13, 6, 10], [3, 3], 1, true),
];

const FIRST: &[(Size, [usize; 2], usize, bool)] = &[
    ([24, 24, 3, 8], [3, 3], 2, true),
    ([40, 40, 3, 8], [3, 3], 2, true),
    ([16, 16, 3, 16], [3, 3], 1, true),
    ([20, 20, 1, 8], [3, 3], 2, true),
    ([24, 10, 1, 64], [10, 4], 2, true),
    ([20, 16, 1, 8], [10, 8], 2, true),
    ([9, 9, 2, 12], [5, 5], 1, false),
    ([14, 14, 3, 4], [7, 7], 2, true),
    ([6, 6, 1, 16], [5, 5], 1, true),
    ([3, 3, 3, 8], [3, 3], 2, false),
    ([32, 1, 3, 16], [5, 1], 1, true),
];

/// Size, number of groups.
const GROUPED: &[(Size, usize)] =
    &[([6, 6, 8, 8], 2), ([5, 5, 16, 16], 4), ([4, 6, 12, 24], 3), ([1, 1, 8, 16], 2), ([9, 9, 4, 8], 2)];

/// Height, width, channels, outputs per channel; filter, stride.
const DEPTHWISE: &[(Size, [usize; 2], usize)] = &[
    ([12, 12, 8, 1], [3, 3], 1),
    ([24, 24, 8, 1], [3, 3], 1),
    ([12, 12, 16, 1], [3, 3], 2),
    ([8, 8, 32, 1], [3, 3], 1),
    ([6, 5, 64, 1], [3, 3], 1),
    ([6, 6, 64, 1], [3, 3], 2),
    ([3, 3, 128, 1], [3, 3], 1),
    ([2, 2, 256, 1], [3, 3], 1),
    ([16, 16, 4, 1], [3, 3], 1),
    ([5, 5, 24, 1], [3, 3], 1),
    ([7, 7, 32, 1], [3, 3], 2),
    ([1, 1, 128, 1], [3, 3], 1),
    ([9, 4, 40, 1], [3, 3], 1),
    ([30, 1, 40, 1], [3, 1], 1),
    ([24, 1, 128, 1], [5, 1], 1),
    ([20, 1, 64, 1], [10, 1], 1),
    ([15, 1, 32, 1], [15, 1], 1),
    ([8, 8, 16, 1], [5, 5], 1),
    ([12, 1, 48, 1], [7, 1], 1),
    ([6, 6, 12, 1], [5, 3], 1),
    ([1, 1, 96, 1], [1, 1], 1),
    ([8, 8, 4, 2], [3, 3], 1),
    ([7, 7, 2, 6], [5, 5], 1),
    ([6, 6, 8, 2], [3, 3], 1),
    ([16, 16, 1, 8], [3, 3], 2),
    ([20, 12, 1, 4], [10, 8], 2),
    ([4, 4, 16, 3], [3, 3], 1),
    ([1, 1, 8, 2], [3, 3], 1),
    ([16, 16, 8, 2], [3, 3], 1),
    ([10, 9, 4, 4], [3, 3], 1),
    ([6, 6, 32, 2], [3, 3], 1),
    ([12, 5, 4, 8], [3, 3], 1),
    ([8, 8, 8, 3], [3, 3], 1),
    ([12, 12, 4, 2], [3, 3], 2),
    ([16, 16, 8, 2], [3, 3], 2),
    ([7, 9, 4, 4], [3, 3], 2),
    ([6, 6, 16, 3], [3, 3], 2),
    ([9, 9, 4, 8], [3, 3], 2),
    ([8, 8, 8, 2], [5, 5], 1),
    ([6, 7, 4, 4], [5, 5], 1),
    ([24, 1, 32, 2], [5, 1], 1),
    ([20, 1, 16, 4], [10, 1], 1),
    ([16, 1, 8, 3], [3, 1], 1),
    ([12, 1, 4, 8], [7, 1], 1),
    ([8, 6, 12, 2], [5, 3], 1),
];

/// Inputs, outputs.
const CONNECTED: &[[usize; 2]] = &[
    [320, 64],
    [128, 128],
    [128, 8],
    [8, 128],
    [64, 10],
    [64, 12],
    [16, 16],
    [1, 16],
    [16, 1],
    [256, 2],
    [100, 30],
    [32, 3],
    [12, 40],
    [400, 4],
    [1284, 3],
    [80, 21],
    [4, 4],
];

/// Height, width, channels; filter, stride.
const POOLED: &[([usize; 3], [usize; 2], usize)] = &[
    ([12, 12, 16], [2, 2], 2),
    ([9, 9, 8], [3, 3], 1),
    ([4, 4, 64], [2, 2], 2),
    ([16, 1, 32], [4, 1], 4),
    ([16, 16, 3], [2, 2], 2),
    ([7, 7, 12], [3, 3], 2),
    ([2, 2, 8], [2, 2], 1),
    ([8, 8, 64], [3, 3], 1),
    ([8, 8, 3], [3, 3], 1),
    ([6, 6, 128], [3, 3], 2),
    ([9, 9, 32], [5, 5], 1),
    ([8, 8, 96], [7, 7], 1),
    ([20, 1, 24], [8, 1], 1),
    ([10, 10, 2], [5, 5], 2),
    ([10, 10, 1], [2, 2], 2),
];

/// Height, width, channels of averages over the whole input.
const AVERAGED: &[[usize; 3]] =
    &[[5, 5, 64], [3, 3, 256], [8, 8, 32], [7, 1, 16], [2, 2, 128], [6, 6, 10], [12, 3, 24]];

/// Height, width, channels of what works element by element.
const ELEMENTS: &[[usize; 3]] =
    &[[8, 8, 16], [4, 4, 64], [16, 16, 4], [1, 1, 64], [12, 1, 10], [5, 5, 7], [16, 16, 16], [1, 1, 4]];

/// Height, width, channels of softmax.
const SOFTMAX: &[[usize; 3]] = &[[1, 1, 10], [1, 1, 2], [1, 1, 100], [5, 1, 12], [1, 1, 32], [1, 1, 4]];

/// Matrices, rows, products per output and columns of products of two activations.
const MATRICES: &[Size] = &[
    [1, 16, 16, 16],
    [1, 1, 64, 32],
    [1, 8, 64, 24],
    [2, 10, 8, 10],
    [4, 12, 16, 12],
    [4, 24, 8, 24],
    [2, 16, 24, 8],
    [3, 7, 5, 9],
    [1, 33, 17, 6],
    [8, 4, 32, 4],
    [1, 4, 100, 2],
    [2, 20, 3, 20],
];

struct Layers {
    builder: Builder,
    rng: Rng,
    count: usize,
}

impl Layers {
    fn new(name: &str) -> Layers {
        Layers { builder: Builder::new(name), rng: Rng::for_purpose(SEED, name), count: 0 }
    }

    fn name(&mut self) -> String {
        self.count += 1;
        format!("layer{}", self.count)
    }

    fn input(&mut self, [h, w, c]: [usize; 3]) -> ValueId {
        let name = self.name();
        self.builder.input(&name, [1, h, w, c])
    }

    fn output(&mut self, value: ValueId) {
        let name = self.name();
        self.builder.output(&name, value);
    }

    fn filter(&mut self, shape: &[usize]) -> Result<Tensor> {
        let len: usize = shape.iter().product();
        Ok(Tensor::f32(shape, (0..len).map(|_| self.rng.range(-1.0, 1.0) as f32).collect())?)
    }

    fn bias(&mut self, channels: usize) -> Option<Vec<f32>> {
        Some((0..channels).map(|_| self.rng.range(-1.0, 1.0) as f32).collect())
    }

    fn conv(&mut self, x: ValueId, out: usize, filter: [usize; 2], settings: Conv2d) -> Result<ValueId> {
        let channels = self.builder.shape(x)[3] / settings.groups;
        let (weights, bias) = (self.filter(&[out, filter[0], filter[1], channels])?, self.bias(out));
        let name = self.name();
        Ok(self.builder.conv_2d(&name, x, weights, bias, settings))
    }

    fn depthwise(
        &mut self,
        x: ValueId,
        multiplier: usize,
        filter: [usize; 2],
        stride: usize,
    ) -> Result<ValueId> {
        let out = self.builder.shape(x)[3] * multiplier;
        let (weights, bias) = (self.filter(&[1, filter[0], filter[1], out])?, self.bias(out));
        let settings = Conv2d { stride: [stride; 2], padding: around(filter), ..Conv2d::default() };
        let name = self.name();
        Ok(self.builder.depthwise_conv_2d(&name, x, weights, bias, settings))
    }
}

/// Padding with which the output is as large as the input, at stride 1.
fn around(filter: [usize; 2]) -> Padding {
    let [h, w] = filter.map(|size| size - 1);
    Padding { top: h / 2, left: w / 2, bottom: h - h / 2, right: w - w / 2 }
}

/// Layers beside each other, each with an input and an output of its own, in a few models.
fn side_by_side() -> Result<Vec<Graph>> {
    [convolutions, depthwise_and_connected, pools, elements, products].into_iter().map(finished).collect()
}

fn finished(make: fn(&mut Layers) -> Result<Vec<ValueId>>) -> Result<Graph> {
    let mut layers = Layers::new("samples");
    for result in make(&mut layers)? {
        layers.output(result);
    }
    Ok(layers.builder.finish()?)
}

fn convolutions(layers: &mut Layers) -> Result<Vec<ValueId>> {
    let mut results = Vec::new();
    for &[h, w, c, out] in POINTWISE {
        let x = layers.input([h, w, c]);
        results.push(layers.conv(x, out, [1, 1], Conv2d::default())?);
    }
    for &([h, w, c, out], filter, stride, same) in WINDOWED.iter().chain(FIRST) {
        let x = layers.input([h, w, c]);
        let padding = if same { around(filter) } else { Padding::default() };
        let settings = Conv2d { stride: [stride; 2], padding, ..Conv2d::default() };
        results.push(layers.conv(x, out, filter, settings)?);
    }
    for &([h, w, c, out], groups) in GROUPED {
        let x = layers.input([h, w, c]);
        let settings = Conv2d { groups, padding: around([3, 3]), ..Conv2d::default() };
        results.push(layers.conv(x, out, [3, 3], settings)?);
    }
    Ok(results)
}

fn depthwise_and_connected(layers: &mut Layers) -> Result<Vec<ValueId>> {
    let mut results = Vec::new();
    for &([h, w, c, multiplier], filter, stride) in DEPTHWISE {
        let x = layers.input([h, w, c]);
        results.push(layers.depthwise(x, multiplier, filter, stride)?);
    }
    for &[inputs, outputs] in CONNECTED {
        let x = layers.input([1, 1, inputs]);
        let (weights, bias) = (layers.filter(&[outputs, inputs])?, layers.bias(outputs));
        let name = layers.name();
        results.push(layers.builder.fully_connected(&name, x, weights, bias));
    }
    Ok(results)
}

fn pools(layers: &mut Layers) -> Result<Vec<ValueId>> {
    let mut results = Vec::new();
    for &(size, filter, stride) in POOLED {
        let (first, second) = (layers.input(size), layers.input(size));
        let (name, other) = (layers.name(), layers.name());
        let (stride, none) = ([stride; 2], Padding::default());
        results.push(layers.builder.max_pool_2d(&name, first, filter, stride, none));
        results.push(layers.builder.average_pool_2d(&other, second, filter, stride, none));
    }
    for &size in AVERAGED {
        let x = layers.input(size);
        let name = layers.name();
        results.push(layers.builder.global_average_pool(&name, x));
    }
    for &size in SOFTMAX {
        let x = layers.input(size);
        let name = layers.name();
        results.push(layers.builder.softmax(&name, x));
    }
    Ok(results)
}

fn elements(layers: &mut Layers) -> Result<Vec<ValueId>> {
    let mut results = Vec::new();
    for &size in ELEMENTS {
        let [a, b, c, d, e, f] = [(); 6].map(|()| layers.input(size));
        let names = [(); 4].map(|()| layers.name());
        results.push(layers.builder.add(&names[0], a, b));
        results.push(layers.builder.mul(&names[1], c, d));
        results.push(layers.builder.unary(&names[2], e, Unary::HardSwish));
        results.push(layers.builder.pad(&names[3], f, around([3, 3])));
    }
    Ok(results)
}

fn products(layers: &mut Layers) -> Result<Vec<ValueId>> {
    let mut results = Vec::new();
    for &[matrices, rows, inner, columns] in MATRICES {
        for rhs_transposed in [false, true] {
            let order = MatrixOrder { rhs_transposed, ..MatrixOrder::default() };
            let right = if rhs_transposed { [columns, inner] } else { [inner, columns] };
            let a = layers.input([matrices, rows, inner]);
            let b = layers.input([matrices, right[0], right[1]]);
            let name = layers.name();
            results.push(layers.builder.mat_mul(&name, a, b, order));
        }
    }
    Ok(results)
}

/// A chain of residual and depthwise-separable blocks, which runs in lock step under a small budget.
fn chain([h, w, c, wide]: Size) -> Result<Graph> {
    let mut layers = Layers::new("chain");
    let same = |filter| Conv2d { padding: around(filter), ..Conv2d::default() };
    let mut x = layers.input([h, w, c]);
    x = layers.conv(x, wide, [3, 3], same([3, 3]))?;
    let skip = x;
    x = layers.conv(x, wide, [3, 3], same([3, 3]))?;
    x = layers.conv(x, wide, [3, 3], same([3, 3]))?;
    let name = layers.name();
    x = layers.builder.add(&name, x, skip);
    x = layers.depthwise(x, 1, [3, 3], 1)?;
    x = layers.conv(x, 2 * wide, [1, 1], Conv2d::default())?;
    let name = layers.name();
    x = layers.builder.unary(&name, x, Unary::HardSwish);
    x = layers.depthwise(x, 1, [3, 3], 2)?;
    x = layers.conv(x, wide, [1, 1], Conv2d::default())?;
    let name = layers.name();
    x = layers.builder.max_pool_2d(&name, x, [2, 2], [2, 2], Padding::default());
    x = layers.conv(x, 4, [3, 3], Conv2d { stride: [2, 2], ..same([3, 3]) })?;
    layers.output(x);
    Ok(layers.builder.finish()?)
}

fn compiled(graph: &Graph, target: Target, options: &Options) -> Result<Compiled> {
    let onnx = onnx::export(&synthetic::quantized(graph)?)?;
    Ok(compile_with(&onnx, target, options)?)
}

/// The plans to count, for a target, as `options` has the packing.
pub fn plans(target: Target, options: &Options) -> Result<Vec<Vec<u8>>> {
    let apart = Options { overlap: false, ..*options };
    let mut plans = Vec::new();
    for graph in side_by_side()? {
        plans.push(compiled(&graph, target, &apart)?.plan);
    }
    for size in [[24, 20, 3, 16], [17, 9, 8, 12], [33, 6, 2, 8]] {
        let graph = chain(size)?;
        plans.push(compiled(&graph, target, &apart)?.plan);
        let mut smallest = compiled(&graph, target, options)?;
        // Smaller and smaller, until nothing fits.
        loop {
            let ram_bytes = Some(smallest.report.arena_bytes as usize * 15 / 16);
            match compiled(&graph, target, &Options { ram_bytes, ..*options }) {
                Ok(smaller) => smallest = smaller,
                Err(_) => break,
            }
        }
        plans.push(smallest.plan);
    }
    Ok(plans)
}

#[cfg(test)]
mod tests {
    use super::*;
    use teff::ModelFile;

    #[test]
    fn samples_compile_and_some_run_in_lock_step() {
        let plans = plans(Target::CortexM4, &Options::default()).unwrap();
        let files: Vec<ModelFile> = plans.iter().map(|plan| ModelFile::from_bytes(plan).unwrap()).collect();
        let together = |file: &&ModelFile| file.model().header().ops.contains_groups();
        assert!(files.iter().filter(together).count() >= 2);
        assert!(files.iter().map(|file| file.model().ops().count()).sum::<usize>() > 120);
    }
}
