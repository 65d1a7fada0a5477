use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int32Array, RecordBatch, StringArray, UInt32Array};
use arrow_schema::{Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::formats::columnar::{OnMissing, WantedColumn};
use crate::formats::parquet_read::{ParquetFooter, TAIL_BYTES, footer_length};

#[derive(Debug, Clone)]
struct Row {
    text: Option<String>,
    int: Option<i32>,
    unsigned: Option<u32>,
    float: Option<f64>,
    flag: Option<bool>,
}

fn row() -> impl Strategy<Value = Row> {
    let float = prop_oneof![4 => (-3..4).prop_map(f64::from), 1 => Just(f64::NAN), 1 => Just(-0.0)];
    (
        prop::option::weighted(0.8, "[ab\u{e9}]{0,3}"),
        prop::option::weighted(0.8, -3..4),
        prop::option::weighted(0.8, prop_oneof![0_u32..3, Just(u32::MAX)]),
        prop::option::weighted(0.8, float),
        prop::option::weighted(0.8, any::<bool>()),
    )
        .prop_map(|(text, int, unsigned, float, flag)| Row { text, int, unsigned, float, flag })
}

fn file(rows: &[Row], group_rows: usize) -> Vec<u8> {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("text", Arc::new(rows.iter().map(|row| row.text.as_deref()).collect::<StringArray>())),
        ("int", Arc::new(rows.iter().map(|row| row.int).collect::<Int32Array>())),
        ("unsigned", Arc::new(rows.iter().map(|row| row.unsigned).collect::<UInt32Array>())),
        ("float", Arc::new(rows.iter().map(|row| row.float).collect::<Float64Array>())),
        ("flag", Arc::new(rows.iter().map(|row| row.flag).collect::<BooleanArray>())),
    ];
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let record =
        RecordBatch::try_new(Arc::clone(&schema), columns.into_iter().map(|(_, array)| array).collect())
            .unwrap();
    // One byte of a text is kept in statistics, so that bounds are inexact.
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(group_rows))
        .set_statistics_truncate_length(Some(1))
        .build();
    let mut out = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut out, schema, Some(properties)).unwrap();
    writer.write(&record).unwrap();
    writer.close().unwrap();
    out
}

fn reader(file: &[u8], on_missing: OnMissing) -> ParquetReader {
    let (rest, tail) = file.split_at(file.len() - TAIL_BYTES);
    let footer = &rest[rest.len() - footer_length(tail).unwrap()..];
    let column = |name: &str, kind| WantedColumn { name: name.to_owned(), source: name.to_owned(), kind };
    let selection = Selection {
        file: "f.parquet".to_owned(),
        id: None,
        columns: vec![
            column("text", WantedType::String),
            column("int", WantedType::Int64),
            column("unsigned", WantedType::Int64),
            column("float", WantedType::Float64),
            column("flag", WantedType::Boolean),
        ],
        on_missing,
        max_record_bytes: 1 << 20,
    };
    ParquetFooter::parse(footer).unwrap().open(selection).unwrap()
}

fn column_node(name: &str, kind: &str) -> Value {
    json!({ "kind": "column", "name": name, "type": kind })
}

fn literal_node(kind: &str, value: impl Into<Value>) -> Value {
    json!({ "kind": "literal", "type": kind, "value": value.into() })
}

/// A column and a literal that compares with it.
fn operands() -> impl Strategy<Value = (Value, Value)> {
    prop_oneof![
        "[ab\u{e9}]{0,3}".prop_map(|text| (column_node("text", "string"), literal_node("string", text))),
        (-4_i64..5).prop_map(|int| (column_node("int", "int64"), literal_node("int64", int))),
        (-4..5).prop_map(|half| {
            (column_node("int", "int64"), literal_node("float64", f64::from(half) / 2.0))
        }),
        prop_oneof![0_i64..4, Just(i64::from(u32::MAX)), Just(-1)]
            .prop_map(|int| (column_node("unsigned", "int64"), literal_node("int64", int.to_string()))),
        (-4..5).prop_map(|half| {
            (column_node("float", "float64"), literal_node("float64", f64::from(half) / 2.0))
        }),
        any::<bool>().prop_map(|flag| (column_node("flag", "boolean"), literal_node("boolean", flag))),
        (-1_i64..40).prop_map(|at| (column_node("__position", "int64"), literal_node("int64", at))),
        "[fg]".prop_map(|name| {
            (column_node("__file", "string"), literal_node("string", format!("{name}.parquet")))
        }),
    ]
}

