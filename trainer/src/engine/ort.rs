//! ONNX Runtime, its shared library loaded when it is first needed.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, Result, anyhow, bail};
use ort::environment::Environment;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{Session, SessionInputValue};
use ort::value::{DynValue, Outlet, Tensor, TensorElementType, ValueType};

use super::{Engine, Options, Port};
use crate::arrays::{Array, Data, ElementType};

/// A model in ONNX Runtime.
#[derive(Debug)]
pub struct Ort {
    session: Session,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
}

impl Ort {
    /// Loads an ONNX file, or the ONNX form of a model of another format.
    pub fn load(model: &Path, options: &Options) -> Result<Ort> {
        let bytes = crate::model_file::as_onnx(model)?;
        environment().with_context(|| format!("{}", model.display()))?;
        Ort::from_bytes(&bytes, options).with_context(|| {
            format!("{}: ONNX Runtime does not run this model. {}", model.display(), super::WHAT_NOW)
        })
    }

    /// Loads an ONNX model.
    pub fn from_bytes(onnx: &[u8], options: &Options) -> Result<Ort> {
        let level =
            if options.as_written { GraphOptimizationLevel::Disable } else { GraphOptimizationLevel::All };
        let environment = environment()?;
        let session = Session::builder(&environment)
            .map_err(refused)?
            .with_optimization_level(level)
            .map_err(|error| anyhow!("ONNX Runtime: {error}"))?
            // The order of sums, and with it the last bits, does not depend on the machine's load.
            .with_intra_threads(1)
            .map_err(|error| anyhow!("ONNX Runtime: {error}"))?
            .commit_from_memory(onnx)
            .map_err(refused)?;
        let mut inputs = ports(session.inputs())?;
        let outputs = ports(session.outputs())?;
        super::ports::add_quants(&mut inputs, onnx);
        Ok(Ort { session, inputs, outputs })
    }

    /// One inference: one array per output, in the model's order.
    fn run_one(&mut self, example: &[Array]) -> Result<Vec<Array>> {
        let values: Vec<(&str, SessionInputValue<'_>)> = self
            .inputs
            .iter()
            .zip(example)
            .map(|(port, array)| Ok((port.name.as_str(), SessionInputValue::from(to_value(array)?))))
            .collect::<Result<_>>()?;
        let outputs = self.session.run(values).map_err(refused)?;
        self.outputs
            .iter()
            .map(|port| {
                let value =
                    outputs.get(&port.name).with_context(|| format!("output `{}` is missing", port.name))?;
                from_value(value).with_context(|| format!("output `{}`", port.name))
            })
            .collect()
    }
}

impl Engine for Ort {
    fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    fn run(&mut self, examples: &[Vec<Array>]) -> Result<Vec<Vec<Array>>> {
        examples.iter().map(|example| self.run_one(example)).collect()
    }
}

fn refused(error: ort::Error) -> anyhow::Error {
    anyhow!("ONNX Runtime: {error}")
}

/// The process's one environment. The library is looked for when it is first asked for, and an error is given where it
/// is missing.
fn environment() -> Result<Environment> {
    static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);
    let mut slot = ENVIRONMENT.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some(environment) = &*slot {
        return Ok(environment.clone());
    }
    let library = library()?;
    let environment = ort::init_from(&library)
        .map_err(|error| {
            anyhow!(
                "{}: is no library of ONNX Runtime that can be used here: {error}. Remedy: {}",
                library.display(),
                HOW_TO_GET_IT
            )
        })?
        .build()
        .map_err(refused)?;
    *slot = Some(environment.clone());
    Ok(environment)
}

const HOW_TO_GET_IT: &str = "run `cargo xtask setup`, which fetches ONNX Runtime into the target folder, or set \
                             ORT_DYLIB_PATH to a libonnxruntime.so of version 1.18 or newer";

/// Where the shared library is: `ORT_DYLIB_PATH`, else the one that `cargo xtask setup` fetched.
///
/// # Errors
/// It is not there.
pub fn library() -> Result<PathBuf> {
    if let Some(given) = env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(given);
        if !path.is_file() {
            bail!("ORT_DYLIB_PATH is {}, which is no file. Remedy: {HOW_TO_GET_IT}", path.display());
        }
        return path.canonicalize().with_context(|| format!("{}: cannot be resolved", path.display()));
    }
    fetched().ok_or_else(|| anyhow!("the shared library of ONNX Runtime is missing. Remedy: {HOW_TO_GET_IT}"))
}

