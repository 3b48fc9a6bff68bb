//! Nodes and initializers of the file, and the tensor that stands for each value.

use std::collections::{BTreeMap, BTreeSet};

use super::shape::Form;
use crate::error::{Error, Result};
use crate::graph::{ElementType, Elements, Graph, Port, PortType, Quant, Tensor, ValueId};
use crate::onnx::proto::{AttributeProto, NodeProto, TensorProto, attribute_type, data_type};

pub(super) struct Writer<'g> {
    pub graph: &'g Graph,
    pub nodes: Vec<NodeProto>,
    pub initializers: Vec<TensorProto>,
    names: BTreeSet<String>,
    node_names: BTreeSet<String>,
    tensors: BTreeMap<ValueId, (String, Form)>,
    taken: BTreeMap<(ValueId, &'static str), String>,
    constants: BTreeMap<String, String>,
    /// Nodes that only give a tensor the name of a model output.
    renamed: Vec<usize>,
}

impl<'g> Writer<'g> {
    pub fn new(graph: &'g Graph) -> Writer<'g> {
        Writer {
            graph,
            nodes: Vec::new(),
            initializers: Vec::new(),
            names: BTreeSet::new(),
            node_names: BTreeSet::new(),
            tensors: BTreeMap::new(),
            taken: BTreeMap::new(),
            constants: BTreeMap::new(),
            renamed: Vec::new(),
        }
    }

    /// Keeps a tensor name for the model's inputs and outputs.
    pub fn reserve(&mut self, name: &str) {
        self.names.insert(name.to_string());
    }

    /// A tensor name that is not in use.
    pub fn fresh(&mut self, name: &str) -> String {
        fresh(&mut self.names, name)
    }

    /// Declares the tensor that holds a value.
    pub fn set(&mut self, value: ValueId, name: &str, form: Form) {
        self.tensors.insert(value, (name.to_string(), form));
    }

    /// Adds a node with one result of that name.
    pub fn node(
        &mut self,
        op_type: &str,
        name: &str,
        inputs: &[&str],
        output: &str,
        attributes: Vec<AttributeProto>,
    ) {
        let name = fresh(&mut self.node_names, name);
        self.nodes.push(NodeProto {
            input: inputs.iter().map(|i| i.to_string()).collect(),
            output: vec![output.to_string()],
            name: Some(name),
            op_type: Some(op_type.to_string()),
            attribute: attributes,
            domain: None,
        });
    }

    /// Adds a node whose result has a name of its own, which is given back.
    pub fn step(
        &mut self,
        op_type: &str,
        name: &str,
        inputs: &[&str],
        attributes: Vec<AttributeProto>,
    ) -> String {
        let output = self.fresh(name);
        self.node(op_type, name, inputs, &output, attributes);
        output
    }

    pub fn reshape(&mut self, name: &str, shape: &[usize]) -> String {
        let sizes = self.ints(shape.iter().map(|&d| d as i64).collect());
        self.step("Reshape", &format!("{name}.reshaped"), &[name, &sizes], Vec::new())
    }

    /// A transposition; nothing where the axes stay in order.
    pub fn transpose(&mut self, name: &str, axes: &[usize]) -> String {
        if axes.windows(2).all(|w| w[0] < w[1]) {
            return name.to_string();
        }
        let axes = axes.iter().map(|&a| a as i64).collect();
        self.step("Transpose", &format!("{name}.transposed"), &[name], vec![ints("perm", axes)])
    }

    /// The tensor of a value in the form that is asked for.
    pub fn take(&mut self, value: ValueId, wanted: Form) -> String {
        let (name, form) = self.tensors.get(&value).cloned().unwrap_or_default_tensor();
        if form == wanted {
            return name;
        }
        let key = (value, if wanted == Form::Vector { "vector" } else { "nchw" });
        if let Some(done) = self.taken.get(&key) {
            return done.clone();
        }
        let [n, h, w, c] = self.graph.value(value).nhwc().unwrap_or([1; 4]);
        let plain = match form {
            Form::Flattened { .. } => {
                let bytes = self.transpose(&name, &[0, 2, 3, 1]);
                self.reshape(&bytes, &[n, c])
            }
            _ => name,
        };
        let result = match wanted {
            Form::Vector if matches!(form, Form::Flattened { .. }) => plain,
            Form::Vector => self.reshape(&plain, &[n, c]),
            _ => self.reshape(&plain, &[n, c, h, w]),
        };
        self.taken.insert(key, result.clone());
        result
    }

    /// The tensor of a value and its form, as it stands.
    pub fn tensor(&self, value: ValueId) -> (String, Form) {
        self.tensors.get(&value).cloned().unwrap_or_default_tensor()
    }

    /// Ends an operator: `real` is the name of its result; rounds it where the value is quantized.
    pub fn give(&mut self, value: ValueId, real: &str, form: Form) {
        let graph = self.graph;
        let name = match &graph.value(value).quant {
            None => real.to_string(),
            Some(quant) => {
                let own = self.integer_name(value);
                self.quantize_dequantize(real, &own, quant)
            }
        };
        self.set(value, &name, form);
    }

    /// Name for the integers of a value: its own, unless an input or output of the model has it.
    fn integer_name(&self, value: ValueId) -> String {
        let graph = self.graph;
        let name = &graph.value(value).name;
        let mut ports = graph.inputs.iter().chain(&graph.outputs);
        if ports.any(|p| p.name == *name) { format!("{name}.quantized") } else { name.clone() }
    }

    /// Name for the result of the operator that makes a value, before it is rounded.
    pub fn real_name(&mut self, value: ValueId) -> String {
        let graph = self.graph;
        let name = &graph.value(value).name;
        if graph.value(value).quant.is_some() {
            return self.fresh(&format!("{}.real", self.integer_name(value)));
        }
        // A float output keeps the name that the model gives it.
        if graph.outputs.iter().any(|p| p.value == value && p.name == *name) {
            return name.clone();
        }
        self.fresh(name)
    }

    /// Rounds a tensor; the integers get a name near `integers`.
    pub fn quantize_dequantize(&mut self, real: &str, integers: &str, quant: &Quant) -> String {
        let (scale, zero) = self.scale_and_zero(quant, PortType::I8);
        let integers = self.fresh(integers);
        self.node(
            "QuantizeLinear",
            &format!("{integers}.quantize"),
            &[real, &scale, &zero],
            &integers,
            Vec::new(),
        );
        self.dequantize(&integers, quant, PortType::I8)
    }

    /// Reads integers as reals.
    pub fn dequantize(&mut self, integers: &str, quant: &Quant, kind: PortType) -> String {
        let (scale, zero) = self.scale_and_zero(quant, kind);
        let real = self.fresh(&format!("{integers}.dequantized"));
        self.node(
            "DequantizeLinear",
            &format!("{integers}.dequantize"),
            &[integers, &scale, &zero],
            &real,
            Vec::new(),
        );
        real
    }

    fn scale_and_zero(&mut self, quant: &Quant, kind: PortType) -> (String, String) {
        let scale = self.scalar(quant.scale());
        let zero = if kind == PortType::U8 { quant.zero_point + 128 } else { quant.zero_point };
        let key = format!("{} zero {zero}", kind.name());
        let kind = if kind == PortType::U8 { data_type::UINT8 } else { data_type::INT8 };
        let zero = self.shared(&key, &format!("zero_point.{zero}"), |name| TensorProto {
            name: Some(name),
            data_type: Some(kind),
            raw_data: Some(vec![zero as u8]),
            ..TensorProto::default()
        });
        (scale, zero)
    }

    /// A constant single number.
    pub fn scalar(&mut self, number: f32) -> String {
        let key = format!("scalar {:08x}", number.to_bits());
        self.shared(&key, &format!("constant.{number}"), |name| TensorProto {
            name: Some(name),
            data_type: Some(data_type::FLOAT),
            raw_data: Some(number.to_le_bytes().to_vec()),
            ..TensorProto::default()
        })
    }

    /// A constant list of integers.
    pub fn ints(&mut self, ints: Vec<i64>) -> String {
        let key = format!("ints {ints:?}");
        let text: Vec<String> = ints.iter().map(i64::to_string).collect();
        self.shared(&key, &format!("shape.{}", text.join("x")), |name| TensorProto {
            name: Some(name),
            dims: vec![ints.len() as i64],
            data_type: Some(data_type::INT64),
            raw_data: Some(ints.iter().flat_map(|i| i.to_le_bytes()).collect()),
            ..TensorProto::default()
        })
    }

    fn shared(&mut self, key: &str, name: &str, make: impl FnOnce(String) -> TensorProto) -> String {
        if let Some(done) = self.constants.get(key) {
            return done.clone();
        }
        let name = self.fresh(name);
        self.constants.insert(key.to_string(), name.clone());
        self.initializers.push(make(name.clone()));
        name
    }

    /// A float constant.
    pub fn reals(&mut self, name: &str, shape: &[usize], reals: &[f32]) -> String {
        let name = self.fresh(name);
        self.initializers.push(TensorProto {
            name: Some(name.clone()),
            dims: shape.iter().map(|&d| d as i64).collect(),
            data_type: Some(data_type::FLOAT),
            raw_data: Some(reals.iter().flat_map(|x| x.to_le_bytes()).collect()),
            ..TensorProto::default()
        });
        name
    }

    /// A weight or bias in the file's order; gives the name of its real numbers. `axis` is that of
    /// the output channels in the file.
    pub fn parameter(
        &mut self,
        name: &str,
        tensor: &Tensor,
        quant: Option<&Quant>,
        axis: usize,
    ) -> Result<String> {
        let Some(quant) = quant else {
            let reals = tensor.as_f32().ok_or_else(|| Error::value(name, "integers without a scale"))?;
            return Ok(self.reals(name, tensor.shape(), reals));
        };
        let integers = self.fresh(name);
        let (kind, raw) = match tensor.elements() {
            Elements::I8(v) => (data_type::INT8, v.iter().map(|&x| x as u8).collect()),
            Elements::I32(v) => (data_type::INT32, v.iter().flat_map(|x| x.to_le_bytes()).collect()),
            Elements::F32(_) => return Err(Error::value(name, "real numbers with a scale")),
        };
        self.initializers.push(TensorProto {
            name: Some(integers.clone()),
            dims: tensor.shape().iter().map(|&d| d as i64).collect(),
            data_type: Some(kind),
            raw_data: Some(raw),
            ..TensorProto::default()
        });
        let per_channel = quant.channel_axis.is_some();
        let shape: &[usize] = if per_channel { &[quant.scales.len()] } else { &[] };
        let scale = self.reals(&format!("{integers}.scale"), shape, &quant.scales);
        let mut inputs = vec![integers.clone(), scale];
        if quant.element_type == ElementType::I8 {
            let zero = self.fresh(&format!("{integers}.zero_point"));
            self.initializers.push(TensorProto {
                name: Some(zero.clone()),
                dims: shape.iter().map(|&d| d as i64).collect(),
                data_type: Some(data_type::INT8),
                raw_data: Some(vec![0; quant.scales.len()]),
                ..TensorProto::default()
            });
            inputs.push(zero);
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let attributes = if per_channel { vec![int("axis", axis as i64)] } else { Vec::new() };
        Ok(self.step("DequantizeLinear", &format!("{integers}.dequantized"), &inputs, attributes))
    }

    /// Gives the last tensor of a chain the name of a model output.
    pub fn finish_as(&mut self, name: &str, port: &Port) -> Result<()> {
        if port.kind != PortType::F32 {
            // The output is the integers themselves.
            let graph = self.graph;
            let quant = graph
                .value(port.value)
                .quant
                .as_ref()
                .ok_or_else(|| Error::value(&port.name, "an integer output has no scale"))?;
            let (scale, zero) = self.scale_and_zero(quant, port.kind);
            self.node(
                "QuantizeLinear",
                &format!("{}.output", port.name),
                &[name, &scale, &zero],
                &port.name,
                Vec::new(),
            );
            return Ok(());
        }
        self.renamed.push(self.nodes.len());
        self.node("Identity", &format!("{}.output", port.name), &[name], &port.name, Vec::new());
        Ok(())
    }

    /// Lets the node that made a tensor make the model output itself, where nothing else reads the tensor.
    pub fn merge_outputs(&mut self) {
        for index in std::mem::take(&mut self.renamed).into_iter().rev() {
            let (from, to) = (self.nodes[index].input[0].clone(), self.nodes[index].output[0].clone());
            let readers = self.nodes.iter().flat_map(|n| &n.input).filter(|i| **i == from).count();
            let port = |port: &Port| port.name == from;
            if readers > 1 || self.graph.outputs.iter().any(port) {
                continue;
            }
            if let Some(maker) = self.nodes.iter_mut().find(|n| n.output[0] == from) {
                maker.output[0] = to;
                self.nodes.remove(index);
            }
        }
    }
}

/// A tensor of a value that has been declared; every value is, before it is read.
trait DeclaredTensor {
    fn unwrap_or_default_tensor(self) -> (String, Form);
}

impl DeclaredTensor for Option<(String, Form)> {
    fn unwrap_or_default_tensor(self) -> (String, Form) {
        self.unwrap_or((String::new(), Form::Nchw))
    }
}

fn fresh(names: &mut BTreeSet<String>, name: &str) -> String {
    let mut candidate = name.to_string();
    let mut number = 2;
    while !names.insert(candidate.clone()) {
        candidate = format!("{name}.{number}");
        number += 1;
    }
    candidate
}

pub(super) fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_string()),
        i: Some(i),
        r#type: Some(attribute_type::INT),
        ..AttributeProto::default()
    }
}

pub(super) fn ints(name: &str, ints: Vec<i64>) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_string()),
        ints,
        r#type: Some(attribute_type::INTS),
        ..AttributeProto::default()
    }
}

pub(super) fn float(name: &str, f: f32) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_string()),
        f: Some(f),
        r#type: Some(attribute_type::FLOAT),
        ..AttributeProto::default()
    }
}

pub(super) fn string(name: &str, s: &str) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_string()),
        s: Some(s.as_bytes().to_vec()),
        r#type: Some(attribute_type::STRING),
        ..AttributeProto::default()
    }
}
