//! What one case of a spatial operator looks like.

use super::outcome::Case;
use crate::kernels::params::Window;
use crate::shape::{Layout, View};

/// Both layouts for input and output, in all combinations.
pub const LAYOUTS: [(Layout, Layout); 4] = [
    (Layout::Nhwc, Layout::Nhwc),
    (Layout::Nhwc, Layout::Planar),
    (Layout::Planar, Layout::Nhwc),
    (Layout::Planar, Layout::Planar),
];

/// Which values a case's inputs have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// The whole range.
    Random,
    /// Inputs and weights in [-2, 2], so that factors above 1 do not saturate.
    Small,
    /// Input -128 and weights 127 everywhere.
    Lowest,
    /// Input 127 and weights 127 everywhere.
    Highest,
}

/// Quantization of a case.
#[derive(Clone, Copy, Debug)]
pub struct Numbers {
    /// Zero point of the input.
    pub input_zero_point: i8,
    /// Zero point of the output.
    pub output_zero_point: i8,
    /// Lower clamp.
    pub output_min: i8,
    /// Upper clamp.
    pub output_max: i8,
    /// Left shift of the requantization.
    pub shift: u8,
    /// Input and weights.
    pub values: Values,
}

impl Numbers {
    /// Nothing special.
    pub const ORDINARY: Self = Self {
        input_zero_point: -5,
        output_zero_point: 3,
        output_min: -128,
        output_max: 127,
        shift: 0,
        values: Values::Random,
    };
}

/// A case of a convolution or of pooling.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Height, width and channels of the input.
    pub input: (usize, usize, usize),
    /// Channels of the output.
    pub c_out: usize,
    /// Height and width of the filter.
    pub filter: (usize, usize),
    /// Strides along height and width.
    pub stride: (usize, usize),
    /// Dilations along height and width.
    pub dilation: (usize, usize),
    /// Padding above, left, below, right.
    pub padding: [usize; 4],
    /// Groups of a convolution.
    pub groups: usize,
    /// Layouts of input and output.
    pub layouts: (Layout, Layout),
    /// Quantization.
    pub numbers: Numbers,
    /// Whether every range of rows is computed by itself, and not only the whole and one split of it.
    pub every_range: bool,
}

impl Spec {
    /// A filter of one element with stride 1 and no padding.
    pub const fn new(input: (usize, usize, usize), c_out: usize) -> Self {
        Self {
            input,
            c_out,
            filter: (1, 1),
            stride: (1, 1),
            dilation: (1, 1),
            padding: [0; 4],
            groups: 1,
            layouts: (Layout::Nhwc, Layout::Nhwc),
            numbers: Numbers::ORDINARY,
            every_range: false,
        }
    }

    /// The same with another filter.
    pub const fn filter(self, h: usize, w: usize) -> Self {
        Self { filter: (h, w), ..self }
    }

    /// The same with another stride.
    pub const fn stride(self, h: usize, w: usize) -> Self {
        Self { stride: (h, w), ..self }
    }

    /// The same with another dilation.
    pub const fn dilation(self, h: usize, w: usize) -> Self {
        Self { dilation: (h, w), ..self }
    }

    /// The same with padding above, left, below, right.
    pub const fn padding(self, padding: [usize; 4]) -> Self {
        Self { padding, ..self }
    }

    /// The same with groups.
    pub const fn groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    /// The same in other layouts.
    pub const fn layouts(self, layouts: (Layout, Layout)) -> Self {
        Self { layouts, ..self }
    }

    /// The same with another quantization.
    pub const fn numbers(self, numbers: Numbers) -> Self {
        Self { numbers, ..self }
    }

    /// The same, computed in every range of rows.
    pub const fn every_range(self) -> Self {
        Self { every_range: true, ..self }
    }

    /// The window as the kernels take it.
    pub const fn window(&self) -> Window {
        Window {
            filter_h: self.filter.0,
            filter_w: self.filter.1,
            stride_h: self.stride.0,
            stride_w: self.stride.1,
            dilation_h: self.dilation.0,
            dilation_w: self.dilation.1,
            pad_top: self.padding[0],
            pad_left: self.padding[1],
        }
    }

    /// Views and window. An axis shorter than the filter gives no output.
    pub fn case(&self) -> Case {
        let [top, left, bottom, right] = self.padding;
        let axis = |len: usize, filter: usize, stride: usize, dilation: usize| match len
            .checked_sub((filter - 1) * dilation + 1)
        {
            Some(room) => room / stride + 1,
            None => 0,
        };
        let (h, w, c) = self.input;
        let output_h = axis(h + top + bottom, self.filter.0, self.stride.0, self.dilation.0);
        let output_w = axis(w + left + right, self.filter.1, self.stride.1, self.dilation.1);
        Case {
            input: View::new(h, w, c, self.layouts.0),
            output: View::new(output_h, output_w, self.c_out, self.layouts.1),
            window: Some(self.window()),
            groups: self.groups,
        }
    }
}
