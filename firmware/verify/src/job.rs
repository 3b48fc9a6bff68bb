//! The job as it lies in memory.

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Outputs of inferences.
    Inference,
    /// Features of recordings.
    FrontEnd,
    /// What an inference costs.
    Profile,
    /// Checksums of outputs.
    Checksums,
    /// What the frames of a front end cost, beside the same in floating point.
    FrontEndCosts,
    /// What the hops of a front end cost, an instant at a time.
    Hops,
}

/// A job whose parts lie within its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// What is asked.
    pub question: Question,
    /// A plan or a front-end blob.
    pub body: &'a [u8],
    n_cases: usize,
    cases: &'a [u8],
}

impl<'a> Job<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// The reason, meant for people.
    pub fn read(bytes: &'a [u8]) -> Result<Job<'a>, &'static str> {
        if !bytes.starts_with(b"TJOB") {
            return Err("there is no job in memory");
        }
        let field = |at| word(bytes, at).ok_or("the job is cut short");
        if field(4)? != 1 {
            return Err("the job has a version that this program does not read");
        }
        let question = match field(8)? {
            1 => Question::Inference,
            2 => Question::FrontEnd,
            3 => Question::Profile,
            4 => Question::Checksums,
            5 => Question::FrontEndCosts,
            6 => Question::Hops,
            _ => return Err("the job asks for something that this program does not know"),
        };
        let (body, body_len, cases, end) = (field(16)?, field(20)?, field(24)?, field(28)?);
        let outside = "a part of the job lies outside of it";
        Ok(Job {
            question,
            body: body.checked_add(body_len).and_then(|body_end| bytes.get(body..body_end)).ok_or(outside)?,
            n_cases: field(12)?,
            cases: bytes.get(cases..end).ok_or(outside)?,
        })
    }

    /// The bytes of each case.
    pub fn cases(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = self.cases;
        (0..self.n_cases).map_while(move |_| {
            let len = word(rest, 0)?;
            let case = rest.get(4..len.checked_add(4)?)?;
            rest = rest.get((len + 4).next_multiple_of(4)..).unwrap_or(&[]);
            Some(case)
        })
    }
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    usize::try_from(u32::from_le_bytes(*bytes)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;
    use teff_board::job::{Kind, encode};

    #[test]
    fn what_the_host_writes_is_read() {
        let bytes = encode(Kind::FrontEnd, &[9; 17], &[vec![1, 2, 3], vec![], vec![4; 8]]);
        let job = Job::read(&bytes).unwrap();
        assert_eq!((job.question, job.body), (Question::FrontEnd, &[9; 17][..]));
        let cases: Vec<&[u8]> = job.cases().collect();
        assert_eq!(cases, [&[1, 2, 3][..], &[], &[4; 8]]);
    }

    #[test]
    fn parts_outside_of_the_job_are_refused() {
        let bytes = encode(Kind::Inference, &[9; 17], &[vec![1, 2, 3]]);
        for len in 0..bytes.len() {
            assert!(Job::read(&bytes[..len]).is_err(), "{len}");
        }
        for at in [16, 20, 24, 28] {
            let mut bytes = bytes.clone();
            bytes[at + 3] = 0xff;
            assert!(Job::read(&bytes).is_err(), "{at}");
        }
    }
}
