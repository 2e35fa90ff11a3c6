//! R7 for names that may be an output column outside ORDER BY: only where the engine surely takes it
//! for that, because an unlisted column of the same name would be read otherwise.

use sqlparser::ast::{Expr, Ident};

use super::operators;
use super::profile::Engine;
use super::query::Outputs;
use super::refusal::SqlRefusal;
use super::scope::Columns;
use super::walk::{Here, Walk};

impl<'p> Walk<'p> {
    /// Judges a HAVING. MySQL looks a bare name up in the select list and the GROUP BY alone, which are
    /// judged, but one within a call or a sub-query in the FROM; the others look into the FROM first.
    pub(super) fn having(
        &mut self,
        condition: &Expr,
        outputs: &Outputs,
        here: Here<'_, 'p>,
    ) -> Result<(), SqlRefusal> {
        if self.engine != Engine::Mysql {
            return self.expr(condition, here);
        }
        self.enter_node()?;
        let (mut first, mut terms) = (condition, 0);
        while let Expr::BinaryOp { left, op, right } = first {
            operators::between(left, op, right)?;
            self.having(right, outputs, here)?;
            (first, terms) = (left, terms + 1);
            self.enter_term();
        }
        match first {
            Expr::Identifier(ident) if self.is_output(ident, outputs)? => self.see(ident),
            Expr::Nested(inner) | Expr::IsNull(inner) | Expr::IsNotNull(inner) => {
                self.having(inner, outputs, here)?;
            }
            Expr::UnaryOp { op, expr } => {
                operators::unary(*op)?;
                self.having(expr, outputs, here)?;
            }
            Expr::Between { expr, negated: _, low, high } => {
                for part in [expr, low, high] {
                    self.having(part, outputs, here)?;
                }
            }
            other => self.expr(other, here)?,
        }
        self.leave_terms(terms);
        self.leave_node();
        Ok(())
    }

    /// Judges a term of a GROUP BY. Every engine looks into the FROM first, so that a name means an
    /// output column only where all columns of the FROM are known and none has it.
    pub(super) fn group_term(
        &mut self,
        term: &Expr,
        outputs: &Outputs,
        here: Here<'_, 'p>,
    ) -> Result<(), SqlRefusal> {
        let ident = match term {
            Expr::Identifier(ident) => ident,
            Expr::GroupingSets(sets) | Expr::Cube(sets) | Expr::Rollup(sets)
                if self.engine == Engine::Postgres =>
            {
                let mut terms = sets.iter().flatten();
                return terms.try_for_each(|term| self.group_term(term, outputs, here));
            }
            term => return self.expr(term, here),
        };
        if !self.is_output(ident, outputs)? {
            return self.expr(term, here);
        }
        if !self.may_be_column(ident, here)? {
            self.see(ident);
            return Ok(());
        }
        self.expr(term, here).map_err(|refusal| SqlRefusal {
            allowed: "its expression or its number: a table may have a column of that name"
                .to_owned(),
            ..refusal
        })
    }

    fn may_be_column(&self, ident: &Ident, here: Here<'_, 'p>) -> Result<bool, SqlRefusal> {
        for relation in here.scope.relations {
            let known = matches!(relation.columns, Columns::Known(_));
            if !known || relation.columns.find(ident, self.engine)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
