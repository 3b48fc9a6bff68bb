//! From a model file to a Teff plan.
//!
//! ```text
//! ONNX, TensorFlow Lite ─ import ─> graph ─ passes ─> graph ─ quantize ─> graph ─ onnx::export ─> ONNX
//!                                                   │
//!                                                   └── lower, memory ─> plan
//! ```

pub mod build;
pub mod compile;
pub mod cost;
pub mod error;
pub mod evaluate;
pub mod front_end;
pub mod graph;
mod import;
pub mod lower;
pub mod memory;
pub mod onnx;
pub mod options;
pub mod passes;
pub mod quantize;
pub mod source;
pub mod target;
pub mod tflite;

pub use compile::{compile, compile_with};
pub use error::{Error, Place, Result};
pub use lower::{Compiled, lower, lower_with};
pub use options::Options;
pub use source::{Format, import};
pub use target::Target;
