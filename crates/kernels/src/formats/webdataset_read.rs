//! `WebDataset` reading: a tar archive whose members, put together by name, are rows.
//!
//! A member's key is its path up to the first dot of its base name, its column what follows, in lower case.
//! Members of one key that lie side by side are a sample. What a value means follows from the last part of
//! the column's name, as the default decoders of the `webdataset` package have it: texts, JSON, integers,
//! numpy arrays; all else stays as bytes. Members named `__x__` or below such a folder are passed over, as
//! there, and hidden ones.

use arrow_schema::DataType;
use rustc_hash::FxHashMap;

use crate::formats::items::array::{set_array, shape_name};
use crate::formats::items::{Fault, Frame, ItemFormat, ItemRows, Place, list_of};
use crate::formats::npy::read_numbers;
use crate::formats::parquet_read::FileColumn;
use crate::formats::tar_read::{self, BLOCK, Header, Kind};

/// Column of the samples' keys.
pub const KEY: &str = "__key__";
/// The longest name or list of PAX records that is read.
const MAX_META_BYTES: u64 = 1 << 20;

/// How a column's values are decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decoder {
    Text,
    Json,
    Integer,
    Array,
    Bytes,
}

impl Decoder {
    fn of(column: &str) -> Self {
        match column.rsplit('.').next().unwrap_or(column) {
            "txt" | "text" | "transcript" => Self::Text,
            "json" | "jsn" => Self::Json,
            "cls" | "cls2" | "index" | "inx" | "id" => Self::Integer,
            "npy" => Self::Array,
            _ => Self::Bytes,
        }
    }
}

enum State {
    Header,
    /// A member's data, then the rest of its last block.
    Data {
        member: Member,
        size: u64,
    },
    Padding(u64),
}

enum Member {
    LongName,
    Pax,
    /// Data of a column that is kept, or looked at.
    Value(String),
    /// Data to step over.
    Nothing,
}

/// The sample under way.
struct Sample {
    key: String,
    /// Where its first header lies.
    start: u64,
    /// Columns it has had.
    columns: Vec<String>,
    bytes: u64,
    fault: Option<(Fault, Vec<u8>)>,
}

/// What was seen of a column.
struct Seen {
    name: String,
    decoder: Decoder,
    /// Of arrays: the type of their numbers, and whether one had other than one dimension.
    item: DataType,
    shaped: bool,
}

/// Reads archives of samples.
pub struct WebdatasetFormat {
    max_sample_bytes: u64,
    state: State,
    /// Name, size and sparseness for the member after, from records before it.
    pending: tar_read::PaxRecords,
    /// Where the header of the member under way lies, its records included.
    member_at: Option<u64>,
    sample: Option<Sample>,
    /// Why no member after this can be read.
    broken: Option<Fault>,
    seen: Vec<Seen>,
    index: FxHashMap<String, usize>,
    samples: u64,
}

impl WebdatasetFormat {
    /// A sample of more than `max_sample_bytes` becomes a reject.
    #[must_use]
    pub fn new(max_sample_bytes: u64) -> Self {
        Self {
            max_sample_bytes,
            state: State::Header,
            pending: tar_read::PaxRecords::default(),
            member_at: None,
            sample: None,
            broken: None,
            seen: Vec::new(),
            index: FxHashMap::default(),
            samples: 0,
        }
    }

    /// What to do with the data behind a header.
    fn member(&mut self, at: u64, header: Header, rows: &mut ItemRows) -> Result<(Member, u64), Fault> {
        let Header { name, size, kind } = header;
        self.member_at.get_or_insert(at);
        if matches!(kind, Kind::LongName | Kind::Pax) {
            if size > MAX_META_BYTES {
                let reason =
                    format!("the name or records of a member have {size} bytes, more than {MAX_META_BYTES}");
                return Err(Fault::new("tar-header", reason));
            }
            return Ok((if kind == Kind::Pax { Member::Pax } else { Member::LongName }, size));
        }
        let stated = std::mem::take(&mut self.pending);
        let start = self.member_at.take().unwrap_or(at);
        let size = stated.size.unwrap_or(size);
        match kind {
            Kind::Empty => return Ok((Member::Nothing, 0)),
            Kind::Other => return Ok((Member::Nothing, size)),
            _ => {}
        }
        let name = stated.path.unwrap_or(name);
        let sparse = stated.sparse || kind == Kind::Sparse;
        Ok((self.value(start, &name, size, sparse, rows), size))
    }

