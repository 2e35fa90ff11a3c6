//! R16: INSERT, UPDATE and DELETE, as narrow as the profile's grants: one table, named columns, values
//! without queries, rows that can be counted before the act. Every field by name, so that a new clause of
//! the parser has to be judged.

use std::collections::{BTreeMap, BTreeSet};

use sqlparser::ast::{
    Assignment, AssignmentTarget, Delete, Expr, FromTable, Ident, Insert, ObjectName, Parens,
    Query, SetExpr, TableFactor, TableObject, TableWithJoins, Update, Values,
};

use super::facts::Class;
use super::names::{self, Same};
use super::refusal::{Rule, SqlRefusal, one_of, quote};
use super::scope::{Columns, Relation, Scope, pick};
use super::walk::{Ctes, Here, Walk};

impl<'p> Walk<'p> {
    /// `INSERT INTO table (columns) VALUES (..), (..)`.
    pub(super) fn insert(&mut self, insert: &Insert) -> Result<(), SqlRefusal> {
        let Insert {
            insert_token: _,
            optimizer_hints,
            or,
            ignore,
            into,
            table,
            table_alias,
            columns,
            overwrite,
            source,
            assignments,
            partitioned,
            after_columns,
            has_table_keyword,
            on,
            returning,
            output,
            replace_into,
            priority,
            insert_alias,
            settings,
            format_clause,
            multi_table_insert_type,
            multi_table_into_clauses,
            multi_table_when_clauses,
            multi_table_else_clause,
        } = insert;
        absent("an optimizer hint", optimizer_hints.is_empty())?;
        absent("INSERT OR", or.is_none())?;
        absent("IGNORE", !ignore)?;
        absent("INSERT without INTO", *into)?;
        absent("an alias of the table", table_alias.is_none())?;
        absent("OVERWRITE", !overwrite)?;
        absent("INSERT .. SET", assignments.is_empty())?;
        absent("PARTITION", partitioned.is_none() && after_columns.is_empty())?;
        absent("INSERT INTO TABLE", !has_table_keyword)?;
        absent("ON CONFLICT or ON DUPLICATE KEY", on.is_none())?;
        absent("RETURNING", returning.is_none())?;
        absent("OUTPUT", output.is_none())?;
        absent("REPLACE", !replace_into)?;
        absent("a priority", priority.is_none())?;
        absent("an alias of the rows", insert_alias.is_none())?;
        absent("SETTINGS", settings.is_none())?;
        absent("FORMAT", format_clause.is_none())?;
        let many = multi_table_insert_type.is_some()
            || !multi_table_into_clauses.is_empty()
            || !multi_table_when_clauses.is_empty()
            || multi_table_else_clause.is_some();
        absent("an INSERT into several tables", !many)?;
        self.facts.class = Class::Insert;
        let TableObject::TableName(name) = table else {
            return Err(refused("a function as the table"));
        };
        let profile = self.profile;
        let (table, grant) = self.granted(name, &profile.insert)?;
        absent("an INSERT without a list of columns", !columns.is_empty())?;
        self.targets(columns.iter(), table, &grant.columns)?;
        let rows = rows_of(source.as_deref())?;
        self.count_rows(rows.len() as u64, grant.rows_max)?;
        // No relation and none around it: a name in VALUES is no column of anything.
        let nothing = Scope { relations: &[], visible: 0..0, merged: &[], outer: None };
        let ctes = Ctes { done: &[], pending: &[], outer: None };
        for Parens { opening_token: _, content, closing_token: _ } in rows {
            if content.len() != columns.len() {
                let found = format!("{} values for {} columns", content.len(), columns.len());
                return Err(SqlRefusal::new(Rule::R16, None, found, "a value for each column"));
            }
            self.exprs(content, Here { scope: &nothing, ctes: &ctes })?;
        }
        Ok(())
    }

