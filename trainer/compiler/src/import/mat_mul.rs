//! Matrix products of two activations.
//!
//! A product reads its operands as they lie: each stack of matrices either one matrix after the other or row by row
//! (all first rows, all second rows, …), as the heads of an attention lie behind a fully connected layer, and the right
//! matrices as they are or transposed. Where only the other order of both would do, the product of the transposed matrices
//! is taken: `(A · B)ᵀ = Bᵀ · Aᵀ`.

use super::arrange::{Activation, Assembly, Site};
use super::view::View;
use crate::error::Result;
use crate::graph::{Clamp, MatMul, MatrixOrder, Op, ValueId};

/// The last two axes of an operand and those before them, as atoms.
struct Matrices {
    batch: Vec<usize>,
    rows: Vec<usize>,
    columns: Vec<usize>,
}

impl Matrices {
    fn of(view: &View) -> Matrices {
        let rank = view.axes.len();
        Matrices {
            batch: view.axes[..rank - 2].iter().flatten().copied().collect(),
            rows: view.axes[rank - 2].clone(),
            columns: view.axes[rank - 1].clone(),
        }
    }

    fn transposed(self) -> Matrices {
        Matrices { rows: self.columns, columns: self.rows, ..self }
    }

    /// All atoms one matrix after the other, or row by row.
    fn sequence(&self, by_row: bool) -> Vec<usize> {
        let (first, second) = if by_row { (&self.rows, &self.batch) } else { (&self.batch, &self.rows) };
        first.iter().chain(second).chain(&self.columns).copied().collect()
    }

    /// Whether the matrices lie row by row, or not; `None` where they lie in no such order.
    fn order(&self, view: &View) -> Option<bool> {
        [false, true].into_iter().find(|&by_row| view.lies_at(0, &self.sequence(by_row)))
    }

    /// The four axes of a value that holds them.
    fn shape(&self, view: &View, by_row: bool) -> [usize; 4] {
        let [batch, rows, columns] =
            [&self.batch, &self.rows, &self.columns].map(|atoms| view.size_of(atoms));
        if by_row { [1, rows, batch, columns] } else { [1, batch, rows, columns] }
    }
}

/// The product of two activations over the last axis of `a` and the last but one of `b`. Gives the result and how the
/// file's tensor looks at it.
pub(crate) fn multiply(
    state: &mut Assembly,
    node: &dyn Site,
    mut a: Activation,
    mut b: Activation,
    activation: Clamp,
) -> Result<(ValueId, View)> {
    let shapes = format!("{:?} and {:?}", a.view.shape(), b.view.shape());
    if a.view.axes.len().min(b.view.axes.len()) < 2 {
        let error = node.error(format!("operands of shapes {shapes}: one of them is no matrix"));
        return Err(error.remedy("give it a second axis with Unsqueeze, or Reshape"));
    }
    let rank = a.view.axes.len().max(b.view.axes.len());
    for view in [&mut a.view, &mut b.view] {
        while view.axes.len() < rank {
            view.axes.insert(0, Vec::new());
        }
    }
    let size = |view: &View, axis: usize| view.size_of(&view.axes[axis]);
    if size(&a.view, rank - 1) != size(&b.view, rank - 2) {
        return Err(node.error(format!("matrices of shapes {shapes} cannot be multiplied")));
    }
    // Matrices pair by pair, or one with all of the other operand.
    let batch = |view: &View| (0..rank - 2).map(|axis| size(view, axis)).collect::<Vec<usize>>();
    let (batch_a, batch_b) = (batch(&a.view), batch(&b.view));
    let is_one = |batch: &[usize]| batch.iter().all(|&n| n == 1);
    if batch_a != batch_b && !is_one(&batch_a) && !is_one(&batch_b) {
        return Err(node
            .error(format!(
                "matrices of shapes {shapes}: they are repeated along some axes only, or do not match"
            ))
            .remedy("let both operands have the same axes before the last two, or one of them none"));
    }

    let (left, right) = (Matrices::of(&a.view), Matrices::of(&b.view));
    if let Some(lhs_by_row) = left.order(&a.view) {
        let (left, right) = (Operand::new(&a, left, lhs_by_row), right_operand(state, node, &b, right)?);
        return push(state, node, left, right, activation);
    }
    // The transposed product: its left operand is `bᵀ`, its right one `aᵀ`.
    let right_transposed = Matrices::of(&b.view).transposed();
    if let Some(lhs_by_row) = right_transposed.order(&b.view)
        && left.transposed().order(&a.view).is_some()
    {
        let left = Operand::new(&b, right_transposed, lhs_by_row);
        let right = right_operand(state, node, &a, Matrices::of(&a.view).transposed())?;
        let (result, view) = push(state, node, left, right, activation)?;
        let mut order: Vec<usize> = (0..rank).collect();
        order.swap(rank - 2, rank - 1);
        return Ok((result, view.transposed(&order)));
    }
    // By another order of the bytes of a model input, if it is one.
    if a.view.origin.is_none() && Matrices::of(&a.view).transposed().order(&a.view).is_some() {
        state.arranged(node, &b, &Matrices::of(&b.view).transposed().sequence(false))?;
    }
    state.arranged(node, &a, &Matrices::of(&a.view).sequence(false))?;
    Err(node.error(format!("matrices of shapes {shapes} lie in no order that a product reads")))
}

