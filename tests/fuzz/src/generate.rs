//! From bytes to ONNX files that are well formed and mostly sensible: sensible enough to get behind the first check,
//! wrong now and then in each number, type and name.

use arbitrary::{Result, Unstructured};

use crate::protobuf::Message;

const FLOAT: i64 = 1;
const UINT8: i64 = 2;
const INT8: i64 = 3;
const INT32: i64 = 6;
const INT64: i64 = 7;

/// Numbers that programs get wrong.
const ODD: [i64; 16] =
    [0, 1, -1, 2, -2, 3, 7, 64, 255, 65_536, 1 << 30, 1 << 31, 1 << 40, i64::MAX, i64::MIN, i64::MAX / 2 + 1];
const REALS: [f32; 10] =
    [0.0, 1.0, -1.0, 0.5, 1e-30, 1e30, f32::MAX, f32::MIN_POSITIVE, f32::NAN, f32::INFINITY];

/// An ONNX file.
///
/// # Errors
/// Never where the bytes run out (the rest is zeros then); the type is that of the reader of random numbers.
pub fn onnx(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut file =
        File { u: Unstructured::new(bytes), graph: Message::default(), known: Vec::new(), names: 0 };
    file.input()?;
    let nodes = file.u.int_in_range(1..=10)?;
    for _ in 0..nodes {
        file.node()?;
        if file.u.is_empty() {
            break;
        }
    }
    for i in 0..file.u.int_in_range(1..=2)? {
        if let Some(known) = file.known.len().checked_sub(1 + i) {
            let (name, shape) = file.known[known].clone();
            let info = value_info(&name, FLOAT, &shape);
            file.graph.message(12, &info);
        }
    }
    let opset = *file.u.choose(&[17, 17, 21, 13, 13, 11, 9, 7, 25])?;
    let mut model = Message::default();
    model.int(1, 8).message(7, &file.graph);
    for (domain, version) in [("", opset), ("com.microsoft", 1), ("ai.onnx.ml", 3)] {
        let mut set = Message::default();
        set.text(1, domain).int(2, version);
        model.message(8, &set);
    }
    Ok(model.0)
}

/// A tensor that nodes can read, with the shape it probably has.
type Known = (String, Vec<i64>);

struct File<'b> {
    u: Unstructured<'b>,
    graph: Message,
    known: Vec<Known>,
    names: usize,
}

struct Node(Message);

impl Node {
    fn new(operator: &str, domain: &str, name: &str, inputs: &[&str], output: &str) -> Node {
        let mut node = Message::default();
        inputs.iter().for_each(|input| {
            node.text(1, input);
        });
        node.text(2, output).text(3, name).text(4, operator);
        if !domain.is_empty() {
            node.text(7, domain);
        }
        Node(node)
    }

    fn int(&mut self, name: &str, number: i64) {
        let mut attribute = Message::default();
        attribute.text(1, name).int(3, number).int(20, 2);
        self.0.message(5, &attribute);
    }

    fn float(&mut self, name: &str, number: f32) {
        let mut attribute = Message::default();
        attribute.text(1, name).float(2, number).int(20, 1);
        self.0.message(5, &attribute);
    }

    fn ints(&mut self, name: &str, numbers: &[i64]) {
        let mut attribute = Message::default();
        attribute.text(1, name).int(20, 7);
        numbers.iter().for_each(|&number| {
            attribute.int(8, number);
        });
        self.0.message(5, &attribute);
    }

    fn text(&mut self, name: &str, text: &str) {
        let mut attribute = Message::default();
        attribute.text(1, name).text(4, text).int(20, 3);
        self.0.message(5, &attribute);
    }
}

fn value_info(name: &str, kind: i64, shape: &[i64]) -> Message {
    let (mut dims, mut tensor, mut of_type, mut info) =
        (Message::default(), Message::default(), Message::default(), Message::default());
    for &size in shape {
        let mut dim = Message::default();
        dim.int(1, size);
        dims.message(1, &dim);
    }
    tensor.int(1, kind).message(2, &dims);
    of_type.message(1, &tensor);
    info.text(1, name).message(2, &of_type);
    info
}

