//! However a stream is cut into chunks or ranges, the rows and rejects are the same.

use std::io::Write as _;

use arrow_array::{Array, Int64Array, StringArray};
use proptest::prelude::*;

use super::column::ColumnKind;
use super::rows::{ColumnOption, OnMissing, RowOptions};
use super::{Compressed, Ended, RangeStart, RecordReader};
use crate::formats::jsonl::JsonlFormat;
use crate::reject::Reject;

/// A row as the tests compare it: position, id, text, number.
type Row = (u64, Option<String>, Option<String>, Option<i64>);

#[derive(Debug, PartialEq, Default)]
struct Outcome {
    rows: Vec<Row>,
    rejects: Vec<Reject>,
    pruned: u64,
    consumed: u64,
    ended: Vec<Ended>,
}

fn options(max_record_bytes: usize) -> RowOptions {
    let column = |name: &str, kind| ColumnOption { name: name.to_owned(), kind };
    RowOptions {
        text: "text".to_owned(),
        id: "id".to_owned(),
        columns: vec![column("text", ColumnKind::String), column("n", ColumnKind::Int64)],
        count_unknown: true,
        on_missing: OnMissing::Quarantine,
        max_record_bytes,
    }
}

fn reader(max_record_bytes: usize) -> RecordReader {
    let options = options(max_record_bytes);
    RecordReader::new(Box::new(JsonlFormat::new(&options)), &options).unwrap()
}

fn collect(reader: &mut RecordReader, outcome: &mut Outcome) {
    if let Some(batch) = reader.take_batch().unwrap() {
        let string = |column: &StringArray, row| column.is_valid(row).then(|| column.value(row).to_owned());
        let n: &Int64Array = batch.typed("n", "int64").unwrap();
        for row in 0..batch.rows() {
            assert_eq!(batch.file_of(row), "a.jsonl");
            outcome.rows.push((
                batch.position().value(row),
                string(batch.id(), row),
                string(batch.text("text").unwrap(), row),
                n.is_valid(row).then(|| n.value(row)),
            ));
        }
    }
    outcome.rejects.extend(reader.take_rejects());
    let counts = reader.take_counts();
    outcome.pruned += counts.pruned;
    outcome.consumed += counts.consumed;
}

/// Reads `ranges` of the stream, pushing `chunk` bytes at a time and taking batches of `target` bytes.
fn read(stream: &[u8], ranges: &[RangeStart], max: usize, chunk: usize, target: usize) -> Outcome {
    let mut reader = reader(max);
    let mut outcome = Outcome::default();
    for range in ranges {
        // Compressed ranges start at the start of the stream in these tests.
        let from = if range.compression == Compressed::Never { range.from as usize } else { 0 };
        reader.start(range.clone()).unwrap();
        for part in stream[from..].chunks(chunk) {
            while reader.push(part, target).unwrap() {
                collect(&mut reader, &mut outcome);
            }
            if reader.done() {
                break;
            }
        }
        outcome.ended.extend(reader.end().unwrap());
        collect(&mut reader, &mut outcome);
    }
    outcome
}

fn whole(compression: Compressed) -> Vec<RangeStart> {
    vec![RangeStart { file: "a.jsonl".to_owned(), compression, ..RangeStart::default() }]
}

