//! R11: LIMIT and OFFSET are literal numbers within their caps, and the outermost query has one.

use sqlparser::ast::{Expr, LimitClause, Offset, OffsetRows, Query, SetExpr, Value, ValueWithSpan};

use super::agree::position;
use super::query::absent;
use super::refusal::{Rule, SqlRefusal, quote};
use super::walk::Walk;

/// Most digits of a literal, so that it always fits 64 bits.
const DIGITS_MAX: usize = 9;

impl Walk<'_> {
    /// The outermost query's clause: required by the profile, and a fact for the policy.
    pub(super) fn outermost(&mut self, query: &Query) -> Result<(), SqlRefusal> {
        let mut outermost = query;
        // `(SELECT .. LIMIT 10)` is the query in the parentheses.
        while let Query {
            with: None,
            body,
            order_by: None,
            limit_clause: None,
            // Judged at every level, so that none of these can be there.
            fetch: _,
            locks: _,
            for_clause: _,
            settings: _,
            format_clause: _,
            pipe_operators: _,
        } = outermost
            && let SetExpr::Query(inner) = &**body
        {
            outermost = inner;
        }
        let rows = match &outermost.limit_clause {
            None => (None, None),
            Some(clause) => self.limit(clause, self.profile.limit_max)?,
        };
        if rows.0.is_none() && self.profile.limit_required {
            return Err(SqlRefusal::new(
                Rule::R11,
                None,
                "no LIMIT at the outermost query",
                self.limits(),
            ));
        }
        (self.facts.limit, self.facts.offset) = rows;
        self.facts.rows = rows.0;
        Ok(())
    }

    /// A clause below the outermost query: what it keeps reaches nobody but through the outermost one.
    pub(super) fn inner_limit(&self, clause: &LimitClause) -> Result<(), SqlRefusal> {
        self.limit(clause, u64::MAX).map(drop)
    }

    /// A clause of at most so many rows, as (rows, skipped rows).
    fn limit(
        &self,
        clause: &LimitClause,
        rows_max: u64,
    ) -> Result<(Option<u64>, Option<u64>), SqlRefusal> {
        let (limit, offset) = match clause {
            LimitClause::LimitOffset { limit, offset, limit_by } => {
                absent("LIMIT .. BY", limit_by.is_empty())?;
                let offset = offset.as_ref().map(|offset| {
                    let Offset { value, rows } = offset;
                    match rows {
                        OffsetRows::None | OffsetRows::Row | OffsetRows::Rows => value,
                    }
                });
                (limit.as_ref(), offset)
            }
            LimitClause::OffsetCommaLimit { offset, limit } => (Some(limit), Some(offset)),
        };
        let limit = limit.map(|rows| self.rows(rows, "LIMIT", rows_max));
        let offset = offset.map(|rows| self.rows(rows, "OFFSET", self.profile.offset_max));
        Ok((limit.transpose()?, offset.transpose()?))
    }

    fn rows(&self, expr: &Expr, what: &str, max: u64) -> Result<u64, SqlRefusal> {
        let no = |at, found: String| {
            let found = format!("{what} with {found}");
            Err(SqlRefusal::new(Rule::R11, at, found, self.limits()))
        };
        let Expr::Value(ValueWithSpan { value, span }) = expr else {
            // Not printed: printing recurses, and the chain may be long.
            return no(None, "an expression".to_owned());
        };
        let at = position(*span);
        let Value::Number(digits, false) = value else {
            return no(at, quote(&value.to_string()));
        };
        let plain =
            digits.len() <= DIGITS_MAX && digits.bytes().all(|digit| digit.is_ascii_digit());
        match digits.parse() {
            Ok(rows) if plain && rows <= max => Ok(rows),
            _ => no(at, quote(digits)),
        }
    }

    fn limits(&self) -> String {
        let (limit, offset) = (self.profile.limit_max, self.profile.offset_max);
        format!("LIMIT of 0 to {limit} and OFFSET of 0 to {offset}, as plain numbers")
    }
}
