//! The operators that are read. The list in the documentation is made from this table.

use super::node::Node;
use super::state::Import;
use super::{convolve, dense, elementwise, fold, pool, quantized, reshape};
use crate::error::Result;

/// One supported operator of TensorFlow Lite.
#[derive(Debug, Clone, Copy)]
pub struct Operator {
    /// Name in the schema.
    pub name: &'static str,
    /// What becomes of it and within which limits.
    pub note: &'static str,
    pub(super) import: fn(&mut Import<'_, '_>, &Node<'_>) -> Result<()>,
}

const fn op(
    name: &'static str,
    note: &'static str,
    import: fn(&mut Import<'_, '_>, &Node<'_>) -> Result<()>,
) -> Operator {
    Operator { name, note, import }
}

const UNARY: &str = "table of 256 entries";
const CONSTANTS: &str = "of constants only: folded";
const BINARY: &str = "two activations, or an activation and a constant; fused activation";

/// Every supported operator, by name.
pub static OPERATORS: &[Operator] = &[
    op("ABS", UNARY, elementwise::unary),
    op("ADD", BINARY, elementwise::binary),
    op("ARG_MAX", "at the end of a model: left out, the scores become the output", reshape::arg_max),
    op("AVERAGE_POOL_2D", "SAME and VALID; fused activation", pool::pool),
    op(
        "BATCH_MATMUL",
        "two activations, matrix by matrix or one with all; adj_x and adj_y",
        dense::batch_mat_mul,
    ),
    op("CAST", "of constants, and of what ARG_MAX gives", reshape::cast),
    op("CEIL", UNARY, elementwise::unary),
    op("CONCATENATION", "activations along any axis; constants are folded", reshape::concat),
    op(
        "CONV_2D",
        "SAME and VALID, stride, dilation, groups, fused activation, optional bias; constant weights, per channel or per tensor",
        convolve::conv_2d,
    ),
    op("COS", UNARY, elementwise::unary),
    op("DEPTHWISE_CONV_2D", "as CONV_2D, any multiplier", convolve::depthwise_conv_2d),
    op("DEQUANTIZE", "of activations, and of weights held as float16 or int8", quantized::dequantize),
    op("DIV", "of real numbers by a constant, or of a constant", elementwise::binary),
    op("ELU", UNARY, elementwise::unary),
    op("EXP", UNARY, elementwise::unary),
    op("EXPAND_DIMS", "costs nothing", reshape::expand_dims),
    op("FLOOR", UNARY, elementwise::unary),
    op(
        "FULLY_CONNECTED",
        "constant weights, optional bias, fused activation, keep_num_dims",
        dense::fully_connected,
    ),
    op("GATHER", CONSTANTS, fold::only_constants),
    op("GELU", UNARY, elementwise::unary),
    op("HARD_SWISH", UNARY, elementwise::unary),
    op("LEAKY_RELU", UNARY, elementwise::unary),
    op("LOG", UNARY, elementwise::unary),
    op("LOGISTIC", UNARY, elementwise::unary),
    op("MAXIMUM", "of an activation and one number", elementwise::limit),
    op("MAX_POOL_2D", "SAME and VALID; fused activation", pool::pool),
    op("MEAN", "over neighbouring axes", pool::reduce),
    op("MINIMUM", "of an activation and one number", elementwise::limit),
    op("MUL", BINARY, elementwise::binary),
    op("NEG", UNARY, elementwise::unary),
    op("PACK", CONSTANTS, fold::only_constants),
    op("PAD", "zeros around height and width", pool::pad),
    op("PADV2", "a constant around height and width", pool::pad),
    op("POW", "constant exponent; table of 256 entries", elementwise::binary),
    op("QUANTIZE", "int8, uint8; also from one scale to another", quantized::quantize),
    op("REDUCE_MAX", "over neighbouring axes", pool::reduce),
    op("REDUCE_PROD", CONSTANTS, fold::only_constants),
    op("RELU", "part of the layer before it", elementwise::unary),
    op("RELU6", "part of the layer before it", elementwise::unary),
    op("RELU_0_TO_1", "part of the layer before it", elementwise::unary),
    op("RELU_N1_TO_1", "part of the layer before it", elementwise::unary),
    op("RESHAPE", "shape known when the model is read; costs nothing", reshape::reshape),
    op("ROUND", UNARY, elementwise::unary),
    op("RSQRT", UNARY, elementwise::unary),
    op("SHAPE", CONSTANTS, fold::only_constants),
    op("SIGN", UNARY, elementwise::unary),
    op("SIN", UNARY, elementwise::unary),
    op("SOFTMAX", "along the last axis, any beta", dense::softmax),
    op("SQRT", UNARY, elementwise::unary),
    op("SQUARE", UNARY, elementwise::unary),
    op("SQUEEZE", "costs nothing", reshape::squeeze),
    op("STRIDED_SLICE", CONSTANTS, fold::only_constants),
    op("SUB", BINARY, elementwise::binary),
    op("TANH", UNARY, elementwise::unary),
    op("TRANSPOSE", "as a choice of layout; costs nothing", reshape::transpose),
];

/// The table as a section of `docs/operators.md`.
pub(crate) fn operators_section() -> String {
    let mut section = String::from(
        "
# Supported TensorFlow Lite operators

Made from the table in `trainer/compiler/src/tflite/table.rs`. Files of version 3 are read, with int8, uint8 or
float32 activations; weights are int8 or uint8 with any zero point,
float32 or float16. Of a file with several
graphs the first one is read. Any other operator, and anything outside of these limits, is refused with an error that
names the operator by the tensor that it gives.

| operator | |
|---|---|
",
    );
    for operator in OPERATORS {
        section.push_str(&format!("| {} | {} |\n", operator.name, operator.note));
    }
    section
}

/// The entry of a node's operator.
pub(super) fn find(node: &Node<'_>) -> Option<&'static Operator> {
    OPERATORS.iter().find(|operator| operator.name == node.kind)
}

#[cfg(test)]
mod tests {
    use super::super::schema::operator_name;
    use super::*;

    #[test]
    fn the_table_is_sorted_and_has_no_doubles() {
        assert!(OPERATORS.windows(2).all(|w| w[0].name < w[1].name));
    }

    #[test]
    fn every_operator_is_one_of_the_schema() {
        let names: Vec<&str> = (0..300).filter_map(operator_name).collect();
        assert!(OPERATORS.iter().all(|operator| names.contains(&operator.name)));
        assert_eq!(operator_name(44), Some("UNIDIRECTIONAL_SEQUENCE_LSTM"));
        assert_eq!(operator_name(150), Some("GELU"));
    }
}
