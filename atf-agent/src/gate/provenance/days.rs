//! Days: `2024-05-01` in a value, and what a text has of it, `May 1st, 2024`, `1st of May`, `2024-05-01`.
//! English alone: a day that is written otherwise is from nowhere.

use std::cell::LazyCell;
use std::collections::HashSet;

use super::sequence::Sequence;
use super::words::words;
use crate::call::{Mark, MarkKey};

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// A text that names another year so near to the day's own means another day.
const YEARS_NEAR: u32 = 20;

/// A day of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Day {
    year: u32,
    month: u32,
    day: u32,
}

impl Day {
    /// The day with which `text` begins, as in RFC 3339; a time may follow.
    pub(super) fn at_the_start(text: &str) -> Option<Self> {
        let (date, rest) = text.split_at_checked(10)?;
        if !(rest.is_empty() || rest.starts_with([' ', 'T', 't'])) {
            return None;
        }
        let mut parts = date.split('-');
        let mut part = |digits: usize| {
            let part = parts.next()?;
            let plain = part.len() == digits && part.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| part.parse().ok()).flatten()
        };
        let day = Self { year: part(4)?, month: part(2)?, day: part(2)? };
        let ends = parts.next().is_none();
        (ends && (1..=12).contains(&day.month) && (1..=31).contains(&day.day)).then_some(day)
    }

    /// Whether a text of `sequence` has it: with its year, or with none.
    pub(super) fn is_in(self, key: &MarkKey, sequence: &Sequence) -> bool {
        let Self { year, month, day } = self;
        if sequence.has(&marks(key, &format!("{year:04}-{month:02}-{day:02}"))) {
            return true;
        }
        let spellings: Vec<_> = self.spellings().iter().map(|text| marks(key, text)).collect();
        let others = LazyCell::new(|| Years::other_than(year, key));
        sequence.after_any(&spellings).any(|after| !others.begin(after))
    }

    /// How it is written without its year.
    fn spellings(self) -> Vec<String> {
        let Some(month) = MONTHS.get(self.month as usize - 1) else {
            return Vec::new();
        };
        let day = self.day;
        let ending = match day {
            1 | 21 | 31 => "st",
            2 | 22 => "nd",
            3 | 23 => "rd",
            _ => "th",
        };
        let mut all = Vec::new();
        for month in [month, &month[..3]] {
            for day in [day.to_string(), format!("{day}{ending}"), format!("{day:02}")] {
                all.push(format!("{month} {day}"));
                all.push(format!("{day} {month}"));
                all.push(format!("{day} of {month}"));
            }
        }
        all
    }
}

/// Years, as one may follow a day.
struct Years {
    between: [Vec<Mark>; 3],
    years: HashSet<Mark>,
}

impl Years {
    /// Those near to `year`, and not this one.
    fn other_than(year: u32, key: &MarkKey) -> Self {
        let near = year.saturating_sub(YEARS_NEAR)..=year + YEARS_NEAR;
        let others = near.filter(|other| *other != year);
        Self {
            between: [" ", ", ", ","].map(|between| marks(key, between)),
            years: others.flat_map(|other| marks(key, &other.to_string())).collect(),
        }
    }

    /// Whether `after` begins with one of them.
    fn begin(&self, after: &[Mark]) -> bool {
        self.between.iter().any(|between| {
            let year = after.strip_prefix(between.as_slice()).and_then(<[Mark]>::first);
            year.is_some_and(|year| self.years.contains(year))
        })
    }
}

fn marks(key: &MarkKey, text: &str) -> Vec<Mark> {
    words(text).map(|word| word.mark(key)).collect()
}
