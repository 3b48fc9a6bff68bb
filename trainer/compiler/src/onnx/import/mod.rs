//! ONNX file to graph.
//!
//! Nodes are read in an order in which each comes after those it reads from; those that no output
//! depends on are left out. The order in which a model input's bytes lie is free: it is chosen so
//! that the first operator that cares finds them as it needs them ([`crate::import`]), and the import
//! starts again with that order.

mod attributes;
mod classes;
mod classical;
mod composite;
mod convolve;
mod cut;
mod dense;
mod dynamic;
mod elementwise;
mod fold;
mod item;
mod join;
#[cfg(test)]
mod mutations;
mod parts;
mod pool;
mod qoperator;
mod quantized;
mod refused;
mod reshape;
mod state;
mod table;
mod tensor;

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;

use super::proto::{GraphProto, ModelProto, ValueInfoProto, data_type};
use crate::error::{Error, Place, Result};
use crate::graph::Graph;
use crate::import::{MAX_NODES, with_orders};
use attributes::Reader;
use state::Import;
pub use table::{OPERATORS, Operator, operators_page};
use tensor::MAX_ELEMENTS;

/// Oldest and newest version of the standard operator set that is read.
pub const OPSETS: std::ops::RangeInclusive<i64> = 7..=26;

/// Reads an ONNX file: float, or quantized in the QDQ form.
///
/// # Errors
/// Names the node or value that is damaged or not supported, and what to do about it.
pub fn import(bytes: &[u8]) -> Result<Graph> {
    // What no tool writes has no remedy of its own.
    read(bytes).map_err(|error| match error.remedy.is_empty() {
        true => {
            error.remedy("the file is damaged, or departs from the ONNX standard: export the model again")
        }
        false => error,
    })
}

fn read(bytes: &[u8]) -> Result<Graph> {
    let model = ModelProto::decode(bytes).map_err(|e| {
        Error::at(Place::Model, format!("not a readable ONNX file: {e}"))
            .remedy("check that the file is complete and was saved as .onnx")
    })?;
    let opset = check_versions(&model)?;
    let file = model
        .graph
        .as_ref()
        .ok_or_else(|| Error::model("the ONNX file holds no graph").remedy("export it again"))?;
    if !file.sparse_initializer.is_empty() {
        return Err(Error::model("sparse initializers are not supported")
            .remedy("export the weights as dense tensors"));
    }
    if file.node.len() > MAX_NODES {
        return Err(Error::model(format!("{} nodes are more than {MAX_NODES}", file.node.len()))
            .remedy("this is not a model for small devices"));
    }
    let order = order_nodes(file)?;

    let mut state = with_orders(
        file.input.len(),
        |orders| Import::new(opset, file, orders),
        |state| run(state, file, &order),
    )?;
    state.graph.metadata = super::metadata::read(&model.metadata_props)?;
    let graph = state.finish(file)?;
    graph.verify()?;
    Ok(graph)
}

fn check_versions(model: &ModelProto) -> Result<i64> {
    let mut opset = None;
    for import in &model.opset_import {
        if matches!(import.domain.as_deref().unwrap_or(""), "" | "ai.onnx") {
            opset = import.version;
        }
    }
    let opset = opset.ok_or_else(|| {
        Error::model("the file does not say which operator set it uses")
            .remedy("it is damaged, or not an ONNX model")
    })?;
    if !OPSETS.contains(&opset) {
        return Err(Error::model(format!(
            "operator set {opset} is not read, only {} to {}",
            OPSETS.start(),
            OPSETS.end()
        ))
        .remedy("export with opset 17, or convert with onnx.version_converter"));
    }
    Ok(opset)
}

