//! Operators that are refused, each with why and what to do instead.

use super::attributes::Reader;
use crate::error::Error;

/// Operators that have one reason in common.
struct Refusal {
    operators: &'static [&'static str],
    reason: &'static str,
    remedy: &'static str,
}

const REFUSALS: &[Refusal] = &[
    Refusal {
        operators: &["GRU", "LSTM", "RNN"],
        reason: "recurrent layers are not supported yet",
        remedy: "use one-dimensional convolutions over a window of time in its place",
    },
    Refusal {
        operators: &[
            "Attention",
            "GroupQueryAttention",
            "LayerNormalization",
            "MultiHeadAttention",
            "QAttention",
            "RMSNormalization",
            "RotaryEmbedding",
            "SimplifiedLayerNormalization",
            "SkipLayerNormalization",
        ],
        reason: "layer normalization and attention (transformers) are not supported yet",
        remedy: "use convolutions with BatchNormalization in their place",
    },
    Refusal {
        operators: &[
            "GroupNorm",
            "GroupNormalization",
            "InstanceNormalization",
            "LRN",
            "LpNormalization",
            "MeanVarianceNormalization",
        ],
        reason: "its divisor is computed from the activations while the model runs, which is not supported",
        remedy: "train with BatchNormalization, which costs nothing in inference",
    },
    Refusal {
        operators: &["If", "Loop", "Scan", "SequenceMap"],
        reason: "branches and loops are not supported: a plan is a fixed list of operators",
        remedy: "export with fixed shapes, or by tracing, so that they are unrolled",
    },
    Refusal {
        operators: &["ConvTranspose", "MaxUnpool", "DeformConv", "Col2Im"],
        reason: "transposed and deformable convolutions are not supported yet",
        remedy: "cut the model before it, or make its output small enough to need none",
    },
    Refusal {
        operators: &[
            "Resize",
            "Upsample",
            "GridSample",
            "AffineGrid",
            "DepthToSpace",
            "SpaceToDepth",
            "QLinearResize",
        ],
        reason: "a change of resolution is not supported yet",
        remedy: "bring inputs to the model's size before it, and cut the model before the upsampling",
    },
    Refusal {
        operators: &["RoiAlign", "MaxRoiPool", "NonMaxSuppression", "TopK"],
        reason: "the selection of boxes or of the best is not part of a plan",
        remedy: "cut the model before it and select in the program that reads the scores",
    },
    Refusal {
        operators: &[
            "SplitToSequence",
            "Compress",
            "GatherElements",
            "GatherND",
            "NonZero",
            "ReverseSequence",
            "Scatter",
            "ScatterElements",
            "ScatterND",
            "TensorScatter",
            "Trilu",
            "Unique",
            "EyeLike",
            "OneHot",
            "Embedding",
        ],
        reason: "picking elements out of what the model computes is not supported yet",
        remedy: "take parts with Slice or Split, or cut the model before it",
    },
    Refusal {
        operators: &[
            "BitShift",
            "BitwiseAnd",
            "BitwiseNot",
            "BitwiseOr",
            "BitwiseXor",
            "IsInf",
            "IsNaN",
            "QLinearWhere",
            "Xor",
        ],
        reason: "logic on what the model computes is not supported",
        remedy: "decide in the program that reads the scores, and cut the model before it",
    },
    Refusal {
        operators: &["ArgMin", "Hardmax"],
        reason: "the place of one among others is not computed",
        remedy: "cut the model before it: the numbers that it reads have the same order",
    },
    Refusal {
        operators: &[
            "Asin",
            "Acos",
            "Atan",
            "Cosh",
            "CumProd",
            "CumSum",
            "Det",
            "Einsum",
            "GlobalLpPool",
            "LpPool",
            "Shrink",
            "Sinh",
            "Tan",
        ],
        reason: "this operator is not supported yet",
        remedy: "replace it by operators that are, or cut the model before it",
    },
    Refusal {
        operators: &[
            "ReduceL1",
            "ReduceL2",
            "ReduceLogSum",
            "ReduceLogSumExp",
            "ReduceProd",
            "ReduceSumSquare",
        ],
        reason: "this reduction of what the model computes is not supported",
        remedy: "use ReduceMean or ReduceMax, or their pooling layers",
    },
    Refusal {
        operators: &[
            "Bernoulli",
            "Multinomial",
            "RandomNormal",
            "RandomNormalLike",
            "RandomUniform",
            "RandomUniformLike",
        ],
        reason: "random numbers are not supported: a plan gives the same result every time",
        remedy: "export the model in eval mode",
    },
    Refusal {
        operators: &["DFT", "STFT", "MelWeightMatrix", "HannWindow", "HammingWindow", "BlackmanWindow"],
        reason: "signal transforms inside of the model are not supported",
        remedy: "cut the model behind them: the device computes features itself, in integers (docs/front-end.md)",
    },
    Refusal {
        operators: &["TreeEnsemble", "TreeEnsembleClassifier", "TreeEnsembleRegressor"],
        reason: "decision trees are not supported: they follow comparisons, and a plan is made of layers",
        remedy: "train a small network on the same data (scikit-learn: MLPClassifier or MLPRegressor)",
    },
    Refusal {
        operators: &["SVMClassifier", "SVMRegressor"],
        reason: "support vector machines are not supported: they keep training examples and compare with each",
        remedy: "train LogisticRegression or MLPClassifier on the same data",
    },
    Refusal {
        operators: &[
            "Binarizer",
            "CastMap",
            "CategoryMapper",
            "DictVectorizer",
            "FeatureVectorizer",
            "LabelEncoder",
            "OneHotEncoder",
            "StringNormalizer",
            "Tokenizer",
            "TfIdfVectorizer",
            "StringConcat",
            "StringSplit",
            "RegexFullMatch",
        ],
        reason: "columns of words and categories are not supported: a plan reads numbers",
        remedy: "encode them before the model and export what follows",
    },
    Refusal {
        operators: &[
            "FusedConv",
            "FusedGemm",
            "FusedMatMul",
            "FusedMatMulActivation",
            "NhwcConv",
            "NhwcFusedConv",
            "NhwcMaxPool",
            "DynamicQuantizeMatMul",
            "DynamicQuantizeLSTM",
            "MatMulIntegerToFloat",
            "MatMulNBits",
            "BiasGelu",
            "FastGelu",
            "QuickGelu",
            "ReorderInput",
            "ReorderOutput",
        ],
        reason: "it was made by ONNX Runtime's optimizer",
        remedy: "use the file as it was before optimization (no `optimized_model_filepath`, or the level ORT_DISABLE_ALL)",
    },
];

