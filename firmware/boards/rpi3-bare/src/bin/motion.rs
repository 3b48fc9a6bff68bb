//! Activity or machine state from an accelerometer at the other end of the serial line; what it does stands in
//! the library.
#![no_std]
#![no_main]

use board as _;
