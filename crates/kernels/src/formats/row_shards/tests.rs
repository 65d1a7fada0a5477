use std::sync::Arc;

use arrow_array::builder::{ListBuilder, UInt32Builder};
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow_buffer::BooleanBuffer;
use arrow_schema::Field;
use arrow_select::filter::filter_record_batch;
use proptest::prelude::*;

use super::*;
use crate::batch::Identity;
use crate::formats::arrow_write::ArrowFileWriter;
use crate::formats::docs_table::DocsTable;
use crate::test_folder::TestFolder;

#[derive(Debug, Clone)]
struct Row {
    text: Option<String>,
    number: Option<i64>,
    float: f64,
    flag: Option<bool>,
    json: Option<String>,
    kind: Option<u8>,
    tokens: Option<Vec<u32>>,
}

fn row() -> impl Strategy<Value = Row> {
    (
        prop::option::of("\\PC{0,40}"),
        prop::option::of(any::<i64>()),
        any::<f64>(),
        prop::option::of(any::<bool>()),
        prop::option::of(prop_oneof![
            Just("{\"a\":[1,\n2.50]}".to_owned()),
            Just("{broken".to_owned()),
            Just("3".to_owned())
        ]),
        prop::option::of(0_u8..3),
        prop::option::of(prop::collection::vec(0_u32..200_000, 0..20)),
    )
        .prop_map(|(text, number, float, flag, json, kind, tokens)| Row {
            text,
            number,
            float,
            flag,
            json,
            kind,
            tokens,
        })
}

fn batch(rows: &[Row], first: usize) -> Batch {
    let ids = rows
        .iter()
        .enumerate()
        .map(|(i, _)| (!(first + i).is_multiple_of(3)).then(|| format!("r{}", first + i)));
    let positions = (first..first + rows.len()).map(|i| i as u64 * 7).collect();
    let identity = Identity::of_file("in/a.jsonl", positions, ids.collect());
    let mut tokens = ListBuilder::new(UInt32Builder::new());
    for row in rows {
        tokens.append_option(row.tokens.as_ref().map(|ids| ids.iter().map(|&id| Some(id))));
    }
    let kinds: DictionaryArray<Int32Type> =
        rows.iter().map(|row| row.kind.map(|kind| ["x", "yy", "zzz"][kind as usize])).collect();
    let times = rows.iter().map(|row| row.number.map(|n| n % 1_000_000_000_000));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("text", Arc::new(rows.iter().map(|row| row.text.as_deref()).collect::<StringArray>())),
        ("file", Arc::new(rows.iter().map(|row| row.number).collect::<Int64Array>())),
        ("float", Arc::new(rows.iter().map(|row| Some(row.float)).collect::<Float64Array>())),
        ("flag", Arc::new(rows.iter().map(|row| row.flag).collect::<BooleanArray>())),
        ("meta", Arc::new(rows.iter().map(|row| row.json.as_deref()).collect::<StringArray>())),
        ("kind", Arc::new(kinds)),
        ("time", Arc::new(times.collect::<TimestampMicrosecondArray>())),
        ("tokens", Arc::new(tokens.finish())),
    ];
    let columns =
        columns.into_iter().map(|(name, array)| (Field::new(name, array.data_type().clone(), true), array));
    Batch::new(identity, columns.collect()).unwrap()
}

/// The batch with rows put between its own that the selection removes.
fn diluted(rows: &[Row], first: usize) -> Batch {
    let own = batch(rows, first);
    let doubled: Vec<u32> = (0..rows.len() as u32).flat_map(|i| [i, i]).collect();
    let record =
        arrow_select::take::take_record_batch(own.record(), &arrow_array::UInt32Array::from(doubled))
            .unwrap();
    let mut batch = Batch::from_record(record).unwrap();
    batch.retain(&BooleanBuffer::collect_bool(rows.len() * 2, |i| i % 2 == 0)).unwrap();
    batch
}

