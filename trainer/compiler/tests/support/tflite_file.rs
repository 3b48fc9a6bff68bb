//! TensorFlow Lite files, written for tests.

#![allow(dead_code)]

/// A field of a table.
#[derive(Debug, Clone)]
pub enum Field {
    Byte(i8),
    Int(i32),
    Real(f32),
    Bytes(Vec<u8>),
    Ints(Vec<i32>),
    Longs(Vec<i64>),
    Reals(Vec<f32>),
    Table(Table),
    Tables(Vec<Table>),
}

/// A table: fields by number.
#[derive(Debug, Clone, Default)]
pub struct Table(pub Vec<(usize, Field)>);

impl Table {
    pub fn with(mut self, number: usize, field: Field) -> Table {
        self.0.push((number, field));
        self
    }

    /// Writes the table and what it refers to; gives its place.
    fn write(&self, out: &mut Vec<u8>) -> usize {
        let fields = self.0.iter().map(|(number, _)| number + 1).max().unwrap_or(0);
        while !out.len().is_multiple_of(4) {
            out.push(0);
        }
        let list = out.len();
        out.extend(((4 + 2 * fields) as u16).to_le_bytes());
        out.extend(((4 + 8 * self.0.len()) as u16).to_le_bytes());
        out.resize(out.len() + 2 * fields, 0);
        while !out.len().is_multiple_of(4) {
            out.push(0);
        }
        let at = out.len();
        out.extend(((at - list) as i32).to_le_bytes());
        out.resize(at + 4 + 8 * self.0.len(), 0);
        for (index, (number, field)) in self.0.iter().enumerate() {
            let offset = 4 + 8 * index;
            out[list + 4 + 2 * number..][..2].copy_from_slice(&(offset as u16).to_le_bytes());
            let place = at + offset;
            match field {
                Field::Byte(b) => out[place] = *b as u8,
                Field::Int(i) => out[place..place + 4].copy_from_slice(&i.to_le_bytes()),
                Field::Real(r) => out[place..place + 4].copy_from_slice(&r.to_le_bytes()),
                _ => {
                    let target = field.write_apart(out);
                    out[place..place + 4].copy_from_slice(&((target - place) as u32).to_le_bytes());
                }
            }
        }
        at
    }
}

impl Field {
    fn write_apart(&self, out: &mut Vec<u8>) -> usize {
        let mut list = |len: usize, bytes: Vec<u8>| {
            while !out.len().is_multiple_of(4) {
                out.push(0);
            }
            let at = out.len();
            out.extend((len as u32).to_le_bytes());
            out.extend(bytes);
            at
        };
        match self {
            Field::Bytes(b) => list(b.len(), b.clone()),
            Field::Ints(v) => list(v.len(), v.iter().flat_map(|x| x.to_le_bytes()).collect()),
            Field::Longs(v) => list(v.len(), v.iter().flat_map(|x| x.to_le_bytes()).collect()),
            Field::Reals(v) => list(v.len(), v.iter().flat_map(|x| x.to_le_bytes()).collect()),
            Field::Table(table) => table.write(out),
            Field::Tables(tables) => {
                let at = list(tables.len(), vec![0; 4 * tables.len()]);
                for (index, table) in tables.iter().enumerate() {
                    let place = at + 4 + 4 * index;
                    let target = table.write(out);
                    out[place..place + 4].copy_from_slice(&((target - place) as u32).to_le_bytes());
                }
                at
            }
            Field::Byte(_) | Field::Int(_) | Field::Real(_) => unreachable!("it stands in its table"),
        }
    }
}

/// Types of tensors, by their numbers.
pub const F32: i8 = 0;
pub const F16: i8 = 1;
pub const I32: i8 = 2;
pub const U8: i8 = 3;
pub const I64: i8 = 4;
pub const I16: i8 = 7;
pub const I8: i8 = 9;

/// A tensor of a file.
#[derive(Debug, Clone, Default)]
pub struct Tensor {
    pub name: String,
    pub shape: Vec<i32>,
    pub kind: i8,
    pub data: Option<Vec<u8>>,
    pub scales: Vec<f32>,
    pub zero_points: Vec<i64>,
    pub axis: i32,
}

/// An operator of a file.
#[derive(Debug, Clone, Default)]
pub struct Operator {
    pub code: i32,
    pub inputs: Vec<i32>,
    pub outputs: Vec<i32>,
    pub options: Option<(u8, Table)>,
}

/// A file with one graph.
#[derive(Debug, Clone, Default)]
pub struct File {
    pub tensors: Vec<Tensor>,
    pub operators: Vec<Operator>,
    pub inputs: Vec<i32>,
    pub outputs: Vec<i32>,
    pub graphs: usize,
}

impl File {
    fn add(&mut self, tensor: Tensor) -> i32 {
        self.tensors.push(tensor);
        self.tensors.len() as i32 - 1
    }

    /// A tensor of real numbers that an operator gives.
    pub fn real(&mut self, name: &str, shape: &[i32]) -> i32 {
        self.add(Tensor { name: name.into(), shape: shape.into(), ..Tensor::default() })
    }

