//! What a cache counts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// Counted since a cache was made, by all processes that have closed it or stored something since.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Lifetime {
    /// Found in the memory of the process that asked.
    pub memory_hits: u64,
    /// Found in shared memory.
    pub shared_hits: u64,
    /// Found on disk.
    pub disk_hits: u64,
    /// Found nowhere.
    pub misses: u64,
    /// Removed from shared memory or disk to make room.
    pub evictions: u64,
    /// Found damaged and removed.
    pub corrupt: u64,
    /// Not stored in a level: larger than it, or everything in it was being read, or another process was storing
    /// the same.
    pub refused: u64,
    /// Not stored in a level, because writing failed: shared memory or disk is full.
    pub failed_writes: u64,
}

impl Lifetime {
    pub(super) const WORDS: usize = 8;

    pub(super) fn words(self) -> [u64; Self::WORDS] {
        [
            self.memory_hits,
            self.shared_hits,
            self.disk_hits,
            self.misses,
            self.evictions,
            self.corrupt,
            self.refused,
            self.failed_writes,
        ]
    }

    pub(super) fn of_words(words: &[u64]) -> Self {
        let at = |index: usize| words.get(index).copied().unwrap_or_default();
        Self {
            memory_hits: at(0),
            shared_hits: at(1),
            disk_hits: at(2),
            misses: at(3),
            evictions: at(4),
            corrupt: at(5),
            refused: at(6),
            failed_writes: at(7),
        }
    }

    fn combined(self, other: Self, how: impl Fn(u64, u64) -> u64) -> Self {
        let (mine, others) = (self.words(), other.words());
        let words: Vec<u64> = mine.iter().zip(others).map(|(&a, b)| how(a, b)).collect();
        Self::of_words(&words)
    }
}

/// What one process counted, and what its levels hold now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// By this process.
    #[serde(flatten)]
    pub counted: Lifetime,
    /// Bytes of entries that this process keeps at hand.
    pub memory_bytes: u64,
    /// Bytes of entries in shared memory, of all processes.
    pub shared_bytes: u64,
    /// Bytes of entries on disk, of all processes.
    pub disk_bytes: u64,
    /// Why a write failed, the last time.
    pub last_failure: Option<String>,
}

/// One event.
#[derive(Debug, Clone, Copy)]
pub(super) enum Event {
    MemoryHit,
    SharedHit,
    DiskHit,
    Miss,
    Eviction,
    Corrupt,
    Refused,
    FailedWrite,
}

/// Running counts of a process.
#[derive(Debug, Default)]
pub(super) struct Counters {
    counts: [AtomicU64; Lifetime::WORDS],
    told: Mutex<Lifetime>,
    last_failure: Mutex<Option<String>>,
}

impl Counters {
    pub(super) fn count(&self, event: Event) {
        self.counts[event as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn fail(&self, reason: &impl std::fmt::Display) {
        self.count(Event::FailedWrite);
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_string());
    }

    pub(super) fn counted(&self) -> Lifetime {
        let words = self.counts.each_ref().map(|count| count.load(Ordering::Relaxed));
        Lifetime::of_words(&words)
    }

    pub(super) fn last_failure(&self) -> Option<String> {
        self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Adds to `total` what was counted since the last time.
    pub(super) fn tell(&self, total: &mut Lifetime) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.counted();
        *total = total.combined(now.combined(*told, u64::saturating_sub), u64::saturating_add);
        *told = now;
    }
}
