//! The one check of all rows: the first text is refused by the rule, and its sibling, which differs
//! in the point at issue alone, passes. So no denial can be right for another reason.

use super::super::{Dialect, Rule};
use super::{ALL, judge};

/// A refused text and its sibling that passes.
pub(super) type Row = (&'static [Dialect], Rule, &'static str, &'static str);

pub(super) const ANY: &[Dialect] = &ALL;
pub(super) const POSTGRES: &[Dialect] = &[Dialect::Postgres];
pub(super) const MYSQL: &[Dialect] = &[Dialect::Mysql];
pub(super) const SQLITE: &[Dialect] = &[Dialect::Sqlite];
pub(super) const GENERIC: &[Dialect] = &[Dialect::Generic];

pub(super) fn check(rows: &[Row]) {
    for (dialects, rule, refused, sibling) in rows {
        for dialect in *dialects {
            match judge(*dialect, refused) {
                Ok(facts) => panic!("{dialect:?} allows {refused}\nwith {facts:?}"),
                Err(refusal) => assert_eq!(
                    refusal.rule, *rule,
                    "{dialect:?} refuses {refused}\nfor another reason: {refusal} {:?}",
                    refusal.detail
                ),
            }
            if let Err(refusal) = judge(*dialect, sibling) {
                panic!("{dialect:?} refuses {sibling}\n{refusal} {:?}", refusal.detail);
            }
        }
    }
}
