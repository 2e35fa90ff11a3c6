//! The kinds of calls, and how often each is drawn.

/// One kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Kind {
    Socket,
    Pair,
    Bind,
    Listen,
    Connect,
    Accept,
    Send,
    SendTo,
    Pass,
    Receive,
    Option,
    Shutdown,
    Dup,
    Close,
    Fork,
    IoUring,
}

impl Kind {
    /// All of them, in the order of their numbers.
    pub(super) const ALL: [Self; 16] = [
        Self::Socket,
        Self::Pair,
        Self::Bind,
        Self::Listen,
        Self::Connect,
        Self::Accept,
        Self::Send,
        Self::SendTo,
        Self::Pass,
        Self::Receive,
        Self::Option,
        Self::Shutdown,
        Self::Dup,
        Self::Close,
        Self::Fork,
        Self::IoUring,
    ];

    /// Its name in reports.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Socket => "socket",
            Self::Pair => "socketpair",
            Self::Bind => "bind",
            Self::Listen => "listen",
            Self::Connect => "connect",
            Self::Accept => "accept",
            Self::Send => "send",
            Self::SendTo => "sendto",
            Self::Pass => "pass",
            Self::Receive => "receive",
            Self::Option => "setsockopt",
            Self::Shutdown => "shutdown",
            Self::Dup => "dup",
            Self::Close => "close",
            Self::Fork => "fork",
            Self::IoUring => "io_uring",
        }
    }

    /// How often it is drawn, beside the others: a process costs a hundred other calls.
    pub(super) fn weight(self) -> u64 {
        match self {
            Self::Socket => 200,
            Self::Connect | Self::SendTo => 150,
            Self::Send | Self::Bind => 80,
            Self::Option | Self::Pass | Self::Receive => 60,
            Self::Pair | Self::Listen | Self::Accept | Self::Dup => 40,
            Self::Shutdown | Self::Close => 20,
            Self::IoUring => 10,
            Self::Fork => 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_place_in_the_list() {
        for (place, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place, "{}", kind.name());
        }
    }
}
