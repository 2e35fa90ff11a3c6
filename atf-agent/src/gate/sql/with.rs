//! R7 for WITH: an entry is seen by later ones and by its query alone, and never by itself.

use sqlparser::ast::{Cte as CteNode, CteAsMaterialized, Ident, TableAlias, With};

use super::names::{self, Same};
use super::profile::Engine;
use super::query::{Outputs, absent, twice};
use super::refusal::{Rule, SqlRefusal, quote};
use super::walk::{Cte, Ctes, Walk};

impl Walk<'_> {
    /// Judges the entries of a WITH, each in the sight of those before it.
    pub(super) fn with(&mut self, with: &With, ctes: &Ctes<'_>) -> Result<Vec<Cte>, SqlRefusal> {
        let With { with_token: _, recursive, cte_tables } = with;
        absent("RECURSIVE", !recursive)?;
        let mut names = Vec::with_capacity(cte_tables.len());
        for cte in cte_tables {
            let name = self.cte_name(cte)?;
            if names.iter().any(|known: &String| known.eq_ignore_ascii_case(&name)) {
                return Err(twice(&name));
            }
            names.push(name);
        }
        let mut done = Vec::with_capacity(names.len());
        for (place, (cte, name)) in cte_tables.iter().zip(&names).enumerate() {
            let sight = Ctes { done: &done, pending: &names[place..], outer: Some(ctes) };
            // No outer scope: engines differ about outer names within WITH, and honest ones do not
            // need them.
            let columns = self.query(&cte.query, None, &sight)?;
            done.push(Cte { name: name.clone(), columns });
        }
        Ok(done)
    }

    fn cte_name(&mut self, cte: &CteNode) -> Result<String, SqlRefusal> {
        let CteNode { alias, query: _, from, materialized, closing_paren_token: _ } = cte;
        absent("FROM behind WITH", from.is_none())?;
        match materialized {
            None | Some(CteAsMaterialized::Materialized | CteAsMaterialized::NotMaterialized) => {}
        }
        self.alias(alias)
    }

    /// An alias of a relation, without a column list: PostgreSQL lets `t(a, b, id)` make `id` mean
    /// the third column, whatever its name.
    pub(super) fn alias(&mut self, alias: &TableAlias) -> Result<String, SqlRefusal> {
        let TableAlias { explicit: _, name, columns, at } = alias;
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
            let later = ctes.pending.iter().any(|name| key.eq_ignore_ascii_case(name));
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
