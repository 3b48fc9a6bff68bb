//! An operator of the file while it is being imported.

use super::flatbuffer::Table;
use super::schema::{ElementType, File, Operator, operator_name};
use crate::error::{Error, Result};
use crate::graph::Clamp;
use crate::import::Site;

/// An operator, its name, and typed access to its options.
pub(super) struct Node<'b> {
    pub operator: Operator<'b>,
    /// Name of its first result: operators have none of their own.
    pub name: String,
    /// Name of what it computes.
    pub kind: String,
    /// Type of its first result.
    pub result_type: ElementType,
}

/// Numbers of the tables of options among all of them.
pub(super) mod options {
    pub const CONV_2D: u8 = 1;
    pub const DEPTHWISE_CONV_2D: u8 = 2;
    pub const POOL_2D: u8 = 5;
    pub const FULLY_CONNECTED: u8 = 8;
    pub const SOFTMAX: u8 = 9;
    pub const CONCATENATION: u8 = 10;
    pub const ADD: u8 = 11;
    pub const RESHAPE: u8 = 17;
    pub const MUL: u8 = 21;
    pub const GATHER: u8 = 23;
    pub const REDUCER: u8 = 27;
    pub const SUB: u8 = 28;
    pub const DIV: u8 = 29;
    pub const SQUEEZE: u8 = 30;
    pub const STRIDED_SLICE: u8 = 32;
    pub const PACK: u8 = 59;
    pub const LEAKY_RELU: u8 = 75;
    pub const BATCH_MATMUL: u8 = 101;
    pub const GELU: u8 = 116;
}

/// A function that an operator applies to its result.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Activation {
    Clamp(Clamp),
    Tanh,
}

impl<'b> Node<'b> {
    pub fn read(file: &File<'b>, index: usize) -> Result<Node<'b>> {
        let operator = file.operator(index)?;
        let kind = match (operator_name(operator.code), operator.custom) {
            (Some("CUSTOM"), custom) => format!("custom {custom}"),
            (Some(name), _) => name.to_string(),
            (None, _) => format!("operator code {}", operator.code),
        };
        let nowhere = || Error::node(&format!("operator {index}"), &kind, "it has no result");
        let first = operator.outputs.first().copied().unwrap_or(-1);
        let tensor = file.tensor(first)?.ok_or_else(nowhere)?;
        Ok(Node { operator, name: tensor.name, kind, result_type: tensor.element_type })
    }

    /// An error about this operator.
    pub fn fault(&self, reason: impl Into<String>) -> Error {
        Error::node(&self.name, &self.kind, reason)
    }

    /// Number of the tensor of an operand, or `None` where it is left out.
    pub fn input(&self, index: usize) -> Option<i32> {
        self.operator.inputs.get(index).copied().filter(|&tensor| tensor >= 0)
    }

    /// Number of the tensor of the first result.
    pub fn output(&self) -> i32 {
        self.operator.outputs.first().copied().unwrap_or(-1)
    }

    /// The options, which are of the kind given; `None` where all have their defaults.
    pub fn options(&self, kind: u8) -> Result<Option<Table<'b>>> {
        match (self.operator.options_kind, self.operator.options) {
            (0, _) | (_, None) => Ok(None),
            (found, options) if found == kind => Ok(options),
            (found, _) => Err(self
                .fault(format!("its options are of kind {found}, not {kind}"))
                .remedy("the file is damaged")),
        }
    }

    /// The function that field `number` of the options says is applied to the result.
    pub fn activation(&self, options: Option<Table<'b>>, number: usize) -> Result<Activation> {
        match options.map_or(Ok(0), |options| options.scalar::<i8>(number, 0))? {
            0 => Ok(Activation::Clamp(Clamp::NONE)),
            1 => Ok(Activation::Clamp(Clamp::RELU)),
            2 => Ok(Activation::Clamp(Clamp { min: -1.0, max: 1.0 })),
            3 => Ok(Activation::Clamp(Clamp::RELU6)),
            4 => Ok(Activation::Tanh),
            5 => Err(self
                .fault("the sign of its result as fused activation is not supported")
                .remedy("leave the activation out of the model")),
            other => Err(self.fault(format!("fused activation {other} is not known"))),
        }
    }

    /// A positive number of the options, such as a stride.
    pub fn size(&self, options: Option<Table<'b>>, number: usize, default: i32, what: &str) -> Result<usize> {
        let size = options.map_or(Ok(default), |options| options.scalar::<i32>(number, default))?;
        usize::try_from(size)
            .ok()
            .filter(|size| (1..=1 << 24).contains(size))
            .ok_or_else(|| self.fault(format!("its {what} is {size}")))
    }
}

impl Site for Node<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn result_name(&self) -> Result<&str> {
        Ok(&self.name)
    }

    fn error(&self, reason: String) -> Error {
        self.fault(reason)
    }
}
