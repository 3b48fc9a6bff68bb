//! From sensor to decision: the loop that every board runs, and that a host runs on recordings.
//!
//! ```text
//! interrupt: Sensor ─> Intake ─┐ queue            task: Outlet ─> Pipeline ─> Event
//!            (overruns are counted)                     (front end, session, decision)
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`sensor`] | what a sensor is; drivers over `embedded-hal`; a recorded one; a simulated chip |
//! | [`queue`] | from interrupt to task without a lock |
//! | [`decision`] | from scores to events: smoothing, threshold, hysteresis, refractory time |
//! | [`pipeline`] | front end, session and decision of a model together |
//!
//! No executor is presumed: an interrupt handler calls [`queue::Intake::push`], and whatever runs
//! the task calls the pipeline. With the feature `defmt` the pipeline logs events and what it missed.
#![no_std]
#![deny(missing_docs)]

#[cfg(test)]
extern crate std;

pub mod decision;
pub mod health;
pub mod pipeline;
pub mod queue;
pub mod sensor;
