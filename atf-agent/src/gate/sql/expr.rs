//! R4, R8 and R10 for expressions: each kind of node by name. Kinds that run a function are judged
//! like one (R9).

use sqlparser::ast::{CaseWhen, Expr, Ident, Query, TypedString, ValueWithSpan};

use super::agree::position;
use super::literals::literal;
use super::names;
use super::operators;
use super::profile::Engine;
use super::query::refused;
use super::refusal::{Rule, SqlRefusal};
use super::types;
use super::walk::{Here, Walk};
use super::wildcards::wildcard;

impl<'p> Walk<'p> {
    /// Judges each expression of a list.
    pub(super) fn exprs(&mut self, exprs: &[Expr], here: Here<'_, 'p>) -> Result<(), SqlRefusal> {
        self.cap_list(exprs.len())?;
        exprs.iter().try_for_each(|expr| self.expr(expr, here))
    }

    /// Judges an expression. Chains of operators are left-deep and may be long, so they are walked
    /// in a loop.
    pub(super) fn expr(&mut self, expr: &Expr, here: Here<'_, 'p>) -> Result<(), SqlRefusal> {
        self.enter_node()?;
        let (mut first, mut terms) = (expr, 0);
        while let Expr::BinaryOp { left, op, right } = first {
            operators::between(left, op, right)?;
            self.expr(right, here)?;
            (first, terms) = (left, terms + 1);
            self.enter_term();
        }
        self.node(first, here)?;
        self.leave_terms(terms);
        self.leave_node();
        Ok(())
    }

