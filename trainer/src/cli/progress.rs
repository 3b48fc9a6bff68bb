//! Progress on standard error, while somebody is looking.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar of `len` steps. It is drawn on a terminal only.
pub fn bar(len: usize, what: &str) -> ProgressBar {
    let bar = ProgressBar::new(len as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:32} {pos}/{len} {msg} {eta}") {
        bar.set_style(style);
    }
    bar.set_message(what.to_string());
    bar
}
