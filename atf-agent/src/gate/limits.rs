//! The caps of `data.json`: of a call, a run, a task, and for a day of an agent and of a user, and where
//! a day begins.

use chrono::TimeZone as _;
use chrono_tz::Tz;
use serde::{Deserialize, Deserializer};

use crate::call::Digest;
use crate::identity::Claims;
use crate::state::{Party, Share};

/// What may be spent, in cents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SpendingLimits {
    /// The rules read it; here it only has to be there and a number.
    per_call_cents: u64,
    pub(super) per_run_cents: u64,
    #[serde(default)]
    per_task_cents: Option<u64>,
    #[serde(default)]
    per_agent_day_cents: Option<u64>,
    #[serde(default)]
    per_user_day_cents: Option<u64>,
    /// Where a day begins at midnight: a name of the IANA time zone database.
    #[serde(default = "utc", deserialize_with = "zone")]
    time_zone: Tz,
}

impl SpendingLimits {
    /// The caps that a call with these claims draws on besides its run's.
    pub(super) fn shares(&self, claims: &Claims) -> Vec<Share> {
        let (user, task) = (claims.context.parent_user.raw(), claims.context.task_id.raw());
        // A task's id is its user's: nobody spends what another one's task may.
        let task = format!("{} {user} {task}", user.len());
        [
            (Party::Task, task.as_str(), self.per_task_cents),
            (Party::Agent, claims.sub.as_str(), self.per_agent_day_cents),
            (Party::User, user, self.per_user_day_cents),
        ]
        .into_iter()
        .filter_map(|(party, name, cap)| {
            cap.map(|cap| Share { party, name: Digest::of(name.as_bytes()), cap })
        })
        .collect()
    }

    /// The day of `now_unix_s` in the policy's time zone, days since the epoch; 0 where there is none.
    pub(super) fn day(&self, now_unix_s: u64) -> u32 {
        let seconds = i64::try_from(now_unix_s).unwrap_or(i64::MAX);
        let local = self.time_zone.timestamp_opt(seconds, 0).single();
        let days =
            local.map_or(0, |local| (local.date_naive() - chrono::NaiveDate::default()).num_days());
        u32::try_from(days).unwrap_or(0)
    }
}

fn utc() -> Tz {
    Tz::UTC
}

fn zone<'de, D: Deserializer<'de>>(reader: D) -> Result<Tz, D::Error> {
    let name = String::deserialize(reader)?;
    name.parse().map_err(|_| {
        let expected = "expected a name of the IANA database as Europe/Berlin";
        serde::de::Error::custom(format!("time_zone is {name:?}, {expected}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(more: &str) -> Result<SpendingLimits, serde_json::Error> {
        serde_json::from_str(&format!(r#"{{"per_call_cents":5,"per_run_cents":9{more}}}"#))
    }

    #[test]
    fn a_day_begins_at_midnight_of_the_zone() {
        for (zone, now_unix_s, day) in [
            ("UTC", 0, 0),
            ("UTC", 86_399, 0),
            ("UTC", 86_400, 1),
            ("Europe/Berlin", 82_799, 0),
            ("Europe/Berlin", 82_800, 1),
            ("America/New_York", 86_400 + 5 * 3_600 - 1, 0),
            ("America/New_York", 86_400 + 5 * 3_600, 1),
            // In summer Berlin is two hours ahead: 2026-07-01 begins at 22:00.
            ("Europe/Berlin", 1_782_856_799, 20_634),
            ("Europe/Berlin", 1_782_856_800, 20_635),
            ("UTC", u64::MAX, 0),
        ] {
            let limits = limits(&format!(r#","time_zone":"{zone}""#)).unwrap();
            assert_eq!(limits.day(now_unix_s), day, "{zone} {now_unix_s}");
        }
    }

    #[test]
    fn limits_that_are_not_understood_are_refused() {
        assert!(limits("").is_ok(), "the control");
        assert!(
            limits(r#","per_user_day_cents":5,"time_zone":"Asia/Tokyo""#).is_ok(),
            "the control"
        );
        for bad in [
            r#","time_zone":"Mars/Olympus""#,
            r#","time_zone":2"#,
            r#","per_user_day_cents":-1"#,
            r#","per_user_cents":1"#,
            r#","per_task_cents":"1""#,
        ] {
            assert!(limits(bad).is_err(), "{bad}");
        }
    }
}
