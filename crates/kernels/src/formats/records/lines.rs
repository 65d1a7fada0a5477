//! Lines: where one ends, and whether there is anything on it.

/// Where the first line of `bytes` ends, past its `\n`.
pub fn end(bytes: &[u8]) -> Option<usize> {
    memchr::memchr(b'\n', bytes).map(|at| at + 1)
}

/// The line without its `\n` or `\r\n`.
pub fn trim_end(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").map_or(line, |line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// Whether there is nothing but spaces, tabs and line ends.
pub fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
}
