//! Rounds the weights of a channel so that the error of its sums is small, not the error of each weight.
//!
//! With weights `w`, integers `q` of scale `s`, and inputs `x`, the mean square of the error is `dᵀ·H·d` with `d = w - s·q` and
//! `H = E[x·xᵀ]`. Weights are rounded one after the other, those that matter most first; the error of each is made up for by
//! those that are still to come: with `U` the upper triangular Cholesky factor of `H⁻¹`, `w_j += -e·U_ij / U_ii` where `e` is the error
//! of weight `i`. (Hassibi and Stork, *Optimal brain surgeon*, 1993; Frantar and Alistarh, *Optimal brain compression*,
//! 2022, for quantization.) Where the plain nearest integers give a smaller `dᵀ·H·d`, they stay.

use super::layer::nearest;

/// Share of the mean of the diagonal that is added to it: few samples do not say what the rest does.
const DAMPING: f64 = 0.01;

/// Shares of the largest weight that are tried as the largest that int8 can hold.
const CLIPS: [f64; 9] = [1.0, 0.97, 0.94, 0.91, 0.88, 0.84, 0.8, 0.75, 0.7];

/// A layer with more weights per channel than this is rounded weight by weight: the matrix would have millions of
/// numbers.
const LARGEST: usize = 1536;

/// The second moments of the inputs of a layer: one matrix for each group of channels that read the same inputs.
#[derive(Debug)]
pub(super) struct Moments {
    groups: Vec<Second>,
}

/// `E[x·xᵀ]`, damped, with what follows from it.
#[derive(Debug)]
pub(super) struct Second {
    size: usize,
    /// The matrix, row by row; its diagonal alone where it would be too large.
    matrix: Vec<f64>,
    /// Order in which weights are rounded.
    order: Vec<usize>,
    /// Upper triangular factor of the inverse, in that order, row by row; empty where there is none.
    factor: Vec<f64>,
}

impl Moments {
    /// From matrices.
    pub fn new(groups: Vec<Second>) -> Moments {
        Moments { groups }
    }

    /// The moments that channel `c` of `channels` reads.
    pub fn of(&self, c: usize, channels: usize) -> &Second {
        &self.groups[c * self.groups.len() / channels]
    }
}

impl Second {
    /// From samples of inputs, `size` numbers each.
    pub fn new(samples: &[f32], size: usize) -> Second {
        if size > LARGEST {
            return Second::diagonal(samples, size);
        }
        let mut matrix = vec![0.0f64; size * size];
        // Sums of 64 products at a time in single precision, which vector units are fast at.
        const RUN: usize = 64;
        let mut part = vec![0.0f32; size * size];
        for run in samples.chunks(RUN * size) {
            part.fill(0.0);
            for x in run.chunks_exact(size) {
                for (i, &a) in x.iter().enumerate() {
                    if a != 0.0 {
                        for (to, &b) in part[i * size..][i..size].iter_mut().zip(&x[i..]) {
                            *to += a * b;
                        }
                    }
                }
            }
            for (to, &from) in matrix.iter_mut().zip(&part) {
                *to += f64::from(from);
            }
        }
        let count = (samples.len() / size.max(1)).max(1) as f64;
        for i in 0..size {
            for j in i..size {
                let mean = matrix[i * size + j] / count;
                matrix[i * size + j] = mean;
                matrix[j * size + i] = mean;
            }
        }
        Second::of_matrix(matrix, size)
    }

    /// From the squares alone.
    fn diagonal(samples: &[f32], size: usize) -> Second {
        let mut matrix = vec![0.0f64; size];
        for x in samples.chunks_exact(size) {
            for (to, &a) in matrix.iter_mut().zip(x) {
                *to += f64::from(a) * f64::from(a);
            }
        }
        let damping = DAMPING * matrix.iter().sum::<f64>() / size as f64;
        let damping = if damping > 0.0 && damping.is_finite() { damping } else { 1.0 };
        for x in &mut matrix {
            *x += damping;
        }
        Second { size, matrix, order: Vec::new(), factor: Vec::new() }
    }