fn predicate() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        (operands(), prop::sample::select(vec!["=", "!=", "<", "<=", ">", ">="]), any::<bool>()).prop_map(
            |((column, literal), op, swap)| {
                let (left, right) = if swap { (literal, column) } else { (column, literal) };
                json!({ "kind": "compare", "op": op, "left": left, "right": right })
            }
        ),
        (operands(), any::<bool>(), any::<bool>()).prop_map(|((column, literal), null, negated)| {
            let null = null.then(|| literal_node("null", Value::Null));
            let values: Vec<Value> = [literal].into_iter().chain(null).collect();
            json!({ "kind": "in", "operand": column, "values": values, "negated": negated })
        }),
        (operands(), -4_i64..5, any::<bool>()).prop_map(|((_, _), low, negated)| {
            json!({ "kind": "between", "operand": column_node("int", "int64"), "negated": negated,
                "low": literal_node("int64", low), "high": literal_node("int64", low + 1) })
        }),
        (operands(), any::<bool>()).prop_map(|((column, _), negated)| {
            json!({ "kind": "is-null", "operand": column, "negated": negated })
        }),
        Just(column_node("flag", "boolean")),
        Just(json!({ "kind": "call", "function": "length", "arguments": [] })),
        Just(literal_node("null", Value::Null)),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4)
                .prop_map(|operands| json!({ "kind": "and", "operands": operands })),
            prop::collection::vec(inner.clone(), 2..4)
                .prop_map(|operands| json!({ "kind": "or", "operands": operands })),
            inner.prop_map(|operand| json!({ "kind": "not", "operand": operand })),
        ]
    })
}

/// A column's value in a row, as plainly as can be.
fn value(node: &Value, row: &Row, at: u64) -> Option<Scalar> {
    if node["kind"] == "literal" {
        return literal(node);
    }
    match node["name"].as_str().unwrap() {
        "text" => row.text.clone().map(|text| Scalar::Text(text.into_bytes())),
        "int" => row.int.map(|int| Scalar::Int(i64::from(int))),
        "unsigned" => row.unsigned.map(|int| Scalar::Int(i64::from(int))),
        "float" => row.float.map(Scalar::Float),
        "flag" => row.flag.map(Scalar::Bool),
        "__position" => i64::try_from(at).ok().map(Scalar::Int),
        _ => Some(Scalar::Text(b"f.parquet".to_vec())),
    }
}

fn order(a: &Scalar, b: &Scalar) -> Ordering {
    let nan = |scalar: &Scalar| matches!(scalar, Scalar::Float(float) if float.is_nan());
    a.compare(b).unwrap_or_else(|| nan(a).cmp(&nan(b)))
}

