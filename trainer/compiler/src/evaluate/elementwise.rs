//! Sums, products and softmax in floating point.

/// `f` of two activations; axes of size 1 are repeated.
pub(super) fn binary(
    f: fn(f32, f32) -> f32,
    a: &[f32],
    a_shape: [usize; 4],
    b: &[f32],
    b_shape: [usize; 4],
    y: &mut [f32],
    y_shape: [usize; 4],
) {
    if a_shape == b_shape {
        for ((y, &a), &b) in y.iter_mut().zip(a).zip(b) {
            *y = f(a, b);
        }
        return;
    }
    let (a_steps, b_steps) = (steps(a_shape), steps(b_shape));
    let mut y = y.iter_mut();
    for n in 0..y_shape[0] {
        for h in 0..y_shape[1] {
            for w in 0..y_shape[2] {
                for c in 0..y_shape[3] {
                    let at = |s: [usize; 4]| n * s[0] + h * s[1] + w * s[2] + c * s[3];
                    if let Some(y) = y.next() {
                        *y = f(a[at(a_steps)], b[at(b_steps)]);
                    }
                }
            }
        }
    }
}

/// Distance between neighbours along each axis; 0 where the axis is repeated.
pub(super) fn steps(shape: [usize; 4]) -> [usize; 4] {
    let mut steps = [0; 4];
    let mut step = 1;
    for axis in (0..4).rev() {
        if shape[axis] != 1 {
            steps[axis] = step;
        }
        step *= shape[axis];
    }
    steps
}

/// Softmax of each run of `channels` numbers.
pub(super) fn softmax(x: &[f32], channels: usize, y: &mut [f32]) {
    for (x, y) in x.chunks_exact(channels).zip(y.chunks_exact_mut(channels)) {
        let most = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut sum = 0.0f64;
        for (y, &x) in y.iter_mut().zip(x) {
            let e = libm::exp(f64::from(x) - f64::from(most));
            sum += e;
            *y = e as f32;
        }
        for y in y {
            *y = (f64::from(*y) / sum) as f32;
        }
    }
}
