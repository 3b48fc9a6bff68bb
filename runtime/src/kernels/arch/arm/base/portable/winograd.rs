//! As `armv7m/winograd.rs`.
#![allow(unsafe_code)]

use crate::kernels::arch::arm::base::scratch::{TILE_COLUMNS, TILES, WORDS_LEN};
use crate::kernels::arch::arm::base::winograd::Results;

/// The rows or columns 1 and 2, 1 and 2, 0 and 2, 1 and 3 of four, added or subtracted.
fn transformed([a, b, c, d]: [i32; 4]) -> [i32; 4] {
    [b.wrapping_add(c), c.wrapping_sub(b), a.wrapping_sub(c), b.wrapping_sub(d)]
}

/// The words of the inputs of four tiles.
fn packed([a, b, c, d]: [i32; TILES]) -> [i32; 3] {
    [a.wrapping_add(d << 24), b.wrapping_add(d << 16), c.wrapping_add(d << 8)]
}

/// Transforms the inputs of four tiles: first each column, then each row, in which tiles become words.
pub(crate) unsafe fn transform(list: *const *const i8, columns: *mut i8, c: usize) {
    for i in 0..c {
        let mut table = [[0i32; TILE_COLUMNS]; 4];
        for column in 0..TILE_COLUMNS {
            let at = column % 2 * (TILE_COLUMNS / 2) + column / 2;
            // SAFETY: the caller's, here and below.
            let inputs = [0, 1, 2, 3].map(|row| unsafe { i32::from(*(*list.add(at * 4 + row)).add(i)) });
            table.iter_mut().zip(transformed(inputs)).for_each(|(row, value)| row[column] = value);
        }
        for (slot, row) in table.iter().enumerate() {
            let [d0, d1, d2, d3] = [0, 1, 2, 3].map(|first| packed([0, 2, 4, 6].map(|at| row[first + at])));
            for word in 0..3 {
                let [one, two, zero, three] = transformed([d0[word], d1[word], d2[word], d3[word]]);
                for (column, value) in [zero, one, two, three].into_iter().enumerate() {
                    let place = (column * 4 + slot) * c + i;
                    // SAFETY: as above.
                    unsafe { *columns.add(place * WORDS_LEN + 4 * word).cast::<i32>() = value };
                }
            }
        }
    }
}

/// The sums of two channels of four tiles in words, for each column of places both rows of a tile. Gives the end of the
/// weights.
pub(crate) unsafe fn tile_sums(
    columns: *const i8,
    weights: *const i8,
    sums: *mut i32,
    place_len: usize,
) -> *const i8 {
    let (mut word, mut weights) = (columns.cast::<i32>(), weights.cast::<i16>());
    for column in 0..4 {
        let mut places = [[0i32; 6]; 4];
        for place in &mut places {
            for _ in 0..place_len / WORDS_LEN {
                for (i, sum) in place.iter_mut().enumerate() {
                    // SAFETY: the caller's.
                    let (input, weight) = unsafe { (*word.add(i % 3), i32::from(*weights.add(i / 3))) };
                    *sum = sum.wrapping_add(input.wrapping_mul(weight));
                }
                (word, weights) = (word.wrapping_add(3), weights.wrapping_add(2));
            }
        }
        let [one, two, zero, three] = places;
        for i in 0..6 {
            // SAFETY: as above.
            unsafe {
                *sums.add(column * 12 + i) = one[i].wrapping_add(two[i]).wrapping_add(zero[i]);
                *sums.add(column * 12 + 6 + i) = one[i].wrapping_sub(two[i]).wrapping_add(three[i]);
            }
        }
    }
    weights.cast()
}

/// The sums of four tiles in 24 bits each, from their three words.
fn apart([first, second, third]: [i32; 3]) -> [i32; TILES] {
    let a = first << 8 >> 8;
    let low = first.wrapping_sub(a) as u32;
    let second = second.wrapping_sub((low >> 8) as i32);
    let b = second << 8 >> 8;
    let middle = second.wrapping_sub(b) as u32;
    let third = third.wrapping_sub((low >> 16) as i32).wrapping_sub((middle >> 8) as i32);
    let c = third << 8 >> 8;
    let high = third.wrapping_sub(c) >> 8;
    [a, b, c, high + (middle >> 16) as i32 + (low >> 24) as i32]
}

/// Adds the columns of places up, takes the sums apart, and stores them requantized: channels `c` and `c + 1`.
pub(crate) unsafe fn finish(sums: *const i32, results: &Results, c: usize) {
    for channel in 0..2 {
        let mut places = results.outputs.iter();
        // SAFETY: the caller's, here and below.
        let (bias, multiplier) =
            unsafe { (*results.bias.add(c + channel), *results.multipliers.add(c + channel)) };
        for row in [1, 0] {
            let column = |at: usize, word| unsafe { *sums.add(at * 12 + row * 6 + channel * 3 + word) };
            let right = [0, 1, 2].map(|k| column(1, k).wrapping_sub(column(2, k)).wrapping_sub(column(3, k)));
            let left = [0, 1, 2].map(|k| column(0, k).wrapping_add(column(1, k)).wrapping_add(column(2, k)));
            for words in [right, left] {
                for (sum, place) in apart(words).into_iter().rev().zip(places.by_ref()) {
                    let total = bias + (sum >> 2);
                    let rounded = (i64::from(total) * i64::from(2 * multiplier) + (1 << 31)) >> 32;
                    let q = rounded as i32 + results.zero_point;
                    // SAFETY: as above.
                    unsafe { *place.add(c + channel) = q.clamp(-128, 127) as i8 };
                }
            }
        }
    }
}
