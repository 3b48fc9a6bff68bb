//! As `armv7m/conv_2d.rs`.
#![allow(unsafe_code)]

use crate::kernels::arch::arm::base::conv_2d::Block;
use crate::kernels::arch::arm::base::scratch::{COLUMN_LEN, PIXELS};
use crate::kernels::packing::base::CHANNELS;

/// Packs `count` inputs of each of three pixels, `rows_count` times, moving on by `jump` bytes in between. Gives the end of
/// what was written.
pub(crate) unsafe fn pack(
    rows: &[*const i8; PIXELS],
    columns: *mut i8,
    count: usize,
    rows_count: usize,
    jump: isize,
) -> *mut i8 {
    let (mut rows, mut columns) = (*rows, columns.cast::<i32>());
    for _ in 0..rows_count {
        for _ in 0..count {
            // SAFETY: the caller's.
            let [x, y, z] = rows.map(|row| unsafe { i32::from(*row) });
            // SAFETY: the caller's.
            unsafe { columns.cast::<[i32; 2]>().write([x + (y << 11), z.wrapping_add(y << 22)]) };
            columns = columns.wrapping_add(2);
            rows = rows.map(|row| row.wrapping_add(1));
        }
        rows = rows.map(|row| row.wrapping_offset(jump));
    }
    columns.cast()
}

/// The sums for three pixels from their two accumulators.
fn sums(first: i32, second: i32) -> [i32; PIXELS] {
    let z = second << 10 >> 10;
    let low_y = (second.wrapping_sub(z) as u32) >> 22;
    let first = first.wrapping_sub((low_y << 11) as i32);
    let x = first << 11 >> 11;
    [x, low_y as i32 + (first.wrapping_sub(x) >> 11), z]
}

/// Products of three pixels with all channels of a block, requantized and stored.
pub(crate) unsafe fn multiply(block: &Block) {
    let (mut weights, mut block) = (block.weights, *block);
    while weights != block.weights_end {
        for c in 0..CHANNELS {
            // SAFETY: the caller's, here and below.
            let (bias, multiplier) = unsafe { (*block.bias.add(c), *block.multipliers.add(c)) };
            let mut totals = [0; PIXELS];
            let mut accs = [bias.wrapping_add(bias << 11), bias.wrapping_add(bias << 22)];
            let (mut column, mut run_end) = (block.columns, block.first_end);
            let mut w = weights.wrapping_add(c);
            loop {
                while column != run_end {
                    // SAFETY: as above.
                    let (words, weight) = unsafe { (*column.cast::<[i32; 2]>(), i32::from(*w)) };
                    for (acc, word) in accs.iter_mut().zip(words) {
                        *acc = acc.wrapping_add(word.wrapping_mul(weight));
                    }
                    (column, w) = (column.wrapping_add(COLUMN_LEN), w.wrapping_add(CHANNELS));
                }
                let [first, second] = accs;
                totals.iter_mut().zip(sums(first, second)).for_each(|(total, sum)| *total += sum);
                accs = [0; 2];
                if column == block.columns_end {
                    break;
                }
                run_end = run_end.wrapping_add(block.run_len);
            }
            for (total, output) in totals.into_iter().zip(block.outputs) {
                let rounded = (i64::from(total) * i64::from(2 * multiplier) + (1 << 31)) >> 32;
                let q = rounded as i32 + block.zero_point;
                // SAFETY: as above.
                unsafe { *output.add(c) = q.clamp(-128, 127) as i8 };
            }
        }
        let k = (block.columns_end as usize - block.columns as usize) / COLUMN_LEN;
        weights = weights.wrapping_add(k * CHANNELS);
        block.bias = block.bias.wrapping_add(CHANNELS);
        block.multipliers = block.multipliers.wrapping_add(CHANNELS);
        block.outputs = block.outputs.map(|output| output.wrapping_add(CHANNELS));
    }
}
