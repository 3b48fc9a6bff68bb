//! From interrupt to task: a queue of instants that needs no lock and loses nothing silently.

use core::sync::atomic::{AtomicU32, Ordering};

use heapless::spsc;

/// What lies between an instant and the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Gap {
    /// Nothing: they join.
    #[default]
    None,
    /// So many instants that were lost.
    Lost(u32),
    /// Instants were lost, nobody knows how many.
    Unknown,
}

impl Gap {
    /// This gap and another one beside it.
    pub fn and(self, other: Gap) -> Gap {
        match (self, other) {
            (Gap::None, gap) | (gap, Gap::None) => gap,
            (Gap::Lost(a), Gap::Lost(b)) => Gap::Lost(a.saturating_add(b)),
            _ => Gap::Unknown,
        }
    }
}

/// The samples of all axes at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Instant<const AXES: usize> {
    /// One sample for each axis.
    pub samples: [i16; AXES],
    /// What lies before it.
    pub gap: Gap,
}

/// A gap in 16 bits.
const UNKNOWN: u16 = u16::MAX;

/// What an element of the queue holds.
#[derive(Clone, Copy, Debug)]
struct Slot<const AXES: usize> {
    samples: [i16; AXES],
    gap: u16,
}

/// Room for `LEN - 1` instants of `AXES` samples between an interrupt and a task.
#[derive(Debug)]
pub struct Queue<const AXES: usize, const LEN: usize> {
    instants: spsc::Queue<Slot<AXES>, LEN>,
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
        (Intake { producer, overruns, gap: Gap::None }, Outlet { consumer, overruns })
    }
}

impl<const AXES: usize, const LEN: usize> Default for Queue<AXES, LEN> {
    fn default() -> Self {
        Queue::new()
    }
}

/// The interrupt's end.
pub struct Intake<'a, const AXES: usize> {
    producer: spsc::Producer<'a, Slot<AXES>>,
    overruns: &'a AtomicU32,
    /// What lies before the next instant that finds room.
    gap: Gap,
}

impl<const AXES: usize> Intake<'_, AXES> {
    /// Appends one instant that joins the one before. Where the task is too late and the queue is
    /// full, the instant is lost and counted, and the next one that finds room is behind a gap.
    pub fn push(&mut self, samples: [i16; AXES]) {
        self.push_behind(Gap::None, samples);
    }

    /// Appends one instant with what lies before it.
    pub fn push_behind(&mut self, gap: Gap, samples: [i16; AXES]) {
        self.gap = self.gap.and(gap);
        let gap = match self.gap {
            Gap::None => 0,
            // More than 65,534 are so many that a front end forgets what was before anyway.
            Gap::Lost(lost) => lost.min(u32::from(UNKNOWN) - 1) as u16,
            Gap::Unknown => UNKNOWN,
        };
        if self.producer.enqueue(Slot { samples, gap }).is_ok() {
            self.gap = Gap::None;
            return;
        }
        self.gap = self.gap.and(Gap::Lost(1));
        // This end is the only writer, so that a load and a store need no atomic addition,
        // which the smallest cores do not have.
        let lost = self.overruns.load(Ordering::Relaxed);
        self.overruns.store(lost.wrapping_add(1), Ordering::Relaxed);
    }
}

/// The task's end.
pub struct Outlet<'a, const AXES: usize> {
    consumer: spsc::Consumer<'a, Slot<AXES>>,
    overruns: &'a AtomicU32,
}

impl<const AXES: usize> Outlet<'_, AXES> {
    /// The oldest instant that was not taken yet.
    pub fn pop(&mut self) -> Option<Instant<AXES>> {
        self.consumer.dequeue().map(|slot| {
            let gap = match slot.gap {
                0 => Gap::None,
                UNKNOWN => Gap::Unknown,
                lost => Gap::Lost(lost.into()),
            };
            Instant { samples: slot.samples, gap }
        })
    }

    /// Instants lost since the start because the queue was full.
    pub fn overruns(&self) -> u32 {
        self.overruns.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined<const AXES: usize>(samples: [i16; AXES]) -> Option<Instant<AXES>> {
        Some(Instant { samples, gap: Gap::None })
    }

    #[test]
    fn what_goes_in_comes_out_in_order() {
        let mut queue = Queue::<2, 4>::new();
        let (mut intake, mut outlet) = queue.split();
        intake.push([1, 2]);
        intake.push([3, 4]);
        assert_eq!(outlet.pop(), joined([1, 2]));
        assert_eq!(outlet.pop(), joined([3, 4]));
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
        for sample in 0..3 {
            assert_eq!(outlet.pop(), joined([sample]));
        }
        // The gap lies where the instants are missing.
        intake.push([5]);
        intake.push([6]);
        assert_eq!(outlet.pop(), Some(Instant { samples: [5], gap: Gap::Lost(2) }));
        assert_eq!(outlet.pop(), joined([6]));
    }

    #[test]
    fn gaps_beside_each_other_are_one() {
        let mut queue = Queue::<1, 2>::new();
        let (mut intake, mut outlet) = queue.split();
        intake.push_behind(Gap::Lost(3), [0]);
        intake.push([1]);
        intake.push_behind(Gap::Lost(7), [2]);
        assert_eq!(outlet.pop(), Some(Instant { samples: [0], gap: Gap::Lost(3) }));
        intake.push([3]);
        assert_eq!(outlet.pop(), Some(Instant { samples: [3], gap: Gap::Lost(9) }));
        intake.push_behind(Gap::Lost(u32::MAX), [4]);
        assert_eq!(outlet.pop(), Some(Instant { samples: [4], gap: Gap::Lost(65_534) }));
        intake.push([5]);
        intake.push_behind(Gap::Unknown, [6]);
        assert_eq!(outlet.pop(), joined([5]));
        intake.push([7]);
        assert_eq!(outlet.pop(), Some(Instant { samples: [7], gap: Gap::Unknown }));
    }
}
