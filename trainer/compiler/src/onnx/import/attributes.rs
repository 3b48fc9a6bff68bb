//! Typed access to a node's attributes; an attribute that nobody has read is refused.

use std::cell::RefCell;

use super::tensor::OnnxTensor;
use crate::error::{Error, Result};
use crate::import::Site;
use crate::onnx::proto::{AttributeProto, NodeProto, data_type};

/// A node of the file while it is being imported.
pub(super) struct Reader<'a> {
    pub proto: &'a NodeProto,
    /// The node's name, or that of its first output where it has none.
    pub name: String,
    /// The operator as it stands in the file, for messages.
    shown: String,
    read: RefCell<Vec<&'a str>>,
}

impl Site for Reader<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn result_name(&self) -> Result<&str> {
        self.output()
    }

    fn error(&self, reason: String) -> Error {
        self.fault(reason)
    }
}

impl<'a> Reader<'a> {
    pub fn new(proto: &'a NodeProto) -> Reader<'a> {
        let own = proto.name.as_deref().unwrap_or("");
        let first = proto.output.iter().find(|o| !o.is_empty()).map_or("", String::as_str);
        let name = if own.is_empty() { first } else { own }.to_string();
        let shown = proto.op_type.clone().unwrap_or_default();
        Reader { proto, name, shown, read: RefCell::new(Vec::new()) }
    }

    /// A node that stands for a part of `origin`; messages speak of `origin`.
    pub fn part_of(proto: &'a NodeProto, origin: &Reader<'_>) -> Reader<'a> {
        Reader {
            proto,
            name: origin.name.clone(),
            shown: origin.shown.clone(),
            read: RefCell::new(Vec::new()),
        }
    }

