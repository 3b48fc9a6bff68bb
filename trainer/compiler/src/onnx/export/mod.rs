//! Graph to ONNX file: float, or int8 in the QDQ form.
//!
//! Activations are `[1, c, h, w]`, or `[1, c]` where there is one place only. Every value with a
//! quantization is followed by `QuantizeLinear` and `DequantizeLinear`; weights are int8
//! initializers with one scale per output channel, biases int32. The bytes depend on the graph
//! alone.

mod ops;
mod shape;
mod writer;

use prost::Message;

use super::proto::{
    DimensionProto, GraphProto, ModelProto, OperatorSetIdProto, StringStringEntryProto, TensorShapeProto,
    TensorTypeProto, TypeProto, ValueInfoProto, data_type,
};
use crate::error::{Error, Result};
use crate::graph::{Graph, Op, Port, PortType, Unary};
use shape::Form;
use writer::Writer;

/// Writes a graph, with its metadata, as an ONNX file.
///
/// # Errors
/// Names what cannot be expressed.
pub fn export(graph: &Graph) -> Result<Vec<u8>> {
    graph.verify()?;
    let mut writer = Writer::new(graph);
    for port in &graph.inputs {
        writer.reserve(&port.name);
    }
    for port in &graph.outputs {
        writer.reserve(&port.name);
    }
    for port in &graph.inputs {
        input(&mut writer, port)?;
    }
    for index in 0..graph.nodes.len() {
        ops::node(&mut writer, index)?;
    }
    for port in &graph.outputs {
        output(&mut writer, port)?;
    }
    writer.merge_outputs();
    let info = |port: &Port| ValueInfoProto {
        name: Some(port.name.clone()),
        r#type: Some(TypeProto {
            tensor_type: Some(TensorTypeProto {
                elem_type: Some(match port.kind {
                    PortType::F32 => data_type::FLOAT,
                    PortType::I8 => data_type::INT8,
                    PortType::U8 => data_type::UINT8,
                }),
                shape: Some(TensorShapeProto {
                    dim: port
                        .shape
                        .iter()
                        .map(|&d| DimensionProto { dim_value: Some(d as i64), dim_param: None })
                        .collect(),
                }),
            }),
        }),
    };
    let opset = opset_of(graph);
    let model = ModelProto {
        ir_version: Some(if opset > 18 { 9 } else { 8 }),
        producer_name: Some("teff".into()),
        producer_version: Some(env!("CARGO_PKG_VERSION").into()),
        graph: Some(GraphProto {
            node: writer.nodes,
            name: Some(if graph.name.is_empty() { "model".into() } else { graph.name.clone() }),
            initializer: writer.initializers,
            input: graph.inputs.iter().map(info).collect(),
            output: graph.outputs.iter().map(info).collect(),
            sparse_initializer: Vec::new(),
        }),
        opset_import: vec![OperatorSetIdProto { domain: Some(String::new()), version: Some(opset) }],
        metadata_props: graph
            .metadata
            .iter()
            .map(|(key, value)| StringStringEntryProto { key: Some(key.clone()), value: Some(value.clone()) })
            .collect(),
    };
    Ok(model.encode_to_vec())
}

/// The oldest operator set from 17 on that has all operators of the graph.
fn opset_of(graph: &Graph) -> i64 {
    let newest = graph.nodes.iter().map(|node| match node.op {
        Op::Unary(Unary::Gelu { .. }) => 20,
        Op::Unary(Unary::Mish) => 18,
        _ => 17,
    });
    newest.max().unwrap_or(17)
}

/// From a model input to its value.
fn input(writer: &mut Writer<'_>, port: &Port) -> Result<()> {
    let value = writer.graph.value(port.value);
    let real = match (port.kind, &value.quant) {
        (PortType::F32, Some(quant)) => {
            writer.quantize_dequantize(&port.name, &format!("{}.quantized", port.name), quant)
        }
        (PortType::F32, None) => port.name.clone(),
        (kind, Some(quant)) => writer.dequantize(&port.name, quant, kind),
        (_, None) => {
            return Err(Error::value(&port.name, "an integer input has no scale"));
        }
    };
    let nhwc = value.nhwc().unwrap_or([1; 4]);
    let form = Form::of(nhwc);
    if *port == (Port { kind: port.kind, ..Port::channels_first(port.value, &port.name, nhwc) }) {
        writer.set(port.value, &real, form);
        return Ok(());
    }
    // To the order of the bytes, then to the usual axes.
    let mut name = real;
    if port.axes != port.shape {
        name = writer.reshape(&name, &port.axes);
    }
    name = writer.transpose(&name, &port.permutation);
    name = writer.reshape(&name, &nhwc);
    name = writer.transpose(&name, &[0, 3, 1, 2]);
    writer.set(port.value, &name, Form::Nchw);
    Ok(())
}

/// From a value to a model output.
fn output(writer: &mut Writer<'_>, port: &Port) -> Result<()> {
    let nhwc = writer.graph.value(port.value).nhwc().unwrap_or([1; 4]);
    let usual = Port::channels_first(port.value, &port.name, nhwc);
    if port.shape == usual.shape && port.permutation == usual.permutation {
        let form = Form::of(nhwc);
        let name = writer.take(port.value, form);
        if name != port.name {
            writer.finish_as(&name, port)?;
        }
        return Ok(());
    }
    let mut name = writer.take(port.value, Form::Nchw);
    name = writer.transpose(&name, &[0, 2, 3, 1]);
    let permuted: Vec<usize> = port.permutation.iter().map(|&p| port.axes[p]).collect();
    name = writer.reshape(&name, &permuted);
    let mut back = vec![0; port.permutation.len()];
    for (i, &p) in port.permutation.iter().enumerate() {
        back[p] = i;
    }
    name = writer.transpose(&name, &back);
    if port.axes != port.shape {
        name = writer.reshape(&name, &port.shape);
    }
    writer.finish_as(&name, port)
}
