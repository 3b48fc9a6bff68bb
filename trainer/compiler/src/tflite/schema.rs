//! The tables of a TensorFlow Lite file that matter here; fields are numbered as in its public
//! schema.

use super::flatbuffer::{Table, Tables};
use crate::error::{Error, Result};
use crate::import::MAX_NODES;

/// Largest number of axes of a tensor.
pub(super) const MAX_RANK: usize = 8;
/// Largest number of operands or results of an operator, and of inputs or outputs of the model.
const MAX_OPERANDS: usize = 256;
/// Longest name of a tensor, in bytes.
const MAX_NAME: usize = 4096;

/// The type of a tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ElementType {
    F32,
    F16,
    I32,
    U8,
    I64,
    I8,
    /// Any other, by its number.
    Other(i8),
}

impl ElementType {
    pub fn of(number: i8) -> ElementType {
        match number {
            0 => ElementType::F32,
            1 => ElementType::F16,
            2 => ElementType::I32,
            3 => ElementType::U8,
            4 => ElementType::I64,
            9 => ElementType::I8,
            other => ElementType::Other(other),
        }
    }

    pub fn name(self) -> &'static str {
        const NAMES: [&str; 23] = [
            "float32",
            "float16",
            "int32",
            "uint8",
            "int64",
            "string",
            "bool",
            "int16",
            "complex64",
            "int8",
            "float64",
            "complex128",
            "uint64",
            "resource",
            "variant",
            "uint32",
            "uint16",
            "int4",
            "bfloat16",
            "int2",
            "uint4",
            "float8_e4m3fn",
            "float8_e5m2",
        ];
        let number = match self {
            ElementType::F32 => 0,
            ElementType::F16 => 1,
            ElementType::I32 => 2,
            ElementType::U8 => 3,
            ElementType::I64 => 4,
            ElementType::I8 => 9,
            ElementType::Other(number) => number,
        };
        usize::try_from(number).ok().and_then(|n| NAMES.get(n)).copied().unwrap_or("of an unknown type")
    }
}

/// The file: its first subgraph, and the buffers and operator codes that it refers to.
#[derive(Debug, Clone)]
pub(super) struct File<'b> {
    pub subgraph_name: &'b str,
    pub subgraphs: usize,
    tensors: Tables<'b>,
    pub inputs: Vec<i32>,
    pub outputs: Vec<i32>,
    operators: Tables<'b>,
    codes: Tables<'b>,
    buffers: Tables<'b>,
}

impl<'b> File<'b> {
    pub fn read(bytes: &'b [u8]) -> Result<File<'b>> {
        let model = Table::root(bytes)?;
        let version = model.scalar::<u32>(0, 0)?;
        if version != 3 {
            return Err(Error::model(format!("version {version} of the file format is not read, only 3"))
                .remedy("convert the model again with a current TensorFlow"));
        }
        let subgraphs = model.tables(2)?;
        let subgraph = subgraphs
            .get(0)?
            .ok_or_else(|| Error::model("the file holds no graph").remedy("convert the model again"))?;
        let operators = subgraph.tables(3)?;
        if operators.len > MAX_NODES {
            return Err(Error::model(format!("{} operators are more than {MAX_NODES}", operators.len))
                .remedy("this is not a model for small devices"));
        }
        Ok(File {
            subgraph_name: subgraph.text(4)?,
            subgraphs: subgraphs.len,
            tensors: subgraph.tables(0)?,
            inputs: subgraph.scalars(1, MAX_OPERANDS)?.unwrap_or_default(),
            outputs: subgraph.scalars(2, MAX_OPERANDS)?.unwrap_or_default(),
            operators,
            codes: model.tables(1)?,
            buffers: model.tables(4)?,
        })
    }

    pub fn operator_count(&self) -> usize {
        self.operators.len
    }

    pub fn tensor_count(&self) -> usize {
        self.tensors.len
    }

    /// A tensor by the number that operators and ports use; -1 is none.
    pub fn tensor(&self, index: i32) -> Result<Option<Tensor<'b>>> {
        let index = match usize::try_from(index) {
            Ok(index) => index,
            Err(_) => return Ok(None),
        };
        let table = self.tensors.get(index)?.ok_or_else(|| {
            Error::model(format!("tensor {index} is referred to, and there are {}", self.tensors.len))
                .remedy("the file is damaged")
        })?;
        Tensor::read(self, table, index).map(Some)
    }

