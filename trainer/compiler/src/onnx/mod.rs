//! ONNX files in and out. The only place that knows NCHW, OIHW and `QuantizeLinear`.

pub mod import;
pub(crate) mod proto;

pub use import::{OPERATORS, Operator, import};
