//! R5 for SELECT: every field by name, so that a new clause of the parser has to be judged.

use sqlparser::ast::{
    Distinct, Expr, GroupByExpr, OrderBy, Select, SelectFlavor, SelectItem, UnaryOperator,
};

use super::names;
use super::profile::Engine;
use super::query::{Outputs, absent, refused};
use super::refusal::{Rule, SqlRefusal};
use super::scope::Scope;
use super::walk::{Ctes, Here, Walk};

/// Most grouping sets of one SELECT: reports have a total for each of a few columns.
const GROUPING_SETS_MAX: usize = 16;

impl<'p> Walk<'p> {
    /// Judges one SELECT and its ORDER BY, which shares its scope.
    pub(super) fn select(
        &mut self,
        select: &Select,
        order_by: Option<&OrderBy>,
        outer: Option<&Scope<'_, 'p>>,
        ctes: &Ctes<'_>,
    ) -> Result<Outputs, SqlRefusal> {
        let Select {
            select_token: _,
            optimizer_hints,
            distinct,
            select_modifiers,
            top,
            top_before_distinct: _,
            projection,
            exclude,
            into,
            from,
            lateral_views,
            prewhere,
            selection,
            connect_by,
            group_by,
            cluster_by,
            distribute_by,
            sort_by,
            having,
            named_window,
            qualify,
            window_before_qualify: _,
            value_table_mode,
            flavor,
        } = select;
        absent("an optimizer hint", optimizer_hints.is_empty())?;
        absent("a SELECT modifier", select_modifiers.is_none())?;
        absent("TOP", top.is_none())?;
        absent("EXCLUDE", exclude.is_none())?;
        absent("INTO", into.is_none())?;
        absent("LATERAL VIEW", lateral_views.is_empty())?;
        absent("PREWHERE", prewhere.is_none())?;
        absent("CONNECT BY", connect_by.is_empty())?;
        absent("CLUSTER BY", cluster_by.is_empty())?;
        absent("DISTRIBUTE BY", distribute_by.is_empty())?;
        absent("SORT BY", sort_by.is_empty())?;
        absent("QUALIFY", qualify.is_none())?;
        absent("SELECT AS", value_table_mode.is_none())?;
        match flavor {
            SelectFlavor::Standard => {}
            SelectFlavor::FromFirst | SelectFlavor::FromFirstNoSelect => {
                return Err(refused("FROM before SELECT"));
            }
        }
        self.count_select()?;
        let from = self.from(from, ctes)?;
        let scope = Scope {
            relations: &from.relations,
            visible: 0..from.relations.len(),
            merged: &from.merged,
            outer,
        };
        let here = Here { scope: &scope, ctes };
        self.conditions(&from, outer, ctes)?;
        let (outputs, sortable) = self.projection(projection, here)?;
        self.distinct(distinct.as_ref(), here)?;
        selection.iter().try_for_each(|condition| self.expr(condition, here))?;
        // MySQL finds no other output by its name, but the others do: see `sorts_by`.
        let named = if self.engine == Engine::Mysql { &sortable } else { &outputs };
        having.iter().try_for_each(|condition| self.having(condition, named, here))?;
        self.group_by(group_by, named, here)?;
        for window in named_window {
            self.named_window(window, here)?;
        }
        if let Some(order_by) = order_by {
            self.order_by(order_by, &sortable, here)?;
        }
        Ok(outputs)
    }

    /// Judges the select list: the names of its columns, and those that an ORDER BY may mean.
    fn projection(
        &mut self,
        items: &[SelectItem],
        here: Here<'_, 'p>,
    ) -> Result<(Outputs, Outputs), SqlRefusal> {
        absent("an empty select list", !items.is_empty())?;
        self.cap_list(items.len())?;
        let (mut outputs, mut sortable) = (Vec::with_capacity(items.len()), Vec::new());
        for item in items {
            let output = match item {
                SelectItem::UnnamedExpr(expr) => {
                    self.expr(expr, here)?;
                    let name = self.own_name(expr);
                    if self.sorts_by(expr, here)? {
                        sortable.push(name.clone());
                    }
                    name
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    self.expr(expr, here)?;
                    names::is_plain_alias(alias)?;
                    self.see(alias);
                    if self.engine != Engine::Mysql || self.is_own(expr, here)? {
                        sortable.push(Some(names::key(alias, self.engine)));
                    }
                    Some(names::key(alias, self.engine))
                }
                SelectItem::ExprWithAliases { expr: _, aliases: _ } => {
                    return Err(refused("a list of aliases"));
                }
                SelectItem::QualifiedWildcard(_, options) | SelectItem::Wildcard(options) => {
                    let of = match item {
                        SelectItem::QualifiedWildcard(of, _) => Some(of),
                        _ => None,
                    };
                    let all = self.every_column(of, options, here)?;
                    // SQLite looks for these names in the FROM, where they are the same.
                    if self.engine != Engine::Sqlite {
                        sortable.extend(all.iter().cloned());
                    }
                    outputs.extend(all);
                    continue;
                }
            };
            outputs.push(output);
        }
        self.cap_list(outputs.len())?;
        Ok((outputs, sortable))
    }

