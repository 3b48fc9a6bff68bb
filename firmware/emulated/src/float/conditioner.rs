//! What happens to samples before they are cut into frames, in floating point: resampling, removal of the mean, filters,
//! pre-emphasis.

/// One second-order section: factors of the newest three inputs, then of the last two outputs.
pub type Section = [f32; 5];

/// Settings and tables of a polyphase filter.
#[derive(Clone, Copy, Debug, Default)]
pub struct Resampling<'a> {
    /// Outputs for each [`Self::down`] inputs; 0 for no resampling.
    pub up: usize,
    /// See [`Self::up`].
    pub down: usize,
    /// Inputs that an output is computed from.
    pub taps: usize,
    /// `up` rows of `taps` factors, the oldest input's first.
    pub factors: &'a [f32],
}

/// Settings of all stages.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings<'a> {
    /// Change of the sample rate.
    pub resampling: Resampling<'a>,
    /// Part of the difference from the running mean by which it moves with each sample; 0 for none.
    pub mean_part: f32,
    /// In the order of the signal's way.
    pub sections: &'a [Section],
    /// The part of the sample before that is subtracted; 0 for none.
    pub pre_emphasis: f32,
}

/// Memory of all stages, for each axis one after another.
#[derive(Debug)]
pub struct Memory<'a> {
    /// For each axis the `taps - 1` newest inputs, and behind them as many as are taken at once.
    pub inputs: &'a mut [f32],
    /// Running means.
    pub means: &'a mut [f32],
    /// Both values of each section's state.
    pub states: &'a mut [[f32; 2]],
    /// Samples before the newest.
    pub before: &'a mut [f32],
}

/// The stages at work.
#[derive(Debug)]
pub struct Conditioner<'a> {
    settings: Settings<'a>,
    memory: Memory<'a>,
    axes: usize,
    /// How far the next output is behind the input after the last, in parts of `up`.
    phase: usize,
    begun: bool,
}

impl<'a> Conditioner<'a> {
    /// The memory has the lengths that its fields tell.
    pub fn new(settings: Settings<'a>, memory: Memory<'a>, axes: usize) -> Self {
        Conditioner { settings, memory, axes, phase: 0, begun: false }
    }

    /// Conditions samples, whole instants, into the rings of all axes, of that length, from `at` on. Tells where the next instant goes.
    pub fn run(&mut self, samples: &[i16], rings: &mut [f32], ring_len: usize, at: usize) -> usize {
        let (mut end, mut phase) = (at, self.phase);
        for axis in 0..self.axes {
            let Some(ring) = rings.get_mut(axis * ring_len..(axis + 1) * ring_len) else { return at };
            let written = if self.settings.resampling.up > 0 {
                let (written, next) =
                    self.resample(axis, samples.iter().skip(axis).step_by(self.axes), ring, at);
                phase = next;
                written
            } else {
                let (start, end) = ring.split_at_mut(at);
                let mut from = axis;
                for to in end.iter_mut().chain(start) {
                    let Some(x) = samples.get(from) else { break };
                    *to = f32::from(*x);
                    from += self.axes;
                }
                samples.len() / self.axes
            };
            let behind = written.min(ring_len - at);
            let (start, rest) = ring.split_at_mut(at);
            let mut begun = self.begun;
            for block in [rest.get_mut(..behind), start.get_mut(..written - behind)].into_iter().flatten() {
                if !block.is_empty() {
                    self.filter(axis, block, begun);
                    begun = true;
                }
            }
            end = at + written;
        }
        self.phase = phase;
        self.begun = true;
        while end >= ring_len {
            end -= ring_len;
        }
        end
    }

