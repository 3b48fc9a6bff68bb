//! From the queue to the line, for `trainer record`: every instant is sent, or said to be lost.

use embassy_futures::select::select;
use embassy_time::{Duration, Instant as Time, Timer};
use embedded_io_async::Write;
use teff_app::queue::{Gap, Instant, Outlet};
use teff_link::{Cause, Hello, MAX_FRAME_BYTES, Message, Metrics, Samples, Sender};

use crate::sampling::Sampling;

/// Samples of a frame, at most. With the rest of a frame they stay well below its limit.
const SAMPLES: usize = 192;
/// Between two introductions, for a host that comes late, with figures.
const HELLO_EVERY: Duration = Duration::from_secs(2);
/// How long a line that failed is left alone.
const PAUSE: Duration = Duration::from_millis(10);

/// Makes frames of instants and gives them to a line.
pub struct Recorder<W> {
    line: W,
    hello: Hello<'static>,
    sender: Sender,
    /// Samples that wait for their frame, and the instant of the first one.
    waiting: [i16; SAMPLES],
    len: usize,
    first: u64,
    /// Instants that were measured, lost ones included.
    measured: u64,
    overruns: u32,
}

impl<W: Write> Recorder<W> {
    /// Nothing was recorded yet.
    pub fn new(line: W, hello: Hello<'static>) -> Self {
        Recorder {
            line,
            hello,
            sender: Sender::new(),
            waiting: [0; SAMPLES],
            len: 0,
            first: 0,
            measured: 0,
            overruns: 0,
        }
    }

    /// Records for ever. A line that is too slow fills the queue, which is counted, and said behind it.
    pub async fn run<const AXES: usize>(&mut self, outlet: &mut Outlet<'_, AXES>, sampling: &Sampling) -> ! {
        let mut due = Time::now();
        loop {
            // A queue that is never empty must not keep the host waiting for an introduction.
            while Time::now() < due
                && let Some(instant) = outlet.pop()
            {
                self.take(&instant, outlet.overruns()).await;
            }
            while let Some(health) = sampling.health() {
                self.send(&Message::Health(health)).await;
            }
            if Time::now() >= due {
                self.introduce(outlet.overruns(), sampling).await;
                due = Time::now() + HELLO_EVERY;
            }
            select(sampling.came(), Timer::at(due)).await;
        }
    }

    /// Says who records, and how it goes.
    pub async fn introduce(&mut self, overruns: u32, sampling: &Sampling) {
        let health = sampling.counts();
        self.send(&Message::Hello(self.hello)).await;
        let metrics = Metrics {
            instants: self.measured,
            overruns,
            gaps: health.gaps,
            bus_errors: health.bus_errors,
            stuck: health.stuck,
            saturated: health.saturated,
            ..Metrics::default()
        };
        self.send(&Message::Metrics(metrics)).await;
    }

    /// Takes one instant. `overruns` is how many the queue has lost so far: it tells who lost those of a
    /// gap.
    pub async fn take<const AXES: usize>(&mut self, instant: &Instant<AXES>, overruns: u32) {
        let lost = match instant.gap {
            Gap::None => Some(0),
            Gap::Lost(lost) => Some(lost),
            Gap::Unknown => None,
        };
        if lost != Some(0) {
            self.flush().await;
            let of_queue = lost.is_some() && overruns != core::mem::replace(&mut self.overruns, overruns);
            let cause = if of_queue { Cause::Queue } else { Cause::Sensor };
            self.send(&Message::Gap(teff_link::Gap { instant: self.measured, lost, cause })).await;
            self.measured += u64::from(lost.unwrap_or(0));
        }
        if self.len + AXES > SAMPLES {
            self.flush().await;
        }
        if self.len == 0 {
            self.first = self.measured;
        }
        if let Some(to) = self.waiting.get_mut(self.len..self.len + AXES) {
            to.copy_from_slice(&instant.samples);
            self.len += AXES;
        }
        self.measured += 1;
    }

    /// Sends what waits.
    pub async fn flush(&mut self) {
        let (waiting, len) = (self.waiting, core::mem::take(&mut self.len));
        let mut bytes = [0; 2 * SAMPLES];
        let samples = waiting.get(..len).filter(|samples| !samples.is_empty());
        if let Some(message) = samples.and_then(|samples| Samples::new(self.first, samples, &mut bytes)) {
            self.send(&Message::Samples(message)).await;
        }
    }