    /// A file: which column of which sample it is.
    fn value(&mut self, start: u64, name: &[u8], size: u64, sparse: bool, rows: &mut ItemRows) -> Member {
        let place = Place { position: start, length: size };
        let Ok(path) = std::str::from_utf8(name) else {
            rows.reject(place, Fault::new("utf8", "a member's name is not valid UTF-8"), name);
            return Member::Nothing;
        };
        let base = path.rsplit('/').next().unwrap_or(path);
        let top = path.split('/').next().unwrap_or(path);
        if base.starts_with('.') || (top.len() > 4 && top.starts_with("__") && top.ends_with("__")) {
            return Member::Nothing;
        }
        let Some((stem, extension)) = base.split_once('.') else {
            let reason = format!("the member '{path}' has no extension, which would name its column");
            rows.reject(place, Fault::new("webdataset-name", reason), &[]);
            return Member::Nothing;
        };
        let key = &path[..path.len() - base.len() + stem.len()];
        if self.sample.as_ref().is_none_or(|sample| sample.key != key) {
            self.finish_sample(rows);
            let (key, columns) = (key.to_owned(), Vec::new());
            self.sample = Some(Sample { key, start, columns, bytes: 0, fault: None });
        }
        let Some(sample) = &mut self.sample else { return Member::Nothing };
        let column = extension.to_lowercase();
        sample.bytes = sample.bytes.saturating_add(size);
        if sample.columns.contains(&column) {
            sample.fail("webdataset-duplicate", format!("the sample has two members '.{column}'"), &[]);
        }
        if sparse {
            sample.fail("tar-member", format!("the member '{path}' is stored as a sparse file"), &[]);
        }
        sample.columns.push(column.clone());
        let kept =
            !rows.is_open() || rows.column(&column).is_some() || rows.column(&shape_name(&column)).is_some();
        if rows.is_open() && !kept {
            rows.count_unknown(&column);
        }
        if kept && sample.bytes > self.max_sample_bytes {
            let reason =
                format!("the sample has more than source.maxRecordBytes ({} bytes)", self.max_sample_bytes);
            sample.fail("record-too-long", reason, &[]);
        }
        // Values that no longer matter are not gathered; a sample for looking needs arrays' headers alone.
        let wanted =
            kept && sample.fault.is_none() && (rows.is_open() || Decoder::of(&column) == Decoder::Array);
        if !rows.is_open() {
            self.see(&column);
        }
        if wanted { Member::Value(column) } else { Member::Nothing }
    }

    fn see(&mut self, column: &str) -> usize {
        if let Some(&at) = self.index.get(column) {
            return at;
        }
        self.index.insert(column.to_owned(), self.seen.len());
        let decoder = Decoder::of(column);
        self.seen.push(Seen { name: column.to_owned(), decoder, item: DataType::Null, shaped: false });
        self.seen.len() - 1
    }

    fn look_at_array(&mut self, column: &str, data: &[u8]) {
        let Ok(array) = read_numbers(data) else { return };
        let at = self.see(column);
        let seen = &mut self.seen[at];
        if seen.item == DataType::Null {
            seen.item = array.item;
        }
        seen.shaped |= array.shape.len() != 1;
    }

    fn finish_sample(&mut self, rows: &mut ItemRows) {
        let Some(sample) = self.sample.take() else { return };
        self.samples += 1;
        let place = Place { position: sample.start, length: sample.bytes };
        if let Some((fault, bytes)) = sample.fault {
            rows.reject(place, fault, &bytes);
            return;
        }
        if !rows.is_open() {
            return;
        }
        if let Some(column) = rows.column(KEY)
            && let Err(fault) = rows.set(column, sample.key.as_bytes())
        {
            rows.reject(place, fault, &[]);
            return;
        }
        rows.commit(place);
    }
}

impl Sample {
    /// The first fault of a sample counts.
    fn fail(&mut self, code: &'static str, reason: String, bytes: &[u8]) {
        let bytes = &bytes[..bytes.len().min(crate::reject::KEPT_BYTES)];
        self.fault.get_or_insert_with(|| (Fault::new(code, reason), bytes.to_vec()));
    }
}

/// Stages a value.
fn decode(name: &str, data: &[u8], rows: &mut ItemRows) -> Result<(), Fault> {
    let wrong = |what: &str| Fault::new("column-type", format!("column '{name}': {what}"));
    let plain = rows.column(name).is_some_and(|column| *rows.data_type(column) == DataType::Binary);
    if rows.column(name).is_some_and(|column| rows.takes_digits(column)) {
        return stage(name, data.trim_ascii(), rows);
    }
    match Decoder::of(name) {
        Decoder::Array if !plain => {
            let array = read_numbers(data)
                .map_err(|reason| Fault::new("npy", format!("column '{name}': {reason}")))?;
            set_array(name, &array, rows)
        }
        Decoder::Integer => {
            let digits = std::str::from_utf8(data).ok().map(str::trim);
            let value = digits.and_then(|digits| digits.parse::<i64>().ok());
            let value = value.ok_or_else(|| wrong("the value is no integer of 64 bits"))?;
            stage(name, &value.to_le_bytes(), rows)
        }
        Decoder::Json => {
            serde_json::from_slice::<serde::de::IgnoredAny>(data)
                .map_err(|error| Fault::new("json-syntax", format!("column '{name}': {error}")))?;
            stage(name, data, rows)
        }
        Decoder::Text | Decoder::Bytes | Decoder::Array => stage(name, data, rows),
    }
}