/// The newest library under `onnxruntime/<version>/onnxruntime/capi` of the target folder: of the one that this program
/// stands in, of the project it was built from, or of the one it is run in.
fn fetched() -> Option<PathBuf> {
    let program = env::current_exe().ok();
    let here = env::current_dir().ok();
    let above = |path: &Option<PathBuf>| -> Vec<PathBuf> {
        path.iter().flat_map(|path| path.ancestors().skip(1)).map(Path::to_path_buf).collect()
    };
    let mut targets = above(&program);
    targets.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"));
    targets.extend(here.iter().chain(&above(&here)).map(|folder| folder.join("target")));
    targets.iter().find_map(|target| newest_library(&target.join("onnxruntime")))
}

fn newest_library(versions: &Path) -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> =
        fs::read_dir(versions).ok()?.flatten().map(|entry| entry.path()).collect();
    folders.sort();
    folders.iter().rev().find_map(|folder| {
        let files = fs::read_dir(folder.join("onnxruntime/capi")).ok()?;
        files.flatten().map(|entry| entry.path()).find(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("libonnxruntime.") || name == "onnxruntime.dll"
        })
    })
}

fn ports(outlets: &[Outlet]) -> Result<Vec<Port>> {
    outlets
        .iter()
        .map(|outlet| {
            let name = outlet.name().to_string();
            let ValueType::Tensor { ty, shape, .. } = outlet.dtype() else {
                bail!(
                    "`{name}` is no tensor but {:?}. Remedy: export the model without it (skl2onnx: `zipmap` off)",
                    outlet.dtype()
                );
            };
            let element_type = element_type(*ty)
                .with_context(|| format!("`{name}` holds numbers of the type {ty:?}, which is not supported"))?;
            let shape = shape.iter().map(|&size| usize::try_from(size).ok()).collect();
            Ok(Port { name, shape, element_type, quant: None })
        })
        .collect()
}

fn element_type(ty: TensorElementType) -> Option<ElementType> {
    Some(match ty {
        TensorElementType::Float32 => ElementType::F32,
        TensorElementType::Float64 => ElementType::F64,
        TensorElementType::Int8 => ElementType::I8,
        TensorElementType::Uint8 | TensorElementType::Bool => ElementType::U8,
        TensorElementType::Int16 => ElementType::I16,
        TensorElementType::Int32 => ElementType::I32,
        TensorElementType::Int64 => ElementType::I64,
        _ => return None,
    })
}

fn to_value(array: &Array) -> Result<DynValue> {
    let shape = array.shape.clone();
    macro_rules! tensor {
        ($v:expr) => {
            Tensor::from_array((shape, $v.clone())).map_err(refused)?.into_dyn()
        };
    }
    Ok(match &array.data {
        Data::F32(v) => tensor!(v),
        Data::F64(v) => tensor!(v),
        Data::I8(v) => tensor!(v),
        Data::U8(v) => tensor!(v),
        Data::I16(v) => tensor!(v),
        Data::I32(v) => tensor!(v),
        Data::I64(v) => tensor!(v),
    })
}

fn from_value(value: &DynValue) -> Result<Array> {
    let ValueType::Tensor { ty, shape, .. } = value.dtype() else { bail!("is no tensor") };
    let shape: Vec<usize> = shape.iter().map(|&size| usize::try_from(size).unwrap_or(0)).collect();
    macro_rules! numbers {
        ($data:path, $type:ty) => {
            $data(value.try_extract_tensor::<$type>().map_err(refused)?.1.to_vec())
        };
    }
    let data = match ty {
        TensorElementType::Float32 => numbers!(Data::F32, f32),
        TensorElementType::Float64 => numbers!(Data::F64, f64),
        TensorElementType::Int8 => numbers!(Data::I8, i8),
        TensorElementType::Uint8 => numbers!(Data::U8, u8),
        TensorElementType::Int16 => numbers!(Data::I16, i16),
        TensorElementType::Int32 => numbers!(Data::I32, i32),
        TensorElementType::Int64 => numbers!(Data::I64, i64),
        TensorElementType::Bool => {
            let flags = value.try_extract_tensor::<bool>().map_err(refused)?.1;
            Data::U8(flags.iter().map(|&flag| u8::from(flag)).collect())
        }
        other => bail!("holds numbers of the type {other:?}, which is not supported"),
    };
    Ok(Array { shape, data })
}
