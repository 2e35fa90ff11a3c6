//! A stream of events (text/event-stream), read as it comes: bounded in its lines, its events, and in what it
//! says between two messages. What is not UTF-8 is no stream.

/// What may come between two messages: comments and other events that keep a connection open, and fields that
/// nobody reads.
const IDLE_BYTES_MAX: usize = 1 << 20;

/// The type of an event that is a message, said or not.
pub(super) const MESSAGE: &str = "message";

/// Longest name of an event.
const KIND_BYTES_MAX: usize = 64;

/// Longest id of an event that is said again.
const ID_BYTES_MAX: usize = 512;

/// One event with data.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// Its type; `message` when it says none.
    pub(super) kind: String,
    /// Its data, lines joined by line ends.
    pub(super) data: String,
}

/// Why a stream is read no further.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// A line or an event without end.
    #[error("an event of more than {0} bytes")]
    Long(usize),
    /// Nothing, at length.
    #[error("{IDLE_BYTES_MAX} bytes without a message")]
    Idle,
    /// Other bytes.
    #[error("an event that is not UTF-8")]
    NotText,
}

/// The reader of one stream.
pub(super) struct Events {
    bytes_max: usize,
    line: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    kind: String,
    id: Option<String>,
    last: Option<String>,
    retry_ms: Option<u64>,
    says_something: bool,
    idle: usize,
    after_return: bool,
    is_first: bool,
}

