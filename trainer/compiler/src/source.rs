//! Model files of any format.

use std::fmt;

use crate::error::Result;
use crate::graph::Graph;
use crate::{onnx, tflite};

/// The format of a model file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// ONNX, float or quantized.
    Onnx,
    /// TensorFlow Lite, float or quantized.
    Tflite,
}

impl Format {
    /// The format of a file, by its content. TensorFlow Lite files have a mark; whatever has none
    /// is taken for ONNX, which has no mark.
    pub fn of(bytes: &[u8]) -> Format {
        if tflite::is_tflite(bytes) { Format::Tflite } else { Format::Onnx }
    }

    /// The name that people know it by.
    pub fn name(self) -> &'static str {
        match self {
            Format::Onnx => "ONNX",
            Format::Tflite => "TensorFlow Lite",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The graph of a model file, whatever its format.
///
/// # Errors
/// Names the node or value that is damaged or not supported, and what to do about it.
pub fn import(bytes: &[u8]) -> Result<Graph> {
    match Format::of(bytes) {
        Format::Onnx => onnx::import(bytes),
        Format::Tflite => tflite::import(bytes),
    }
}
