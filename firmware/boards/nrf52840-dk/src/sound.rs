//! From the PDM peripheral's buffers to whoever asks for samples.

use core::convert::Infallible;
use core::sync::atomic::{AtomicU32, Ordering};

use embassy_nrf::pdm::{Pdm, SamplerState};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::channel::Channel;
use teff_app::sensor::microphone::AsyncWords;

/// What the peripheral is set to.
pub const RATE_MILLIHERTZ: u32 = 16_000_000;

/// Samples of one of the peripheral's two buffers: two milliseconds.
const BLOCK: usize = 32;

static BLOCKS: Channel<CriticalSectionRawMutex, [i16; BLOCK], 4> = Channel::new();
static OVERRUNS: AtomicU32 = AtomicU32::new(0);

/// Takes each buffer as it fills, while the other one is filled.
#[embassy_executor::task]
pub async fn receive(mut microphone: Pdm<'static>) {
    let mut buffers = [[0; BLOCK]; 2];
    let take = |block: &[i16; BLOCK]| {
        if BLOCKS.try_send(*block).is_err() {
            OVERRUNS.fetch_add(1, Ordering::Relaxed);
        }
        SamplerState::Sampled
    };
    if let Err(why) = microphone.run_task_sampler(&mut buffers, take).await {
        // It was never started before; nothing comes then, which is noticed as silence.
        defmt::error!("the PDM peripheral: {}", why);
    }
}

/// Samples in their order.
pub struct Samples {
    block: [i16; BLOCK],
    taken: usize,
}

impl Samples {
    /// Those that come from now on.
    pub fn new() -> Self {
        Samples { block: [0; BLOCK], taken: BLOCK }
    }
}

impl AsyncWords<i16> for Samples {
    type Error = Infallible;

    async fn take(&mut self, words: &mut [i16]) -> Result<usize, Infallible> {
        if self.taken == BLOCK {
            self.block = BLOCKS.receive().await;
            self.taken = 0;
        }
        let waiting = self.block.get(self.taken..).unwrap_or(&[]);
        let count = words.len().min(waiting.len());
        words.iter_mut().zip(waiting).for_each(|(to, word)| *to = *word);
        self.taken += count;
        Ok(count)
    }

    fn overruns(&self) -> u32 {
        OVERRUNS.load(Ordering::Relaxed)
    }
}
