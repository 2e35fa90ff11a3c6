//! Where a server is, by the URL in its file. It is read strictly: what two readers could take for two
//! places is no address.

use std::net::IpAddr;

/// Longest URL in bytes.
const URL_BYTES_MAX: usize = 2_048;

/// Whether what goes over the wire is hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::executor) enum Scheme {
    /// TLS.
    Https,
    /// Nothing is hidden.
    Http,
}

/// Who is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::executor) enum Host {
    /// An address.
    Address(IpAddr),
    /// A name, which has to be looked up.
    Name(String),
}

/// A URL, in its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::executor) struct Url {
    /// Its scheme.
    pub(super) scheme: Scheme,
    /// Its host.
    pub(super) host: Host,
    /// Its port, said or not.
    pub(super) port: u16,
    /// Host and port as they stand there: what a request's `Host` says.
    pub(super) authority: String,
    /// Path and query.
    pub(super) path: String,
}

impl Url {
    /// Reads a URL.
    ///
    /// # Errors
    /// When it is not one that is plain.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let bad = |what: &str| Err(format!("url: {what}"));
        // Graphic ASCII alone: no space, no line end, no look-alike.
        if text.len() > URL_BYTES_MAX || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return bad("expected at most 2048 graphic characters of ASCII");
        }
        let (scheme, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (Scheme::Https, rest),
            (_, Some(rest)) => (Scheme::Http, rest),
            (None, None) => return bad("expected https:// or http:// in small letters"),
        };
        if rest.contains(['#', '\\', '@']) {
            return bad(
                "a fragment, a backslash or a user is in it; credentials go by header_files",
            );
        }
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(at);
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let port = match (port, scheme) {
            (None, Scheme::Https) => 443,
            (None, Scheme::Http) => 80,
            (Some(port), _) => match port.parse::<u16>() {
                Ok(number) if number > 0 && number.to_string() == port => number,
                _ => return bad("expected a port from 1 to 65535"),
            },
        };
        let host = read_host(host)?;
        Ok(Self { scheme, host, port, authority: authority.to_owned(), path })
    }

    /// Where a server says that messages go, which has to be itself: `text` is a URL of the same scheme, host
    /// and port, or a path there.
    ///
    /// # Errors
    /// When it is another place.
    pub(super) fn beside(&self, text: &str) -> Result<String, String> {
        let scheme = if self.scheme == Scheme::Https { "https" } else { "http" };
        let whole = match text {
            _ if text.contains("://") && !text.starts_with('/') => text.to_owned(),
            _ if text.starts_with('/') => format!("{scheme}://{}{text}", self.authority),
            _ => {
                let path = self.path.split('?').next().unwrap_or_default();
                let folder = &path[..path.rfind('/').map_or(0, |at| at + 1)];
                format!("{scheme}://{}{folder}{text}", self.authority)
            }
        };
        let found = Self::read(&whole)?;
        let is_here =
            (found.scheme, &found.host, found.port) == (self.scheme, &self.host, self.port);
        match is_here && !found.path.starts_with("//") {
            true => Ok(found.path),
            false => Err(format!("it wants messages sent elsewhere: {text:?}")),
        }
    }
}

fn read_host(text: &str) -> Result<Host, String> {
    let bracketed = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let address = match bracketed {
        Some(inner) => inner.parse().map(IpAddr::V6).ok(),
        None => text.parse().map(IpAddr::V4).ok(),
    };
    if let Some(address) = address {
        return Ok(Host::Address(address));
    }
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    // A last label that begins with a digit is an address in a spelling of its own (127.1, 0x7f.1).
    let is_name = text.len() <= 253
        && text.split('.').all(is_label)
        && last.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
    match is_name {
        true => Ok(Host::Name(text.to_owned())),
        false => Err(format!(
            "url: {text:?} is no host; expected a name in small letters, an IPv4 address, or an IPv6 address in brackets"
        )),
    }
}

