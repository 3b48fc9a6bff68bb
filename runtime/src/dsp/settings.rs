//! The header of a front-end blob: what the front end is.
//!
//! The byte table and the version rule stand in `docs/front-end.md`. Reading is `const`, so that the sizes which
//! a front end needs are known when the firmware is built.

use super::blob_error::BlobError;
use super::kinds::{Compression, Kind, LOG_FRAC_BITS, Level, MAX_PEAKS, MAX_SECTIONS, Stat};
use super::rfft;

/// First four bytes of a front-end blob.
pub const MAGIC: [u8; 4] = *b"TFFE";

/// The one version of the blob that this code reads.
pub const VERSION: u16 = 2;

/// Length of the header; the tables follow it.
pub const HEADER_BYTES: usize = 96;

/// Most features that a window may hold. Sums over a window then fit in 32 bits.
pub const MAX_WINDOW_FEATURES: usize = 32_768;

/// Most factors of a resampling filter, over all its phases.
pub const MAX_RESAMPLING_FACTORS: usize = 32_768;

/// What happens to samples before they are cut into frames. All zeros: nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conditioning {
    /// Rate of the samples that are pushed, in thousandths of a hertz; 0 for images.
    pub input_rate_millihertz: u32,
    /// Samples that come out of resampling for each [`Self::resample_down`] that go in; 0 for no resampling.
    pub resample_up: u16,
    /// See [`Self::resample_up`].
    pub resample_down: u16,
    /// Samples that one output of the resampling is computed from.
    pub resample_taps: u16,
    /// Second-order sections.
    pub sections: u8,
    /// The running mean that is subtracted has a time constant of 2 to this power samples; 0 for none.
    pub dc_shift: u8,
    /// What is subtracted of the sample before, Q15.
    pub pre_emphasis: u16,
}

/// Constants of the per-channel energy normalization. All zeros without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PcenSettings {
    /// Weight of the newest energy in the smoothed one, Q16.
    pub smoothing: u16,
    /// Power of the smoothed energy that an energy is divided by, Q15, at most 1.
    pub gain: u16,
    /// What is added before the root, Q16, below 2^26.
    pub bias: u32,
    /// Power that is taken at last, Q15, above 0 and at most 1.
    pub root: u16,
}

/// The header of a front-end blob, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What is computed.
    pub kind: Kind,
    /// Samples per instant (axes of an accelerometer, channels of an image), interleaved.
    pub axes: u8,
    /// Sample rate of frames in thousandths of a hertz; 0 for images.
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
    /// First bin of the power spectrum that bands and peaks use.
    pub first_bin: u16,
    /// One past the last bin that bands and peaks use.
    pub end_bin: u16,
    /// Bits of the statistics that a frame holds, see [`Stat::bit`].
    pub stats: u16,
    /// Spectral peaks of each axis.
    pub peaks: u8,
    /// What is subtracted from a window.
    pub level: Level,
    /// The vector magnitude counts as one more axis.
    pub magnitude: bool,
    /// The window keeps features of 16 bits although no level is subtracted.
    pub wide: bool,
    /// How the energy of a band becomes a feature.
    pub compression: Compression,
    /// Constants of [`Compression::Pcen`].
    pub pcen: PcenSettings,
    /// What happens to samples before they are cut into frames.
    pub conditioning: Conditioning,
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

/// Two bytes of a header.
const fn u16_at(h: &[u8; HEADER_BYTES], at: usize) -> u16 {
    u16::from_le_bytes([h[at], h[at + 1]])
}

/// Four bytes of a header.
const fn u32_at(h: &[u8; HEADER_BYTES], at: usize) -> u32 {
    u32::from_le_bytes([h[at], h[at + 1], h[at + 2], h[at + 3]])
}

impl Settings {
    /// Reads and checks the header. The length of the blob is compared with what the header states; the values of
    /// the tables are checked by [`super::FrontEnd::new`].
    ///
    /// # Errors
    /// [`BlobError`] with the byte offset of the first field that cannot be.
    pub const fn read(blob: &[u8]) -> Result<Settings, BlobError> {
        let [a, b, c, d, low, high, ..] = blob else { return Err(BlobError::TooShort) };
        if *a != MAGIC[0] || *b != MAGIC[1] || *c != MAGIC[2] || *d != MAGIC[3] {
            return Err(BlobError::NotAFrontEnd);
        }
        let version = u16::from_le_bytes([*low, *high]);
        if version != VERSION {
            return Err(BlobError::UnsupportedVersion(version));
        }
        let Some(h) = blob.first_chunk::<HEADER_BYTES>() else {
            return Err(BlobError::TooShort);
        };
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
        let compression = match h[47] {
            0 => Compression::Log,
            1 => Compression::Pcen,
            _ => return Err(BlobError::BadField(47)),
        };
        let settings = Settings {
            kind,
            axes: h[7],
            rate_millihertz: u32_at(h, 12),
            frame_len: u16_at(h, 16),
            hop_len: u16_at(h, 18),
            fft_len: u16_at(h, 20),
            bands: u16_at(h, 22),
            coefficients: u16_at(h, 24),
            features: u16_at(h, 26),
            window_frames: u16_at(h, 28),
            stride_frames: u16_at(h, 30),
            first_bin: u16_at(h, 32),
            end_bin: u16_at(h, 34),
            stats: u16_at(h, 36),
            peaks: h[46],
            level,
            magnitude: h[39] & 1 != 0,
            wide: h[39] & 2 != 0,
            compression,
            pcen: PcenSettings {
                smoothing: u16_at(h, 66),
                gain: u16_at(h, 68),
                root: u16_at(h, 70),
                bias: u32_at(h, 72),
            },
            conditioning: Conditioning {
                input_rate_millihertz: u32_at(h, 52),
                resample_up: u16_at(h, 56),
                resample_down: u16_at(h, 58),
                resample_taps: u16_at(h, 60),
                sections: h[62],
                dc_shift: h[63],
                pre_emphasis: u16_at(h, 64),
            },
            floor_log2: h[40] as i8,
            shift: h[41],
            zero_point: h[42] as i8,
            range_log2: h[43],
            requantize_len: u16_at(h, 44),
        };
        if let Some(offset) = settings.first_bad_field() {
            return Err(BlobError::BadField(offset));
        }
        let (_, mut rest) = h.split_at(76);
        while let Some((byte, more)) = rest.split_first() {
            if *byte != 0 {
                return Err(BlobError::BadField(76));
            }
            rest = more;
        }
        if u32_at(h, 48) as usize != settings.workspace_words() {
            return Err(BlobError::BadField(48));
        }
        let stated = u32_at(h, 8) as usize;
        if stated != settings.tables().end {
            return Err(BlobError::BadField(8));
        }
        if blob.len() < stated {
            return Err(BlobError::TooShort);
        }
        Ok(settings)
    }