    /// The name that every engine gives to an output column without alias. What is named wrongly
    /// here could be looked up elsewhere by the engine, so only sure cases have one.
    fn own_name(&self, expr: &Expr) -> Option<String> {
        if let Expr::Identifier(ident) = expr {
            return Some(names::key(ident, self.engine));
        }
        if let Expr::CompoundIdentifier(parts) = expr {
            return parts.last().map(|ident| names::key(ident, self.engine));
        }
        if let (Expr::Function(function), Engine::Postgres) = (expr, self.engine) {
            let ident = names::one_part(&function.name).ok()?;
            return Some(names::key(ident, self.engine));
        }
        None
    }

    /// Whether a bare name in ORDER BY surely means this output column, though it has no alias: in
    /// PostgreSQL always; in SQLite never, which looks into the FROM first; in MySQL unless it comes
    /// from a query around this one.
    fn sorts_by(&self, expr: &Expr, here: Here<'_, 'p>) -> Result<bool, SqlRefusal> {
        match self.engine {
            Engine::Postgres => Ok(true),
            Engine::Sqlite => Ok(false),
            Engine::Mysql => self.is_own(expr, here),
        }
    }

    /// Whether an output is no column of a query around this one. Where that one groups, MySQL looks the name of
    /// such an output up in the tables, with an alias or without, in HAVING even in those around.
    fn is_own(&self, expr: &Expr, here: Here<'_, 'p>) -> Result<bool, SqlRefusal> {
        let own = here.scope.relations;
        match expr {
            // What is the column itself for MySQL.
            Expr::Nested(expr) | Expr::UnaryOp { op: UnaryOperator::Plus, expr } => {
                self.is_own(expr, here)
            }
            // MySQL puts the one column of such a query in its place.
            Expr::Subquery(_) => Ok(here.scope.outer.is_none()),
            Expr::Identifier(ident) => {
                for relation in own {
                    if relation.columns.find(ident, self.engine)?.is_some() {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Expr::CompoundIdentifier(parts) => {
                let key = parts.first().map(|first| names::key(first, self.engine));
                Ok(own.iter().any(|own| own.name == key))
            }
            _ => Ok(true),
        }
    }

    fn distinct(
        &mut self,
        distinct: Option<&Distinct>,
        here: Here<'_, 'p>,
    ) -> Result<(), SqlRefusal> {
        match distinct {
            None | Some(Distinct::All | Distinct::Distinct) => Ok(()),
            Some(Distinct::On(exprs)) => self.exprs(exprs, here),
        }
    }

    fn group_by(
        &mut self,
        group_by: &GroupByExpr,
        outputs: &Outputs,
        here: Here<'_, 'p>,
    ) -> Result<(), SqlRefusal> {
        match group_by {
            GroupByExpr::All(_) => Err(refused("GROUP BY ALL")),
            GroupByExpr::Expressions(exprs, modifiers) => {
                absent("a GROUP BY modifier", modifiers.is_empty())?;
                self.cap_list(exprs.len())?;
                grouping_sets(exprs)?;
                exprs.iter().try_for_each(|term| self.group_term(term, outputs, here))
            }
        }
    }
}

/// R12: the sets of a GROUP BY are one list, each a pass over the rows; those of a CUBE double with each column.
fn grouping_sets(exprs: &[Expr]) -> Result<(), SqlRefusal> {
    let sets = exprs.iter().filter_map(|expr| match expr {
        Expr::GroupingSets(sets) => Some(sets.len()),
        Expr::Rollup(sets) => Some(sets.len() + 1),
        Expr::Cube(sets) => Some(1_usize.checked_shl(sets.len() as u32).unwrap_or(usize::MAX)),
        _ => None,
    });
    let sets = sets.fold(1, usize::saturating_mul);
    if sets > GROUPING_SETS_MAX {
        let allowed = format!("{GROUPING_SETS_MAX} at most");
        return Err(SqlRefusal::new(Rule::R12, None, "more grouping sets", allowed));
    }
    Ok(())
}
