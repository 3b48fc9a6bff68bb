//! The first UART of an emulated board (Arm's CMSDK UART), for sending.

use crate::Machine;
use crate::memory::{UartRegister, read_uart, write_uart};

const TRANSMITTER_FULL: u32 = 1;
const TRANSMITTER_ON: u32 = 1;
/// 115,200 bits a second at 25 MHz. The emulator sends as fast as whoever reads takes it.
const DIVIDER: u32 = 217;

/// The UART, switched on.
#[derive(Debug)]
pub struct Uart {
    machine: Machine,
}

impl Uart {
    /// Switches the transmitter on.
    pub fn open(machine: Machine) -> Uart {
        write_uart(machine, UartRegister::Divider, DIVIDER);
        write_uart(machine, UartRegister::Control, TRANSMITTER_ON);
        Uart { machine }
    }

    /// Sends bytes, and waits where the line is slower.
    pub fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.flush();
            write_uart(self.machine, UartRegister::Data, (*byte).into());
        }
    }

    /// Waits until the last byte has left.
    pub fn flush(&mut self) {
        while read_uart(self.machine, UartRegister::State) & TRANSMITTER_FULL != 0 {}
    }
}
