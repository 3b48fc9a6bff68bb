//! Trains small networks and turns them into plans for microcontrollers.
//!
//! The library behind the `trainer` command; see `cli` for the sub-commands.

pub mod anomaly;
pub mod arrays;
pub mod bits;
pub mod cli;
pub mod compare;
pub mod conformance;
pub mod dataset;
pub mod engine;
pub mod error;
pub mod evaluation;
pub mod export;
pub mod features;
pub mod files;
pub mod front_end_costs;
pub mod golden;
pub mod line;
pub mod matrix;
pub mod metrics;
pub mod model_file;
pub mod network;
pub mod plan_report;
pub mod recipe;
pub mod rng;
pub mod run;
pub mod samples;
pub mod synthetic;
pub mod tensor_file;
pub mod test_data;
pub mod trace;
#[cfg(feature = "train")]
pub mod train;
pub mod twister;
pub mod weights;