/// Whether a name may lead to this address. One that leads to the host itself, to what is near it, or to many
/// is not followed: who answers for a name would choose which of the host's own services is asked.
pub(super) fn may_be_named(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            !(v4.is_loopback()
                || v4.is_unspecified()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
                || v4.octets()[0] == 0)
        }
        IpAddr::V6(v6) => {
            !(v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_unicast_link_local()
                || v6.is_multicast())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_one_place_to_every_reader_or_none() {
        for (text, fine) in [
            ("https://mcp.example.com/mcp", true),
            ("https://mcp.example.com", true),
            ("https://mcp.example.com:8443/a?b=c", true),
            ("http://127.0.0.1:3000/mcp", true),
            ("https://[2001:db8::7]:8443/mcp", true),
            ("HTTPS://mcp.example.com/", false),
            ("ftp://mcp.example.com/", false),
            ("//mcp.example.com/", false),
            ("https://", false),
            ("https:///mcp", false),
            ("https://user:secret@mcp.example.com/", false),
            ("https://mcp.example.com#@evil.example/", false),
            ("https://mcp.example.com\\@evil.example/", false),
            ("https://mcp.example.com/ x", false),
            ("https://mcp.example.com/\r\nx", false),
            ("https://MCP.example.com/", false),
            ("https://mcp..example.com/", false),
            ("https://-mcp.example.com/", false),
            ("https://mcp.example.com./", false),
            ("https://m\u{441}p.example.com/", false),
            ("http://127.1/", false),
            ("http://0x7f.0.0.1/", false),
            ("http://2130706433/", false),
            ("http://127.0.0.01/", false),
            ("https://2001:db8::7/", false),
            ("https://[2001:db8::7%25eth0]/", false),
            ("https://mcp.example.com:0/", false),
            ("https://mcp.example.com:65536/", false),
            ("https://mcp.example.com:+443/", false),
            ("https://mcp.example.com:/", false),
        ] {
            assert_eq!(Url::read(text).is_ok(), fine, "{text}: {:?}", Url::read(text));
        }
        let url = Url::read("https://mcp.example.com?a=b").unwrap();
        assert_eq!((url.port, url.path.as_str()), (443, "/?a=b"));
    }

    /// The attack: a server of 2024-11-05 names another place, and is sent the credentials there.
    #[test]
    fn messages_go_to_the_server_itself() {
        let url = Url::read("https://mcp.example.com/v1/sse?x=y").unwrap();
        for (text, path) in [
            ("/messages?session=1", Some("/messages?session=1")),
            ("messages", Some("/v1/messages")),
            ("https://mcp.example.com/m", Some("/m")),
            ("https://mcp.example.com:443/m", Some("/m")),
            ("http://mcp.example.com/m", None),
            ("https://mcp.example.com:444/m", None),
            ("https://evil.example/m", None),
            ("//evil.example/m", None),
            ("https://mcp.example.com@evil.example/m", None),
            ("/m\r\nHost: evil.example", None),
            ("\\\\evil.example/m", None),
            ("/m#x", None),
        ] {
            assert_eq!(url.beside(text).ok().as_deref(), path, "{text}");
        }
    }

    /// The attack: the answer for a name is the host's own metadata service or daemon.
    #[test]
    fn a_name_leads_to_no_address_of_the_host_itself() {
        for (address, may) in [
            ("203.0.113.7", true),
            ("10.1.2.3", true),
            ("2001:db8::7", true),
            ("fd00::7", true),
            ("127.0.0.1", false),
            ("127.8.8.8", false),
            ("0.0.0.0", false),
            ("0.1.2.3", false),
            ("169.254.169.254", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("::", false),
            ("::1", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:169.254.169.254", false),
            ("fe80::1", false),
            ("ff02::1", false),
        ] {
            assert_eq!(may_be_named(address.parse().unwrap()), may, "{address}");
        }
    }
}
