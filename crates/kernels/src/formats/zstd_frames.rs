//! Where the frames of a zstd file start, without decompressing it.
//!
//! Frames are independent, so a file of several can be read from the start of each. They are found by
//! walking block headers (RFC 8878, section 3.1.1), or from the seek table that the seekable format keeps
//! in a skippable frame at the end. Anything odd gives `None`: one reader then walks the file and says
//! what is wrong with it.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use crate::error::{KernelError, Result};

const FRAME_MAGIC: u32 = 0xFD2F_B528;
const SKIPPABLE_MAGIC: u32 = 0x184D_2A50;
const SKIPPABLE_HEADER: u64 = 8;
/// Magic number at the very end of a seek table.
const SEEK_TABLE_MAGIC: u32 = 0x8F92_EAB1;
/// Bytes of a seek table's footer: number of frames, descriptor, magic number.
pub const SEEK_TABLE_FOOTER: usize = 9;
/// The longest frame header.
const MAX_HEADER: usize = 18;

/// A frame that holds data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Where it starts in the file.
    pub stored_from: u64,
    /// Decompressed bytes in it.
    pub bytes: u64,
}

/// The frames of a local file. `None` when a frame does not say its size, says more than `most_bytes`, or
/// something is wrong.
///
/// # Errors
/// `Io` when the file cannot be read.
pub fn scan_file(path: &Path, most_bytes: u64) -> Result<Option<Vec<Frame>>> {
    let mut file = File::open(path).map_err(KernelError::io("open", path))?;
    scan(&mut file, most_bytes).map_err(KernelError::io("read", path))
}

fn scan(file: &mut (impl Read + Seek), most_bytes: u64) -> std::io::Result<Option<Vec<Frame>>> {
    let end = file.seek(SeekFrom::End(0))?;
    let mut frames = Vec::new();
    let mut at = 0;
    while at < end {
        let mut head = [0; MAX_HEADER];
        let length = read_at(file, at, &mut head)?;
        let next = match Header::parse(&head[..length]) {
            Some(Header::Skippable { bytes }) => Some(at + SKIPPABLE_HEADER + bytes),
            Some(Header::Frame { bytes: Some(bytes), length, checksum }) if bytes <= most_bytes => {
                frames.push(Frame { stored_from: at, bytes });
                blocks_end(file, at + length, end)?.map(|blocks| blocks + if checksum { 4 } else { 0 })
            }
            _ => None,
        };
        match next {
            Some(next) if next <= end => at = next,
            _ => return Ok(None),
        }
    }
    Ok(Some(frames))
}

