//! From interrupt to task: a queue of instants that needs no lock and loses nothing silently.

use core::sync::atomic::{AtomicU32, Ordering};

use heapless::spsc;

/// Room for `LEN - 1` instants of `AXES` samples between an interrupt and a task.
#[derive(Debug)]
pub struct Queue<const AXES: usize, const LEN: usize> {
    instants: spsc::Queue<[i16; AXES], LEN>,
    overruns: AtomicU32,
}

impl<const AXES: usize, const LEN: usize> Queue<AXES, LEN> {
    /// An empty queue.
    pub const fn new() -> Self {
        Queue { instants: spsc::Queue::new(), overruns: AtomicU32::new(0) }
    }

    /// The end for the interrupt and the end for the task.
    pub fn split(&mut self) -> (Intake<'_, AXES>, Outlet<'_, AXES>) {
        let (producer, consumer) = self.instants.split();
        let overruns = &self.overruns;
        (Intake { producer, overruns }, Outlet { consumer, overruns })
    }
}

impl<const AXES: usize, const LEN: usize> Default for Queue<AXES, LEN> {
    fn default() -> Self {
        Queue::new()
    }
}

/// The interrupt's end.
pub struct Intake<'a, const AXES: usize> {
    producer: spsc::Producer<'a, [i16; AXES]>,
    overruns: &'a AtomicU32,
}

impl<const AXES: usize> Intake<'_, AXES> {
    /// Appends one instant. Where the task is too late and the queue is full, the instant is lost
    /// and counted.
    pub fn push(&mut self, instant: [i16; AXES]) {
        if self.producer.enqueue(instant).is_err() {
            // This end is the only writer, so that a load and a store need no atomic addition,
            // which the smallest cores do not have.
            let lost = self.overruns.load(Ordering::Relaxed);
            self.overruns.store(lost.wrapping_add(1), Ordering::Relaxed);
        }
    }
}

/// The task's end.
pub struct Outlet<'a, const AXES: usize> {
    consumer: spsc::Consumer<'a, [i16; AXES]>,
    overruns: &'a AtomicU32,
}

impl<const AXES: usize> Outlet<'_, AXES> {
    /// The oldest instant that was not taken yet.
    pub fn pop(&mut self) -> Option<[i16; AXES]> {
        self.consumer.dequeue()
    }

    /// Instants lost since the start because the queue was full.
    pub fn overruns(&self) -> u32 {
        self.overruns.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out_in_order() {
        let mut queue = Queue::<2, 4>::new();
        let (mut intake, mut outlet) = queue.split();
        intake.push([1, 2]);
        intake.push([3, 4]);
        assert_eq!(outlet.pop(), Some([1, 2]));
        assert_eq!(outlet.pop(), Some([3, 4]));
        assert_eq!((outlet.pop(), outlet.overruns()), (None, 0));
    }

    #[test]
    fn a_full_queue_counts_what_it_loses_and_keeps_the_oldest() {
        let mut queue = Queue::<1, 4>::new();
        let (mut intake, mut outlet) = queue.split();
        for sample in 0..5 {
            intake.push([sample]);
        }
        assert_eq!(outlet.overruns(), 2);
        assert_eq!(outlet.pop(), Some([0]));
    }
}
