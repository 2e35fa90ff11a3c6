//! R7 and R8 for ORDER BY.

use sqlparser::ast::{Expr, Ident, OrderBy, OrderByExpr, OrderByKind, OrderByOptions, OrderBySort};

use super::names;
use super::query::{absent, refused};
use super::refusal::SqlRefusal;
use super::scope;
use super::walk::{Here, Walk};

impl<'p> Walk<'p> {
    /// Judges an ORDER BY. A bare name that is one of `outputs` means that output column, which was
    /// judged; which names count so differs, see [`Walk::select`].
    pub(super) fn order_by(
        &mut self,
        order_by: &OrderBy,
        outputs: &[Option<String>],
        here: Here<'_, 'p>,
    ) -> Result<(), SqlRefusal> {
        let OrderBy { kind, interpolate } = order_by;
        absent("INTERPOLATE", interpolate.is_none())?;
        let terms = match kind {
            OrderByKind::Expressions(terms) => terms,
            OrderByKind::All(_) => return Err(refused("ORDER BY ALL")),
        };
        for term in terms {
            let output = if let Expr::Identifier(ident) = &term.expr {
                self.is_output(ident, outputs)?.then_some(ident)
            } else {
                None
            };
            match output {
                Some(ident) => {
                    self.see(ident);
                    sort_options(term)?;
                }
                None => self.order_term(term, here)?,
            }
        }
        Ok(())
    }

    /// One term of an ORDER BY whose names are columns, as in a window.
    pub(super) fn order_term(
        &mut self,
        term: &OrderByExpr,
        here: Here<'_, 'p>,
    ) -> Result<(), SqlRefusal> {
        sort_options(term)?;
        self.expr(&term.expr, here)
    }

    /// Whether a name is that of an output column.
    pub(super) fn is_output(
        &self,
        ident: &Ident,
        outputs: &[Option<String>],
    ) -> Result<bool, SqlRefusal> {
        names::is_no_call(ident)?;
        let key = names::key(ident, self.engine);
        let known = outputs.iter().flatten().map(String::as_str);
        Ok(scope::pick(ident, &key, known, self.engine)?.is_some())
    }
}

fn sort_options(term: &OrderByExpr) -> Result<(), SqlRefusal> {
    let OrderByExpr { expr: _, options, with_fill } = term;
    absent("WITH FILL", with_fill.is_none())?;
    let OrderByOptions { sort, nulls_first: _ } = options;
    match sort {
        None | Some(OrderBySort::Asc | OrderBySort::Desc) => Ok(()),
        Some(OrderBySort::Using(_)) => Err(refused("ORDER BY .. USING")),
    }
}