/// The end of the blocks that start at `at`.
fn blocks_end(file: &mut (impl Read + Seek), mut at: u64, end: u64) -> std::io::Result<Option<u64>> {
    const RLE: u32 = 1;
    const RESERVED: u32 = 3;
    while at < end {
        let mut header = [0; 4];
        if read_at(file, at, &mut header[..3])? < 3 {
            return Ok(None);
        }
        let header = u32::from_le_bytes(header);
        let (last, kind, size) = (header & 1 == 1, (header >> 1) & 3, header >> 3);
        if kind == RESERVED {
            return Ok(None);
        }
        at += 3 + if kind == RLE { 1 } else { u64::from(size) };
        if last {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

/// Fills `buffer` from `at` on; fewer bytes only at the end of the file.
fn read_at(file: &mut (impl Read + Seek), at: u64, buffer: &mut [u8]) -> std::io::Result<usize> {
    file.seek(SeekFrom::Start(at))?;
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

enum Header {
    Skippable {
        bytes: u64,
    },
    Frame {
        /// Decompressed bytes, if the header says.
        bytes: Option<u64>,
        /// Bytes of the header.
        length: u64,
        checksum: bool,
    },
}

impl Header {
    /// RFC 8878, sections 3.1.1.1 and 3.1.2.
    fn parse(head: &[u8]) -> Option<Self> {
        let magic = little_endian(head.get(..4)?) as u32;
        if magic & !0xF == SKIPPABLE_MAGIC {
            return Some(Self::Skippable { bytes: little_endian(head.get(4..8)?) });
        }
        if magic != FRAME_MAGIC {
            return None;
        }
        let descriptor = *head.get(4)?;
        let single_segment = descriptor & 0b10_0000 != 0;
        let window = usize::from(!single_segment);
        let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
        let size_flag = usize::from(descriptor >> 6);
        let size = if size_flag == 0 { usize::from(single_segment) } else { 1 << size_flag };
        let from = 5 + window + dictionary;
        let field = head.get(from..from + size)?;
        let bytes = match size {
            0 => None,
            2 => Some(little_endian(field) + 256),
            _ => Some(little_endian(field)),
        };
        Some(Self::Frame { bytes, length: (from + size) as u64, checksum: descriptor & 0b100 != 0 })
    }
}

/// Length of the seek table whose footer this is, the frame around it included; `None` when it is none.
#[must_use]
pub fn seek_table_length(footer: &[u8; SEEK_TABLE_FOOTER]) -> Option<u64> {
    let frames = little_endian(&footer[..4]);
    let is_table = little_endian(&footer[5..]) as u32 == SEEK_TABLE_MAGIC;
    is_table.then(|| SKIPPABLE_HEADER + frames * entry_length(footer[4]) + SEEK_TABLE_FOOTER as u64)
}

/// Bytes of an entry: stored and decompressed bytes of a frame, and a checksum if the descriptor says.
fn entry_length(descriptor: u8) -> u64 {
    if descriptor & 0x80 == 0 { 8 } else { 12 }
}

/// The frames that a seek table lists; `table` is the end of a file of `file_bytes`, of the length that
/// [`seek_table_length`] gave. `None` when it does not fit the file.
#[must_use]
pub fn from_seek_table(table: &[u8], file_bytes: u64, most_bytes: u64) -> Option<Vec<Frame>> {
    let footer: &[u8; SEEK_TABLE_FOOTER] = table.last_chunk()?;
    if seek_table_length(footer)? != table.len() as u64 {
        return None;
    }
    let entries = &table[SKIPPABLE_HEADER as usize..table.len() - SEEK_TABLE_FOOTER];
    let mut frames = Vec::new();
    let mut at = 0;
    for entry in entries.chunks_exact(entry_length(footer[4]) as usize) {
        let (stored, bytes) = (little_endian(&entry[..4]), little_endian(&entry[4..8]));
        if bytes > most_bytes {
            return None;
        }
        if bytes > 0 {
            frames.push(Frame { stored_from: at, bytes });
        }
        at += stored;
    }
    (at + table.len() as u64 == file_bytes).then_some(frames)
}

fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, &byte| (value << 8) | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    /// Frames whose headers say their size, some with checksums.
    fn frame(content: &[u8], checksum: bool) -> Vec<u8> {
        let mut compressor = zstd::bulk::Compressor::new(1).unwrap();
        compressor.include_checksum(checksum).unwrap();
        compressor.compress(content).unwrap()
    }

    fn skippable(content: &[u8]) -> Vec<u8> {
        [&(SKIPPABLE_MAGIC + 3).to_le_bytes(), &(content.len() as u32).to_le_bytes(), content].concat()
    }

    proptest! {
        #[test]
        fn each_frame_decompresses_to_its_bytes_from_its_start(
            contents in prop::collection::vec((0_usize..300_000, any::<u8>(), any::<bool>(), any::<bool>()), 1..6)
        ) {
            let mut file = Vec::new();
            for &(length, seed, checksum, skip) in &contents {
                if skip {
                    file.extend(skippable(&[seed; 5]));
                }
                let content: Vec<u8> = (0..length).map(|i| ((i * i) >> 7) as u8 ^ seed).collect();
                file.extend(frame(&content, checksum));
            }
            let frames = scan(&mut Cursor::new(&file), u64::MAX).unwrap().unwrap();
            prop_assert_eq!(frames.len(), contents.len());
            for (frame, (length, ..)) in frames.iter().zip(&contents) {
                prop_assert_eq!(frame.bytes, *length as u64);
                let rest = &file[frame.stored_from as usize..];
                let mut decoder = zstd::Decoder::new(rest).unwrap().single_frame();
                let mut content = Vec::new();
                decoder.read_to_end(&mut content).unwrap();
                prop_assert_eq!(content.len(), *length);
            }
        }

        #[test]
        fn a_cut_or_damaged_file_is_no_panic(flip in any::<u8>(), cut in any::<prop::sample::Index>()) {
            let mut file = [frame(&[1; 1000], true), frame(&[2; 1000], false)].concat();
            let at = cut.index(file.len());
            prop_assert_eq!(scan(&mut Cursor::new(&file[..at.max(1)]), u64::MAX).unwrap().filter(|frames| frames.len() != 1), None);
            file[at] ^= flip;
            let _any = scan(&mut Cursor::new(&file), u64::MAX).unwrap();
        }
    }

    #[test]
    fn a_stream_that_does_not_say_its_size_is_walked() {
        let file = zstd::encode_all(&[7; 1000][..], 1).unwrap();
        assert_eq!(scan(&mut Cursor::new(&file), u64::MAX).unwrap(), None);
    }

    #[test]
    fn a_seek_table_lists_the_frames_unless_it_lies() {
        let frames = [frame(&[1; 500], false), frame(&[2; 700], false)];
        let mut entries = Vec::new();
        for (frame, bytes) in frames.iter().zip([500_u32, 700]) {
            entries.extend([(frame.len() as u32).to_le_bytes(), bytes.to_le_bytes()].concat());
        }
        let table = |magic: u32| {
            let footer = [&2_u32.to_le_bytes()[..], &[0], &magic.to_le_bytes()].concat();
            skippable(&[entries.clone(), footer].concat())
        };
        let stored = frames.concat().len() as u64;
        let good = table(SEEK_TABLE_MAGIC);
        assert_eq!(seek_table_length(good.last_chunk().unwrap()), Some(good.len() as u64));
        let expected =
            [Frame { stored_from: 0, bytes: 500 }, Frame { stored_from: frames[0].len() as u64, bytes: 700 }];
        assert_eq!(from_seek_table(&good, stored + good.len() as u64, 1000).unwrap(), expected);
        assert_eq!(from_seek_table(&good, stored, 1000), None);
        assert_eq!(seek_table_length(table(7).last_chunk().unwrap()), None);
    }
}
