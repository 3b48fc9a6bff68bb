//! ONNX files in and out. The only place that knows NCHW, OIHW and `QuantizeLinear`.

pub mod export;
pub mod import;
pub mod metadata;
pub(crate) mod proto;

pub use export::export;
pub use import::{OPERATORS, Operator, import, operators_page};
