//! Text to whoever started the emulator, and the end of the program.

use core::fmt::{self, Write};

use cortex_m_semihosting::debug::{self, EXIT_FAILURE, EXIT_SUCCESS};
use cortex_m_semihosting::hio::{HostStream, hstdout};

/// Collects a line and hands it over as a whole: each call to the host is slow.
pub struct Console {
    host: Option<HostStream>,
    line: heapless::String<256>,
}

impl Console {
    /// Opens the host's standard output. Without a host the text goes nowhere, nor does it when the
    /// frames of defmt go there.
    pub fn open() -> Console {
        let host = if cfg!(feature = "defmt") { None } else { hstdout().ok() };
        Console { host, line: heapless::String::new() }
    }

    fn flush(&mut self) -> fmt::Result {
        let result = match &mut self.host {
            Some(host) => host.write_str(&self.line),
            None => Ok(()),
        };
        self.line.clear();
        result
    }
}

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for piece in text.split_inclusive('\n') {
            if self.line.push_str(piece).is_err() {
                self.flush()?;
                if self.line.push_str(piece).is_err() {
                    match &mut self.host {
                        Some(host) => host.write_str(piece)?,
                        None => return Ok(()),
                    }
                }
            }
            if piece.ends_with('\n') {
                self.flush()?;
            }
        }
        Ok(())
    }
}

/// Ends the emulator with success or failure as its exit code.
pub fn exit(success: bool) -> ! {
    debug::exit(if success { EXIT_SUCCESS } else { EXIT_FAILURE });
    // Reached on hardware only, where nobody listens.
    loop {
        cortex_m::asm::wfi();
    }
}
