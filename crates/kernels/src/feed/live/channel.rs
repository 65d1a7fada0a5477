//! Lines of text over a Unix socket, some with a descriptor beside them.
//!
//! A line is JSON and ends with a line feed. A descriptor travels with the first byte of its line
//! (`SCM_RIGHTS`); lines say themselves whether one belongs to them, and descriptors arrive in order.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// Bytes read at a time.
const CHUNK: usize = 16 << 10;

/// Descriptors that one read can bring: one for each line in it, and lines have more bytes than this allows.
const MOST_DESCRIPTORS: usize = 64;

/// Words of the memory for descriptors beside a message: aligned as its header must be.
const CONTROL_WORDS: usize = 8 + MOST_DESCRIPTORS / 2;

/// Sends a line, which must not contain a line feed, and a descriptor with it.
///
/// # Errors
/// `BrokenPipe` when the other side is gone, and whatever else the system says.
pub fn send(socket: BorrowedFd<'_>, line: &str, descriptor: Option<BorrowedFd<'_>>) -> Result<()> {
    let bytes = [line.as_bytes(), b"\n"].concat();
    let mut sent = 0;
    while sent < bytes.len() {
        let beside = descriptor.filter(|_| sent == 0);
        match send_some(socket, &bytes[sent..], beside, 0) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // The socket is without waiting where an event loop reads the other direction.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                poll(socket, libc::POLLOUT, None)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Sends as many of `bytes` as there is room for, without waiting, and says how many those are.
///
/// # Errors
/// As [`send`].
pub fn send_now(socket: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize> {
    let mut sent = 0;
    while sent < bytes.len() {
        match send_some(socket, &bytes[sent..], None, libc::MSG_DONTWAIT) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(sent)
}

fn send_some(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    descriptor: Option<BorrowedFd<'_>>,
    flags: libc::c_int,
) -> Result<usize> {
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut control = [0_u64; 8];
    // SAFETY: all zeroes is a message without parts, address and control data.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    if let Some(descriptor) = descriptor {
        let size = size_of::<libc::c_int>() as libc::c_uint;
        message.msg_control = control.as_mut_ptr().cast();
        // SAFETY: the macros compute sizes and nothing else.
        message.msg_controllen = unsafe { libc::CMSG_SPACE(size) } as _;
        // SAFETY: `control` is aligned for a header, zeroed, and has room for it and one descriptor, so the
        // first header and its data lie in it.
        unsafe {
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(size) as _;
            libc::CMSG_DATA(header).cast::<libc::c_int>().write_unaligned(descriptor.as_raw_fd());
        }
    }
    // SAFETY: the message points to memory that lives until the call is over; the call writes none of it.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, NO_SIGNAL | flags) };
    usize::try_from(sent).map_err(|_| Error::last_os_error())
}

#[cfg(target_os = "linux")]
const NO_SIGNAL: libc::c_int = libc::MSG_NOSIGNAL;
/// Python and Node ignore the signal by themselves.
#[cfg(not(target_os = "linux"))]
const NO_SIGNAL: libc::c_int = 0;

/// Waits until the socket is ready for `events`, or was closed; false when the time is over.
fn poll(socket: BorrowedFd<'_>, events: libc::c_short, patience: Option<Duration>) -> Result<bool> {
    let mut waiting = libc::pollfd { fd: socket.as_raw_fd(), events, revents: 0 };
    let timeout = patience.map_or(-1, |patience| i32::try_from(patience.as_millis()).unwrap_or(i32::MAX));
    loop {
        // SAFETY: the pointer is to one structure that lives until the call is over.
        let ready = unsafe { libc::poll(&raw mut waiting, 1, timeout) };
        if ready >= 0 {
            return Ok(ready > 0);
        }
        let error = Error::last_os_error();
        if error.kind() != ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Puts lines and descriptors together again.
#[derive(Debug, Default)]
pub struct Receiver {
    bytes: Vec<u8>,
    lines: VecDeque<String>,
    descriptors: VecDeque<File>,
}

/// What came of waiting for a line.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// A line, without its line feed.
    Line(String),
    /// The time given has passed.
    Pending,
    /// The other side has closed the socket, or died.
    End,
}

impl Receiver {
    /// The next line, waiting up to `patience` for it; `None` waits for ever.
    ///
    /// # Errors
    /// Whatever the system says; `InvalidData` when a line is no text.
    pub fn line(&mut self, socket: BorrowedFd<'_>, patience: Option<Duration>) -> Result<Received> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Ok(Received::Line(line));
            }
            if !poll(socket, libc::POLLIN, patience)? {
                return Ok(Received::Pending);
            }
            match self.read(socket) {
                Ok(0) => return Ok(Received::End),
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
                // A peer that was killed with bytes unread resets the connection.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(Received::End),
                Err(error) => return Err(error),
            }
        }
    }

    /// The descriptor that came longest ago and was not taken.
    pub fn descriptor(&mut self) -> Option<File> {
        self.descriptors.pop_front()
    }

    fn read(&mut self, socket: BorrowedFd<'_>) -> Result<usize> {
        let mut bytes = [0_u8; CHUNK];
        let mut control = [0_u64; CONTROL_WORDS];
        let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
        // SAFETY: all zeroes is a message without parts, address and control data.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control) as _;
        // SAFETY: the message points to memory of the stated sizes that lives until the call is over.
        let got = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, CLOSE_ON_EXEC) };
        let got = usize::try_from(got).map_err(|_| Error::last_os_error())?;
        // SAFETY: the call has filled in `message`, whose control data is still where it points to.
        unsafe { self.take_descriptors(&message) };
        let mut rest = &bytes[..got];
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            self.bytes.extend_from_slice(&rest[..end]);
            let line = String::from_utf8(std::mem::take(&mut self.bytes));
            self.lines.push_back(line.map_err(|error| Error::new(ErrorKind::InvalidData, error))?);
            rest = &rest[end + 1..];
        }
        self.bytes.extend_from_slice(rest);
        Ok(got)
    }

    /// Takes the descriptors beside a message over.
    ///
    /// # Safety
    /// `message` was filled in by `recvmsg`, and its control data is still there.
    unsafe fn take_descriptors(&mut self, message: &libc::msghdr) {
        // SAFETY: as the caller states; the macros walk the control data within its stated length.
        let mut header = unsafe { libc::CMSG_FIRSTHDR(message) };
        while !header.is_null() {
            // SAFETY: the walk ends with a null before it leaves the control data.
            let (level, kind, length) =
                unsafe { ((*header).cmsg_level, (*header).cmsg_type, (*header).cmsg_len as usize) };
            if level == libc::SOL_SOCKET && kind == libc::SCM_RIGHTS {
                // SAFETY: computes a size.
                let before = unsafe { libc::CMSG_LEN(0) } as usize;
                let size = size_of::<libc::c_int>();
                for at in 0..length.saturating_sub(before) / size {
                    let mut number = [0; size_of::<libc::c_int>()];
                    // SAFETY: the header's length says that so many descriptors follow it.
                    unsafe {
                        let data = libc::CMSG_DATA(header).add(at * size);
                        std::ptr::copy_nonoverlapping(data, number.as_mut_ptr(), size);
                    }
                    // SAFETY: the system has just made the descriptor for this process, so nobody else owns it.
                    let owned = unsafe { OwnedFd::from_raw_fd(libc::c_int::from_ne_bytes(number)) };
                    self.descriptors.push_back(File::from(owned));
                }
            }
            // SAFETY: as for the first header.
            header = unsafe { libc::CMSG_NXTHDR(message, header) };
        }
    }
}

