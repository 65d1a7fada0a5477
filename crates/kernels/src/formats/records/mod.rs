//! Reading records from byte streams: what JSON Lines, CSV and text have in common.
//!
//! [`RecordReader`] takes the bytes of one range after another in chunks of any size, decompresses them,
//! cuts them into records by the format's rule and hands each to the format, which stages rows. How the
//! bytes were cut into chunks never changes rows or rejects. Only what is left over at the end of a
//! chunk is copied.
//!
//! Which records a range owns is the rule of `Range` in src/sources/source.ts: those whose first byte s
//! satisfies from < s <= to, and the one at 0 if from is 0.

pub mod column;
pub mod cutter;
pub(crate) mod input;
pub mod lines;
pub mod rows;

use serde::Deserialize;
use xxhash_rust::xxh3::xxh3_64;

pub use self::input::Ended;
use self::input::{Bom, Input};
use self::rows::{Counts, RowOptions, Rows};
use crate::batch::Batch;
use crate::error::Result;
use crate::reject::{KEPT_BYTES, Reject};
use column::ColumnKind;

/// A column found in a sample: its name in the files and its type.
pub type SampledColumn = (String, ColumnKind);

/// A rule that cuts a stream into records and turns each into a row.
pub trait RecordFormat: Send {
    /// Called at the start of each range.
    ///
    /// # Errors
    /// When the range cannot be read by this format.
    fn open(&mut self, _range: &RangeStart) -> Result<()> {
        Ok(())
    }

    /// Looks on from where the last call stopped for the end of the current record: its length in
    /// `bytes`, line end included. `None` when it goes on past `bytes`.
    fn end(&mut self, bytes: &[u8]) -> Option<usize>;

    /// Steps over bytes at the start of a file that belong to no record (a byte order mark).
    fn skip(&mut self, _bytes: u64) {}

    /// Whether a record's last line end is part of it.
    fn keeps_line_ends(&self) -> bool {
        false
    }

    /// Takes one record (without `\n` or `\r\n`), which starts at `offset`.
    ///
    /// # Errors
    /// Only for broken invariants; a bad record is a reject.
    fn record(&mut self, offset: u64, bytes: &[u8], rows: &mut Rows) -> Result<()>;

    /// Takes the last record of a file when it has no line end.
    ///
    /// # Errors
    /// As [`RecordFormat::record`].
    fn last_record(&mut self, offset: u64, bytes: &[u8], rows: &mut Rows) -> Result<()> {
        self.record(offset, bytes, rows)
    }

    /// Whether a file of no bytes is a record too.
    fn empty_is_record(&self) -> bool {
        false
    }

    /// Whether the first record of a file names the columns of the others.
    fn has_header(&self) -> bool {
        false
    }

    /// The names of the columns that the first records give, if this is one that does.
    fn header(&self, _record: &[u8]) -> Option<Vec<String>> {
        None
    }

    /// For formats that sample instead of reading: records seen, and their columns.
    fn sampled(&self) -> (u64, Vec<SampledColumn>) {
        (0, Vec::new())
    }
}

/// Where a range starts and what is known about it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RangeStart {
    /// Input file, relative to the configuration.
    pub file: String,
    /// Decompressed offset of the first byte that will be pushed.
    pub from: u64,
    /// Last offset at which an owned record may start.
    pub to: Option<u64>,
    /// Whether `from` may lie inside a record, which then belongs to the range before.
    pub ragged: bool,
    /// Compression that the file's name promises; the bytes decide between that and none.
    pub compression: Compressed,
    /// Names of the columns, where they stand before the range (CSV).
    pub header: Option<Vec<String>>,
    /// Why the stream that the range was cut from ends with it, if it ends too early.
    pub ended: Option<Ended>,
}

impl Default for RangeStart {
    fn default() -> Self {
        Self {
            file: String::new(),
            from: 0,
            to: None,
            ragged: false,
            compression: Compressed::Unknown,
            header: None,
            ended: None,
        }
    }
}

/// What is known of a range's compression before its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compressed {
    /// The bytes are plain, whatever they look like.
    Never,
    /// The first bytes tell.
    Unknown,
    /// The name promises zstd: anything else is corrupt.
    Zstd,
    /// The name promises gzip: anything else is corrupt.
    Gzip,
}

/// Reads ranges of files into batches and rejects.
pub struct RecordReader {
    format: Box<dyn RecordFormat>,
    rows: Rows,
    max_record_bytes: usize,
    range: RangeStart,
    input: Input,
    bom: Bom,
    /// Offset of the next byte to feed.
    at: u64,
    /// Where the current record starts.
    record_at: u64,
    /// Start of the current record, from earlier chunks.
    carry: Vec<u8>,
    /// Bytes of an over-long record that were passed over, on top of `carry`.
    passed_over: u64,
    /// Whether the current record belongs to the range before.
    foreign: bool,
    /// Whether the range needs no more bytes.
    done: bool,
}

