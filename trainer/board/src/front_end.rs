//! What the frames of a front end cost on an emulated board, beside the same computation in floating point.

use anyhow::{Context, Result, bail};

use crate::job::{self, Kind};
use crate::plugin::Count;
use crate::profile::count;
use crate::{Board, Emulator, Firmware, Link, device};

/// Costs of some frames, and what was computed in them. The first frame of the stream is not among them.
#[derive(Clone, Debug, PartialEq)]
pub struct FrontEndCosts {
    /// What each frame of the integer front end took.
    pub integer: Vec<Count>,
    /// What each frame in floating point took.
    pub float: Vec<Count>,
    /// Features of all counted frames.
    pub frames: Vec<i16>,
    /// The same in floating point: logarithms to base 2, their cosine transform, or counts.
    pub float_frames: Vec<f32>,
    /// The model input of the newest window.
    pub input: Vec<i8>,
    /// The same by the front end in floating point.
    pub float_input: Vec<i8>,
}

impl FrontEndCosts {
    /// Streams `samples` through the front end of `blob` on the board: a frame first that is not counted, then a hop at a
    /// time.
    ///
    /// # Errors
    /// The program `front_end` does not build, the board refuses the blob or does not answer, or the emulator takes no
    /// plugin.
    pub fn count(board: &'static Board, blob: &[u8], samples: &[i16]) -> Result<FrontEndCosts> {
        let emulator = Emulator::find(board)?;
        let program = Firmware { board, program: "front_end", link: Link::None }.build()?;
        let case = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let job = job::encode(Kind::FrontEndCosts, blob, &[case]);
        let (run, regions) = count(&emulator, board, &program, Some(&job))?;
        let mut results = device::answers(board, &run)?;
        let result = results.pop().context("the board answered no case")?;
        let [frames, float_frames, input, float_input] = result.outputs.as_slice() else {
            bail!("board {} answered with {} of 4 outputs", board.name, result.outputs.len());
        };
        let (pairs, rest) = regions.as_chunks::<2>();
        if pairs.is_empty() || !rest.is_empty() {
            bail!("the counter wrote {} regions, not two for each frame", regions.len());
        }
        let signed = |bytes: &[u8]| bytes.iter().map(|byte| *byte as i8).collect();
        Ok(FrontEndCosts {
            integer: pairs.iter().map(|[integer, _]| *integer).collect(),
            float: pairs.iter().map(|[_, float]| *float).collect(),
            frames: frames.as_chunks().0.iter().map(|pair| i16::from_le_bytes(*pair)).collect(),
            float_frames: float_frames.as_chunks().0.iter().map(|word| f32::from_le_bytes(*word)).collect(),
            input: signed(input),
            float_input: signed(float_input),
        })
    }
}
