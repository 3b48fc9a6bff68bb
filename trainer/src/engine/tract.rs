//! tract.

use std::path::Path;

use anyhow::{Context, Result, bail};
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::{DimLike, Factoid};

use super::{Engine, Port};
use crate::arrays::{Array, Data, ElementType};

/// A model in tract.
#[derive(Debug)]
pub struct Tract {
    model: Arc<TypedRunnableModel>,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
}

impl Tract {
    /// Loads an ONNX file, or the ONNX form of a model of another format. An open first axis becomes 1.
    pub fn load(path: &Path) -> Result<Tract> {
        let bytes = crate::model_file::as_onnx(path)?;
        Tract::from_bytes(&bytes).with_context(|| {
            format!("{}: tract does not run this model. {}", path.display(), super::WHAT_NOW)
        })
    }

    /// Loads an ONNX model.
    pub fn from_bytes(onnx: &[u8]) -> Result<Tract> {
        let mut model = tract_onnx::onnx().model_for_read(&mut &onnx[..])?;
        let mut inputs = Vec::new();
        for index in 0..model.inputs.len() {
            let mut fact = model.input_fact(index)?.clone();
            if fact
                .shape
                .dim(0)
                .is_some_and(|first| first.concretize().is_none_or(|size| size.to_usize().is_err()))
            {
                fact.shape.set_dim(0, 1.to_dim());
            }
            inputs.push((model.node(model.inputs[index].node).name.clone(), fact.clone()));
            model.set_input_fact(index, fact)?;
        }
        let names: Vec<String> = model
            .outputs
            .iter()
            .enumerate()
            .map(|(index, outlet)| output_name(&model, index, *outlet))
            .collect();
        // Not optimised: the optimiser folds a softmax between integers into one that gives 127 everywhere.
        let model = model.into_typed()?.into_runnable()?;
        let mut inputs = inputs
            .into_iter()
            .map(|(name, fact)| {
                let Some(datum_type) = fact.datum_type.concretize() else {
                    bail!("input `{name}` has no type")
                };
                let Some(shape) = fact.shape.concretize() else {
                    bail!("input `{name}` has an axis of open size besides the first")
                };
                port(name, datum_type, &shape)
            })
            .collect::<Result<Vec<Port>>>()?;
        super::ports::add_quants(&mut inputs, onnx);
        let outputs = names
            .into_iter()
            .enumerate()
            .map(|(index, name)| {
                let fact = model.model().output_fact(index)?;
                port(name, fact.datum_type, &fact.shape.to_tvec())
            })
            .collect::<Result<Vec<Port>>>()?;
        Ok(Tract { model, inputs, outputs })
    }
}

/// The name of an output in the ONNX file.
fn output_name(model: &InferenceModel, index: usize, outlet: OutletId) -> String {
    match model.outlet_label(outlet) {
        Some(label) => label.to_string(),
        None => format!("output_{index}"),
    }
}

fn port(name: String, datum_type: DatumType, shape: &[TDim]) -> Result<Port> {
    let element_type = match datum_type.unquantized() {
        DatumType::F32 => ElementType::F32,
        DatumType::F64 => ElementType::F64,
        DatumType::I8 => ElementType::I8,
        DatumType::U8 | DatumType::Bool => ElementType::U8,
        DatumType::I16 => ElementType::I16,
        DatumType::I32 => ElementType::I32,
        DatumType::I64 | DatumType::TDim => ElementType::I64,
        other => bail!("`{name}` holds numbers of the type {other:?}, which is not supported"),
    };
    let shape = shape.iter().map(|size| size.to_usize().ok()).collect();
    Ok(Port { name, shape, element_type, quant: None })
}

impl Engine for Tract {
    fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    fn run(&mut self, examples: &[Vec<Array>]) -> Result<Vec<Vec<Array>>> {
        let one = |example: &Vec<Array>| {
            let inputs = example.iter().map(to_tensor).collect::<Result<TVec<TValue>>>()?;
            let outputs = self.model.run(inputs)?;
            outputs.iter().zip(&self.outputs).map(|(tensor, port)| from_tensor(tensor, port)).collect()
        };
        examples.iter().map(one).collect()
    }
}

fn to_tensor(array: &Array) -> Result<TValue> {
    let shape = &array.shape;
    let tensor = match &array.data {
        Data::F32(v) => Tensor::from_shape(shape, v)?,
        Data::F64(v) => Tensor::from_shape(shape, v)?,
        Data::I8(v) => Tensor::from_shape(shape, v)?,
        Data::U8(v) => Tensor::from_shape(shape, v)?,
        Data::I16(v) => Tensor::from_shape(shape, v)?,
        Data::I32(v) => Tensor::from_shape(shape, v)?,
        Data::I64(v) => Tensor::from_shape(shape, v)?,
    };
    Ok(tensor.into())
}

fn from_tensor(tensor: &Tensor, port: &Port) -> Result<Array> {
    let shape = tensor.shape().to_vec();
    fn numbers<T: Datum + Copy>(tensor: &Tensor) -> Result<Vec<T>> {
        // A quantized type has the same bytes as its plain one.
        let mut plain = tensor.clone();
        if tensor.datum_type().is_quantized() {
            plain = plain.cast_to_dt(tensor.datum_type().unquantized())?.into_owned();
        }
        let plain = plain.cast_to::<T>()?;
        Ok(plain.to_plain_array_view::<T>()?.iter().copied().collect())
    }
    let data = match port.element_type {
        ElementType::F32 => Data::F32(numbers(tensor)?),
        ElementType::F64 => Data::F64(numbers(tensor)?),
        ElementType::I8 => Data::I8(numbers(tensor)?),
        ElementType::U8 => Data::U8(numbers(tensor)?),
        ElementType::I16 => Data::I16(numbers(tensor)?),
        ElementType::I32 => Data::I32(numbers(tensor)?),
        ElementType::I64 => Data::I64(numbers(tensor)?),
    };
    Ok(Array { shape, data })
}
