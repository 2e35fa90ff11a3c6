//! R4, R5 and R7 for queries: WITH, set operations, and every clause that a query may not have.

use sqlparser::ast::{
    Cte as CteNode, CteAsMaterialized, Expr, Ident, OrderBy, OrderByExpr, OrderByKind,
    OrderByOptions, OrderBySort, Query, SetExpr, SetOperator, SetQuantifier, TableAlias, With,
};

use super::names::{self, Same};
use super::profile::Engine;
use super::refusal::{Rule, SqlRefusal, quote};
use super::scope::{self, Scope};
use super::walk::{Cte, Ctes, Here, Walk};

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
            self.limit(limit)?;
        }
        let done = match with {
            None => Vec::new(),
            Some(with) => self.with(with, ctes)?,
        };
        let inner = Ctes {
            done: &done,
            pending: &[],
            outer: Some(ctes),
        };
        let outputs = self.body(body, order_by.as_ref(), outer, &inner)?;
        self.leave_query();
        Ok(outputs)
    }

    fn with(&mut self, with: &With, ctes: &Ctes<'_>) -> Result<Vec<Cte>, SqlRefusal> {
        let With {
            with_token: _,
            recursive,
            cte_tables,
        } = with;
        absent("RECURSIVE", !recursive)?;
        let mut names = Vec::with_capacity(cte_tables.len());
        for cte in cte_tables {
            let name = self.cte_name(cte)?;
            if names
                .iter()
                .any(|known: &String| known.eq_ignore_ascii_case(&name))
            {
                return Err(twice(&name));
            }
            names.push(name);
        }
        let mut done = Vec::with_capacity(names.len());
        for (place, (cte, name)) in cte_tables.iter().zip(&names).enumerate() {
            let sight = Ctes {
                done: &done,
                pending: &names[place..],
                outer: Some(ctes),
            };
            // No outer scope: engines differ about outer names within WITH, and honest ones do not
            // need them.
            let columns = self.query(&cte.query, None, &sight)?;
            done.push(Cte {
                name: name.clone(),
                columns,
            });
        }
        Ok(done)
    }

    fn cte_name(&mut self, cte: &CteNode) -> Result<String, SqlRefusal> {
        let CteNode {
            alias,
            query: _,
            from,
            materialized,
            closing_paren_token: _,
        } = cte;
        absent("FROM behind WITH", from.is_none())?;
        match materialized {
            None | Some(CteAsMaterialized::Materialized | CteAsMaterialized::NotMaterialized) => {}
        }
        self.alias(alias)
    }

    /// An alias of a relation, without a column list: PostgreSQL lets `t(a, b, id)` make `id` mean
    /// the third column, whatever its name.
    pub(super) fn alias(&mut self, alias: &TableAlias) -> Result<String, SqlRefusal> {
        let TableAlias {
            explicit: _,
            name,
            columns,
            at,
        } = alias;
        if !columns.is_empty() || at.is_some() {
            return Err(SqlRefusal::new(
                Rule::R7,
                names::place(name),
                format!("a list of columns behind {}", quote(&name.value)),
                "aliases of columns in the select list",
            ));
        }
        names::is_plain_alias(name)?;
        self.see(name);
        Ok(names::key(name, self.engine))
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
            let nothing = Scope {
                relations: &[],
                visible: 0..0,
                merged: &[],
                outer: None,
            };
            let here = Here {
                scope: &nothing,
                ctes,
            };
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
        while let SetExpr::SetOperation {
            left,
            op,
            set_quantifier,
            right,
        } = first
        {
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
            self.body(right, None, outer, ctes)?;
            self.leave_node();
            first = left;
        }
        self.body(first, None, outer, ctes)
    }

    /// ORDER BY: a bare name of an output column means that column in every engine.
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

    fn is_output(&self, ident: &Ident, outputs: &[Option<String>]) -> Result<bool, SqlRefusal> {
        names::is_no_call(ident)?;
        let key = names::key(ident, self.engine);
        let known = outputs.iter().flatten().map(String::as_str);
        Ok(scope::pick(ident, &key, known, self.engine)?.is_some())
    }
}

fn sort_options(term: &OrderByExpr) -> Result<(), SqlRefusal> {
    let OrderByExpr {
        expr: _,
        options,
        with_fill,
    } = term;
    absent("WITH FILL", with_fill.is_none())?;
    let OrderByOptions {
        sort,
        nulls_first: _,
    } = options;
    match sort {
        None | Some(OrderBySort::Asc | OrderBySort::Desc) => Ok(()),
        Some(OrderBySort::Using(_)) => Err(refused("ORDER BY .. USING")),
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

impl Ctes<'_> {
    /// The columns of the WITH entry of that name, if one is in sight.
    pub(super) fn find(
        &self,
        ident: &Ident,
        engine: Engine,
    ) -> Result<Option<Outputs>, SqlRefusal> {
        let key = names::key(ident, engine);
        let mut level = Some(self);
        while let Some(ctes) = level {
            for cte in ctes.done {
                match names::relation(&key, &cte.name, engine) {
                    Same::Yes => return Ok(Some(cte.columns.clone())),
                    Same::ButCase => return Err(names::differs_in_case(ident, &cte.name)),
                    Same::No => {}
                }
            }
            let later = ctes
                .pending
                .iter()
                .any(|name| key.eq_ignore_ascii_case(name));
            if later && engine == Engine::Sqlite {
                return Err(SqlRefusal::new(
                    Rule::R7,
                    names::place(ident),
                    format!("{} before its WITH entry", quote(&ident.value)),
                    "entries that come before",
                ));
            }
            level = ctes.outer;
        }
        Ok(None)
    }
}