/// The table as a part of `docs/operators.md`.
pub(super) fn page() -> String {
    let mut page = String::from(
        "
## What is refused, and what to do instead

| operators | why | instead |
|---|---|---|
",
    );
    for refusal in REFUSALS {
        let Refusal { operators, reason, remedy } = refusal;
        page.push_str(&format!("| {} | {reason} | {remedy} |\n", operators.join(", ")));
    }
    page
}

/// The error of an operator that no importer has.
pub(super) fn unknown(node: &Reader<'_>) -> Error {
    let operator = node.operator();
    if let Some(refusal) = REFUSALS.iter().find(|r| r.operators.contains(&operator)) {
        return node.fault(refusal.reason).remedy(refusal.remedy);
    }
    let domain = node.proto.domain.as_deref().unwrap_or("");
    match domain {
        "" | "ai.onnx" => node
            .fault("this operator is not supported")
            .remedy("docs/operators.md lists those that are; replace it, or cut the model before it"),
        _ => node
            .fault(format!("this operator of domain `{domain}` is not supported"))
            .remedy("docs/operators.md lists those that are; inline the file's own functions (onnx.inliner), export without custom operators, or cut the model before it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_operator_is_both_refused_and_read() {
        for refusal in REFUSALS {
            for operator in refusal.operators {
                let read = super::super::OPERATORS.iter().any(|o| o.name == *operator);
                assert!(!read, "{operator} is in both tables");
            }
        }
    }
}
