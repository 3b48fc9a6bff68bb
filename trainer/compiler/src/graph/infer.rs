//! Shape of an operator's result from the shapes of its operands.

use super::node::{Conv2d, MatMul, Op, Padding};

/// The shape of the result, or why there is none.
///
/// `shapes` are those of the operands in the order that [`Op`] states.
///
/// # Errors
/// A sentence that says which size does not fit.
pub fn output_shape(op: &Op, shapes: &[&[usize]]) -> Result<[usize; 4], String> {
    let x = nhwc(shapes, 0)?;
    match op {
        Op::Conv2d(conv) => {
            let filter = four(shapes, 1, "filter")?;
            let [c_out, kh, kw, c_in] = filter;
            let groups = conv.groups.max(1);
            if c_in.checked_mul(groups) != Some(x[3]) {
                return Err(format!(
                    "the filter reads {c_in} channels in each of {groups} groups, the input has {}",
                    x[3]
                ));
            }
            if c_out % groups != 0 {
                return Err(format!("{c_out} output channels do not split into {groups} groups"));
            }
            bias_of(shapes, c_out)?;
            let (h, w) = conv_size(conv, x, [kh, kw])?;
            Ok([x[0], h, w, c_out])
        }
        Op::DepthwiseConv2d(conv) => {
            let [one, kh, kw, c_out] = four(shapes, 1, "filter")?;
            if one != 1 {
                return Err(format!("a depthwise filter has 1 as first size, not {one}"));
            }
            if x[3] == 0 || c_out % x[3] != 0 {
                return Err(format!("{c_out} filters do not share {} channels evenly", x[3]));
            }
            bias_of(shapes, c_out)?;
            let (h, w) = conv_size(conv, x, [kh, kw])?;
            Ok([x[0], h, w, c_out])
        }
        Op::FullyConnected { .. } => {
            let filter = shapes.get(1).ok_or("the filter is missing")?;
            let &[c_out, c_in] = *filter else {
                return Err(format!("the filter has shape {filter:?}, not [out, in]"));
            };
            if c_in != x[3] {
                return Err(format!("the filter reads {c_in} channels, the input has {}", x[3]));
            }
            bias_of(shapes, c_out)?;
            Ok([x[0], x[1], x[2], c_out])
        }
        Op::ScaleShift => {
            for (index, name) in [(1, "scale"), (2, "offset")] {
                match shapes.get(index) {
                    Some([c]) if *c == x[3] => {}
                    other => {
                        return Err(format!("the {name} has shape {other:?}, not [{}]", x[3]));
                    }
                }
            }
            Ok(x)
        }
        Op::MaxPool2d(pool) | Op::AveragePool2d(pool) => {
            let h = window_count(x[1], pool.filter[0], pool.stride[0], 1, vertical(&pool.padding))?;
            let w = window_count(x[2], pool.filter[1], pool.stride[1], 1, horizontal(&pool.padding))?;
            for (before, after, filter) in [
                (pool.padding.top, pool.padding.bottom, pool.filter[0]),
                (pool.padding.left, pool.padding.right, pool.filter[1]),
            ] {
                if before >= filter || after >= filter {
                    return Err(format!(
                        "padding of {before} and {after} leaves windows of {filter} without input"
                    ));
                }
            }
            Ok([x[0], h, w, x[3]])
        }
        Op::Add { .. } | Op::Sub { .. } | Op::Mul { .. } => broadcast(x, nhwc(shapes, 1)?),
        Op::MatMul(product) => mat_mul(product, x, nhwc(shapes, 1)?),
        Op::Concat { axis } => {
            if !(1..=3).contains(axis) {
                return Err(format!("values are not joined along axis {axis}"));
            }
            let mut joined = x;
            for index in 1..shapes.len() {
                let next = nhwc(shapes, index)?;
                for other in (0..4).filter(|a| a != axis) {
                    if next[other] != x[other] {
                        return Err(format!("shapes {x:?} and {next:?} do not join along axis {axis}"));
                    }
                }
                joined[*axis] = joined[*axis].checked_add(next[*axis]).ok_or("size overflow")?;
            }
            Ok(joined)
        }
        Op::Pad { padding, .. } => {
            let add = |a: usize, (b, c): (usize, usize)| a.checked_add(b)?.checked_add(c);
            let h = add(x[1], vertical(padding)).ok_or("size overflow")?;
            let w = add(x[2], horizontal(padding)).ok_or("size overflow")?;
            Ok([x[0], h, w, x[3]])
        }
        Op::Reshape { shape } => {
            let len = |s: &[usize; 4]| super::tensor::checked_len(s);
            if len(shape).is_none() || len(shape) != len(&x) {
                return Err(format!("{x:?} has not as many elements as {shape:?}"));
            }
            Ok(*shape)
        }
        Op::Softmax | Op::Unary(_) | Op::Requantize => Ok(x),
    }
}

