use proptest::prelude::*;

use super::*;
use crate::cache::{Claim, Place};
use std::time::Duration;

const KEYS: u64 = 12;
const BOUND: u64 = 20_000;

#[derive(Debug, Clone, Copy)]
enum Act {
    /// Asks for a key and drops the entry.
    Use(u64),
    /// Asks and holds on to it.
    Hold(u64),
    /// Lets go of what was held first.
    Drop,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        5 => (0..KEYS).prop_map(Act::Use),
        2 => (0..KEYS).prop_map(Act::Hold),
        2 => Just(Act::Drop),
    ];
    prop::collection::vec(act, 1..60)
}

/// Differs between keys, and one of them is larger than the bound.
fn length(number: u64) -> usize {
    if number == 0 { BOUND as usize + 1 } else { 500 * (number as usize) + 1 }
}

/// A level as a plain list, the longest unused first: key, bytes.
#[derive(Default)]
struct Model(Vec<(u64, u64)>);

impl Model {
    fn bytes(&self) -> u64 {
        self.0.iter().map(|(_, bytes)| bytes).sum()
    }

    /// What a request must do; `size` is what the entry takes, which is asked only when it is stored.
    fn request(&mut self, number: u64, size: u64, held: &[u64]) {
        if let Some(at) = self.0.iter().position(|&(other, _)| other == number) {
            let entry = self.0.remove(at);
            self.0.push(entry);
            return;
        }
        if size > BOUND {
            return;
        }
        while self.bytes() + size > BOUND {
            let Some(at) = self.0.iter().position(|(other, _)| !held.contains(other)) else { return };
            self.0.remove(at);
        }
        self.0.push((number, size));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_level_is_what_a_plain_list_says_it_is(acts in acts(), two in any::<bool>()) {
        let folder = Folder::new();
        let (one, other) = (folder.open(0, 0, BOUND), folder.open(0, 0, BOUND));
        let (mut model, mut held) = (Model::default(), Vec::<Arc<Entry>>::new());
        for (at, act) in acts.into_iter().enumerate() {
            // Every second request through another cache, as from another process.
            let cache = if two && at % 2 == 1 { &other } else { &one };
            let number = match act {
                Act::Use(number) | Act::Hold(number) => number,
                Act::Drop => {
                    if !held.is_empty() {
                        held.remove(0);
                    }
                    continue;
                }
            };
            // One that found no room is held in memory and keeps no file.
            let reads = |n: u64| held.iter().any(|entry| entry.key() == key(n) && entry.place() == Place::Disk);
            let reading: Vec<u64> = (0..KEYS).filter(|&n| reads(n)).collect();
            let entry = get(cache, number, length(number));
            model.request(number, entry.len(), &reading);
            let mut expected: Vec<u64> = model.0.iter().map(|&(number, _)| number).collect();
            expected.sort_unstable();
            let (found, bytes) = on_disk(&folder.cache(), KEYS);
            prop_assert_eq!(found, expected);
            prop_assert_eq!(bytes, model.bytes());
            prop_assert_eq!(cache.stats().unwrap().disk_bytes, bytes);
            prop_assert!(bytes <= BOUND);
            if matches!(act, Act::Hold(_)) {
                held.push(entry);
            }
            for entry in &held {
                let number = (0..KEYS).find(|&n| key(n) == entry.key()).unwrap();
                prop_assert!(entry.array("data").unwrap().bytes == contents(number, length(number)));
            }
        }
        prop_assert_eq!(std::fs::read_dir(folder.cache().join("making")).unwrap().count(), 0);
    }

    #[test]
    fn no_level_is_ever_over_its_bound(acts in acts()) {
        let folder = Folder::new();
        let cache = folder.open(9_000, 14_000, BOUND);
        let mut held = Vec::new();
        for act in acts {
            match act {
                Act::Use(number) => drop(get(&cache, number, length(number))),
                Act::Hold(number) => held.push(get(&cache, number, length(number))),
                Act::Drop if held.is_empty() => {}
                Act::Drop => drop(held.remove(0)),
            }
            let stats = cache.stats().unwrap();
            prop_assert!(stats.memory_bytes <= 9_000 && stats.shared_bytes <= 14_000);
            prop_assert!(stats.disk_bytes <= BOUND);
            prop_assert_eq!(on_disk(&folder.cache(), KEYS).1, stats.disk_bytes);
            prop_assert_eq!(on_disk(&folder.shared().unwrap(), KEYS).1, stats.shared_bytes);
        }
        drop(cache);
        // Shared memory goes with its last user; what is read stays readable.
        prop_assert_eq!(folder.shared(), None);
        for entry in &held {
            let number = (0..KEYS).find(|&n| key(n) == entry.key()).unwrap();
            prop_assert!(entry.array("data").unwrap().bytes == contents(number, length(number)));
        }
    }
}

#[test]
fn each_level_answers_and_hands_on_to_those_above() {
    let folder = Folder::new();
    let first = folder.open(0, 1 << 20, 1 << 20);
    assert_eq!(get(&first, 1, 100).place(), Place::Shared);
    let second = folder.open(1 << 20, 1 << 20, 1 << 20);
    get(&second, 1, 100);
    get(&second, 1, 100);
    let counted = second.stats().unwrap().counted;
    assert_eq!((counted.shared_hits, counted.memory_hits, counted.misses), (1, 1, 0));
    drop((first, second));
    let third = folder.open(1 << 20, 1 << 20, 1 << 20);
    assert_eq!(get(&third, 1, 100).place(), Place::Shared, "brought up from disk");
    assert_eq!(third.stats().unwrap().counted.disk_hits, 1);
    let lifetime = third.contents().unwrap().lifetime;
    assert_eq!((lifetime.misses, lifetime.shared_hits, lifetime.disk_hits), (1, 1, 1));
}

#[test]
fn entries_at_hand_do_not_keep_new_ones_from_being_stored() {
    let folder = Folder::new();
    let cache = folder.open(BOUND, 0, BOUND);
    for number in 1..20 {
        let entry = get(&cache, number, 4_000);
        assert_eq!(entry.place(), Place::Disk);
    }
    assert_eq!(cache.stats().unwrap().counted.refused, 0);
}

#[test]
fn a_use_from_memory_counts_when_files_are_removed() {
    let folder = Folder::new();
    let cache = folder.open(1 << 20, 0, BOUND);
    for number in 1..=4 {
        get(&cache, number, 4_000);
    }
    get(&cache, 1, 4_000);
    get(&cache, 5, 4_000);
    assert_eq!(on_disk(&folder.cache(), 9).0, [1, 3, 4, 5]);
}

#[test]
fn a_cache_without_levels_still_makes() {
    let folder = Folder::new();
    let cache = folder.open(0, 0, 0);
    let entry = get(&cache, 1, 1000);
    assert_eq!(entry.place(), Place::Process);
    assert_eq!(entry.array("data").unwrap().bytes.as_ptr() as usize % crate::cache::ALIGNMENT, 0);
    assert!(matches!(cache.claim(key(1), Duration::ZERO).unwrap(), Claim::Make(_)));
    assert!(cache.find(key(1)).unwrap().is_none());
}

#[test]
fn pruning_removes_the_longest_unused_and_reads_no_bound() {
    let folder = Folder::new();
    {
        let cache = folder.open(0, 0, 1 << 20);
        for number in 1..=4 {
            get(&cache, number, 4_000);
        }
        get(&cache, 1, 4_000);
    }
    let existing = Cache::existing(&folder.cache()).unwrap();
    assert_eq!(existing.contents().unwrap().disk.entries, 4);
    existing.prune(10_000).unwrap();
    assert_eq!(on_disk(&folder.cache(), 9).0, [1, 4]);
    assert_eq!(Cache::existing(&folder.0).unwrap_err().code(), "GM_CONFIG");
}