impl File<'_> {
    /// `number`, or once in a while an odd one.
    fn number(&mut self, number: i64) -> Result<i64> {
        Ok(if self.u.ratio(1, 40)? { *self.u.choose(&ODD)? } else { number })
    }

    fn real(&mut self) -> Result<f32> {
        Ok(if self.u.ratio(1, 30)? {
            *self.u.choose(&REALS)?
        } else {
            f32::from(self.u.arbitrary::<i8>()?) / 32.0
        })
    }

    fn small(&mut self) -> Result<i64> {
        let size = self.u.int_in_range(1..=5)?;
        self.number(size)
    }

    fn name(&mut self, of: &str) -> String {
        self.names += 1;
        format!("{of}{}", self.names)
    }

    fn input(&mut self) -> Result<()> {
        let mut shape = vec![1];
        for _ in 0..*self.u.choose(&[3, 1, 2])? {
            let size = self.u.int_in_range(1..=8)?;
            shape.push(self.number(size)?);
        }
        let kind = *self.u.choose(&[FLOAT, FLOAT, FLOAT, INT8, UINT8, INT64])?;
        let info = value_info("x", kind, &shape);
        self.graph.message(11, &info);
        self.known.push(("x".into(), shape.clone()));
        if matches!(kind, INT8 | UINT8) {
            self.linear("DequantizeLinear", "x", &shape, kind)?;
        }
        Ok(())
    }

    /// An initializer of some kind; as many numbers as its shape asks for, or not.
    fn tensor(&mut self, shape: &[i64], kind: i64, numbers: Option<Vec<i64>>) -> Result<String> {
        let name = self.name("w");
        let mut tensor = Message::default();
        let mut len = 1usize;
        for &size in shape {
            let size = self.number(size)?;
            tensor.int(1, size);
            len = len.saturating_mul(usize::try_from(size).unwrap_or(0));
        }
        let len = len.min(4096);
        let kind = if self.u.ratio(1, 60)? { self.u.int_in_range(0..=24)? } else { kind };
        tensor.int(2, kind).text(8, &name);
        let mut raw = Vec::new();
        for i in 0..len {
            let number = match &numbers {
                Some(numbers) => numbers.get(i).copied().unwrap_or(0),
                None => i64::from(self.u.arbitrary::<i8>()?),
            };
            match kind {
                FLOAT => {
                    let real = if numbers.is_some() { number as f32 } else { number as f32 / 64.0 };
                    raw.extend(real.to_le_bytes());
                }
                INT64 => raw.extend(number.to_le_bytes()),
                INT32 => raw.extend((number as i32).to_le_bytes()),
                _ => raw.push(number as u8),
            }
        }
        if self.u.ratio(1, 60)? {
            raw.pop();
        }
        tensor.bytes(9, &raw);
        self.graph.message(5, &tensor);
        Ok(name)
    }

    fn floats(&mut self, shape: &[i64]) -> Result<String> {
        self.tensor(shape, FLOAT, None)
    }

    fn shape_tensor(&mut self, numbers: &[i64]) -> Result<String> {
        let mut odd = Vec::new();
        for &number in numbers {
            odd.push(self.number(number)?);
        }
        self.tensor(&[numbers.len() as i64], INT64, Some(odd))
    }

    fn scale(&mut self, channels: i64) -> Result<String> {
        let name = self.name("s");
        let mut tensor = Message::default();
        if channels > 0 {
            tensor.int(1, channels);
        }
        tensor.int(2, FLOAT).text(8, &name);
        let mut raw = Vec::new();
        for _ in 0..channels.clamp(1, 64) {
            let exponent = i32::from(self.u.int_in_range(0u8..=20)?);
            let odd = self.u.ratio(1, 40)?;
            let scale = if odd { *self.u.choose(&REALS)? } else { 1.7f32 * 2f32.powi(4 - exponent) };
            raw.extend(scale.to_le_bytes());
        }
        tensor.bytes(9, &raw);
        self.graph.message(5, &tensor);
        Ok(name)
    }

    fn zero_point(&mut self, kind: i64, channels: i64) -> Result<String> {
        let shape: &[i64] = if channels > 0 { &[channels] } else { &[] };
        let numbers = if channels > 0 { Some(vec![0; channels.clamp(1, 64) as usize]) } else { None };
        self.tensor(shape, kind, numbers)
    }

    fn finish(&mut self, node: Node, output: String, shape: Vec<i64>) {
        self.graph.message(1, &node.0);
        self.known.push((output, shape));
    }

    /// A QuantizeLinear or DequantizeLinear of one scale.
    fn linear(&mut self, operator: &str, of: &str, shape: &[i64], kind: i64) -> Result<String> {
        let (scale, zero) = (self.scale(0)?, self.zero_point(kind, 0)?);
        let (name, output) = (self.name("n"), self.name("t"));
        let node = Node::new(operator, "", &name, &[of, &scale, &zero], &output);
        self.finish(node, output.clone(), shape.to_vec());
        Ok(output)
    }

    /// Weights: real numbers, or integers behind a DequantizeLinear.
    fn weights(&mut self, shape: &[i64], axis: i64) -> Result<String> {
        if self.u.ratio(1, 2)? {
            return self.floats(shape);
        }
        let channels = shape.get(axis as usize).copied().unwrap_or(1);
        let integers = self.tensor(shape, INT8, None)?;
        let per_channel = self.u.arbitrary::<bool>()?;
        let n = if per_channel { channels } else { 0 };
        let (scale, zero) = (self.scale(n)?, self.zero_point(INT8, n)?);
        let (name, output) = (self.name("n"), self.name("t"));
        let mut node = Node::new("DequantizeLinear", "", &name, &[&integers, &scale, &zero], &output);
        if per_channel {
            let axis = self.number(axis)?;
            node.int("axis", axis);
        }
        self.graph.message(1, &node.0);
        Ok(output)
    }

    fn node(&mut self) -> Result<()> {
        let at = if self.u.ratio(3, 4)? {
            self.known.len() - 1
        } else {
            self.u.int_in_range(0..=self.known.len() - 1)?
        };
        let (x, shape) = self.known[at].clone();
        let (name, output) = (self.name("n"), self.name("t"));
        let rank = shape.len();
        let channels = shape.get(1).copied().unwrap_or(1);
        match self.u.int_in_range(0..=13)? {
            0 | 1 => return self.filter(&x, &shape),
            2 => {
                let last = shape.last().copied().unwrap_or(1);
                let n = self.small()?;
                let transposed = self.u.arbitrary::<bool>()?;
                let weights = if transposed { [n, last] } else { [last, n] };
                let weights = self.weights(&weights, i64::from(!transposed))?;
                let mut node = if self.u.arbitrary()? {
                    let bias = self.floats(&[n])?;
                    let mut node = Node::new("Gemm", "", &name, &[&x, &weights, &bias], &output);
                    node.int("transB", i64::from(transposed));
                    node
                } else {
                    Node::new("MatMul", "", &name, &[&x, &weights], &output)
                };
                if self.u.ratio(1, 10)? {
                    let real = self.real()?;
                    node.float("alpha", real);
                }
                let mut shape = shape;
                if let Some(last) = shape.last_mut() {
                    *last = n;
                }
                self.finish(node, output, shape);
            }
            3 => return self.pool(&x, &shape),
            4 => {
                let operators = teff_compiler::onnx::import::OPERATORS;
                let operator = operators[self.u.choose_index(operators.len())?];
                let other = self.known[self.u.choose_index(self.known.len())?].0.clone();
                let inputs = [x.as_str(), other.as_str(), other.as_str()];
                let count = self.u.int_in_range(1..=3)?;
                let node = Node::new(operator.name, operator.domain, &name, &inputs[..count], &output);
                self.finish(node, output, shape);
            }
            5 => {
                let other = if self.u.arbitrary()? {
                    let mut sizes = Vec::new();
                    for &size in &shape {
                        sizes.push(if self.u.arbitrary()? { size } else { 1 });
                    }
                    let skipped = self.u.int_in_range(0..=rank.min(2))?;
                    self.floats(&sizes[skipped..])?
                } else {
                    self.known[self.u.choose_index(self.known.len())?].0.clone()
                };
                let operator = *self.u.choose(&["Add", "Sub", "Mul", "Div", "Max", "Min", "Pow"])?;
                let inputs = if self.u.arbitrary()? { [x.as_str(), &other] } else { [other.as_str(), &x] };
                let node = Node::new(operator, "", &name, &inputs, &output);
                self.finish(node, output, shape);
            }
            6 => {
                let other = self.known[self.u.choose_index(self.known.len())?].0.clone();
                let mut node = Node::new("Concat", "", &name, &[&x, &other], &output);
                let axis = self.u.int_in_range(-1..=4)?;
                node.int("axis", axis);
                let mut shape = shape;
                if let Some(size) = shape.get_mut(axis.max(0) as usize) {
                    *size = size.saturating_mul(2);
                }
                self.finish(node, output, shape);
            }
            7 => {
                let len = shape.iter().fold(1i64, |len, &size| len.saturating_mul(size));
                let wanted = match self.u.int_in_range(0..=5)? {
                    0 => vec![1, -1],
                    1 => vec![0, -1],
                    2 => vec![1, len, 1, 1],
                    3 => shape.iter().rev().copied().collect(),
                    4 => vec![1, channels, -1],
                    _ => vec![1, len / 2, 2],
                };
                let tensor = self.shape_tensor(&wanted)?;
                let node = Node::new("Reshape", "", &name, &[&x, &tensor], &output);
                let sizes = wanted.iter().filter(|&&n| n > 0);
                let known = sizes.fold(1i64, |known, &n| known.saturating_mul(n)).max(1);
                let shape = wanted.iter().map(|&n| if n > 0 { n } else { len / known }).collect();
                self.finish(node, output, shape);
            }
            8 => {
                let mut axes: Vec<usize> = (0..rank).collect();
                if rank > 1 {
                    let (a, b) = (self.u.choose_index(rank)?, self.u.choose_index(rank)?);
                    axes.swap(a, b);
                }
                let mut node = Node::new("Transpose", "", &name, &[&x], &output);
                let mut perm = Vec::new();
                for &axis in &axes {
                    perm.push(self.number(axis as i64)?);
                }
                node.ints("perm", &perm);
                let shape = axes.iter().map(|&axis| shape[axis]).collect();
                self.finish(node, output, shape);
            }
            9 => {
                let mut pads = Vec::new();
                for _ in 0..2 * rank {
                    let pad = if self.u.ratio(1, 3)? { self.u.int_in_range(0..=2)? } else { 0 };
                    pads.push(self.number(pad)?);
                }
                let node = if self.u.arbitrary()? {
                    let tensor = self.shape_tensor(&pads)?;
                    Node::new("Pad", "", &name, &[&x, &tensor], &output)
                } else {
                    let mut node = Node::new("Pad", "", &name, &[&x], &output);
                    node.ints("pads", &pads);
                    node
                };
                let sizes = shape.iter().enumerate();
                let shape = sizes
                    .map(|(i, &size)| size.saturating_add(pads[i].saturating_add(pads[i + rank]).clamp(0, 9)))
                    .collect();
                self.finish(node, output, shape);
            }
            10 => {
                let operator =
                    *self.u.choose(&["Softmax", "ReduceMean", "ReduceMax", "Flatten", "ArgMax"])?;
                let mut node = Node::new(operator, "", &name, &[&x], &output);
                let axis = self.u.int_in_range(-2..=4)?;
                let axis = self.number(axis)?;
                if operator.starts_with("Reduce") {
                    node.ints("axes", &[axis, axis.saturating_add(1)]);
                    let keep = self.u.int_in_range(0..=1)?;
                    node.int("keepdims", keep);
                } else {
                    node.int("axis", axis);
                }
                self.finish(node, output, shape);
            }
            11 => {
                let node = if self.u.arbitrary()? {
                    let (low, high) = (self.floats(&[])?, self.floats(&[])?);
                    Node::new("Clip", "", &name, &[&x, &low, &high], &output)
                } else {
                    let parameters: Vec<String> =
                        (0..4).map(|_| self.floats(&[channels])).collect::<Result<_>>()?;
                    let inputs: Vec<&str> =
                        std::iter::once(&x).chain(&parameters).map(String::as_str).collect();
                    let mut node = Node::new("BatchNormalization", "", &name, &inputs, &output);
                    let real = self.real()?;
                    node.float("epsilon", real);
                    node
                };
                self.finish(node, output, shape);
            }
            12 => {
                let kind = *self.u.choose(&[INT8, UINT8])?;
                let integers = self.linear("QuantizeLinear", &x, &shape, kind)?;
                self.linear("DequantizeLinear", &integers, &shape, kind)?;
            }
            _ => return self.qlinear(&x, &shape),
        }
        Ok(())
    }

    /// A convolution, and what attributes it can have.
    fn filter(&mut self, x: &str, shape: &[i64]) -> Result<()> {
        let channels = shape.get(1).copied().unwrap_or(1).clamp(1, 64);
        let spatial = shape.len().saturating_sub(2).max(1);
        let depthwise = self.u.ratio(1, 3)?;
        let (groups, outputs) =
            if depthwise { (channels, channels * *self.u.choose(&[1, 1, 2])?) } else { (1, self.small()?) };
        let mut sizes = vec![outputs, channels / groups];
        for _ in 0..spatial {
            sizes.push(self.u.int_in_range(1..=3)?);
        }
        let weights = self.weights(&sizes, 0)?;
        let bias = self.floats(&[outputs])?;
        let (name, output) = (self.name("n"), self.name("t"));
        let inputs = [x, weights.as_str(), bias.as_str()];
        let count = self.u.int_in_range(2..=3)?;
        let mut node = Node::new("Conv", "", &name, &inputs[..count], &output);
        let groups = self.number(groups)?;
        node.int("group", groups);
        let shape = self.window(&mut node, outputs, &sizes[2..], shape)?;
        self.finish(node, output, shape);
        Ok(())
    }

    /// Strides, paddings and dilations; gives the shape that comes of them.
    fn window(&mut self, node: &mut Node, channels: i64, kernel: &[i64], shape: &[i64]) -> Result<Vec<i64>> {
        let n = kernel.len();
        let mut strides = vec![1; n];
        if self.u.ratio(1, 3)? {
            for stride in &mut strides {
                *stride = self.small()?;
            }
            node.ints("strides", &strides);
        }
        if self.u.ratio(1, 6)? {
            let dilation = self.small()?;
            node.ints("dilations", &vec![dilation; n]);
        }
        let mut pads = vec![0; 2 * n];
        if self.u.ratio(1, 2)? {
            for pad in &mut pads {
                let some = self.u.int_in_range(0..=2)?;
                *pad = self.number(some)?;
            }
            node.ints("pads", &pads);
        } else if self.u.ratio(1, 3)? {
            let how = *self.u.choose(&["SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET", "?"])?;
            node.text("auto_pad", how);
        }
        let mut result = vec![1, channels];
        for axis in 0..n {
            let size = shape.get(axis + 2).copied().unwrap_or(1);
            let padded = size.saturating_add(pads[axis].clamp(0, 9) + pads[axis + n].clamp(0, 9));
            result.push((padded.saturating_sub(kernel[axis]) / strides[axis].clamp(1, 9)).saturating_add(1));
        }
        Ok(result)
    }

    fn pool(&mut self, x: &str, shape: &[i64]) -> Result<()> {
        let channels = shape.get(1).copied().unwrap_or(1);
        let operator = *self.u.choose(&["MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"])?;
        let (name, output) = (self.name("n"), self.name("t"));
        let mut node = Node::new(operator, "", &name, &[x], &output);
        let spatial = shape.len().saturating_sub(2);
        if operator.starts_with("Global") {
            let mut shape = shape.to_vec();
            shape.iter_mut().skip(2).for_each(|size| *size = 1);
            self.finish(node, output, shape);
            return Ok(());
        }
        let mut kernel = Vec::new();
        for _ in 0..spatial {
            let size = self.u.int_in_range(1..=3)?;
            kernel.push(self.number(size)?);
        }
        node.ints("kernel_shape", &kernel);
        if self.u.ratio(1, 4)? {
            node.int("ceil_mode", 1);
        }
        if self.u.ratio(1, 4)? {
            node.int("count_include_pad", 1);
        }
        let shape = self.window(&mut node, channels, &kernel, shape)?;
        self.finish(node, output, shape);
        Ok(())
    }

    /// Operators that carry their scales with them.
    fn qlinear(&mut self, x: &str, shape: &[i64]) -> Result<()> {
        let kind = *self.u.choose(&[INT8, UINT8])?;
        let (x_scale, x_zero) = (self.scale(0)?, self.zero_point(kind, 0)?);
        let (y_scale, y_zero) = (self.scale(0)?, self.zero_point(kind, 0)?);
        let (w_scale, w_zero) = (self.scale(0)?, self.zero_point(kind, 0)?);
        let (name, output) = (self.name("n"), self.name("t"));
        let channels = shape.get(1).copied().unwrap_or(1).clamp(1, 64);
        let (node, shape) = match self.u.int_in_range(0..=4)? {
            0 => {
                let outputs = self.small()?;
                let mut sizes = vec![outputs, channels];
                sizes.extend(shape.iter().skip(2).map(|_| 1));
                let weights = self.tensor(&sizes, kind, None)?;
                let bias = self.tensor(&[outputs], INT32, None)?;
                let inputs = [x, &x_scale, &x_zero, &weights, &w_scale, &w_zero, &y_scale, &y_zero, &bias];
                let mut node = Node::new("QLinearConv", "", &name, &inputs, &output);
                let shape = self.window(&mut node, outputs, &sizes[2..], shape)?;
                (node, shape)
            }
            1 => {
                let last = shape.last().copied().unwrap_or(1);
                let outputs = self.small()?;
                let weights = self.tensor(&[last, outputs], kind, None)?;
                let inputs = [x, &x_scale, &x_zero, &weights, &w_scale, &w_zero, &y_scale, &y_zero];
                let node = Node::new("QLinearMatMul", "", &name, &inputs, &output);
                let mut shape = shape.to_vec();
                if let Some(last) = shape.last_mut() {
                    *last = outputs;
                }
                (node, shape)
            }
            2 => {
                let other = self.known[self.u.choose_index(self.known.len())?].0.clone();
                let inputs = [x, &x_scale, &x_zero, &other, &w_scale, &w_zero, &y_scale, &y_zero];
                let operator = *self.u.choose(&["QLinearAdd", "QLinearMul"])?;
                (Node::new(operator, "com.microsoft", &name, &inputs, &output), shape.to_vec())
            }
            3 => {
                let operator = *self.u.choose(&["QLinearSigmoid", "QLinearLeakyRelu", "QLinearSoftmax"])?;
                let inputs = [x, &x_scale, &x_zero, &y_scale, &y_zero];
                let mut node = Node::new(operator, "com.microsoft", &name, &inputs, &output);
                if operator == "QLinearSoftmax" {
                    let axis = self.number(-1)?;
                    node.int("axis", axis);
                    node.int("opset", 13);
                }
                (node, shape.to_vec())
            }
            _ => {
                let inputs = [x, &x_scale, &x_zero, &y_scale, &y_zero];
                let mut node =
                    Node::new("QLinearGlobalAveragePool", "com.microsoft", &name, &inputs, &output);
                let last = self.u.int_in_range(0..=1)?;
                node.int("channels_last", last);
                let mut shape = shape.to_vec();
                shape.iter_mut().skip(2).for_each(|size| *size = 1);
                (node, shape)
            }
        };
        self.finish(node, output.clone(), shape.clone());
        if self.u.ratio(2, 3)? {
            self.linear("DequantizeLinear", &output, &shape, kind)?;
        }
        Ok(())
    }
}