impl RecordReader {
    /// A reader that has no range yet.
    ///
    /// # Errors
    /// `Option` for options out of range.
    pub fn new(format: Box<dyn RecordFormat>, options: &RowOptions) -> Result<Self> {
        Ok(Self {
            format,
            rows: Rows::new(options)?,
            max_record_bytes: options.max_record_bytes,
            range: RangeStart::default(),
            input: Input::default(),
            bom: Bom::passed(),
            at: 0,
            record_at: 0,
            carry: Vec::new(),
            passed_over: 0,
            foreign: false,
            done: true,
        })
    }

    /// Starts a range. Rows of earlier ones that are not taken yet are kept.
    ///
    /// # Errors
    /// `Internal` when a decoder cannot be made.
    pub fn start(&mut self, range: RangeStart) -> Result<()> {
        self.rows.set_file(&range.file);
        self.format.open(&range)?;
        self.input = Input::new(range.compression);
        self.bom = if range.from == 0 { Bom::expected() } else { Bom::passed() };
        (self.at, self.record_at) = (range.from, range.from);
        self.carry.clear();
        self.passed_over = 0;
        self.foreign = range.ragged && range.from > 0;
        self.done = false;
        self.range = range;
        Ok(())
    }

    /// Whether the range needs no more bytes.
    pub fn done(&self) -> bool {
        self.done
    }

    /// Takes a chunk. True when it stopped because there is enough for a batch of `target` bytes: take
    /// the batch and the rejects, and push the same chunk again.
    ///
    /// # Errors
    /// Broken invariants only.
    pub fn push(&mut self, chunk: &[u8], target: usize) -> Result<bool> {
        if self.done {
            return Ok(false);
        }
        let mut input = std::mem::take(&mut self.input);
        let result = input.drain(chunk, |bytes| {
            let used = self.feed(bytes, target)?;
            Ok((used, self.done))
        });
        self.input = input;
        result
    }

    /// Ends the range: its last record, and why it ended early, if it did.
    ///
    /// # Errors
    /// Broken invariants only.
    pub fn end(&mut self) -> Result<Option<Ended>> {
        if self.done {
            return Ok(None);
        }
        let mut input = std::mem::take(&mut self.input);
        let ended = input.finish(|bytes| self.feed(bytes, usize::MAX).map(|used| (used, self.done)))?;
        let ended = ended.or(self.range.ended.take());
        if let Some(head) = self.bom.finish() {
            self.feed_records(head, usize::MAX)?;
        }
        if !self.done && !self.foreign {
            self.end_record(ended.as_ref())?;
        }
        self.done = true;
        Ok(ended)
    }

    /// The rows so far; `None` when there are none.
    ///
    /// # Errors
    /// Broken invariants only.
    pub fn take_batch(&mut self) -> Result<Option<Batch>> {
        self.rows.take_batch()
    }

    /// Whether the rows so far make a batch of `target` bytes.
    pub fn is_full(&self, target: usize) -> bool {
        self.rows.is_full(target)
    }

    /// The rejects so far.
    pub fn take_rejects(&mut self) -> Vec<Reject> {
        self.rows.take_rejects()
    }

    /// The counts since the last call.
    pub fn take_counts(&mut self) -> Counts {
        self.rows.take_counts()
    }

    /// What a sampling format has seen.
    pub fn sampled(&self) -> (u64, Vec<SampledColumn>) {
        self.format.sampled()
    }

    /// Takes decompressed bytes; returns how many it took before it had enough or was done.
    fn feed(&mut self, bytes: &[u8], target: usize) -> Result<usize> {
        let mut used = 0;
        if let Some((head, taken)) = self.bom.take(bytes) {
            used = taken;
            match head {
                Some(head) => {
                    self.feed_records(head, usize::MAX)?;
                }
                None if self.bom.found() => {
                    self.at += 3;
                    self.record_at = self.at;
                    self.format.skip(3);
                    // The mark and the first record have one owner, wherever the range ends.
                    self.range.to = self.range.to.map(|to| to.max(self.at));
                }
                None => {}
            }
        }
        Ok(used + self.feed_records(&bytes[used..], target)?)
    }

    fn feed_records(&mut self, bytes: &[u8], target: usize) -> Result<usize> {
        let mut used = 0;
        while used < bytes.len() {
            if self.at == self.record_at && self.range.to.is_some_and(|to| self.at > to) {
                self.done = true;
                break;
            }
            let rest = &bytes[used..];
            let Some(length) = self.format.end(rest) else {
                self.at += rest.len() as u64;
                self.carry_on(rest);
                return Ok(bytes.len());
            };
            used += length;
            self.at += length as u64;
            self.take_record(&rest[..length])?;
            self.record_at = self.at;
            if self.rows.is_full(target) {
                break;
            }
        }
        Ok(used)
    }

