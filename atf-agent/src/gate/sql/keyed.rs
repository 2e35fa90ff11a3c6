//! The WHERE of a write: which rows it is of. It is a list of plain conditions joined by AND, and among
//! them the whole key, each of its columns equal to a literal or in a list of literals. Nothing else of
//! the language may stand there, so that no engine's precedence, coercion or NULL makes it more rows.

use std::collections::BTreeMap;

use sqlparser::ast::{BinaryOperator, Expr, Ident, Value, ValueWithSpan};

use super::agree::position;
use super::grants::KeyKind;
use super::literals::literal;
use super::names;
use super::refusal::{Rule, SqlRefusal, quote};
use super::scope::pick;
use super::walk::{Here, Walk};

/// Most digits of a key, so that no engine makes a floating-point number of it.
const DIGITS_MAX: usize = 18;

impl<'p> Walk<'p> {
    /// Judges the WHERE of a write: the most rows that it can be of.
    pub(super) fn keyed(
        &mut self,
        selection: Option<&Expr>,
        table: &str,
        key: &BTreeMap<String, KeyKind>,
        here: Here<'_, 'p>,
    ) -> Result<u64, SqlRefusal> {
        let lacks = |column: &str| {
            let found = format!("a write without {column} = .. in its WHERE");
            SqlRefusal::new(Rule::R16, None, found, allowed(key))
        };
        // The rows that each column of the key lets through, so far.
        let mut named: BTreeMap<&str, u64> = BTreeMap::new();
        let mut rest = selection.map(|condition| vec![condition]).unwrap_or_default();
        let mut terms = 0;
        while let Some(condition) = rest.pop() {
            match condition {
                Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                    self.enter_term();
                    terms += 1;
                    rest.extend([&**right, &**left]);
                }
                Expr::Nested(inner) => {
                    self.enter_term();
                    terms += 1;
                    rest.push(inner);
                }
                condition => {
                    if let Some((column, rows)) = self.condition(condition, key, here)? {
                        self.facts.columns.insert(format!("{table}.{column}"));
                        let named = named.entry(column).or_insert(u64::MAX);
                        *named = rows.map_or(*named, |rows| rows.min(*named));
                    }
                }
            }
        }
        self.leave_terms(terms);
        let mut rows: u64 = 1;
        for column in key.keys() {
            let of_the_column = named.get(column.as_str()).filter(|rows| **rows != u64::MAX);
            rows = rows.saturating_mul(*of_the_column.ok_or_else(|| lacks(column))?);
        }
        Ok(rows)
    }

    /// `column = literal`, and the like: the column of the key that it is of, if any, and how many
    /// values of it pass, where they are listed.
    fn condition<'g>(
        &mut self,
        condition: &Expr,
        key: &'g BTreeMap<String, KeyKind>,
        here: Here<'_, 'p>,
    ) -> Result<Option<(&'g str, Option<u64>)>, SqlRefusal> {
        let plain = || SqlRefusal::new(Rule::R16, None, "another condition", allowed(key));
        let (ident, literals, names_rows) = match condition {
            Expr::BinaryOp { left, op, right } => {
                let names_rows = match op {
                    BinaryOperator::Eq => true,
                    BinaryOperator::NotEq
                    | BinaryOperator::Lt
                    | BinaryOperator::LtEq
                    | BinaryOperator::Gt
                    | BinaryOperator::GtEq => false,
                    _ => return Err(plain()),
                };
                (ident(left).ok_or_else(plain)?, std::slice::from_ref(&**right), names_rows)
            }
            Expr::InList { expr, list, negated } => {
                self.cap_list(list.len())?;
                (ident(expr).ok_or_else(plain)?, list.as_slice(), !negated)
            }
            Expr::IsNull(expr) | Expr::IsNotNull(expr) => {
                (ident(expr).ok_or_else(plain)?, [].as_slice(), false)
            }
            _ => return Err(plain()),
        };
        names::is_no_call(ident)?;
        let engine = self.engine;
        let spelt = names::key(ident, engine);
        let Some(column) = pick(ident, &spelt, key.keys().map(String::as_str), engine)? else {
            for expr in literals {
                plain_literal(expr).ok_or_else(plain)?;
            }
            // One that may be read: whether a write finds its row tells what stands there.
            return self.bare(ident, here).map(|()| None);
        };
        self.see(ident);
        let kind = key[column];
        literals.iter().try_for_each(|expr| of_kind(expr, kind, ident))?;
        Ok(Some((column, names_rows.then_some(literals.len() as u64))))
    }
}

fn ident(expr: &Expr) -> Option<&Ident> {
    if let Expr::Identifier(ident) = expr { Some(ident) } else { None }
}

/// A literal that every engine reads alike; a number may have a sign.
fn plain_literal(expr: &Expr) -> Option<()> {
    match expr {
        Expr::Value(ValueWithSpan { value, span }) => literal(value, position(*span)).ok(),
        Expr::UnaryOp { op: sqlparser::ast::UnaryOperator::Minus, expr } => match &**expr {
            Expr::Value(ValueWithSpan { value: Value::Number(_, false), span: _ }) => Some(()),
            _ => None,
        },
        _ => None,
    }
}

/// A literal of the key's kind.
fn of_kind(expr: &Expr, kind: KeyKind, column: &Ident) -> Result<(), SqlRefusal> {
    let no = |at, found: String| {
        let expected = match kind {
            KeyKind::Integer => format!("1 to {DIGITS_MAX} digits"),
            KeyKind::Text => "a text in single quotes".to_owned(),
        };
        let found = format!("{} compared with {found}", quote(&column.value));
        Err(SqlRefusal::new(Rule::R16, at, found, expected))
    };
    let Expr::Value(ValueWithSpan { value, span }) = expr else {
        return no(names::place(column), "an expression".to_owned());
    };
    match (value, kind) {
        (Value::Number(digits, false), KeyKind::Integer)
            if digits.len() <= DIGITS_MAX && digits.bytes().all(|b| b.is_ascii_digit()) =>
        {
            Ok(())
        }
        (Value::SingleQuotedString(_), KeyKind::Text) => Ok(()),
        (value, _) => no(position(*span), quote(&value.to_string())),
    }
}

fn allowed(key: &BTreeMap<String, KeyKind>) -> String {
    let key: Vec<String> = key.keys().map(|column| format!("{column} = literal")).collect();
    format!(
        "{}, with AND further columns compared with literals, in a list of them, or IS NULL",
        key.join(" AND ")
    )
}
