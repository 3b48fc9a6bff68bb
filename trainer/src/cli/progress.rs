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

/// A sign that something long is under way.
pub fn waiting(what: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    bar.set_message(what.to_string());
    bar.enable_steady_tick(std::time::Duration::from_millis(120));
    bar
}
