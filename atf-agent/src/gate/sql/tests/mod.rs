//! Rows for each rule, a real SQLite, hostile depth and random text.

mod aliases;
mod depth;
mod honest;
mod keyed;
mod language;
mod random;
mod reports;
mod resources;
mod rewrite;
mod rows;
mod second;
mod sqlite;
mod structure;
mod wildcards;
mod words;
mod writes;
mod written;

use super::promises::{ALL, judge, ledger_of};
use super::{Dialect, SqlFacts, SqlProfile, SqlRefusal, check};
