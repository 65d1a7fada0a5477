//! A text column that is rewritten row by row; nothing is copied before the first edit.

use arrow_array::{Array, StringArray};
use arrow_buffer::{ArrowNativeType, Buffer, OffsetBuffer, ScalarBuffer};

use crate::error::{KernelError, Result};

/// The column before, and after as far as it has been written.
#[derive(Debug)]
pub struct Rewriter {
    before: StringArray,
    bytes: Vec<u8>,
    ends: Vec<i32>,
    edits: u64,
}

impl Rewriter {
    /// Starts with the column as it is.
    #[must_use]
    pub fn of(before: &StringArray) -> Self {
        Self { before: before.clone(), bytes: Vec::new(), ends: Vec::new(), edits: 0 }
    }

    /// Gives a row another text. Rows come in order; a row that is null stays null.
    ///
    /// # Errors
    /// `Internal` when the column would hold more than 2 GiB.
    pub fn edit(&mut self, row: usize, text: &str) -> Result<()> {
        if self.edits == 0 {
            self.bytes.reserve(self.before.values().len());
            self.ends.reserve(self.before.len() + 1);
            self.ends.push(0);
        }
        self.keep_until(row)?;
        self.edits += 1;
        self.bytes.extend_from_slice(text.as_bytes());
        self.end_row()
    }

    /// The new column; `None` when no row was edited.
    ///
    /// # Errors
    /// `Internal` when the column would hold more than 2 GiB.
    pub fn finish(&mut self) -> Result<Option<StringArray>> {
        if self.edits == 0 {
            return Ok(None);
        }
        self.keep_until(self.before.len())?;
        let offsets = OffsetBuffer::new(ScalarBuffer::from(std::mem::take(&mut self.ends)));
        let bytes = Buffer::from_vec(std::mem::take(&mut self.bytes));
        Ok(Some(StringArray::try_new(offsets, bytes, self.before.nulls().cloned())?))
    }

    /// Copies the rows before `row` that were not edited.
    fn keep_until(&mut self, row: usize) -> Result<()> {
        let first = self.ends.len() - 1;
        if first >= row {
            return Ok(());
        }
        let offsets = self.before.value_offsets();
        let from = offsets[first].as_usize();
        let shift = self.bytes.len();
        self.bytes.extend_from_slice(&self.before.values()[from..offsets[row].as_usize()]);
        for end in &offsets[first + 1..=row] {
            let end = end.as_usize() - from + shift;
            self.ends.push(i32::try_from(end).map_err(KernelError::internal)?);
        }
        Ok(())
    }

    fn end_row(&mut self) -> Result<()> {
        self.ends.push(i32::try_from(self.bytes.len()).map_err(KernelError::internal)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn edited_rows_change_and_the_others_stay(
            rows in prop::collection::vec((prop::option::of("[aé]{0,4}"), prop::option::of("[bß]{0,3}")), 0..20),
            skip in 0_usize..3,
        ) {
            let rows: Vec<_> = rows.into_iter().map(|(old, new)| { let new = new.filter(|_| old.is_some()); (old, new) }).collect();
            let skip = skip.min(rows.len());
            let before: StringArray = rows.iter().map(|(old, _)| old.clone()).collect();
            let before = before.slice(skip, rows.len() - skip);
            let mut rewriter = Rewriter::of(&before);
            for (row, (_, new)) in rows[skip..].iter().enumerate() {
                if let Some(new) = new {
                    rewriter.edit(row, new).unwrap();
                }
            }
            let expected: StringArray = rows[skip..].iter().map(|(old, new)| new.clone().or_else(|| old.clone())).collect();
            match rewriter.finish().unwrap() {
                Some(after) => prop_assert_eq!(after, expected),
                None => prop_assert!(rows[skip..].iter().all(|(_, new)| new.is_none())),
            }
        }
    }
}