    pub fn operator(&self) -> &'a str {
        self.proto.op_type.as_deref().unwrap_or("")
    }

    /// An error about this node.
    pub fn fault(&self, reason: impl Into<String>) -> Error {
        Error::node(&self.name, &self.shown, reason)
    }

    /// Name of an operand, or `None` where it is left out.
    pub fn input(&self, index: usize) -> Option<&'a str> {
        self.proto.input.get(index).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// Name of an operand that must be there.
    pub fn required(&self, index: usize) -> Result<&'a str> {
        self.input(index).ok_or_else(|| self.fault(format!("operand {index} is missing")))
    }

    /// Name of the first result.
    pub fn output(&self) -> Result<&'a str> {
        match self.proto.output.first() {
            Some(name) if !name.is_empty() => Ok(name),
            _ => Err(self.fault("the node has no result")),
        }
    }

    fn attribute(&self, name: &str) -> Option<&'a AttributeProto> {
        let found = self.proto.attribute.iter().find(|a| a.name.as_deref() == Some(name))?;
        self.read.borrow_mut().push(found.name.as_deref().unwrap_or(""));
        Some(found)
    }

    fn wrong_type(&self, name: &str) -> Error {
        self.fault(format!("attribute `{name}` has the wrong type"))
    }

    pub fn int(&self, name: &str) -> Result<Option<i64>> {
        match self.attribute(name) {
            None => Ok(None),
            Some(a) => a.i.map(Some).ok_or_else(|| self.wrong_type(name)),
        }
    }

    pub fn int_or(&self, name: &str, default: i64) -> Result<i64> {
        Ok(self.int(name)?.unwrap_or(default))
    }

    pub fn flag(&self, name: &str, default: bool) -> Result<bool> {
        Ok(self.int(name)?.map_or(default, |i| i != 0))
    }

    pub fn float_or(&self, name: &str, default: f32) -> Result<f32> {
        match self.float(name)? {
            Some(f) => Ok(f),
            None => Ok(default),
        }
    }

    pub fn float(&self, name: &str) -> Result<Option<f32>> {
        match self.attribute(name) {
            None => Ok(None),
            Some(a) => a.f.map(Some).ok_or_else(|| self.wrong_type(name)),
        }
    }

    pub fn ints(&self, name: &str) -> Result<Option<Vec<i64>>> {
        match self.attribute(name) {
            None => Ok(None),
            Some(a) if a.i.is_some() || a.f.is_some() || a.s.is_some() => Err(self.wrong_type(name)),
            Some(a) => Ok(Some(a.ints.clone())),
        }
    }

    pub fn floats(&self, name: &str) -> Result<Option<Vec<f32>>> {
        match self.attribute(name) {
            None => Ok(None),
            Some(a) if a.i.is_some() || a.f.is_some() || a.s.is_some() => Err(self.wrong_type(name)),
            Some(a) => Ok(Some(a.floats.clone())),
        }
    }

    /// Sizes: a list of `count` integers, none below `least`.
    pub fn sizes(&self, name: &str, count: usize, least: i64) -> Result<Option<Vec<usize>>> {
        let Some(ints) = self.ints(name)? else {
            return Ok(None);
        };
        if ints.len() != count {
            return Err(self.fault(format!("attribute `{name}` has {} numbers, not {count}", ints.len())));
        }
        let sizes = ints.iter().map(|&i| {
            if i < least || i > 1 << 24 {
                return Err(self.fault(format!("attribute `{name}` holds {i}")));
            }
            Ok(i as usize)
        });
        sizes.collect::<Result<Vec<usize>>>().map(Some)
    }

    pub fn string_or(&self, name: &str, default: &'static str) -> Result<String> {
        match self.attribute(name) {
            None => Ok(default.to_string()),
            Some(a) => {
                let bytes = a.s.as_deref().ok_or_else(|| self.wrong_type(name))?;
                Ok(String::from_utf8_lossy(bytes).into_owned())
            }
        }
    }

    /// A text, where there is one.
    pub fn text(&self, name: &str) -> Result<Option<String>> {
        match self.attribute(name) {
            None => Ok(None),
            Some(_) => self.string_or(name, "").map(Some),
        }
    }

    /// The elements of an attribute that is a tensor of texts.
    pub fn tensor_texts(&self, name: &str) -> Option<Vec<String>> {
        let proto = self.attribute(name)?.t.as_ref()?;
        (proto.data_type == Some(data_type::STRING)).then(|| super::tensor::texts(proto))
    }

    /// A list of texts.
    pub fn strings(&self, name: &str) -> Result<Option<Vec<String>>> {
        match self.attribute(name) {
            None => Ok(None),
            Some(a) if a.i.is_some() || a.f.is_some() || a.s.is_some() => Err(self.wrong_type(name)),
            Some(a) => Ok(Some(a.strings.iter().map(|s| String::from_utf8_lossy(s).into_owned()).collect())),
        }
    }

    /// The attributes as they stand, to be given to the parts of this node; all count as read.
    pub fn all_attributes(&self) -> Vec<AttributeProto> {
        let names = self.proto.attribute.iter().map(|a| a.name.as_deref().unwrap_or(""));
        self.read.borrow_mut().extend(names);
        self.proto.attribute.clone()
    }

    pub fn tensor(&self, name: &str) -> Result<Option<OnnxTensor>> {
        match self.attribute(name) {
            None => Ok(None),
            Some(a) => match &a.t {
                Some(t) => Ok(Some(OnnxTensor::read(t)?)),
                None => Err(self.wrong_type(name)),
            },
        }
    }

    /// Refuses what the importer of this operator has not looked at.
    pub fn finish(&self) -> Result<()> {
        let read = self.read.borrow();
        for attribute in &self.proto.attribute {
            let name = attribute.name.as_deref().unwrap_or("");
            if !read.contains(&name) {
                return Err(self
                    .fault(format!("attribute `{name}` is not supported"))
                    .remedy("docs/operators.md states what is; export without it"));
            }
        }
        Ok(())
    }
}