    /// A tensor of integers that an operator gives.
    pub fn quantized(&mut self, name: &str, shape: &[i32], kind: i8, scale: f32, zero: i64) -> i32 {
        let (scales, zero_points) = (vec![scale], vec![zero]);
        self.add(Tensor {
            name: name.into(),
            shape: shape.into(),
            kind,
            scales,
            zero_points,
            ..Tensor::default()
        })
    }

    /// An input of the model.
    pub fn input(&mut self, name: &str, shape: &[i32]) -> i32 {
        let input = self.real(name, shape);
        self.inputs.push(input);
        input
    }

    pub fn quantized_input(&mut self, shape: &[i32], kind: i8, scale: f32, zero: i64) -> i32 {
        let input = self.quantized("x", shape, kind, scale, zero);
        self.inputs.push(input);
        input
    }

    pub fn reals(&mut self, name: &str, shape: &[i32], numbers: &[f32]) -> i32 {
        let data = Some(numbers.iter().flat_map(|x| x.to_le_bytes()).collect());
        self.add(Tensor { name: name.into(), shape: shape.into(), data, ..Tensor::default() })
    }

    pub fn ints(&mut self, name: &str, shape: &[i32], numbers: &[i32]) -> i32 {
        let data = Some(numbers.iter().flat_map(|x| x.to_le_bytes()).collect());
        self.add(Tensor { name: name.into(), shape: shape.into(), kind: I32, data, ..Tensor::default() })
    }

    /// A constant of bytes with scales along an axis.
    pub fn bytes(
        &mut self,
        shape: &[i32],
        kind: i8,
        bytes: &[u8],
        scales: &[f32],
        zeros: &[i64],
        axis: i32,
    ) -> i32 {
        let name = format!("constant {}", self.tensors.len());
        let (scales, zero_points) = (scales.to_vec(), zeros.to_vec());
        let data = Some(bytes.to_vec());
        self.add(Tensor { name, shape: shape.into(), kind, data, scales, zero_points, axis })
    }

    /// An operator that gives `output`.
    pub fn op(&mut self, code: i32, inputs: &[i32], output: i32, options: Option<(u8, Table)>) -> i32 {
        self.operators.push(Operator { code, inputs: inputs.into(), outputs: vec![output], options });
        output
    }

    /// The bytes of the file.
    pub fn write(&self) -> Vec<u8> {
        let mut buffers = vec![Table::default()];
        let mut codes: Vec<i32> = Vec::new();
        let mut tensors = Vec::new();
        for tensor in &self.tensors {
            let mut buffer = 0;
            if let Some(data) = &tensor.data {
                buffer = buffers.len() as i32;
                buffers.push(Table::default().with(0, Field::Bytes(data.clone())));
            }
            let mut table = Table::default()
                .with(0, Field::Ints(tensor.shape.clone()))
                .with(1, Field::Byte(tensor.kind))
                .with(2, Field::Int(buffer))
                .with(3, Field::Bytes(tensor.name.clone().into_bytes()));
            if !tensor.scales.is_empty() {
                let quantization = Table::default()
                    .with(2, Field::Reals(tensor.scales.clone()))
                    .with(3, Field::Longs(tensor.zero_points.clone()))
                    .with(6, Field::Int(tensor.axis));
                table = table.with(4, Field::Table(quantization));
            }
            tensors.push(table);
        }
        let operators: Vec<Table> = self
            .operators
            .iter()
            .map(|operator| {
                let code = codes.iter().position(|&code| code == operator.code).unwrap_or_else(|| {
                    codes.push(operator.code);
                    codes.len() - 1
                });
                let table = Table::default()
                    .with(0, Field::Int(code as i32))
                    .with(1, Field::Ints(operator.inputs.clone()))
                    .with(2, Field::Ints(operator.outputs.clone()));
                match &operator.options {
                    Some((kind, options)) => {
                        table.with(3, Field::Byte(*kind as i8)).with(4, Field::Table(options.clone()))
                    }
                    None => table,
                }
            })
            .collect();
        let codes = codes
            .iter()
            .map(|&code| {
                // As converters write both fields: the older one is too narrow for newer operators.
                Table::default().with(0, Field::Byte(code.min(127) as i8)).with(3, Field::Int(code))
            })
            .collect();
        let graph = Table::default()
            .with(0, Field::Tables(tensors))
            .with(1, Field::Ints(self.inputs.clone()))
            .with(2, Field::Ints(self.outputs.clone()))
            .with(3, Field::Tables(operators))
            .with(4, Field::Bytes(b"main".to_vec()));
        let model = Table::default()
            .with(0, Field::Int(3))
            .with(1, Field::Tables(codes))
            .with(2, Field::Tables(vec![graph; self.graphs.max(1)]))
            .with(4, Field::Tables(buffers));
        let mut out = vec![0; 4];
        out.extend(b"TFL3");
        let root = model.write(&mut out);
        out[..4].copy_from_slice(&(root as u32).to_le_bytes());
        out
    }
}
