//! Reading TOML tables key by key, so that every fault names the key, its line, and what would be valid.
//!
//! A [`Section`] notes each key that it is asked for. What the file has beyond those is an unknown key, and the notes
//! are what the nearest valid key is chosen from; so the list of valid keys cannot differ from what is read.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::{InputError, Result};

/// A TOML file.
#[derive(Debug)]
pub struct Document<'a> {
    file: &'a Path,
    text: &'a str,
    root: Spanned<DeTable<'a>>,
}

impl<'a> Document<'a> {
    /// Parses the text of a file; `file` is for messages.
    pub fn parse(file: &'a Path, text: &'a str) -> Result<Self> {
        let root = DeTable::parse(text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_of(text, span.start));
            InputError::new(file, format!("is no valid TOML: {}", error.message()), "correct the line")
                .at_line(line)
        })?;
        Ok(Self { file, text, root })
    }

    /// The keys outside every table, and the tables.
    pub fn root(&self) -> Section<'_> {
        self.section("the top level".into(), self.root.get_ref(), 0)
    }

    fn section<'s>(&'s self, title: String, table: &'s DeTable<'a>, start: usize) -> Section<'s> {
        Section {
            file: self.file,
            text: self.text,
            title,
            table: Keys::of(table),
            start,
            asked: RefCell::default(),
        }
    }
}

/// The line, from 1, of a byte of the text.
fn line_of(text: &str, byte: usize) -> usize {
    1 + text.bytes().take(byte).filter(|&b| b == b'\n').count()
}

/// The entries of a table by key, with the byte where the key stands.
struct Keys<'s>(BTreeMap<&'s str, (usize, &'s Spanned<DeValue<'s>>)>);

impl<'s> Keys<'s> {
    fn of<'a: 's>(table: &'s DeTable<'a>) -> Self {
        let entry = |(key, value): (&'s Spanned<std::borrow::Cow<'a, str>>, &'s Spanned<DeValue<'a>>)| {
            (key.get_ref().as_ref(), (key.span().start, value))
        };
        Self(table.iter().map(entry).collect())
    }
}

/// One table of a file.
pub struct Section<'s> {
    file: &'s Path,
    text: &'s str,
    title: String,
    table: Keys<'s>,
    start: usize,
    asked: RefCell<Vec<&'static str>>,
}

impl<'s> Section<'s> {
    /// The name of the table as messages show it.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// A fault at a key of this table.
    pub fn fault(&self, key: &str, problem: impl Display, remedy: impl Into<String>) -> InputError {
        let byte = self.table.0.get(key).map_or(self.start, |(byte, _)| *byte);
        InputError::new(self.file, format!("`{key}` in {} {problem}", self.title), remedy)
            .at_line(line_of(self.text, byte))
    }

    /// A fault that is told in full, at the line of a key of this table; at the table's own line when it has no such
    /// key.
    pub fn fault_at(&self, key: &str, problem: &str, remedy: impl Into<String>) -> InputError {
        let byte = self.table.0.get(key).map_or(self.start, |(byte, _)| *byte);
        InputError::new(self.file, format!("{}: {problem}", self.title), remedy)
            .at_line(line_of(self.text, byte))
    }

    /// A fault of the table as a whole.
    pub fn fault_of_table(&self, problem: impl Display, remedy: impl Into<String>) -> InputError {
        InputError::new(self.file, format!("{} {problem}", self.title), remedy)
            .at_line(line_of(self.text, self.start))
    }

