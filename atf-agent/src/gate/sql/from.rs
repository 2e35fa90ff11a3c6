//! R4, R7 and R8 for FROM: tables, derived tables and joins become the relations of a scope.

use std::ops::Range;

use sqlparser::ast::{Expr, ObjectName, TableFactor, TableWithJoins};

use super::names::{self, Same};
use super::profile::Engine;
use super::query::{absent, refused, twice};
use super::refusal::{Rule, SqlRefusal, one_of, quote};
use super::scope::{Columns, Relation, Scope};
use super::walk::{Ctes, Here, Walk};

/// What a FROM offers, and the conditions that can be judged once all of it is known.
#[derive(Debug, Default)]
pub(super) struct From<'p, 'q> {
    pub(super) relations: Vec<Relation<'p>>,
    /// Columns that USING made one.
    pub(super) merged: Vec<String>,
    /// Each ON with the relations that it sees.
    pub(super) conditions: Vec<(&'q Expr, Range<usize>)>,
}

impl<'p> Walk<'p> {
    /// Reads a FROM; its ON conditions are left for [`Walk::conditions`].
    pub(super) fn from<'q>(
        &mut self,
        from: &'q [TableWithJoins],
        ctes: &Ctes<'_>,
    ) -> Result<From<'p, 'q>, SqlRefusal> {
        let mut read = From::default();
        for (place, table) in from.iter().enumerate() {
            if place > 0 {
                self.count_join(false)?;
            }
            self.joined(table, &mut read, ctes)?;
        }
        Ok(read)
    }

    /// Judges the ON conditions of a FROM.
    pub(super) fn conditions(
        &mut self,
        from: &From<'p, '_>,
        outer: Option<&Scope<'_, 'p>>,
        ctes: &Ctes<'_>,
    ) -> Result<(), SqlRefusal> {
        for (condition, visible) in &from.conditions {
            let scope = Scope {
                relations: &from.relations,
                visible: visible.clone(),
                merged: &from.merged,
                outer,
            };
            self.expr(condition, Here { scope: &scope, ctes })?;
        }
        Ok(())
    }

    /// One entry of a FROM or of a join.
    pub(super) fn factor<'q>(
        &mut self,
        factor: &'q TableFactor,
        read: &mut From<'p, 'q>,
        ctes: &Ctes<'_>,
    ) -> Result<(), SqlRefusal> {
        let relation = match factor {
            TableFactor::Table {
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
            } => {
                if args.is_some() {
                    return Err(refused("a function in FROM"));
                }
                absent("a table hint", with_hints.is_empty())?;
                absent("a table version", version.is_none())?;
                absent("WITH ORDINALITY", !with_ordinality)?;
                absent("PARTITION", partitions.is_empty())?;
                absent("a JSON path", json_path.is_none())?;
                absent("TABLESAMPLE", sample.is_none())?;
                absent("an index hint", index_hints.is_empty())?;
                let mut relation = self.table(name, ctes)?;
                if let Some(alias) = alias {
                    relation.name = Some(self.alias(alias)?);
                }
                relation
            }
            TableFactor::Derived { lateral, subquery, alias, sample } => {
                absent("LATERAL", !lateral)?;
                absent("TABLESAMPLE", sample.is_none())?;
                // No outer scope, as for WITH.
                let columns = Columns::Known(self.query(subquery, None, ctes)?);
                let name = alias.as_ref().map(|alias| self.alias(alias)).transpose()?;
                Relation { name, columns }
            }
            TableFactor::NestedJoin { table_with_joins, alias } => {
                absent("an alias of a join", alias.is_none())?;
                // SQLite reads all columns of such a join, also those that nobody names.
                if self.engine == Engine::Sqlite && !table_with_joins.joins.is_empty() {
                    return Err(refused("a join in parentheses"));
                }
                return self.joined(table_with_joins, read, ctes);
            }
            TableFactor::TableFunction { .. }
            | TableFactor::Function { .. }
            | TableFactor::UNNEST { .. }
            | TableFactor::JsonTable { .. }
            | TableFactor::OpenJsonTable { .. }
            | TableFactor::XmlTable { .. } => return Err(refused("a function in FROM")),
            TableFactor::Pivot { .. }
            | TableFactor::Unpivot { .. }
            | TableFactor::UnpivotExpr { .. }
            | TableFactor::MatchRecognize { .. }
            | TableFactor::SemanticView { .. } => return Err(refused("a table operator")),
        };
        if let Some(name) = &relation.name {
            let same = |known: &Relation<'_>| {
                known.name.as_ref().is_some_and(|known| known.eq_ignore_ascii_case(name))
            };
            if read.relations.iter().any(same) {
                return Err(twice(name));
            }
        }
        read.relations.push(relation);
        Ok(())
    }

    /// A WITH entry in sight, or else a table of the profile.
    fn table(&mut self, name: &ObjectName, ctes: &Ctes<'_>) -> Result<Relation<'p>, SqlRefusal> {
        let ident = names::one_part(name)?;
        let key = names::key(ident, self.engine);
        if let Some(columns) = ctes.find(ident, self.engine)? {
            self.see(ident);
            return Ok(Relation { name: Some(key), columns: Columns::Known(columns) });
        }
        let profile = self.profile;
        for (table, columns) in &profile.tables {
            match names::relation(&key, table, self.engine) {
                Same::No => {}
                Same::ButCase => return Err(names::differs_in_case(ident, table)),
                Same::Yes => {
                    self.see(ident);
                    self.facts.tables.insert(table.clone());
                    return Ok(Relation {
                        name: Some(key),
                        columns: Columns::Listed { table, columns },
                    });
                }
            }
        }
        Err(SqlRefusal::new(
            Rule::R7,
            names::place(ident),
            format!("the table {}", quote(&ident.value)),
            one_of(profile.tables.keys().map(String::as_str)),
        ))
    }
}
