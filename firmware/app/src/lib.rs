//! From sensor to decision: the loop that every board runs, and that a host runs on recordings.
//!
//! ```text
//! interrupt: Sensor ─> Watched ─> Intake ─┐ queue         task: Outlet ─> Pipeline ─> Outputs
//!            (errors, gaps, stuck, …)     (overruns are counted)  (front end, session, decision)
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`sensor`] | what a sensor is; drivers over `embedded-hal`, blocking and asynchronous; a recorded one; simulated chips |
//! | [`health`] | whether a sensor works: errors, gaps, stuck and saturated signals; retries |
//! | [`queue`] | from interrupt to task without a lock |
//! | [`needs`] | what a model needs of its sensor |
//! | [`decision`] | from scores to events: smoothing, threshold, hysteresis, refractory time |
//! | [`anomaly`] | the same for models that say how unusual a signal is |
//! | [`pipeline`] | front end, session and decision of a model together |
//! | [`output`] | what events set off: a callback, a pin |
//! | `telemetry` | frames for `trainer record` and `trainer monitor`, with the feature `link` |
//!
//! No executor is presumed: an interrupt handler calls [`health::Watched::poll`], and whatever runs
//! the task calls the pipeline. With the feature `defmt` events are logged, and what is missing.
#![no_std]
#![deny(missing_docs)]

#[cfg(test)]
extern crate std;

pub mod anomaly;
pub mod decision;
pub mod health;
pub mod needs;
pub mod output;
pub mod pipeline;
pub mod queue;
pub mod sensor;
#[cfg(feature = "link")]
pub mod telemetry;
