//! The front end, host side: its settings as one line of metadata, and the blob that `teff::dsp` reads.
//!
//! `docs/front-end.md` has the keys of the line and the byte table of the blob.
//!
//! ```
//! use teff_compiler::front_end::{Extractor, FrontEndConfig, build};
//!
//! let line = "kind=log_mel rate_hz=8000 frame_len=256 hop_len=128 bands=32 window=48";
//! let config = FrontEndConfig::parse(line)?;
//! // Training: one recording, as long or short as it is, becomes one tensor [frames, bands, 1].
//! let mut extractor = Extractor::new(&config)?;
//! let features: Vec<f32> = extractor.features(&[0; 4000])?;
//! assert_eq!((extractor.shape(), features.len()), ([48, 32, 1], 48 * 32));
//! // The device: bytes for flash, made for the scale and the zero point of the model's input.
//! let blob: Vec<u8> = build(&config, 0.12, -3)?;
//! # Ok::<(), teff_compiler::Error>(())
//! ```

mod build;
mod check;
mod config;
mod extract;
mod filter_bank;
mod keys;
mod resampling;
mod sections;

pub use build::{build, twiddles};
pub use config::{Align, BandScale, FrontEndConfig, Kind, Taper};
pub use extract::Extractor;
pub use teff::dsp::{Compression, Level, Stat};
