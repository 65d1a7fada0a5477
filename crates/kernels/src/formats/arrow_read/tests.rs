use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, StringArray};
use arrow_ipc::writer::{FileWriter, StreamWriter};
use proptest::prelude::*;

use super::*;
use crate::batch::TEXT;
use crate::formats::columnar::{OnMissing, WantedColumn, WantedType};
use crate::formats::parquet_read::{self, Fetched, ParquetFooter};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

fn record(from: i32, rows: i32) -> RecordBatch {
    let texts: ArrayRef =
        Arc::new((from..from + rows).map(|i| Some(format!("text {i}"))).collect::<StringArray>());
    let numbers: ArrayRef =
        Arc::new((from..from + rows).map(|i| (i % 3 != 0).then_some(i)).collect::<Int32Array>());
    RecordBatch::try_from_iter_with_nullable([("text", texts, true), ("n", numbers, true)]).unwrap()
}

fn selection() -> Selection {
    let column = |name: &str, kind| WantedColumn { name: name.to_owned(), source: name.to_owned(), kind };
    Selection {
        file: "f".to_owned(),
        id: None,
        columns: vec![column(TEXT, WantedType::String), column("n", WantedType::Int64)],
        on_missing: OnMissing::Quarantine,
        max_record_bytes: 1 << 20,
    }
}

/// Positions and texts that came out, and the rejects.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    rows: Vec<(u64, String)>,
    rejects: Vec<Reject>,
}

impl Outcome {
    fn add(&mut self, converted: Converted) {
        if let Some(batch) = converted.batch {
            let texts = batch.text(TEXT).unwrap();
            let positions = batch.position().values().iter();
            self.rows.extend(positions.zip(texts).map(|(&at, text)| (at, text.unwrap_or("").to_owned())));
        }
        self.rejects.extend(converted.rejects);
    }
}

fn expected(rows: i32) -> Vec<(u64, String)> {
    (0..rows).map(|i| (u64::from(i.unsigned_abs()), format!("text {i}"))).collect()
}

fn stream_bytes(batches: &[i32]) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &record(0, 0).schema()).unwrap();
    let mut from = 0;
    for &rows in batches {
        writer.write(&record(from, rows)).unwrap();
        from += rows;
    }
    writer.into_inner().unwrap()
}

fn read_stream(bytes: &[u8], chunks: &[usize]) -> Outcome {
    let mut reader = ArrowStreamReader::default();
    let mut outcome = Outcome::default();
    let mut selected = false;
    let mut rest = bytes;
    let mut sizes = chunks.iter().copied().chain([usize::MAX]);
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(sizes.next().unwrap_or(usize::MAX).min(rest.len()));
        rest = after;
        reader.push(chunk);
        if !selected && reader.columns().is_some() {
            reader.select(selection());
            selected = true;
        }
        // Damage may change the schema under way; then rows are an error of the caller.
        while let Ok(Some((converted, _))) = reader.read_next() {
            outcome.add(converted);
        }
    }
    outcome.rejects.extend(reader.finish("f", bytes.len() as u64));
    outcome
}

fn file_bytes(batches: &[i32]) -> Vec<u8> {
    let mut writer = FileWriter::try_new(Vec::new(), &record(0, 0).schema()).unwrap();
    let mut from = 0;
    for &rows in batches {
        writer.write(&record(from, rows)).unwrap();
        from += rows;
    }
    writer.into_inner().unwrap()
}

/// Reads as the source does: rows of a record batch that cannot be found out end the file.
fn read_file(bytes: &[u8]) -> Result<Outcome> {
    let tail = bytes.len().saturating_sub(TAIL_BYTES);
    let length = footer_length(&bytes[tail..])?;
    let footer = bytes.get(tail.saturating_sub(length)..tail).unwrap_or_default();
    let footer = ArrowFooter::parse(footer)?;
    let mut reader = footer.open(selection())?;
    let at = |place: BlockPlace| {
        let start = usize::try_from(place.start).unwrap_or(usize::MAX).min(bytes.len());
        let end = start.saturating_add(usize::try_from(place.bytes).unwrap_or(usize::MAX)).min(bytes.len());
        &bytes[start..end]
    };
    for (number, place) in footer.dictionaries().into_iter().enumerate() {
        reader.read_dictionary(number, at(place))?;
    }
    let mut outcome = Outcome::default();
    let mut row = 0;
    for (number, place) in footer.batches().into_iter().enumerate() {
        reader.start(number, row, at(place))?;
        while let Some((converted, _)) = reader.read_next()? {
            row += converted.rows;
            outcome.add(converted);
        }
    }
    Ok(outcome)
}

