//! Random changes to training examples, as the `[augment]` table says. All of them are drawn from the generator given.

use teff_compiler::front_end::Align;

use crate::recipe::Augment;
use crate::rng::Rng;

/// What a signal is before its first and after its last sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outside {
    /// Silence.
    Zero,
    /// The first or last sample, as of a sensor at rest.
    Hold,
}

/// The window that a varied signal is put into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Its length, in samples per axis.
    pub len: usize,
    /// Where a signal of another length stands in it, before it is shifted.
    pub align: Align,
    /// What surrounds the signal.
    pub outside: Outside,
}

/// A signal interleaved by axis: stretched, shifted, turned, louder or softer, with noise, in a window.
pub fn signal(samples: &[i16], axes: usize, window: Window, augment: &Augment, rng: &mut Rng) -> Vec<i16> {
    let len = samples.len() / axes;
    let stretch = 1.0 + rng.range(-augment.stretch, augment.stretch);
    let shift = rng.below(2 * augment.shift + 1) as f64 - augment.shift as f64;
    let room = window.len as f64 - libm::floor(len as f64 * stretch);
    let start = match window.align {
        Align::Start => 0.0,
        Align::Centre => libm::floor(room / 2.0),
        Align::End => room,
    };
    let rotation = (augment.rotate_degrees > 0.0 && axes == 3)
        .then(|| rotation(rng.range(0.0, augment.rotate_degrees), rng));
    let gain = decibels(rng.range(-augment.gain_db, augment.gain_db));
    let noise = rng.range(0.0, augment.noise);
    let mut varied = Vec::with_capacity(window.len * axes);
    let mut instant = vec![0.0; axes];
    for n in 0..window.len {
        let at = (n as f64 - start - shift) / stretch;
        let is_outside = at < 0.0 || at > len as f64 - 1.0;
        let at = at.clamp(0.0, (len as f64 - 1.0).max(0.0));
        let (before, share) = (at as usize, at - libm::floor(at));
        for (axis, value) in instant.iter_mut().enumerate() {
            let of = |n: usize| {
                samples.get(n.min(len.saturating_sub(1)) * axes + axis).map_or(0.0, |&s| f64::from(s))
            };
            let silent = is_outside && window.outside == Outside::Zero;
            *value = if silent { 0.0 } else { of(before) + (of(before + 1) - of(before)) * share };
        }
        if let (Some(rows), &[x, y, z]) = (&rotation, &instant[..]) {
            for (value, row) in instant.iter_mut().zip(rows) {
                *value = row[0] * x + row[1] * y + row[2] * z;
            }
        }
        for value in &instant {
            let noise = if noise > 0.0 { noise * rng.normal() } else { 0.0 };
            varied.push(libm::round(value * gain + noise) as i16);
        }
    }
    varied
}

/// An image of shape `[h, w, c]`: shifted in both directions, mirrored, with noise. Beyond its edges the nearest pixel
/// goes on.
pub fn image(pixels: &[u8], [h, w, c]: [usize; 3], augment: &Augment, rng: &mut Rng) -> Vec<u8> {
    let shift = |rng: &mut Rng| rng.below(2 * augment.shift + 1) as isize - augment.shift as isize;
    let (down, right) = (shift(rng), shift(rng));
    let mirrored = augment.mirror && rng.chance(0.5);
    let noise = rng.range(0.0, augment.noise);
    let moved = |n: usize, by: isize, len: usize| (n as isize - by).clamp(0, len as isize - 1) as usize;
    let mut varied = Vec::with_capacity(pixels.len());
    for y in 0..h {
        for x in 0..w {
            let from_x = if mirrored { w - 1 - x } else { x };
            let from = (moved(y, down, h) * w + moved(from_x, right, w)) * c;
            for &pixel in pixels.get(from..from + c).unwrap_or_default() {
                let noise = if noise > 0.0 { noise * rng.normal() } else { 0.0 };
                varied.push(libm::round(f64::from(pixel) + noise) as u8);
            }
        }
    }
    varied
}

/// Sets some consecutive frames and some neighbouring bands of features of shape `[h, w, c]` to their mean.
pub fn mask(features: &mut [f32], [h, w, c]: [usize; 3], augment: &Augment, rng: &mut Rng) {
    if features.len() != h * w * c
        || features.is_empty()
        || (augment.time_mask == 0 && augment.band_mask == 0)
    {
        return;
    }
    let mean = features.iter().sum::<f32>() / features.len() as f32;
    let frames = some(augment.time_mask, h, rng);
    let bands = some(augment.band_mask, w, rng);
    for (frame, row) in features.chunks_exact_mut(w * c).enumerate() {
        for (band, values) in row.chunks_exact_mut(c).enumerate() {
            if frames.contains(&frame) || bands.contains(&band) {
                values.fill(mean);
            }
        }
    }
}

