//! Attention, made of products of two activations, against other engines: each operator on the same integers.

#[cfg(any(feature = "ort", feature = "tract"))]
mod attention {
    use teff_compiler::graph::{Builder, Graph, MatrixOrder, Tensor};
    use teff_compiler::onnx;
    use teff_compiler::quantize::{Method, quantize};
    use teff_trainer::arrays::{Array, Named};
    use teff_trainer::compare::{Comparison, Examples, compare};
    use teff_trainer::engine::Kind;

    const STEPS: usize = 12;
    const HEADS: usize = 3;
    const WIDTH: usize = 5;
    const CHANNELS: usize = HEADS * WIDTH;

    /// Numbers in [-1, 1) that look arbitrary.
    fn noise(len: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let next = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 8_388_608.0 - 1.0
        };
        (0..len).map(next).collect()
    }

    /// Self-attention of three heads; `by_row` says whether heads lie side by side in each step, or are the outer axis.
    fn network(by_row: bool) -> Graph {
        let mut b = Builder::new("attention");
        let x = b.input("x", [1, STEPS, 1, CHANNELS]);
        let mut heads = Vec::new();
        for (name, seed) in [("q", 1), ("k", 2), ("v", 3)] {
            let weights = Tensor::f32(&[1, 1, 1, CHANNELS], noise(CHANNELS, seed)).unwrap();
            let layer = b.depthwise_conv_2d(name, x, weights, None, Default::default());
            let shape = if by_row { [1, STEPS, HEADS, WIDTH] } else { [1, HEADS, STEPS, WIDTH] };
            heads.push(b.reshape(&format!("{name}.heads"), layer, shape));
        }
        let lies = MatrixOrder {
            lhs_by_row: by_row,
            rhs_by_row: by_row,
            output_by_row: by_row,
            rhs_transposed: true,
        };
        let scores = b.mat_mul("scores", heads[0], heads[1], lies);
        let weights = b.softmax("weights", scores);
        let mixed = b.mat_mul("mixed", weights, heads[2], MatrixOrder { rhs_transposed: false, ..lies });
        b.output("y", mixed);
        b.finish().unwrap()
    }

    pub fn compared(kind: Kind, by_row: bool) -> Comparison {
        let graph = network(by_row);
        let samples: Vec<Vec<f32>> = (0..16).map(|s| noise(STEPS * CHANNELS, 50 + s)).collect();
        let values: Vec<Vec<f32>> = samples.iter().map(|x| graph.inputs[0].to_value(x)).collect();
        let q = quantize(&graph, values.iter().map(|x| vec![x.as_slice()]), Method::MinMax).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (model, file) = (folder.path().join("attention.onnx"), folder.path().join("attention.npz"));
        std::fs::write(&model, onnx::export(&q).unwrap()).unwrap();
        let shape = [&[samples.len()], &graph.inputs[0].shape[1..]].concat();
        let arrays = [Named { name: "x".into(), array: Array::f32(&shape, samples.concat()) }];
        compare(&model, kind, None, &Examples { arrays: &arrays, file: &file }).unwrap()
    }

    pub fn check(kind: Kind) {
        for by_row in [false, true] {
            let compared = compared(kind, by_row);
            assert!(compared.not_compared.is_empty(), "{:?}", compared.not_compared);
            let products: Vec<_> =
                compared.layers.iter().filter(|layer| layer.operator.contains("mat_mul")).collect();
            assert_eq!(products.len(), 2, "{:?}", compared.layers);
            for layer in products {
                println!("{} {}: {:.6} differ", layer.index, layer.operator, layer.differing_share);
                assert!(layer.largest_lsb <= 1, "{layer:?}");
                assert!(layer.differing_share < 0.005, "{layer:?}");
            }
        }
    }
}

#[cfg(feature = "ort")]
#[test]
fn products_are_within_one_unit_of_onnx_runtime() {
    if let Err(error) = teff_trainer::engine::ort::library() {
        let test = "products_are_within_one_unit_of_onnx_runtime";
        return teff_trainer::test_data::skip(test, &error.to_string());
    }
    attention::check(teff_trainer::engine::Kind::Ort);
}

#[cfg(feature = "tract")]
#[test]
fn products_are_within_one_unit_of_tract() {
    attention::check(teff_trainer::engine::Kind::Tract);
}
