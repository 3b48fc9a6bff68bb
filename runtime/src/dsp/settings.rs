//! The header of a front-end blob: what the front end is, how large everything in it is.
//!
//! The byte table and the version rule stand in `docs/front-end.md`. Reading is `const`, so that the sizes which
//! a front end needs are known when the firmware is built.

use super::rfft;

/// First four bytes of a front-end blob.
pub const MAGIC: [u8; 4] = *b"TFFE";

/// The one version of the blob that this code reads.
pub const VERSION: u16 = 1;

/// Length of the header; the tables follow it.
pub const HEADER_BYTES: usize = 64;

/// Fractional bits of a feature that is a base-2 logarithm (log-mel bands, band power of motion statistics).
pub const LOG_FRAC_BITS: u32 = 9;

/// Fractional bits of a cepstral coefficient.
pub const CEPSTRUM_FRAC_BITS: u32 = 6;

/// A pixel `p` becomes the feature `p << PIXEL_FRAC_BITS`.
pub const PIXEL_FRAC_BITS: u32 = 7;

/// Most features that a window may hold. Sums over a window then fit in 32 bits.
pub const MAX_WINDOW_FEATURES: usize = 32_768;

/// What a front end computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Kind {
    /// Pixels of 8 bits, quantized; no frames.
    Image = 1,
    /// A window of samples per axis, decimated by averaging.
    RawWindow = 2,
    /// Statistics and band powers per axis.
    MotionStats = 3,
    /// Logarithms of filter-bank energies.
    LogMel = 4,
    /// Cosine transform of logarithms of filter-bank energies.
    Mfcc = 5,
}

/// What is subtracted from the features of a window before they are quantized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Level {
    /// Nothing.
    None = 0,
    /// The mean of all features of the window.
    Mean = 1,
    /// For each feature its own mean over the frames of the window.
    FeatureMean = 2,
    /// The largest feature of the window.
    Peak = 3,
}

/// One statistic of an axis; the discriminant is its bit in the blob's `stats` field and gives the order of features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stat {
    /// Mean, in counts.
    Mean = 0,
    /// Standard deviation, in counts.
    Std = 1,
    /// Root of the mean square, in counts.
    Rms = 2,
    /// Smallest sample.
    Min = 3,
    /// Largest sample.
    Max = 4,
    /// Number of changes of side of the mean.
    Crossings = 5,
}

impl Stat {
    /// All statistics, in the order in which their features stand in a frame.
    pub const ALL: [Stat; 6] = [Stat::Mean, Stat::Std, Stat::Rms, Stat::Min, Stat::Max, Stat::Crossings];

    /// The bit of this statistic in the `stats` field.
    pub const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// Why bytes are no front-end blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum BlobError {
    /// Fewer bytes than the header has or states.
    TooShort,
    /// The first four bytes are not [`MAGIC`].
    NotAFrontEnd,
    /// A version that this code does not read.
    UnsupportedVersion(u16),
    /// The header field at this byte offset holds a value that is not allowed, or that contradicts another field.
    BadField(u8),
    /// The blob does not begin on a four-byte boundary.
    Misaligned,
    /// The table that starts at this byte offset holds a value that is not allowed.
    BadTable(u32),
}

impl core::fmt::Display for BlobError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            BlobError::TooShort => write!(f, "front-end blob: fewer bytes than its header states"),
            BlobError::NotAFrontEnd => write!(f, "front-end blob: the first four bytes are not 'TFFE'"),
            BlobError::UnsupportedVersion(v) => {
                write!(
                    f,
                    "front-end blob: version {v}, this code reads version {VERSION}; compile the model again"
                )
            }
            BlobError::BadField(at) => {
                write!(f, "front-end blob: the header field at byte {at} is not valid")
            }
            BlobError::Misaligned => write!(f, "front-end blob: it must begin on a four-byte boundary"),
            BlobError::BadTable(at) => write!(f, "front-end blob: the table at byte {at} is not valid"),
        }
    }
}

impl core::error::Error for BlobError {}