impl Events {
    /// A stream whose events have at most `bytes_max` bytes.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            line: Vec::new(),
            data: Vec::new(),
            has_data: false,
            kind: String::new(),
            id: None,
            last: None,
            retry_ms: None,
            says_something: false,
            idle: 0,
            after_return: false,
            is_first: true,
        }
    }

    /// The same stream, from its last whole event on: what was begun is said again.
    pub(super) fn again(&mut self) {
        let (id, last, retry_ms) = (self.last.clone(), self.last.take(), self.retry_ms);
        *self = Self { id, last, retry_ms, ..Self::new(self.bytes_max) };
    }

    /// The id of the last whole event that had one, or of one before it.
    pub(super) fn last(&self) -> Option<&str> {
        self.last.as_deref()
    }

    /// Whether it said more than comments since it began, or began again.
    pub(super) fn says_something(&self) -> bool {
        self.says_something
    }

    /// How long one is to wait before one comes back, in milliseconds.
    pub(super) fn retry_ms(&self) -> Option<u64> {
        self.retry_ms
    }

    /// Takes what came; the events that end in it. What is left over when the stream ends was not said.
    ///
    /// # Errors
    /// When it is to be read no further.
    pub(super) fn take(&mut self, mut bytes: &[u8]) -> Result<Vec<Event>, Fault> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            // A line end is CR, LF, or both.
            if std::mem::take(&mut self.after_return) && bytes[0] == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let end = bytes.iter().position(|b| matches!(b, b'\n' | b'\r'));
            let part = &bytes[..end.unwrap_or(bytes.len())];
            if self.line.len() + part.len() > self.bytes_max {
                return Err(Fault::Long(self.bytes_max));
            }
            self.line.extend_from_slice(part);
            self.idle += part.len() + 1;
            if self.idle > IDLE_BYTES_MAX + self.bytes_max {
                return Err(Fault::Idle);
            }
            let Some(end) = end else { break };
            self.after_return = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            let line = std::mem::take(&mut self.line);
            found.extend(self.line(&line)?);
        }
        Ok(found)
    }

    /// One whole line; the event that it ends.
    fn line(&mut self, line: &[u8]) -> Result<Option<Event>, Fault> {
        let is_first = std::mem::take(&mut self.is_first);
        let line = line.strip_prefix(b"\xef\xbb\xbf").filter(|_| is_first).unwrap_or(line);
        if line.is_empty() {
            return self.end();
        }
        let (field, value) = match line.iter().position(|b| *b == b':') {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &line[..0]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        self.says_something |= matches!(field, b"data" | b"id");
        match field {
            b"data" => {
                if self.data.len() + value.len() + 1 > self.bytes_max {
                    return Err(Fault::Long(self.bytes_max));
                }
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.has_data = true;
                self.data.extend_from_slice(value);
            }
            b"event" => {
                let kind = std::str::from_utf8(value).map_err(|_| Fault::NotText)?;
                if kind.len() > KIND_BYTES_MAX {
                    return Err(Fault::Long(KIND_BYTES_MAX));
                }
                kind.clone_into(&mut self.kind);
            }
            // One that could not be said again is none.
            b"id" if !value.contains(&0) => {
                let is_plain = |id: &&str| id.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
                let text = std::str::from_utf8(value).ok().filter(is_plain);
                let fits = |id: &&str| (1..=ID_BYTES_MAX).contains(&id.len());
                self.id = text.filter(fits).map(str::to_owned);
            }
            b"retry" if value.iter().all(u8::is_ascii_digit) => {
                let text = std::str::from_utf8(value).ok();
                self.retry_ms = text.and_then(|text| text.parse().ok()).or(self.retry_ms);
            }
            // Comments, and what nobody here reads.
            _ => {}
        }
        Ok(None)
    }

    fn end(&mut self) -> Result<Option<Event>, Fault> {
        let kind = std::mem::take(&mut self.kind);
        let has_data = std::mem::take(&mut self.has_data);
        let data = std::mem::take(&mut self.data);
        self.last.clone_from(&self.id);
        // One with empty data is there for its id alone.
        if !has_data || data.is_empty() {
            return Ok(None);
        }
        let data = String::from_utf8(data).map_err(|_| Fault::NotText)?;
        let kind = if kind.is_empty() { MESSAGE.to_owned() } else { kind };
        // Of the others nobody reads more than the first, and nobody else counts them.
        if kind == MESSAGE {
            self.idle = 0;
        }
        Ok(Some(Event { kind, data }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<(String, String)>, Fault> {
        let found = Events::new(64).take(bytes)?;
        Ok(found.into_iter().map(|event| (event.kind, event.data)).collect())
    }

    #[test]
    fn events_are_read_as_the_standard_has_them() {
        for (text, expected) in [
            ("data: a\n\n", vec![("message", "a")]),
            ("data:a\r\n\r\n", vec![("message", "a")]),
            ("data: a\r\r", vec![("message", "a")]),
            ("\u{feff}data: a\n\n", vec![("message", "a")]),
            ("data: a\ndata: b\n\n", vec![("message", "a\nb")]),
            ("data:  a\n\n", vec![("message", " a")]),
            ("event: endpoint\ndata: /m\n\n", vec![("endpoint", "/m")]),
            ("event: x\n\ndata: a\n\n", vec![("message", "a")]),
            (": ping\n\ndata: a\n\n", vec![("message", "a")]),
            ("id: 7\nretry: 10\ndata:\n\n", vec![]),
            ("data\n\n", vec![]),
            ("data: a\n\ndata: b\n\n", vec![("message", "a"), ("message", "b")]),
            // Not ended, not said.
            ("data: a\n", vec![]),
            ("data: a", vec![]),
            ("Data: a\n\n", vec![]),
            (" data: a\n\n", vec![]),
        ] {
            let found = read(text.as_bytes()).unwrap();
            let found: Vec<_> = found.iter().map(|(k, d)| (k.as_str(), d.as_str())).collect();
            assert_eq!(found, expected, "{text:?}");
            // Byte by byte it is the same.
            let mut events = Events::new(64);
            let parts = text.as_bytes().iter().map(|b| events.take(&[*b]).unwrap());
            let parts: Vec<Event> = parts.flatten().collect();
            let parts: Vec<_> = parts.iter().map(|e| (e.kind.as_str(), e.data.as_str())).collect();
            assert_eq!(parts, expected, "{text:?}, byte by byte");
        }
    }

    #[test]
    fn the_last_id_is_that_of_a_whole_event_and_can_be_said_again() {
        let long = format!("data: a\nid: {}\n\n", "x".repeat(513));
        for (text, last, retry_ms) in [
            ("id: 7\nretry: 10\ndata:\n\n", Some("7"), Some(10)),
            ("id: 7\ndata: a\n\ndata: b\n\n", Some("7"), None),
            ("id: 7\ndata: a\n\nid: 8\ndata: b\n", Some("7"), None),
            ("id: 7\n\nid\n\n", None, None),
            ("id: 7\n\nid: \u{e9}\n\n", None, None),
            ("id: 7\n\nid: 8\0\n\n", Some("7"), None),
            ("id: a\tb\n\n", None, None),
            (long.as_str(), None, None),
            ("retry: 1x\nretry: -1\nretry:\n\n", None, None),
            ("retry: 5\nretry: 99999999999999999999999\n\n", None, Some(5)),
        ] {
            let mut events = Events::new(1_024);
            events.take(text.as_bytes()).unwrap();
            assert_eq!((events.last(), events.retry_ms()), (last, retry_ms), "{text:?}");
            // What was begun is forgotten, and the rest stays.
            events.again();
            assert_eq!((events.last(), events.retry_ms()), (last, retry_ms), "{text:?}, again");
            let found = events.take(b"data: c\n\n").unwrap();
            assert_eq!((found.len(), events.last()), (1, last), "{text:?}: {found:?}");
        }
    }

    #[test]
    fn what_has_no_end_or_is_no_text_is_read_no_further() {
        let fits = format!("data: {}\n\n", "x".repeat(58));
        assert_eq!(read(fits.as_bytes()).unwrap().len(), 1, "the control");
        let line = format!("data: {}", "x".repeat(64));
        assert_eq!(read(line.as_bytes()), Err(Fault::Long(64)));
        let event = "data: 0123456789\n".repeat(6);
        assert_eq!(read(event.as_bytes()), Err(Fault::Long(64)));
        assert_eq!(read(&b"x".repeat(65)), Err(Fault::Long(64)));
        assert_eq!(read(b"data: \xff\n\n"), Err(Fault::NotText));
        assert_eq!(read(b"event: \xff\n"), Err(Fault::NotText));

        for nothing in [": keeps open\n\n", "event: x\ndata: y\n\n"] {
            let mut events = Events::new(64);
            let bears = |_: &u32| events.take(nothing.as_bytes()).is_ok();
            let borne = (0..1_000_000).take_while(bears).count();
            assert!((1 << 15..1 << 17).contains(&borne), "{nothing:?}: {borne}");
        }
        let mut events = Events::new(64);
        for _ in 0..200_000 {
            events.take(b": keeps open\n\n").and_then(|_| events.take(b"data: a\n\n")).unwrap();
        }
    }
}
