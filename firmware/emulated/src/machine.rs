//! The machines that the emulator imitates, as far as programs need to know them.

/// A machine of the emulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// Arm MPS2 with the FPGA images AN385 or AN386: Cortex-M3, M4.
    Mps2,
    /// Arm MPS2 with AN500: Cortex-M7.
    Mps2An500,
    /// Arm MPS2 with AN505: Cortex-M33, started in its secure state.
    Mps2An505,
    /// Arm MPS3 with AN547: Cortex-M55, started in its secure state.
    Mps3An547,
    /// BBC micro:bit: nRF51822.
    Microbit,
}

impl Machine {
    /// Frequency of the core's timer.
    pub const fn timer_hz(self) -> u32 {
        match self {
            Machine::Mps2 | Machine::Mps2An500 => 25_000_000,
            Machine::Mps2An505 => 20_000_000,
            Machine::Mps3An547 => 32_000_000,
            Machine::Microbit => 16_000_000,
        }
    }

    /// Where the emulator puts a job before the start, and how much room there is: memory that no
    /// linker script of these boards hands out. None on the micro:bit.
    pub(crate) const fn job(self) -> (usize, usize) {
        match self {
            // PSRAM.
            Machine::Mps2 => (0x2100_0000, 16 << 20),
            Machine::Mps2An500 => (0x6000_0000, 16 << 20),
            Machine::Mps2An505 => (0x8000_0000, 16 << 20),
            // The first part of the DDR4 memory.
            Machine::Mps3An547 => (0x6000_0000, 16 << 20),
            Machine::Microbit => (0x2000_0000, 0),
        }
    }

    /// Where the first UART has its registers.
    pub(crate) const fn uart(self) -> usize {
        match self {
            Machine::Mps2 | Machine::Mps2An500 => 0x4000_4000,
            // At their secure addresses.
            Machine::Mps2An505 => 0x5020_0000,
            Machine::Mps3An547 => 0x5930_3000,
            // Of another make: no program uses it.
            Machine::Microbit => 0x4000_2000,
        }
    }
}
