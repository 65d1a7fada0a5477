//! CSV against a plain automaton, and cuts of it against the whole.

use proptest::prelude::*;

use super::{CsvFormat, CsvOptions, CsvSampler};
use crate::formats::records::column::ColumnKind;
use crate::formats::records::cutter::{Cutter, CutterOptions};
use crate::formats::records::rows::{ColumnOption, OnMissing, RowOptions};
use crate::formats::records::{Compressed, RangeStart, RecordFormat, RecordReader};

fn options() -> CsvOptions {
    CsvOptions { delimiter: ',', quote: Some('"'), header: false }
}

/// Positions, first and second fields of the rows, and the rejects.
type Outcome = (Vec<(u64, Option<String>, Option<String>)>, Vec<(u64, &'static str)>);

fn read(ranges: &[(&[u8], RangeStart)], chunk: usize) -> Outcome {
    let rows = RowOptions {
        text: "c0".to_owned(),
        id: "id".to_owned(),
        columns: ["text", "c1"]
            .map(|name| ColumnOption { name: name.to_owned(), kind: ColumnKind::String })
            .into(),
        count_unknown: false,
        on_missing: OnMissing::Empty,
        max_record_bytes: 1 << 20,
    };
    let mut reader = RecordReader::new(Box::new(CsvFormat::new(&options(), &rows)), &rows).unwrap();
    for (bytes, range) in ranges {
        reader.start(range.clone()).unwrap();
        for part in bytes.chunks(chunk) {
            assert!(!reader.push(part, usize::MAX).unwrap());
        }
        assert_eq!(reader.end().unwrap(), None);
    }
    let rejects = reader.take_rejects().iter().map(|reject| (reject.offset, reject.code)).collect();
    let Some(batch) = reader.take_batch().unwrap() else { return (Vec::new(), rejects) };
    let value = |column: &str, row| {
        let column = batch.text(column).unwrap();
        arrow_array::Array::is_valid(column, row).then(|| column.value(row).to_owned())
    };
    let rows =
        (0..batch.rows()).map(|row| (batch.position().value(row), value("text", row), value("c1", row)));
    (rows.collect(), rejects)
}

fn whole(bytes: &[u8], chunk: usize) -> Outcome {
    read(&[(bytes, RangeStart { compression: Compressed::Never, ..RangeStart::default() })], chunk)
}

fn file() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(","),
        Just("\n"),
        Just("\r\n"),
        Just("\""),
        Just("\"\""),
        Just("a"),
        Just("é"),
        Just(",\"x\ny\"")
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #[test]
    fn any_chunks_give_the_same_rows(file in file(), chunk in 1_usize..20) {
        prop_assert_eq!(whole(&file, chunk), whole(&file, file.len().max(1)));
    }

    #[test]
    fn cuts_give_the_rows_of_the_whole(file in file(), chunk in 1_usize..20, target in 1_u64..30) {
        let mut cutter = Cutter::new(
            Box::new(CsvSampler::new(&options())),
            CutterOptions { compression: Compressed::Never, target, spool: None },
        ).unwrap();
        let mut cuts = Vec::new();
        for part in file.chunks(chunk) {
            while cutter.push(part).unwrap() {
                cuts.extend(cutter.take_cuts());
            }
        }
        cutter.end().unwrap();
        cuts.extend(cutter.take_cuts());
        let ranges: Vec<(&[u8], RangeStart)> = cuts.into_iter().map(|cut| {
            let bytes = &file[cut.from as usize..(cut.from + cut.bytes) as usize];
            let range = RangeStart { from: cut.from, header: cut.header, compression: Compressed::Never, ..RangeStart::default() };
            (bytes, range)
        }).collect();
        prop_assert_eq!(ranges.iter().map(|(bytes, _)| bytes.len()).sum::<usize>(), file.len());
        prop_assert_eq!(read(&ranges, 7), whole(&file, file.len().max(1)));
    }
}

#[test]
fn quotes_hold_delimiters_line_ends_and_quotes() {
    let file = b"\"a,\"\"b\"\"\nc\",plain\r\n\"\",\n\"x\"y,z\n\nlast,one";
    let (rows, rejects) = whole(file, 3);
    let text = |value: &str| Some(value.to_owned());
    assert_eq!(rejects, []);
    assert_eq!(
        rows,
        [
            (0, text("a,\"b\"\nc"), text("plain")),
            (19, text(""), None),
            (23, text("xy"), text("z")),
            (31, text("last"), text("one")),
        ]
    );
}

#[test]
fn a_header_that_is_not_utf8_is_still_the_header() {
    let mut options = options();
    options.header = true;
    let sampler = CsvSampler::new(&options);
    assert_eq!(
        sampler.header(b"a,\xFFb,a\n"),
        Some(vec!["a".to_owned(), "\u{FFFD}b".to_owned(), "a_2".to_owned()])
    );
}

#[test]
fn ragged_records_and_open_quotes_are_rejected() {
    let (rows, rejects) = whole(b"a,b\na\na,b,c\na,\"b\nc,d\n", 4);
    assert_eq!(rows.len(), 1);
    assert_eq!(rejects, [(4, "csv-fields"), (6, "csv-fields"), (12, "csv-quote")]);
}