    fn of_matrix(mut matrix: Vec<f64>, size: usize) -> Second {
        let mean = (0..size).map(|i| matrix[i * size + i]).sum::<f64>() / size.max(1) as f64;
        let damping = if mean > 0.0 && mean.is_finite() { DAMPING * mean } else { 1.0 };
        for i in 0..size {
            matrix[i * size + i] += damping;
        }
        let mut order: Vec<usize> = (0..size).collect();
        order.sort_by(|&a, &b| matrix[b * size + b].total_cmp(&matrix[a * size + a]).then(a.cmp(&b)));
        let ordered: Vec<f64> = order
            .iter()
            .flat_map(|&i| order.iter().map(move |&j| (i, j)))
            .map(|(i, j)| matrix[i * size + j])
            .collect();
        let factor = inverse_factor(&ordered, size).unwrap_or_default();
        Second { size, matrix, order, factor }
    }

    /// `dᵀ·H·d`.
    fn error(&self, d: &[f64]) -> f64 {
        if self.matrix.len() == self.size {
            return self.matrix.iter().zip(d).map(|(h, d)| h * d * d).sum();
        }
        let rows = self.matrix.chunks_exact(self.size.max(1)).zip(d);
        rows.map(
            |(row, &a)| if a == 0.0 { 0.0 } else { a * row.iter().zip(d).map(|(h, b)| h * b).sum::<f64>() },
        )
        .sum()
    }
}

/// The upper triangular `U` with `Uᵀ·U = H⁻¹`, or `None` where `H` is not positive definite.
///
/// With the reversal `J` of the order and the Cholesky factor `J·H·J = L·Lᵀ`, `H⁻¹ = (J·L⁻ᵀ·J)·(J·L⁻¹·J)`: the second factor, the inverse of a
/// lower triangle seen in reverse order, is upper triangular, and the first is its transpose.
fn inverse_factor(matrix: &[f64], size: usize) -> Option<Vec<f64>> {
    let reversed = |i: usize, j: usize| matrix[(size - 1 - i) * size + (size - 1 - j)];
    let mut lower = vec![0.0f64; size * size];
    for i in 0..size {
        for j in 0..=i {
            let (row_i, row_j) = (&lower[i * size..i * size + j], &lower[j * size..j * size + j]);
            let sum = reversed(i, j) - row_i.iter().zip(row_j).map(|(a, b)| a * b).sum::<f64>();
            if i == j {
                if !(sum > 0.0 && sum.is_finite()) {
                    return None;
                }
                lower[i * size + i] = libm::sqrt(sum);
            } else {
                lower[i * size + j] = sum / lower[j * size + j];
            }
        }
    }
    // Row by row: row i of the inverse is (e_i - Σ_{k<i} L_ik · row k) / L_ii.
    let mut inverse = vec![0.0f64; size * size];
    for i in 0..size {
        let (done, rest) = inverse.split_at_mut(i * size);
        let row = &mut rest[..size];
        row[i] = 1.0;
        for (k, known) in done.chunks_exact(size).enumerate() {
            let l = lower[i * size + k];
            if l != 0.0 {
                for (to, from) in row[..=k].iter_mut().zip(known) {
                    *to -= l * from;
                }
            }
        }
        for x in &mut row[..=i] {
            *x /= lower[i * size + i];
        }
    }
    let mut factor = vec![0.0f64; size * size];
    for i in 0..size {
        for j in i..size {
            factor[i * size + j] = inverse[(size - 1 - i) * size + (size - 1 - j)];
        }
    }
    Some(factor)
}

