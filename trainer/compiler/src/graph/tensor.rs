//! Constant tensors: shape and numbers.

use crate::error::{Error, Result};

/// A dense row-major tensor of constants.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    elements: Elements,
}

/// The numbers of a [`Tensor`].
#[derive(Debug, Clone, PartialEq)]
pub enum Elements {
    /// Real numbers.
    F32(Vec<f32>),
    /// Quantized weights.
    I8(Vec<i8>),
    /// Quantized biases.
    I32(Vec<i32>),
}

/// The type of a tensor's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElementType {
    /// 32-bit floating point.
    F32,
    /// 8-bit signed integer.
    I8,
    /// 32-bit signed integer.
    I32,
}

impl ElementType {
    /// Short name, as in dumps.
    pub fn name(self) -> &'static str {
        match self {
            ElementType::F32 => "f32",
            ElementType::I8 => "i8",
            ElementType::I32 => "i32",
        }
    }

    /// Bytes of one element.
    pub fn bytes(self) -> usize {
        match self {
            ElementType::I8 => 1,
            ElementType::F32 | ElementType::I32 => 4,
        }
    }
}

/// Number of elements of a shape, or `None` where it does not fit.
pub fn checked_len(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |len, &d| len.checked_mul(d))
}

impl Tensor {
    /// A tensor of the given shape and numbers.
    ///
    /// # Errors
    /// When the shape does not hold as many elements as are given.
    pub fn new(shape: &[usize], elements: Elements) -> Result<Tensor> {
        if checked_len(shape) != Some(elements.len()) {
            return Err(Error::model(format!(
                "a tensor of shape {shape:?} is given {} elements",
                elements.len()
            )));
        }
        Ok(Tensor { shape: shape.to_vec(), elements })
    }

    /// A tensor of real numbers.
    ///
    /// # Errors
    /// When the shape does not hold as many elements as are given.
    pub fn f32(shape: &[usize], elements: Vec<f32>) -> Result<Tensor> {
        Tensor::new(shape, Elements::F32(elements))
    }

    /// A one-dimensional tensor of real numbers.
    pub fn vector(elements: Vec<f32>) -> Tensor {
        Tensor { shape: vec![elements.len()], elements: Elements::F32(elements) }
    }

    /// Sizes of the axes, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The numbers.
    pub fn elements(&self) -> &Elements {
        &self.elements
    }

    /// Type of the numbers.
    pub fn element_type(&self) -> ElementType {
        match self.elements {
            Elements::F32(_) => ElementType::F32,
            Elements::I8(_) => ElementType::I8,
            Elements::I32(_) => ElementType::I32,
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// True where an axis has size zero.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The numbers as reals, where they are reals.
    pub fn as_f32(&self) -> Option<&[f32]> {
        match &self.elements {
            Elements::F32(v) => Some(v),
            _ => None,
        }
    }

    /// The numbers as `i8`, where they are.
    pub fn as_i8(&self) -> Option<&[i8]> {
        match &self.elements {
            Elements::I8(v) => Some(v),
            _ => None,
        }
    }

    /// The numbers as `i32`, where they are.
    pub fn as_i32(&self) -> Option<&[i32]> {
        match &self.elements {
            Elements::I32(v) => Some(v),
            _ => None,
        }
    }

    /// The same numbers under another shape.
    ///
    /// # Errors
    /// When the number of elements differs.
    pub fn reshaped(self, shape: &[usize]) -> Result<Tensor> {
        Tensor::new(shape, self.elements)
    }

    /// The tensor with its axes in the order `axes` (axis `i` of the result is axis `axes[i]`).
    ///
    /// # Errors
    /// When `axes` is not a permutation of the tensor's axes.
    pub fn transposed(&self, axes: &[usize]) -> Result<Tensor> {
        let mut seen = vec![false; self.shape.len()];
        for &axis in axes {
            match seen.get_mut(axis) {
                Some(s) if !*s => *s = true,
                _ => return Err(Error::model(format!("{axes:?} is not a permutation"))),
            }
        }
        if axes.len() != self.shape.len() {
            return Err(Error::model(format!("{axes:?} does not cover shape {:?}", self.shape)));
        }
        let order = transposed_order(&self.shape, axes);
        let elements = match &self.elements {
            Elements::F32(v) => Elements::F32(order.iter().map(|&i| v[i]).collect()),
            Elements::I8(v) => Elements::I8(order.iter().map(|&i| v[i]).collect()),
            Elements::I32(v) => Elements::I32(order.iter().map(|&i| v[i]).collect()),
        };
        let shape: Vec<usize> = axes.iter().map(|&a| self.shape[a]).collect();
        Tensor::new(&shape, elements)
    }
}

impl Elements {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Elements::F32(v) => v.len(),
            Elements::I8(v) => v.len(),
            Elements::I32(v) => v.len(),
        }
    }

    /// True where there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// For each element of the transposed tensor, in row-major order, the index of the same element
/// in the original one.
pub fn transposed_order(shape: &[usize], axes: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; shape.len()];
    for i in (0..shape.len().saturating_sub(1)).rev() {
        strides[i] = strides[i + 1] * shape[i + 1];
    }
    let sizes: Vec<usize> = axes.iter().map(|&a| shape[a]).collect();
    let steps: Vec<usize> = axes.iter().map(|&a| strides[a]).collect();
    let len = sizes.iter().product();
    let mut order = Vec::with_capacity(len);
    let mut place = vec![0usize; sizes.len()];
    let mut index = 0usize;
    for _ in 0..len {
        order.push(index);
        for axis in (0..sizes.len()).rev() {
            place[axis] += 1;
            index += steps[axis];
            if place[axis] < sizes[axis] {
                break;
            }
            index -= steps[axis] * sizes[axis];
            place[axis] = 0;
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposes_row_major() {
        let t = Tensor::f32(&[2, 3], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        let u = t.transposed(&[1, 0]).unwrap();
        assert_eq!(u.shape(), &[3, 2]);
        assert_eq!(u.as_f32().unwrap(), &[0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        assert!(t.transposed(&[0, 0]).is_err());
        assert!(t.transposed(&[0]).is_err());
    }

    #[test]
    fn length_must_fit_shape() {
        assert!(Tensor::f32(&[2, 2], vec![0.0; 3]).is_err());
        assert!(Tensor::f32(&[usize::MAX, 2], vec![0.0; 3]).is_err());
    }
}
