//! What a server may tell a run while it works on one of the run's calls.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// One kind of notice, by its method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Notice {
    /// How far it has come.
    #[serde(rename = "notifications/progress")]
    Progress,
    /// What it writes down of its work.
    #[serde(rename = "notifications/message")]
    Log,
    /// How far a deferred call is, while the run waits for its result.
    #[serde(rename = "notifications/tasks/status")]
    Status,
}

/// Several kinds; none by default.
pub type Notices = BTreeSet<Notice>;

/// How grave something is that a server writes down: the levels of RFC 5424, the least grave first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Detail for those who look for a mistake.
    Debug,
    /// What goes on.
    Info,
    /// What is worth knowing.
    Notice,
    /// What may go wrong.
    Warning,
    /// What went wrong.
    Error,
    /// What went wrong and stops a part.
    Critical,
    /// What has to be seen to at once.
    Alert,
    /// What stops everything.
    Emergency,
}

impl Notice {
    /// The method by which it is told.
    pub fn method(self) -> &'static str {
        match self {
            Self::Progress => "notifications/progress",
            Self::Log => "notifications/message",
            Self::Status => "notifications/tasks/status",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_written_as_its_method_and_levels_have_an_order() {
        for notice in [Notice::Progress, Notice::Log, Notice::Status] {
            assert_eq!(serde_json::to_value(notice).unwrap(), notice.method());
        }
        assert!(serde_json::from_str::<Notice>("\"notifications/cancelled\"").is_err());
        assert!(Level::Debug < Level::Info && Level::Alert < Level::Emergency);
    }
}
