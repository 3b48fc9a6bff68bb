//! Writes small sound files to start from: `seeds DIR` makes `DIR/onnx` and `DIR/plan`.

use std::fs;
use std::path::PathBuf;

use teff_compiler::graph::{Builder, Clamp, Conv2d, Graph, Padding, Tensor, Unary};
use teff_compiler::quantize::{Method, quantize};
use teff_compiler::{Target, compile, onnx};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: seeds DIR")?);
    for target in ["onnx", "plan"] {
        fs::create_dir_all(folder.join(target))?;
    }
    for (index, graph) in graphs()?.iter().enumerate() {
        let inputs: Vec<Vec<f32>> = graph
            .inputs
            .iter()
            .map(|port| (0..graph.value(port.value).len()).map(|i| (i as f32).sin()).collect())
            .collect();
        let quantized = quantize(graph, [inputs.iter().map(Vec::as_slice).collect()], Method::MinMax)?;
        let (float, int8) = (onnx::export(graph)?, onnx::export(&quantized)?);
        fs::write(folder.join(format!("onnx/float{index}")), &float)?;
        fs::write(folder.join(format!("onnx/int8_{index}")), &int8)?;
        fs::write(folder.join(format!("plan/{index}")), compile(&int8, Target::Generic)?.plan)?;
    }
    Ok(())
}

fn graphs() -> teff_compiler::Result<Vec<Graph>> {
    let tensor = |shape: &[usize]| {
        let len = shape.iter().product();
        Tensor::f32(shape, (0..len).map(|i| (i as f32 * 0.7).sin()).collect())
    };
    let mut dense = Builder::new("dense");
    let x = dense.input("x", [1, 1, 1, 4]);
    let y = dense.fully_connected("a", x, tensor(&[3, 4])?, Some(vec![0.1; 3]));
    let y = dense.unary("b", y, Unary::Tanh);
    dense.output("y", y);

    let mut image = Builder::new("image");
    let x = image.input("x", [1, 5, 4, 2]);
    let padding = Padding { top: 1, left: 1, bottom: 1, right: 1 };
    let conv = Conv2d { padding, ..Conv2d::default() };
    let y = image.conv_2d("a", x, tensor(&[4, 3, 3, 2])?, Some(vec![0.1; 4]), conv);
    let y = image.unary("b", y, Unary::Clamp(Clamp::RELU6));
    let d = image.depthwise_conv_2d("c", y, tensor(&[1, 3, 3, 4])?, None, conv);
    let s = image.add("d", d, y);
    let g = image.global_average_pool("e", s);
    let g = image.unary("f", g, Unary::Sigmoid);
    let s = image.mul("g", s, g);
    let m = image.max_pool_2d("h", s, [2, 2], [2, 2], Padding::default());
    let a = image.average_pool_2d("i", s, [2, 2], [2, 2], Padding::default());
    let y = image.concat("j", &[m, a], 3);
    let len = image.shape(y).iter().product();
    let y = image.fully_connected("k", y, tensor(&[3, len])?, None);
    let y = image.softmax("l", y);
    image.output("y", y);

    let mut signal = Builder::new("signal");
    let x = signal.input("x", [1, 8, 1, 3]);
    let stride = Conv2d { stride: [2, 1], ..Conv2d::default() };
    let y = signal.conv_2d("a", x, tensor(&[2, 3, 1, 3])?, None, stride);
    let y = signal.pad("b", y, Padding { top: 0, left: 0, bottom: 1, right: 0 });
    signal.output("y", y);
    [dense, image, signal].into_iter().map(Builder::finish).collect()
}
