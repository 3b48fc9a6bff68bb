//! ONNX files with more outputs: what an engine computes on the way becomes visible.
//!
//! A protocol-buffer message that follows another one is merged into it: lists are joined. So outputs are added by
//! appending bytes, and nothing of the file has to be understood or written anew.

/// Field of a model that holds its graph.
const MODEL_GRAPH: u64 = 7;
/// Field of a graph that lists its nodes.
const GRAPH_NODE: u64 = 1;
/// Field of a graph that lists its outputs.
const GRAPH_OUTPUT: u64 = 12;
/// Field of a value that holds its name.
const VALUE_NAME: u64 = 1;
/// Field of a node that lists the names of its outputs.
const NODE_OUTPUT: u64 = 2;
/// Field of a node that holds its operator.
const NODE_OP_TYPE: u64 = 4;

/// The file with outputs of these names after its own ones.
pub fn expose(onnx: &[u8], names: &[String]) -> Vec<u8> {
    let mut graph = Vec::new();
    for name in names {
        let mut value = Vec::new();
        put(&mut value, VALUE_NAME, name.as_bytes());
        put(&mut graph, GRAPH_OUTPUT, &value);
    }
    let mut exposed = onnx.to_vec();
    put(&mut exposed, MODEL_GRAPH, &graph);
    exposed
}

/// Whether an operator gives integers of 8 bits: `QuantizeLinear`, and those that compute in integers.
fn gives_integers(op: &[u8]) -> bool {
    op == b"QuantizeLinear" || op == b"QGemm" || op.starts_with(b"QLinear")
}

/// Names of the integer tensors: what the nodes that quantize give, besides the outputs of the model.
pub fn integer_tensors(onnx: &[u8]) -> Vec<String> {
    let (mut found, mut outputs) = (Vec::new(), Vec::new());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    for (field, graph) in Fields(onnx) {
        if field != MODEL_GRAPH {
            continue;
        }
        for (field, part) in Fields(graph) {
            if field == GRAPH_OUTPUT {
                outputs.extend(
                    Fields(part).filter(|(field, _)| *field == VALUE_NAME).map(|(_, name)| text(name)),
                );
            } else if field == GRAPH_NODE
                && Fields(part).any(|(field, op)| field == NODE_OP_TYPE && gives_integers(op))
            {
                found.extend(
                    Fields(part).filter(|(field, _)| *field == NODE_OUTPUT).map(|(_, name)| text(name)),
                );
            }
        }
    }
    found.retain(|name| !outputs.contains(name));
    found
}

/// Adds a field of bytes.
fn put(message: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    const LENGTH_DELIMITED: u64 = 2;
    for mut number in [field << 3 | LENGTH_DELIMITED, bytes.len() as u64] {
        while number >= 0x80 {
            message.push(number as u8 | 0x80);
            number >>= 7;
        }
        message.push(number as u8);
    }
    message.extend_from_slice(bytes);
}

/// The fields of bytes of a message, in their order. A damaged message ends early.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for place in 0..10 {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn bytes(&mut self, len: u64) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(usize::try_from(len).ok()?)?;
        self.0 = rest;
        Some(bytes)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let key = self.number()?;
            match key & 7 {
                0 => {
                    self.number()?;
                }
                1 => {
                    self.bytes(8)?;
                }
                2 => {
                    let len = self.number()?;
                    return Some((key >> 3, self.bytes(len)?));
                }
                5 => {
                    self.bytes(4)?;
                }
                _ => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn added_outputs_follow_the_model() {
        let mut node = Vec::new();
        put(&mut node, NODE_OUTPUT, b"q");
        put(&mut node, NODE_OP_TYPE, b"QuantizeLinear");
        let (mut graph, mut model) = (Vec::new(), vec![0x08, 0x09]);
        put(&mut graph, GRAPH_NODE, &node);
        put(&mut model, MODEL_GRAPH, &graph);
        assert_eq!(integer_tensors(&model), ["q"]);
        let long = "a name of more than one hundred and twenty-seven bytes ".repeat(4);
        let exposed = expose(&model, &["q".to_string(), long.clone()]);
        assert!(exposed.starts_with(&model));
        assert!(integer_tensors(&exposed).is_empty());
        for cut in 0..exposed.len() {
            integer_tensors(&exposed[..cut]);
        }
    }
}
