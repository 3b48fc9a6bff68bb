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
        let (outputs, regions) = ask(board, Kind::FrontEndCosts, blob, samples)?;
        let [frames, float_frames, input, float_input] = outputs.as_slice() else {
            bail!("board {} answered with {} of 4 outputs", board.name, outputs.len());
        };
        let (pairs, rest) = regions.as_chunks::<2>();
        if pairs.is_empty() || !rest.is_empty() {
            bail!("the counter wrote {} regions, not two for each frame", regions.len());
        }
        Ok(FrontEndCosts {
            integer: pairs.iter().map(|[integer, _]| *integer).collect(),
            float: pairs.iter().map(|[_, float]| *float).collect(),
            frames: features(frames),
            float_frames: float_frames.as_chunks().0.iter().map(|word| f32::from_le_bytes(*word)).collect(),
            input: signed(input),
            float_input: signed(float_input),
        })
    }
}

/// Costs of the hops of a front end that takes an instant at a time, as applications do; the first frame of the stream is not
/// among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HopCosts {
    /// What each hop took, its samples and its frame.
    pub hops: Vec<Count>,
    /// What writing the model input of the newest window took.
    pub input: Count,
    /// Features of all counted hops.
    pub frames: Vec<i16>,
    /// The model input of the newest window.
    pub window: Vec<i8>,
}

impl HopCosts {
    /// Streams `samples` through the front end of `blob`, of frames with `features` features, on the board.
    ///
    /// # Errors
    /// As of [`FrontEndCosts::count`].
    pub fn count(board: &'static Board, blob: &[u8], features: usize, samples: &[i16]) -> Result<HopCosts> {
        let (outputs, regions) = ask(board, Kind::Hops, blob, samples)?;
        let [frames, window] = outputs.as_slice() else {
            bail!("board {} answered with {} of 2 outputs", board.name, outputs.len());
        };
        let frames = self::features(frames);
        // A hop that was begun and not completed may stand between.
        let (hops, rest) = regions.split_at_checked(frames.len() / features.max(1)).with_context(|| {
            format!("the counter wrote {} regions, fewer than there are hops", regions.len())
        })?;
        let input = *rest.last().context("the counter wrote no region for the model input")?;
        Ok(HopCosts { hops: hops.to_vec(), input, frames, window: signed(window) })
    }
}

/// Outputs of the program `front_end`, and what ran between its marks.
fn ask(
    board: &'static Board,
    kind: Kind,
    blob: &[u8],
    samples: &[i16],
) -> Result<(Vec<Vec<u8>>, Vec<Count>)> {
    let emulator = Emulator::find(board)?;
    let program = Firmware { board, program: "front_end", link: Link::None }.build()?;
    let case = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let job = job::encode(kind, blob, &[case]);
    let (run, regions) = count(&emulator, board, &program, Some(&job))?;
    let mut results = device::answers(board, &run)?;
    let result = results.pop().context("the board answered no case")?;
    Ok((result.outputs, regions))
}

fn features(bytes: &[u8]) -> Vec<i16> {
    bytes.as_chunks().0.iter().map(|pair| i16::from_le_bytes(*pair)).collect()
}

fn signed(bytes: &[u8]) -> Vec<i8> {
    bytes.iter().map(|byte| *byte as i8).collect()
}