    /// Whether frames are transformed into spectra.
    pub const fn has_spectrum(&self) -> bool {
        match self.kind {
            Kind::LogMel | Kind::Mfcc => true,
            Kind::MotionStats => self.bands > 0 || self.peaks > 0,
            Kind::Image | Kind::RawWindow => false,
        }
    }

    /// Byte offset of the first field that is out of range or contradicts another one.
    const fn first_bad_field(&self) -> Option<u8> {
        let has_fft = self.has_spectrum();
        let audio = matches!(self.kind, Kind::LogMel | Kind::Mfcc);
        let motion = matches!(self.kind, Kind::MotionStats);
        if self.axes == 0 || self.axes > 16 || (audio && self.axes != 1) {
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
        if self.bands > 256 || (audio && self.bands == 0) || (!audio && !motion && self.bands != 0) {
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
        if self.stats >= 1 << Stat::ALL.len() || (self.stats != 0 && !motion) {
            return Some(36);
        }
        if self.magnitude && !motion {
            return Some(39);
        }
        if self.floor_log2 < -32 || self.floor_log2 > 48 {
            return Some(40);
        }
        if self.shift > 15 {
            return Some(41);
        }
        let logarithms = matches!(self.kind, Kind::LogMel) && matches!(self.compression, Compression::Log);
        if self.range_log2 > 64
            || (self.range_log2 != 0 && !(logarithms && matches!(self.level, Level::Peak)))
        {
            return Some(43);
        }
        if self.requantize_len != 1 && self.requantize_len != self.features {
            return Some(44);
        }
        if self.peaks as usize > MAX_PEAKS || (self.peaks != 0 && !motion) {
            return Some(46);
        }
        if matches!(self.compression, Compression::Pcen) && !matches!(self.kind, Kind::LogMel) {
            return Some(47);
        }
        if let Some(offset) = self.first_bad_conditioning() {
            return Some(offset);
        }
        self.first_bad_normalization()
    }

    const fn first_bad_conditioning(&self) -> Option<u8> {
        let c = &self.conditioning;
        let image = matches!(self.kind, Kind::Image);
        let resampled = c.resample_up != 0;
        if resampled != (c.input_rate_millihertz != self.rate_millihertz) {
            return Some(52);
        }
        if resampled && (image || c.resample_up > 4096) {
            return Some(56);
        }
        if resampled != (c.resample_down != 0) || c.resample_down > 4096 {
            return Some(58);
        }
        if resampled != (c.resample_taps != 0)
            || c.resample_up as usize * c.resample_taps as usize > MAX_RESAMPLING_FACTORS
        {
            return Some(60);
        }
        if c.sections as usize > MAX_SECTIONS || (image && c.sections != 0) {
            return Some(62);
        }
        if c.dc_shift > 15 || (image && c.dc_shift != 0) {
            return Some(63);
        }
        if c.pre_emphasis > 32_768 || (image && c.pre_emphasis != 0) {
            return Some(64);
        }
        None
    }

    const fn first_bad_normalization(&self) -> Option<u8> {
        let p = &self.pcen;
        if matches!(self.compression, Compression::Log) {
            let unused = p.smoothing == 0 && p.gain == 0 && p.root == 0 && p.bias == 0;
            return if unused { None } else { Some(66) };
        }
        if p.smoothing == 0 {
            return Some(66);
        }
        if p.gain > 32_768 {
            return Some(68);
        }
        if p.root == 0 || p.root > 32_768 {
            return Some(70);
        }
        if p.bias >= 1 << 26 {
            return Some(72);
        }
        if self.floor_log2 < 4 { Some(40) } else { None }
    }

    const fn expected_features(&self) -> usize {
        match self.kind {
            Kind::Image | Kind::RawWindow => self.axes as usize,
            Kind::MotionStats => self.analysed_axes() * self.features_per_axis(),
            Kind::LogMel => self.bands as usize,
            Kind::Mfcc => self.coefficients as usize,
        }
    }

    /// Features of one axis of motion statistics: statistics, bands, two per peak.
    pub const fn features_per_axis(&self) -> usize {
        self.stats.count_ones() as usize + self.bands as usize + 2 * self.peaks as usize
    }

    /// Axes that statistics are computed of: the sensor's, and the magnitude where it is asked for.
    pub const fn analysed_axes(&self) -> usize {
        self.axes as usize + self.magnitude as usize
    }

    /// Features of a whole window, which is the number of elements of the model input.
    pub const fn window_features(&self) -> usize {
        self.window_frames as usize * self.features as usize
    }

    /// Instants from the first sample of a window's first frame to the last sample of its last frame, at the rate of
    /// frames.
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
}
