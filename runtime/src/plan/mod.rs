//! The compiled model, read in place from flash.
//!
//! The byte tables stand in `docs/plan-format.md`. [`Model::new`] checks everything once; its accessors and everything
//! behind them cannot fail. [`Header::parse`] works in `const` context, so that arena sizes are types.

mod check;
#[cfg(any(test, feature = "std"))]
pub mod file;
mod format;
mod header;
mod lines;
#[cfg(test)]
mod mat_mul_tests;
mod model;
mod params;
mod record;
#[cfg(test)]
mod residual_tests;
mod rows;
#[cfg(test)]
mod tests;
mod variants;
mod words;
#[cfg(any(test, feature = "encode"))]
mod write;

pub use crate::bytes::{Aligned, PlanBytes};
pub use check::arena_range;
pub use header::{HEADER_LEN, Header, OpSet, Target, VERSION};
pub use lines::{Group, MAX_GROUP};
pub use model::{AnyModel, LoadError, Model, OUTPUTS_PER_SLICE, Ops, StaticModel};
pub use record::{
    Location, MatrixOrder, NONE, OP_RECORD_LEN, OpKind, OpRecord, VALUE_RECORD_LEN, ValueRecord,
};
pub use rows::Rows;
pub(crate) use rows::{Band, Order};
pub(crate) use words::{OpWords, ValueWords};
#[cfg(any(test, feature = "encode"))]
pub use write::{PlanWriter, WriteError};

/// Every offset into a plan that is read as wider words, and the plan itself, is a multiple of this.
pub const ALIGNMENT: usize = 16;

/// Embeds a plan and declares a type for it.
///
/// `include_model!(pub Digits, "digits.teff")` declares `struct Digits` with `Digits::ARENA_BYTES` and `Digits::OPS`,
/// read from the plan's header while compiling. The path is relative to the file, as for `include_bytes!`. A file that
/// is not a plan of this version does not compile.
#[macro_export]
macro_rules! include_model {
    ($(#[$attribute:meta])* $visibility:vis $name:ident, $path:expr $(,)?) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug)]
        $visibility struct $name;

        impl $name {
            /// Size of the arena that the model needs, in bytes.
            $visibility const ARENA_BYTES: usize = <$name as $crate::StaticModel>::HEADER.arena_bytes as usize;
            /// The operators of the model; no other operator is linked.
            $visibility const OPS: $crate::OpSet = <$name as $crate::StaticModel>::HEADER.ops;
        }

        impl $crate::StaticModel for $name {
            const PLAN: $crate::plan::PlanBytes<'static> = {
                static PLAN: &$crate::plan::Aligned<[u8]> = &$crate::plan::Aligned(*include_bytes!($path));
                $crate::plan::PlanBytes::of(PLAN)
            };
        }

        // The full check of the plan, while the program is compiled.
        #[allow(long_running_const_eval)]
        const _: () = {
            _ = <$name as $crate::StaticModel>::MODEL;
        };
    };
}