/// The header of a front-end blob, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What is computed.
    pub kind: Kind,
    /// Samples per instant (axes of an accelerometer, channels of an image), interleaved.
    pub axes: u8,
    /// Sample rate in thousandths of a hertz; 0 for images.
    pub rate_millihertz: u32,
    /// Instants analysed together.
    pub frame_len: u16,
    /// Instants between the starts of two frames.
    pub hop_len: u16,
    /// Length of the Fourier transform; 0 where there is none.
    pub fft_len: u16,
    /// Bands of the filter bank (per axis for motion statistics); 0 where there is none.
    pub bands: u16,
    /// Cepstral coefficients; 0 where there is no cosine transform.
    pub coefficients: u16,
    /// Features of one frame.
    pub features: u16,
    /// Frames that the model sees.
    pub window_frames: u16,
    /// Frames between two inferences.
    pub stride_frames: u16,
    /// First bin of the power spectrum that the filter bank uses.
    pub first_bin: u16,
    /// One past the last bin that the filter bank uses.
    pub end_bin: u16,
    /// Bits of the statistics that a frame holds, see [`Stat::bit`].
    pub stats: u16,
    /// What is subtracted from a window.
    pub level: Level,
    /// The vector magnitude counts as one more axis.
    pub magnitude: bool,
    /// The window keeps features of 16 bits although no level is subtracted.
    pub wide: bool,
    /// Base-2 logarithm of the energy that is added to each band before the logarithm.
    pub floor_log2: i8,
    /// Features further below the level than this are raised to it, in octaves of energy; 0 for no limit.
    pub range_log2: u8,
    /// Left shift of the requantization.
    pub shift: u8,
    /// Zero point of the model input.
    pub zero_point: i8,
    /// Entries of the requantization table: 1, or one per feature.
    pub requantize_len: u16,
}

/// Offsets of the tables in a blob, in bytes; `end` is the length of the blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableOffsets {
    /// Multiplier and offset per feature.
    pub requantize: usize,
    /// Half of the Hann window.
    pub hann: usize,
    /// Twiddle factors.
    pub twiddles: usize,
    /// Bins where the segments of the filter bank begin.
    pub edges: usize,
    /// Weight of each bin.
    pub weights: usize,
    /// Cosine table.
    pub dct: usize,
    /// Length of the blob.
    pub end: usize,
}

const fn u16_at(low: u8, high: u8) -> u16 {
    u16::from_le_bytes([low, high])
}

const fn padded(bytes: usize) -> usize {
    (bytes + 3) & !3
}

const fn words_for(bytes: usize) -> usize {
    bytes.div_ceil(4)
}

