//! Stretches of the texts of a batch, found once for each version of the text column and shared by the steps that look
//! at them: words in `words.rs`, lines in `lines.rs`.

use arrow_array::{Array, StringArray};

use crate::batch::Batch;

/// Where a stretch lies in the bytes of its row, and its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First byte, from the start of the row's text.
    pub start: u32,
    /// Byte after the last.
    pub end: u32,
    /// [`fold::hash`](crate::hash::fold::hash) of its bytes.
    pub hash: u64,
}

impl Span {
    /// The stretch of its row's text.
    #[must_use]
    #[inline]
    pub fn of<'a>(&self, text: &'a str) -> &'a str {
        &text[self.start as usize..self.end as usize]
    }
}

/// The spans of all rows of a text column that were selected when they were found.
#[derive(Debug)]
pub struct Spans {
    /// The text they lie in; holding it keeps its address from being used again.
    text: StringArray,
    all: Vec<Span>,
    /// First span of each row, and the end of the last.
    rows: Vec<usize>,
}

impl Spans {
    /// Calls `find` with each selected row that has a text, to add its spans to a list with room for `expected`.
    pub fn find(
        batch: &Batch,
        text: &StringArray,
        expected: usize,
        mut find: impl FnMut(usize, &str, &mut Vec<Span>),
    ) -> Self {
        let mut spans = Vec::with_capacity(expected);
        let mut rows = Vec::with_capacity(text.len() + 1);
        rows.push(0);
        for row in 0..text.len() {
            if text.is_valid(row) && batch.is_kept(row) {
                find(row, text.value(row), &mut spans);
            }
            rows.push(spans.len());
        }
        Self { text: text.clone(), all: spans, rows }
    }

    /// Spans of a row; none for a row that was removed before they were found.
    pub fn of(&self, row: usize) -> &[Span] {
        &self.all[self.rows[row]..self.rows[row + 1]]
    }

    /// Whether they lie in the column as it is now.
    pub fn are_of(&self, text: &StringArray) -> bool {
        self.text.len() == text.len()
            && self.text.values().as_ptr() == text.values().as_ptr()
            && self.text.value_offsets().as_ptr() == text.value_offsets().as_ptr()
    }
}
