//! The form that a value has in the file.

/// How an ONNX tensor holds a value `[1, h, w, c]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `[1, c, h, w]`.
    Nchw,
    /// `[1, c]`, for `h = w = 1`.
    Vector,
    /// The value is a reshape to a vector of a tensor `[1, c, h, w]` with these sizes that has not
    /// been written down yet: a fully connected layer takes it with its columns reordered.
    Flattened {
        /// Rows.
        h: usize,
        /// Columns.
        w: usize,
        /// Channels.
        c: usize,
    },
}

impl Form {
    /// The usual form of a shape.
    pub fn of(nhwc: [usize; 4]) -> Form {
        if nhwc[1] == 1 && nhwc[2] == 1 { Form::Vector } else { Form::Nchw }
    }
}
