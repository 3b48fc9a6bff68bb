//! ST Nucleo-H743ZI: pins, peripherals, interrupts and executors.
//!
//! | what | pins |
//! |---|---|
//! | accelerometer, I²C1 at 400 kHz | SDA PB9 (D14), SCL PB8 (D15) |
//! | microphone, I²S1 | SCK PA5 (D13), WS PA4 (D24), SD PA6 (D12); L/R at ground |
//! | lamp | PB0, LD1 |
//! | line to the host | USART3 at 921,600 baud, PD8: the probe's serial port |
#![no_std]

// As on the other board of this maker.
#[path = "../../nucleo-f446re/src/sound.rs"]
mod sound;

use embassy_executor::{InterruptExecutor, SendSpawner, Spawner};
use embassy_stm32::gpio::{Level, Output, Speed};
use embassy_stm32::i2c::{self, I2c, Master};
use embassy_stm32::i2s::{self, I2S};
use embassy_stm32::interrupt;
use embassy_stm32::interrupt::{InterruptExt, Priority};
use embassy_stm32::mode::Async;
use embassy_stm32::peripherals::{
    DMA1_CH0, DMA1_CH1, DMA1_CH2, DMA1_CH3, I2C1, PA4, PA5, PA6, PB8, PB9, SPI1,
};
use embassy_stm32::time::Hertz;
use embassy_stm32::usart::{self, UartTx};
use embassy_stm32::{Config, Peri, bind_interrupts, dma, rcc};
use static_cell::ConstStaticCell;
use teff_app::sensor::microphone::{Pcm, Slots};

/// The board's name.
pub const NAME: &str = teff_device::board_name(env!("CARGO_PKG_NAME"));

/// The bus of the accelerometer.
pub type Bus = I2c<'static, Async, Master>;
/// An I²S microphone, the left one of a pair.
pub type Microphone = Pcm<sound::Receiver>;
/// Where a host listens.
pub type Line = UartTx<'static, Async>;
/// The board's own lamp.
pub type Lamp = Output<'static>;

bind_interrupts!(struct Irqs {
    I2C1_EV => i2c::EventInterruptHandler<I2C1>;
    I2C1_ER => i2c::ErrorInterruptHandler<I2C1>;
    DMA1_STREAM0 => dma::InterruptHandler<DMA1_CH0>;
    DMA1_STREAM1 => dma::InterruptHandler<DMA1_CH1>;
    DMA1_STREAM2 => dma::InterruptHandler<DMA1_CH2>;
    DMA1_STREAM3 => dma::InterruptHandler<DMA1_CH3>;
});

/// What runs in interrupts: sampling.
static SAMPLER: InterruptExecutor = InterruptExecutor::new();

#[interrupt]
fn UART5() {
    // SAFETY: this is the interrupt that `SAMPLER` is started with, and it comes only after that; nobody
    // uses the peripheral that it belongs to.
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
    i2c: Peri<'static, I2C1>,
    scl: Peri<'static, PB8>,
    sda: Peri<'static, PB9>,
    i2c_dma: (Peri<'static, DMA1_CH1>, Peri<'static, DMA1_CH0>),
    spi: Peri<'static, SPI1>,
    samples: Peri<'static, PA6>,
    select: Peri<'static, PA4>,
    clock: Peri<'static, PA5>,
    spi_dma: Peri<'static, DMA1_CH3>,
}

/// 400 MHz from the probe's 8 MHz, and 51.2 MHz for I²S: 3200 times 16 kHz.
fn clocks() -> Config {
    let mut config = Config::default();
    let rcc = &mut config.rcc;
    rcc.hse = Some(rcc::Hse { freq: Hertz(8_000_000), mode: rcc::HseMode::Bypass });
    rcc.pll1 = Some(rcc::Pll {
        source: rcc::PllSource::HSE,
        prediv: rcc::PllPreDiv::DIV4,
        mul: rcc::PllMul::MUL400,
        fracn: None,
        divp: Some(rcc::PllDiv::DIV2),
        divq: None,
        divr: None,
    });
    rcc.pll2 = Some(rcc::Pll {
        source: rcc::PllSource::HSE,
        prediv: rcc::PllPreDiv::DIV4,
        mul: rcc::PllMul::MUL128,
        fracn: None,
        divp: Some(rcc::PllDiv::DIV5),
        divq: None,
        divr: None,
    });
    rcc.sys = rcc::Sysclk::PLL1_P;
    rcc.ahb_pre = rcc::AHBPrescaler::DIV2;
    rcc.apb1_pre = rcc::APBPrescaler::DIV2;
    rcc.apb2_pre = rcc::APBPrescaler::DIV2;
    rcc.apb3_pre = rcc::APBPrescaler::DIV2;
    rcc.apb4_pre = rcc::APBPrescaler::DIV2;
    rcc.voltage_scale = rcc::VoltageScale::Scale1;
    rcc.mux.spi123sel = rcc::mux::Saisel::PLL2_P;
    config
}

impl Board {
    /// Starts clocks, executors and the line.
    pub fn start(_: Spawner) -> Board {
        let p = embassy_stm32::init(clocks());
        interrupt::UART5.set_priority(Priority::P6);
        let mut settings = usart::Config::default();
        settings.baudrate = 921_600;
        Board {
            line: defmt::unwrap!(UartTx::new(p.USART3, p.PD8, p.DMA1_CH2, Irqs, settings)),
            lamp: Output::new(p.PB0, Level::Low, Speed::Low),
            sampler: SAMPLER.start(interrupt::UART5),
            sensors: Sensors {
                i2c: p.I2C1,
                scl: p.PB8,
                sda: p.PB9,
                i2c_dma: (p.DMA1_CH1, p.DMA1_CH0),
                spi: p.SPI1,
                samples: p.PA6,
                select: p.PA4,
                clock: p.PA5,
                spi_dma: p.DMA1_CH3,
            },
        }
    }
}

impl Sensors {
    /// The bus of the accelerometer.
    pub fn bus(self) -> Bus {
        let (tx, rx) = self.i2c_dma;
        let mut config = i2c::Config::default();
        config.frequency = Hertz(400_000);
        I2c::new(self.i2c, self.scl, self.sda, tx, rx, Irqs, config)
    }

    /// The microphone at a rate in thousandths of a hertz, of which whole hertz are kept.
    pub fn microphone(self, rate_millihertz: u32, _: SendSpawner) -> Microphone {
        static RING: ConstStaticCell<[u16; sound::RING]> = ConstStaticCell::new([0; sound::RING]);
        let rate_hz = (rate_millihertz / 1000).max(1);
        let mut config = i2s::Config::default();
        config.frequency = Hertz(rate_hz);
        config.format = i2s::Format::Data16Channel32;
        config.master_clock = false;
        let i2s = I2S::new_rxonly_nomck(
            self.spi,
            self.samples,
            self.select,
            self.clock,
            self.spi_dma,
            RING.take(),
            Irqs,
            config,
        );
        Pcm::new(sound::Receiver::start(i2s), Slots::Left, rate_hz * 1000)
    }
}
