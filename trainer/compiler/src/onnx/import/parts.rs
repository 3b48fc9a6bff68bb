//! Operators that are imported as several simpler ones.

use super::attributes::Reader;
use super::state::Import;
use super::table;
use crate::error::Result;
use crate::onnx::proto::{AttributeProto, NodeProto};

/// Imports one operator of the standard set in place of a part of `origin`.
pub(super) fn part(
    state: &mut Import,
    origin: &Reader<'_>,
    operator: &str,
    inputs: Vec<String>,
    output: &str,
    attributes: Vec<AttributeProto>,
) -> Result<()> {
    let proto = NodeProto {
        input: inputs,
        output: vec![output.to_string()],
        op_type: Some(operator.to_string()),
        attribute: attributes,
        ..NodeProto::default()
    };
    let reader = Reader::part_of(&proto, origin);
    let entry =
        table::find(&proto).ok_or_else(|| origin.fault(format!("its part `{operator}` is not supported")))?;
    (entry.import)(state, &reader)?;
    reader.finish()
}

pub(super) fn int_attribute(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: Some(name.to_string()), i: Some(i), ..AttributeProto::default() }
}