/// The plain evaluation of a predicate for one row; `call` stands for anything that may be true.
fn evaluate(node: &Value, row: &Row, at: u64) -> Option<bool> {
    let negate = |result: Option<bool>| result.map(|result| result != (node["negated"] == true));
    let compare = |left: &Value, right: &Value, test: fn(Ordering) -> bool| {
        Some(test(order(&value(left, row, at)?, &value(right, row, at)?)))
    };
    match node["kind"].as_str().unwrap() {
        "literal" => node["value"].as_bool(),
        "column" => row.flag,
        "call" => Some(true),
        "not" => evaluate(&node["operand"], row, at).map(|result| !result),
        kind @ ("and" | "or") => {
            let results: Vec<Option<bool>> =
                node["operands"].as_array().unwrap().iter().map(|node| evaluate(node, row, at)).collect();
            let decisive = Some(kind == "or");
            if results.contains(&decisive) {
                decisive
            } else if results.contains(&None) {
                None
            } else {
                Some(kind == "and")
            }
        }
        "is-null" => Some(value(&node["operand"], row, at).is_none() != (node["negated"] == true)),
        "compare" => {
            let test: fn(Ordering) -> bool = match node["op"].as_str().unwrap() {
                "=" => Ordering::is_eq,
                "!=" => Ordering::is_ne,
                "<" => Ordering::is_lt,
                "<=" => Ordering::is_le,
                ">" => Ordering::is_gt,
                _ => Ordering::is_ge,
            };
            compare(&node["left"], &node["right"], test)
        }
        "between" => {
            let low = compare(&node["operand"], &node["low"], Ordering::is_ge)?;
            let high = compare(&node["operand"], &node["high"], Ordering::is_le)?;
            negate(Some(low && high))
        }
        _ => {
            let values = node["values"].as_array().unwrap();
            let equal: Vec<Option<bool>> =
                values.iter().map(|value| compare(&node["operand"], value, Ordering::is_eq)).collect();
            negate(if equal.contains(&Some(true)) {
                Some(true)
            } else if equal.contains(&None) {
                None
            } else {
                Some(false)
            })
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_group_that_is_left_out_holds_no_row_that_matches(
        rows in prop::collection::vec(row(), 1..24),
        group_rows in 1_usize..7,
        predicate in predicate(),
    ) {
        let reader = reader(&file(&rows, group_rows), OnMissing::Skip);
        for (group, rows) in rows.chunks(group_rows).enumerate() {
            let first = (group * group_rows) as u64;
            if !may_match(&reader, group, first, &predicate) {
                for (row, at) in rows.iter().zip(first..) {
                    prop_assert_ne!(evaluate(&predicate, row, at), Some(true), "{:?}", row);
                }
            }
        }
    }
}

#[test]
fn groups_are_left_out_where_statistics_allow() {
    let rows: Vec<Row> = (0..9)
        .map(|i| Row {
            text: Some(format!("t{i}")),
            int: (i >= 3).then_some(i),
            unsigned: Some(u32::MAX),
            float: Some(f64::from(i)),
            flag: Some(i < 3),
        })
        .collect();
    let reader = reader(&file(&rows, 3), OnMissing::Quarantine);
    let kept = |predicate: &Value| -> Vec<usize> {
        (0..3).filter(|&group| may_match(&reader, group, group as u64 * 3, predicate)).collect()
    };
    let compare =
        |column, op, literal| json!({ "kind": "compare", "op": op, "left": column, "right": literal });
    let int = || column_node("int", "int64");
    assert_eq!(kept(&compare(int(), "=", literal_node("int64", 4))), [1]);
    assert_eq!(kept(&compare(int(), ">=", literal_node("int64", 6))), [2]);
    assert_eq!(kept(&compare(column_node("float", "float64"), "<", literal_node("int64", 3))), [0]);
    assert_eq!(kept(&compare(column_node("__position", "int64"), ">", literal_node("int64", 5))), [2]);
    assert_eq!(
        kept(&compare(column_node("unsigned", "int64"), "<", literal_node("int64", 0))),
        Vec::<usize>::new()
    );
    assert_eq!(kept(&json!({ "kind": "is-null", "operand": int(), "negated": false })), [0]);
    assert_eq!(kept(&json!({ "kind": "not", "operand": column_node("flag", "boolean") })), [1, 2]);
}

#[test]
fn a_group_with_null_documents_is_kept_for_quarantine() {
    let row = |text: Option<&str>| Row {
        text: text.map(str::to_owned),
        int: Some(1),
        unsigned: None,
        float: None,
        flag: None,
    };
    let file = file(&[row(Some("a")), row(None)], 1);
    let never = literal_node("boolean", false);
    let kept = |on_missing| {
        let reader = reader(&file, on_missing);
        (may_match(&reader, 0, 0, &never), may_match(&reader, 1, 1, &never))
    };
    assert_eq!(kept(OnMissing::Quarantine), (false, true));
    assert_eq!(kept(OnMissing::Skip), (false, false));
}
