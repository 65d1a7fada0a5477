//! The first level: entries that this process keeps at hand, found without asking the operating system.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use rustc_hash::FxHashMap;

use super::entry::Entry;
use super::key::Key;

struct Slot {
    entry: Arc<Entry>,
    at: u64,
    used: SystemTime,
}

#[derive(Default)]
struct State {
    slots: FxHashMap<Key, Slot>,
    /// Keys by when they were last used.
    order: BTreeMap<u64, Key>,
    bytes: u64,
    clock: u64,
}

/// Entries at hand, at most `bound` bytes of them.
pub(super) struct Memory {
    bound: u64,
    state: Mutex<State>,
}

/// An entry that was let go of, and when it was last used.
pub(super) type LetGo = (Arc<Entry>, SystemTime);

impl Memory {
    pub(super) fn new(bound: u64) -> Self {
        Self { bound, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.state().bytes
    }

    pub(super) fn get(&self, key: Key) -> Option<Arc<Entry>> {
        let mut guard = self.state();
        let state = &mut *guard;
        let slot = state.slots.get_mut(&key)?;
        state.clock += 1;
        state.order.remove(&slot.at);
        state.order.insert(state.clock, key);
        (slot.at, slot.used) = (state.clock, SystemTime::now());
        Some(Arc::clone(&slot.entry))
    }

    /// Keeps the entry if there is room beside what is being read; returns what had to go for it.
    pub(super) fn insert(&self, entry: &Arc<Entry>) -> Vec<LetGo> {
        let (key, bytes) = (entry.key(), entry.len());
        if bytes > self.bound {
            return Vec::new();
        }
        let mut state = self.state();
        if state.slots.contains_key(&key) {
            return Vec::new();
        }
        let gone = state.release(self.bound - bytes);
        if state.bytes <= self.bound - bytes {
            state.clock += 1;
            let at = state.clock;
            state.order.insert(at, key);
            state.slots.insert(key, Slot { entry: Arc::clone(entry), at, used: SystemTime::now() });
            state.bytes += bytes;
        }
        gone
    }

    /// Lets go of all that nobody is reading.
    pub(super) fn release_idle(&self) -> Vec<LetGo> {
        self.state().release(0)
    }
}

impl State {
    /// Lets go of entries, the longest unused first, until at most `allowed` bytes stay. Those that somebody else
    /// holds stay: their memory would not become free.
    fn release(&mut self, allowed: u64) -> Vec<LetGo> {
        let mut gone = Vec::new();
        let mut after = 0;
        while self.bytes > allowed {
            let Some((&at, &key)) = self.order.range(after..).next() else { break };
            after = at + 1;
            let idle = self.slots.get(&key).is_some_and(|slot| Arc::strong_count(&slot.entry) == 1);
            if idle && let Some(slot) = self.slots.remove(&key) {
                self.order.remove(&at);
                self.bytes -= slot.entry.len();
                gone.push((slot.entry, slot.used));
            }
        }
        gone
    }
}
