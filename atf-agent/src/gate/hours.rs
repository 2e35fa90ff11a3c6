//! The hours of `data.json`: when tools may be called, by the clock of the policy's time zone.

use chrono::{DateTime, Datelike as _, NaiveTime, Timelike as _, Weekday};
use chrono_tz::Tz;
use serde::{Deserialize, Deserializer};

use super::quotas::Tools;
use crate::call::ToolName;

/// Minutes of a day.
const DAY_MINUTES: u32 = 24 * 60;

/// From one minute of the day to another, which is outside; over midnight when it is the earlier one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Hours {
    #[serde(default)]
    pub(super) tools: Tools,
    #[serde(deserialize_with = "minute")]
    from: u32,
    #[serde(deserialize_with = "minute")]
    to: u32,
    /// The days on which they begin; each, where none is named.
    #[serde(default, deserialize_with = "days")]
    days: Option<Vec<Weekday>>,
}

impl Hours {
    fn have(&self, local: DateTime<Tz>) -> bool {
        let (minute, today) = (local.hour() * 60 + local.minute(), local.weekday());
        let began = |day: Weekday| self.days.as_ref().is_none_or(|days| days.contains(&day));
        if self.from < self.to {
            return began(today) && (self.from..self.to).contains(&minute);
        }
        (began(today) && minute >= self.from) || (began(today.pred()) && minute < self.to)
    }
}

/// Whether `tool` may be called at `local`: no hours name it, or one of those that do has begun and not
/// ended. A time that the calendar does not have is within none.
pub(super) fn open(hours: &[Hours], tool: Option<&ToolName>, local: Option<DateTime<Tz>>) -> bool {
    let mut of_the_tool = hours.iter().filter(|hours| hours.tools.have(tool)).peekable();
    of_the_tool.peek().is_none()
        || local.is_some_and(|local| of_the_tool.any(|hours| hours.have(local)))
}

/// `HH:MM`, `00:00` to `24:00`, as minutes of the day.
fn minute<'de, D: Deserializer<'de>>(reader: D) -> Result<u32, D::Error> {
    let text = String::deserialize(reader)?;
    let expected = "expected HH:MM, 00:00 to 24:00";
    let wrong = || serde::de::Error::custom(format!("{text:?} is no time of day; {expected}"));
    if text == "24:00" {
        return Ok(DAY_MINUTES);
    }
    let whole = text.len() == "HH:MM".len();
    let time = NaiveTime::parse_from_str(&text, "%H:%M").ok().filter(|_| whole);
    time.map(|time| time.hour() * 60 + time.minute()).ok_or_else(wrong)
}

fn days<'de, D: Deserializer<'de>>(reader: D) -> Result<Option<Vec<Weekday>>, D::Error> {
    let named: Vec<String> = Vec::deserialize(reader)?;
    let day = |name: &String| {
        let known = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        let at = known.iter().position(|known| known == name);
        let day = at.and_then(|at| u8::try_from(at).ok()).and_then(|at| Weekday::try_from(at).ok());
        let expected = format!("expected one of {}", known.join(", "));
        day.ok_or_else(|| serde::de::Error::custom(format!("{name:?} is no day; {expected}")))
    };
    if named.is_empty() {
        let what = "`days` is empty; name those that the hours are of, or leave it out for each";
        return Err(serde::de::Error::custom(what));
    }
    named.iter().map(day).collect::<Result<_, _>>().map(Some)
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone as _;

    use super::*;

    fn read(hours: &str) -> Result<Vec<Hours>, serde_json::Error> {
        serde_json::from_str(hours)
    }

    /// 2026-03-27 is a Friday; on the 29th Berlin's clocks go from two to three.
    #[test]
    fn a_tool_is_called_within_its_hours() {
        let office = r#"[{"tools":["a"],"from":"08:00","to":"18:00","days":["mon","fri"]}]"#;
        let night = r#"[{"from":"22:00","to":"06:00","days":["fri"]}]"#;
        let split = r#"[{"from":"00:00","to":"06:00"},{"from":"22:00","to":"24:00"}]"#;
        let lost = r#"[{"from":"02:00","to":"03:00"}]"#;
        for (hours, tool, (day, hour, minute), is_open) in [
            (office, "a", (27, 7, 59), false),
            (office, "a", (27, 8, 0), true),
            (office, "a", (27, 17, 59), true),
            (office, "a", (27, 18, 0), false),
            (office, "a", (28, 12, 0), false),
            (office, "b", (28, 3, 0), true),
            (night, "a", (27, 21, 59), false),
            (night, "a", (27, 22, 0), true),
            (night, "a", (28, 5, 59), true),
            (night, "a", (28, 6, 0), false),
            (night, "a", (28, 22, 0), false),
            (night, "a", (27, 1, 0), false),
            (split, "a", (27, 23, 59), true),
            (split, "a", (27, 5, 59), true),
            (split, "a", (27, 12, 0), false),
            (lost, "a", (28, 2, 30), true),
            (lost, "a", (29, 3, 0), false),
            ("[]", "a", (27, 3, 0), true),
        ] {
            let local = Tz::Europe__Berlin.with_ymd_and_hms(2026, 3, day, hour, minute, 0);
            let found = open(&read(hours).unwrap(), Some(&tool.parse().unwrap()), local.single());
            assert_eq!(found, is_open, "{hours} {tool} {local:?}");
        }
        let tool = "a".parse().unwrap();
        assert!(!open(&read(split).unwrap(), Some(&tool), None), "no time is within none");
    }

    #[test]
    fn hours_that_are_not_understood_are_refused() {
        assert!(read(r#"[{"from":"08:00","to":"24:00"}]"#).is_ok(), "the control");
        for bad in [
            r#"[{"from":"8:00","to":"18:00"}]"#,
            r#"[{"from":"08:00","to":"24:01"}]"#,
            r#"[{"from":"08:00","to":"25:00"}]"#,
            r#"[{"from":"08:60","to":"18:00"}]"#,
            r#"[{"from":"08:00:00","to":"18:00"}]"#,
            r#"[{"from":8,"to":18}]"#,
            r#"[{"from":"08:00"}]"#,
            r#"[{"from":"08:00","to":"18:00","days":["Mon"]}]"#,
            r#"[{"from":"08:00","to":"18:00","days":[]}]"#,
            r#"[{"from":"08:00","to":"18:00","tools":[]}]"#,
            r#"[{"from":"08:00","to":"18:00","tool":["a"]}]"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
