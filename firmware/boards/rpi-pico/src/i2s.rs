//! An I²S receiver by PIO: it gives both clocks and takes 32 bits a channel, as MEMS microphones send
//! them.

use core::convert::Infallible;

use embassy_rp::Peri;
use embassy_rp::dma::Channel;
use embassy_rp::peripherals::{PIN_18, PIN_19, PIN_20, PIO0};
use embassy_rp::pio::program::pio_asm;
use embassy_rp::pio::{Config, Direction, FifoJoin, Pio, ShiftConfig, ShiftDirection, StateMachine};
use embassy_rp::pio_programs::clock_divider::calculate_pio_clock_divider;
use teff_app::sensor::microphone::AsyncWords;

/// Bits of the clock in a pair of samples, and cycles of the state machine for each.
const BITS: u32 = 64;
const CYCLES_PER_BIT: u32 = 2;

/// Receives words, the left one of each pair first.
pub struct Receiver {
    machine: StateMachine<'static, PIO0, 0>,
    dma: Channel<'static>,
    overruns: u32,
}

impl Receiver {
    /// Starts the clocks for so many pairs of samples a second.
    pub fn start(
        pio: Pio<'static, PIO0>,
        dma: Channel<'static>,
        clock: Peri<'static, PIN_18>,
        select: Peri<'static, PIN_19>,
        samples: Peri<'static, PIN_20>,
        rate_hz: u32,
    ) -> Self {
        let Pio { mut common, sm0: mut machine, .. } = pio;
        // Side-set: bit 0 is the clock, bit 1 selects the channel (0 is left). Bits change at the clock's
        // falling edge and are read at the rising one. The channel changes with the edge before the
        // last bit of the other one, so that the first bit lies one clock behind it.
        let program = pio_asm!(
            ".side_set 2",
            "    set x, 29          side 0b00",
            ".wrap_target",
            "left:",
            "    in pins, 1         side 0b01",
            "    jmp x-- left       side 0b00",
            "    in pins, 1         side 0b01",
            "    set x, 29          side 0b10",
            "    in pins, 1         side 0b11",
            "    nop                side 0b10",
            "right:",
            "    in pins, 1         side 0b11",
            "    jmp x-- right      side 0b10",
            "    in pins, 1         side 0b11",
            "    set x, 29          side 0b00",
            "    in pins, 1         side 0b01",
            "    nop                side 0b00",
            ".wrap",
        );
        let program = common.load_program(&program.program);
        let clock = common.make_pio_pin(clock);
        let select = common.make_pio_pin(select);
        // While it is the right one's turn nobody may drive the line, and nobody looks at it.
        let samples = common.make_pio_pin(samples);
        let mut config = Config::default();
        config.use_program(&program, &[&clock, &select]);
        config.set_in_pins(&[&samples]);
        config.clock_divider = calculate_pio_clock_divider(rate_hz.max(1) * BITS * CYCLES_PER_BIT);
        config.shift_in = ShiftConfig { threshold: 32, direction: ShiftDirection::Left, auto_fill: true };
        // Eight words wait while the next transfer is set up.
        config.fifo_join = FifoJoin::RxOnly;
        machine.set_config(&config);
        machine.set_pin_dirs(Direction::In, &[&samples]);
        machine.set_pin_dirs(Direction::Out, &[&clock, &select]);
        machine.set_enable(true);
        Receiver { machine, dma, overruns: 0 }
    }
}

impl AsyncWords<u32> for Receiver {
    type Error = Infallible;

    async fn take(&mut self, words: &mut [u32]) -> Result<usize, Infallible> {
        // The machine waits where its buffer is full, so that clocks stop and pairs stay whole, but time is
        // missing.
        if self.machine.rx().stalled() {
            self.overruns = self.overruns.wrapping_add(1);
        }
        let len = words.len();
        self.machine.rx().dma_pull(&mut self.dma, words, false).await;
        Ok(len)
    }

    fn overruns(&self) -> u32 {
        self.overruns
    }
}
