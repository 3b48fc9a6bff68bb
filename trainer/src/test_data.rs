//! Where tests find real data sets, and how they say that they do not.
//!
//! The sets live outside the repository: in the folder that the environment variable `TEFF_SHARED` names, or in
//! `shared` beside the root of the workspace. A test that needs one calls [`find`] with its own name and returns when
//! there is nothing; `find` then writes the line
//!
//! ```text
//! SKIPPED <test name>: <reason>
//! ```
//!
//! to the standard output. `cargo xtask test` runs the harness with `--show-output`, reads these lines, and counts the
//! test as skipped, not as passed. Whatever else a test may lack (an emulator, ONNX Runtime) is told by [`skip`].

use std::path::PathBuf;

/// The file or folder `path` of the shared data, such as `data/fashion-mnist`; nothing, and a `SKIPPED` line, when it
/// is not there.
pub fn find(test: &str, path: &str) -> Option<PathBuf> {
    let Some(shared) = shared_folder() else {
        skip(test, "no shared data; set TEFF_SHARED to its folder");
        return None;
    };
    let found = shared.join(path);
    if !found.exists() {
        skip(test, &format!("the shared data has no `{path}`"));
        return None;
    }
    Some(found)
}

/// Says that a test is skipped, and why.
pub fn skip(test: &str, reason: &str) {
    println!("SKIPPED {test}: {reason}");
}

/// The folder of `TEFF_SHARED`, else `shared` beside the folder that holds the workspace's `Cargo.lock`.
fn shared_folder() -> Option<PathBuf> {
    if let Some(given) = std::env::var_os("TEFF_SHARED") {
        return Some(PathBuf::from(given)).filter(|folder| folder.is_dir());
    }
    let here = std::env::current_dir().ok()?;
    let root = here.ancestors().find(|folder| folder.join("Cargo.lock").is_file())?;
    Some(root.parent()?.join("shared")).filter(|folder| folder.is_dir())
}
