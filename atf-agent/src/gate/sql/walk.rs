//! The walk over the tree: what it collects and the counts that R12 caps. The other files add the
//! steps for their kind of node.

use sqlparser::ast::Ident;

use super::facts::{Class, SqlFacts};
use super::names;
use super::parse::Parsed;
use super::profile::{Engine, SqlProfile};
use super::refusal::{Position, Rule, SqlRefusal};
use super::scope::{Found, Scope};

/// Deepest nesting of nodes, left-deep chains of operators not counted: they are walked in a loop.
/// Each level costs some kilobytes of stack in a debug build.
const NODE_DEPTH_MAX: u32 = 48;

/// A judged WITH entry.
#[derive(Debug)]
pub(super) struct Cte {
    pub(super) name: String,
    pub(super) columns: Vec<Option<String>>,
}

/// The WITH names that can be seen, innermost level first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ctes<'a> {
    /// Entries that are judged and in sight.
    pub(super) done: &'a [Cte],
    /// The entry being judged and the ones behind it: SQLite sees them, others do not.
    pub(super) pending: &'a [String],
    pub(super) outer: Option<&'a Ctes<'a>>,
}

/// Where an expression stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Here<'a, 'p> {
    pub(super) scope: &'a Scope<'a, 'p>,
    pub(super) ctes: &'a Ctes<'a>,
}

/// The walk's state.
pub(super) struct Walk<'p> {
    pub(super) profile: &'p SqlProfile,
    pub(super) engine: Engine,
    pub(super) facts: SqlFacts,
    seen: Vec<Position>,
    nodes_deep: u32,
    /// Terms of the left-deep chains around this place, which `nodes_deep` does not count.
    terms_deep: u32,
    levels: u32,
    queries_deep: u32,
    selects: u32,
    joins: u32,
    cross_joins: u32,
}

impl<'p> Walk<'p> {
    pub(super) fn new(profile: &'p SqlProfile, engine: Engine) -> Self {
        Self {
            profile,
            engine,
            facts: SqlFacts::of_a_select(),
            seen: Vec::new(),
            nodes_deep: 0,
            terms_deep: 0,
            levels: 0,
            queries_deep: 0,
            selects: 0,
            joins: 0,
            cross_joins: 0,
        }
    }

    /// Judges the whole statement.
    pub(super) fn statement(&mut self, statement: &Parsed) -> Result<(), SqlRefusal> {
        match statement {
            Parsed::Query(query) => {
                let none = Ctes { done: &[], pending: &[], outer: None };
                self.query(query, None, &none)?;
                self.outermost(query)
            }
            Parsed::Insert(insert) => self.insert(insert),
            Parsed::Update(update) => self.update(update),
            Parsed::Delete(delete) => self.delete(delete),
        }
    }

    /// What it does, and the most levels of its tree.
    pub(super) fn into_facts(self) -> (SqlFacts, u32) {
        (self.facts, self.levels)
    }

    /// Where the names stood that the walk has read.
    pub(super) fn seen(&mut self) -> &[Position] {
        self.seen.sort_unstable();
        &self.seen
    }

    /// Notes that a name was read and judged.
    pub(super) fn see(&mut self, ident: &Ident) {
        self.seen.extend(names::place(ident));
    }

    /// Notes a column that was resolved.
    pub(super) fn reads(&mut self, found: Found<'p>) {
        match found {
            Found::Listed { table, column } => {
                self.facts.columns.insert(format!("{table}.{column}"));
            }
            Found::Known => {}
        }
    }

    pub(super) fn enter_node(&mut self) -> Result<(), SqlRefusal> {
        self.nodes_deep += 1;
        self.levels = self.levels.max(self.nodes_deep + self.terms_deep);
        cap(self.nodes_deep, NODE_DEPTH_MAX, "levels of nesting")
    }

    pub(super) fn leave_node(&mut self) {
        self.nodes_deep -= 1;
    }

    /// One term further down a left-deep chain, which is walked in a loop.
    pub(super) fn enter_term(&mut self) {
        self.terms_deep += 1;
        self.levels = self.levels.max(self.nodes_deep + self.terms_deep);
    }

    pub(super) fn leave_terms(&mut self, terms: u32) {
        self.terms_deep -= terms;
    }

    pub(super) fn enter_query(&mut self) -> Result<(), SqlRefusal> {
        match self.facts.class {
            Class::Select => {}
            Class::Insert | Class::Update | Class::Delete => {
                let allowed = "values without queries";
                return Err(SqlRefusal::new(Rule::R16, None, "a query in a write", allowed));
            }
        }
        self.queries_deep += 1;
        let max = self.profile.query_depth_max;
        cap(self.queries_deep, max, "queries within each other")
    }

    pub(super) fn leave_query(&mut self) {
        self.queries_deep -= 1;
    }

    pub(super) fn count_select(&mut self) -> Result<(), SqlRefusal> {
        self.selects += 1;
        cap(self.selects, self.profile.selects_max, "SELECTs")
    }

    pub(super) fn count_join(&mut self, has_condition: bool) -> Result<(), SqlRefusal> {
        self.joins += 1;
        cap(self.joins, self.profile.joins_max, "joins")?;
        if !has_condition {
            self.cross_joins += 1;
            let max = self.profile.cross_joins_max;
            cap(self.cross_joins, max, "joins without condition")?;
        }
        Ok(())
    }

    pub(super) fn cap_list(&self, length: usize) -> Result<(), SqlRefusal> {
        cap_list(length, self.profile)
    }
}

/// R12 for a list of so many entries.
pub(super) fn cap_list(length: usize, profile: &SqlProfile) -> Result<(), SqlRefusal> {
    cap(length, profile.list_max, "entries of a list")
}

fn cap<N: PartialOrd + std::fmt::Display>(n: N, max: N, what: &str) -> Result<(), SqlRefusal> {
    if n > max {
        let found = format!("more than {max} {what}");
        return Err(SqlRefusal::new(Rule::R12, None, found, format!("{max} {what}")));
    }
    Ok(())
}