/// Scale and integers of one channel's weights. `exact` is the scale that holds the largest weight; `usable` makes a scale one
/// that the layer can have.
pub(super) fn round(row: &[f32], second: &Second, exact: f64, usable: impl Fn(f64) -> f32) -> (f32, Vec<i8>) {
    let error_of = |integers: &[i8], scale: f32| {
        let d: Vec<f64> =
            row.iter().zip(integers).map(|(&w, &q)| f64::from(w) - f64::from(scale) * f64::from(q)).collect();
        second.error(&d)
    };
    let mut best: Option<(f64, f32, Vec<i8>)> = None;
    let mut offer = |scale: f32, integers: Vec<i8>| {
        let error = error_of(&integers, scale);
        if best.as_ref().is_none_or(|(least, ..)| error < *least) {
            best = Some((error, scale, integers));
        }
    };
    for clip in CLIPS {
        let scale = usable(exact * clip);
        offer(scale, row.iter().map(|&w| nearest(w, scale)).collect());
        if !second.factor.is_empty() {
            offer(scale, with_feedback(row, second, scale));
        }
    }
    match best {
        Some((_, scale, integers)) => (scale, integers),
        None => (usable(exact), row.iter().map(|&w| nearest(w, usable(exact))).collect()),
    }
}

fn with_feedback(row: &[f32], second: &Second, scale: f32) -> Vec<i8> {
    let size = second.size;
    let mut ordered: Vec<f64> = second.order.iter().map(|&i| f64::from(row[i])).collect();
    let mut integers = vec![0i8; size];
    for (i, &place) in second.order.iter().enumerate() {
        let q = nearest(ordered[i] as f32, scale);
        integers[place] = q;
        let factors = &second.factor[i * size..(i + 1) * size];
        let error = (ordered[i] - f64::from(scale) * f64::from(q)) / factors[i];
        for (w, u) in ordered[i + 1..].iter_mut().zip(&factors[i + 1..]) {
            *w -= error * u;
        }
    }
    integers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(n: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        (0..n)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 23) as f32 - 1.0
            })
            .collect()
    }

    #[test]
    fn the_factor_is_that_of_the_inverse() {
        let size = 6;
        let second = Second::new(&noise(40 * size, 7), size);
        let (u, order) = (&second.factor, &second.order);
        let inverse = |i: usize, j: usize| (0..size).map(|k| u[k * size + i] * u[k * size + j]).sum::<f64>();
        for i in 0..size {
            for j in 0..size {
                let product: f64 =
                    (0..size).map(|k| second.matrix[order[i] * size + order[k]] * inverse(k, j)).sum();
                assert!((product - f64::from(i == j)).abs() < 1e-9, "{i} {j} {product}");
            }
        }
    }

    #[test]
    fn sums_come_closer_than_with_the_nearest_weights() {
        let size = 24;
        // Inputs that hang together: that is what the feedback makes use of.
        let base = noise(200 * 4, 3);
        let mix = noise(4 * size, 5);
        let samples: Vec<f32> = base
            .chunks_exact(4)
            .flat_map(|b| {
                let mix = &mix;
                (0..size).map(move |i| (0..4).map(|k| b[k] * mix[k * size + i]).sum::<f32>())
            })
            .collect();
        let second = Second::new(&samples, size);
        let row = noise(size, 11);
        let exact = f64::from(row.iter().fold(0f32, |m, w| m.max(w.abs()))) / 127.0;
        let error = |scale: f32, q: &[i8]| {
            let d: Vec<f64> = row.iter().zip(q).map(|(&w, &q)| f64::from(w - scale * f32::from(q))).collect();
            second.error(&d)
        };
        let plain: Vec<i8> = row.iter().map(|&w| nearest(w, exact as f32)).collect();
        let (scale, integers) = round(&row, &second, exact, |s| s as f32);
        assert!(error(scale, &integers) < 0.5 * error(exact as f32, &plain));
    }

    #[test]
    fn inputs_without_any_signal_round_to_the_nearest() {
        let second = Second::new(&[0.0; 12], 3);
        let (scale, integers) = round(&[1.0, -0.5, 0.25], &second, 1.0 / 127.0, |s| s as f32);
        let real = |q: i8| scale * f32::from(q);
        assert!((real(integers[0]) - 1.0).abs() < 0.01 && (real(integers[1]) + 0.5).abs() < 0.01);
        let nothing = Second::new(&[], 2);
        assert_eq!(round(&[0.5, 0.5], &nothing, 0.5 / 127.0, |s| s as f32).1.len(), 2);
    }
}
