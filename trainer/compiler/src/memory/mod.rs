//! Where each value lies in the arena.

mod planner;

pub use planner::{Buffer, MemoryPlan, Overlap, plan, plan_wide};
