//! Counting tests: what passed, what failed, what was skipped.
//!
//! A test that cannot run here prints a line that begins with `SKIPPED `; the test harness calls it
//! passed, so its output is read, and it is counted as skipped.

use std::fmt;

/// Counts of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tests that did what they promise.
    pub passed: usize,
    /// Tests that did not, and steps that could not be done.
    pub failed: usize,
    /// Tests that could not be run here.
    pub skipped: usize,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

impl Tally {
    /// Counts one step that is no test of the harness.
    pub fn count(&mut self, passed: bool) {
        if passed {
            self.passed += 1;
        } else {
            self.failed += 1;
        }
    }

    /// Adds the counts of another run.
    pub fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// What a reader of the run should do with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// Print it.
    Yes,
    /// It is the output of a test that passed.
    No,
}

/// Reads the output of `cargo test -- --show-output` line by line.
#[derive(Debug, Default)]
pub struct Reader {
    tally: Tally,
    /// Tests that the harness calls passed and that said `SKIPPED`.
    said_skipped: usize,
    /// Within the output of tests that passed.
    in_successes: bool,
    /// This test was already counted as skipped.
    counted: bool,
}

impl Reader {
    /// Takes one line.
    pub fn line(&mut self, line: &str) -> Show {
        if line.starts_with("test result: ") {
            self.in_successes = false;
            self.tally.passed += number_before(line, " passed");
            self.tally.failed += number_before(line, " failed");
            self.tally.skipped += number_before(line, " ignored");
            return Show::Yes;
        }
        if line == "successes:" {
            self.in_successes = true;
            return Show::No;
        }
        if line == "failures:" {
            self.in_successes = false;
        }
        if line.starts_with("---- ") && line.ends_with(" ----") {
            self.counted = false;
        }
        if line.starts_with("SKIPPED ") && self.in_successes {
            if !self.counted {
                self.counted = true;
                self.said_skipped += 1;
            }
            return Show::Yes;
        }
        if self.in_successes { Show::No } else { Show::Yes }
    }

    /// The counts, after the last line. `success` is how the harness itself ended: a build that
    /// failed has no test to blame, and counts as one failure.
    pub fn finish(self, success: bool) -> Tally {
        let mut tally = self.tally;
        tally.passed = tally.passed.saturating_sub(self.said_skipped);
        tally.skipped += self.said_skipped;
        if !success && tally.failed == 0 {
            tally.failed = 1;
        }
        tally
    }
}

/// The number that ends right before `word`, or 0.
fn number_before(line: &str, word: &str) -> usize {
    let Some(at) = line.find(word) else { return 0 };
    let before = &line[..at];
    let digits = before.len() - before.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    before[before.len() - digits..].parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(text: &str, success: bool) -> Tally {
        let mut reader = Reader::default();
        for line in text.lines() {
            reader.line(line);
        }
        reader.finish(success)
    }

    #[test]
    fn summaries_are_added_up() {
        let text = "test result: ok. 7 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n\
                    test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured\n";
        assert_eq!(tally(text, false), Tally { passed: 9, failed: 1, skipped: 1 });
    }

    #[test]
    fn a_test_that_says_skipped_did_not_pass() {
        let text = "successes:\n\n---- a stdout ----\nSKIPPED no data set\nSKIPPED more\n\n\
                    ---- b stdout ----\nfine\n\nsuccesses:\n    a\n    b\n\n\
                    test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(tally(text, true), Tally { passed: 2, failed: 0, skipped: 1 });
    }

    #[test]
    fn a_failed_build_is_a_failure() {
        assert_eq!(tally("", false), Tally { passed: 0, failed: 1, skipped: 0 });
    }
}
