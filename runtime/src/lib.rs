//! Teff runs small quantized networks on small processors: `no_std`, no allocator, no dependency.
//!
//! Layers, lowest first; a module uses only modules above it:
//!
//! | module | what |
//! |---|---|
//! | [`quant`] | quantization arithmetic: the only rounding code of the project |
//! | [`shape`] | extents and memory layouts of values |
//! | [`kernels`] | one function per operator: a naive reference, a portable fast set, one set per instruction set |
//! | [`plan`] | the compiled model: reader, full check, and (feature `encode`) writer |
//! | [`session`] | runs a plan in a fixed arena, at once or in slices |
//! | [`dsp`] | integer signal features, streaming |
//!
//! # Use
//!
//! ```text
//! teff::include_model!(Digits, "digits.teff");
//! let mut arena = teff::Arena::<{ Digits::ARENA_BYTES }>::new();
//! let mut net = teff::Session::<Digits>::new(&mut arena)?;
//! net.input_mut(0).copy_from_slice(&features);
//! net.invoke();
//! let best = net.output(0).argmax();
//! ```
//!
//! A plan that arrives at run time is opened by [`Model::new`], with every operator linked.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `std` | plans from files; implies `encode` |
//! | `encode` | the plan writer (needs an allocator; for the compiler) |
//! | `defmt` | `defmt::Format` for errors and progress |
//! | `kernel-suite` | the kernel test suite as a library, to run it on a board |
#![no_std]
#![deny(missing_docs)]
#![deny(unsafe_code)]

#[cfg(any(test, feature = "encode"))]
extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

#[cfg(target_endian = "big")]
compile_error!("teff reads little-endian plans in place; big-endian processors are not supported");

mod bytes;

pub mod arena;
pub mod dsp;
pub mod kernels;
pub mod plan;
pub mod quant;
pub mod session;
pub mod shape;

pub use arena::Arena;
#[cfg(any(test, feature = "std"))]
pub use plan::file::{ModelFile, OpenError};
pub use plan::{AnyModel, LoadError, Model, OpSet, StaticModel};
pub use session::{Output, Progress, STACK_BYTES, Session};