    /// The value of a key that must be there.
    pub fn required<T>(&self, key: &'static str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| {
            // A misspelt key is both missing and unknown; the second says more.
            let unknown = self.unknown_keys().find(|(_, name)| distance(name, key) <= 2);
            match unknown {
                Some((byte, name)) => self.unknown(byte, name),
                None => self.fault(key, "is missing", format!("add `{key}` to {}", self.title)),
            }
        })
    }

    /// Whether a key is there, without reading it.
    pub fn has(&self, key: &'static str) -> bool {
        self.find(key).is_some()
    }

    /// A text.
    pub fn text(&self, key: &'static str) -> Result<Option<String>> {
        self.read(key, "a text in quotes", |value| value.as_str().map(str::to_string))
    }

    /// `true` or `false`.
    pub fn boolean(&self, key: &'static str) -> Result<Option<bool>> {
        self.read(key, "`true` or `false`", DeValue::as_bool)
    }

    /// A whole number in a range.
    pub fn integer(&self, key: &'static str, range: RangeInclusive<i64>) -> Result<Option<i64>> {
        let value = self.read(key, "a whole number", integer_of)?;
        self.check_range(key, value, &range)
    }

    /// A whole number in a range, as a size.
    pub fn size(&self, key: &'static str, range: RangeInclusive<usize>) -> Result<Option<usize>> {
        let (low, high) = (*range.start() as i64, i64::try_from(*range.end()).unwrap_or(i64::MAX));
        Ok(self.integer(key, low..=high)?.map(|value| value as usize))
    }

    /// A number in a range.
    pub fn number(&self, key: &'static str, range: RangeInclusive<f64>) -> Result<Option<f64>> {
        let value = self.read(key, "a number", number_of)?;
        self.check_range(key, value, &range)
    }

    /// A list of texts.
    pub fn texts(&self, key: &'static str) -> Result<Option<Vec<String>>> {
        self.read(key, "a list of texts in quotes", texts_of)
    }

    /// A list of lists of texts.
    pub fn lists_of_texts(&self, key: &'static str) -> Result<Option<Vec<Vec<String>>>> {
        self.read(key, "a list of lists of texts in quotes", |value| {
            value.as_array()?.iter().map(|list| texts_of(list.get_ref())).collect()
        })
    }

    /// One whole number for both directions, or a pair `[vertical, horizontal]`.
    pub fn pair(&self, key: &'static str, range: RangeInclusive<usize>) -> Result<Option<[usize; 2]>> {
        let pair = self.read(key, "a whole number or a pair of them, `[vertical, horizontal]`", |value| {
            if let Some(one) = integer_of(value) {
                return Some([one, one]);
            }
            match value.as_array()?.iter().map(|v| integer_of(v.get_ref())).collect::<Option<Vec<i64>>>()?[..]
            {
                [vertical, horizontal] => Some([vertical, horizontal]),
                _ => None,
            }
        })?;
        let Some(pair) = pair else { return Ok(None) };
        for value in pair {
            self.check_range(key, Some(value), &(*range.start() as i64..=*range.end() as i64))?;
        }
        Ok(Some(pair.map(|value| value as usize)))
    }

    /// One of the given words.
    pub fn word(&self, key: &'static str, words: &[&'static str]) -> Result<Option<&'static str>> {
        let Some(written) = self.text(key)? else {
            return Ok(None);
        };
        if let Some(word) = words.iter().find(|word| **word == written) {
            return Ok(Some(word));
        }
        let valid = words.join(", ");
        let remedy = match nearest(&written, words.iter().copied()) {
            Some(nearest) => format!("write `{nearest}`; valid are: {valid}"),
            None => format!("valid are: {valid}"),
        };
        Err(self.fault(key, format!("is `{written}`, which is not known"), remedy))
    }

    /// One of the given words, as what it stands for.
    pub fn choice<T: Clone>(&self, key: &'static str, choices: &[(&'static str, T)]) -> Result<Option<T>> {
        let words: Vec<&'static str> = choices.iter().map(|(word, _)| *word).collect();
        let word = self.word(key, &words)?;
        Ok(choices.iter().find(|(name, _)| Some(*name) == word).map(|(_, meaning)| meaning.clone()))
    }

    /// Every key with its value as text; lists are joined by commas. All keys count as asked for.
    pub fn pairs(&self) -> Result<Vec<(String, String)>> {
        let pair =
            |(key, (_, value)): (&&str, &(usize, &Spanned<DeValue<'_>>))| match plain_text(value.get_ref()) {
                Some(text) => Ok((key.to_string(), text)),
                None => Err(self.wrong_type(
                    key,
                    "a text, a number, `true`, `false` or a list of them",
                    value.get_ref(),
                )),
            };
        self.table.0.iter().map(pair).collect()
    }

    /// A table within this one.
    pub fn section(&self, key: &'static str, title: &str) -> Result<Option<Section<'s>>> {
        let Some((byte, value)) = self.find(key) else {
            return Ok(None);
        };
        match value.get_ref().as_table() {
            Some(table) => Ok(Some(self.inner(title.to_string(), table, byte))),
            None => Err(self.wrong_type(key, "a table", value.get_ref())),
        }
    }

    /// A list of tables within this one; messages number them from 1.
    pub fn sections(&self, key: &'static str, title: &str) -> Result<Vec<Section<'s>>> {
        let Some((_, value)) = self.find(key) else {
            return Ok(Vec::new());
        };
        let wrong = || self.wrong_type(key, "a list of tables", value.get_ref());
        let list = value.get_ref().as_array().ok_or_else(wrong)?;
        let section = |(n, item): (usize, &'s Spanned<DeValue<'s>>)| {
            let table = item.get_ref().as_table().ok_or_else(wrong)?;
            Ok(self.inner(format!("{title} number {}", n + 1), table, item.span().start))
        };
        list.iter().enumerate().map(section).collect()
    }

    /// Refuses the keys that were never asked for.
    pub fn finish(&self) -> Result<()> {
        match self.unknown_keys().min() {
            Some((byte, name)) => Err(self.unknown(byte, name)),
            None => Ok(()),
        }
    }

    fn inner(&self, title: String, table: &'s DeTable<'s>, start: usize) -> Section<'s> {
        Section {
            file: self.file,
            text: self.text,
            title,
            table: Keys::of(table),
            start,
            asked: RefCell::default(),
        }
    }

    fn find(&self, key: &'static str) -> Option<(usize, &'s Spanned<DeValue<'s>>)> {
        let mut asked = self.asked.borrow_mut();
        if !asked.contains(&key) {
            asked.push(key);
        }
        self.table.0.get(key).copied()
    }

    fn read<T>(
        &self,
        key: &'static str,
        expected: &str,
        convert: impl Fn(&DeValue<'s>) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some((_, value)) = self.find(key) else {
            return Ok(None);
        };
        match convert(value.get_ref()) {
            Some(converted) => Ok(Some(converted)),
            None => Err(self.wrong_type(key, expected, value.get_ref())),
        }
    }

    fn wrong_type(&self, key: &str, expected: &str, found: &DeValue<'_>) -> InputError {
        self.fault(key, format!("is of type {}", found.type_str()), format!("write {expected}"))
    }

    fn check_range<T: PartialOrd + Display>(
        &self,
        key: &str,
        value: Option<T>,
        range: &RangeInclusive<T>,
    ) -> Result<Option<T>> {
        match value {
            Some(value) if !range.contains(&value) => Err(self.fault(
                key,
                format!("is {value}, out of range"),
                format!("write a value from {} to {}", range.start(), range.end()),
            )),
            value => Ok(value),
        }
    }

    /// The keys never asked for, each with its byte.
    fn unknown_keys(&self) -> impl Iterator<Item = (usize, &'s str)> {
        let asked = self.asked.borrow().clone();
        self.table
            .0
            .iter()
            .filter(move |(name, _)| !asked.contains(*name))
            .map(|(name, (byte, _))| (*byte, *name))
    }

    fn unknown(&self, byte: usize, name: &str) -> InputError {
        let asked = self.asked.borrow();
        let remedy = match nearest(name, asked.iter().copied()) {
            Some(nearest) => format!("write `{nearest}`, the nearest valid key"),
            None => format!("remove it; valid keys here are: {}", asked.join(", ")),
        };
        InputError::new(self.file, format!("`{name}` is not a key of {}", self.title), remedy)
            .at_line(line_of(self.text, byte))
    }
}

fn integer_of(value: &DeValue<'_>) -> Option<i64> {
    let integer = value.as_integer()?;
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

fn number_of(value: &DeValue<'_>) -> Option<f64> {
    match value.as_float() {
        Some(float) => float.as_str().parse().ok(),
        None => integer_of(value).map(|integer| integer as f64),
    }
}

/// A value as the text that it has without TOML around it.
fn plain_text(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(_) => integer_of(value).map(|integer| integer.to_string()),
        DeValue::Float(float) => Some(float.as_str().to_string()),
        DeValue::Boolean(flag) => Some(flag.to_string()),
        DeValue::Array(list) => {
            let texts: Option<Vec<String>> = list.iter().map(|item| plain_text(item.get_ref())).collect();
            texts.map(|texts| texts.join(","))
        }
        DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}

fn texts_of(value: &DeValue<'_>) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|text| text.get_ref().as_str().map(str::to_string)).collect()
}

/// The candidate with the smallest edit distance to a word, where that is small enough to be a slip.
fn nearest<'c>(word: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let limit = (word.chars().count() / 2).max(2);
    candidates
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// The edit distance of two words: insertions, deletions, substitutions and swaps of neighbours count 1 each.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let substituted = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let is_swap = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                let swapped = if is_swap { rows[i - 2][j - 2] + 1 } else { usize::MAX };
                substituted.min(swapped).min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1)
            };
        }
    }
    rows[a.len()][b.len()]
}