    /// Keeps the start of a record for the next chunk, or passes over it.
    fn carry_on(&mut self, part: &[u8]) {
        if self.foreign {
            // The next record starts even later, so none is owned.
            self.done = self.range.to.is_some_and(|to| self.at > to);
            return;
        }
        // Two bytes on top, since a line end does not count and may not have come yet.
        if self.passed_over == 0 && self.carry.len() + part.len() <= self.max_record_bytes + 2 {
            self.carry.extend_from_slice(part);
            return;
        }
        let room = KEPT_BYTES.saturating_sub(self.carry.len()).min(part.len());
        let before = self.carry.len();
        self.carry.extend_from_slice(&part[..room]);
        self.carry.truncate(KEPT_BYTES);
        self.carry.shrink_to(KEPT_BYTES);
        self.passed_over += (before + part.len() - self.carry.len()) as u64;
    }

    /// The record ends with `part`.
    fn take_record(&mut self, part: &[u8]) -> Result<()> {
        if self.foreign {
            // A record that starts at `from` itself belongs to the range before as well.
            self.foreign = self.at <= self.range.from;
            return Ok(());
        }
        if self.passed_over > 0 {
            self.carry_on(part);
            self.too_long();
        } else if self.carry.is_empty() {
            self.whole_record(part, false)?;
        } else {
            let mut carry = std::mem::take(&mut self.carry);
            carry.extend_from_slice(part);
            self.whole_record(&carry, false)?;
            carry.clear();
            self.carry = carry;
        }
        self.rows.counts.consumed += self.at - self.record_at;
        Ok(())
    }

    fn whole_record(&mut self, bytes: &[u8], last: bool) -> Result<()> {
        let record = if self.format.keeps_line_ends() { bytes } else { lines::trim_end(bytes) };
        if record.len() > self.max_record_bytes {
            self.reject_too_long(bytes.len() as u64, &bytes[..bytes.len().min(KEPT_BYTES)]);
            Ok(())
        } else if last {
            self.format.last_record(self.record_at, record, &mut self.rows)
        } else {
            self.format.record(self.record_at, record, &mut self.rows)
        }
    }

    /// The record that was passed over has ended.
    fn too_long(&mut self) {
        let head = std::mem::take(&mut self.carry);
        self.reject_too_long(head.len() as u64 + self.passed_over, &head);
        self.passed_over = 0;
    }

    fn reject_too_long(&mut self, length: u64, head: &[u8]) {
        let reason =
            format!("the record is longer than source.maxRecordBytes ({} bytes)", self.max_record_bytes);
        self.rows.reject_long(self.record_at, length, head, "record-too-long", reason);
    }

    /// The stream has ended; what is left is the last record, or was cut.
    fn end_record(&mut self, ended: Option<&Ended>) -> Result<()> {
        let in_record = self.at > self.record_at;
        let owned = self.range.to.is_none_or(|to| self.record_at <= to);
        let carry = std::mem::take(&mut self.carry);
        let length = carry.len() as u64 + self.passed_over;
        if let Some(ended) = ended {
            let reason = format!("{}; decompressed data ends at byte {}", ended.reason, self.at);
            let kept = &carry[..carry.len().min(KEPT_BYTES)];
            self.rows.reject_long(self.record_at, length, kept, ended.code(), reason);
        } else if self.passed_over > 0 {
            self.reject_too_long(length, &carry);
        } else if (in_record && owned)
            || (!in_record && self.range.from == 0 && self.format.empty_is_record())
        {
            self.whole_record(&carry, true)?;
        }
        self.passed_over = 0;
        self.rows.counts.consumed += self.at - self.record_at;
        Ok(())
    }
}

/// XXH3-64 of a path, low 32 bits: groups of small files end at paths that this picks, so that a new
/// file disturbs only the groups near it.
#[must_use]
pub fn path_hash(path: &str) -> u32 {
    xxh3_64(path.as_bytes()) as u32
}

/// The record as text; invalid UTF-8 becomes a reject.
pub fn utf8<'a>(offset: u64, record: &'a [u8], rows: &mut Rows) -> Option<&'a str> {
    if let Ok(text) = simdutf8::basic::from_utf8(record) {
        return Some(text);
    }
    let at = std::str::from_utf8(record).err().map_or(0, |error| error.valid_up_to());
    let byte = record.get(at).copied().unwrap_or_default();
    rows.reject(offset, record, "utf8", format!("at byte {at}: 0x{byte:02X} is not valid UTF-8"));
    None
}

#[cfg(test)]
mod tests;
