use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::*;
use crate::cache::Claim;

#[test]
fn of_many_who_want_an_entry_one_makes_it() {
    let folder = Folder::new();
    let (made, barrier) = (AtomicU32::new(0), Barrier::new(8));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let cache = folder.open(0, 1 << 20, 1 << 20);
                barrier.wait();
                for number in 0..20 {
                    let entry = cache.get_or_make(key(number), || {
                        made.fetch_add(1, Ordering::Relaxed);
                        Ok(vec![NewArray::of_bytes("data", b"numbers")])
                    });
                    assert_eq!(entry.unwrap().array("data").unwrap().bytes, b"numbers");
                }
            });
        }
    });
    assert_eq!(made.into_inner(), 20);
}

#[test]
fn under_a_small_bound_everybody_still_reads_right() {
    let folder = Folder::new();
    std::thread::scope(|scope| {
        for thread in 0..6_u64 {
            let folder = &folder;
            scope.spawn(move || {
                let cache = folder.open(3_000, 6_000, 10_000);
                for turn in 0..120 {
                    let number = (turn * 7 + thread * 3) % 17;
                    get(&cache, number, 300 * number as usize + 10);
                    let stats = cache.stats().unwrap();
                    assert!(stats.disk_bytes <= 10_000 && stats.shared_bytes <= 6_000);
                }
            });
        }
    });
    let (_, bytes) = on_disk(&folder.cache(), 17);
    assert_eq!(folder.open(0, 0, 10_000).stats().unwrap().disk_bytes, bytes);
}

#[test]
fn a_maker_who_fails_leaves_the_right_to_the_next() {
    let folder = Folder::new();
    let cache = folder.open(0, 0, 1 << 20);
    let failed = cache.get_or_make(key(1), || Err(crate::KernelError::internal("no")));
    assert_eq!(failed.unwrap_err().code(), "GM_INTERNAL");
    assert!(matches!(cache.claim(key(1), Duration::ZERO).unwrap(), Claim::Make(_)));
}

#[test]
fn keys_tell_parts_apart() {
    let of = |parts: &[&str]| Key::of_parts(parts.iter().map(|part| part.as_bytes()));
    assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
    assert_ne!(of(&["ab"]), of(&["ab", ""]));
    assert_ne!(Key::new(1, 2), Key::new(2, 1));
    let key = of(&["x"]);
    assert_eq!(Key::of_number(key.number()), key);
    assert_eq!(Key::of_name(&key.to_string()), Some(key));
    assert_eq!(Key::of_name("index"), None);
}