    pub fn operator(&self, index: usize) -> Result<Operator<'b>> {
        let table = self
            .operators
            .get(index)?
            .ok_or_else(|| Error::model(format!("there is no operator {index}")))?;
        let code = table.scalar::<u32>(0, 0)?;
        let code = self.codes.get(code as usize)?.ok_or_else(|| {
            Error::model(format!("operator {index} has code {code}, and there are {}", self.codes.len))
                .remedy("the file is damaged")
        })?;
        // Files from before 2020 have the older, narrower field only; newer ones have both.
        let number = code.scalar::<i32>(3, 0)?.max(i32::from(code.scalar::<i8>(0, 0)?));
        Ok(Operator {
            code: u32::try_from(number).unwrap_or(u32::MAX),
            custom: code.text(1)?,
            inputs: table.scalars(1, MAX_OPERANDS)?.unwrap_or_default(),
            outputs: table.scalars(2, MAX_OPERANDS)?.unwrap_or_default(),
            options_kind: table.scalar(3, 0)?,
            options: table.table(4)?,
        })
    }
}

/// An operator as it stands in the file.
#[derive(Debug, Clone)]
pub(super) struct Operator<'b> {
    pub code: u32,
    /// Name of an operator that is not of the standard ones.
    pub custom: &'b str,
    /// Numbers of tensors; -1 where an operand is left out.
    pub inputs: Vec<i32>,
    pub outputs: Vec<i32>,
    /// Which table `options` is.
    pub options_kind: u8,
    pub options: Option<Table<'b>>,
}

/// A tensor as it stands in the file.
#[derive(Debug, Clone)]
pub(super) struct Tensor<'b> {
    /// Its name; its number where it has none.
    pub name: String,
    pub shape: Vec<usize>,
    /// An axis after the first whose size is not fixed.
    pub open_axis: Option<usize>,
    pub element_type: ElementType,
    pub quantization: Option<Quantization<'b>>,
    /// Bytes of a constant.
    pub data: Option<&'b [u8]>,
    /// True where it is kept from one inference to the next.
    pub is_variable: bool,
}

/// Scales and zero points as they stand in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quantization<'b>(Table<'b>);

impl<'b> Tensor<'b> {
    fn read(file: &File<'b>, table: Table<'b>, index: usize) -> Result<Tensor<'b>> {
        let name = table.text(3)?;
        if name.len() > MAX_NAME {
            return Err(Error::model(format!("tensor {index} has a name of {} bytes", name.len())));
        }
        let name = if name.is_empty() { format!("tensor {index}") } else { name.to_string() };
        let wrong = |reason: String| Error::value(&name, reason);
        let mut shape = Vec::new();
        for size in table.scalars::<i32>(0, MAX_RANK)?.unwrap_or_default() {
            let size = usize::try_from(size)
                .map_err(|_| wrong(format!("a size of {size}")).remedy("the file is damaged"))?;
            shape.push(size);
        }
        let open_axis = table
            .scalars::<i32>(7, MAX_RANK)?
            .and_then(|sizes| sizes.iter().enumerate().skip(1).find(|(_, s)| **s < 0).map(|(axis, _)| axis));
        if table.table(6)?.is_some() {
            return Err(wrong("its numbers are stored as a sparse tensor".into())
                .remedy("convert the model without sparsity"));
        }
        let buffer = table.scalar::<u32>(2, 0)?;
        let buffer = file.buffers.get(buffer as usize)?.ok_or_else(|| {
            wrong(format!("it has buffer {buffer}, and there are {}", file.buffers.len))
                .remedy("the file is damaged or cut short")
        })?;
        if buffer.scalar::<u64>(1, 0)? > 1 || table.scalar::<u32>(10, 0)? != 0 {
            return Err(wrong("its numbers stand outside of the tables of the file".into())
                .remedy("convert the model again; files above 2 GB are not for small devices"));
        }
        Ok(Tensor {
            shape,
            open_axis,
            element_type: ElementType::of(table.scalar(1, 0)?),
            quantization: table.table(4)?.map(Quantization),
            data: buffer.bytes(0)?.filter(|data| !data.is_empty()),
            is_variable: table.flag(5)?,
            name,
        })
    }
}

