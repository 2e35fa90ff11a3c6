//! Settings of the cage.

use serde::{Deserialize, Serialize};

/// The cage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The agents' cgroup, relative to the mount of cgroup2 (found in `/proc/self/mountinfo`).
    pub cgroup: String,
    /// The lowest posture under which `atf enforcer up` and `atf run` work.
    pub posture: super::Posture,
    /// What the kernel programs do with what they deny: refuse it, or only record it. `atf doctor`,
    /// `atf enforcer`, `atf run`, `atf runs` and the log say when it is the latter.
    pub mode: super::Mode,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cgroup: "atf/agents".to_owned(),
            posture: super::Posture::Full,
            mode: super::Mode::Enforce,
        }
    }
}
