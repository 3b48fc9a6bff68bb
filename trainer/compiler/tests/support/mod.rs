//! Access to reference models and arrays.

#![allow(dead_code)]

pub mod file;
pub mod quantized;

use std::fs::File;
use std::path::{Path, PathBuf};

use ndarray::{ArrayD, OwnedRepr};
use ndarray_npy::NpzReader;
use teff::{ModelFile, Session};
use teff_compiler::graph::{Builder, Clamp, Conv2d, Graph, Padding, PortType, Tensor, Unary};
use teff_compiler::{Target, compile, compile::import_quantized, onnx};

/// The folder of reference models, or a line that says that the test is skipped.
pub fn models_dir(test: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let dir = std::env::var_os("TEFF_SHARED")
        .map(PathBuf::from)
        .unwrap_or_else(|| root.join("../shared"))
        .join("models");
    if dir.is_dir() {
        return Some(dir);
    }
    println!(
        "SKIPPED {test}: no folder of reference models; set TEFF_SHARED to the folder that holds `models`"
    );
    None
}

/// Arrays of an npz file, as `f32`.
pub struct Npz(NpzReader<File>);

impl Npz {
    pub fn open(path: &Path) -> Result<Npz, String> {
        let file = File::open(path).map_err(|e| format!("{}: {e}", path.display()))?;
        NpzReader::new(file).map(Npz).map_err(|e| format!("{}: {e}", path.display()))
    }

    pub fn f32(&mut self, name: &str) -> Result<(Vec<usize>, Vec<f32>), String> {
        if let Ok(array) = self.0.by_name::<OwnedRepr<f32>, ndarray::IxDyn>(name) {
            return Ok(parts(array));
        }
        if let Ok(array) = self.0.by_name::<OwnedRepr<i64>, ndarray::IxDyn>(name) {
            return Ok(parts(array.mapv(|i| i as f32)));
        }
        let array: ArrayD<i8> = self.0.by_name(name).map_err(|e| format!("{name}: {e}"))?;
        Ok(parts(array.mapv(f32::from)))
    }
}

fn parts(array: ArrayD<f32>) -> (Vec<usize>, Vec<f32>) {
    (array.shape().to_vec(), array.iter().copied().collect())
}

/// Runs a file whose inputs and first output are integers, given and got in the file's own numbers and
/// order. Also the notes of the plan.
pub fn run_integers(file: &file::File, inputs: &[&[i32]]) -> (Vec<i32>, Vec<String>) {
    let bytes = file.finish();
    let graph = import_quantized(&bytes).unwrap_or_else(|e| panic!("{e}"));
    let compiled = compile(&bytes, Target::Generic).unwrap_or_else(|e| panic!("{e}"));
    let model = ModelFile::from_bytes(&compiled.plan).unwrap();
    let mut arena = model.arena();
    let mut session = Session::from_model(model.model(), arena.as_mut_slice()).unwrap();
    let shift = |kind| if kind == PortType::U8 { 128 } else { 0 };
    for (i, input) in inputs.iter().enumerate() {
        let port = &graph.inputs[i];
        let values: Vec<i8> = input.iter().map(|q| (q - shift(port.kind)) as i8).collect();
        session.input_mut(i).copy_from_slice(&port.to_value(&values));
    }
    session.invoke();
    let port = &graph.outputs[0];
    let values = port.to_onnx(session.output(0).values);
    (values.iter().map(|&q| i32::from(q) + shift(port.kind)).collect(), compiled.report.notes)
}

/// Imports a model.
pub fn import(path: &Path) -> Result<Graph, String> {
    let bytes = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    onnx::import(&bytes).map_err(|e| format!("{}: {e}", path.display()))
}

fn noise(len: usize, scale: f32) -> Vec<f32> {
    let mut state = 12_345u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    (0..len).map(|_| next() * scale).collect()
}

/// A network with every operator of the graph, in most of its variants.
pub fn network() -> Graph {
    let mut b = Builder::new("everything");
    let filter =
        |shape: [usize; 4], scale: f32| Tensor::f32(&shape, noise(shape.iter().product(), scale)).unwrap();
    let x = b.input("x", [1, 12, 10, 2]);
    let same = Padding { top: 1, left: 1, bottom: 1, right: 1 };
    let conv = Conv2d { padding: same, ..Conv2d::default() };
    let y = b.conv_2d("conv", x, filter([8, 3, 3, 2], 0.4), Some(noise(8, 0.2)), conv);
    let y = b.scale_shift("norm", y, noise(8, 2.0), noise(8, 0.5));
    let y = b.relu("relu", y);
    let strided = Conv2d { stride: [2, 1], padding: same, ..Conv2d::default() };
    let y = b.depthwise_conv_2d("depthwise", y, filter([1, 3, 3, 8], 0.5), None, strided);
    let y = b.unary("six", y, Unary::Clamp(Clamp::RELU6));
    let grouped = Conv2d { groups: 2, dilation: [1, 2], ..Conv2d::default() };
    let g = b.conv_2d("grouped", y, filter([6, 3, 3, 4], 0.3), Some(noise(6, 0.2)), grouped);
    let s = b.unary("swish", g, Unary::Swish { alpha: 1.0 });
    let t = b.unary("tanh", g, Unary::Tanh);
    let sum = b.add("sum", s, t);
    let squeeze = b.global_average_pool("squeeze", sum);
    let gate = b.fully_connected("gate", squeeze, Tensor::f32(&[6, 6], noise(36, 0.8)).unwrap(), None);
    let gate = b.unary("gate.sigmoid", gate, Unary::HardSigmoid { alpha: 0.2, beta: 0.5 });
    let excited = b.mul("excite", sum, gate);
    let pad = Padding { top: 0, left: 1, bottom: 1, right: 0 };
    let padded = b.pad("pad", excited, pad);
    let m = b.max_pool_2d("max", padded, [2, 2], [2, 2], Padding::default());
    let a = b.average_pool_2d("average", padded, [2, 2], [2, 2], Padding::default());
    let joined = b.concat("joined", &[m, a], 3);
    let tall = b.concat("tall", &[joined, joined], 1);
    let y = b.unary("leaky", tall, Unary::LeakyRelu { alpha: 0.1 });
    let len: usize = b.shape(y).iter().product();
    let dense = Tensor::f32(&[5, len], noise(5 * len, 0.2)).unwrap();
    let y = b.fully_connected("dense", y, dense, Some(noise(5, 0.3)));
    let y = b.unary("elu", y, Unary::Elu { alpha: 1.0, gamma: 1.0, width: 1.0 });
    let y = b.unary("linear", y, Unary::Linear { scale: 1.5, offset: 0.25 });
    let y = b.softmax("softmax", y);
    b.output("scores", y);
    b.finish().unwrap()
}