fn parquet_bytes(rows: i32) -> Vec<u8> {
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(40)).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), record(0, 0).schema(), Some(properties)).unwrap();
    writer.write(&record(0, rows)).unwrap();
    writer.into_inner().unwrap()
}

fn read_parquet(bytes: &[u8]) -> Result<Outcome> {
    let tail = bytes.len().saturating_sub(parquet_read::TAIL_BYTES);
    let length = parquet_read::footer_length(&bytes[tail..])?;
    let footer = ParquetFooter::parse(bytes.get(tail.saturating_sub(length)..tail).unwrap_or_default())?;
    let mut reader = footer.open(selection())?;
    let mut outcome = Outcome::default();
    let mut row = 0;
    for group in 0..footer.row_groups() {
        let ranges = reader.ranges(group).into_iter().map(|range| {
            let start = usize::try_from(range.start).unwrap_or(usize::MAX).min(bytes.len());
            let end = usize::try_from(range.end).unwrap_or(usize::MAX).clamp(start, bytes.len());
            (range.start, bytes::Bytes::copy_from_slice(&bytes[start..end]))
        });
        let ranges: Fetched = ranges.collect();
        reader.start(group, row, ranges);
        while let Some((converted, _)) = reader.read_next()? {
            outcome.add(converted);
        }
        row = row.saturating_add(footer.rows(group));
    }
    Ok(outcome)
}

#[test]
fn a_large_record_batch_comes_in_slices_with_memory_of_their_own() {
    let mut reader = ArrowStreamReader::default();
    reader.push(&stream_bytes(&[20_000]));
    reader.select(selection());
    let mut rows = Vec::new();
    while let Some((converted, _)) = reader.read_next().unwrap() {
        let batch = converted.batch.unwrap();
        assert!(batch.bytes() < 1 << 20, "{} bytes", batch.bytes());
        rows.push(batch.rows());
    }
    assert_eq!(rows, [8192, 8192, 3616]);
}

#[test]
fn files_are_read_by_their_footer() {
    let outcome = read_file(&file_bytes(&[5, 0, 3])).unwrap();
    assert_eq!(outcome, Outcome { rows: expected(8), rejects: vec![] });
    let outcome = read_parquet(&parquet_bytes(100)).unwrap();
    assert_eq!(outcome, Outcome { rows: expected(100), rejects: vec![] });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_stream_reads_the_same_however_it_is_cut(
        batches in prop::collection::vec(0..9, 0..5),
        chunks in prop::collection::vec(1_usize..200, 0..40),
    ) {
        let outcome = read_stream(&stream_bytes(&batches), &chunks);
        prop_assert_eq!(outcome, Outcome { rows: expected(batches.iter().sum()), rejects: vec![] });
    }

    #[test]
    fn a_stream_cut_short_gives_its_first_rows_and_says_so(
        batches in prop::collection::vec(1..9, 1..5),
        cut in any::<prop::sample::Index>(),
    ) {
        let bytes = stream_bytes(&batches);
        let outcome = read_stream(&bytes[..cut.index(bytes.len())], &[]);
        let all = expected(batches.iter().sum());
        prop_assert_eq!(&outcome.rows[..], &all[..outcome.rows.len()]);
        for reject in &outcome.rejects {
            prop_assert!(matches!(reject.code, "arrow-batch" | "arrow-footer"));
        }
    }

    #[test]
    fn damaged_bytes_never_crash_the_readers(
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let damage = |mut bytes: Vec<u8>| {
            for (place, value) in &places {
                let place = place.index(bytes.len());
                bytes[place] ^= value;
            }
            bytes.truncate(cut.map_or(bytes.len(), |cut| cut.index(bytes.len()) + 1));
            bytes
        };
        // Whatever comes out, coming out is what is tested: rows, rejects, or an error about the footer.
        let _ = read_file(&damage(file_bytes(&[20, 30, 7])));
        let _ = read_stream(&damage(stream_bytes(&[20, 30, 7])), &[64; 8]);
        if let Ok(outcome) = read_parquet(&damage(parquet_bytes(100))) {
            prop_assert!(outcome.rows.len() <= 100);
        }
    }
}
