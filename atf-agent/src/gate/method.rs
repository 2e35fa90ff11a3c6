//! What a message may ask for: an exact list for each era. Whatever is not in it is refused, with an id
//! or without.

use super::era::Era;

/// The methods that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `initialize`.
    Initialize,
    /// `server/discover`.
    Discover,
    /// `ping`.
    Ping,
    /// `tools/list`.
    ToolsList,
    /// `tools/call`.
    ToolsCall,
}

impl Method {
    /// What a request of `era` may ask for.
    fn all(era: Era) -> &'static [Self] {
        match era {
            Era::Handshake => &[Self::Initialize, Self::Ping, Self::ToolsList, Self::ToolsCall],
            Era::Stateless => &[Self::Discover, Self::ToolsList, Self::ToolsCall],
        }
    }

    /// As it is written in a message.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initialize => "initialize",
            Self::Discover => "server/discover",
            Self::Ping => "ping",
            Self::ToolsList => "tools/list",
            Self::ToolsCall => "tools/call",
        }
    }

    pub(super) fn read(text: &str, era: Era) -> Option<Self> {
        Self::all(era).iter().copied().find(|method| method.as_str() == text)
    }
}

/// The notifications that are known. None has an effect on a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notification {
    /// `notifications/initialized`.
    Initialized,
    /// `notifications/cancelled`.
    Cancelled,
    /// `notifications/progress`: of a request that nobody made; honest clients send it.
    Progress,
    /// `notifications/roots/list_changed`: ATF asks for no roots; honest clients send it.
    RootsListChanged,
}

impl Notification {
    /// What a notification of `era` may tell.
    fn all(era: Era) -> &'static [Self] {
        match era {
            Era::Handshake => {
                &[Self::Initialized, Self::Cancelled, Self::Progress, Self::RootsListChanged]
            }
            Era::Stateless => &[Self::Cancelled],
        }
    }

    /// The method's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initialized => "notifications/initialized",
            Self::Cancelled => "notifications/cancelled",
            Self::Progress => "notifications/progress",
            Self::RootsListChanged => "notifications/roots/list_changed",
        }
    }

    pub(super) fn read(text: &str, era: Era) -> Option<Self> {
        Self::all(era).iter().copied().find(|known| known.as_str() == text)
    }
}
