//! Lines of a server's outputs, of bounded length: a server that never ends a line costs so much memory
//! and no more.

use std::io;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};

/// What came.
pub(super) enum Line {
    /// A whole line, without its end.
    Whole(Vec<u8>),
    /// The first bytes of a line that is longer than the limit. The next line is its rest.
    Cut(Vec<u8>),
}

/// Lines of at most `bytes_max` bytes.
pub(super) struct Lines<R> {
    from: BufReader<R>,
    bytes_max: usize,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// The lines of `from`.
    pub(super) fn new(from: R, bytes_max: usize) -> Self {
        Self { from: BufReader::new(from), bytes_max }
    }

    /// The next line; `None` at the end. What stands after the last line end is no line: a writer that
    /// died in the middle of a message has said nothing.
    pub(super) async fn next(&mut self) -> io::Result<Option<Line>> {
        let mut line = Vec::new();
        let limit = self.bytes_max as u64 + 1;
        (&mut self.from).take(limit).read_until(b'\n', &mut line).await?;
        if line.last() == Some(&b'\n') {
            line.pop();
            return Ok(Some(Line::Whole(line)));
        }
        Ok((line.len() > self.bytes_max).then_some(Line::Cut(line)))
    }
}

/// The text `json` on one line: a line end between two tokens becomes a space, and the characters that
/// some readers take for a line end become their escapes. A value that is spread over lines would
/// otherwise be several messages to its reader, and each of them the sender's own. What the text means
/// stays the same: JSON has no raw line end inside of a string, and U+0085, U+2028 and U+2029 nowhere
/// else.
pub(super) fn push_on_one_line(line: &mut String, json: &str) {
    for c in json.chars() {
        match c {
            '\n' | '\r' => line.push(' '),
            '\u{85}' => line.push_str("\\u0085"),
            '\u{2028}' => line.push_str("\\u2028"),
            '\u{2029}' => line.push_str("\\u2029"),
            c => line.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_bounded_and_half_a_line_is_none() {
        let mut lines = Lines::new(&b"one\n\ntwo-and-more\nhalf"[..], 5);
        let mut found = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            found.push(match line {
                Line::Whole(line) => format!("whole {}", String::from_utf8(line).unwrap()),
                Line::Cut(line) => format!("cut {}", String::from_utf8(line).unwrap()),
            });
        }
        assert_eq!(found, ["whole one", "whole ", "cut two-an", "cut d-more", "whole "]);
    }

    /// The attack: arguments with a whole request between two line ends inside of them.
    #[test]
    fn a_value_is_one_line_to_every_reader_and_means_the_same() {
        for json in [
            "{\"a\":\n{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\"}\r\n}",
            "{\"a\":\"x\u{2028}{}\u{2029}{}\u{85}{}\"}",
            "{\"a\":\"plain \\n é 漢\"}",
        ] {
            let mut line = String::new();
            push_on_one_line(&mut line, json);
            let ends = ['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'];
            assert!(!line.contains(ends), "{line:?}");
            let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
            assert_eq!(value(&line), value(json));
        }
    }
}
