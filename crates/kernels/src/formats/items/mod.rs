//! Formats of framed items: what `TFRecord`, `WebDataset` and MDS have in common.
//!
//! [`ItemReader`] takes the bytes of one file after another in chunks of any size, decompresses them and
//! asks the format, by [`ItemFormat::frame`], what the next bytes are. Items are handed to the format whole,
//! which stages rows. How the bytes were cut into chunks never changes rows or rejects; lengths that a file
//! claims are never allocated before so many bytes came.
//!
//! Without columns chosen, a reader only looks: [`ItemReader::columns`] says what the items had.

pub mod array;
pub mod rows;

use std::collections::BTreeMap;

use arrow_schema::DataType;
use serde::Deserialize;

pub use self::rows::{Fault, ItemRows, Place, list_of};
use crate::error::{KernelError, Result};
use crate::formats::columnar::{Converted, Selection};
use crate::formats::parquet_read::FileColumn;
use crate::formats::records::input::Input;
use crate::formats::records::{Compressed, Ended};

/// The longest item that is taken: offsets inside a batch are 31 bits.
const MAX_ITEM_BYTES: u64 = 1 << 30;

/// What the next bytes of a file are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// So many bytes are needed to tell; more than were shown.
    Need(usize),
    /// An item of so many bytes.
    Item(u64),
    /// So many bytes that the format has read, or that hold nothing.
    Skip(u64),
    /// Nothing can be read before columns are chosen.
    Pause,
    /// Nothing more of the file counts.
    End,
    /// The file cannot be read from here on.
    Broken(Fault),
}

/// A format whose files are sequences of items.
pub trait ItemFormat: Send {
    /// Called at the start of each file.
    fn start(&mut self);

    /// Looks at the bytes from offset `at` of the decompressed file on.
    fn frame(&mut self, at: u64, bytes: &[u8], rows: &mut ItemRows) -> Frame;

    /// Takes an item.
    fn take(&mut self, at: u64, bytes: &[u8], rows: &mut ItemRows);

    /// Is told of an item that is too long to take.
    fn pass_over(&mut self, at: u64, length: u64, fault: Fault, rows: &mut ItemRows);

    /// The file ended, `partial`: inside something; why it may not end there, if so. `broken` when that is known
    /// already.
    fn end(&mut self, partial: bool, broken: bool, rows: &mut ItemRows) -> Option<String>;

    /// The position of a row that starts at byte `at`.
    fn position(&self, at: u64) -> u64 {
        at
    }

    /// The columns seen so far; `None` before there is anything to tell.
    fn columns(&self) -> Option<Vec<FileColumn>>;

    /// How many items the file says it has, where it does.
    fn items(&self) -> Option<u64> {
        None
    }

    /// Columns that cannot be read, and why.
    fn refused(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// Goes to items [from, to), where a table in the file's head says where items lie: their bytes.
    fn seek(&mut self, _from: u64, _to: u64) -> Option<(u64, u64)> {
        None
    }
}

/// A column of items, as it was found.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ItemColumn {
    /// Its name in the items.
    pub name: String,
    /// Its Arrow type.
    pub arrow_type: String,
}

/// Reads files of items into batches and rejects.
pub struct ItemReader {
    format: Box<dyn ItemFormat>,
    rows: ItemRows,
    selection: Option<Selection>,
    max_item_bytes: u64,
    input: Input,
    /// Offset of the first byte of `carry`, else of the next byte.
    at: u64,
    /// Start of what is looked at, from earlier chunks.
    carry: Vec<u8>,
    /// Bytes that are needed before it can be looked at.
    need: usize,
    /// Length of the item that is being gathered.
    item: Option<u64>,
    skip: u64,
    done: bool,
    broken: Option<Ended>,
}

impl ItemReader {
    /// A reader that has no file yet.
    #[must_use]
    pub fn new(format: Box<dyn ItemFormat>, max_item_bytes: u64) -> Self {
        Self {
            format,
            rows: ItemRows::default(),
            selection: None,
            max_item_bytes: max_item_bytes.min(MAX_ITEM_BYTES),
            input: Input::default(),
            at: 0,
            carry: Vec::new(),
            need: 0,
            item: None,
            skip: 0,
            done: true,
            broken: None,
        }
    }

