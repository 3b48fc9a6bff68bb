//! What a case class reports.

use core::fmt;
use core::ops::Range;

use crate::kernels::params::Window;
use crate::shape::{Layout, View};

/// Result of one case class on one kernel set.
#[allow(clippy::large_enum_variant)] // there is no allocator to box it
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Every element of every case equals the reference.
    Passed {
        /// Kernel calls compared.
        calls: u32,
    },
    /// The first difference.
    Failed(Failure),
}

/// The first element in which a kernel differs from the reference.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Kernel set.
    pub set: &'static str,
    /// Operator and case class.
    pub class: &'static str,
    /// What was computed.
    pub case: Case,
    /// Rows (or output elements) of the call.
    pub rows: Range<usize>,
    /// Where and how it differs.
    pub difference: Difference,
}

/// A difference between a kernel and the reference.
#[derive(Clone, Copy, Debug)]
pub enum Difference {
    /// One element.
    Element {
        /// Row.
        y: usize,
        /// Position in the row.
        x: usize,
        /// Channel.
        c: usize,
        /// The kernel's value.
        got: i8,
        /// The reference's value.
        expected: i8,
        /// The reference's accumulator, where the operator has one.
        acc: Option<i32>,
    },
    /// The kernel asks for more scratch than the suite has, so the case could not run.
    Scratch {
        /// Bytes that the kernel asks for.
        needed: usize,
    },
    /// The case does not fit the suite's buffers: a fault of the suite.
    Buffers,
}

/// Extents and window of a case, for the report.
#[derive(Clone, Copy, Debug, Default)]
pub struct Case {
    /// Input.
    pub input: View,
    /// Output.
    pub output: View,
    /// Window of spatial operators.
    pub window: Option<Window>,
    /// Groups of a convolution.
    pub groups: usize,
}

struct Shown(View);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let extent = self.0.extent;
        let layout = match self.0.layout {
            Layout::Nhwc => "nhwc",
            Layout::Planar => "planar",
        };
        write!(f, "{}x{}x{} {layout}", extent.h, extent.w, extent.c)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", Shown(self.input), Shown(self.output))?;
        if self.groups > 1 {
            write!(f, ", {} groups", self.groups)?;
        }
        let Some(w) = self.window else { return Ok(()) };
        write!(
            f,
            ", window {}x{} stride {}x{} dilation {}x{} padding {}+{}",
            w.filter_h, w.filter_w, w.stride_h, w.stride_w, w.dilation_h, w.dilation_w, w.pad_top, w.pad_left
        )
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}, rows {:?}: ", self.set, self.class, self.case, self.rows)?;
        match self.difference {
            Difference::Element { y, x, c, got, expected, acc } => {
                write!(f, "at y {y} x {x} c {c} got {got}, expected {expected}")?;
                match acc {
                    Some(acc) => write!(f, " from accumulator {acc}"),
                    None => Ok(()),
                }
            }
            Difference::Scratch { needed } => {
                write!(f, "asks for {needed} bytes of scratch, more than the suite has")
            }
            Difference::Buffers => write!(f, "does not fit the suite's buffers"),
        }
    }
}