/// Rows in batches that end at `cuts`, every other one with removed rows in between.
fn batches(rows: &[Row], cuts: &[prop::sample::Index]) -> Vec<Batch> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(rows.len() + 1)).collect();
    ends.push(rows.len());
    ends.sort_unstable();
    let mut start = 0;
    let mut out = Vec::new();
    for (index, end) in ends.into_iter().enumerate() {
        let make = if index % 2 == 0 { batch } else { diluted };
        out.push(make(&rows[start..end], start));
        start = end;
    }
    out
}

type Shard = (u64, String, u64, Option<String>);

fn checksums(format: &RowFormat, batches: &[Batch], limits: Limits) -> Vec<Shard> {
    let folder = TestFolder::new();
    let mut shards = RowShards::new(format.clone(), &*folder, "t", limits);
    for batch in batches {
        shards.write(batch).unwrap();
    }
    let finished = shards.finish().unwrap();
    let of = |shard: RowShard| {
        let RowShard { rows, file, ids } = shard;
        (rows, file.checksum, file.bytes, ids.map(|ids| ids.checksum))
    };
    finished.into_iter().map(of).collect()
}

fn formats() -> Vec<RowFormat> {
    let json = vec!["meta".to_owned()];
    vec![
        RowFormat::Parquet,
        RowFormat::Arrow,
        RowFormat::Jsonl { compression: Compression::Zstd, json: json.clone() },
        RowFormat::Jsonl { compression: Compression::Gzip, json: json.clone() },
        RowFormat::Jsonl { compression: Compression::None, json },
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn shards_do_not_depend_on_how_rows_were_batched(
        rows in prop::collection::vec(row(), 0..120),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        limit in 1_u64..60,
        bytes in 1_u64..20_000,
    ) {
        let limits = Limits { rows: limit, bytes };
        for format in formats() {
            let whole = checksums(&format, &[batch(&rows, 0)], limits);
            let cut = checksums(&format, &batches(&rows, &cuts), limits);
            prop_assert_eq!(whole.iter().map(|shard| shard.0).sum::<u64>(), rows.len() as u64);
            prop_assert!(whole.iter().all(|shard| shard.0 <= limit));
            prop_assert_eq!(whole, cut, "{:?}", format);
        }
    }

    #[test]
    fn pages_row_groups_and_record_batches_do_not_depend_on_batches(
        rows in prop::collection::vec(row(), 1..200),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        chunk in (1_u64..40, 1_u64..3_000).prop_map(|(rows, bytes)| Limits { rows, bytes }),
        group in (1_u64..80, 1_u64..6_000).prop_map(|(rows, bytes)| Limits { rows, bytes }),
    ) {
        let layout = RowLayout::new(&batch(&rows, 0).schema(), &[]);
        let write = |batches: &[Batch]| {
            let folder = TestFolder::new();
            let schema = || SchemaRef::clone(layout.schema());
            let mut parquet =
                ParquetWriter::with_limits(folder.join("p"), schema(), chunk, group).unwrap();
            let mut arrow = ArrowFileWriter::with_limits(folder.join("a"), schema(), chunk).unwrap();
            for batch in batches {
                let rows = layout.rows(batch).unwrap();
                parquet.write(&rows).unwrap();
                arrow.write(&rows).unwrap();
            }
            (parquet.finish().unwrap().checksum, arrow.finish().unwrap().checksum)
        };
        prop_assert_eq!(write(&[batch(&rows, 0)]), write(&batches(&rows, &cuts)));
    }

    #[test]
    fn json_lines_hold_every_value(rows in prop::collection::vec(row(), 1..50)) {
        let folder = TestFolder::new();
        let format = RowFormat::Jsonl { compression: Compression::None, json: vec!["meta".to_owned()] };
        let mut shards =
            RowShards::new(format, &*folder, "t", Limits { rows: u64::MAX, bytes: u64::MAX });
        shards.write(&batch(&rows, 0)).unwrap();
        let path = shards.finish().unwrap().remove(0).file.path;
        let text = std::fs::read_to_string(path).unwrap();
        prop_assert_eq!(text.lines().count(), rows.len());
        for (line, row) in text.lines().zip(&rows) {
            let got: serde_json::Value = serde_json::from_str(line).unwrap();
            prop_assert_eq!(got["text"].as_str(), row.text.as_deref());
            prop_assert_eq!(got["file"].as_i64(), row.number);
            // serde_json's own reading of floats is off by a bit; the standard library's is exact.
            let float = sonic_rs::get(line, ["float"]).unwrap().as_raw_str().parse().ok();
            prop_assert_eq!(float, row.float.is_finite().then_some(row.float));
            prop_assert_eq!(got["flag"].as_bool(), row.flag);
            prop_assert_eq!(got["file_2"].as_str(), Some("in/a.jsonl"));
            let embedded = row.json.as_deref().map(|json| {
                serde_json::from_str(json).unwrap_or_else(|_| serde_json::Value::from(json))
            });
            prop_assert_eq!(&got["meta"], &embedded.unwrap_or_default());
            prop_assert_eq!(&got["tokens"], &serde_json::to_value(&row.tokens).unwrap());
        }
    }
}

#[test]
fn no_rows_make_no_shard() {
    let mut nothing = batch(&[], 0);
    let limits = Limits { rows: 10, bytes: 10 };
    assert_eq!(checksums(&RowFormat::Parquet, &[nothing.clone()], limits), []);
    nothing.compact().unwrap();
    assert_eq!(checksums(&RowFormat::Arrow, &[], limits), []);
}

#[test]
fn a_column_that_changes_its_type_is_named() {
    let text = |array: ArrayRef| {
        let identity = Identity::of_file("f", vec![0], StringArray::from(vec![Some("a")]));
        Batch::new(identity, vec![(Field::new("n", array.data_type().clone(), true), array)]).unwrap()
    };
    let folder = TestFolder::new();
    let mut shards = RowShards::new(RowFormat::Parquet, &*folder, "t", Limits { rows: 9, bytes: u64::MAX });
    shards.write(&text(Arc::new(Int64Array::from(vec![1])))).unwrap();
    let error = shards.write(&text(Arc::new(Float64Array::from(vec![1.0])))).unwrap_err();
    assert_eq!(error.to_string(), "column 'n' has type Float64, expected Int64, as in the batches before");
}

#[test]
fn the_documents_table_is_aligned_with_the_selected_rows() {
    let rows: Vec<Row> = (0_u8..10)
        .map(|i| Row {
            text: Some(format!("t{i}")),
            number: Some(i64::from(i)),
            float: 0.5,
            flag: None,
            json: None,
            kind: None,
            tokens: Some(vec![1; usize::from(i)]),
        })
        .collect();
    let folder = TestFolder::new();
    let path = folder.join("00000.docs.parquet");
    let mut batch = batch(&rows, 0);
    batch.retain(&BooleanBuffer::collect_bool(10, |i| i % 2 == 1)).unwrap();
    let mut table = DocsTable::create(&path, &batch.schema()).unwrap();
    assert!(table.write(&batch, &[1, 3]).is_err());
    table.write(&batch, &[1, 3, 5, 7, 9]).unwrap();
    assert_eq!(table.rows(), 5);
    table.finish().unwrap();

    let file = std::fs::File::open(&path).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(file, 100).unwrap();
    let read: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    let expected = DocsRows::expected(&batch);
    assert_eq!(read.len(), 1);
    let schema = read[0].schema();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(
        names,
        ["id", "file_2", "position", "token_count", "file", "float", "flag", "meta", "kind", "time"]
    );
    assert_eq!(read[0].column(2), &expected.position);
    assert_eq!(
        read[0].column(3).as_ref(),
        &arrow_array::UInt32Array::from(vec![1, 3, 5, 7, 9]) as &dyn arrow_array::Array
    );
}

struct DocsRows {
    position: ArrayRef,
}

impl DocsRows {
    fn expected(batch: &Batch) -> Self {
        let keep = BooleanArray::new(batch.kept().unwrap().clone(), None);
        let record = filter_record_batch(batch.record(), &keep).unwrap();
        Self { position: Arc::clone(record.column(1)) }
    }
}