    /// Returns how many samples it wrote to the ring, and the next phase.
    fn resample<'s>(
        &mut self,
        axis: usize,
        column: impl Iterator<Item = &'s i16>,
        ring: &mut [f32],
        at: usize,
    ) -> (usize, usize) {
        let Resampling { up, down, taps, factors } = self.settings.resampling;
        let len = self.memory.inputs.len() / self.axes;
        let Some(inputs) = self.memory.inputs.get_mut(axis * len..(axis + 1) * len) else { return (0, 0) };
        let mut taken = 0;
        for (to, x) in inputs.iter_mut().skip(taps - 1).zip(column) {
            *to = f32::from(*x);
            taken += 1;
        }
        let (mut first, mut phase, mut at, mut written) = (0, self.phase, at, 0);
        while phase >= up {
            phase -= up;
            first += 1;
        }
        while first < taken {
            let row = factors.get(phase * taps..(phase + 1) * taps).unwrap_or(&[]);
            let newest = inputs.get(first..first + taps).unwrap_or(&[]);
            if let Some(to) = ring.get_mut(at) {
                *to = product(row, newest);
            }
            at = if at + 1 == ring.len() { 0 } else { at + 1 };
            written += 1;
            phase += down;
            while phase >= up {
                phase -= up;
                first += 1;
            }
        }
        inputs.copy_within(taken..taken + taps - 1, 0);
        (written, phase + (first - taken) * up)
    }

    fn filter(&mut self, axis: usize, block: &mut [f32], begun: bool) {
        if let (Some(mean), true) = (self.memory.means.get_mut(axis), self.settings.mean_part > 0.0) {
            if !begun {
                *mean = block.first().copied().unwrap_or(0.0);
            }
            remove_mean(block, mean, self.settings.mean_part);
        }
        let n = self.settings.sections.len();
        let states = self.memory.states.get_mut(axis * n..(axis + 1) * n).unwrap_or(&mut []);
        let mut level = block.first().copied().unwrap_or(0.0);
        for (section, state) in self.settings.sections.iter().zip(states) {
            if !begun {
                level = settle(section, state, level);
            }
            biquad(section, state, block);
        }
        if let (Some(before), true) = (self.memory.before.get_mut(axis), self.settings.pre_emphasis > 0.0) {
            if !begun {
                *before = block.first().copied().unwrap_or(0.0);
            }
            emphasize(block, before, self.settings.pre_emphasis);
        }
    }
}

/// Sum of the products of two slices of the same length, in four sums, so that none waits for the one before.
fn product(a: &[f32], b: &[f32]) -> f32 {
    let ((fours, rest), (others, others_rest)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    let mut sums = [0.0_f32; 4];
    for ([a, b, c, d], [e, f, g, h]) in fours.iter().zip(others) {
        sums[0] += a * e;
        sums[1] += b * f;
        sums[2] += c * g;
        sums[3] += d * h;
    }
    let [a, b, c, d] = sums;
    rest.iter().zip(others_rest).fold((a + b) + (c + d), |sum, (a, b)| sum + a * b)
}

fn remove_mean(block: &mut [f32], mean: &mut f32, part: f32) {
    let mut now = *mean;
    for x in block {
        *x -= now;
        now += *x * part;
    }
    *mean = now;
}

/// The second transposed direct form.
fn biquad(&[b0, b1, b2, a1, a2]: &Section, state: &mut [f32; 2], block: &mut [f32]) {
    let [mut first, mut second] = *state;
    for x in block {
        let y = b0 * *x + first;
        first = b1 * *x - a1 * y + second;
        second = b2 * *x - a2 * y;
        *x = y;
    }
    *state = [first, second];
}

/// Puts a section in the state that a constant signal leaves, and returns its output: a low-pass passes it on, a high-pass gives 0.
fn settle(&[b0, b1, b2, _, a2]: &Section, state: &mut [f32; 2], level: f32) -> f32 {
    let after = if b1 > 0.0 { level } else { 0.0 };
    *state = [after - b0 * level, b2 * level - a2 * after];
    after
}

fn emphasize(block: &mut [f32], before: &mut f32, part: f32) {
    let mut last = *before;
    for x in block {
        let now = *x;
        *x = now - part * last;
        last = now;
    }
    *before = last;
}