    #[expect(clippy::too_many_lines, reason = "each kind of node has its line")]
    fn node(&mut self, expr: &Expr, here: Here<'_, 'p>) -> Result<(), SqlRefusal> {
        match expr {
            Expr::Identifier(ident) => self.bare(ident, here),
            Expr::CompoundIdentifier(parts) => self.compound(parts, here),
            Expr::IsFalse(expr)
            | Expr::IsNotFalse(expr)
            | Expr::IsTrue(expr)
            | Expr::IsNotTrue(expr)
            | Expr::IsNull(expr)
            | Expr::IsNotNull(expr)
            | Expr::Nested(expr) => self.expr(expr, here),
            // For SQLite this is a comparison with a column of that name.
            Expr::IsUnknown(_) | Expr::IsNotUnknown(_) if self.engine == Engine::Sqlite => {
                Err(refused("IS UNKNOWN"))
            }
            Expr::IsUnknown(expr) | Expr::IsNotUnknown(expr) => self.expr(expr, here),
            Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => {
                self.expr(left, here)?;
                self.expr(right, here)
            }
            Expr::InList { expr, list, negated: _ } => {
                self.expr(expr, here)?;
                self.exprs(list, here)
            }
            Expr::InSubquery { expr, subquery, negated: _ } => {
                self.expr(expr, here)?;
                self.sub_query(subquery, here)
            }
            Expr::Exists { subquery, negated: _ } => self.sub_query(subquery, here),
            Expr::Subquery(subquery) => self.sub_query(subquery, here),
            Expr::Between { expr, negated: _, low, high } => {
                [expr, low, high].into_iter().try_for_each(|expr| self.expr(expr, here))
            }
            Expr::BinaryOp { left, op, right } => {
                operators::between(left, op, right)?;
                self.expr(left, here)?;
                self.expr(right, here)
            }
            Expr::UnaryOp { op, expr } => {
                operators::unary(*op)?;
                self.expr(expr, here)
            }
            Expr::Like { negated: _, any, expr, pattern, escape_char }
            | Expr::ILike { negated: _, any, expr, pattern, escape_char } => {
                if *any {
                    return Err(refused("LIKE ANY"));
                }
                [Some(expr), Some(pattern), escape_char.as_ref()]
                    .into_iter()
                    .flatten()
                    .try_for_each(|expr| self.expr(expr, here))
            }
            Expr::AnyOp { left, compare_op, right, is_some: _ }
            | Expr::AllOp { left, compare_op, right } => {
                operators::binary(compare_op)?;
                self.expr(left, here)?;
                let Expr::Subquery(query) = &**right else {
                    return Err(refused("ANY or ALL of something else than a query"));
                };
                self.sub_query(query, here)
            }
            Expr::Cast { kind, expr, data_type, format } => {
                types::cast(kind, data_type, format.as_ref())?;
                self.expr(expr, here)
            }
            Expr::Case { case_token: _, end_token: _, operand, conditions, else_result } => {
                self.cap_list(conditions.len())?;
                for expr in operand.iter().chain(else_result) {
                    self.expr(expr, here)?;
                }
                for CaseWhen { condition, result } in conditions {
                    self.expr(condition, here)?;
                    self.expr(result, here)?;
                }
                Ok(())
            }
            Expr::Tuple(_) => Err(refused("a row of several values")),
            Expr::Value(ValueWithSpan { value, span }) => literal(value, position(*span)),
            Expr::TypedString(TypedString {
                data_type,
                value: ValueWithSpan { value, span },
                uses_odbc_syntax,
            }) => {
                if *uses_odbc_syntax {
                    return Err(refused("an ODBC escape"));
                }
                types::typed(data_type, value, self.engine)?;
                literal(value, position(*span))
            }
            Expr::Interval(interval) => types::interval(interval, self.engine),
            Expr::Function(function) => self.function(function, here),
            Expr::Ceil { expr, field } => self.rounded("ceil", expr, field, here),
            Expr::Floor { expr, field } => self.rounded("floor", expr, field, here),
            // For SQLite the IN is of a table.
            Expr::Position { .. } if self.engine == Engine::Sqlite => Err(runs("POSITION .. IN")),
            Expr::Position { expr, r#in } => self.keyword("position", [&**expr, &**r#in], here),
            Expr::Extract { field, syntax: _, expr } => {
                types::date_field(field)?;
                self.keyword("extract", [&**expr], here)
            }
            Expr::Substring { expr, substring_from, substring_for, special: _, shorthand } => {
                let name = if *shorthand { "substr" } else { "substring" };
                let bounds = substring_from.iter().chain(substring_for);
                self.keyword(name, std::iter::once(expr).chain(bounds).map(|e| &**e), here)
            }
            Expr::Trim { trim_where, trim_what, expr, trim_characters } => {
                if self.engine == Engine::Sqlite && (trim_where.is_some() || trim_what.is_some()) {
                    return Err(runs("TRIM with FROM"));
                }
                trim_what.iter().try_for_each(|what| self.expr(what, here))?;
                self.exprs(trim_characters.as_deref().unwrap_or_default(), here)?;
                self.keyword("trim", [&**expr], here)
            }
            Expr::Overlay { .. } => Err(runs("OVERLAY")),
            Expr::Convert { .. } => Err(runs("CONVERT")),
            Expr::AtTimeZone { timestamp, time_zone } if self.engine == Engine::Postgres => {
                self.keyword("timezone", [&**timestamp, &**time_zone], here)
            }
            Expr::AtTimeZone { .. } => Err(runs("AT TIME ZONE")),
            Expr::Collate { .. } => Err(runs("COLLATE")),
            Expr::SimilarTo { .. } => Err(runs("SIMILAR TO")),
            Expr::RLike { .. } => Err(runs("RLIKE or REGEXP")),
            Expr::MatchAgainst { .. } => Err(runs("MATCH .. AGAINST")),
            Expr::IsJson { .. } => Err(runs("IS JSON")),
            Expr::IsNormalized { .. } => Err(runs("IS NORMALIZED")),
            Expr::JsonAccess { .. } => Err(runs("a JSON path")),
            Expr::MemberOf(_) => Err(runs("MEMBER OF")),
            Expr::Lambda(_) => Err(runs("a lambda")),
            Expr::Prefixed { .. } => Err(runs("a prefix in front of a literal")),
            Expr::Wildcard(_) | Expr::QualifiedWildcard(_, _) => Err(wildcard()),
            Expr::CompoundFieldAccess { .. } => Err(refused("a field or element of a value")),
            Expr::InUnnest { .. } => Err(refused("UNNEST")),
            Expr::GroupingSets(_) | Expr::Cube(_) | Expr::Rollup(_) => {
                Err(refused("GROUPING SETS, CUBE or ROLLUP"))
            }
            Expr::Struct { .. }
            | Expr::Named { .. }
            | Expr::Dictionary(_)
            | Expr::Map(_)
            | Expr::Array(_) => Err(refused("a value of several parts")),
            Expr::OuterJoin(_) | Expr::Prior(_) => Err(refused("an Oracle join or hierarchy")),
        }
    }

    pub(super) fn bare(&mut self, ident: &Ident, here: Here<'_, 'p>) -> Result<(), SqlRefusal> {
        for found in here.scope.bare(ident, self.engine)? {
            self.reads(found);
        }
        self.see(ident);
        Ok(())
    }

    fn compound(&mut self, parts: &[Ident], here: Here<'_, 'p>) -> Result<(), SqlRefusal> {
        let [qualifier, column] = parts else {
            return Err(SqlRefusal::new(
                Rule::R6,
                parts.first().and_then(names::place),
                "a column of more than two parts",
                "column, relation.column",
            ));
        };
        names::is_no_text(qualifier)?;
        names::is_no_text(column)?;
        let found = here.scope.qualified(qualifier, column, self.engine)?;
        self.reads(found);
        self.see(qualifier);
        self.see(column);
        Ok(())
    }

    fn sub_query(&mut self, query: &Query, here: Here<'_, 'p>) -> Result<(), SqlRefusal> {
        self.query(query, Some(here.scope), here.ctes).map(drop)
    }
}

/// R9: syntax that runs a function which no profile can list.
fn runs(what: &str) -> SqlRefusal {
    SqlRefusal::new(Rule::R9, None, what, "listed functions")
}
