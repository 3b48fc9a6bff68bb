//! Where each value lies in the arena.

mod planner;

pub use planner::{Buffer, MemoryPlan, Overlap, Planner, plan, plan_quickly};
