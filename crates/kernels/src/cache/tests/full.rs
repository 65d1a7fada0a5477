//! Memory and disks that are full. `/dev/full` takes the place of the scratch file: writing to it fails as on a file
//! system without space.

use std::os::unix::fs::symlink;

use super::*;
use crate::cache::Place;

fn fill(level: &Path, number: u64) {
    symlink("/dev/full", level.join("making").join(key(number).to_string())).unwrap();
}

#[test]
fn full_shared_memory_is_counted_and_done_without() {
    let folder = Folder::new();
    let cache = folder.open(0, 1 << 20, 1 << 20);
    let old = get(&cache, 1, 1000).len();
    fill(&folder.shared().unwrap(), 2);
    let entry = get(&cache, 2, 1000);
    assert_eq!(entry.place(), Place::Disk);
    let stats = cache.stats().unwrap();
    assert_eq!((stats.counted.failed_writes, stats.counted.evictions), (1, 1), "an old one gave way first");
    assert!(stats.last_failure.unwrap().contains("No space left"), "the reason is told");
    assert!(stats.shared_bytes < old);
    assert_eq!(get(&cache, 3, 1000).place(), Place::Shared);
}

#[test]
fn a_full_disk_leaves_the_entry_to_shared_memory_or_the_process() {
    for (shared, place) in [(1 << 20, Place::Shared), (0, Place::Process)] {
        let folder = Folder::new();
        let cache = folder.open(0, shared, 1 << 20);
        fill(&folder.cache(), 1);
        assert_eq!(get(&cache, 1, 1000).place(), place);
        assert_eq!(cache.stats().unwrap().counted.failed_writes, 1);
        assert_eq!(on_disk(&folder.cache(), 9).0, [0; 0]);
    }
}

#[test]
fn shared_memory_that_is_not_there_is_counted_and_done_without() {
    let folder = Folder::new();
    std::fs::remove_dir(folder.0.join("memory")).unwrap();
    let cache = folder.open(0, 1 << 20, 1 << 20);
    assert_eq!(get(&cache, 1, 1000).place(), Place::Disk);
    assert_eq!(cache.stats().unwrap().counted.failed_writes, 1);
}

#[test]
fn shared_memory_that_somebody_clears_is_done_without() {
    let folder = Folder::new();
    let cache = folder.open(0, 1 << 20, 1 << 20);
    let held = get(&cache, 1, 1000);
    std::fs::remove_dir_all(folder.shared().unwrap()).unwrap();
    assert_eq!(get(&cache, 1, 1000).place(), Place::Disk);
    assert_eq!(get(&cache, 2, 1000).place(), Place::Disk);
    assert_eq!(cache.stats().unwrap().shared_bytes, 0);
    assert!(held.array("data").unwrap().bytes == contents(1, 1000));
}
