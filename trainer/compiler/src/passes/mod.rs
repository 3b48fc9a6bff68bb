//! Changes to a graph that keep what it computes. One file each.

mod remove_dead;

pub use remove_dead::remove_dead;
