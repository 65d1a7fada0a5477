//! Readers of items on files made here by their layout; other tools' files are read in test/.

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Int64Type, UInt32Type};
use proptest::prelude::*;

use super::*;
use crate::formats::columnar::{OnMissing, WantedColumn, WantedType};
use crate::formats::mds_read::MdsFormat;
use crate::formats::tfrecord_read::TfrecordFormat;
use crate::formats::webdataset_read::WebdatasetFormat;
use crate::hash::crc32c::masked_crc32c;
use crate::reject::Reject;

fn selection(columns: &[(&str, WantedType)]) -> Selection {
    let columns = columns.iter().map(|&(name, kind)| WantedColumn {
        name: name.to_owned(),
        source: name.to_owned(),
        kind,
    });
    Selection {
        file: "a".to_owned(),
        id: None,
        columns: columns.collect(),
        on_missing: OnMissing::Quarantine,
        max_record_bytes: 1 << 20,
    }
}

fn found(columns: &[FileColumn]) -> Vec<ItemColumn> {
    let columns = columns
        .iter()
        .map(|column| ItemColumn { name: column.name.clone(), arrow_type: column.data_type.to_string() });
    columns.collect()
}

/// All rows and rejects of a file that comes in chunks of so many bytes.
fn read(
    reader: &mut ItemReader,
    bytes: &[u8],
    chunk: usize,
) -> (Vec<RecordBatch>, Vec<Reject>, Option<Ended>) {
    let (mut batches, mut rejects) = (Vec::new(), Vec::new());
    let mut take = |reader: &mut ItemReader, target: usize| {
        if let Some((converted, _)) = reader.take(target).unwrap() {
            batches.extend(converted.batch.map(|batch| batch.record().clone()));
            rejects.extend(converted.rejects);
        }
    };
    reader.start("a", Compressed::Never);
    for chunk in bytes.chunks(chunk.max(1)) {
        while reader.push(chunk, 64).unwrap() {
            take(reader, 64);
        }
        take(reader, 64);
    }
    let ended = reader.end().unwrap();
    take(reader, 0);
    (batches, rejects, ended)
}

fn framed(record: &[u8]) -> Vec<u8> {
    let length = (record.len() as u64).to_le_bytes();
    let crc = |bytes: &[u8]| masked_crc32c(bytes).to_le_bytes();
    [&length[..], &crc(&length), record, &crc(record)].concat()
}

fn delimited(tag: u8, bytes: &[u8]) -> Vec<u8> {
    assert!(bytes.len() < 128);
    [&[tag, bytes.len() as u8], bytes].concat()
}

/// An example with `text`, `ids` (packed) and `score` (one by one).
fn example(text: &str, ids: &[u8], score: f32) -> Vec<u8> {
    let entry = |name: &str, tag: u8, list: &[u8]| {
        let feature = delimited(tag, list);
        delimited(10, &[delimited(10, name.as_bytes()), delimited(18, &feature)].concat())
    };
    let features = [
        entry("text", 10, &delimited(10, text.as_bytes())),
        entry("ids", 26, &delimited(10, ids)),
        entry("score", 18, &[&[13], &score.to_le_bytes()[..]].concat()),
    ];
    delimited(10, &features.concat())
}

fn tfrecord() -> (ItemReader, Vec<FileColumn>) {
    let mut look = ItemReader::new(Box::new(TfrecordFormat::new(vec!["ids".to_owned()])), 1 << 20);
    look.start("a", Compressed::Never);
    let first = framed(&example("x", &[1, 2], 0.5));
    assert!(!look.push(&first, usize::MAX).unwrap());
    let columns = look.columns().unwrap();
    let mut reader = ItemReader::new(Box::new(TfrecordFormat::new(Vec::new())), 1 << 20);
    let wanted = [("text", WantedType::String), ("ids", WantedType::Other), ("score", WantedType::Other)];
    reader.open(selection(&wanted), &found(&columns), true).unwrap();
    (reader, columns)
}