/// A file of good, bad and odd lines, with and without a last line end.
fn file() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        6 => (any::<i64>(), "\\PC{0,40}").prop_map(|(n, text)| {
            serde_json::json!({ "id": n.to_string(), "text": text, "n": n, "other": [n] }).to_string().into_bytes()
        }),
        1 => Just(br#"{"text": null}"#.to_vec()),
        1 => Just(br#"{"text": "\ud800 alone", "n": 1}"#.to_vec()),
        1 => Just(br#"{"text": "broken"#.to_vec()),
        1 => Just(b"{\"text\": \"\xff\"}".to_vec()),
        1 => Just(Vec::new()),
        1 => Just(b" \r".to_vec()),
        1 => Just(br#"{"text": "later wins", "text": "yes", "n": "no", "n": 3}"#.to_vec()),
        1 => Just([b"{\"text\":\"".as_slice(), &[b'x'; 90], b"\"}"].concat()),
    ];
    (any::<bool>(), any::<bool>(), prop::collection::vec(line, 0..20)).prop_map(|(bom, last_end, lines)| {
        let mut file = if bom { b"\xEF\xBB\xBF".to_vec() } else { Vec::new() };
        file.extend(lines.join(&b'\n'));
        if last_end {
            file.push(b'\n');
        }
        file
    })
}

fn zstd(bytes: &[u8], frames: usize) -> Vec<u8> {
    let size = bytes.len().div_ceil(frames).max(1);
    let parts = if bytes.is_empty() { vec![bytes] } else { bytes.chunks(size).collect() };
    parts.into_iter().flat_map(|part| zstd::encode_all(part, 1).unwrap()).collect()
}

fn gzip(bytes: &[u8], members: usize) -> Vec<u8> {
    let size = bytes.len().div_ceil(members).max(1);
    let parts = if bytes.is_empty() { vec![bytes] } else { bytes.chunks(size).collect() };
    let mut out = Vec::new();
    for part in parts {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(part).unwrap();
        out.extend(encoder.finish().unwrap());
    }
    out
}

proptest! {
    #[test]
    fn any_chunks_give_the_same_rows(file in file(), chunk in 1_usize..80, target in 1_usize..400, max in 40_usize..120) {
        let expected = read(&file, &whole(Compressed::Never), max, file.len().max(1), usize::MAX);
        prop_assert_eq!(read(&file, &whole(Compressed::Unknown), max, chunk, target), expected);
    }

    #[test]
    fn any_split_points_give_the_same_rows(
        file in file(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        chunk in 1_usize..80,
    ) {
        let mut ends: Vec<u64> = cuts.iter().map(|cut| cut.index(file.len() + 1) as u64).collect();
        ends.push(file.len() as u64);
        ends.sort_unstable();
        ends.dedup();
        // A range that ends at 0 would own the first record together with the next one.
        ends.retain(|&end| end > 0);
        let mut from = 0;
        let ranges: Vec<RangeStart> = ends.into_iter().map(|to| {
            let range = RangeStart {
                file: "a.jsonl".to_owned(),
                from,
                to: Some(to),
                ragged: true,
                compression: Compressed::Never,
                ..RangeStart::default()
            };
            from = to;
            range
        }).collect();
        let expected = read(&file, &whole(Compressed::Never), 100, file.len().max(1), usize::MAX);
        prop_assert_eq!(read(&file, &ranges, 100, chunk, usize::MAX), expected);
    }

    #[test]
    fn compressed_files_give_the_rows_of_plain_ones(file in file(), parts in 1_usize..4, chunk in 1_usize..80, target in 1_usize..400) {
        let expected = read(&file, &whole(Compressed::Never), 100, file.len().max(1), usize::MAX);
        let by_name = [(zstd(&file, parts), Compressed::Zstd), (gzip(&file, parts), Compressed::Gzip)];
        for (bytes, compression) in by_name {
            prop_assert_eq!(&read(&bytes, &whole(compression), 100, chunk, target), &expected);
            prop_assert_eq!(&read(&bytes, &whole(Compressed::Unknown), 100, chunk, target), &expected);
        }
    }

    #[test]
    fn a_damaged_stream_ends_the_same_way_in_any_chunks(
        file in file(), parts in 1_usize..4, chunk in 1_usize..200, cut in any::<prop::sample::Index>(), flip in any::<Option<u8>>(),
    ) {
        // Incompressible lines make several blocks, some of them stored raw.
        let mut stream: Vec<u8> = (0..9000_u64).flat_map(|i| {
            format!("{{\"text\":\"{:x}\"}}\n", i.wrapping_mul(0x9E37_79B9_7F4A_7C15)).into_bytes()
        }).collect();
        stream.extend(file);
        for (mut bytes, compression) in [(zstd(&stream, parts), Compressed::Zstd), (gzip(&stream, parts), Compressed::Gzip)] {
            let at = cut.index(bytes.len());
            match flip {
                Some(mask) => bytes[at] ^= mask | 1,
                None => bytes.truncate(at),
            }
            let expected = read(&bytes, &whole(compression), 1 << 20, bytes.len().max(1), usize::MAX);
            let outcome = read(&bytes, &whole(compression), 1 << 20, 1 + chunk * 97, 5000);
            prop_assert_eq!(&outcome.ended, &expected.ended);
            prop_assert_eq!(outcome.consumed, expected.consumed);
            // Thousands of rows: too many to print.
            prop_assert!(outcome == expected, "rows or rejects differ");
            if flip.is_none() {
                prop_assert!(expected.ended.len() <= 1);
            }
        }
    }
}

#[test]
fn a_truncated_stream_keeps_its_rows_and_records_the_cut() {
    let stream: Vec<u8> =
        (0..50_000).flat_map(|i| format!("{{\"text\":\"row {i}\"}}\n").into_bytes()).collect();
    let bytes = zstd(&stream, 1);
    let outcome = read(&bytes[..bytes.len() / 2], &whole(Compressed::Zstd), 1 << 20, 4096, usize::MAX);
    assert!(outcome.rows.len() > 10_000, "only {} rows", outcome.rows.len());
    assert_eq!(outcome.ended.len(), 1);
    assert_eq!(outcome.ended[0].reason, "the file ends inside a zstd frame");
    assert_eq!(outcome.rejects.len(), 1);
    let reject = &outcome.rejects[0];
    assert_eq!((reject.code, reject.offset + reject.length), ("truncated", outcome.consumed));
}

#[test]
fn a_file_that_is_not_what_its_name_says_is_corrupt() {
    for (bytes, corrupt) in [(b"{\"text\":\"a\"}\n".as_slice(), true), (b"{}", true), (b"", false)] {
        let outcome = read(bytes, &whole(Compressed::Zstd), 100, 3, usize::MAX);
        assert_eq!(outcome.rows, []);
        assert_eq!(outcome.ended.len(), 1);
        assert_eq!(outcome.ended[0].corrupt, corrupt);
        assert_eq!(outcome.rejects.len(), 1);
    }
}

#[test]
fn an_over_long_record_is_kept_by_reference_and_costs_no_memory() {
    let mut reader = reader(1 << 20);
    reader.start(whole(Compressed::Never).remove(0)).unwrap();
    let mut outcome = Outcome::default();
    reader.push(b"{\"text\":\"first\"}\n{\"text\":\"", usize::MAX).unwrap();
    let chunk = vec![b'x'; 1 << 20];
    for _ in 0..64 {
        reader.push(&chunk, usize::MAX).unwrap();
        assert!(reader.carry.capacity() <= (4 << 20), "{} bytes are held", reader.carry.capacity());
    }
    reader.push(b"\"}\n{\"text\":\"last\"}", usize::MAX).unwrap();
    assert_eq!(reader.end().unwrap(), None);
    collect(&mut reader, &mut outcome);
    let texts: Vec<_> = outcome.rows.iter().map(|row| row.2.as_deref().unwrap()).collect();
    assert_eq!(texts, ["first", "last"]);
    let reject = &outcome.rejects[0];
    assert_eq!((reject.code, reject.offset, reject.length), ("record-too-long", 17, (64 << 20) + 12));
    assert_eq!(reject.bytes.len(), crate::reject::KEPT_BYTES);
}
