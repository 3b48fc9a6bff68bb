//! The front end: from sensor samples to the int8 input of a model, in integers.
//!
//! A front end is a *blob* (settings and tables, made on the host by `teff-compiler`, kept in flash and read in place)
//! and a workspace that the caller owns. Samples of 16 bits are pushed in pieces of any size; each completed hop costs
//! the work of one frame; the feature window is written into the model input when the model is to run. The trainer
//! computes its features with this code, so that training and device cannot differ.
//!
//! Each stage has a file: [`FrontEnd`] puts them together. Formulas, Q formats, rounding and error bounds stand in
//! `docs/front-end.md`.
//!
//! ```no_run
//! # fn microphone(_: &mut [i16]) {}
//! # static BLOB: [u8; 64] = [0; 64];
//! use teff::dsp::FrontEnd;
//!
//! let mut workspace = [0_u32; 2048]; // or [0; SETTINGS.workspace_words()], which is `const`
//! let mut front_end = FrontEnd::new(&BLOB, &mut workspace)?;
//! let mut input = [0_i8; 40 * 49]; // the model's input
//! let mut chunk = [0_i16; 64];
//! loop {
//!     microphone(&mut chunk);
//!     let mut samples = &chunk[..];
//!     while let Some(hop) = front_end.push(&mut samples) {
//!         if hop.ready && front_end.write_input(&mut input) {
//!             // run the model
//!         }
//!     }
//! #   break;
//! }
//! # Ok::<(), teff::dsp::FrontEndError>(())
//! ```

mod biquad;
mod blob_error;
mod conditioner;
mod dc;
mod dct;
mod exp;
mod features;
mod framer;
mod front_end;
mod kinds;
mod layout;
mod load;
mod log;
mod mel;
mod moments;
#[cfg(not(any(teff_dsp, teff_mve)))]
mod passes;
mod pcen;
mod peaks;
mod points;
mod pre_emphasis;
mod quantize;
mod resample;
mod rfft;
mod settings;
pub mod stages;
mod stats;
mod taper;
mod window;

pub use blob_error::BlobError;
pub use exp::exp2_q16;
pub use front_end::{FrontEnd, FrontEndError, Hop};
pub use kinds::{
    CEPSTRUM_FRAC_BITS, Compression, Kind, LOG_FRAC_BITS, Level, MAX_PEAKS, MAX_SECTIONS, MOMENT_FRAC_BITS,
    PCEN_FRAC_BITS, PEAK_FRAC_BITS, PIXEL_FRAC_BITS, Stat,
};
pub use layout::TableOffsets;
pub use log::log2_q16;
pub use rfft::{PowerSpectrum, first_quarter, is_supported_len, power_spectrum, twiddle_words};
pub use settings::{
    Conditioning, HEADER_BYTES, MAGIC, MAX_RESAMPLING_FACTORS, MAX_WINDOW_FEATURES, PcenSettings, Settings,
    VERSION,
};
