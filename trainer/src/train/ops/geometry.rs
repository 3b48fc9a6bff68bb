//! Where the window of a convolution or pooling lies.

use std::ops::Range;

/// The geometry of a sliding window over an `[h, w, c]` image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Height and width of the input.
    pub input: [usize; 2],
    /// Channels of the input.
    pub channels: usize,
    /// Height and width of the window.
    pub kernel: [usize; 2],
    /// Steps of the window.
    pub stride: [usize; 2],
    /// Rows above and columns left of the input that are read as zero.
    pub pad: [usize; 2],
    /// Height and width of the output.
    pub output: [usize; 2],
}

impl Geometry {
    /// Elements of one input image.
    pub fn input_len(&self) -> usize {
        self.input[0] * self.input[1] * self.channels
    }

    /// Positions of the window.
    pub fn positions(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Elements under the window in one channel.
    pub fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// The taps of the window at output position `at` along `axis` that lie inside the input, and the input
    /// position of the first.
    pub fn inside(&self, axis: usize, at: usize) -> (Range<usize>, usize) {
        let start = at * self.stride[axis];
        let first = self.pad[axis].saturating_sub(start).min(self.kernel[axis]);
        let last = (self.input[axis] + self.pad[axis]).saturating_sub(start).min(self.kernel[axis]);
        (first..last.max(first), (start + first).saturating_sub(self.pad[axis]))
    }

    /// Calls `f(position, tap, input pixel)` for every output position and tap inside the input.
    pub fn for_each(&self, mut f: impl FnMut(usize, usize, usize)) {
        for oy in 0..self.output[0] {
            let (rows, iy) = self.inside(0, oy);
            for ox in 0..self.output[1] {
                let (columns, ix) = self.inside(1, ox);
                for (y, ky) in rows.clone().enumerate() {
                    for (x, kx) in columns.clone().enumerate() {
                        f(
                            oy * self.output[1] + ox,
                            ky * self.kernel[1] + kx,
                            (iy + y) * self.input[1] + ix + x,
                        );
                    }
                }
            }
        }
    }
}
