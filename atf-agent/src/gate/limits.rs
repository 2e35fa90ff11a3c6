//! The caps of `data.json`: of a call, a run, a task, and for a day of an agent and of a user; where a day
//! begins; and, in `quotas` and `hours`, the caps that are not of money.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeZone as _};
use chrono_tz::Tz;
use serde::{Deserialize, Deserializer};

use super::hours::Hours;
use super::quotas::{CallsCap, InFlightCap, ReadCap, Whose};
use crate::call::{Digest, ToolName};
use crate::identity::Claims;
use crate::state::{Measure, Party, Share};

/// What may be done, how much of it and when.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyLimits {
    /// The rules read it; here it only has to be there and a number.
    per_call_cents: u64,
    pub(super) per_run_cents: u64,
    #[serde(default)]
    per_task_cents: Option<u64>,
    #[serde(default)]
    per_agent_day_cents: Option<u64>,
    #[serde(default)]
    per_user_day_cents: Option<u64>,
    /// Calls that may begin within a span of time.
    #[serde(default)]
    pub(super) calls: Vec<CallsCap>,
    /// Calls that may be under way at once.
    #[serde(default)]
    pub(super) in_flight: Vec<InFlightCap>,
    /// Rows that statements may ask for.
    #[serde(default)]
    pub(super) rows: Vec<ReadCap>,
    /// Bytes of results that are passed on.
    #[serde(default)]
    pub(super) bytes: Vec<ReadCap>,
    /// Outside of these, tools are not called.
    #[serde(default)]
    pub(super) hours: Vec<Hours>,
    /// Where a day begins at midnight: a name of the IANA time zone database.
    #[serde(default = "utc", deserialize_with = "zone")]
    time_zone: Tz,
}

impl PolicyLimits {
    /// Whether they can be kept: each cap names tools that there are, and no two count the same.
    pub(super) fn check(&self, known: &BTreeMap<ToolName, impl Sized>) -> Result<(), String> {
        let tools = [
            self.calls.iter().map(|cap| &cap.tools).collect::<Vec<_>>(),
            self.in_flight.iter().map(|cap| &cap.tools).collect(),
            self.rows.iter().chain(&self.bytes).map(|cap| &cap.tools).collect(),
            self.hours.iter().map(|hours| &hours.tools).collect(),
        ];
        for tool in tools.iter().flatten().flat_map(|tools| tools.named()) {
            if !known.contains_key(tool) {
                return Err(format!("a cap names {tool}, which `tools` does not have"));
            }
        }
        let whose = Whose::NOBODY;
        let mut counted = BTreeSet::new();
        let names = (self.calls.iter().map(|cap| (cap.of, cap.name(whose))))
            .chain(self.in_flight.iter().map(|cap| (cap.of, cap.name(whose))))
            .chain(self.rows.iter().map(|cap| (cap.of, cap.name(Measure::Rows, whose))))
            .chain(self.bytes.iter().map(|cap| (cap.of, cap.name(Measure::Bytes, whose))));
        for (of, name) in names {
            if !counted.insert((of, name)) {
                return Err(format!("two caps of {of} count the same; leave one out"));
            }
        }
        Ok(())
    }

    /// The caps of money that a call with these claims draws on besides its run's.
    pub(super) fn money(&self, claims: &Claims, cents: u64) -> Vec<Share> {
        let whose = Whose::of(claims);
        [
            (Party::Task, self.per_task_cents),
            (Party::Agent, self.per_agent_day_cents),
            (Party::User, self.per_user_day_cents),
        ]
        .into_iter()
        .filter_map(|(party, cap)| {
            let name = Digest::of(whose.name(party).as_bytes());
            cap.map(|cap| Share { party, measure: Measure::Cents, name, cap, amount: cents })
        })
        .collect()
    }

    /// The time in the policy's zone; `None` where the calendar has none.
    pub(super) fn local(&self, now_unix_s: u64) -> Option<DateTime<Tz>> {
        self.time_zone.timestamp_opt(i64::try_from(now_unix_s).ok()?, 0).single()
    }

    /// The day of `now_unix_s` in the policy's time zone, days since the epoch; 0 where there is none.
    pub(super) fn day(&self, now_unix_s: u64) -> u32 {
        let days =
            |local: DateTime<Tz>| (local.date_naive() - chrono::NaiveDate::default()).num_days();
        let days = self.local(now_unix_s).map_or(0, days);
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

    fn limits(more: &str) -> Result<PolicyLimits, serde_json::Error> {
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

    /// A cap that is misspelt is no cap, and nobody would see it.
    #[test]
    fn caps_that_cannot_be_kept_are_refused() {
        let known: BTreeMap<ToolName, ()> = [("a".parse().unwrap(), ())].into();
        let check = |more: &str| {
            limits(more).map_err(|error| error.to_string()).and_then(|l| l.check(&known))
        };
        for good in [
            r#","calls":[{"of":"run","most":0,"per_s":1},{"of":"run","most":9,"per_s":2}]"#,
            r#","calls":[{"of":"run","most":5,"per_s":1},{"of":"user","most":9,"per_s":1}]"#,
            r#","in_flight":[{"of":"agent","tools":["a"],"most":5},{"of":"agent","most":5}]"#,
            r#","rows":[{"of":"task","most":5}],"bytes":[{"of":"task","most":5}]"#,
            r#","hours":[{"tools":["a"],"from":"08:00","to":"09:00"}]"#,
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            r#","calls":[{"of":"run","most":5}]"#,
            r#","calls":[{"of":"run","most":5,"per_s":0}]"#,
            r#","calls":[{"of":"run","most":5,"per_s":86401}]"#,
            r#","calls":[{"of":"run","most":10001,"per_s":1}]"#,
            r#","calls":[{"of":"run","most":-1,"per_s":1}]"#,
            r#","calls":[{"of":"host","most":5,"per_s":1}]"#,
            r#","calls":[{"of":"run","most":5,"per_s":1,"tools":[]}]"#,
            r#","calls":[{"of":"run","most":5,"per_s":1,"tools":["b"]}]"#,
            r#","calls":[{"of":"run","most":5,"per_s":1},{"of":"run","most":6,"per_s":1}]"#,
            r#","in_flight":[{"of":"run","most":5,"per_s":1}]"#,
            r#","in_flight":[{"of":"run","most":5,"tool":["a"]}]"#,
            r#","rows":[{"of":"user","most":5,"tools":["b"]}]"#,
            r#","bytes":[{"of":"user","most":5},{"of":"user","most":5}]"#,
            r#","hours":[{"tools":["b"],"from":"08:00","to":"09:00"}]"#,
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
