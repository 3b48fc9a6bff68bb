//! TensorFlow Lite files.

use crate::error::{Error, Result};
use crate::graph::Graph;

/// Whether the bytes have the mark of a TensorFlow Lite file.
pub fn is_tflite(bytes: &[u8]) -> bool {
    bytes.get(4..8) == Some(b"TFL3")
}

/// Reads a TensorFlow Lite file.
///
/// # Errors
/// Names the operator or tensor that is damaged or not supported, and what to do about it.
pub fn import(_bytes: &[u8]) -> Result<Graph> {
    Err(Error::model("TensorFlow Lite files are not read yet").remedy("convert it with tf2onnx"))
}