impl Settings {
    /// Reads and checks the header. The length of the blob is compared with what the header states; the values of
    /// the tables are checked by [`super::FrontEnd::new`].
    ///
    /// # Errors
    /// [`BlobError`] with the byte offset of the first field that cannot be.
    pub const fn read(blob: &[u8]) -> Result<Settings, BlobError> {
        let Some(h) = blob.first_chunk::<HEADER_BYTES>() else {
            return Err(BlobError::TooShort);
        };
        if h[0] != MAGIC[0] || h[1] != MAGIC[1] || h[2] != MAGIC[2] || h[3] != MAGIC[3] {
            return Err(BlobError::NotAFrontEnd);
        }
        let version = u16_at(h[4], h[5]);
        if version != VERSION {
            return Err(BlobError::UnsupportedVersion(version));
        }
        let kind = match h[6] {
            1 => Kind::Image,
            2 => Kind::RawWindow,
            3 => Kind::MotionStats,
            4 => Kind::LogMel,
            5 => Kind::Mfcc,
            _ => return Err(BlobError::BadField(6)),
        };
        let level = match h[38] {
            0 => Level::None,
            1 => Level::Mean,
            2 => Level::FeatureMean,
            3 => Level::Peak,
            _ => return Err(BlobError::BadField(38)),
        };
        if h[39] > 3 {
            return Err(BlobError::BadField(39));
        }
        let settings = Settings {
            kind,
            axes: h[7],
            rate_millihertz: u32::from_le_bytes([h[12], h[13], h[14], h[15]]),
            frame_len: u16_at(h[16], h[17]),
            hop_len: u16_at(h[18], h[19]),
            fft_len: u16_at(h[20], h[21]),
            bands: u16_at(h[22], h[23]),
            coefficients: u16_at(h[24], h[25]),
            features: u16_at(h[26], h[27]),
            window_frames: u16_at(h[28], h[29]),
            stride_frames: u16_at(h[30], h[31]),
            first_bin: u16_at(h[32], h[33]),
            end_bin: u16_at(h[34], h[35]),
            stats: u16_at(h[36], h[37]),
            level,
            magnitude: h[39] & 1 != 0,
            wide: h[39] & 2 != 0,
            floor_log2: h[40] as i8,
            shift: h[41],
            zero_point: h[42] as i8,
            range_log2: h[43],
            requantize_len: u16_at(h[44], h[45]),
        };
        if let Some(offset) = settings.first_bad_field() {
            return Err(BlobError::BadField(offset));
        }
        let mut reserved = h[46] | h[47];
        let (_, tail) = h.split_at(52);
        let mut rest = tail;
        while let Some((byte, more)) = rest.split_first() {
            reserved |= *byte;
            rest = more;
        }
        if reserved != 0 {
            return Err(BlobError::BadField(46));
        }
        if u32::from_le_bytes([h[48], h[49], h[50], h[51]]) as usize != settings.workspace_words() {
            return Err(BlobError::BadField(48));
        }
        let stated = u32::from_le_bytes([h[8], h[9], h[10], h[11]]) as usize;
        if stated != settings.tables().end {
            return Err(BlobError::BadField(8));
        }
        if blob.len() < stated {
            return Err(BlobError::TooShort);
        }
        Ok(settings)
    }

    /// Byte offset of the first field that is out of range or contradicts another one.
    const fn first_bad_field(&self) -> Option<u8> {
        let has_fft = match self.kind {
            Kind::LogMel | Kind::Mfcc => true,
            Kind::MotionStats => self.bands > 0,
            _ => false,
        };
        if self.axes == 0 || self.axes > 16 {
            return Some(7);
        }
        if matches!(self.kind, Kind::LogMel | Kind::Mfcc) && self.axes != 1 {
            return Some(7);
        }
        if self.frame_len == 0 || self.frame_len > 8192 || (has_fft && self.frame_len > self.fft_len) {
            return Some(16);
        }
        if self.hop_len == 0 {
            return Some(18);
        }
        if has_fft != (self.fft_len != 0) || (has_fft && !rfft::is_supported_len(self.fft_len)) {
            return Some(20);
        }
        if self.bands > 256 || (has_fft != (self.bands != 0)) {
            return Some(22);
        }
        if matches!(self.kind, Kind::Mfcc) != (self.coefficients != 0) || self.coefficients > self.bands {
            return Some(24);
        }
        if self.features as usize != self.expected_features() || self.features == 0 {
            return Some(26);
        }
        if self.window_frames == 0
            || self.window_frames as usize * self.features as usize > MAX_WINDOW_FEATURES
        {
            return Some(28);
        }
        if self.stride_frames == 0 {
            return Some(30);
        }
        if self.first_bin > self.end_bin || (has_fft != (self.end_bin > self.first_bin)) {
            return Some(32);
        }
        if self.end_bin > self.fft_len / 2 {
            return Some(34);
        }
        if self.stats >= 1 << Stat::ALL.len() || (self.stats != 0 && !matches!(self.kind, Kind::MotionStats))
        {
            return Some(36);
        }
        if self.magnitude && !matches!(self.kind, Kind::MotionStats) {
            return Some(39);
        }
        if self.floor_log2 < -32 || self.floor_log2 > 48 {
            return Some(40);
        }
        if self.shift > 15 {
            return Some(41);
        }
        let ranged = matches!(self.kind, Kind::LogMel) && matches!(self.level, Level::Peak);
        if self.range_log2 > 64 || (self.range_log2 != 0 && !ranged) {
            return Some(43);
        }
        if self.requantize_len != 1 && self.requantize_len != self.features {
            return Some(44);
        }
        None
    }

