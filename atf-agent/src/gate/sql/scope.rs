//! R7 and R8: which relation a name means, and whether that column is listed.
//!
//! A base table is open: it may have columns that the profile does not list. So a name is never
//! looked up beyond a level with an open relation that does not list it: the engine might find it
//! there.

use std::ops::Range;

use sqlparser::ast::Ident;

use super::names::{self, Same};
use super::profile::Engine;
use super::refusal::{Rule, SqlRefusal, one_of, quote};

/// What a relation offers.
#[derive(Debug)]
pub(super) enum Columns<'p> {
    /// A base table, and the columns that the profile lists.
    Listed { table: &'p str, columns: &'p [String] },
    /// A derived table or a CTE: exactly these, where they have a name.
    Known(Vec<Option<String>>),
}

/// One entry of FROM.
#[derive(Debug)]
pub(super) struct Relation<'p> {
    /// Its alias or name; a derived table may have none.
    pub(super) name: Option<String>,
    pub(super) columns: Columns<'p>,
}

/// A level of names.
#[derive(Debug)]
pub(super) struct Scope<'a, 'p> {
    /// All relations of this FROM.
    pub(super) relations: &'a [Relation<'p>],
    /// Those that can be named here: an ON sees only the join so far.
    pub(super) visible: Range<usize>,
    /// Columns that USING made one.
    pub(super) merged: &'a [String],
    /// The query around this one.
    pub(super) outer: Option<&'a Scope<'a, 'p>>,
}

/// Where a name led.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found<'p> {
    /// A listed column.
    Listed { table: &'p str, column: &'p str },
    /// A column of a query that was judged itself.
    Known,
}

impl<'p> Columns<'p> {
    /// Looks a column up.
    pub(super) fn find(
        &self,
        ident: &Ident,
        engine: Engine,
    ) -> Result<Option<Found<'p>>, SqlRefusal> {
        let key = names::key(ident, engine);
        match self {
            Self::Listed { table, columns } => {
                let column = pick(ident, &key, columns.iter().map(String::as_str), engine)?;
                Ok(column.map(|column| Found::Listed { table, column }))
            }
            Self::Known(names) => {
                let known = names.iter().flatten().map(String::as_str);
                Ok(pick(ident, &key, known, engine)?.map(|_| Found::Known))
            }
        }
    }

    /// The names that it offers, for a refusal.
    fn offers(&self) -> Vec<&str> {
        match self {
            Self::Listed { table: _, columns } => columns.iter().map(String::as_str).collect(),
            Self::Known(names) => names.iter().flatten().map(String::as_str).collect(),
        }
    }
}

/// The name that equals the key; one that differs in case alone is refused.
pub(super) fn pick<'n>(
    ident: &Ident,
    key: &str,
    names: impl IntoIterator<Item = &'n str>,
    engine: Engine,
) -> Result<Option<&'n str>, SqlRefusal> {
    let mut in_other_case = None;
    for name in names {
        match names::column(key, name, engine) {
            Same::Yes => return Ok(Some(name)),
            Same::ButCase => in_other_case = Some(name),
            Same::No => {}
        }
    }
    match in_other_case {
        None => Ok(None),
        Some(name) => Err(names::differs_in_case(ident, name)),
    }
}

impl<'p> Scope<'_, 'p> {
    /// Resolves a name without qualifier: all the listed columns that it stands for.
    pub(super) fn bare(&self, ident: &Ident, engine: Engine) -> Result<Vec<Found<'p>>, SqlRefusal> {
        names::is_no_call(ident)?;
        let mut level = Some(self);
        while let Some(scope) = level {
            let visible = &scope.relations[scope.visible.clone()];
            let mut found = Vec::new();
            for relation in visible {
                found.extend(relation.columns.find(ident, engine)?);
            }
            let key = names::key(ident, engine);
            let merged = |name: &String| names::column(&key, name, engine) == Same::Yes;
            if found.len() > 1 && !scope.merged.iter().any(merged) {
                return Err(SqlRefusal::new(
                    Rule::R7,
                    names::place(ident),
                    format!("the column {} in two relations", quote(&ident.value)),
                    "a column with its relation in front",
                ));
            }
            if !found.is_empty() {
                return Ok(found);
            }
            // An ON sees less than its FROM, and engines disagree about the rest.
            let partial = visible.len() < scope.relations.len();
            let open = |relation: &Relation<'_>| matches!(relation.columns, Columns::Listed { .. });
            if partial || visible.iter().any(open) {
                break;
            }
            level = scope.outer;
        }
        Err(self.not_listed(ident))
    }

    /// Resolves `qualifier.column`.
    pub(super) fn qualified(
        &self,
        qualifier: &Ident,
        ident: &Ident,
        engine: Engine,
    ) -> Result<Found<'p>, SqlRefusal> {
        let key = names::key(qualifier, engine);
        let mut level = Some(self);
        while let Some(scope) = level {
            for (place, relation) in scope.relations.iter().enumerate() {
                let Some(name) = &relation.name else { continue };
                match names::relation(&key, name, engine) {
                    Same::No => {}
                    Same::ButCase => return Err(names::differs_in_case(qualifier, name)),
                    Same::Yes if !scope.visible.contains(&place) => {
                        return Err(SqlRefusal::new(
                            Rule::R7,
                            names::place(qualifier),
                            format!("{} before it is joined", quote(&qualifier.value)),
                            "relations of the join so far",
                        ));
                    }
                    Same::Yes => {
                        let found = relation.columns.find(ident, engine)?;
                        return found.ok_or_else(|| {
                            let column = format!("{}.{}", qualifier.value, ident.value);
                            SqlRefusal::new(
                                Rule::R8,
                                names::place(ident),
                                format!("the column {}", quote(&column)),
                                one_of(relation.columns.offers()),
                            )
                        });
                    }
                }
            }
            level = scope.outer;
        }
        Err(SqlRefusal::new(
            Rule::R7,
            names::place(qualifier),
            format!("the relation {}", quote(&qualifier.value)),
            "a relation of this query or of one around it",
        ))
    }

    fn not_listed(&self, ident: &Ident) -> SqlRefusal {
        let offers = self.relations[self.visible.clone()]
            .iter()
            .flat_map(|relation| relation.columns.offers());
        SqlRefusal::new(
            Rule::R8,
            names::place(ident),
            format!("the column {}", quote(&ident.value)),
            one_of(offers),
        )
    }
}