/// Indices of the nodes that outputs depend on, each after those it reads from.
fn order_nodes(file: &GraphProto) -> Result<Vec<usize>> {
    let mut given: BTreeSet<&str> = BTreeSet::new();
    for tensor in &file.initializer {
        let name = tensor.name.as_deref().unwrap_or("");
        if name.is_empty() {
            return Err(Error::model("an initializer has no name").remedy("export the model again"));
        }
        if !given.insert(name) {
            return Err(Error::value(name, "two initializers have this name"));
        }
    }
    let mut inputs = BTreeSet::new();
    for input in &file.input {
        let name = input.name.as_deref().unwrap_or("");
        if !inputs.insert(name) {
            return Err(Error::value(name, "two inputs have this name"));
        }
    }
    given.extend(inputs);

    let mut producers: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, node) in file.node.iter().enumerate() {
        for output in node.output.iter().filter(|o| !o.is_empty()) {
            if given.contains(output.as_str()) || producers.insert(output, index).is_some() {
                return Err(Reader::new(node)
                    .fault(format!("`{output}` is produced twice"))
                    .remedy("give each tensor a name of its own"));
            }
        }
    }

    // Depth first from the outputs, without recursion.
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; file.node.len()];
    let mut order = Vec::new();
    let mut outputs = BTreeSet::new();
    for output in &file.output {
        let name = output.name.as_deref().unwrap_or("");
        if !outputs.insert(name) {
            return Err(Error::value(name, "two outputs have this name"));
        }
        let Some(&root) = producers.get(name) else {
            if given.contains(name) {
                return Err(Error::value(name, "this output of the model is an input or a constant")
                    .remedy("remove it: nothing is computed for it"));
            }
            return Err(Error::value(name, "no node produces this output of the model"));
        };
        let mut stack = vec![(root, 0usize)];
        while let Some(&mut (index, ref mut next)) = stack.last_mut() {
            let node = &file.node[index];
            if marks[index] == Mark::Done {
                stack.pop();
                continue;
            }
            marks[index] = Mark::Open;
            let Some(input) = node.input.get(*next) else {
                marks[index] = Mark::Done;
                order.push(index);
                stack.pop();
                continue;
            };
            *next += 1;
            if input.is_empty() || given.contains(input.as_str()) {
                continue;
            }
            match producers.get(input.as_str()) {
                None => {
                    return Err(Reader::new(node)
                        .fault(format!("it reads `{input}`, which nothing produces"))
                        .remedy("the file lacks an initializer or a node; export it again"));
                }
                Some(&before) => match marks[before] {
                    Mark::Done => {}
                    Mark::Open => {
                        return Err(Reader::new(node)
                            .fault(format!("it reads `{input}`, which depends on this node"))
                            .remedy("a graph with a cycle cannot be run"));
                    }
                    Mark::New => stack.push((before, 0)),
                },
            }
        }
    }
    Ok(order)
}

fn run(state: &mut Import, file: &GraphProto, order: &[usize]) -> Result<()> {
    let mut read: BTreeMap<&str, usize> = BTreeMap::new();
    for &index in order {
        for input in &file.node[index].input {
            *read.entry(input).or_default() += 1;
        }
    }
    for output in &file.output {
        *read.entry(output.name.as_deref().unwrap_or("")).or_default() += 1;
    }
    state.set_reader_counts(&read);
    for &index in order {
        let node = &file.node[index];
        let reader = Reader::new(node);
        let operator = table::find(node).ok_or_else(|| refused::unknown(&reader))?;
        if let Some(second) =
            node.output.iter().skip(operator.results).find(|o| read.contains_key(o.as_str()))
        {
            return Err(reader
                .fault(format!("its further result `{second}` is not supported"))
                .remedy("cut the model before it, or export without that result"));
        }
        if !fold::fold(state, &reader)? {
            (operator.import)(state, &reader)?;
        }
        reader.finish()?;
    }
    Ok(())
}

/// Shape of a model input: a symbolic or missing first axis counts as batch of 1.
fn input_shape(info: &ValueInfoProto) -> Result<(i32, Vec<usize>)> {
    let name = info.name.as_deref().unwrap_or("");
    let fault = |reason: String| Error::value(name, reason);
    let tensor = info
        .r#type
        .as_ref()
        .and_then(|t| t.tensor_type.as_ref())
        .ok_or_else(|| fault("the input is not a tensor".into()))?;
    let kind = tensor.elem_type.unwrap_or(0);
    let shape = tensor.shape.as_ref().ok_or_else(|| {
        fault("the input has no shape".into())
            .remedy("export with a fixed input shape; only the batch may be symbolic")
    })?;
    let dims = shape.dim.as_slice();
    let mut shape = Vec::new();
    for (axis, dim) in dims.iter().enumerate() {
        match dim.dim_value {
            Some(size @ 1..) if size as u64 <= MAX_ELEMENTS as u64 => shape.push(size as usize),
            Some(size) if size != 0 || axis > 0 => {
                return Err(fault(format!("size {size} of axis {axis} is out of range")));
            }
            _ if axis == 0 => shape.push(1),
            _ => {
                return Err(fault(format!(
                    "axis {axis} has no fixed size ({})",
                    dim.dim_param.as_deref().unwrap_or("unnamed")
                ))
                .remedy("export with fixed sizes; only the batch may be symbolic"));
            }
        }
    }
    if crate::graph::checked_len(&shape).is_none_or(|len| len > MAX_ELEMENTS) {
        return Err(fault(format!("shape {shape:?} is too large")));
    }
    if shape.len() > 1 && shape[0] != 1 {
        return Err(fault(format!("a batch of {} is fixed in the model", shape[0]))
            .remedy("export with batch size 1 or a symbolic batch"));
    }
    const REAL: [i32; 4] = [data_type::FLOAT, data_type::DOUBLE, data_type::FLOAT16, data_type::BFLOAT16];
    if !REAL.contains(&kind) && !matches!(kind, data_type::INT8 | data_type::UINT8) {
        return Err(fault(format!("inputs of type {} are not supported", data_type::name(kind)))
            .remedy("export with float, int8 or uint8 inputs"));
    }
    Ok((kind, shape))
}