#[cfg(target_os = "linux")]
const CLOSE_ON_EXEC: libc::c_int = libc::MSG_CMSG_CLOEXEC;
#[cfg(not(target_os = "linux"))]
const CLOSE_ON_EXEC: libc::c_int = 0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::live::memory::anonymous;
    use std::io::Read;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn lines_and_descriptors_arrive_in_order_and_then_the_end() {
        let (one, other) = UnixStream::pair().unwrap();
        let mut receiver = Receiver::default();
        let mut next = |patience| {
            receiver.line(other.as_fd(), patience).map(|got| (got, receiver.descriptor())).unwrap()
        };
        assert_eq!(next(Some(Duration::ZERO)).0, Received::Pending);
        let long = "é".repeat(CHUNK);
        let sender = std::thread::spawn(move || {
            for number in 0..200_u8 {
                let memory = anonymous(&[&[number]]).unwrap();
                let line = if number == 7 { long.clone() } else { format!("line {number}") };
                send(one.as_fd(), &line, Some(memory.as_fd())).unwrap();
            }
        });
        for number in 0..200_u8 {
            let (line, memory) = next(None);
            let expected = if number == 7 { "é".repeat(CHUNK) } else { format!("line {number}") };
            assert_eq!(line, Received::Line(expected));
            let mut byte = Vec::new();
            let mut memory = memory.unwrap();
            std::io::Seek::rewind(&mut memory).unwrap();
            memory.read_to_end(&mut byte).unwrap();
            assert_eq!(byte, [number]);
        }
        sender.join().unwrap();
        assert_eq!(next(None).0, Received::End);
        assert_eq!(send(other.as_fd(), "x", None).unwrap_err().kind(), ErrorKind::BrokenPipe);
    }
}
