//! The signal that an emulated board's sensor measures, as its programs find it in memory
//! (`firmware/emulated/src/signal.rs`).

/// What an emulated sensor measures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    /// 3 for the accelerometer, 1 for the microphone.
    pub axes: u32,
    /// Instants per 1000 seconds.
    pub rate_millihertz: u32,
    /// All axes of an instant side by side: 256 counts per g, or full scale 32,768.
    pub samples: Vec<i16>,
}

impl Signal {
    /// The bytes that the emulator lays into memory.
    pub fn to_job(&self) -> Vec<u8> {
        let instants = self.samples.len() as u32 / self.axes.max(1);
        let mut bytes = b"TSIG".to_vec();
        for number in [self.axes, self.rate_millihertz, instants] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        let samples = self.samples.iter().take((instants * self.axes) as usize);
        bytes.extend(samples.flat_map(|sample| sample.to_le_bytes()));
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_instants_are_given() {
        let signal = Signal { axes: 3, rate_millihertz: 0x0102_0304, samples: vec![1, 2, 3, -1] };
        let job = signal.to_job();
        assert_eq!(&job[..16], [b'T', b'S', b'I', b'G', 3, 0, 0, 0, 4, 3, 2, 1, 1, 0, 0, 0]);
        assert_eq!(&job[16..], [1, 0, 2, 0, 3, 0]);
    }
}