    const fn expected_features(&self) -> usize {
        match self.kind {
            Kind::Image | Kind::RawWindow => self.axes as usize,
            Kind::MotionStats => {
                self.analysed_axes() * (self.stats.count_ones() as usize + self.bands as usize)
            }
            Kind::LogMel => self.bands as usize,
            Kind::Mfcc => self.coefficients as usize,
        }
    }

    /// Axes that statistics are computed of: the sensor's, and the magnitude where it is asked for.
    pub const fn analysed_axes(&self) -> usize {
        self.axes as usize + self.magnitude as usize
    }

    /// Features of a whole window, which is the number of elements of the model input.
    pub const fn window_features(&self) -> usize {
        self.window_frames as usize * self.features as usize
    }

    /// Instants from the first sample of a window's first frame to the last sample of its last frame.
    pub const fn window_samples(&self) -> usize {
        (self.window_frames as usize - 1) * self.hop_len as usize + self.frame_len as usize
    }

    /// Whether the window keeps features of 16 bits; otherwise it keeps quantized ones.
    pub const fn keeps_features(&self) -> bool {
        self.wide || !matches!(self.level, Level::None)
    }

    /// Least feature of a window above its level.
    pub(super) const fn least(&self) -> i32 {
        if self.range_log2 == 0 { i32::MIN } else { -((self.range_log2 as i32) << LOG_FRAC_BITS) }
    }

    /// Words of 32 bits that the sample ring takes.
    pub(super) const fn ring_words(&self) -> usize {
        if matches!(self.kind, Kind::Image) {
            0
        } else {
            words_for(self.frame_len as usize * self.axes as usize * 2)
        }
    }

    /// Words of 32 bits that the spectrum takes.
    pub(super) const fn spectrum_words(&self) -> usize {
        self.fft_len as usize / 2
    }

    /// Words of 32 bits that the features of the newest frame take, with the bands that a cosine transform reads.
    pub(super) const fn frame_words(&self) -> usize {
        let bands = if matches!(self.kind, Kind::Mfcc) { self.bands as usize } else { 0 };
        if matches!(self.kind, Kind::Image) { 0 } else { words_for((self.features as usize + bands) * 2) }
    }

    /// Words of 32 bits that the feature window takes.
    pub(super) const fn window_words(&self) -> usize {
        let bytes = if self.keeps_features() { 2 } else { 1 };
        if matches!(self.kind, Kind::Image) { 0 } else { words_for(self.window_features() * bytes) }
    }

    /// Words of 32 bits that [`super::FrontEnd::new`] needs as its workspace.
    pub const fn workspace_words(&self) -> usize {
        self.ring_words() + self.spectrum_words() + self.frame_words() + self.window_words()
    }

    /// The same in bytes.
    pub const fn workspace_bytes(&self) -> usize {
        self.workspace_words() * 4
    }

    /// Where the tables begin. They follow the header in this order, each padded to four bytes.
    pub const fn tables(&self) -> TableOffsets {
        let has_fft = self.fft_len != 0;
        let requantize = HEADER_BYTES;
        let hann = requantize + self.requantize_len as usize * 8;
        let twiddles = hann + if has_fft { padded((self.frame_len as usize / 2 + 1) * 2) } else { 0 };
        let edges = twiddles + if has_fft { rfft::twiddle_words(self.fft_len) * 4 } else { 0 };
        let weights = edges + if has_fft { padded((self.bands as usize + 2) * 2) } else { 0 };
        let dct = weights + padded((self.end_bin - self.first_bin) as usize * 2);
        let end = dct + padded(self.coefficients as usize * self.bands as usize * 2);
        TableOffsets { requantize, hann, twiddles, edges, weights, dct, end }
    }
}
