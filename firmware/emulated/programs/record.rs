//! Streams what a sensor measures to a host: the signal that the emulator was started with, through a simulated
//! accelerometer or microphone; else the board's recording, where it has one.
//!
//! The sensor's interrupt is pended for each portion of measurements, reads it and fills the queue; the main loop
//! empties the queue onto the UART. Time passes as fast as the line takes what comes.
#![no_std]
#![no_main]

use core::cell::RefCell;

use board::MACHINE;
use cortex_m::peripheral::SCB;
use cortex_m_rt::{entry, exception};
use critical_section::Mutex;
use panic_semihosting as _;
use teff_app::health::Limits;
use teff_app::queue::{Intake, Outlet, Queue};
use teff_app::sensor::adxl345::{ADDRESS, Adxl345, FIFO_LEN, Setup};
use teff_app::sensor::bus::OnI2c;
use teff_app::sensor::microphone::{I2s, Slots};
use teff_app::sensor::simulated::{SimulatedAdxl345, SimulatedI2s};
use teff_app::sensor::{Format, Sensor as _};
use teff_app::telemetry::{Recorder, Telemetry};
use teff_emulated::console;
use teff_emulated::report::{Happened, board_name};
use teff_emulated::signal::Signal;
use teff_emulated::task::Sampling;
use teff_emulated::uart::Uart;
use teff_link::Level;

// Three axes side by side, 1600 instants a second, 256 counts per g; empty on a board without a recording.
include!(concat!(env!("OUT_DIR"), "/recording.rs"));

const RECORDING_MILLIHERTZ: u32 = 1_600_000;
const QUEUE_LEN: usize = 256;
/// Measurements between two interrupts.
const PORTION: usize = 16;

type Chip = Sampling<Adxl345<OnI2c<SimulatedAdxl345<'static>>>, 3>;
type Microphone = Sampling<I2s<SimulatedI2s<'static>>, 1>;

/// What the interrupt owns.
enum Sensor {
    Motion(Chip),
    Sound(Microphone),
}

static INTERRUPT: Mutex<RefCell<Option<Sensor>>> = Mutex::new(RefCell::new(None));

/// Stands for the sensor's interrupt.
#[exception]
fn PendSV() {
    critical_section::with(|token| match INTERRUPT.borrow_ref_mut(token).as_mut() {
        Some(Sensor::Motion(chip)) => chip.poll::<FIFO_LEN>(),
        Some(Sensor::Sound(microphone)) => microphone.poll::<{ 2 * PORTION }>(),
        None => {}
    });
}

/// Lets the time of a portion pass, and the interrupt come; tells whether there is more, and what happened.
fn elapse() -> (bool, Happened) {
    let more = critical_section::with(|token| match INTERRUPT.borrow_ref_mut(token).as_mut() {
        Some(Sensor::Motion(chip)) => chip.advance(PORTION),
        Some(Sensor::Sound(microphone)) => microphone.advance(PORTION),
        None => false,
    });
    SCB::set_pendsv();
    // The interrupt is taken here.
    cortex_m::asm::isb();
    let (happened, _) = critical_section::with(|token| match INTERRUPT.borrow_ref_mut(token).as_mut() {
        Some(Sensor::Motion(chip)) => chip.health(),
        Some(Sensor::Sound(microphone)) => microphone.health(),
        None => Default::default(),
    });
    (more, happened)
}

#[entry]
fn main() -> ! {
    static mut MOTION: Queue<3, QUEUE_LEN> = Queue::new();
    static mut SOUND: Queue<1, QUEUE_LEN> = Queue::new();

    let mut uart = Uart::open(MACHINE);
    let built_in = Signal { axes: 3, rate_millihertz: RECORDING_MILLIHERTZ, samples: &RECORDING };
    let signal = Signal::given(MACHINE).unwrap_or(built_in);
    let result = match signal.axes {
        3 => {
            let (intake, outlet) = MOTION.split();
            motion(signal, intake).map(|format| stream(format, outlet, &mut uart))
        }
        1 => {
            let (intake, outlet) = SOUND.split();
            let format = sound(signal, intake);
            stream(format, outlet, &mut uart);
            Ok(())
        }
        _ => Err("error: the signal has neither three axes nor one"),
    };
    if let Err(why) = result {
        uart.write(Telemetry::new().log(Level::Error, why));
    }
    uart.flush();
    console::exit(result.is_ok())
}

fn own(sensor: Sensor) {
    critical_section::with(|token| *INTERRUPT.borrow_ref_mut(token) = Some(sensor));
}

/// A recording may hold a constant signal: what does not move is recorded as it is.
const LIMITS: Limits = Limits { stuck_after: 0, ..Limits::DEFAULT };

fn motion(signal: Signal, intake: Intake<'static, 3>) -> Result<Format, &'static str> {
    if signal.samples.is_empty() {
        return Err("error: this board has no recording of its own: start it with a signal");
    }
    let setup = Setup::new(signal.rate_millihertz);
    let setup = setup.map_err(|_| "error: the ADXL345 has no such rate as the signal")?;
    let bus = OnI2c::new(SimulatedAdxl345::new(signal.samples), ADDRESS);
    let chip = Adxl345::start(bus, setup).map_err(|_| "error: the accelerometer does not answer")?;
    let format = chip.format();
    own(Sensor::Motion(Sampling::new(chip, LIMITS, intake)));
    Ok(format)
}

fn sound(signal: Signal, intake: Intake<'static, 1>) -> Format {
    let ring = SimulatedI2s::new(signal.samples, 8 * PORTION);
    let microphone = I2s::new(ring, Slots::Left, 0, signal.rate_millihertz);
    let format = microphone.format();
    own(Sensor::Sound(Sampling::new(microphone, LIMITS, intake)));
    format
}

/// The task: empties the queue onto the line until the signal is over.
fn stream<const AXES: usize>(format: Format, mut outlet: Outlet<'static, AXES>, uart: &mut Uart) {
    let mut recorder = Recorder::<AXES>::new(board_name(env!("CARGO_PKG_NAME")), format);
    // Who speaks is said first.
    while let Some(frame) = recorder.next() {
        uart.write(frame);
    }
    let mut goes_on = true;
    while goes_on {
        let (more, happened) = elapse();
        goes_on = more;
        for event in &happened {
            uart.write(recorder.telemetry().health(event));
        }
        while let Some(instant) = outlet.pop() {
            recorder.take(&instant, outlet.overruns());
            while let Some(frame) = recorder.next() {
                uart.write(frame);
            }
        }
    }
    recorder.end(outlet.overruns());
    while let Some(frame) = recorder.next() {
        uart.write(frame);
    }
}