/// Up to `most` of `n` neighbours, never all of them.
fn some(most: usize, n: usize, rng: &mut Rng) -> std::ops::Range<usize> {
    let len = rng.below(most.min(n.saturating_sub(1)) + 1);
    let start = rng.below(n - len + 1);
    start..start + len
}

fn decibels(db: f64) -> f64 {
    libm::pow(10.0, db / 20.0)
}

/// The rotation by an angle about a random axis (Rodrigues' formula), by rows.
fn rotation(degrees: f64, rng: &mut Rng) -> [[f64; 3]; 3] {
    let axis: [f64; 3] = std::array::from_fn(|_| rng.normal());
    let length = libm::sqrt(axis.iter().map(|v| v * v).sum());
    let [x, y, z] = if length > 0.0 { axis.map(|v| v / length) } else { [0.0, 0.0, 1.0] };
    let angle = degrees * std::f64::consts::PI / 180.0;
    let (s, c) = (libm::sin(angle), libm::cos(angle));
    let t = 1.0 - c;
    [
        [t * x * x + c, t * x * y - s * z, t * x * z + s * y],
        [t * x * y + s * z, t * y * y + c, t * y * z - s * x],
        [t * x * z - s * y, t * y * z + s * x, t * z * z + c],
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(len: usize, align: Align, outside: Outside) -> Window {
        Window { len, align, outside }
    }

    #[test]
    fn nothing_asked_for_changes_nothing_but_the_window() {
        let none = Augment::default();
        let rng = &mut Rng::new(1);
        let varied = |len, align, outside, rng: &mut Rng| {
            signal(&[1, -2, 3], 1, window(len, align, outside), &none, rng)
        };
        assert_eq!(varied(3, Align::Centre, Outside::Zero, rng), [1, -2, 3]);
        assert_eq!(varied(6, Align::Centre, Outside::Zero, rng), [0, 1, -2, 3, 0, 0]);
        assert_eq!(varied(5, Align::Start, Outside::Hold, rng), [1, -2, 3, 3, 3]);
        assert_eq!(varied(5, Align::End, Outside::Hold, rng), [1, 1, 1, -2, 3]);
        assert_eq!(varied(2, Align::End, Outside::Hold, rng), [-2, 3]);
        assert_eq!(varied(1, Align::Centre, Outside::Zero, rng), [-2]);
        assert_eq!(signal(&[], 1, window(2, Align::Centre, Outside::Hold), &none, rng), [0, 0]);
        assert_eq!(image(&[1, 2, 3, 4], [2, 2, 1], &none, rng), [1, 2, 3, 4]);
        let mut features = [1.0, 2.0, 3.0, 4.0];
        mask(&mut features, [2, 2, 1], &none, rng);
        assert_eq!(features, [1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn the_same_seed_gives_the_same_change() {
        let all = Augment {
            shift: 3,
            gain_db: 6.0,
            noise: 5.0,
            stretch: 0.2,
            rotate_degrees: 20.0,
            mirror: true,
            time_mask: 4,
            band_mask: 2,
            mixup: 0.0,
        };
        let samples: Vec<i16> = (0..90).map(|n| (n * n % 997) as i16 * 30).collect();
        let of =
            |seed| signal(&samples, 3, window(40, Align::Centre, Outside::Hold), &all, &mut Rng::new(seed));
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        assert_eq!(of(1).len(), 120);
        let pixels: Vec<u8> = (0..48).collect();
        let of = |seed| image(&pixels, [4, 4, 3], &all, &mut Rng::new(seed));
        assert_eq!(of(3), of(3));
        assert_eq!(of(3).len(), 48);
    }

    #[test]
    fn a_rotation_keeps_lengths() {
        let turned = Augment { rotate_degrees: 180.0, ..Augment::default() };
        for seed in 0..50 {
            let varied = signal(
                &[3_000, -4_000, 12_000],
                3,
                window(1, Align::Start, Outside::Hold),
                &turned,
                &mut Rng::new(seed),
            );
            let length: f64 = varied.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
            assert!((length - 13_000.0).abs() < 2.0, "{length}");
        }
    }

    #[test]
    fn a_mask_leaves_most_features() {
        let masking = Augment { time_mask: 3, band_mask: 2, ..Augment::default() };
        for seed in 0..50 {
            let mut features: Vec<f32> = (0..60).map(|n| n as f32).collect();
            mask(&mut features, [10, 6, 1], &masking, &mut Rng::new(seed));
            let changed = features.iter().enumerate().filter(|(n, v)| **v != *n as f32).count();
            assert!(changed <= 3 * 6 + 2 * 10, "{changed}");
        }
    }
}
