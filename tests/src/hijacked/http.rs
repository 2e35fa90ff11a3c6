//! The least of HTTP/1.1, on a unix socket or over TCP: one request, one answer, one connection.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// The status.
    pub(super) status: u16,
    /// The body.
    pub(super) body: Vec<u8>,
}

/// The gateway's own limit for a call is shorter.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(40);

/// Posts JSON and waits for the answer.
///
/// # Errors
/// When there is no connection, or what comes back is not HTTP.
pub(super) fn post(socket: &Path, headers: &[(&str, &str)], body: &str) -> io::Result<Answer> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    exchange(stream, "atf", headers, body)
}

/// The same over TCP, as a client does that knows a URL alone.
///
/// # Errors
/// As of [`post`].
pub(super) fn post_to(
    address: SocketAddr,
    headers: &[(&str, &str)],
    body: &str,
) -> io::Result<Answer> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    exchange(stream, &address.to_string(), headers, body)
}

fn exchange(
    mut stream: impl Read + Write,
    host: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> io::Result<Answer> {
    let head = head(host, headers, body.len());
    stream.write_all(&[head.as_bytes(), body.as_bytes()].concat())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    parse(&bytes).ok_or_else(|| io::Error::other("the answer is not HTTP"))
}

fn head(host: &str, headers: &[(&str, &str)], length: usize) -> String {
    let mut head = format!(
        "POST /mcp HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
         Content-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\n"
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {length}\r\n\r\n"));
    head
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let chunked = lines.any(|line| line.eq_ignore_ascii_case("transfer-encoding: chunked"));
    let body = &bytes[end + 4..];
    let body = if chunked { joined(body)? } else { body.to_vec() };
    Some(Answer { status, body })
}

/// Joins the chunks (RFC 9112, 7.1).
fn joined(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let line = rest.windows(2).position(|two| two == b"\r\n")?;
        let length = std::str::from_utf8(&rest[..line]).ok()?;
        let length = usize::from_str_radix(length.split(';').next()?.trim(), 16).ok()?;
        if length == 0 {
            return Some(whole);
        }
        whole.extend(rest.get(line + 2..line + 2 + length)?);
        rest = rest.get(line + 2 + length + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_framing_a_body_are_read() {
        let plain = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        let chunked =
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n";
        for bytes in [&plain[..], &chunked[..]] {
            assert_eq!(parse(bytes), Some(Answer { status: 200, body: b"{}".to_vec() }));
        }
        assert_eq!(parse(b"SSH-2.0\r\n\r\n"), None);
    }
}
