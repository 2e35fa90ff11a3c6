//! The revisions of MCP that are spoken. Four begin with a handshake; what one of them may carry is
//! what ATF takes of all: their differences lie in parts that ATF does not offer.

/// A revision of MCP that begins with `initialize`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Revision {
    /// 2024-11-05. Its messages come over HTTP+SSE, or as those of the later ones do.
    V20241105,
    /// 2025-03-26. The one with batches, which ATF refuses: one message is one decision, and no
    /// client library sends them.
    V20250326,
    /// 2025-06-18.
    V20250618,
    /// 2025-11-25.
    V20251125,
}

impl Revision {
    /// All, the oldest first.
    pub const ALL: [Self; 4] = [Self::V20241105, Self::V20250326, Self::V20250618, Self::V20251125];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V20241105 => "2024-11-05",
            Self::V20250326 => "2025-03-26",
            Self::V20250618 => "2025-06-18",
            Self::V20251125 => "2025-11-25",
        }
    }

    /// The revision of this spelling.
    pub fn read(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|revision| revision.as_str() == text)
    }

    /// What a client that asks for `asked` is offered: that, or the newest. It may leave then.
    pub fn offered(asked: &str) -> Self {
        Self::read(asked).unwrap_or(Self::V20251125)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_offered_what_it_asks_for_or_the_newest() {
        for (asked, offered) in [
            ("2024-11-05", Revision::V20241105),
            ("2025-03-26", Revision::V20250326),
            ("2025-06-18", Revision::V20250618),
            ("2025-11-25", Revision::V20251125),
            ("2030-01-01", Revision::V20251125),
            ("2026-07-28", Revision::V20251125),
            ("2025-06-18 ", Revision::V20251125),
            ("", Revision::V20251125),
        ] {
            assert_eq!(Revision::offered(asked), offered, "{asked:?}");
        }
        assert_eq!(Revision::ALL.iter().max(), Some(&Revision::offered("the newest")));
    }
}