fn stage(name: &str, value: &[u8], rows: &mut ItemRows) -> Result<(), Fault> {
    rows.column(name).map_or(Ok(()), |column| rows.set(column, value))
}

impl ItemFormat for WebdatasetFormat {
    fn start(&mut self) {
        self.state = State::Header;
        self.pending = tar_read::PaxRecords::default();
        self.member_at = None;
        self.sample = None;
        self.broken = None;
    }

    fn frame(&mut self, at: u64, bytes: &[u8], rows: &mut ItemRows) -> Frame {
        if let Some(fault) = self.broken.take() {
            return Frame::Broken(fault);
        }
        match &self.state {
            State::Header => {
                let Some(block) = bytes.first_chunk::<BLOCK>() else { return Frame::Need(BLOCK) };
                let header = match tar_read::header(block) {
                    Ok(Some(header)) => header,
                    Ok(None) => return Frame::End,
                    Err(reason) => {
                        let reason = format!("the tar header at byte {at} is damaged: {reason}");
                        return Frame::Broken(Fault::new("tar-header", reason));
                    }
                };
                match self.member(at, header, rows) {
                    Ok((member, size)) => self.state = State::Data { member, size },
                    Err(fault) => return Frame::Broken(fault),
                }
                Frame::Skip(BLOCK as u64)
            }
            State::Data { member, size } => {
                let size = *size;
                if matches!(member, Member::Nothing) {
                    self.state = State::Padding(padding(size));
                    return Frame::Skip(size);
                }
                Frame::Item(size)
            }
            State::Padding(bytes) => {
                let bytes = *bytes;
                self.state = State::Header;
                Frame::Skip(bytes)
            }
        }
    }

    fn take(&mut self, _at: u64, bytes: &[u8], rows: &mut ItemRows) {
        let state = std::mem::replace(&mut self.state, State::Padding(padding(bytes.len() as u64)));
        let State::Data { member, .. } = state else { return };
        match member {
            Member::LongName => {
                let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
                self.pending.path = Some(bytes[..end].to_vec());
            }
            Member::Pax => match tar_read::pax(bytes) {
                Ok(records) => {
                    let path = records.path.or(self.pending.path.take());
                    self.pending = tar_read::PaxRecords { path, ..records };
                }
                Err(reason) => {
                    self.broken =
                        Some(Fault::new("tar-header", format!("a member cannot be read: {reason}")));
                }
            },
            Member::Value(column) if rows.is_open() => {
                if let Err(fault) = decode(&column, bytes, rows)
                    && let Some(sample) = &mut self.sample
                {
                    sample.fail(fault.code, fault.reason, bytes);
                }
            }
            Member::Value(column) => self.look_at_array(&column, bytes),
            Member::Nothing => {}
        }
    }

    fn pass_over(&mut self, _at: u64, length: u64, fault: Fault, _rows: &mut ItemRows) {
        self.state = State::Padding(padding(length));
        if let Some(sample) = &mut self.sample {
            sample.fail(fault.code, fault.reason, &[]);
        }
    }

    fn end(&mut self, partial: bool, broken: bool, rows: &mut ItemRows) -> Option<String> {
        let inside =
            partial || !matches!(self.state, State::Header | State::Padding(0)) || self.member_at.is_some();
        if (inside || broken)
            && let Some(sample) = &mut self.sample
        {
            let reason = format!("the archive ends, or is damaged, inside the sample '{}'", sample.key);
            sample.fail("truncated", reason, &[]);
        }
        self.finish_sample(rows);
        inside.then(|| "the archive ends inside a member".to_owned())
    }

    fn columns(&self) -> Option<Vec<FileColumn>> {
        if self.samples == 0 && self.sample.is_none() {
            return None;
        }
        let mut columns = vec![FileColumn::new(KEY, DataType::Utf8)];
        for Seen { name, decoder, item, shaped } in &self.seen {
            match decoder {
                Decoder::Text => columns.push(FileColumn::new(name, DataType::Utf8)),
                Decoder::Json => {
                    columns.push(FileColumn { kind: "json", ..FileColumn::new(name, DataType::Utf8) });
                }
                Decoder::Integer => columns.push(FileColumn::new(name, DataType::Int64)),
                Decoder::Array if *item != DataType::Null => {
                    columns.push(FileColumn::new(name, list_of(item.clone())));
                    if *shaped {
                        columns.push(FileColumn::new(&shape_name(name), list_of(DataType::UInt64)));
                    }
                }
                // No array of the sample can be read: the values stay as they are.
                Decoder::Array | Decoder::Bytes => columns.push(FileColumn::new(name, DataType::Binary)),
            }
        }
        Some(columns)
    }
}

fn padding(size: u64) -> u64 {
    let block = BLOCK as u64;
    (block - size % block) % block
}
