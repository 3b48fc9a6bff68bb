//! What a program tells: as text to whoever started the emulator, or with the feature `link` as frames over the
//! first UART, for `trainer monitor`.

use core::fmt;
#[cfg(not(feature = "link"))]
use core::fmt::Write;

use teff_app::decision::Event;
#[cfg(not(feature = "link"))]
use teff_app::health::{Condition, What};
use teff_app::sensor::Format;
#[cfg(feature = "link")]
use teff_app::telemetry::Telemetry;
use teff_app::{health, pipeline};
#[cfg(feature = "link")]
use teff_link::Level;

use crate::Machine;
#[cfg(not(feature = "link"))]
use crate::console::Console;
#[cfg(feature = "link")]
use crate::uart::Uart;

/// What happened to a sensor and was not told yet. What finds no room is told by the figures only.
pub type Happened = heapless::Deque<health::Event, 16>;

/// Text to the emulator's output. Lines that are written to it go there.
#[cfg(not(feature = "link"))]
pub struct Report {
    console: Console,
}

#[cfg(not(feature = "link"))]
impl Report {
    /// Opens the console.
    pub fn open(_machine: Machine, _package: &'static str) -> Report {
        Report { console: Console::open() }
    }

    /// The sensor runs.
    pub fn started(&mut self, _format: Format) {}

    /// What was decided on the window that ended after `heard` instants.
    ///
    /// # Errors
    /// When the text cannot be written.
    pub fn decision(&mut self, heard: u64, rate_hz: u64, event: &Event, label: &str) -> fmt::Result {
        let (milliseconds, percent) = (heard * 1000 / rate_hz, u32::from(event.score) * 100 / 256);
        writeln!(self.console, "{milliseconds:>6} ms  {label}  {percent} %")
    }

    /// Something happened to the sensor.
    pub fn health(&mut self, event: &health::Event) {
        let instant = event.instant;
        // Without a host nobody reads this.
        let _ = match event.what {
            What::BusError => writeln!(self.console, "instant {instant}: a transfer failed"),
            What::SensorGap => writeln!(self.console, "instant {instant}: the sensor lost instants"),
            What::Missing(lost) => writeln!(self.console, "instant {instant}: {lost} did not come"),
            What::Restarted => writeln!(self.console, "instant {instant}: the sensor was started anew"),
            What::Begins(condition) => writeln!(self.console, "instant {instant}: {}", word(condition)),
            What::Ends(condition) => {
                writeln!(self.console, "instant {instant}: no longer {}", word(condition))
            }
        };
    }

    /// Instants found the queue full by the time that so many had passed.
    pub fn overruns(&mut self, passed: u64, new: u32) {
        let _ = writeln!(self.console, "instant {passed}: {new} found the queue full");
    }

    /// Figures since the start.
    pub fn figures(
        &mut self,
        _pipeline: &pipeline::Counts,
        _health: &health::Counts,
        _overruns: u32,
        _inference_us: u32,
    ) {
    }

    /// Tells figures with the next call of [`Report::figures`], however soon it comes.
    pub fn figures_are_due(&mut self) {}

    /// Waits until everything has left.
    pub fn finish(&mut self) {}
}

#[cfg(not(feature = "link"))]
fn word(condition: Condition) -> &'static str {
    match condition {
        Condition::Stuck => "stuck",
        Condition::Saturated => "saturated",
        Condition::Unreachable => "unreachable",
        Condition::Silent => "silent",
    }
}

#[cfg(not(feature = "link"))]
impl fmt::Write for Report {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.console.write_str(text)
    }
}

/// Frames over the first UART. Lines that are written to it are logs.
#[cfg(feature = "link")]
pub struct Report {
    telemetry: Telemetry,
    uart: Uart,
    board: &'static str,
    format: Option<Format>,
    line: heapless::String<256>,
    /// Instants at which figures are told again.
    next_figures: u64,
}

#[cfg(feature = "link")]
impl Report {
    /// Opens the UART. `package` is the name of the board's package.
    pub fn open(machine: Machine, package: &'static str) -> Report {
        Report {
            telemetry: Telemetry::new(),
            uart: Uart::open(machine),
            board: board_name(package),
            format: None,
            line: heapless::String::new(),
            next_figures: 0,
        }
    }

    /// The sensor runs.
    pub fn started(&mut self, format: Format) {
        self.uart.write(self.telemetry.hello(self.board, &format));
        self.format = Some(format);
    }

    /// What was decided on the window that ended after `heard` instants.
    ///
    /// # Errors
    /// None.
    pub fn decision(&mut self, heard: u64, _rate_hz: u64, event: &Event, label: &str) -> fmt::Result {
        self.uart.write(self.telemetry.decision(heard, event, label));
        Ok(())
    }

    /// Whether figures are told when so many instants were decided on.
    pub fn is_due(&self, instants: u64) -> bool {
        instants >= self.next_figures
    }

    /// What leads after `heard` instants.
    pub fn leading(&mut self, heard: u64, event: &Event, label: &str) {
        self.uart.write(self.telemetry.leading(heard, event, label));
    }

    /// Something happened to the sensor.
    pub fn health(&mut self, event: &health::Event) {
        self.uart.write(self.telemetry.health(event));
    }

    /// Instants found the queue full: the figures tell it.
    pub fn overruns(&mut self, _passed: u64, _new: u32) {}

    /// Figures since the start, after a hello; every half second, the other calls do nothing.
    pub fn figures(
        &mut self,
        pipeline: &pipeline::Counts,
        health: &health::Counts,
        overruns: u32,
        inference_us: u32,
    ) {
        if !self.is_due(pipeline.instants) {
            return;
        }
        if let Some(format) = &self.format {
            self.next_figures = pipeline.instants + u64::from(format.rate_millihertz / 2000).max(1);
            self.uart.write(self.telemetry.hello(self.board, format));
        }
        self.uart.write(self.telemetry.metrics(pipeline, health, overruns, inference_us));
    }

    /// Tells figures with the next call of [`Report::figures`], however soon it comes.
    pub fn figures_are_due(&mut self) {
        self.next_figures = 0;
    }

    /// Waits until everything has left.
    pub fn finish(&mut self) {
        self.uart.flush();
    }
}

#[cfg(feature = "link")]
impl fmt::Write for Report {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for piece in text.split_inclusive('\n') {
            let words = piece.trim_end_matches('\n');
            // What is longer than a line is cut off.
            let _ = self.line.push_str(words);
            if piece.ends_with('\n') {
                let level = if self.line.starts_with("error") { Level::Error } else { Level::Info };
                self.uart.write(self.telemetry.log(level, &self.line));
                self.line.clear();
            }
        }
        Ok(())
    }
}

/// `mps2-an386` of `teff-mps2-an386`.
pub fn board_name(package: &'static str) -> &'static str {
    package.strip_prefix("teff-").unwrap_or(package)
}