    /// Starts a file, all rows of those before being taken.
    pub fn start(&mut self, file: &str, compression: Compressed) {
        self.rows.set_file(file);
        self.format.start();
        self.input = Input::new(compression);
        self.carry.clear();
        (self.at, self.need, self.item, self.skip) = (0, 0, None, 0);
        (self.done, self.broken) = (false, None);
    }

    /// The columns of the items so far.
    #[must_use]
    pub fn columns(&self) -> Option<Vec<FileColumn>> {
        self.format.columns()
    }

    /// How many items the file says it has, where it does.
    #[must_use]
    pub fn items(&self) -> Option<u64> {
        self.format.items()
    }

    /// Columns that cannot be read, and why.
    #[must_use]
    pub fn refused(&self) -> Vec<(String, String)> {
        self.format.refused()
    }

    /// Says what to read, of columns that were found.
    ///
    /// # Errors
    /// `ColumnMissing` when a column was not found, `Option` when a type is none that items have.
    pub fn open(&mut self, selection: Selection, found: &[ItemColumn], count_unknown: bool) -> Result<()> {
        let mut columns: BTreeMap<&str, DataType> = BTreeMap::new();
        for name in selection.sources() {
            let column = found.iter().find(|column| column.name == name);
            let data_type = match column {
                Some(column) => column.arrow_type.parse().map_err(|error| KernelError::Option {
                    name: "columns".to_owned(),
                    reason: format!("{}: {error}", column.arrow_type),
                })?,
                // The id is no column of the batch, so nobody says its type: integers come as their digits.
                None if selection.id.as_deref() == Some(name) => DataType::Utf8,
                None => {
                    let available = found.iter().map(|column| column.name.clone()).collect();
                    return Err(KernelError::ColumnMissing { name: name.to_owned(), available });
                }
            };
            columns.insert(name, data_type);
        }
        let id = selection.id.as_deref();
        self.rows.open(columns.iter().map(|(name, data_type)| (*name, data_type)), id, count_unknown)?;
        self.selection = Some(selection);
        Ok(())
    }

    /// Goes to items [from, to): the bytes of the file to push next. `None` when the file's head does not say.
    pub fn seek(&mut self, from: u64, to: u64) -> Option<(u64, u64)> {
        let range = self.format.seek(from, to)?;
        self.at = range.0;
        self.carry.clear();
        (self.need, self.item, self.skip) = (0, None, 0);
        Some(range)
    }

    /// Whether the file needs no more bytes.
    #[must_use]
    pub fn done(&self) -> bool {
        self.done
    }

    /// Takes a chunk. True when it stopped because there is enough for a batch of `target` bytes, or since
    /// columns must be chosen first: do so and push the same chunk again.
    ///
    /// # Errors
    /// Broken invariants only.
    pub fn push(&mut self, chunk: &[u8], target: usize) -> Result<bool> {
        if self.done {
            return Ok(false);
        }
        let mut input = std::mem::take(&mut self.input);
        let result = input.drain(chunk, |bytes| {
            let used = self.feed(bytes, target);
            Ok((used, self.done))
        });
        self.input = input;
        result
    }

    /// Ends the file; why it ended early, if it did.
    ///
    /// # Errors
    /// Broken invariants only.
    pub fn end(&mut self) -> Result<Option<Ended>> {
        let mut stopped = None;
        if !self.done {
            let mut input = std::mem::take(&mut self.input);
            stopped = input.finish(|bytes| Ok((self.feed(bytes, usize::MAX), self.done)))?;
        }
        let broken = self.broken.take();
        let at = self.at + self.carry.len() as u64;
        let partial = !self.done && (!self.carry.is_empty() || self.skip > 0 || self.item.is_some());
        let position = self.format.position(self.at);
        let cut = self.format.end(partial, broken.is_some() || stopped.is_some(), &mut self.rows);
        self.done = true;
        // What is broken was put on record when it was met.
        if broken.is_some() {
            return Ok(broken);
        }
        let ended = stopped.or(cut.map(|reason| Ended { corrupt: false, reason }));
        if let Some(ended) = &ended {
            let reason = format!("{}; the decompressed data ends at byte {at}", ended.reason);
            let place = Place { position, length: self.carry.len() as u64 };
            self.rows.reject(place, Fault::new(ended.code(), reason), &self.carry);
        }
        Ok(ended)
    }

