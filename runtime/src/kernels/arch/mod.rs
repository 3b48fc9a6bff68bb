//! Kernel sets for instruction sets. The only place beside `bytes.rs` where `unsafe` is allowed: each block says what
//! it relies on.

pub mod arm;
