//! The operators that are read. The list in the documentation is made from this table.

use super::attributes::Reader;
use super::state::Import;
use super::{
    classes, classical, composite, convolve, cut, dense, dynamic, elementwise, fold, join, pool, qoperator,
    quantized, reshape,
};
use crate::error::Result;
use crate::onnx::proto::NodeProto;

/// One supported ONNX operator.
#[derive(Debug, Clone, Copy)]
pub struct Operator {
    /// Name in the ONNX documentation.
    pub name: &'static str,
    /// Domain; empty for the standard one.
    pub domain: &'static str,
    /// What becomes of it and within which limits.
    pub note: &'static str,
    /// How many of its results are given.
    pub(super) results: usize,
    pub(super) import: fn(&mut Import, &Reader<'_>) -> Result<()>,
}

const fn op(
    name: &'static str,
    note: &'static str,
    import: fn(&mut Import, &Reader<'_>) -> Result<()>,
) -> Operator {
    Operator { name, domain: "", note, results: 1, import }
}

/// An operator of the domain that ONNX Runtime adds.
const fn microsoft(
    name: &'static str,
    note: &'static str,
    import: fn(&mut Import, &Reader<'_>) -> Result<()>,
) -> Operator {
    Operator { name, domain: MICROSOFT, note, results: 1, import }
}

/// An operator of the domain of classical machine learning.
const fn classic(
    name: &'static str,
    note: &'static str,
    import: fn(&mut Import, &Reader<'_>) -> Result<()>,
) -> Operator {
    Operator { name, domain: CLASSIC, note, results: 1, import }
}

const CLASSIC: &str = "ai.onnx.ml";
const MICROSOFT: &str = "com.microsoft";
const UNARY: &str = "table of 256 entries";
const SHAPES: &str = "of constants only: folded";

/// Every supported operator, by name.
pub static OPERATORS: &[Operator] = &[
    op("Abs", UNARY, elementwise::unary),
    op(
        "Add",
        "two activations, or an activation and a constant; axes of size 1 are repeated",
        elementwise::binary,
    ),
    op("And", SHAPES, fold::only_constants),
    op("ArgMax", "as an output: left out, the scores that it reads are given", classes::arg_max),
    classic("ArrayFeatureExtractor", "the name of the largest score's class: left out", classes::class_of),
    op("AveragePool", "1-D and 2-D, without dilation", pool::average_pool),
    op(
        "BatchNormalization",
        "in inference; folded into the layer before it or after it",
        elementwise::batch_norm,
    ),
    op("Cast", "to float, also of an int8 or uint8 input; of constants also to integers", reshape::cast),
    op("Ceil", UNARY, elementwise::unary),
    op("Celu", UNARY, elementwise::unary),
    op("Clip", "constant limits; part of the layer before it", elementwise::clip),
    op("Concat", "activations along any axis; constants are folded", join::concat),
    op("Constant", "in every form but sparse", fold::constant),
    op("ConstantOfShape", SHAPES, fold::only_constants),
    op("Conv", "1-D and 2-D, groups, dilation, all paddings; constant weights", convolve::conv),
    op(
        "ConvInteger",
        "as Conv, where its sums are multiplied by their scales; with a dynamic scale as a float model",
        dynamic::conv_integer,
    ),
    op("Cos", UNARY, elementwise::unary),
    op(
        "DequantizeLinear",
        "int8, uint8, int32; activations per tensor, weights also per output channel; not in blocks",
        quantized::dequantize,
    ),
    microsoft("DequantizeLinear", "as that of ai.onnx", quantized::dequantize),
    op("Div", "by a constant, or of a constant", elementwise::binary),
    op("Dropout", "removed", reshape::identity),
    Operator {
        results: 3,
        ..op(
            "DynamicQuantizeLinear",
            "read as a float model, to be calibrated with `trainer quantize`",
            dynamic::quantize,
        )
    },
    op("Elu", UNARY, elementwise::unary),
    op("Equal", SHAPES, fold::only_constants),
    op("Erf", UNARY, elementwise::unary),
    op("Exp", UNARY, elementwise::unary),
    op("Expand", SHAPES, fold::only_constants),
    op("Flatten", "costs nothing", reshape::flatten),
    op("Floor", UNARY, elementwise::unary),
    op(
        "Gather",
        "of constants: folded; of an activation at constant places in equal steps",
        classes::class_of,
    ),
    op("Gelu", UNARY, elementwise::unary),
    op("Gemm", "constant weights and bias", dense::gemm),
    op("GlobalAveragePool", "1-D and 2-D", pool::global_pool),
    op("GlobalMaxPool", "1-D and 2-D", pool::global_pool),
    op("Greater", SHAPES, fold::only_constants),
    op("GreaterOrEqual", SHAPES, fold::only_constants),
    op("HardSigmoid", UNARY, elementwise::unary),
    op("HardSwish", UNARY, elementwise::unary),
    op("Identity", "removed", reshape::identity),
    classic("Imputer", "of missing numbers (NaN): left out", classical::imputer),
    op("LeakyRelu", UNARY, elementwise::unary),
    op("Less", SHAPES, fold::only_constants),
    op("LessOrEqual", SHAPES, fold::only_constants),
    Operator {
        results: 2,
        ..classic(
            "LinearClassifier",
            "post_transform NONE, LOGISTIC or SOFTMAX; its labels become metadata",
            classical::linear_classifier,
        )
    },
    classic("LinearRegressor", "post_transform NONE", classical::linear_regressor),
    op("Log", UNARY, elementwise::unary),
    op("LogSoftmax", "a softmax and a table of 256 entries", composite::log_softmax),
    op(
        "MatMul",
        "by constant weights, an Add after it being its bias; or of two activations, matrix by matrix or one with all",
        dense::mat_mul,
    ),
    op("MatMulInteger", "as MatMul by constant weights, and as ConvInteger", dynamic::mat_mul_integer),
    op("Max", "of an activation and one number", elementwise::clip),
    op("MaxPool", "1-D and 2-D, without dilation", pool::max_pool),
    op("Min", "of an activation and one number", elementwise::clip),
    op("Mish", UNARY, elementwise::unary),
    op("Mod", SHAPES, fold::only_constants),
    op(
        "Mul",
        "two activations, or an activation and a constant; axes of size 1 are repeated",
        elementwise::binary,
    ),
    op("Neg", UNARY, elementwise::unary),
    classic("Normalizer", "norm L1, behind a softmax or a logistic function", classical::normalizer),
    op("Not", SHAPES, fold::only_constants),
    op("Or", SHAPES, fold::only_constants),
    op("PRelu", "constant slope", composite::p_relu),
    op("Pad", "zeros or another constant around height and width", pool::pad),
    op("Pow", "constant exponent; table of 256 entries", elementwise::binary),
    microsoft("QGemm", "as Gemm; a positive factor `alpha`", qoperator::gemm),
    microsoft("QLinearAdd", "as Add", qoperator::binary),
    microsoft("QLinearAveragePool", "as AveragePool; also channels last", qoperator::average_pool),
    microsoft("QLinearConcat", "as Concat", qoperator::concat),
    op("QLinearConv", "as Conv; int8 and uint8", qoperator::conv),
    microsoft(
        "QLinearGlobalAveragePool",
        "as GlobalAveragePool; also channels last",
        qoperator::average_pool,
    ),
    microsoft("QLinearLeakyRelu", UNARY, qoperator::unary),
    op("QLinearMatMul", "as MatMul; int8 and uint8", qoperator::mat_mul),
    microsoft("QLinearMul", "as Mul", qoperator::binary),
    microsoft("QLinearReduceMean", "as ReduceMean", qoperator::unary),
    microsoft("QLinearSigmoid", UNARY, qoperator::unary),
    microsoft("QLinearSoftmax", "as Softmax", qoperator::softmax),
    op(
        "QuantizeLinear",
        "int8, uint8; activations per tensor, constants also per channel; not in blocks",
        quantized::quantize,
    ),
    microsoft("QuantizeLinear", "as that of ai.onnx", quantized::quantize),
    op("Range", SHAPES, fold::only_constants),
    op("Reciprocal", UNARY, elementwise::unary),
    op("ReduceMax", "over neighbouring axes", pool::reduce),
    op("ReduceMean", "over neighbouring axes", pool::reduce),
    op("ReduceMin", "over neighbouring axes", composite::reduce_min),
    op("ReduceSum", "over neighbouring axes", composite::reduce_sum),
    op("Relu", "part of the layer before it", elementwise::unary),
    op("Reshape", "constant shape; costs nothing", reshape::reshape),
    op("Round", UNARY, elementwise::unary),
    classic("Scaler", "folded into the layer after it", classical::scaler),
    op("Selu", UNARY, elementwise::unary),
    op("Shape", SHAPES, fold::only_constants),
    op("Sigmoid", UNARY, elementwise::unary),
    op("Sign", UNARY, elementwise::unary),
    op("Sin", UNARY, elementwise::unary),
    op("Size", SHAPES, fold::only_constants),
    op("Slice", "of constants: folded; of an activation with constant limits, forwards", cut::slice),
    op("Softmax", "along one axis", dense::softmax),
    op("Softplus", UNARY, elementwise::unary),
    op("Softsign", UNARY, elementwise::unary),
    Operator {
        results: usize::MAX,
        ..op("Split", "of an activation; each part costs multiply-accumulates", cut::split)
    },
    op("Sqrt", UNARY, elementwise::unary),
    op("Squeeze", "costs nothing", reshape::squeeze),
    op(
        "Sub",
        "two activations, or an activation and a constant; axes of size 1 are repeated",
        elementwise::binary,
    ),
    op("Sum", "as Add, of any number of operands", composite::sum),
    op("Swish", UNARY, elementwise::unary),
    op("Tanh", UNARY, elementwise::unary),
    op("ThresholdedRelu", UNARY, elementwise::unary),
    op("Tile", SHAPES, fold::only_constants),
    op("Transpose", "as a choice of layout; costs nothing", reshape::transpose),
    op("Unsqueeze", "costs nothing", reshape::unsqueeze),
    op("Where", SHAPES, fold::only_constants),
    classic("ZipMap", "the scores are given; its names become metadata", classes::zip_map),
];

/// The table as the text of `docs/operators.md`.
pub fn operators_page() -> String {
    let mut page = String::from(
        "# Supported ONNX operators

Made from the table in `trainer/compiler/src/onnx/import/table.rs`. Operator sets 7 to 26 are read. Any other
operator, and any attribute outside of these limits, is refused with an error that names the node. `com.microsoft` is the domain of
ONNX Runtime's own operators, `ai.onnx.ml` that of classical machine learning (scikit-learn).

Activations are int8 or uint8 per tensor, weights int8 or uint8 per output channel or per tensor, each with any zero
point (`arithmetic.md`, *foreign types*). Quantized models may be in the QDQ form, in the QOperator form, or mixed. A \"table of 256 entries\" is exact: any
function of one number costs one load per element.

| operator | domain | |
|---|---|---|
",
    );
    for operator in OPERATORS {
        let domain = if operator.domain.is_empty() { "ai.onnx" } else { operator.domain };
        page.push_str(&format!("| {} | {domain} | {} |\n", operator.name, operator.note));
    }
    page.push_str(&crate::tflite::operators_section());
    page.push_str(&super::refused::page());
    page
}

/// The entry of a node's operator.
pub(super) fn find(node: &NodeProto) -> Option<&'static Operator> {
    let name = node.op_type.as_deref().unwrap_or("");
    let domain = match node.domain.as_deref().unwrap_or("") {
        "ai.onnx" => "",
        domain => domain,
    };
    OPERATORS.iter().find(|o| o.name == name && o.domain == domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_has_no_doubles() {
        assert!(OPERATORS.windows(2).all(|w| (w[0].name, w[0].domain) < (w[1].name, w[1].domain)));
    }

    #[test]
    fn the_page_is_that_of_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operators.md");
        if std::env::var_os("TEFF_OVERWRITE").is_some() {
            std::fs::write(path, operators_page()).unwrap();
        }
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            page == operators_page(),
            "docs/operators.md is not that of the table: run this test with TEFF_OVERWRITE=1"
        );
    }
}