    /// Rows and rejects if there is enough for a batch of `target` bytes, and the bytes they were made of; 0 takes any.
    ///
    /// # Errors
    /// `ColumnMissing` or `ColumnType` when the items are not what the selection says.
    pub fn take(&mut self, target: usize) -> Result<Option<(Converted, u64)>> {
        if !self.rows.is_full(target) {
            return Ok(None);
        }
        let Some(selection) = &self.selection else {
            // Nothing was chosen, since the file has nothing that can be read.
            let rejects = self.rows.take_rejects();
            let rows = rejects.len() as u64;
            return Ok(Some((Converted { rejects, rows, ..Converted::default() }, 0)));
        };
        let (record, positions) = self.rows.take()?;
        let mut converted = selection.convert_at(&record, &positions)?;
        let mut rejects = self.rows.take_rejects();
        converted.rows += rejects.len() as u64;
        rejects.append(&mut converted.rejects);
        rejects.sort_by_key(|reject| reject.offset);
        converted.rejects = rejects;
        Ok(Some((converted, self.rows.take_consumed())))
    }

    /// Rows that have columns nobody asked for, by name, since the last call.
    pub fn take_unknown(&mut self) -> BTreeMap<String, u64> {
        self.rows.take_unknown()
    }

    /// Takes decompressed bytes; returns how many it took before it had enough or was done.
    fn feed(&mut self, bytes: &[u8], target: usize) -> usize {
        let mut used = 0;
        while !self.done && !self.rows.is_full(target) {
            let rest = &bytes[used..];
            if self.skip > 0 {
                let skipped = self.skip.min(rest.len() as u64);
                used += skipped as usize;
                self.at += skipped;
                self.skip -= skipped;
                if self.skip > 0 {
                    return used;
                }
                continue;
            }
            // What is looked at lies in the chunk as a whole, or was gathered from several.
            let gathered = !self.carry.is_empty() || rest.len() < self.need;
            if gathered {
                let missing = self.need.saturating_sub(self.carry.len()).min(rest.len());
                self.carry.extend_from_slice(&rest[..missing]);
                used += missing;
                if self.carry.len() < self.need {
                    return used;
                }
            }
            let window = if gathered { &self.carry } else { rest };
            let step = match self.item.take() {
                Some(length) => {
                    self.format.take(self.at, &window[..length as usize], &mut self.rows);
                    self.rows.consume(length);
                    Frame::Skip(length)
                }
                None => self.format.frame(self.at, window, &mut self.rows),
            };
            match step {
                Frame::Need(bytes) => self.need = bytes,
                Frame::Item(length) if length <= self.max_item_bytes => {
                    self.item = Some(length);
                    self.need = length as usize;
                }
                Frame::Item(length) => {
                    self.pass_over(length);
                    used += self.step_over(length, gathered, rest.len());
                }
                Frame::Skip(length) => used += self.step_over(length, gathered, rest.len()),
                // Whoever only looks has seen enough.
                Frame::Pause => {
                    self.done = target == usize::MAX;
                    return used;
                }
                Frame::End => self.done = true,
                Frame::Broken(fault) => self.break_off(fault),
            }
        }
        used
    }

    /// Goes past bytes, of which the first were gathered or lie in the chunk; returns how many of the chunk.
    fn step_over(&mut self, length: u64, gathered: bool, rest: usize) -> usize {
        let here = if gathered { self.carry.len() } else { rest };
        let stepped = length.min(here as u64);
        self.at += stepped;
        self.skip = length - stepped;
        self.need = 0;
        if gathered {
            self.carry.drain(..stepped as usize);
            return 0;
        }
        stepped as usize
    }

    fn pass_over(&mut self, length: u64) {
        let reason = format!(
            "the record has {length} bytes, more than source.maxRecordBytes ({} bytes)",
            self.max_item_bytes
        );
        self.format.pass_over(self.at, length, Fault::new("record-too-long", reason), &mut self.rows);
        self.rows.consume(length);
    }

    /// Nothing more of the file can be read.
    fn break_off(&mut self, fault: Fault) {
        let reason = fault.reason.clone();
        let place = Place { position: self.format.position(self.at), length: 0 };
        // How many of the bytes are at hand depends on the chunks.
        self.rows.reject(place, fault, &[]);
        self.broken = Some(Ended { corrupt: true, reason });
        self.done = true;
    }
}

#[cfg(test)]
mod tests;
