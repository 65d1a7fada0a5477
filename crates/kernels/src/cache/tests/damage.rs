use std::os::unix::fs::FileExt;

use proptest::prelude::*;
use std::fs::File;

use super::*;
use crate::cache::{ArrayPlace, Claim, Dtype};
use crate::hash::blocks::BLOCK_BYTES;
use std::time::Duration;

fn file_of(number: u64, folder: &Path) -> PathBuf {
    let name = key(number).to_string();
    folder.join("entries").join(&name[..2]).join(name)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_changed_byte_is_found_and_the_entry_made_again(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let folder = Folder::new();
        drop(get(&folder.open(0, 0, 1 << 20), 1, 3000));
        let path = file_of(1, &folder.cache());
        let mut bytes = std::fs::read(&path).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        std::fs::write(&path, &bytes).unwrap();
        let cache = folder.open(0, 0, 1 << 20);
        drop(get(&cache, 1, 3000));
        let stats = cache.stats().unwrap();
        prop_assert_eq!((stats.counted.corrupt, stats.counted.misses), (1, 1));
        prop_assert_eq!(stats.disk_bytes, bytes.len() as u64);
    }

    #[test]
    fn a_file_cut_short_is_made_again(keep in any::<prop::sample::Index>()) {
        let folder = Folder::new();
        let cache = folder.open(0, 0, 1 << 20);
        let bytes = get(&cache, 1, 3000).len();
        let file = File::options().write(true).open(file_of(1, &folder.cache())).unwrap();
        file.set_len(keep.index(bytes as usize) as u64).unwrap();
        drop(get(&cache, 1, 3000));
        prop_assert_eq!(cache.stats().unwrap().counted.corrupt, 1);
        prop_assert_eq!(cache.verify().unwrap(), 0);
    }
}

#[test]
fn damage_in_shared_memory_is_mended_from_disk() {
    let folder = Folder::new();
    let writer = folder.open(0, 4 << 20, 4 << 20);
    let length = 2 * BLOCK_BYTES + 5;
    drop(get(&writer, 1, length));
    let path = file_of(1, &folder.shared().unwrap());
    File::options().write(true).open(path).unwrap().write_all_at(&[0xff], BLOCK_BYTES as u64 + 9).unwrap();
    let reader = folder.open(0, 4 << 20, 4 << 20);
    drop(get(&reader, 1, length));
    let counted = reader.stats().unwrap().counted;
    assert_eq!((counted.corrupt, counted.disk_hits, counted.misses), (1, 1, 0));
    assert_eq!(reader.verify().unwrap(), 0);
}

#[test]
fn verify_removes_what_is_damaged_and_nothing_else() {
    let folder = Folder::new();
    let cache = folder.open(0, 0, 1 << 20);
    for number in 1..=3 {
        get(&cache, number, 500);
    }
    let file = File::options().write(true).open(file_of(2, &folder.cache())).unwrap();
    file.write_all_at(b"x", 77).unwrap();
    assert_eq!(cache.verify().unwrap(), 1);
    assert_eq!(on_disk(&folder.cache(), 9).0, [1, 3]);
    assert_eq!(Cache::existing(&folder.cache()).unwrap().contents().unwrap().disk.entries, 2);
}

#[test]
fn another_entry_under_this_name_is_not_taken_for_it() {
    let folder = Folder::new();
    let cache = folder.open(0, 0, 1 << 20);
    get(&cache, 1, 500);
    get(&cache, 2, 500);
    std::fs::copy(file_of(1, &folder.cache()), file_of(2, &folder.cache())).unwrap();
    drop(get(&folder.open(0, 0, 1 << 20), 2, 500));
}

#[test]
fn totals_are_counted_anew_after_a_death_between_a_change_and_its_count() {
    let folder = Folder::new();
    let cache = folder.open(0, 0, 1 << 20);
    get(&cache, 1, 500);
    let held = cache.inner.disk.lock().unwrap();
    held.begin().unwrap();
    std::fs::remove_file(file_of(1, &folder.cache())).unwrap();
    drop(held); // As the kernel drops the lock of the dead.
    assert_eq!(cache.stats().unwrap().disk_bytes, 0);
    std::fs::write(folder.cache().join("index"), b"nonsense").unwrap();
    let bytes = get(&cache, 2, 500).len();
    assert_eq!(cache.stats().unwrap().disk_bytes, bytes);
}

#[test]
fn leftovers_are_swept_and_the_living_are_not() {
    let folder = Folder::new();
    let cache = folder.open(0, 0, 1 << 20);
    let making = folder.cache().join("making");
    let Claim::Make(maker) = cache.claim(key(1), Duration::ZERO).unwrap() else { panic!("it is there") };
    std::fs::write(making.join(key(2).to_string()), b"half of an entry").unwrap();
    let other = folder.open(0, 0, 1 << 20);
    assert!(making.join(key(1).to_string()).exists() && !making.join(key(2).to_string()).exists());
    assert!(matches!(other.claim(key(1), Duration::from_millis(1)).unwrap(), Claim::Busy));
    drop(maker);
    assert!(matches!(other.claim(key(1), Duration::ZERO).unwrap(), Claim::Make(_)));
}

#[test]
fn a_file_becomes_an_entry_by_moving() {
    let folder = Folder::new();
    for (disk, stays) in [(1 << 20, 1), (10, 0)] {
        let cache = folder.open(0, 0, disk);
        let path = folder.0.join("blob");
        std::fs::write(&path, contents(1, 4000)).unwrap();
        let Claim::Make(maker) = cache.claim(key(disk), Duration::ZERO).unwrap() else {
            panic!("it is there")
        };
        let ids = ArrayPlace { name: "ids".to_owned(), dtype: Dtype::Int32, shape: vec![10, 5], offset: 800 };
        let entry = maker.store_file(&path, vec![ArrayPlace::whole("all", 4000), ids]).unwrap();
        assert!(!path.exists());
        assert!(entry.array("all").unwrap().bytes == contents(1, 4000));
        let ids = entry.array("ids").unwrap();
        assert_eq!(
            (ids.dtype, ids.shape, ids.bytes),
            (Dtype::Int32, &[10, 5][..], &contents(1, 4000)[800..1000])
        );
        assert_eq!(cache.contents().unwrap().disk.entries, stays);
    }
}

#[test]
fn arrays_that_do_not_fit_their_shape_are_refused() {
    let folder = Folder::new();
    let cache = folder.open(0, 0, 1 << 20);
    let store = |arrays: &[NewArray<'_>]| match cache.claim(key(1), Duration::ZERO).unwrap() {
        Claim::Make(maker) => maker.store(arrays).unwrap_err().to_string(),
        _ => panic!("it is there"),
    };
    let mut array = NewArray::of_bytes("a", b"1234567");
    array.dtype = Dtype::Int32;
    assert_eq!(store(&[array]), "option 'arrays': array 'a': it has 7 bytes, not Int32 of shape [7]");
    let array = NewArray::of_bytes("a", b"1");
    assert!(store(&[array.clone(), array.clone()]).contains("two arrays of this name"));
    let array = NewArray { shape: vec![usize::MAX, 2], ..array };
    assert!(store(&[array]).contains("not Uint8 of shape"));
}
