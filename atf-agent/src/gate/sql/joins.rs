//! R4, R7 and R8 for joins: their kinds, and what ON and USING may name.

use sqlparser::ast::{Ident, Join, JoinConstraint, JoinOperator, TableWithJoins};

use super::from::From;
use super::names;
use super::profile::Engine;
use super::query::{absent, refused};
use super::refusal::{Rule, SqlRefusal, one_of, quote};
use super::scope::Columns;
use super::walk::{Ctes, Walk};

impl<'p> Walk<'p> {
    /// A table and what is joined to it.
    pub(super) fn joined<'q>(
        &mut self,
        table: &'q TableWithJoins,
        read: &mut From<'p, 'q>,
        ctes: &Ctes<'_>,
    ) -> Result<(), SqlRefusal> {
        let TableWithJoins { relation, joins } = table;
        self.enter_node()?;
        let start = read.relations.len();
        self.factor(relation, read, ctes)?;
        for join in joins {
            let Join { relation, global, join_operator } = join;
            absent("GLOBAL", !global)?;
            let right = read.relations.len();
            self.factor(relation, read, ctes)?;
            self.operator(join_operator, start, right, read)?;
        }
        self.leave_node();
        Ok(())
    }

    fn operator<'q>(
        &mut self,
        operator: &'q JoinOperator,
        start: usize,
        right: usize,
        read: &mut From<'p, 'q>,
    ) -> Result<(), SqlRefusal> {
        let constraint = match operator {
            // MySQL has no such join: FULL is the alias of the table before it there.
            JoinOperator::FullOuter(_) if self.engine == Engine::Mysql => {
                return Err(refused("FULL JOIN"));
            }
            JoinOperator::Join(constraint)
            | JoinOperator::Inner(constraint)
            | JoinOperator::Left(constraint)
            | JoinOperator::LeftOuter(constraint)
            | JoinOperator::Right(constraint)
            | JoinOperator::RightOuter(constraint)
            | JoinOperator::FullOuter(constraint)
            | JoinOperator::CrossJoin(constraint) => constraint,
            JoinOperator::Semi(_)
            | JoinOperator::LeftSemi(_)
            | JoinOperator::RightSemi(_)
            | JoinOperator::Anti(_)
            | JoinOperator::LeftAnti(_)
            | JoinOperator::RightAnti(_) => return Err(refused("a semi or anti join")),
            JoinOperator::CrossApply | JoinOperator::OuterApply => return Err(refused("APPLY")),
            JoinOperator::AsOf { match_condition: _, constraint: _ } => {
                return Err(refused("ASOF"));
            }
            JoinOperator::StraightJoin(_) => return Err(refused("STRAIGHT_JOIN")),
            JoinOperator::ArrayJoin
            | JoinOperator::LeftArrayJoin
            | JoinOperator::InnerArrayJoin => return Err(refused("ARRAY JOIN")),
        };
        match constraint {
            JoinConstraint::On(condition) => {
                self.count_join(true)?;
                let visible = start..read.relations.len();
                read.conditions.push((condition, visible));
            }
            JoinConstraint::Using(columns) => {
                self.count_join(true)?;
                for column in columns {
                    self.using(names::one_part(column)?, right, read)?;
                }
            }
            JoinConstraint::Natural => return Err(refused("NATURAL")),
            JoinConstraint::None => self.count_join(false)?,
        }
        Ok(())
    }

    /// A USING column must be listed by each base table before it, also by those of other joins: of
    /// several columns of that name SQLite takes the first one, without asking its authorizer.
    fn using(
        &mut self,
        ident: &Ident,
        right: usize,
        read: &mut From<'p, '_>,
    ) -> Result<(), SqlRefusal> {
        names::is_no_call(ident)?;
        let mut sides = [false, false];
        for (place, relation) in read.relations.iter().enumerate() {
            let found = relation.columns.find(ident, self.engine)?;
            match (found, &relation.columns) {
                (Some(found), _) => {
                    sides[usize::from(place >= right)] = true;
                    self.reads(found);
                }
                (None, Columns::Known(_)) => {}
                (None, Columns::Listed { table, columns }) => {
                    return Err(SqlRefusal::new(
                        Rule::R8,
                        names::place(ident),
                        format!("the column {} of {table}", quote(&ident.value)),
                        one_of(columns.iter().map(String::as_str)),
                    ));
                }
            }
        }
        if sides != [true, true] {
            return Err(SqlRefusal::new(
                Rule::R7,
                names::place(ident),
                format!("USING {} without it on both sides", quote(&ident.value)),
                "columns of both sides",
            ));
        }
        self.see(ident);
        read.merged.push(names::key(ident, self.engine));
        Ok(())
    }
}