#[test]
fn features_become_columns_of_their_kind() {
    let (_, columns) = tfrecord();
    let types: Vec<String> = columns
        .iter()
        .map(|column| format!("{} {} {}", column.name, column.kind, column.data_type))
        .collect();
    assert_eq!(types, ["text string Utf8", "ids integers List(Int64)", "score float64 Float32"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn records_are_read_whatever_the_chunks_and_a_damaged_one_costs_itself(
        rows in prop::collection::vec(("[a-zä]{0,20}", prop::collection::vec(0_u8..128, 0..9), any::<bool>()), 0..12),
        chunk in 1_usize..200,
    ) {
        let mut bytes = Vec::new();
        let mut expected = Vec::new();
        let mut damaged = Vec::new();
        for (text, ids, good) in &rows {
            let mut record = framed(&example(text, ids, 0.5));
            if *good {
                expected.push((bytes.len() as u64, text.clone(), ids.clone()));
            } else {
                damaged.push(bytes.len() as u64);
                let middle = record.len() / 2;
                record[middle] ^= 1;
            }
            bytes.extend(record);
        }
        let (mut reader, _) = tfrecord();
        let (batches, rejects, ended) = read(&mut reader, &bytes, chunk);
        prop_assert_eq!(ended, None);
        let mut got = Vec::new();
        for batch in &batches {
            let positions = batch.column(1).as_primitive::<arrow_array::types::UInt64Type>();
            let texts = batch.column_by_name("text").unwrap().as_string::<i32>();
            let lists = batch.column_by_name("ids").unwrap().as_list::<i32>();
            let scores = batch.column_by_name("score").unwrap().as_primitive::<Float32Type>();
            for row in 0..batch.num_rows() {
                let ids = lists.value(row).as_primitive::<Int64Type>().values().iter().map(|&id| u8::try_from(id).unwrap()).collect();
                prop_assert!((scores.value(row) - 0.5).abs() < f32::EPSILON);
                got.push((positions.value(row), texts.value(row).to_owned(), ids));
            }
        }
        prop_assert_eq!(got, expected);
        prop_assert_eq!(rejects.iter().map(|reject| reject.offset).collect::<Vec<_>>(), damaged);
        prop_assert!(rejects.iter().all(|reject| reject.code == "tfrecord-crc"));
    }

    #[test]
    fn a_file_cut_anywhere_gives_the_records_before_and_says_so(cut in 0_usize..150, chunk in 1_usize..60) {
        let record = framed(&example("text", &[1, 2, 3], 1.0));
        let bytes = record.repeat(3);
        let cut = cut.min(bytes.len());
        let (mut reader, _) = tfrecord();
        let (batches, rejects, ended) = read(&mut reader, &bytes[..cut], chunk);
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        prop_assert_eq!(rows, cut / record.len());
        prop_assert_eq!(ended.is_some(), cut % record.len() > 0);
        prop_assert_eq!(rejects.len(), usize::from(cut % record.len() > 0));
    }

    #[test]
    fn no_bytes_are_too_wild(bytes in prop::collection::vec(any::<u8>(), 0..2000), chunk in 1_usize..600, size in 0_u32..64) {
        let formats: [Box<dyn ItemFormat>; 3] = [
            Box::new(TfrecordFormat::new(Vec::new())),
            Box::new(WebdatasetFormat::new(1 << 20)),
            Box::new(MdsFormat::new()),
        ];
        // A head that passes the first check, for MDS.
        let mds = [&size.to_le_bytes()[..], &(8 + 4 * size + 50).to_le_bytes(), &bytes].concat();
        for format in formats {
            let mut reader = ItemReader::new(format, 1 << 20);
            let columns = [ItemColumn { name: "text".to_owned(), arrow_type: "Utf8".to_owned() }];
            reader.open(selection(&[("text", WantedType::String)]), &columns, true).unwrap();
            for bytes in [&bytes, &mds] {
                let (_, rejects, ended) = read(&mut reader, bytes, chunk);
                prop_assert!(ended.is_none() || !rejects.is_empty());
            }
        }
    }

    #[test]
    fn examples_of_any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), flips in prop::collection::vec((0_usize..60, any::<u8>()), 0..4)) {
        let _ = crate::formats::tf_example::features(&bytes);
        let mut example = example("some text", &[1, 2, 3], 0.25);
        for (at, flip) in flips {
            let length = example.len();
            example[at % length] ^= flip;
        }
        let _ = crate::formats::tf_example::features(&example);
    }
}

#[test]
fn a_wrong_length_ends_the_file() {
    let record = framed(&example("text", &[1], 1.0));
    let mut bytes = record.repeat(3);
    bytes[record.len()] ^= 1;
    let (mut reader, _) = tfrecord();
    let (batches, rejects, ended) = read(&mut reader, &bytes, 1000);
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 1);
    assert_eq!(
        (rejects.len(), rejects[0].code, rejects[0].offset),
        (1, "tfrecord-length", record.len() as u64)
    );
    assert!(ended.unwrap().corrupt);
}

#[test]
fn token_ids_come_from_lists_of_any_integers() {
    let (_, columns) = tfrecord();
    let mut reader = ItemReader::new(Box::new(TfrecordFormat::new(Vec::new())), 1 << 20);
    reader.open(selection(&[("ids", WantedType::Tokens)]), &found(&columns), false).unwrap();
    // -1 is ten bytes long.
    let minus = [[255; 9].as_slice(), &[1]].concat();
    let bytes = [framed(&example("", &[7, 8], 1.0)), framed(&example("", &minus, 1.0))].concat();
    let (batches, rejects, _) = read(&mut reader, &bytes, 1000);
    let ids = batches[0].column_by_name("ids").unwrap().as_list::<i32>().value(0);
    assert_eq!(ids.as_primitive::<UInt32Type>().values(), &[7, 8]);
    assert_eq!(rejects.iter().map(|reject| reject.code).collect::<Vec<_>>(), ["token-range"]);
}

