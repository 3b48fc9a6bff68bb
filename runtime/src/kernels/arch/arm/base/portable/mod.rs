//! The inner loops in Rust, for the tests of a host: the same words and the same sums as the assembly's.

mod conv_2d;
mod depthwise_conv_2d;
mod fully_connected;
mod windows;
mod winograd;

pub(super) use conv_2d::{multiply, pack};
pub(super) use depthwise_conv_2d::{along_row, along_row_apart, at_taps};
pub(super) use fully_connected::multiply_vector;
pub(super) use windows::maxima;
pub(super) use winograd::{finish, sums, transform};
