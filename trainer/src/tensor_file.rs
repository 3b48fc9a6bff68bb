//! Named tensors in a file, in the safetensors format: the length of a JSON header, the header, the values.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use serde_json::{Map, Value, json};

use crate::files;

/// Tensors by name, with texts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TensorFile {
    /// The texts.
    pub texts: BTreeMap<String, String>,
    /// Shape and values by name.
    pub tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl TensorFile {
    /// The bytes of the file.
    pub fn to_bytes(&self) -> anyhow::Result<Vec<u8>> {
        let mut header = Map::new();
        header.insert("__metadata__".into(), json!(self.texts));
        let mut end = 0;
        for (name, (shape, values)) in &self.tensors {
            let start = end;
            end += 4 * values.len();
            header
                .insert(name.clone(), json!({"dtype": "F32", "shape": shape, "data_offsets": [start, end]}));
        }
        let mut header = serde_json::to_vec(&Value::Object(header))?;
        header.resize(header.len().next_multiple_of(8), b' ');
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header);
        for (_, values) in self.tensors.values() {
            bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        }
        Ok(bytes)
    }

    /// Reads the bytes of a file.
    pub fn from_bytes(bytes: &[u8]) -> anyhow::Result<Self> {
        let (len, rest) = bytes.split_first_chunk::<8>().context("it is too short for its header")?;
        let len = usize::try_from(u64::from_le_bytes(*len)).unwrap_or(usize::MAX);
        let (header, data) = rest.split_at_checked(len).context("it ends inside its header")?;
        let header: Map<String, Value> =
            serde_json::from_slice(header).context("its header is no JSON object")?;
        let mut file = Self::default();
        for (name, entry) in header {
            if name == "__metadata__" {
                file.texts = serde_json::from_value(entry).context("its texts are damaged")?;
                continue;
            }
            ensure!(entry["dtype"] == "F32", "tensor `{name}` holds no 32-bit floats");
            let shape: Vec<usize> = serde_json::from_value(entry["shape"].clone())
                .with_context(|| format!("the shape of tensor `{name}` is damaged"))?;
            let [start, end]: [usize; 2] = serde_json::from_value(entry["data_offsets"].clone())
                .with_context(|| format!("the place of tensor `{name}` is damaged"))?;
            let raw = data.get(start..end).with_context(|| format!("it ends inside tensor `{name}`"))?;
            let len = shape.iter().try_fold(4_usize, |len, &d| len.checked_mul(d));
            ensure!(len == Some(raw.len()), "tensor `{name}` has a length that is not its shape's");
            let values = raw.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
            file.tensors.insert(name, (shape, values));
        }
        Ok(file)
    }

    /// Reads a file.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        Self::from_bytes(&bytes)
            .with_context(|| format!("{} is damaged; delete it and train again", path.display()))
    }

    /// Writes the file; under its name stands the old one or the new one, never a part.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        files::write_bytes(path, &self.to_bytes()?)
    }

    /// The text of a key, parsed.
    pub fn text<T: std::str::FromStr>(&self, key: &str) -> anyhow::Result<T> {
        match self.texts.get(key).map(|text| text.parse()) {
            Some(Ok(value)) => Ok(value),
            _ => bail!("its text `{key}` is missing or damaged"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> TensorFile {
        let mut file = TensorFile::default();
        file.texts.insert("epoch".into(), "3".into());
        file.tensors.insert("a".into(), (vec![2, 2], vec![1.0, -2.5, f32::MIN_POSITIVE, 0.0]));
        file.tensors.insert("b".into(), (vec![0], vec![]));
        file
    }

    #[test]
    fn what_is_written_is_read() {
        let bytes = sample().to_bytes().expect("writes");
        assert_eq!(TensorFile::from_bytes(&bytes).expect("reads"), sample());
        assert_eq!(sample().text::<usize>("epoch").expect("a number"), 3);
    }

    #[test]
    fn damage_is_an_error() {
        let bytes = sample().to_bytes().expect("writes");
        for len in 0..bytes.len() {
            assert!(TensorFile::from_bytes(&bytes[..len]).is_err(), "cut to {len} bytes");
        }
        for i in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[i / 8] ^= 1 << (i % 8);
            // Either an error or a file: never a panic.
            let _ = TensorFile::from_bytes(&flipped);
        }
    }
}