/// A member of an archive, as ustar has it.
fn member(name: &str, data: &[u8]) -> Vec<u8> {
    let mut block = [0_u8; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[124..135].copy_from_slice(format!("{:011o}", data.len()).as_bytes());
    block[148..156].fill(b' ');
    block[156] = b'0';
    block[257..263].copy_from_slice(b"ustar\0");
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let mut member = [&block[..], data].concat();
    member.resize(member.len().next_multiple_of(512), 0);
    member
}

fn archive(rows: &[(String, Vec<u8>)]) -> Vec<u8> {
    let members = rows.iter().enumerate().flat_map(|(row, (text, raw))| {
        [member(&format!("d/{row}.text"), text.as_bytes()), member(&format!("d/{row}.bin"), raw)].concat()
    });
    members.chain([0; 1024]).collect()
}

/// A shard of `bin` and `text`.
fn shard(rows: &[(String, Vec<u8>)]) -> Vec<u8> {
    let config = r#"{"version": 2, "format": "mds", "column_names": ["bin", "text"],
        "column_encodings": ["bytes", "str"], "column_sizes": [null, null]}"#;
    let samples: Vec<Vec<u8>> = rows
        .iter()
        .map(|(text, raw)| {
            let sizes = [(raw.len() as u32).to_le_bytes(), (text.len() as u32).to_le_bytes()].concat();
            [&sizes, raw.as_slice(), text.as_bytes()].concat()
        })
        .collect();
    let mut at = (8 + 4 * rows.len() + config.len()) as u32;
    let mut head = [(rows.len() as u32).to_le_bytes(), at.to_le_bytes()].concat();
    for sample in &samples {
        at += sample.len() as u32;
        head.extend(at.to_le_bytes());
    }
    [head, config.into(), samples.concat()].concat()
}

/// A reader of the columns `text` and `bin`.
fn pairs(format: Box<dyn ItemFormat>) -> ItemReader {
    let columns = [("text", "Utf8"), ("bin", "Binary")]
        .map(|(name, arrow_type)| ItemColumn { name: name.to_owned(), arrow_type: arrow_type.to_owned() });
    let mut reader = ItemReader::new(format, 1 << 20);
    reader
        .open(selection(&[("text", WantedType::String), ("bin", WantedType::Other)]), &columns, true)
        .unwrap();
    reader
}

type Pair = (String, Vec<u8>);

fn texts(batches: &[RecordBatch]) -> Vec<(u64, Pair)> {
    let mut rows = Vec::new();
    for batch in batches {
        let positions = batch.column(1).as_primitive::<arrow_array::types::UInt64Type>();
        let texts = batch.column_by_name("text").unwrap().as_string::<i32>();
        let raw = batch.column_by_name("bin").unwrap().as_binary::<i32>();
        let row = |row| (positions.value(row), (texts.value(row).to_owned(), raw.value(row).to_vec()));
        rows.extend((0..batch.num_rows()).map(row));
    }
    rows
}

fn rows() -> impl Strategy<Value = Vec<Pair>> {
    prop::collection::vec(("[a-zé]{0,30}", prop::collection::vec(any::<u8>(), 0..700)), 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn rows_come_back_and_damage_is_the_same_whatever_the_chunks(
        rows in rows(),
        mds in any::<bool>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1_u8..), 0..3),
        cut in prop::option::of(any::<prop::sample::Index>()),
        chunk in 1_usize..3000,
    ) {
        let whole = if mds { shard(&rows) } else { archive(&rows) };
        let reader = || -> ItemReader {
            pairs(if mds { Box::new(MdsFormat::new()) } else { Box::new(WebdatasetFormat::new(1 << 20)) })
        };
        let (batches, rejects, ended) = read(&mut reader(), &whole, chunk);
        prop_assert_eq!(texts(&batches).into_iter().map(|(_, row)| row).collect::<Vec<_>>(), rows);
        prop_assert_eq!((rejects, ended), (Vec::new(), None));

        let mut damaged = whole;
        for (at, flip) in flips {
            let at = at.index(damaged.len());
            damaged[at] ^= flip;
        }
        if let Some(cut) = cut {
            damaged.truncate(cut.index(damaged.len()));
        }
        let (batches, rejects, ended) = read(&mut reader(), &damaged, chunk);
        let (whole_batches, whole_rejects, whole_ended) = read(&mut reader(), &damaged, usize::MAX);
        prop_assert_eq!(texts(&batches), texts(&whole_batches));
        prop_assert_eq!(&rejects, &whole_rejects);
        prop_assert_eq!(&ended, &whole_ended);
        prop_assert!(ended.is_none() || !rejects.is_empty());
    }
}
