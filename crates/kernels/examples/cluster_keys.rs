//! Time, memory and disk of finding the components of synthetic band keys.
//!
//! `cluster_keys FOLDER [MILLION_ROWS] [BANDS]`: writes the keys of so many rows (20 million, 14 bands) as tasks
//! of a million rows write them, 30 % of the rows in clusters, one of which has a twentieth of all rows. What is
//! measured is what a run does with them: the buckets of each partition, on two threads, and the components.
//! Prints one JSON object, with the estimate that is made beforehand.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use gristmill_kernels::dedup::minhash::estimate::{Corpus, Estimate};
use gristmill_kernels::dedup::minhash::{buckets, components, keys};

const TASK_ROWS: u32 = 1_000_000;
const THREADS: u32 = 2;
/// Rows of a partition's keys: what 128 MiB of documents of four kilobytes are.
const PARTITION_ROWS: u32 = 1 << 17;

#[expect(clippy::print_stdout, reason = "the result goes to the benchmark")]
fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let folder = Path::new(&arguments[1]);
    let number =
        |at: usize, default: u32| arguments.get(at).map_or(default, |n| n.parse().expect("a number"));
    let (rows, bands) = (number(2, 20) * TASK_ROWS, number(3, 14));
    let corpus = Corpus { rows: u64::from(rows), bands, partitions: rows.div_ceil(PARTITION_ROWS) };
    let estimate = Estimate::new(corpus, THREADS);
    // Keys are appended: those of a run that was broken off must not stay.
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).expect("a folder");
    let parts = write_keys(folder, rows, bands, corpus.partitions as usize);
    // From here on the peak is that of the work, not of making its input.
    fs::write("/proc/self/clear_refs", "5").expect("a Linux that can forget the peak");
    let before = peak_bytes();
    let started = Instant::now();
    let files = write_buckets(&parts);
    let bucket_seconds = started.elapsed().as_secs_f64();
    let bases: Vec<u32> = (0..=rows / TASK_ROWS).map(|task| task * TASK_ROWS).collect();
    let dealt = components::deal(&files, &bases, 65_536, folder.join("groups")).expect("components");
    let seconds = started.elapsed().as_secs_f64();
    let disk: u64 = fs::read_dir(folder)
        .expect("the folder")
        .map(|entry| entry.and_then(|entry| entry.metadata()).map_or(0, |metadata| metadata.len()))
        .sum();
    let result = serde_json::json!({
        "rows": rows,
        "bands": bands,
        "seconds": seconds,
        "bucket_seconds": bucket_seconds,
        "peak_bytes": peak_bytes(),
        "disk_bytes": disk,
        "estimated_memory_bytes": before + estimate.memory_bytes,
        "estimated_disk_bytes": estimate.disk_bytes,
        "candidates": dealt.candidates,
        "largest": dealt.largest,
        "groups": dealt.groups,
    });
    println!("{result}");
    fs::remove_dir_all(folder).expect("the folder can go");
}

/// A partition's file of keys: one stretch for each task.
struct Part {
    path: PathBuf,
    /// Length of each task's stretch.
    lengths: Vec<usize>,
}

/// The head of a row's cluster; itself for the rows that are alone.
fn head_of(row: u32, rows: u32) -> u32 {
    let largest = rows / 20;
    if row < largest {
        0
    } else if row < rows * 3 / 10 {
        // Clusters of two to nine.
        row - row % (2 + (row / 1024) % 8)
    } else {
        row
    }
}

fn write_keys(folder: &Path, rows: u32, bands: u32, partitions: usize) -> Vec<Part> {
    let mut parts: Vec<Part> = (0..partitions)
        .map(|part| Part { path: folder.join(format!("{part}.keys")), lengths: Vec::new() })
        .collect();
    for task in 0..rows / TASK_ROWS {
        let mut gathered: Vec<(Vec<u64>, Vec<u32>)> = vec![Default::default(); partitions];
        for row in 0..TASK_ROWS {
            // Rows of a cluster come from all over the corpus.
            let place = (u64::from(task * TASK_ROWS + row) * 7_919_993 % u64::from(rows)) as u32;
            let head = head_of(place, rows);
            for band in 0..bands {
                let own = mix(u64::from(place) << 32 | u64::from(band) << 8 | 1);
                // A copy agrees with its head in seven of ten bands.
                let like = if own % 10 < 7 { mix(u64::from(head) << 32 | u64::from(band) << 8) } else { own };
                let part = ((u128::from(like) * partitions as u128) >> 64) as usize;
                gathered[part].0.push(like);
                gathered[part].1.push(row);
            }
        }
        for (part, (keys, rows)) in parts.iter_mut().zip(gathered) {
            let bytes = keys::encode(&keys, &rows);
            let file = File::options().create(true).append(true).open(&part.path);
            file.and_then(|mut file| file.write_all(&bytes)).expect("room on the disk");
            part.lengths.push(bytes.len());
        }
    }
    parts
}

fn write_buckets(parts: &[Part]) -> Vec<PathBuf> {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let bytes = fs::read(&part.path).expect("the keys");
                    let mut rest = &bytes[..];
                    let inputs: Vec<(u32, &[u8])> = (0..)
                        .zip(&part.lengths)
                        .map(|(task, &length)| {
                            let (segment, after) = rest.split_at(length);
                            rest = after;
                            (task * TASK_ROWS, segment)
                        })
                        .collect();
                    buckets::write(&inputs, 0, part.path.with_extension("buckets"))
                        .expect("room on the disk");
                }
            });
        }
    });
    parts.iter().map(|part| part.path.with_extension("buckets")).collect()
}

/// The finaliser of `SplitMix64`.
fn mix(value: u64) -> u64 {
    let z = value.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The most memory this process had resident.
fn peak_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).map_or(0, |kib| kib * 1024)
}
