//! The suite has fixed names, ATF has the server's in front of each: what a client does that knows so.

use serde_json::Value;

/// The ways in which the fixture stands behind ATF, by its name among the servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Server {
    /// Spoken with without a handshake.
    Stateless,
    /// Spoken with after one.
    Handshake,
    /// Not started, but reached by its URL, without a handshake.
    StatelessByUrl,
    /// The same after one.
    HandshakeByUrl,
}

impl Server {
    /// All of them.
    pub(super) const ALL: [Self; 4] =
        [Self::Stateless, Self::Handshake, Self::StatelessByUrl, Self::HandshakeByUrl];

    /// Whether it is spoken with without a handshake.
    pub(super) fn is_stateless(self) -> bool {
        matches!(self, Self::Stateless | Self::StatelessByUrl)
    }

    /// Whether it is reached by its URL.
    pub(super) fn is_by_url(self) -> bool {
        matches!(self, Self::StatelessByUrl | Self::HandshakeByUrl)
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Stateless => "stateless",
            Self::Handshake => "handshake",
            Self::StatelessByUrl => "stateless_url",
            Self::HandshakeByUrl => "handshake_url",
        }
    }
}

/// A message of the suite with the names that ATF knows. What is no such message stays as it is.
pub(super) fn lengthen(server: Server, body: &[u8]) -> Option<Vec<u8>> {
    let mut message: Value = serde_json::from_slice(body).ok()?;
    let method = message.get("method")?.as_str()?.to_owned();
    let params = message.get_mut("params")?;
    match method.as_str() {
        "tools/call" | "prompts/get" => name(server, params.get_mut("name")?, '.')?,
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => {
            name(server, params.get_mut("uri")?, '+')?;
        }
        "completion/complete" => {
            let of = params.get_mut("ref")?;
            match of.get_mut("name") {
                Some(prompt) => name(server, prompt, '.')?,
                None => name(server, of.get_mut("uri")?, '+')?,
            }
        }
        _ => return None,
    }
    serde_json::to_vec(&message).ok()
}

/// The value of `Mcp-Name` beside a message of `method`.
pub(super) fn header(server: Server, method: &str, value: &str) -> String {
    let server = server.name();
    match method {
        "tools/call" | "prompts/get" => format!("{server}.{value}"),
        "resources/read" => format!("{server}+{value}"),
        _ => value.to_owned(),
    }
}

fn name(server: Server, value: &mut Value, sign: char) -> Option<()> {
    *value = Value::from(format!("{}{sign}{}", server.name(), value.as_str()?));
    Some(())
}

/// What ATF says with the names that the suite knows.
pub(super) fn shorten(server: Server, piece: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(piece);
    let plain = |sign: char| format!("\"{}{sign}", server.name());
    text.replace(&plain('.'), "\"").replace(&plain('+'), "\"").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_lengthened_on_the_way_in_and_shortened_on_the_way_out() {
        let long = |body: &str| {
            lengthen(Server::Stateless, body.as_bytes()).map(|b| String::from_utf8(b).unwrap())
        };
        let body = r#"{"method":"tools/call","params":{"name":"echo"}}"#;
        assert_eq!(
            long(body).as_deref(),
            Some(r#"{"method":"tools/call","params":{"name":"stateless.echo"}}"#)
        );
        let body = r#"{"method":"completion/complete","params":{"ref":{"uri":"a:{b}"}}}"#;
        assert!(long(body).unwrap().contains("stateless+a:{b}"));
        for same in [r#"{"method":"ping"}"#, "[]", "x", r#"{"method":"tools/call","params":{}}"#] {
            assert_eq!(long(same), None, "{same}");
        }
        assert_eq!(
            shorten(Server::Handshake, br#"{"uri":"handshake+a:b","name":"handshake.x"}"#),
            br#"{"uri":"a:b","name":"x"}"#
        );
        assert_eq!(header(Server::Handshake, "resources/read", "a:b"), "handshake+a:b");
    }
}
