//! Keywords from a microphone at the other end of the serial line; what it does stands in the library.
#![no_std]
#![no_main]

use board as _;
