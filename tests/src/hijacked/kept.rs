//! A connection to an MCP endpoint that is kept, for many calls one after the other: to a run's own socket, or
//! to a URL of loopback, where whoever is measured beside ATF listens.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, ensure};

use super::http::{ANSWER_MAX, Answer};

/// Where an MCP endpoint is.
#[derive(Debug, Clone)]
pub(super) enum Endpoint {
    /// At `/mcp` of a unix socket.
    Socket(PathBuf),
    /// Elsewhere.
    Url(Url),
}

/// `http://ADDRESS:PORT/PATH`, with an address of loopback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    address: SocketAddr,
    path: String,
}

impl FromStr for Url {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let rest = text.strip_prefix("http://").context("expected http://ADDRESS:PORT/PATH")?;
        let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
        let address: SocketAddr = address.parse().context("expected an IP address with a port")?;
        ensure!(address.ip().is_loopback(), "{address} is no address of loopback");
        Ok(Self { address, path: format!("/{path}") })
    }
}

/// A connection, and what stands in each request on it.
pub(super) struct Kept {
    stream: BufReader<Box<dyn Both>>,
    host: String,
    path: String,
    /// The session that the other end has begun.
    session: Option<String>,
}

/// What is read and written.
trait Both: Read + Write {}

impl<T: Read + Write> Both for T {}

/// What the head of an answer says.
#[derive(Default)]
struct Head {
    status: Option<u16>,
    length: Option<usize>,
    is_chunked: bool,
    is_stream: bool,
    session: Option<String>,
}

impl Kept {
    /// Connects.
    pub(super) fn open(endpoint: &Endpoint) -> io::Result<Self> {
        match endpoint {
            Endpoint::Socket(socket) => Self::at(socket),
            Endpoint::Url(url) => {
                let stream = TcpStream::connect(url.address)?;
                stream.set_read_timeout(Some(ANSWER_MAX))?;
                stream.set_nodelay(true)?;
                Ok(Self::of(stream, url.address.to_string(), url.path.clone()))
            }
        }
    }

    /// Connects to a run's socket.
    pub(super) fn at(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        Ok(Self::of(stream, "atf".to_owned(), "/mcp".to_owned()))
    }

    fn of(stream: impl Read + Write + 'static, host: String, path: String) -> Self {
        Self { stream: BufReader::new(Box::new(stream)), host, path, session: None }
    }

    /// Posts JSON and waits for the answer; of a stream, that is its last event.
    pub(super) fn post(&mut self, headers: &[(&str, &str)], body: &str) -> io::Result<Answer> {
        let mut message = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nConnection: keep-alive\r\n\
             Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n",
            self.path, self.host
        );
        let session = self.session.as_deref().map(|session| ("Mcp-Session-Id", session));
        for (name, value) in headers.iter().copied().chain(session) {
            message.push_str(&format!("{name}: {value}\r\n"));
        }
        message.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        self.stream.get_mut().write_all(message.as_bytes())?;
        let head = self.head()?;
        let body = match (head.is_chunked, head.length) {
            (true, _) => self.chunks()?,
            (false, Some(length)) => self.exactly(length)?,
            (false, None) => return Err(io::Error::other("the answer has no length")),
        };
        self.session = head.session.or(self.session.take());
        let status = head.status.ok_or_else(|| io::Error::other("the answer has no status"))?;
        let body = if head.is_stream { last_event(&body) } else { body };
        Ok(Answer { status, body })
    }

    fn head(&mut self) -> io::Result<Head> {
        let mut head = Head::default();
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end();
            if line.is_empty() {
                return Ok(head);
            }
            let Some((name, value)) = line.split_once(':') else {
                head.status = line.strip_prefix("HTTP/1.1 ").and_then(|s| s.get(..3)?.parse().ok());
                continue;
            };
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => head.length = value.parse().ok(),
                "transfer-encoding" => head.is_chunked = value.eq_ignore_ascii_case("chunked"),
                "content-type" => head.is_stream = value.starts_with("text/event-stream"),
                "mcp-session-id" => head.session = Some(value.to_owned()),
                _ => {}
            }
        }
    }

    fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(body)
    }

    /// The chunks of a body (RFC 9112, 7.1), joined.
    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut whole = Vec::new();
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line)?;
            let length = line.split(';').next().unwrap_or_default().trim();
            let length = usize::from_str_radix(length, 16).map_err(io::Error::other)?;
            whole.extend(self.exactly(length)?);
            self.exactly(2)?;
            if length == 0 {
                return Ok(whole);
            }
        }
    }
}

/// The data of the last event of a stream.
fn last_event(stream: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(stream);
    let mut data = text.lines().filter_map(|line| line.strip_prefix("data:"));
    data.rfind(|data| !data.trim().is_empty()).unwrap_or_default().trim().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_of_loopback_or_none() {
        let url: Url = "http://127.0.0.1:80/a/b".parse().unwrap();
        assert_eq!((url.address.port(), url.path.as_str()), (80, "/a/b"));
        assert!("http://[::1]:80".parse::<Url>().is_ok());
        for bad in ["http://192.0.2.1:80/", "http://localhost:80/", "https://127.0.0.1:1/", "x"] {
            assert!(bad.parse::<Url>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_answer_is_read_by_its_length_by_its_chunks_and_as_a_stream() {
        let mut sessions = Vec::new();
        for (answer, expected) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nMcp-Session-Id: s\r\n\r\n{}", "{}"),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
                "{}",
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 28\r\n\r\n\
                 data: 1\n\nid: 7\ndata: {\"a\":1}\n\n",
                "{\"a\":1}",
            ),
        ] {
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            theirs.write_all(answer.as_bytes()).unwrap();
            let mut kept = Kept::of(ours, "h".to_owned(), "/".to_owned());
            let answer = kept.post(&[], "").unwrap();
            assert_eq!((answer.status, answer.body.as_slice()), (200, expected.as_bytes()));
            sessions.push(kept.session.is_some());
        }
        assert_eq!(sessions, [true, false, false]);
    }
}
