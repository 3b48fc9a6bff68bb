//! The keys that a model carries in `metadata_props`, and the plan after it.
//!
//! All begin with `teff.`; other keys of a file are left out when it is imported.
//!
//! | key | what it holds |
//! |---|---|
//! | `teff.version` | version of this set of keys: `1` |
//! | `teff.labels` | names of the classes, one per line; of an anomaly model the name of its event |
//! | `teff.front_end` | settings of the front end, one line of `key=value` (`docs/front-end.md`) |
//! | `teff.decision` | smoothing, threshold, hysteresis, refractory time, one line of `key=value` |
//! | `teff.data` | what the model was trained on |
//! | `teff.licence` | licence of the weights |
//! | `teff.inputs`, `teff.outputs` | in the plan only, made by the compiler: one line per tensor |

use std::collections::BTreeMap;

use super::proto::StringStringEntryProto;
use crate::error::{Error, Result};

/// Version of the set of keys.
pub const VERSION: &str = "teff.version";
/// The version that is read and written.
pub const CURRENT_VERSION: &str = "1";
/// Names of the classes, one per line.
pub const LABELS: &str = "teff.labels";
/// Settings of the front end.
pub const FRONT_END: &str = "teff.front_end";
/// From scores to events.
pub const DECISION: &str = "teff.decision";
/// What the model was trained on.
pub const DATA: &str = "teff.data";
/// Licence of the weights.
pub const LICENCE: &str = "teff.licence";
/// Inputs as they stand in the ONNX file, in the plan only.
pub const INPUTS: &str = "teff.inputs";
/// Outputs as they stand in the ONNX file, in the plan only.
pub const OUTPUTS: &str = "teff.outputs";

/// The keys of a file that begin with `teff.`.
pub(super) fn read(entries: &[StringStringEntryProto]) -> Result<BTreeMap<String, String>> {
    let mut metadata = BTreeMap::new();
    for entry in entries {
        let key = entry.key.as_deref().unwrap_or("");
        if !key.starts_with("teff.") {
            continue;
        }
        let value = entry.value.clone().unwrap_or_default();
        if key == VERSION && value != CURRENT_VERSION {
            return Err(Error::key(key, format!("version `{value}` is not read, only `{CURRENT_VERSION}`"))
                .remedy("use the version of trainer that wrote the file, or a newer one"));
        }
        if metadata.insert(key.to_string(), value).is_some() {
            return Err(Error::key(key, "it stands there twice").remedy("remove one of them"));
        }
    }
    Ok(metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, value: &str) -> StringStringEntryProto {
        StringStringEntryProto { key: Some(key.into()), value: Some(value.into()) }
    }

    #[test]
    fn foreign_keys_are_left_out_and_doubles_refused() {
        let found = read(&[entry("pkg.torch", "x"), entry(LABELS, "a\nb")]).unwrap();
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [(LABELS.into(), "a\nb".into())]);
        let text = read(&[entry(LABELS, "a"), entry(LABELS, "b")]).unwrap_err().to_string();
        assert!(text.contains("`teff.labels`") && text.contains("twice"), "{text}");
        let text = read(&[entry(VERSION, "2")]).unwrap_err().to_string();
        assert!(text.contains("version `2`"), "{text}");
    }
}