    /// `UPDATE table SET column = value, .. WHERE key = literal`.
    pub(super) fn update(&mut self, update: &Update) -> Result<(), SqlRefusal> {
        let Update {
            update_token: _,
            optimizer_hints,
            table,
            assignments,
            from,
            selection,
            returning,
            output,
            or,
            order_by,
            limit,
        } = update;
        absent("an optimizer hint", optimizer_hints.is_empty())?;
        absent("UPDATE .. FROM", from.is_none())?;
        absent("RETURNING", returning.is_none())?;
        absent("OUTPUT", output.is_none())?;
        absent("UPDATE OR", or.is_none())?;
        absent("ORDER BY", order_by.is_empty())?;
        absent("LIMIT", limit.is_none())?;
        self.facts.class = Class::Update;
        let profile = self.profile;
        let (table, grant) = self.granted(only_table(table)?, &profile.update)?;
        self.cap_list(assignments.len())?;
        let relation = self.readable(table);
        let scope = scope_of(&relation);
        let ctes = Ctes { done: &[], pending: &[], outer: None };
        let here = Here { scope: &scope, ctes: &ctes };
        for assignment in assignments {
            let Assignment { target, value } = assignment;
            self.value(value, here)?;
            self.targets(std::iter::once(column_of(target)?), table, &grant.set)?;
        }
        let rows = self.keyed(selection.as_ref(), table, &grant.key, here)?;
        self.count_rows(rows, grant.rows_max)
    }

    /// `DELETE FROM table WHERE key = literal`.
    pub(super) fn delete(&mut self, delete: &Delete) -> Result<(), SqlRefusal> {
        let Delete {
            delete_token: _,
            optimizer_hints,
            tables,
            from,
            using,
            selection,
            returning,
            output,
            order_by,
            limit,
        } = delete;
        absent("an optimizer hint", optimizer_hints.is_empty())?;
        absent("DELETE of several tables", tables.is_empty())?;
        absent("USING", using.is_none())?;
        absent("RETURNING", returning.is_none())?;
        absent("OUTPUT", output.is_none())?;
        absent("ORDER BY", order_by.is_empty())?;
        absent("LIMIT", limit.is_none())?;
        self.facts.class = Class::Delete;
        let table = match from {
            FromTable::WithFromKeyword(tables) => match tables.as_slice() {
                [table] => only_table(table)?,
                _ => return Err(refused("DELETE of several tables")),
            },
            FromTable::WithoutKeyword(_) => return Err(refused("DELETE without FROM")),
        };
        let profile = self.profile;
        let (table, grant) = self.granted(table, &profile.delete)?;
        let relation = self.readable(table);
        let scope = scope_of(&relation);
        let ctes = Ctes { done: &[], pending: &[], outer: None };
        let here = Here { scope: &scope, ctes: &ctes };
        let rows = self.keyed(selection.as_ref(), table, &grant.key, here)?;
        self.count_rows(rows, grant.rows_max)
    }

    /// The value of an assignment. MySQL sets one after the other, the others all at once.
    fn value(&mut self, value: &Expr, here: Here<'_, 'p>) -> Result<(), SqlRefusal> {
        let read_before = std::mem::take(&mut self.facts.columns);
        self.expr(value, here)?;
        let set_before = self.facts.columns.intersection(&self.facts.written).next().cloned();
        self.facts.columns.extend(read_before);
        set_before.map_or(Ok(()), |column| {
            let found = format!("the value of {column}, which was set before");
            Err(SqlRefusal::new(Rule::R1, None, found, "values that engines read alike"))
        })
    }

    /// The grant for the table of that name.
    fn granted<G>(
        &mut self,
        name: &ObjectName,
        grants: &'p BTreeMap<String, G>,
    ) -> Result<(&'p str, &'p G), SqlRefusal> {
        let ident = names::one_part(name)?;
        let key = names::key(ident, self.engine);
        for (table, grant) in grants {
            match names::relation(&key, table, self.engine) {
                Same::No => {}
                Same::ButCase => return Err(names::differs_in_case(ident, table)),
                Same::Yes => {
                    self.see(ident);
                    self.facts.tables.insert(table.clone());
                    return Ok((table, grant));
                }
            }
        }
        Err(SqlRefusal::new(
            Rule::R16,
            names::place(ident),
            format!("a write to the table {}", quote(&ident.value)),
            one_of(grants.keys().map(String::as_str)),
        ))
    }

