//! Two open caches of one folder are to each other as two processes are: locks belong to the open file. Real
//! processes, and killing them, are in `python/tests/test_cache.py`.

mod damage;
mod full;
mod lru;
mod sharing;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Cache, Entry, Key, NewArray, Options};
use crate::test_folder::TestFolder;

/// The folders of a cache, which go with the test.
pub(super) struct Folder(TestFolder);

impl Folder {
    pub(super) fn new() -> Self {
        let folder = TestFolder::new();
        std::fs::create_dir_all(folder.join("memory")).unwrap();
        Self(folder)
    }

    /// Bounds in bytes of memory, shared memory and disk.
    pub(super) fn open(&self, memory: u64, shared: u64, disk: u64) -> Cache {
        let shared_folder = self.0.join("memory");
        Cache::open(&Options { path: self.cache(), memory, shared, shared_folder, disk }).unwrap()
    }

    pub(super) fn cache(&self) -> PathBuf {
        self.0.join("cache")
    }

    /// Where the shared entries are, while a cache is open.
    pub(super) fn shared(&self) -> Option<PathBuf> {
        std::fs::read_dir(self.0.join("memory")).unwrap().next().map(|item| item.unwrap().path())
    }
}

pub(super) fn key(number: u64) -> Key {
    Key::new(u128::from(number), 7)
}

/// The bytes that belong to a key.
pub(super) fn contents(number: u64, length: usize) -> Vec<u8> {
    (0..length).map(|at| (at as u64 * 31 + number * 7 + (at as u64 >> 8)) as u8).collect()
}

pub(super) fn get(cache: &Cache, number: u64, length: usize) -> Arc<Entry> {
    let make = || {
        let mut array = NewArray::of_bytes("data", &[]);
        (array.shape, array.bytes) = (vec![length], contents(number, length).into());
        Ok(vec![array])
    };
    let entry = cache.get_or_make(key(number), make).unwrap();
    assert!(entry.array("data").unwrap().bytes == contents(number, length), "the bytes of another entry");
    entry
}

/// Numbers below `below` that have a finished entry below `folder`, and the bytes of all entries.
pub(super) fn on_disk(folder: &Path, below: u64) -> (Vec<u64>, u64) {
    let path = |number: u64| {
        let name = key(number).to_string();
        folder.join("entries").join(&name[..2]).join(name)
    };
    let sizes = (0..below).filter_map(|number| Some((number, std::fs::metadata(path(number)).ok()?.len())));
    sizes.fold((Vec::new(), 0), |(mut numbers, bytes), (number, size)| {
        numbers.push(number);
        (numbers, bytes + size)
    })
}
