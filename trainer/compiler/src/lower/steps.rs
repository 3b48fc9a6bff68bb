//! The operators of the plan while they are collected.

use std::collections::{BTreeMap, BTreeSet};

use teff::plan::{Location, OUTPUTS_PER_SLICE, OpKind, OpRecord, PlanWriter, WriteError};
use teff::quant::QuantParams;
use teff::shape::{Layout, View};

use super::flash::Offer;
use super::layout;
use crate::cost::Work;
use crate::error::{Error, Result};
use crate::graph::{Clamp, ElementType, Graph, Node, Quant, Value, ValueId};
use crate::options::Options;
use crate::target::Target;

/// A value of the plan.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Operand {
    pub name: String,
    pub view: View,
    pub quant: QuantParams,
    pub place: Place,
}

/// Where an operand lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In a buffer of the arena.
    Buffer(usize),
    /// In the data section, at this offset.
    Data(u32),
}

/// An operator of the plan with what the report says about it.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub record: OpRecord,
    pub node: String,
    pub macs: usize,
    pub parameters: usize,
    pub weights_bytes: usize,
}

/// Everything collected so far. Operands are numbered as the values of the plan.
pub(super) struct Lowering<'g> {
    pub graph: &'g Graph,
    pub target: Target,
    pub options: Options,
    /// Values that lie planar.
    pub planar: BTreeSet<ValueId>,
    pub operands: Vec<Operand>,
    pub buffers: usize,
    pub steps: Vec<Step>,
    pub writer: PlanWriter,
    /// Sentences for the report.
    pub notes: Vec<String>,
    /// Steps whose weights take the larger form.
    pub larger: BTreeSet<usize>,
    /// What a larger form of a step's weights would bring.
    pub offers: Vec<Offer>,
    known: BTreeMap<ValueId, u16>,
}

impl<'g> Lowering<'g> {
    pub fn new(graph: &'g Graph, target: Target, options: &Options) -> Result<Self> {
        let mut lowering = Self {
            graph,
            target,
            options: *options,
            planar: layout::planar_values(graph, options.layout),
            operands: Vec::new(),
            buffers: 0,
            steps: Vec::new(),
            writer: PlanWriter::new(target),
            notes: graph.notes.clone(),
            larger: BTreeSet::new(),
            offers: Vec::new(),
            known: BTreeMap::new(),
        };
        for port in &graph.inputs {
            lowering.define(port.value)?;
        }
        Ok(lowering)
    }

    /// The operand of a value that a node reads: an earlier result, an input, or a constant.
    pub fn read(&mut self, id: ValueId) -> Result<u16> {
        if let Some(&index) = self.known.get(&id) {
            return Ok(index);
        }
        let value = self.graph.value(id);
        let Some(tensor) = &value.constant else {
            return Err(Error::value(&value.name, "it is read before it is computed"));
        };
        let quant = activation_quant(value)?;
        let Some(elements) = tensor.as_i8() else {
            return Err(not_quantized(value));
        };
        let bytes: Vec<u8> = elements.iter().map(|&q| q as u8).collect();
        let view = view_of(&four_axes(&value.shape), &value.name)?;
        let offset = self.writer.push_data(&bytes, 4).map_err(too_large)?;
        let index =
            self.push(Operand { name: value.name.clone(), view, quant, place: Place::Data(offset) })?;
        self.known.insert(id, index);
        Ok(index)
    }

    /// A new operand in the arena for a value that a node computes.
    pub fn define(&mut self, id: ValueId) -> Result<u16> {
        let value = self.graph.value(id);
        let quant = activation_quant(value)?;
        let mut view = view_of(&value.shape, &value.name)?;
        if self.planar.contains(&id) {
            view.layout = Layout::Planar;
        }
        let place = self.new_buffer();
        let index = self.push(Operand { name: value.name.clone(), view, quant, place })?;
        self.known.insert(id, index);
        Ok(index)
    }

    /// A second view of the bytes of `source` for a value: a reshape.
    pub fn define_alias(&mut self, id: ValueId, source: u16) -> Result<u16> {
        let value = self.graph.value(id);
        let quant = activation_quant(value)?;
        let view = view_of(&value.shape, &value.name)?;
        let place = self.operand(source).place;
        let index = self.push(Operand { name: value.name.clone(), view, quant, place })?;
        self.known.insert(id, index);
        Ok(index)
    }

    /// An operand that no value of the graph stands for.
    pub fn temporary(&mut self, name: &str, view: View, quant: QuantParams) -> Result<u16> {
        let place = self.new_buffer();
        self.push(Operand { name: name.to_string(), view, quant, place })
    }

    /// The bytes of an operand seen as another view of as many elements.
    pub fn alias(&mut self, index: u16, view: View) -> Result<u16> {
        let operand = self.operand(index).clone();
        self.push(Operand { view, ..operand })
    }

