//! Raspberry Pi Pico (RP2040) and Pico 2 (RP2350): pins, peripherals, interrupts and executors.
//!
//! | what | pins |
//! |---|---|
//! | accelerometer, I²C0 at 400 kHz | SDA GP4, SCL GP5 |
//! | microphone, I²S by PIO0 | SCK GP18, WS GP19, SD GP20; L/R at ground |
//! | lamp | GP25, the board's own |
//! | line to the host | USB, a serial port |
#![no_std]

mod i2s;

use embassy_executor::{InterruptExecutor, SendSpawner, Spawner};
use embassy_rp::bind_interrupts;
use embassy_rp::gpio::{Level, Output};
use embassy_rp::i2c::{self, I2c};
use embassy_rp::interrupt;
use embassy_rp::interrupt::{InterruptExt, Priority};
use embassy_rp::peripherals::{DMA_CH0, I2C0, PIN_4, PIN_5, PIN_18, PIN_19, PIN_20, PIO0, USB};
use embassy_rp::usb::Driver;
use embassy_rp::{Peri, dma, pio, usb};
use embassy_usb::class::cdc_acm::{self, CdcAcmClass, Sender};
use embassy_usb::{Builder, UsbDevice};
use static_cell::StaticCell;
use teff_app::sensor::microphone::{I2s, Slots};

/// The board's name.
pub const NAME: &str = teff_device::board_name(env!("CARGO_PKG_NAME"));

/// The bus of the accelerometer.
pub type Bus = I2c<'static, I2C0, i2c::Async>;
/// An I²S microphone, the left one of a pair.
pub type Microphone = I2s<i2s::Receiver>;
/// The board's own lamp.
pub type Lamp = Output<'static>;
/// Where a host listens.
pub type Line = Sender<'static, Driver<'static, USB>>;

bind_interrupts!(struct Irqs {
    DMA_IRQ_0 => dma::InterruptHandler<DMA_CH0>;
    I2C0_IRQ => i2c::InterruptHandler<I2C0>;
    PIO0_IRQ_0 => pio::InterruptHandler<PIO0>;
    USBCTRL_IRQ => usb::InterruptHandler<USB>;
});

/// What runs in interrupts: sampling.
static SAMPLER: InterruptExecutor = InterruptExecutor::new();

#[interrupt]
fn SWI_IRQ_1() {
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
    i2c: (Peri<'static, I2C0>, Peri<'static, PIN_5>, Peri<'static, PIN_4>),
    pio: Peri<'static, PIO0>,
    dma: Peri<'static, DMA_CH0>,
    clock: Peri<'static, PIN_18>,
    select: Peri<'static, PIN_19>,
    samples: Peri<'static, PIN_20>,
}

impl Board {
    /// Starts clocks, executors and the line.
    pub fn start(spawner: Spawner) -> Board {
        let p = embassy_rp::init(Default::default());
        interrupt::SWI_IRQ_1.set_priority(Priority::P2);
        Board {
            line: line(spawner, p.USB),
            lamp: Output::new(p.PIN_25, Level::Low),
            sampler: SAMPLER.start(interrupt::SWI_IRQ_1),
            sensors: Sensors {
                i2c: (p.I2C0, p.PIN_5, p.PIN_4),
                pio: p.PIO0,
                dma: p.DMA_CH0,
                clock: p.PIN_18,
                select: p.PIN_19,
                samples: p.PIN_20,
            },
        }
    }
}

impl Sensors {
    /// The bus of the accelerometer.
    pub fn bus(self) -> Bus {
        let (i2c, scl, sda) = self.i2c;
        let mut config = i2c::Config::default();
        config.frequency = 400_000;
        I2c::new_async(i2c, scl, sda, Irqs, config)
    }

    /// The microphone at a rate in thousandths of a hertz, of which whole hertz are kept.
    pub fn microphone(self, rate_millihertz: u32, _: SendSpawner) -> Microphone {
        let rate_hz = rate_millihertz / 1000;
        let pio = pio::Pio::new(self.pio, Irqs);
        let dma = dma::Channel::new(self.dma, Irqs);
        let receiver = i2s::Receiver::start(pio, dma, self.clock, self.select, self.samples, rate_hz);
        I2s::new(receiver, Slots::Left, 0, rate_hz * 1000)
    }
}

/// A serial port over USB, whose task is started.
fn line(spawner: Spawner, peripheral: Peri<'static, USB>) -> Line {
    static DESCRIPTORS: StaticCell<[[u8; 256]; 2]> = StaticCell::new();
    static CONTROL: StaticCell<[u8; 64]> = StaticCell::new();
    static STATE: StaticCell<cdc_acm::State<'static>> = StaticCell::new();
    // The pair that the chip's maker gives away for open-source serial ports.
    let mut config = embassy_usb::Config::new(0x2e8a, 0x000a);
    config.manufacturer = Some("Teff");
    config.product = Some(NAME);
    let [configuration, bos] = DESCRIPTORS.init([[0; 256]; 2]);
    let control = CONTROL.init([0; 64]);
    let driver = Driver::new(peripheral, Irqs);
    let mut builder = Builder::new(driver, config, configuration, bos, &mut [], control);
    let class = CdcAcmClass::new(&mut builder, STATE.init(cdc_acm::State::new()), 64);
    spawner.spawn(defmt::unwrap!(serve(builder.build())));
    class.split().0
}

#[embassy_executor::task]
async fn serve(mut device: UsbDevice<'static, Driver<'static, USB>>) {
    device.run().await
}
