//! The inner loops in Rust, for the tests of a host: the same words and the same sums as the assembly's.

mod averages;
mod conv_2d;
mod depthwise_conv_2d;
mod elementwise;
mod fully_connected;
mod mat_mul;
mod windows;
mod winograd;

pub(super) use averages::averages;
pub(super) use conv_2d::{multiply, pack};
pub(super) use depthwise_conv_2d::{along_row, along_row_apart, at_taps};
pub(super) use elementwise::{look_up, products, sums};
pub(super) use fully_connected::multiply_vector;
pub(super) use mat_mul::multiply_columns;
pub(super) use windows::maxima;
pub(super) use winograd::{finish, tile_sums, transform};