/// An activation seen as a stack of matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stack {
    pub matrices: usize,
    pub rows: usize,
    pub columns: usize,
    by_row: bool,
}

impl Stack {
    pub(crate) fn new(shape: [usize; 4], by_row: bool) -> Stack {
        let [_, h, w, columns] = shape;
        let (matrices, rows) = if by_row { (w, h) } else { (h, w) };
        Stack { matrices, rows, columns, by_row }
    }

    fn shape(&self) -> [usize; 4] {
        let (h, w) = if self.by_row { (self.rows, self.matrices) } else { (self.matrices, self.rows) };
        [1, h, w, self.columns]
    }

    /// Place of a row, in elements. A single matrix is that of every product.
    pub(crate) fn row(&self, matrix: usize, row: usize) -> usize {
        let matrix = if self.matrices == 1 { 0 } else { matrix };
        let place = if self.by_row { row * self.matrices + matrix } else { matrix * self.rows + row };
        place * self.columns
    }
}

fn mat_mul(product: &MatMul, a: [usize; 4], b: [usize; 4]) -> Result<[usize; 4], String> {
    let order = &product.order;
    let (left, right) = (Stack::new(a, order.lhs_by_row), Stack::new(b, order.rhs_by_row));
    let (inner, columns) =
        if order.rhs_transposed { (right.columns, right.rows) } else { (right.rows, right.columns) };
    if left.columns != inner {
        return Err(format!(
            "matrices of {} x {} and {inner} x {columns} cannot be multiplied",
            left.rows, left.columns
        ));
    }
    if [a[0], b[0]] != [1, 1] {
        return Err(format!("batches of {} and {} are not supported", a[0], b[0]));
    }
    let matrices = left.matrices.max(right.matrices);
    if [left.matrices, right.matrices].iter().any(|&n| n != matrices && n != 1) {
        return Err(format!("{} matrices and {} do not go together", left.matrices, right.matrices));
    }
    Ok(Stack { matrices, rows: left.rows, columns, by_row: order.output_by_row }.shape())
}

/// The common shape of two activations, where sizes of 1 are repeated.
fn broadcast(a: [usize; 4], b: [usize; 4]) -> Result<[usize; 4], String> {
    let mut shape = [0; 4];
    for axis in 0..4 {
        shape[axis] = match (a[axis], b[axis]) {
            (p, q) if p == q => p,
            (1, q) => q,
            (p, 1) => p,
            _ => return Err(format!("shapes {a:?} and {b:?} do not match")),
        };
    }
    Ok(shape)
}

fn nhwc(shapes: &[&[usize]], index: usize) -> Result<[usize; 4], String> {
    four(shapes, index, "operand")
}

fn four(shapes: &[&[usize]], index: usize, what: &str) -> Result<[usize; 4], String> {
    let shape = shapes.get(index).ok_or_else(|| format!("{what} {index} is missing"))?;
    (*shape).try_into().map_err(|_| format!("{what} {index} has shape {shape:?}, not four axes"))
}

fn bias_of(shapes: &[&[usize]], c_out: usize) -> Result<(), String> {
    match shapes.get(2) {
        None => Ok(()),
        Some([c]) if *c == c_out => Ok(()),
        Some(other) => Err(format!("the bias has shape {other:?}, not [{c_out}]")),
    }
}

fn vertical(padding: &Padding) -> (usize, usize) {
    (padding.top, padding.bottom)
}

fn horizontal(padding: &Padding) -> (usize, usize) {
    (padding.left, padding.right)
}

fn conv_size(conv: &Conv2d, x: [usize; 4], filter: [usize; 2]) -> Result<(usize, usize), String> {
    let h = window_count(x[1], filter[0], conv.stride[0], conv.dilation[0], vertical(&conv.padding))?;
    let w = window_count(x[2], filter[1], conv.stride[1], conv.dilation[1], horizontal(&conv.padding))?;
    Ok((h, w))
}

