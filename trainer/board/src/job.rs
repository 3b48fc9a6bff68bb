//! What the `verify` program of a board is given: one block of bytes in its memory, little-endian.
//!
//! | byte | what |
//! |---|---|
//! | 0 | `TJOB` |
//! | 4 | version, 1 |
//! | 8 | kind: 1 inference, 2 front end, 3 profile of an inference, 4 checksums, 5 costs of a front end, 6 its hops |
//! | 12 | number of cases |
//! | 16 | offset of the plan (inference) or of the front-end blob, a multiple of 16 |
//! | 20 | its length |
//! | 24 | offset of the cases, a multiple of 16 |
//! | 28 | length of the whole job |
//!
//! A case begins with its length in bytes, as a word; its bytes follow, and zeros up to the next
//! multiple of 4. For an inference they are the model's inputs, one after the other; for the
//! front end they are samples, 16 bits each.
//!
//! The program answers in lines: for each case `case N`, then `output K HEX` in as many lines as an
//! output needs, then `instructions I`; at last `done`, or `error WHY`. The front end's output 0 is
//! the features of all frames, 16 bits each, and its output 1 the model inputs of all windows. A
//! profile answers three cases, without instructions (the emulator's plugin counts them): the one it
//! was given in one piece, operator by operator (with `region K` for each piece that operator `K` is
//! counted in), and slice by slice; then `stack BYTES`. A case of checksums is a seed and a number of
//! inferences, a word each; its output 0 has the checksum of each ([`crate::numbers`]), a word each. Every
//! second inference runs in steps, of budgets that the board draws.
//!
//! Costs of a front end are answered by the program `front_end`. Its one case is samples. The output 0 is the features of
//! all frames behind the first, output 1 the same in floating point, 32 bits each; outputs 2 and 3 are the model input of the newest
//! window, quantized by the integer front end and by the one in floating point.
//!
//! Hops of a front end are answered by the same program, of samples too: output 0 is the features of all frames behind the first,
//! output 1 the model input of the newest window. It takes an instant at a time, as applications do.

/// What a job asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Run the plan on each case.
    Inference = 1,
    /// Compute the features of each case.
    FrontEnd = 2,
    /// Count what one case costs: as a whole, by operator, by slice.
    Profile = 3,
    /// Run the plan on inputs that the board draws, and give a checksum of the outputs of each.
    Checksums = 4,
    /// Count what the frames of a front end cost, and the same computation in floating point.
    FrontEndCosts = 5,
    /// Count what the hops of a front end cost that is given an instant at a time, and what writing the model input does.
    Hops = 6,
}

const HEADER_BYTES: usize = 32;

/// Writes a job: `body` is a plan or a front-end blob.
pub fn encode(kind: Kind, body: &[u8], cases: &[Vec<u8>]) -> Vec<u8> {
    let body_at = HEADER_BYTES;
    let cases_at = (body_at + body.len()).next_multiple_of(16);
    let mut job = vec![0u8; HEADER_BYTES];
    job.extend_from_slice(body);
    job.resize(cases_at, 0);
    for case in cases {
        job.extend_from_slice(&word(case.len()));
        job.extend_from_slice(case);
        job.resize(job.len().next_multiple_of(4), 0);
    }
    let header = [
        *b"TJOB",
        word(1),
        word(kind as usize),
        word(cases.len()),
        word(body_at),
        word(body.len()),
        word(cases_at),
        word(job.len()),
    ];
    for (place, value) in job.chunks_exact_mut(4).zip(header) {
        place.copy_from_slice(&value);
    }
    job
}

/// Offsets and counts of a job are 32 bits; a job is far smaller than that, because the emulator
/// refuses what does not fit the board.
fn word(value: usize) -> [u8; 4] {
    u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_has_its_parts_where_the_table_says() {
        let job = encode(Kind::Inference, &[7; 20], &[vec![1, 2, 3], vec![4]]);
        let at = |byte: usize| {
            u32::from_le_bytes([job[byte], job[byte + 1], job[byte + 2], job[byte + 3]]) as usize
        };
        assert_eq!(&job[..4], b"TJOB");
        assert_eq!((at(8), at(12), at(16), at(20), at(24), at(28)), (1, 2, 32, 20, 64, job.len()));
        assert_eq!(&job[32..52], &[7; 20]);
        assert_eq!(&job[64..], &[3, 0, 0, 0, 1, 2, 3, 0, 1, 0, 0, 0, 4, 0, 0, 0]);
    }
}
