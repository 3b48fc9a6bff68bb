//! Nordic nRF52840-DK: pins, peripherals, interrupts and executors.
//!
//! | what | pins |
//! |---|---|
//! | accelerometer, I²C (TWIM0) at 400 kHz | SDA P0.26, SCL P0.27 |
//! | microphone, PDM | CLK P0.30, DIN P0.31; L/R at ground |
//! | lamp | P0.13, LED 1 |
//! | line to the host | UARTE0 at 1,000,000 baud, P0.06: the probe's serial port |
#![no_std]

mod sound;

use embassy_executor::{InterruptExecutor, SendSpawner, Spawner};
use embassy_nrf::gpio::{Level, Output, OutputDrive};
use embassy_nrf::interrupt;
use embassy_nrf::interrupt::{InterruptExt, Priority};
use embassy_nrf::pdm::{self, Pdm};
use embassy_nrf::peripherals::{P0_26, P0_27, P0_30, P0_31, PDM, TWISPI0, UARTE0};
use embassy_nrf::twim::{self, Twim};
use embassy_nrf::uarte::{self, Baudrate, UarteTx};
use embassy_nrf::{Peri, bind_interrupts};
use static_cell::ConstStaticCell;
use teff_app::sensor::halved::Halved;
use teff_app::sensor::microphone::{Pcm, Slots};

/// The board's name.
pub const NAME: &str = teff_device::board_name(env!("CARGO_PKG_NAME"));

/// The bus of the accelerometer.
pub type Bus = Twim<'static>;
/// A PDM microphone at 16 kHz, or at 8 kHz.
pub type Microphone = Halved<Pcm<sound::Samples>>;
/// Where a host listens.
pub type Line = UarteTx<'static>;

bind_interrupts!(struct Irqs {
    PDM => pdm::InterruptHandler<PDM>;
    TWISPI0 => twim::InterruptHandler<TWISPI0>;
    UARTE0 => uarte::InterruptHandler<UARTE0>;
});

/// What runs in interrupts: sampling.
static SAMPLER: InterruptExecutor = InterruptExecutor::new();

#[interrupt]
fn EGU1_SWI1() {
    // SAFETY: this is the interrupt that `SAMPLER` is started with, and it comes only after that.
    #[allow(unsafe_code)]
    unsafe {
        SAMPLER.on_interrupt();
    }
}

/// A started board.
pub struct Board {
    /// The line to the host.
    pub line: Line,
    /// Lit by events.
    pub lamp: Lamp,
    /// Runs tasks in interrupts.
    pub sampler: SendSpawner,
    /// What sensors are wired to.
    pub sensors: Sensors,
}

/// The peripherals and pins of the sensors, of which a program takes one.
pub struct Sensors {
    i2c: (Peri<'static, TWISPI0>, Peri<'static, P0_26>, Peri<'static, P0_27>),
    pdm: (Peri<'static, PDM>, Peri<'static, P0_30>, Peri<'static, P0_31>),
}

impl Board {
    /// Starts clocks, executors and the line.
    pub fn start(_: Spawner) -> Board {
        let mut config = embassy_nrf::config::Config::default();
        // The internal oscillator is off by up to 1.5 %, and a sample rate would be too.
        config.hfclk_source = embassy_nrf::config::HfclkSource::ExternalXtal;
        config.time_interrupt_priority = Priority::P2;
        let p = embassy_nrf::init(config);
        interrupt::EGU1_SWI1.set_priority(Priority::P3);
        let mut settings = uarte::Config::default();
        settings.baudrate = Baudrate::Baud1m;
        Board {
            line: UarteTx::new(p.UARTE0, Irqs, p.P0_06, settings),
            lamp: teff_device::lamp::Inverted(Output::new(p.P0_13, Level::High, OutputDrive::Standard)),
            sampler: SAMPLER.start(interrupt::EGU1_SWI1),
            sensors: Sensors { i2c: (p.TWISPI0, p.P0_26, p.P0_27), pdm: (p.PDM, p.P0_30, p.P0_31) },
        }
    }
}

/// The board's lamps are lit by a low level.
pub type Lamp = teff_device::lamp::Inverted<Output<'static>>;

impl Sensors {
    /// The bus of the accelerometer.
    pub fn bus(self) -> Bus {
        // What is written to a chip comes from the stack, which is RAM.
        static FROM_FLASH: ConstStaticCell<[u8; 16]> = ConstStaticCell::new([0; 16]);
        let (twim, sda, scl) = self.i2c;
        let mut config = twim::Config::default();
        config.frequency = twim::Frequency::K400;
        Twim::new(twim, Irqs, sda, scl, config, FROM_FLASH.take())
    }

    /// The microphone at 8,000 Hz, if that is wanted, else at the 16,000 Hz that the chip has.
    pub fn microphone(self, rate_millihertz: u32, sampler: SendSpawner) -> Microphone {
        let (peripheral, clock, data) = self.pdm;
        // 1.28 MHz divided by 80.
        let (frequency, ratio) = (pdm::Frequency::_1280k, pdm::Ratio::Ratio80);
        let config = pdm::Config { frequency, ratio, ..pdm::Config::default() };
        let microphone = Pdm::new(peripheral, Irqs, clock, data, config);
        sampler.spawn(defmt::unwrap!(sound::receive(microphone)));
        Halved::new_async(
            Pcm::new(sound::Samples::new(), Slots::All, sound::RATE_MILLIHERTZ),
            rate_millihertz,
        )
    }
}
