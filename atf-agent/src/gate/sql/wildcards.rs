//! R8 for wildcards: `*` and `t.*` stand for the columns of queries that were judged themselves. Of a table they
//! would stand for all that it has.

use sqlparser::ast::{SelectItemQualifiedWildcardKind as Qualified, WildcardAdditionalOptions};

use super::names::{self, Same};
use super::query::Outputs;
use super::refusal::{Rule, SqlRefusal};
use super::scope::{Columns, Relation};
use super::walk::{Here, Walk};

impl<'p> Walk<'p> {
    /// The columns that a wildcard of a select list stands for: of one relation, or of all.
    pub(super) fn every_column(
        &mut self,
        of: Option<&Qualified>,
        options: &WildcardAdditionalOptions,
        here: Here<'_, 'p>,
    ) -> Result<Outputs, SqlRefusal> {
        let WildcardAdditionalOptions {
            wildcard_token: _,
            opt_ilike,
            opt_exclude,
            opt_except,
            opt_replace,
            opt_rename,
            opt_alias,
        } = options;
        let is_plain = opt_ilike.is_none()
            && opt_exclude.is_none()
            && opt_except.is_none()
            && opt_replace.is_none()
            && opt_rename.is_none()
            && opt_alias.is_none();
        let relations = here.scope.relations;
        // Engines differ about the place of a column that USING made of two.
        if !is_plain || !here.scope.merged.is_empty() || relations.is_empty() {
            return Err(wildcard());
        }
        let of = match of {
            None => relations,
            Some(Qualified::Expr(_)) => return Err(wildcard()),
            Some(Qualified::ObjectName(name)) => {
                let ident = names::one_part(name)?;
                let key = names::key(ident, self.engine);
                let is_it = |relation: &Relation<'_>| {
                    let same = |name| names::relation(&key, name, self.engine) == Same::Yes;
                    relation.name.as_deref().is_some_and(same)
                };
                let at = relations.iter().position(is_it).ok_or_else(wildcard)?;
                self.see(ident);
                &relations[at..=at]
            }
        };
        let mut all = Vec::new();
        for relation in of {
            match &relation.columns {
                Columns::Listed { .. } => return Err(wildcard()),
                Columns::Known(columns) => all.extend(columns.iter().cloned()),
            }
        }
        Ok(all)
    }
}

/// A wildcard that names columns which the profile may not list.
pub(super) fn wildcard() -> SqlRefusal {
    let allowed = "columns by name, count(*), * of WITH entries and derived tables";
    SqlRefusal::new(Rule::R8, None, "a wildcard", allowed)
}
