//! Lines for a person, on the standard error: with the priority that the journal reads (`<3>`), or on a
//! terminal with a word.

use std::fmt;
use std::io::{self, IsTerminal, Write};

/// How much a line matters, as syslog numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// Something failed.
    Error = 3,
    /// Something is not as it should be.
    Warning = 4,
    /// For information.
    Info = 6,
}

/// Writes a line.
pub fn write(priority: Priority, text: fmt::Arguments<'_>) {
    let mut stderr = io::stderr().lock();
    // The journal takes each line by itself.
    for line in text.to_string().lines() {
        // There is nobody left to tell of a failure.
        let _ = if stderr.is_terminal() {
            let word = match priority {
                Priority::Error => "error: ",
                Priority::Warning => "warning: ",
                Priority::Info => "",
            };
            writeln!(stderr, "{word}{line}")
        } else {
            writeln!(stderr, "<{}>{line}", priority as u8)
        };
    }
}

/// Something failed.
macro_rules! error {
    ($($text:tt)*) => { $crate::log::write($crate::log::Priority::Error, format_args!($($text)*)) };
}

/// Something is not as it should be.
macro_rules! warning {
    ($($text:tt)*) => { $crate::log::write($crate::log::Priority::Warning, format_args!($($text)*)) };
}

/// For information.
macro_rules! info {
    ($($text:tt)*) => { $crate::log::write($crate::log::Priority::Info, format_args!($($text)*)) };
}

pub(crate) use {error, info, warning};
