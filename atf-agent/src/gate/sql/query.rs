//! R4, R5 and R7 for queries: set operations, and every clause that a query may not have.

use sqlparser::ast::{OrderBy, Query, SetExpr, SetOperator, SetQuantifier};

use super::profile::Engine;
use super::refusal::{Rule, SqlRefusal, quote};
use super::scope::Scope;
use super::walk::{Ctes, Here, Walk};

/// The names of a query's columns, where they have one.
pub(super) type Outputs = Vec<Option<String>>;

impl<'p> Walk<'p> {
    /// Judges a query at any level.
    pub(super) fn query(
        &mut self,
        query: &Query,
        outer: Option<&Scope<'_, 'p>>,
        ctes: &Ctes<'_>,
    ) -> Result<Outputs, SqlRefusal> {
        let Query {
            with,
            body,
            order_by,
            limit_clause,
            fetch,
            locks,
            for_clause,
            settings,
            format_clause,
            pipe_operators,
        } = query;
        absent("FETCH", fetch.is_none())?;
        absent("FOR UPDATE or FOR SHARE", locks.is_empty())?;
        absent("FOR XML, JSON or BROWSE", for_clause.is_none())?;
        absent("SETTINGS", settings.is_none())?;
        absent("FORMAT", format_clause.is_none())?;
        absent("a pipe", pipe_operators.is_empty())?;
        self.enter_query()?;
        if let Some(limit) = limit_clause {
            self.inner_limit(limit)?;
        }
        let done = match with {
            None => Vec::new(),
            Some(with) => self.with(with, ctes)?,
        };
        let inner = Ctes { done: &done, pending: &[], outer: Some(ctes) };
        let outputs = self.body(body, order_by.as_ref(), outer, &inner)?;
        self.leave_query();
        Ok(outputs)
    }

    fn body(
        &mut self,
        body: &SetExpr,
        order_by: Option<&OrderBy>,
        outer: Option<&Scope<'_, 'p>>,
        ctes: &Ctes<'_>,
    ) -> Result<Outputs, SqlRefusal> {
        let outputs = match body {
            SetExpr::Select(select) => return self.select(select, order_by, outer, ctes),
            // MySQL takes the two for one, so that a name is looked up as in `Walk::sorts_by`.
            SetExpr::Query(_)
                if self.engine == Engine::Mysql && order_by.is_some() && outer.is_some() =>
            {
                return Err(refused("ORDER BY behind the parentheses of a sub-query"));
            }
            SetExpr::Query(query) => self.query(query, outer, ctes)?,
            SetExpr::SetOperation { .. } => self.set_operation(body, outer, ctes)?,
            SetExpr::Values(_) => return Err(refused("VALUES")),
            SetExpr::Insert(_) => return Err(refused("INSERT")),
            SetExpr::Update(_) => return Err(refused("UPDATE")),
            SetExpr::Delete(_) => return Err(refused("DELETE")),
            SetExpr::Merge(_) => return Err(refused("MERGE")),
            SetExpr::Table(_) => return Err(refused("TABLE")),
        };
        // Behind a set operation only its own columns have a name, so the scope is one closed
        // relation without an outer level.
        if let Some(order_by) = order_by {
            let nothing = Scope { relations: &[], visible: 0..0, merged: &[], outer: None };
            let here = Here { scope: &nothing, ctes };
            self.order_by(order_by, &outputs, here)?;
        }
        Ok(outputs)
    }

    /// A chain of set operations, which is left-deep: its branches in a loop, the first one last.
    fn set_operation(
        &mut self,
        body: &SetExpr,
        outer: Option<&Scope<'_, 'p>>,
        ctes: &Ctes<'_>,
    ) -> Result<Outputs, SqlRefusal> {
        let mut first = body;
        let mut widths = Vec::new();
        while let SetExpr::SetOperation { left, op, set_quantifier, right } = first {
            match op {
                SetOperator::Union | SetOperator::Except | SetOperator::Intersect => {}
                SetOperator::Minus => return Err(refused("MINUS")),
            }
            match set_quantifier {
                SetQuantifier::All | SetQuantifier::Distinct | SetQuantifier::None => {}
                SetQuantifier::ByName
                | SetQuantifier::AllByName
                | SetQuantifier::DistinctByName => return Err(refused("BY NAME")),
            }
            self.enter_node()?;
            widths.push(self.body(right, None, outer, ctes)?.len());
            self.leave_node();
            self.enter_term();
            first = left;
        }
        let outputs = self.body(first, None, outer, ctes)?;
        self.leave_terms(u32::try_from(widths.len()).unwrap_or(u32::MAX));
        // No engine runs it; who asks so counts the columns of a query that is not theirs.
        if widths.iter().any(|width| *width != outputs.len()) {
            return Err(refused("branches of different numbers of columns"));
        }
        Ok(outputs)
    }
}

/// R5: a clause that a statement must not have.
pub(super) fn absent(clause: &str, is_absent: bool) -> Result<(), SqlRefusal> {
    if is_absent {
        return Ok(());
    }
    Err(SqlRefusal::new(
        Rule::R5,
        None,
        clause,
        "SELECT, FROM, JOIN, WHERE, GROUP BY, HAVING, WINDOW, ORDER BY, LIMIT, OFFSET",
    ))
}

/// R4: a kind of node that a statement must not have.
pub(super) fn refused(node: &str) -> SqlRefusal {
    SqlRefusal::new(
        Rule::R4,
        None,
        node,
        "SELECTs over tables, joins, derived tables and set operations",
    )
}

/// R7: two relations of one name.
pub(super) fn twice(name: &str) -> SqlRefusal {
    SqlRefusal::new(
        Rule::R7,
        None,
        format!("the relation {} twice", quote(name)),
        "each relation under a name of its own",
    )
}
