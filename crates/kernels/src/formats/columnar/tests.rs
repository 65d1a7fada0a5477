use arrow_array::builder::{StringDictionaryBuilder, StringViewBuilder};
use arrow_array::types::Int8Type;
use arrow_array::{BinaryArray, Float32Array, Int16Array, Int64Array, LargeStringArray, UInt64Array};
use arrow_schema::Schema;

use super::*;

fn selection(id: Option<&str>, columns: &[(&str, &str, WantedType)], on_missing: OnMissing) -> Selection {
    let columns = columns.iter().map(|&(name, source, kind)| WantedColumn {
        name: name.to_owned(),
        source: source.to_owned(),
        kind,
    });
    Selection {
        file: "a.parquet".to_owned(),
        id: id.map(str::to_owned),
        columns: columns.collect(),
        on_missing,
        max_record_bytes: 10,
    }
}

fn record(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, array)| array).collect())
        .unwrap()
}

/// Position and text of each row.
fn texts(converted: &Converted) -> Vec<(u64, Option<String>)> {
    let Some(batch) = &converted.batch else { return Vec::new() };
    let texts = batch.text(TEXT).unwrap();
    let positions = batch.position().values().iter();
    positions.zip(texts).map(|(&at, text)| (at, text.map(str::to_owned))).collect()
}

fn codes(converted: &Converted) -> Vec<(u64, &'static str)> {
    converted.rejects.iter().map(|reject| (reject.offset, reject.code)).collect()
}

const TEXT_ONLY: &[(&str, &str, WantedType)] = &[(TEXT, "body", WantedType::String)];

fn text_array_kinds() -> Vec<ArrayRef> {
    let values = [Some("é"), None, Some(""), Some("é")];
    let mut dictionary = StringDictionaryBuilder::<Int8Type>::new();
    let mut view = StringViewBuilder::new();
    for value in values {
        dictionary.append_option(value);
        view.append_option(value);
    }
    let bytes: Vec<Option<&[u8]>> = values.iter().map(|value| value.map(str::as_bytes)).collect();
    vec![
        Arc::new(StringArray::from(values.to_vec())),
        Arc::new(LargeStringArray::from(values.to_vec())),
        Arc::new(BinaryArray::from(bytes)),
        Arc::new(dictionary.finish()),
        Arc::new(view.finish()),
    ]
}

#[test]
fn every_kind_of_text_becomes_utf8_by_its_policy() {
    for array in text_array_kinds() {
        // A slice, so that offsets start beyond zero.
        let record = record(vec![("body", array)]).slice(1, 3);
        let kept = |on_missing| {
            let converted = selection(None, TEXT_ONLY, on_missing).convert(&record, 7).unwrap();
            (texts(&converted), codes(&converted), converted.pruned)
        };
        let rest = vec![(8, Some(String::new())), (9, Some("é".to_owned()))];
        assert_eq!(kept(OnMissing::Quarantine), (rest.clone(), vec![(7, "text-null")], 0));
        assert_eq!(kept(OnMissing::Skip), (rest.clone(), vec![], 1));
        let all = [vec![(7, Some(String::new()))], rest].concat();
        assert_eq!(kept(OnMissing::Empty), (all, vec![], 0));
    }
}

#[test]
fn bytes_that_are_not_utf8_reject_their_row_alone() {
    let body: ArrayRef = Arc::new(BinaryArray::from(vec![&b"ok"[..], b"\xC3", b"\xA9", b"fine"]));
    let converted =
        selection(None, TEXT_ONLY, OnMissing::Quarantine).convert(&record(vec![("body", body)]), 0).unwrap();
    assert_eq!(texts(&converted), [(0, Some("ok".to_owned())), (3, Some("fine".to_owned()))]);
    // Each half of the character is wrong, although the bytes together are valid.
    assert_eq!(codes(&converted), [(1, "utf8"), (2, "utf8")]);
    assert_eq!(converted.rejects[0].bytes, b"\xC3");
    assert_eq!(converted.rejects[0].reason, "column 'body': at byte 0: not valid UTF-8");
}

#[test]
fn a_text_that_is_no_string_or_too_long_is_rejected() {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
    let quarantine = selection(None, TEXT_ONLY, OnMissing::Quarantine);
    let converted = quarantine.convert(&record(vec![("body", numbers)]), 0).unwrap();
    assert_eq!(codes(&converted), [(0, "text-type"), (1, "text-null")]);
    assert_eq!(converted.rejects[0].reason, "the document is int64, not a string");
    assert!(converted.batch.is_none());

    let long: ArrayRef = Arc::new(StringArray::from(vec!["0123456789", "0123456789a"]));
    let converted = quarantine.convert(&record(vec![("body", long)]), 0).unwrap();
    assert_eq!(codes(&converted), [(1, "record-too-long")]);
    assert_eq!(converted.batch.unwrap().rows(), 1);
}

#[test]
fn numbers_are_widened_and_ids_become_text() {
    let columns: &[(&str, &str, WantedType)] = &[
        (TEXT, "text", WantedType::String),
        ("small", "small", WantedType::Int64),
        ("ratio", "ratio", WantedType::Float64),
        ("huge", "huge", WantedType::Int64),
    ];
    let record = record(vec![
        ("text", Arc::new(StringArray::from(vec!["a", "b"]))),
        ("small", Arc::new(Int16Array::from(vec![Some(-3), None]))),
        ("ratio", Arc::new(Float32Array::from(vec![0.5, -1.0]))),
        ("huge", Arc::new(UInt64Array::from(vec![u64::MAX, 9]))),
        ("key", Arc::new(Int64Array::from(vec![1, i64::MIN]))),
    ]);
    let converted = selection(Some("key"), columns, OnMissing::Quarantine).convert(&record, 0).unwrap();
    assert_eq!(codes(&converted), [(0, "integer-range")]);
    let batch = converted.batch.unwrap();
    assert_eq!(batch.id_of(0), i64::MIN.to_string());
    let types: Vec<String> =
        batch.schema().fields().iter().skip(3).map(|field| field.data_type().to_string()).collect();
    assert_eq!(types, ["Utf8", "Int64", "Float64", "Int64"]);
}
