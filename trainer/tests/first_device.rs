//! `docs/first-device.md`: its commands run in an empty folder, and give what the page shows. `…` stands for anything,
//! and a line that is `…` alone for any lines.

use std::fs;
use std::path::Path;
use std::process::Command;

use teff_board::Board;
use teff_trainer::test_data::skip;

/// A block between fences.
#[derive(Debug)]
struct Block {
    kind: String,
    text: String,
    line: usize,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut inside = false;
    for (number, line) in page.lines().enumerate() {
        match (line.strip_prefix("```"), inside) {
            (Some(kind), false) => {
                blocks.push(Block { kind: kind.to_string(), text: String::new(), line: number + 2 });
                inside = true;
            }
            (Some(_), true) => inside = false,
            (None, true) => {
                let text = &mut blocks.last_mut().unwrap().text;
                text.push_str(line);
                text.push('\n');
            }
            (None, false) => {}
        }
    }
    assert!(!inside, "the page's last block has no end");
    blocks
}

/// Whether a line is what the page shows.
fn fits(shown: &str, found: &str) -> bool {
    let mut pieces = shown.trim().split('…');
    let found = found.trim();
    let Some(rest) = found.strip_prefix(pieces.next().unwrap_or("").trim_end()) else { return false };
    let mut rest = rest;
    let mut last_was_open = false;
    for piece in pieces {
        let piece = piece.trim();
        last_was_open = piece.is_empty();
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    last_was_open || rest.is_empty() || shown.trim_end().ends_with('…')
}

/// Compares all lines; a shown `…` takes as few found ones as it can.
fn compare(shown: &[&str], found: &[&str]) -> bool {
    match (shown.split_first(), found.split_first()) {
        (None, None) => true,
        (Some((&"…", rest)), _) => (0..=found.len()).any(|skipped| compare(rest, &found[skipped..])),
        (Some((first, rest)), Some((line, lines))) => fits(first, line) && compare(rest, lines),
        _ => false,
    }
}

#[test]
fn the_page_of_the_first_device_is_true() {
    let test = "the_page_of_the_first_device_is_true";
    if let Err(error) = Board::find("mps2-an386").unwrap().ready() {
        return skip(test, &format!("{error:#}"));
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/first-device.md");
    let blocks = blocks(&fs::read_to_string(page).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let trainer = Path::new(env!("CARGO_BIN_EXE_trainer"));
    let path = std::env::join_paths(
        std::iter::once(trainer.parent().unwrap().to_path_buf())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    );
    let path = path.unwrap();
    let mut output: Option<String> = None;
    let (mut commands, mut compared) = (0, 0);
    for block in &blocks {
        match block.kind.as_str() {
            "toml" => {
                let name = block.text.lines().next().unwrap().strip_prefix("# ").unwrap();
                fs::write(folder.path().join(name), &block.text).unwrap();
            }
            "sh" => {
                let result = Command::new("sh")
                    .args(["-e", "-c", &block.text])
                    .current_dir(folder.path())
                    .env("PATH", &path)
                    .output()
                    .unwrap();
                let said = String::from_utf8_lossy(&result.stderr);
                assert!(result.status.success(), "line {}:\n{}{said}", block.line, block.text);
                output = Some(String::from_utf8(result.stdout).unwrap());
                commands += 1;
            }
            "text" => {
                let found = output.take().expect("commands stand before what they write");
                let shown: Vec<&str> = block.text.lines().collect();
                let said: Vec<&str> = found.lines().collect();
                assert!(
                    compare(&shown, &said),
                    "line {}: the page shows\n{}and found was\n{found}",
                    block.line,
                    block.text
                );
                compared += 1;
            }
            kind => panic!("line {}: a block of kind `{kind}`", block.line),
        }
    }
    assert!(commands >= 6 && compared >= 5, "{commands} blocks of commands, {compared} compared");
}

#[test]
fn comparing_can_fail() {
    assert!(fits("a … c", "a bb c") && fits("… %", "12 %") && fits("x …", "x") && fits("a", " a "));
    assert!(!fits("a … c", "a bb d") && !fits("a", "a b") && !fits("… %", "12") && !fits("a … c", "a b c d"));
    assert!(compare(&["a", "…", "b"], &["a", "x", "y", "b"]) && compare(&["…"], &[]));
    assert!(
        !compare(&["a", "b"], &["a"])
            && !compare(&["a"], &["a", "b"])
            && !compare(&["a", "…", "b"], &["a", "c"])
    );
}
