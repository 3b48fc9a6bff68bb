//! How much of a processor's time an application takes, and how many windows it looks at.

/// What comes in, and what it costs.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Cycles that the processor has in a second.
    pub clock_hz: f64,
    /// Hops of the front end in a second.
    pub hops_per_second: f64,
    /// Hops from one window to the next.
    pub hops_per_window: f64,
    /// Cycles of a hop.
    pub hop: f64,
    /// Cycles of an inference, the model's input written.
    pub inference: f64,
}

/// What comes of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// Share of the processor's time that the application would take if it looked at every window; above 1 it cannot.
    pub of_every_window: f64,
    /// Inferences in a second.
    pub inferences_per_second: f64,
    /// Windows in a second that come while an inference goes on: the application leaves them out and counts them in `missed`.
    pub missed_per_second: f64,
    /// Share that it takes so; 1 where not even the front end keeps up with the samples.
    pub taken: f64,
}

impl Load {
    /// The share, and the inferences that there is time for.
    ///
    /// Every hop is computed. An inference gets the time that hops leave, and while it goes on windows are left out; the next
    /// one is begun with the first window behind its end.
    pub fn share(self) -> Share {
        let windows_per_second = self.hops_per_second / self.hops_per_window;
        let hops = self.hop * self.hops_per_second / self.clock_hz;
        let of_every_window = hops + self.inference * windows_per_second / self.clock_hz;
        if hops >= 1.0 {
            return Share {
                of_every_window,
                inferences_per_second: 0.0,
                missed_per_second: windows_per_second,
                taken: 1.0,
            };
        }
        let free_in_a_window = (1.0 - hops) * self.clock_hz / windows_per_second;
        let windows_per_inference = (self.inference / free_in_a_window).ceil().max(1.0);
        let inferences_per_second = windows_per_second / windows_per_inference;
        Share {
            of_every_window,
            inferences_per_second,
            missed_per_second: windows_per_second - inferences_per_second,
            taken: hops + self.inference * inferences_per_second / self.clock_hz,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOAD: Load =
        Load { clock_hz: 1000.0, hops_per_second: 10.0, hops_per_window: 1.0, hop: 20.0, inference: 40.0 };

    fn is(share: Share, expected: [f64; 4]) {
        let found =
            [share.of_every_window, share.inferences_per_second, share.missed_per_second, share.taken];
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-9, "{share:?}");
        }
    }

    #[test]
    fn every_window_is_looked_at_where_there_is_time() {
        is(LOAD.share(), [0.6, 10.0, 0.0, 0.6]);
        // Windows of several hops: as many hops, fewer inferences.
        is(Load { hops_per_window: 4.0, ..LOAD }.share(), [0.3, 2.5, 0.0, 0.3]);
    }

    #[test]
    fn windows_are_left_out_where_an_inference_takes_longer() {
        // 80 cycles are left in each window of 100: 200 take three windows.
        let load = Load { inference: 200.0, ..LOAD };
        is(load.share(), [2.2, 10.0 / 3.0, 20.0 / 3.0, 0.2 + 200.0 * 10.0 / 3.0 / 1000.0]);
        assert!(load.share().taken <= 1.0);
        is(Load { inference: 80.0, ..LOAD }.share(), [1.0, 10.0, 0.0, 1.0]);
        is(Load { inference: 81.0, ..LOAD }.share(), [1.01, 5.0, 5.0, 0.605]);
    }

    #[test]
    fn a_front_end_that_does_not_keep_up_leaves_nothing() {
        is(Load { hop: 100.0, ..LOAD }.share(), [1.4, 0.0, 10.0, 1.0]);
    }
}
