//! One frame: a version byte, a byte that says whether more follows, two zero bytes, the length, the
//! sender's number, and the JSON.

use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The version of the messages; a peer of another version is refused, never guessed at.
pub const VERSION: u8 = 4;

/// Longest message in bytes. A call's arguments are at most 1 MiB, and JSON escapes can make a
/// quoted copy of them six times as long.
pub const FRAME_BYTES_MAX: usize = 8 << 20;

/// Bytes before the JSON.
pub(super) const HEADER_BYTES: usize = 16;

/// What the second byte says of a frame after which more of this number follow.
const MORE: u8 = 1;

/// What is read of one number.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<T> {
    /// The whole message.
    Whole(u64, T),
    /// A frame without a message, after which more follow: the request waits for its turn.
    Waits(u64),
}

/// What a frame says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Bytes of its JSON.
    pub(super) length: usize,
    /// The sender's number.
    pub(super) number: u64,
    /// Whether more of this number follow: it is no answer yet.
    pub(super) more: bool,
}

impl Header {
    /// Whether it is the frame without a message that says that the request waits for its turn.
    pub(super) fn waits(&self) -> bool {
        self.more && self.length == 0
    }
}

/// What is wrong with a frame, or with the connection that carries it.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The socket failed or closed.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// Another version, or not a frame at all.
    #[error(
        "expected a frame of version {VERSION}, found the bytes {found:02x?}; are both processes of one release?"
    )]
    Version {
        /// The first four bytes.
        found: [u8; 4],
    },
    /// A length past the limit.
    #[error("a message of {found} bytes is longer than the {FRAME_BYTES_MAX} allowed")]
    Length {
        /// The length that the header states.
        found: usize,
    },
    /// Not the JSON of the expected message.
    #[error("the message is not understood: {0}")]
    Json(#[from] serde_json::Error),
    /// An answer to another request.
    #[error("expected the answer to request {expected}, found the answer to {found}")]
    Number {
        /// The number that was sent.
        expected: u64,
        /// The number that came back.
        found: u64,
    },
    /// A part of an answer, to one who takes it whole.
    #[error("expected a whole message, found one after which more of number {number} follow")]
    Part {
        /// Its number.
        number: u64,
    },
}

/// The whole frame of `message`, ready to be written.
///
/// # Errors
/// [`FrameError::Length`] when the message is longer than [`FRAME_BYTES_MAX`].
pub(super) fn encode(number: u64, message: &impl Serialize) -> Result<Vec<u8>, FrameError> {
    encoded(number, message, 0)
}

/// The same of a message after which more of this number follow.
///
/// # Errors
/// As [`encode`].
pub(super) fn encode_part(number: u64, message: &impl Serialize) -> Result<Vec<u8>, FrameError> {
    encoded(number, message, MORE)
}

fn encoded(number: u64, message: &impl Serialize, more: u8) -> Result<Vec<u8>, FrameError> {
    let mut frame = vec![0; HEADER_BYTES];
    serde_json::to_writer(&mut frame, message)?;
    let found = frame.len() - HEADER_BYTES;
    if found > FRAME_BYTES_MAX {
        return Err(FrameError::Length { found });
    }
    let length = u32::try_from(found).map_err(|_| FrameError::Length { found })?;
    frame[0] = VERSION;
    frame[1] = more;
    frame[4..8].copy_from_slice(&length.to_le_bytes());
    frame[8..16].copy_from_slice(&number.to_le_bytes());
    Ok(frame)
}

/// The frame that says that request `number` waits for its turn.
pub(super) fn waits(number: u64) -> [u8; HEADER_BYTES] {
    let mut frame = [0; HEADER_BYTES];
    (frame[0], frame[1]) = (VERSION, MORE);
    frame[8..].copy_from_slice(&number.to_le_bytes());
    frame
}

/// What a header states.
///
/// # Errors
/// [`FrameError::Version`] and [`FrameError::Length`].
pub(super) fn decode_header(header: [u8; HEADER_BYTES]) -> Result<Header, FrameError> {
    let [v, more, z1, z2, l0, l1, l2, l3, n @ ..] = header;
    if [v, z1, z2] != [VERSION, 0, 0] || more > MORE {
        return Err(FrameError::Version { found: [v, more, z1, z2] });
    }
    let found = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    if found > FRAME_BYTES_MAX {
        return Err(FrameError::Length { found });
    }
    Ok(Header { length: found, number: u64::from_le_bytes(n), more: more == MORE })
}

/// Whether `bytes` begin with a whole frame, or with what is none and need not be waited for.
pub(super) fn is_whole(bytes: &[u8]) -> bool {
    let Some((header, body)) = bytes.split_first_chunk() else {
        return false;
    };
    decode_header(*header).map_or(true, |header| body.len() >= header.length)
}

/// Writes one message.
pub(super) fn write(
    to: &mut impl Write,
    number: u64,
    message: &impl Serialize,
) -> Result<(), FrameError> {
    to.write_all(&encode(number, message)?)?;
    Ok(())
}

/// Reads one message, a whole one; `None` when the peer closed the connection between two messages.
pub(super) fn read<T: DeserializeOwned>(
    from: &mut impl Read,
) -> Result<Option<(u64, T)>, FrameError> {
    match next(from)? {
        None => Ok(None),
        Some(Next::Whole(number, message)) => Ok(Some((number, message))),
        Some(Next::Waits(number)) => Err(FrameError::Part { number }),
    }
}

/// Reads one message, or that it has to be waited for; `None` as [`read`].
pub(super) fn next<T: DeserializeOwned>(
    from: &mut impl Read,
) -> Result<Option<Next<T>>, FrameError> {
    let mut header = [0; HEADER_BYTES];
    match from.read(&mut header)? {
        0 => return Ok(None),
        found => from.read_exact(&mut header[found..])?,
    }
    match decode_header(header)? {
        header if header.waits() => Ok(Some(Next::Waits(header.number))),
        Header { number, more: true, .. } => Err(FrameError::Part { number }),
        Header { length, number, more: false } => {
            let mut body = vec![0; length];
            from.read_exact(&mut body)?;
            Ok(Some(Next::Whole(number, serde_json::from_slice(&body)?)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_reads_back_and_a_broken_one_is_refused() {
        let mut wire = Vec::new();
        write(&mut wire, 7, &"hello").unwrap();
        let read_back: Option<(u64, String)> = read(&mut wire.as_slice()).unwrap();
        assert_eq!(read_back, Some((7, "hello".to_owned())));

        let cut = &wire[..wire.len() - 1];
        assert!(matches!(read::<String>(&mut &*cut), Err(FrameError::Io(_))));
        let mut other = wire.clone();
        other[0] = VERSION + 1;
        assert!(matches!(read::<String>(&mut other.as_slice()), Err(FrameError::Version { .. })));
        let mut part = Vec::new();
        part.extend(encode_part(7, &"hello").unwrap());
        assert!(matches!(
            read::<String>(&mut part.as_slice()),
            Err(FrameError::Part { number: 7 })
        ));
        for (byte, value) in [(1, MORE + 1), (2, 1), (3, 1)] {
            let mut other = wire.clone();
            other[byte] = value;
            let found = read::<String>(&mut other.as_slice());
            assert!(matches!(found, Err(FrameError::Version { .. })), "{byte}");
        }
        let mut huge = wire.clone();
        huge[7] = 0xff;
        assert!(matches!(read::<String>(&mut huge.as_slice()), Err(FrameError::Length { .. })));
        assert!(read::<String>(&mut io::empty()).unwrap().is_none());
    }
}