impl Quantization<'_> {
    /// True where it is by scale and zero point.
    pub fn is_affine(&self) -> Result<bool> {
        Ok(self.0.scalar::<u8>(4, 0)? == 0)
    }

    /// Scales, `most` at the most; empty where the tensor is not quantized.
    pub fn scales(&self, most: usize) -> Result<Vec<f32>> {
        Ok(self.0.scalars(2, most)?.unwrap_or_default())
    }

    pub fn zero_points(&self, most: usize) -> Result<Vec<i64>> {
        Ok(self.0.scalars(3, most)?.unwrap_or_default())
    }

    /// The axis that the scales run along.
    pub fn axis(&self) -> Result<i32> {
        self.0.scalar(6, 0)
    }
}

/// Name of a standard operator.
pub(super) fn operator_name(code: u32) -> Option<&'static str> {
    NAMES.get(code as usize).copied()
}

/// Names of the standard operators, by code.
#[rustfmt::skip]
const NAMES: [&str; 210] = [
    "ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "DEPTH_TO_SPACE",
    "DEQUANTIZE", "EMBEDDING_LOOKUP", "FLOOR", "FULLY_CONNECTED", "HASHTABLE_LOOKUP", "L2_NORMALIZATION",
    "L2_POOL_2D", "LOCAL_RESPONSE_NORMALIZATION", "LOGISTIC", "LSH_PROJECTION", "LSTM", "MAX_POOL_2D",
    "MUL", "RELU", "RELU_N1_TO_1", "RELU6", "RESHAPE", "RESIZE_BILINEAR", "RNN", "SOFTMAX",
    "SPACE_TO_DEPTH", "SVDF", "TANH", "CONCAT_EMBEDDINGS", "SKIP_GRAM", "CALL", "CUSTOM",
    "EMBEDDING_LOOKUP_SPARSE", "PAD", "UNIDIRECTIONAL_SEQUENCE_RNN", "GATHER", "BATCH_TO_SPACE_ND",
    "SPACE_TO_BATCH_ND", "TRANSPOSE", "MEAN", "SUB", "DIV", "SQUEEZE", "UNIDIRECTIONAL_SEQUENCE_LSTM",
    "STRIDED_SLICE", "BIDIRECTIONAL_SEQUENCE_RNN", "EXP", "TOPK_V2", "SPLIT", "LOG_SOFTMAX", "DELEGATE",
    "BIDIRECTIONAL_SEQUENCE_LSTM", "CAST", "PRELU", "MAXIMUM", "ARG_MAX", "MINIMUM", "LESS", "NEG", "PADV2",
    "GREATER", "GREATER_EQUAL", "LESS_EQUAL", "SELECT", "SLICE", "SIN", "TRANSPOSE_CONV", "SPARSE_TO_DENSE",
    "TILE", "EXPAND_DIMS", "EQUAL", "NOT_EQUAL", "LOG", "SUM", "SQRT", "RSQRT", "SHAPE", "POW", "ARG_MIN",
    "FAKE_QUANT", "REDUCE_PROD", "REDUCE_MAX", "PACK", "LOGICAL_OR", "ONE_HOT", "LOGICAL_AND",
    "LOGICAL_NOT", "UNPACK", "REDUCE_MIN", "FLOOR_DIV", "REDUCE_ANY", "SQUARE", "ZEROS_LIKE", "FILL",
    "FLOOR_MOD", "RANGE", "RESIZE_NEAREST_NEIGHBOR", "LEAKY_RELU", "SQUARED_DIFFERENCE", "MIRROR_PAD",
    "ABS", "SPLIT_V", "UNIQUE", "CEIL", "REVERSE_V2", "ADD_N", "GATHER_ND", "COS", "WHERE", "RANK", "ELU",
    "REVERSE_SEQUENCE", "MATRIX_DIAG", "QUANTIZE", "MATRIX_SET_DIAG", "ROUND", "HARD_SWISH", "IF", "WHILE",
    "NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5", "SCATTER_ND", "SELECT_V2", "DENSIFY", "SEGMENT_SUM",
    "BATCH_MATMUL", "PLACEHOLDER_FOR_GREATER_OP_CODES", "CUMSUM", "CALL_ONCE", "BROADCAST_TO", "RFFT2D",
    "CONV_3D", "IMAG", "REAL", "COMPLEX_ABS", "HASHTABLE", "HASHTABLE_FIND", "HASHTABLE_IMPORT",
    "HASHTABLE_SIZE", "REDUCE_ALL", "CONV_3D_TRANSPOSE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE",
    "BROADCAST_ARGS", "RANDOM_STANDARD_NORMAL", "BUCKETIZE", "RANDOM_UNIFORM", "MULTINOMIAL", "GELU",
    "DYNAMIC_UPDATE_SLICE", "RELU_0_TO_1", "UNSORTED_SEGMENT_PROD", "UNSORTED_SEGMENT_MAX",
    "UNSORTED_SEGMENT_SUM", "ATAN2", "UNSORTED_SEGMENT_MIN", "SIGN", "BITCAST", "BITWISE_XOR",
    "RIGHT_SHIFT", "STABLEHLO_LOGISTIC", "STABLEHLO_ADD", "STABLEHLO_DIVIDE", "STABLEHLO_MULTIPLY",
    "STABLEHLO_MAXIMUM", "STABLEHLO_RESHAPE", "STABLEHLO_CLAMP", "STABLEHLO_CONCATENATE",
    "STABLEHLO_BROADCAST_IN_DIM", "STABLEHLO_CONVOLUTION", "STABLEHLO_SLICE", "STABLEHLO_CUSTOM_CALL",
    "STABLEHLO_REDUCE", "STABLEHLO_ABS", "STABLEHLO_AND", "STABLEHLO_COSINE", "STABLEHLO_EXPONENTIAL",
    "STABLEHLO_FLOOR", "STABLEHLO_LOG", "STABLEHLO_MINIMUM", "STABLEHLO_NEGATE", "STABLEHLO_OR",
    "STABLEHLO_POWER", "STABLEHLO_REMAINDER", "STABLEHLO_RSQRT", "STABLEHLO_SELECT", "STABLEHLO_SUBTRACT",
    "STABLEHLO_TANH", "STABLEHLO_SCATTER", "STABLEHLO_COMPARE", "STABLEHLO_CONVERT",
    "STABLEHLO_DYNAMIC_SLICE", "STABLEHLO_DYNAMIC_UPDATE_SLICE", "STABLEHLO_PAD", "STABLEHLO_IOTA",
    "STABLEHLO_DOT_GENERAL", "STABLEHLO_REDUCE_WINDOW", "STABLEHLO_SORT", "STABLEHLO_WHILE",
    "STABLEHLO_GATHER", "STABLEHLO_TRANSPOSE", "DILATE", "STABLEHLO_RNG_BIT_GENERATOR", "REDUCE_WINDOW",
    "STABLEHLO_COMPOSITE", "STABLEHLO_SHIFT_LEFT", "STABLEHLO_CBRT", "STABLEHLO_CASE",
];
