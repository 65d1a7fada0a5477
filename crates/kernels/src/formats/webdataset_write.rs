//! `WebDataset` shards: tar archives in which the files of a sample lie side by side under one key.
//!
//! The key is the sample's number in the export, nine digits or more. A list of numbers is `KEY.NAME.npy`, a
//! column `text` is `KEY.txt`, and all other columns together are `KEY.json`. The archive is `ustar`, owned by
//! nobody and dated 1970, so that its bytes depend on the samples alone. The reference is webdataset/webdataset.

use std::path::PathBuf;

use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema};

use crate::batch::TEXT;
use crate::error::{KernelError, Result};
use crate::formats::json_value::write_text;
use crate::formats::npy;
use crate::formats::sample_column::{Kind, SampleColumn};
use crate::formats::sample_shard::{SampleShard, SampleWriter};
use crate::formats::shard_file::ShardFile;

const BLOCK: usize = 512;
/// Files are smaller than what eleven octal digits can say.
const LARGEST: usize = (8 << 30) - 1;
/// Longest name of a column that becomes part of a file's name; those have 100 bytes.
const LONGEST_NAME: usize = 64;

/// A shard under construction.
pub struct WebdatasetWriter {
    file: ShardFile,
    /// Number of the next sample.
    next: u64,
    forms: Vec<Form>,
    scratch: Vec<u8>,
}

enum Form {
    /// A file of its own, with this behind the key.
    File(String),
    /// A value of the JSON object, under this key.
    Json(String),
}

impl WebdatasetWriter {
    /// Creates the shard for rows of `schema`; its first sample is number `first`.
    ///
    /// # Errors
    /// `ColumnType` when a column has no form in the format; `Io` when the file cannot be created.
    pub fn create(path: impl Into<PathBuf>, schema: &Schema, first: u64) -> Result<Self> {
        let forms = schema.fields().iter().map(|field| form(field)).collect::<Result<_>>()?;
        Ok(Self { file: ShardFile::create(path.into())?, next: first, forms, scratch: Vec::new() })
    }

    fn add(&mut self, extension: &str, content: &[u8]) -> Result<()> {
        let name = format!("{:09}.{extension}", self.next);
        if content.len() > LARGEST {
            let reason =
                format!("{name} has {} bytes, a file in a tar archive has 8 GiB at most", content.len());
            return Err(KernelError::format("export", reason));
        }
        self.file.append(&header(&name, content.len()))?;
        self.file.append(content)?;
        let padding = content.len().next_multiple_of(BLOCK) - content.len();
        self.file.append(&[0; BLOCK][..padding])
    }
}

impl SampleWriter for WebdatasetWriter {
    fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        let columns = SampleColumn::of_record(rows)?;
        let forms = std::mem::take(&mut self.forms);
        let mut content = std::mem::take(&mut self.scratch);
        for row in 0..rows.num_rows() {
            for (form, column) in forms.iter().zip(&columns) {
                let Form::File(extension) = form else { continue };
                content.clear();
                if let Kind::List(number, _) = column.kind() {
                    let numbers = column.bytes(row);
                    let descr = npy_type(number.name());
                    content.extend_from_slice(&npy::header(&descr, (numbers.len() / number.width()) as u64));
                }
                content.extend_from_slice(column.bytes(row));
                self.add(extension, &content)?;
            }
            content.clear();
            for (form, column) in forms.iter().zip(&columns) {
                let Form::Json(name) = form else { continue };
                content.push(if content.is_empty() { b'{' } else { b',' });
                write_text(&mut content, name);
                content.push(b':');
                column.write_json(row, &mut content);
            }
            if !content.is_empty() {
                content.push(b'}');
                self.add("json", &content)?;
            }
            self.next += 1;
        }
        (self.forms, self.scratch) = (forms, content);
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<SampleShard> {
        self.file.append(&[0; 2 * BLOCK])?;
        self.file.finish().map(Into::into)
    }
}

fn form(field: &Field) -> Result<Form> {
    let name = field.name();
    let safe = !name.is_empty()
        && name.len() <= LONGEST_NAME
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    Ok(match Kind::of(field)? {
        Kind::Text if name == TEXT && !field.is_nullable() => Form::File("txt".to_owned()),
        Kind::List(..) if safe && !field.is_nullable() => Form::File(format!("{name}.npy")),
        _ => Form::Json(name.clone()),
    })
}

/// A type as a header of `.npy` names it.
fn npy_type(name: &str) -> String {
    let bits = name.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let bytes = bits.parse::<u32>().unwrap_or(8) / 8;
    let order = if bytes == 1 { '|' } else { '<' };
    format!("'{order}{}{bytes}'", &name[..1])
}

/// The block before a file: name, mode, owner, size, time, checksum, kind, as octal digits and text.
fn header(name: &str, size: usize) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, text: &[u8]| block[at..at + text.len()].copy_from_slice(text);
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        "); // The checksum is taken with blanks in its place.
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}