    /// The columns that are written: granted ones, each once.
    fn targets<'s>(
        &mut self,
        targets: impl Iterator<Item = &'s ObjectName>,
        table: &str,
        granted: &'p BTreeSet<String>,
    ) -> Result<(), SqlRefusal> {
        for target in targets {
            let ident: &Ident = names::one_part(target)?;
            let (at, engine) = (names::place(ident), self.engine);
            let key = names::key(ident, engine);
            let Some(column) = pick(ident, &key, granted.iter().map(String::as_str), engine)?
            else {
                let found = format!("a write to the column {}", quote(&ident.value));
                let allowed = one_of(granted.iter().map(String::as_str));
                return Err(SqlRefusal::new(Rule::R16, at, found, allowed));
            };
            if !self.facts.written.insert(format!("{table}.{column}")) {
                let found = format!("the column {} twice", quote(&ident.value));
                return Err(SqlRefusal::new(Rule::R16, at, found, "each column once"));
            }
            self.see(ident);
        }
        Ok(())
    }

    /// What of the table may be read, as the one relation in sight.
    fn readable(&self, table: &'p str) -> [Relation<'p>; 1] {
        let columns = self.profile.tables.get(table).map(Vec::as_slice).unwrap_or_default();
        [Relation { name: Some(table.to_owned()), columns: Columns::Listed { table, columns } }]
    }

    fn count_rows(&mut self, rows: u64, rows_max: u64) -> Result<(), SqlRefusal> {
        if rows == 0 || rows > rows_max {
            let found = format!("a write of {rows} rows");
            return Err(SqlRefusal::new(Rule::R16, None, found, format!("1 to {rows_max} rows")));
        }
        self.facts.rows = Some(rows);
        Ok(())
    }
}

fn scope_of<'a, 'p>(relations: &'a [Relation<'p>; 1]) -> Scope<'a, 'p> {
    Scope { relations, visible: 0..1, merged: &[], outer: None }
}

/// The column that is set.
fn column_of(target: &AssignmentTarget) -> Result<&ObjectName, SqlRefusal> {
    match target {
        AssignmentTarget::ColumnName(name) => Ok(name),
        AssignmentTarget::Tuple(_) => Err(refused("a list of columns to set at once")),
    }
}

/// The one table of a write, without alias or join.
fn only_table(table: &TableWithJoins) -> Result<&ObjectName, SqlRefusal> {
    let TableWithJoins { relation, joins } = table;
    absent("a join in a write", joins.is_empty())?;
    let TableFactor::Table {
        name,
        alias,
        args,
        with_hints,
        version,
        with_ordinality,
        partitions,
        json_path,
        sample,
        index_hints,
    } = relation
    else {
        return Err(refused("a write to something else than a table"));
    };
    absent("an alias of the table", alias.is_none())?;
    absent("a function as the table", args.is_none())?;
    absent("a table hint", with_hints.is_empty() && index_hints.is_empty())?;
    absent("a table version", version.is_none())?;
    absent("WITH ORDINALITY", !with_ordinality)?;
    absent("PARTITION", partitions.is_empty())?;
    absent("a JSON path", json_path.is_none())?;
    absent("TABLESAMPLE", sample.is_none())?;
    Ok(name)
}

/// The rows of VALUES, and nothing around them.
fn rows_of(source: Option<&Query>) -> Result<&[Parens<Vec<Expr>>], SqlRefusal> {
    let Some(source) = source else {
        return Err(refused("DEFAULT VALUES"));
    };
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
    } = source;
    let SetExpr::Values(Values { explicit_row, value_keyword, rows }) = &**body else {
        return Err(refused("INSERT of a query"));
    };
    absent("WITH", with.is_none())?;
    absent("ORDER BY", order_by.is_none())?;
    absent("LIMIT", limit_clause.is_none())?;
    absent("FETCH", fetch.is_none())?;
    absent("FOR UPDATE or FOR SHARE", locks.is_empty())?;
    absent("FOR XML, JSON or BROWSE", for_clause.is_none())?;
    absent("SETTINGS", settings.is_none())?;
    absent("FORMAT", format_clause.is_none())?;
    absent("a pipe", pipe_operators.is_empty())?;
    absent("VALUES ROW", !explicit_row)?;
    absent("VALUE", !value_keyword)?;
    Ok(rows)
}

/// R5: a clause that a write must not have.
fn absent(clause: &str, is_absent: bool) -> Result<(), SqlRefusal> {
    if is_absent { Ok(()) } else { Err(SqlRefusal::new(Rule::R5, None, clause, FORMS)) }
}

/// R16: a kind of node that a write must not have.
fn refused(node: &str) -> SqlRefusal {
    SqlRefusal::new(Rule::R16, None, node, FORMS)
}

/// What a write may look like.
const FORMS: &str = "INSERT INTO t (..) VALUES (..), UPDATE t SET .. WHERE key = .., DELETE FROM t WHERE \
                     key = ..";