    /// A constant at an offset in the data section.
    pub fn constant(&mut self, name: &str, view: View, quant: QuantParams, offset: u32) -> Result<u16> {
        self.push(Operand { name: name.to_string(), view, quant, place: Place::Data(offset) })
    }

    /// A constant operand, copied to the arena first: element-wise kernels read the arena only.
    pub fn in_arena(&mut self, node: &Node, index: u16) -> Result<u16> {
        let operand = self.operand(index).clone();
        if matches!(operand.place, Place::Buffer(_)) {
            return Ok(index);
        }
        let copy = self.temporary(&format!("{} copied", operand.name), operand.view, operand.quant)?;
        self.push_step(node, OpRecord::new(OpKind::Copy, index, copy), Cost::default());
        Ok(copy)
    }

    pub fn operand(&self, index: u16) -> &Operand {
        &self.operands[usize::from(index)]
    }

    fn new_buffer(&mut self) -> Place {
        self.buffers += 1;
        Place::Buffer(self.buffers - 1)
    }

    fn push(&mut self, operand: Operand) -> Result<u16> {
        let index = u16::try_from(self.operands.len()).ok().filter(|&i| i < u16::MAX);
        self.operands.push(operand);
        index.ok_or_else(|| too_large(WriteError::TooMany))
    }

    /// What a step does, in `calls` calls of its kernel.
    pub fn work(&self, step: usize, calls: usize) -> Work {
        let record = &self.steps[step].record;
        Work::new(record, self.operand(record.inputs[0]).view, self.operand(record.output).view, calls)
    }

    /// How many slices a step has (see [`teff::Session::step`]).
    pub fn slices(&self, step: usize) -> usize {
        let record = &self.steps[step].record;
        let output = self.operand(record.output).view.extent;
        match record.kind {
            OpKind::FullyConnected => output.c.div_ceil(OUTPUTS_PER_SLICE),
            OpKind::Concat | OpKind::Pad | OpKind::Copy => self.operand(record.inputs[0]).view.extent.h,
            OpKind::MatMul => output.h * output.w,
            _ => output.h,
        }
    }

    /// Adds an operator.
    pub fn push_step(&mut self, node: &Node, record: OpRecord, cost: Cost) {
        self.steps.push(Step {
            record,
            node: node.name.clone(),
            macs: cost.macs,
            parameters: cost.parameters,
            weights_bytes: cost.weights_bytes,
        });
    }

    /// Values that a clamp lets through, in the integers of `quant`.
    pub fn clamp(&self, clamp: Clamp, quant: QuantParams) -> (i8, i8) {
        let min = if clamp.min == f32::NEG_INFINITY { i8::MIN } else { quant.quantize(clamp.min) };
        let max = if clamp.max == f32::INFINITY { i8::MAX } else { quant.quantize(clamp.max) };
        (min, max.max(min))
    }

    pub fn location(&self, operand: &Operand, offsets: &[usize]) -> Location {
        match operand.place {
            Place::Buffer(buffer) => Location::Arena(offsets[buffer] as u32),
            Place::Data(offset) => Location::Data(offset),
        }
    }
}

/// What an operator costs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cost {
    pub macs: usize,
    pub parameters: usize,
    pub weights_bytes: usize,
}

/// Scale and zero point of an activation or an element-wise constant.
pub(super) fn activation_quant(value: &Value) -> Result<QuantParams> {
    let quant = value.quant.as_ref().ok_or_else(|| not_quantized(value))?;
    per_tensor(value, quant)
}

fn per_tensor(value: &Value, quant: &Quant) -> Result<QuantParams> {
    let zero_point = i8::try_from(quant.zero_point).ok();
    match zero_point {
        Some(zero_point) if quant.is_per_tensor() && quant.element_type == ElementType::I8 => {
            Ok(QuantParams { scale: quant.scale(), zero_point })
        }
        _ => Err(Error::value(&value.name, "an activation must be int8 with one scale and one zero point")
            .remedy("quantize activations per tensor")),
    }
}

pub(super) fn not_quantized(value: &Value) -> Error {
    Error::value(&value.name, "it is not quantized, so the model cannot run in integers")
        .remedy("quantize the float model with `trainer quantize` or `trainer export --calibrate`")
}

pub(super) fn too_large(error: WriteError) -> Error {
    Error::model(error.to_string())
}

fn view_of(shape: &[usize], name: &str) -> Result<View> {
    match *shape {
        [1, h, w, c] => Ok(View::new(h, w, c, Layout::Nhwc)),
        [n, ..] if shape.len() == 4 => Err(Error::value(name, format!("the batch size is {n}"))
            .remedy("export the model with batch size 1 or a symbolic batch")),
        _ => Err(Error::value(name, format!("an activation has four axes, not {shape:?}"))),
    }
}

/// A constant's shape with axes of size 1 in front.
fn four_axes(shape: &[usize]) -> Vec<usize> {
    let missing = 4usize.saturating_sub(shape.len());
    std::iter::repeat_n(1, missing).chain(shape.iter().copied()).collect()
}