    /// Sends one frame. One that the line does not take is missing by its number, and its samples by
    /// their count.
    async fn send(&mut self, message: &Message<'_>) {
        let mut bytes = [0; MAX_FRAME_BYTES];
        let Ok(frame) = self.sender.frame(message, &mut bytes) else { return };
        if self.line.write_all(frame).await.is_err() {
            Timer::after(PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;
    use teff_app::queue::Queue;
    use teff_app::sensor::Format;
    use teff_app::sensor::bus::complete;
    use teff_link::{Account, Received, Receiver};

    const FORMAT: Format = Format {
        sensor: "ADXL345",
        rate_millihertz: 1_600_000,
        axes: 3,
        unit: "g",
        counts_per_thousand_units: 256_000,
        full_scale: 4096,
    };

    /// Whole messages of a line, as text, and their account.
    fn heard(line: &[u8]) -> (Vec<std::string::String>, Vec<i16>, Account) {
        let (mut receiver, mut account) = (Receiver::<MAX_FRAME_BYTES>::new(), Account::new());
        let (mut messages, mut samples, mut rest) = (Vec::new(), Vec::new(), line);
        while let Some(received) = receiver.next(&mut rest) {
            account.note(&received);
            let Received::Frame(frame) = received else { panic!("{received:?}") };
            match frame.message {
                Message::Samples(of_frame) => samples.extend(of_frame.iter()),
                Message::Gap(gap) => messages.push(std::format!("{gap:?}")),
                _ => {}
            }
        }
        (messages, samples, account)
    }

    #[test]
    fn every_instant_is_sent_or_said_to_be_lost() {
        let mut line = Vec::new();
        let mut recorder = Recorder::new(&mut line, crate::hello("test", FORMAT));
        let sampling = Sampling::new();
        let mut queue = Queue::<3, 64>::new();
        let (mut intake, mut outlet) = queue.split();
        complete(recorder.introduce(0, &sampling));
        let mut expected = Vec::new();
        let mut drain = |outlet: &mut Outlet<'_, 3>, recorder: &mut Recorder<&mut Vec<u8>>| {
            while let Some(instant) = outlet.pop() {
                expected.extend(instant.samples);
                complete(recorder.take(&instant, outlet.overruns()));
            }
        };
        // 63 find room, 37 do not, and one comes behind them.
        (0..100).for_each(|n| intake.push([n, -n, 2 * n]));
        drain(&mut outlet, &mut recorder);
        intake.push([7, 8, 9]);
        drain(&mut outlet, &mut recorder);
        // The sensor lost some that it counted, and then some that it did not.
        intake.push_behind(Gap::Lost(5), [1, 2, 3]);
        intake.push_behind(Gap::Unknown, [4, 5, 6]);
        drain(&mut outlet, &mut recorder);
        complete(recorder.flush());
        let (gaps, samples, account) = heard(&line);
        assert_eq!(
            gaps,
            [
                "Gap { instant: 63, lost: Some(37), cause: Queue }",
                "Gap { instant: 101, lost: Some(5), cause: Sensor }",
                "Gap { instant: 107, lost: None, cause: Sensor }"
            ]
        );
        assert_eq!(samples, expected);
        assert_eq!((account.instants, account.lost_by_sender, account.lost_on_line), (66, 42, 0));
        assert_eq!((account.gaps_of_unknown_length, account.missing_frames), (1, 0));
    }

    /// Takes nothing for a while.
    struct Cut<'l>(&'l mut Vec<u8>, core::ops::Range<usize>, usize);

    impl embedded_io_async::ErrorType for Cut<'_> {
        type Error = embedded_io_async::ErrorKind;
    }

    impl Write for Cut<'_> {
        async fn write(&mut self, bytes: &[u8]) -> Result<usize, Self::Error> {
            self.2 += 1;
            if self.1.contains(&self.2) {
                return Err(embedded_io_async::ErrorKind::NotConnected);
            }
            self.0.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        async fn flush(&mut self) -> Result<(), Self::Error> {
            Ok(())
        }
    }

    #[test]
    fn a_cut_line_loses_what_the_host_then_misses() {
        let mut line = Vec::new();
        // The hello, the figures, the first frame of samples pass; two frames do not.
        let mut recorder = Recorder::new(Cut(&mut line, 4..6, 0), crate::hello("test", FORMAT));
        let sampling = Sampling::new();
        complete(recorder.introduce(0, &sampling));
        for n in 0..640 {
            complete(recorder.take(&Instant { samples: [n, n, n], gap: Gap::None }, 0));
        }
        complete(recorder.flush());
        let (_, samples, account) = heard(&line);
        assert_eq!((account.missing_frames, account.lost_on_line), (2, 128));
        assert_eq!((account.instants, samples.len()), (512, 3 * 512));
    }
}
