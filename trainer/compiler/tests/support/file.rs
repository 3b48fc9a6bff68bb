//! ONNX files written field by field, for cases that no exporter makes.

/// Element types of the format.
pub const FLOAT: i64 = 1;
pub const UINT8: i64 = 2;
pub const INT8: i64 = 3;
pub const INT32: i64 = 6;
pub const INT64: i64 = 7;

/// A file under construction.
#[derive(Clone)]
pub struct File {
    opset: i64,
    parts: Vec<Vec<u8>>,
}

impl File {
    pub fn new(opset: i64) -> File {
        File { opset, parts: Vec::new() }
    }

    fn with(mut self, part: Vec<u8>) -> File {
        self.parts.push(part);
        self
    }

    pub fn input(self, name: &str, kind: i64, dims: &[i64]) -> File {
        self.with(port(11, name, kind, dims))
    }

    pub fn output(self, name: &str) -> File {
        self.with(port(12, name, FLOAT, &[]))
    }

    pub fn tensor(self, name: &str, kind: i64, dims: &[i64], raw: &[u8]) -> File {
        self.with(field(5, &tensor(name, kind, dims, raw)))
    }

    pub fn f32(self, name: &str, dims: &[i64], numbers: &[f32]) -> File {
        let raw: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.tensor(name, FLOAT, dims, &raw)
    }

    pub fn i64(self, name: &str, numbers: &[i64]) -> File {
        let raw: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.tensor(name, INT64, &[numbers.len() as i64], &raw)
    }

    pub fn i32(self, name: &str, dims: &[i64], numbers: &[i32]) -> File {
        let raw: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.tensor(name, INT32, dims, &raw)
    }

    /// Eight-bit integers, of type [`INT8`] or [`UINT8`].
    pub fn bytes(self, name: &str, kind: i64, dims: &[i64], numbers: &[i32]) -> File {
        let raw: Vec<u8> = numbers.iter().map(|&x| x as u8).collect();
        self.tensor(name, kind, dims, &raw)
    }

    /// Scale `name.s` and zero point `name.z` of one tensor.
    pub fn quant(self, name: &str, kind: i64, scale: f32, zero_point: i32) -> File {
        self.f32(&format!("{name}.s"), &[], &[scale]).bytes(&format!("{name}.z"), kind, &[], &[zero_point])
    }

    /// A node without a name; `domain::Operator` names one of another domain.
    pub fn node(self, operator: &str, inputs: &[&str], outputs: &[&str], attributes: &[Vec<u8>]) -> File {
        self.named("", operator, inputs, outputs, attributes)
    }

    pub fn named(
        self,
        name: &str,
        operator: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: &[Vec<u8>],
    ) -> File {
        let (domain, operator) = operator.split_once("::").unwrap_or(("", operator));
        let mut node = Vec::new();
        inputs.iter().for_each(|i| node.extend(field(1, i.as_bytes())));
        outputs.iter().for_each(|o| node.extend(field(2, o.as_bytes())));
        node.extend(field(3, name.as_bytes()));
        node.extend(field(4, operator.as_bytes()));
        attributes.iter().for_each(|a| node.extend(field(5, a)));
        node.extend(field(7, domain.as_bytes()));
        self.with(field(1, &node))
    }

    /// Any field of the graph.
    pub fn raw(self, number: u32, bytes: &[u8]) -> File {
        self.with(field(number, bytes))
    }

    pub fn finish(&self) -> Vec<u8> {
        [varint_field(1, 8), field(7, &self.parts.concat()), field(8, &varint_field(2, self.opset))].concat()
    }
}

fn attribute(name: &str, rest: Vec<u8>) -> Vec<u8> {
    [field(1, name.as_bytes()), rest].concat()
}

pub fn int(name: &str, value: i64) -> Vec<u8> {
    attribute(name, varint_field(3, value))
}

pub fn ints(name: &str, values: &[i64]) -> Vec<u8> {
    attribute(name, values.iter().flat_map(|&v| varint_field(8, v)).collect())
}

pub fn float(name: &str, value: f32) -> Vec<u8> {
    attribute(name, float_field(2, value))
}

pub fn floats(name: &str, values: &[f32]) -> Vec<u8> {
    attribute(name, values.iter().flat_map(|&v| float_field(7, v)).collect())
}

pub fn text(name: &str, value: &str) -> Vec<u8> {
    attribute(name, field(4, value.as_bytes()))
}

pub fn texts(name: &str, values: &[&str]) -> Vec<u8> {
    attribute(name, values.iter().flat_map(|v| field(9, v.as_bytes())).collect())
}

/// An attribute that holds a tensor.
pub fn constant(name: &str, kind: i64, dims: &[i64], raw: &[u8]) -> Vec<u8> {
    attribute(name, field(5, &tensor("", kind, dims, raw)))
}

pub fn tensor(name: &str, kind: i64, dims: &[i64], raw: &[u8]) -> Vec<u8> {
    let dims: Vec<u8> = dims.iter().flat_map(|&d| varint_field(1, d)).collect();
    [dims, varint_field(2, kind), field(8, name.as_bytes()), field(9, raw)].concat()
}

fn port(number: u32, name: &str, kind: i64, dims: &[i64]) -> Vec<u8> {
    let dims: Vec<u8> = dims
        .iter()
        .flat_map(|&d| field(1, &if d < 0 { field(2, b"N") } else { varint_field(1, d) }))
        .collect();
    let tensor = [varint_field(1, kind), field(2, &dims)].concat();
    field(number, &[field(1, name.as_bytes()), field(2, &field(1, &tensor))].concat())
}

pub fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint(&mut out, u64::from(number << 3 | 2));
    varint(&mut out, bytes.len() as u64);
    out.extend_from_slice(bytes);
    out
}

pub fn varint_field(number: u32, value: i64) -> Vec<u8> {
    let mut out = Vec::new();
    varint(&mut out, u64::from(number << 3));
    varint(&mut out, value as u64);
    out
}

fn float_field(number: u32, value: f32) -> Vec<u8> {
    let mut out = Vec::new();
    varint(&mut out, u64::from(number << 3 | 5));
    out.extend(value.to_le_bytes());
    out
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 128 {
        out.push(value as u8 | 128);
        value >>= 7;
    }
    out.push(value as u8);
}