/// An operand of the product.
struct Operand<'a> {
    of: &'a Activation,
    matrices: Matrices,
    by_row: bool,
    /// Whether its matrices lie transposed.
    transposed: bool,
}

impl<'a> Operand<'a> {
    fn new(of: &'a Activation, matrices: Matrices, by_row: bool) -> Operand<'a> {
        Operand { of, matrices, by_row, transposed: false }
    }
}

/// The right operand as it lies; where it is a model input that lies in no order, that is changed.
fn right_operand<'b>(
    state: &mut Assembly,
    node: &dyn Site,
    b: &'b Activation,
    matrices: Matrices,
) -> Result<Operand<'b>> {
    // Where both ways are one, the products of transposed matrices read side by side.
    let transposed = matrices.transposed();
    if let Some(by_row) = transposed.order(&b.view) {
        return Ok(Operand { of: b, matrices: transposed, by_row, transposed: true });
    }
    let plain = transposed.transposed();
    if let Some(by_row) = plain.order(&b.view) {
        return Ok(Operand { of: b, matrices: plain, by_row, transposed: false });
    }
    let wanted = plain.sequence(false);
    state.arranged(node, b, &wanted)?;
    Err(node.error("its right operand lies in no order that a product reads".to_string()))
}

fn push(
    state: &mut Assembly,
    node: &dyn Site,
    left: Operand<'_>,
    right: Operand<'_>,
    activation: Clamp,
) -> Result<(ValueId, View)> {
    let (a, b) = (&left.of.view, &right.of.view);
    // The result lies as the operand that has the batch, so that its rows lie as those that they are made of.
    let leading = if left.matrices.batch.is_empty() { &right } else { &left };
    let output_by_row = leading.by_row && !leading.matrices.batch.is_empty();
    let order = MatrixOrder {
        rhs_transposed: right.transposed,
        lhs_by_row: left.by_row,
        rhs_by_row: right.by_row,
        output_by_row,
    };
    let shapes = [left.matrices.shape(a, left.by_row), right.matrices.shape(b, right.by_row)];
    let values = [state.shaped(left.of.value, shapes[0]), state.shaped(right.of.value, shapes[1])];
    let result = state.push(node, Op::MatMul(MatMul { order, activation }), &values)?;

    let rank = a.axes.len();
    let batch = (0..rank - 2).map(|axis| (axis, leading.of.view.size_of(&leading.of.view.axes[axis])));
    let rows = (rank - 2, a.size_of(&left.matrices.rows));
    let columns = if right.transposed { &right.matrices.rows } else { &right.matrices.columns };
    let columns = (rank - 1, b.size_of(columns));
    let memory: Vec<(usize, usize)> = if output_by_row {
        [rows].into_iter().chain(batch).chain([columns]).collect()
    } else {
        batch.chain([rows, columns]).collect()
    };
    Ok((result, View::fresh(rank, &memory)))
}
