//! Plain text: a document a file, a line, a paragraph, or a stretch of so many bytes.
//!
//! Blank lines and paragraphs are passed over; an empty file is an empty document. Text has no columns
//! beyond the document, and no ids.

use serde::Deserialize;

use super::records::rows::{Document, Rows};
use super::records::{RangeStart, RecordFormat, lines, utf8};
use crate::error::{KernelError, Result};

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// The whole file.
    File,
    /// A line that is not blank, without its line end.
    Line,
    /// Lines up to a blank one, without the last line end.
    Paragraph,
    /// A stretch of [`TextOptions::chunk_bytes`].
    Bytes,
}

/// Options of text.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TextOptions {
    /// What a document is.
    pub unit: Unit,
    /// Length of a stretch; it ends up to three bytes later where a character would be cut.
    pub chunk_bytes: u64,
}

/// Bytes that a character may have after its first.
const MAX_CONTINUATION: u64 = 3;

/// Reads text into rows.
pub struct TextFormat {
    options: TextOptions,
    /// Paragraphs: whether the current line is blank so far.
    blank: bool,
    /// Stretches: offset of the next byte.
    at: u64,
    /// Stretches: where the current one should end.
    boundary: u64,
}

impl TextFormat {
    /// A reader of documents of this unit.
    ///
    /// # Errors
    /// `Option` when a stretch is too short to hold a character.
    pub fn new(options: TextOptions) -> Result<Self> {
        if options.chunk_bytes <= MAX_CONTINUATION {
            return Err(KernelError::Option {
                name: "chunkBytes".to_owned(),
                reason: format!("{} is too short for one character", options.chunk_bytes),
            });
        }
        Ok(Self { options, blank: true, at: 0, boundary: 0 })
    }

    /// Past the first blank line that follows.
    fn paragraph_end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let end = lines::end(rest);
            self.blank &= lines::is_blank(&rest[..end.unwrap_or(rest.len())]);
            at += end?;
            if std::mem::replace(&mut self.blank, true) {
                return Some(at);
            }
        }
        None
    }

    /// At the first character boundary at or after the next multiple of the stretch's length.
    ///
    /// Boundaries depend on the offset in the file alone, so stretches can be found from any multiple.
    fn stretch_end(&mut self, bytes: &[u8]) -> Option<usize> {
        let until_boundary = self.boundary.saturating_sub(self.at).min(bytes.len() as u64) as usize;
        let mut used = until_boundary;
        while let Some(&byte) = bytes.get(used) {
            let late = self.at + used as u64 - self.boundary;
            let continues = byte & 0b1100_0000 == 0b1000_0000;
            if !continues || late == MAX_CONTINUATION {
                self.at += used as u64;
                self.boundary += self.options.chunk_bytes;
                return Some(used);
            }
            used += 1;
        }
        self.at += used as u64;
        None
    }
}

impl RecordFormat for TextFormat {
    fn open(&mut self, range: &RangeStart) -> Result<()> {
        let length = self.options.chunk_bytes;
        self.blank = true;
        self.at = range.from;
        // A range starts at a multiple; the stretch that may reach past it belongs to the range before.
        self.boundary = if range.ragged && range.from > 0 {
            range.from.div_ceil(length) * length
        } else {
            (range.from / length + 1) * length
        };
        Ok(())
    }

    fn skip(&mut self, bytes: u64) {
        self.at += bytes;
    }

    fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        match self.options.unit {
            Unit::File => None,
            Unit::Line => lines::end(bytes),
            Unit::Paragraph => self.paragraph_end(bytes),
            Unit::Bytes => self.stretch_end(bytes),
        }
    }

    fn keeps_line_ends(&self) -> bool {
        matches!(self.options.unit, Unit::File | Unit::Bytes)
    }

    fn record(&mut self, offset: u64, bytes: &[u8], rows: &mut Rows) -> Result<()> {
        let mut document = bytes;
        if self.options.unit == Unit::Paragraph {
            // The blank line that ended the paragraph, if one did.
            while let Some(last) = document.iter().rposition(|&byte| byte == b'\n')
                && lines::is_blank(&document[last..])
            {
                document = lines::trim_end(&document[..=last]);
            }
        }
        if !self.keeps_line_ends() && lines::is_blank(document) {
            return Ok(());
        }
        let Some(text) = utf8(offset, document, rows) else { return Ok(()) };
        if let Some(out) = rows.text() {
            out.begin();
            out.push_str(text);
        }
        if rows.take_document(Document::Good, offset, document) {
            rows.commit(offset);
        }
        Ok(())
    }

    fn empty_is_record(&self) -> bool {
        self.options.unit == Unit::File
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::Array;
    use proptest::prelude::*;

    use super::*;
    use crate::formats::records::column::ColumnKind;
    use crate::formats::records::rows::{ColumnOption, OnMissing, RowOptions};
    use crate::formats::records::{Compressed, RecordReader};

    fn read(
        file: &[u8],
        ranges: &[RangeStart],
        unit: Unit,
        chunk_bytes: u64,
        chunk: usize,
    ) -> Vec<(u64, String)> {
        let options = RowOptions {
            text: "text".to_owned(),
            id: "id".to_owned(),
            columns: vec![ColumnOption { name: "text".to_owned(), kind: ColumnKind::String }],
            count_unknown: false,
            on_missing: OnMissing::Quarantine,
            max_record_bytes: 1 << 20,
        };
        let format = TextFormat::new(TextOptions { unit, chunk_bytes }).unwrap();
        let mut reader = RecordReader::new(Box::new(format), &options).unwrap();
        for range in ranges {
            reader.start(range.clone()).unwrap();
            for part in file[range.from as usize..].chunks(chunk) {
                assert!(!reader.push(part, usize::MAX).unwrap());
            }
            assert_eq!(reader.end().unwrap(), None);
        }
        assert_eq!(reader.take_rejects(), []);
        let Some(batch) = reader.take_batch().unwrap() else { return Vec::new() };
        let text = batch.text("text").unwrap();
        (0..text.len()).map(|row| (batch.position().value(row), text.value(row).to_owned())).collect()
    }

    fn whole() -> [RangeStart; 1] {
        [RangeStart { compression: Compressed::Never, ..RangeStart::default() }]
    }

    fn check(unit: Unit, file: &str, expected: &[(u64, &str)]) {
        for chunk in [1, 2, 100] {
            let rows = read(file.as_bytes(), &whole(), unit, 8, chunk);
            let rows: Vec<(u64, &str)> = rows.iter().map(|(at, text)| (*at, text.as_str())).collect();
            assert_eq!(rows, expected);
        }
    }

    #[test]
    fn a_file_is_one_document() {
        check(Unit::File, "a\r\n\nb\n", &[(0, "a\r\n\nb\n")]);
        check(Unit::File, "\u{FEFF}a", &[(3, "a")]);
        check(Unit::File, "", &[(0, "")]);
        check(Unit::File, "\u{FEFF}", &[(3, "")]);
    }

    #[test]
    fn lines_and_paragraphs_end_where_they_should() {
        check(Unit::Line, "a\r\n \n\nb", &[(0, "a"), (6, "b")]);
        check(Unit::Paragraph, "\n\na\r\nb \r\n \t\n\n\nc\n", &[(2, "a\r\nb "), (14, "c")]);
        check(Unit::Paragraph, "a\n\n", &[(0, "a")]);
        check(Unit::Paragraph, " \n", &[]);
    }

    #[test]
    fn stretches_do_not_cut_characters() {
        check(Unit::Bytes, "1234567é90123456", &[(0, "1234567é"), (9, "9012345"), (16, "6")]);
        check(Unit::Bytes, "12345678", &[(0, "12345678")]);
    }

    proptest! {
        #[test]
        fn stretches_put_together_are_the_file(file in "\\PC{0,60}", length in 4_u64..12, chunk in 1_usize..20) {
            let rows = read(file.as_bytes(), &whole(), Unit::Bytes, length, chunk);
            let joined: String = rows.iter().map(|(_, text)| text.as_str()).collect();
            prop_assert_eq!(&joined, &file);
            for (_, text) in &rows[..rows.len().saturating_sub(1)] {
                prop_assert!((text.len() as u64).abs_diff(length) <= MAX_CONTINUATION);
            }
        }

        #[test]
        fn ranges_at_multiples_give_the_rows_of_the_whole(
            file in "\\PC{0,60}", length in 4_u64..8, multiples in prop::collection::btree_set(1_u64..30, 0..4), chunk in 1_usize..20,
        ) {
            let bytes = file.len() as u64;
            let mut ends: Vec<u64> = multiples.into_iter().map(|nth| nth * length).filter(|&end| end < bytes).collect();
            ends.push(bytes.max(1));
            let mut from = 0;
            let ranges: Vec<RangeStart> = ends.into_iter().map(|to| {
                let range = RangeStart { from, to: Some(to), ragged: true, ..whole()[0].clone() };
                from = to;
                range
            }).collect();
            let expected = read(file.as_bytes(), &whole(), Unit::Bytes, length, 1000);
            prop_assert_eq!(read(file.as_bytes(), &ranges, Unit::Bytes, length, chunk), expected);
        }
    }
}