/// How many windows fit along one axis.
fn window_count(
    size: usize,
    filter: usize,
    stride: usize,
    dilation: usize,
    padding: (usize, usize),
) -> Result<usize, String> {
    if size == 0 || filter == 0 || stride == 0 || dilation == 0 {
        return Err(format!(
            "size {size}, filter {filter}, stride {stride} and dilation {dilation} must not be zero"
        ));
    }
    let overflow = || "size overflow".to_string();
    let padded = size.checked_add(padding.0).and_then(|s| s.checked_add(padding.1)).ok_or_else(overflow)?;
    let reach = (filter - 1).checked_mul(dilation).and_then(|r| r.checked_add(1)).ok_or_else(overflow)?;
    if reach > padded {
        return Err(format!("a filter that reaches over {reach} does not fit into {padded}"));
    }
    Ok((padded - reach) / stride + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Clamp, Pool2d};

    #[test]
    fn convolutions() {
        let conv = Conv2d {
            stride: [2, 1],
            padding: Padding { top: 0, left: 1, bottom: 1, right: 1 },
            ..Conv2d::default()
        };
        let op = Op::Conv2d(conv);
        assert_eq!(output_shape(&op, &[&[1, 8, 8, 3], &[4, 3, 3, 3]]), Ok([1, 4, 8, 4]));
        assert!(output_shape(&op, &[&[1, 8, 8, 2], &[4, 3, 3, 3]]).is_err());
        assert!(output_shape(&op, &[&[1, 1, 8, 3], &[4, 3, 3, 3]]).is_err());
        let op = Op::DepthwiseConv2d(conv);
        assert_eq!(output_shape(&op, &[&[1, 8, 8, 3], &[1, 3, 3, 6], &[6]]), Ok([1, 4, 8, 6]));
        assert!(output_shape(&op, &[&[1, 8, 8, 3], &[1, 3, 3, 4]]).is_err());
    }

    #[test]
    fn matrix_products() {
        use crate::graph::MatrixOrder;
        let shape = |order: MatrixOrder, a: [usize; 4], b: [usize; 4]| {
            output_shape(&Op::MatMul(MatMul { order, activation: Clamp::NONE }), &[&a, &b])
        };
        let plain = MatrixOrder::default();
        assert_eq!(shape(plain, [1, 3, 4, 5], [1, 3, 5, 6]), Ok([1, 3, 4, 6]));
        assert_eq!(shape(plain, [1, 3, 4, 5], [1, 1, 5, 6]), Ok([1, 3, 4, 6]));
        assert_eq!(shape(plain, [1, 1, 4, 5], [1, 3, 5, 6]), Ok([1, 3, 4, 6]));
        let attention = MatrixOrder { rhs_transposed: true, lhs_by_row: true, rhs_by_row: true, ..plain };
        assert_eq!(shape(attention, [1, 4, 3, 5], [1, 6, 3, 5]), Ok([1, 3, 4, 6]));
        let by_row = MatrixOrder { output_by_row: true, ..attention };
        assert_eq!(shape(by_row, [1, 4, 3, 5], [1, 6, 3, 5]), Ok([1, 4, 3, 6]));
        assert!(shape(plain, [1, 3, 4, 5], [1, 3, 4, 5]).unwrap_err().contains("4 x 5 and 4 x 5"));
        assert!(shape(plain, [1, 2, 4, 5], [1, 3, 5, 6]).unwrap_err().contains("2 matrices and 3"));
        assert!(shape(plain, [2, 1, 4, 5], [2, 1, 5, 6]).is_err());
    }

    #[test]
    fn pools_refuse_windows_without_input() {
        let pool = Pool2d {
            filter: [2, 2],
            stride: [2, 2],
            padding: Padding { top: 2, ..Padding::default() },
            count_padding: false,
            activation: Clamp::NONE,
        };
        assert!(output_shape(&Op::MaxPool2d(pool), &[&[1, 4, 4, 1]]).is_err());
    }

    #[test]
    fn broadcast_and_concat() {
        let add = Op::Add { activation: Clamp::NONE };
        assert_eq!(output_shape(&add, &[&[1, 4, 4, 2], &[1, 1, 1, 2]]), Ok([1, 4, 4, 2]));
        assert!(output_shape(&add, &[&[1, 4, 4, 2], &[1, 1, 1, 3]]).is_err());
        let concat = Op::Concat { axis: 3 };
        assert_eq!(output_shape(&concat, &[&[1, 4, 4, 2], &[1, 4, 4, 5]]), Ok([1, 4, 4, 7]));
        assert!(output_shape(&concat, &[&[1, 4, 4, 2], &[1, 3, 4, 5]]).is_err());
    }
}
