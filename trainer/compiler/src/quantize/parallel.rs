//! Work on many samples at once. What comes out does not depend on the number of threads: each sample's work stands for
//! itself, and results are joined in the order of the samples.

use std::num::NonZero;
use std::thread;

/// Calls `work` for every item, with its position.
pub(super) fn each<T: Send>(items: &mut [T], work: impl Fn(usize, &mut T) + Sync) {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(items.len());
    if threads <= 1 {
        for (index, item) in items.iter_mut().enumerate() {
            work(index, item);
        }
        return;
    }
    let share = items.len().div_ceil(threads);
    thread::scope(|scope| {
        for (chunk, part) in items.chunks_mut(share).enumerate() {
            let work = &work;
            scope.spawn(move || {
                for (index, item) in part.iter_mut().enumerate() {
                    work(chunk * share + index, item);
                }
            });
        }
    });
}

/// What `work` makes of every position up to `count`, each thread with a state of its own.
pub(super) fn map<S, R: Send>(
    count: usize,
    state: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize) -> R + Sync,
) -> Vec<R> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(count).max(1);
    let share = count.div_ceil(threads).max(1);
    let part = |from: usize| {
        let mut state = state();
        (from..count.min(from + share)).map(|index| work(&mut state, index)).collect::<Vec<R>>()
    };
    if threads == 1 {
        return part(0);
    }
    thread::scope(|scope| {
        let part = &part;
        let running: Vec<_> = (0..count).step_by(share).map(|from| scope.spawn(move || part(from))).collect();
        running
            .into_iter()
            .flat_map(|thread| match thread.join() {
                Ok(results) => results,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    })
}
