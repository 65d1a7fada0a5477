//! Headers of tar archives: ustar, GNU's long names, and PAX (POSIX.1-2001 `pax`).
//!
//! One header at a time; data and what the members mean are the caller's. The layout is that of POSIX
//! `ustar`, GNU's as in `tar.h` of GNU tar.

/// Headers and data come in blocks of this size.
pub const BLOCK: usize = 512;

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file with data.
    File,
    /// Data that are the name of the member after it.
    LongName,
    /// Data that are PAX records about the member after it.
    Pax,
    /// A file of which only parts are stored.
    Sparse,
    /// Data to step over: links' long names, global records, types that are not known.
    Other,
    /// Folders, links, devices: no data, whatever size is stated.
    Empty,
}

/// A header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The name as stored.
    pub name: Vec<u8>,
    /// Bytes of data after the header.
    pub size: u64,
    /// What follows.
    pub kind: Kind,
}

/// Reads a block; `None` at the end of the archive, which is a block of zeros.
///
/// # Errors
/// The reason, when it is no header.
pub fn header(block: &[u8; BLOCK]) -> Result<Option<Header>, String> {
    if block.iter().all(|&byte| byte == 0) {
        return Ok(None);
    }
    let stored = number(&block[148..156]).ok_or("its checksum is no number")?;
    let bytes =
        block.iter().enumerate().map(|(at, &byte)| if (148..156).contains(&at) { b' ' } else { byte });
    let unsigned: u64 = bytes.clone().map(u64::from).sum();
    // Some old programs add bytes up as signed.
    let signed: i64 = bytes.map(|byte| i64::from(byte.cast_signed())).sum();
    if stored != unsigned && i64::try_from(stored) != Ok(signed) {
        return Err(format!("its checksum is {unsigned}, not {stored} as stored"));
    }
    let size = number(&block[124..136]).ok_or("its size is no number")?;
    let mut name = text(&block[..100]).to_vec();
    let kind = match block[156] {
        b'0' | b'7' => Kind::File,
        // What is a folder by its name is one in old archives.
        0 => {
            if name.ends_with(b"/") {
                Kind::Empty
            } else {
                Kind::File
            }
        }
        b'L' => Kind::LongName,
        b'x' | b'X' => Kind::Pax,
        b'S' => Kind::Sparse,
        b'1'..=b'6' => Kind::Empty,
        _ => Kind::Other,
    };
    let prefix = text(&block[345..500]);
    // GNU has other things where ustar has the prefix.
    if &block[257..263] == b"ustar\0" && !prefix.is_empty() {
        name = [prefix, b"/", &name].concat();
    }
    Ok(Some(Header { name, size, kind }))
}

fn text(field: &[u8]) -> &[u8] {
    &field[..field.iter().position(|&byte| byte == 0).unwrap_or(field.len())]
}

/// Octal digits, or GNU's big-endian numbers, which set the first bit.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] == 0x80 {
        return field[1..]
            .iter()
            .try_fold(0_u64, |sum, &byte| sum.checked_mul(256).map(|sum| sum | u64::from(byte)));
    }
    let digits = text(field).trim_ascii();
    digits.iter().try_fold(0_u64, |sum, &digit| match digit {
        b'0'..=b'7' => sum.checked_mul(8).map(|sum| sum + u64::from(digit - b'0')),
        _ => None,
    })
}

/// What PAX records say of the member after them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PaxRecords {
    /// Its name.
    pub path: Option<Vec<u8>>,
    /// Bytes of its data.
    pub size: Option<u64>,
    /// Whether only parts of it are stored.
    pub sparse: bool,
}

/// Reads PAX records: `LENGTH KEY=VALUE\n`, the length being that of the whole record.
///
/// # Errors
/// The reason, when they are none.
pub fn pax(mut data: &[u8]) -> Result<PaxRecords, String> {
    let mut records = PaxRecords::default();
    let damaged = || "its extended header is damaged".to_owned();
    // Some programs fill the block up with zeros inside the stated size.
    while data.first().is_some_and(|&byte| byte != 0) {
        let space = data.iter().position(|&byte| byte == b' ').ok_or_else(damaged)?;
        let length = std::str::from_utf8(&data[..space]).ok().and_then(|digits| digits.parse().ok());
        let length: usize = length.filter(|&length| length > space + 1).ok_or_else(damaged)?;
        let record =
            data.get(space + 1..length).and_then(|record| record.strip_suffix(b"\n")).ok_or_else(damaged)?;
        let equals = record.iter().position(|&byte| byte == b'=').ok_or_else(damaged)?;
        let (key, value) = (&record[..equals], &record[equals + 1..]);
        match key {
            b"path" => records.path = Some(value.to_vec()),
            b"size" => {
                let size = std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok());
                records.size = Some(size.ok_or_else(damaged)?);
            }
            _ if key.starts_with(b"GNU.sparse.") => records.sparse = true,
            _ => {}
        }
        data = &data[length..];
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::{number, pax};
    use proptest::prelude::*;

    #[test]
    fn numbers_are_octal_or_binary() {
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(b"   12 \0"), Some(10));
        assert_eq!(number(b"\0\0\0\0\0\0\0\0"), Some(0));
        assert_eq!(number(b"0000648\0"), None);
        assert_eq!(number(&[0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1]), Some((2 << 32) + 1));
        assert_eq!(number(&[0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), None);
    }

    proptest! {
        #[test]
        fn pax_records_of_any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = pax(&bytes);
        }

        #[test]
        fn a_path_comes_back(path in "[a-z=\n ]{1,120}") {
            let body = format!(" path={path}\n");
            let length = (1..9).find(|digits| (body.len() + digits).to_string().len() == *digits).unwrap() + body.len();
            let records = pax(format!("{length}{body}").as_bytes()).unwrap();
            prop_assert_eq!(records.path, Some(path.into_bytes()));
        }
    }
}
