//! R10 for operators: arithmetic, comparison, logic and joining of texts. What an engine could run
//! as a function (regular expressions, JSON paths, user-defined ones) is refused.

use sqlparser::ast::{BinaryOperator, Expr, UnaryOperator};

use super::refusal::{Rule, SqlRefusal};

fn refuse(operator: String) -> SqlRefusal {
    SqlRefusal::new(
        Rule::R10,
        None,
        format!("the operator {operator}"),
        "+ - * / % || = <> < <= > >= AND OR NOT",
    )
}

/// What an allowed operator does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Does {
    Compare,
    Other,
}

/// Judges an operator by its name alone.
#[expect(clippy::too_many_lines, reason = "each kind by name")]
pub(super) fn binary(operator: &BinaryOperator) -> Result<Does, SqlRefusal> {
    match operator {
        BinaryOperator::Gt
        | BinaryOperator::Lt
        | BinaryOperator::GtEq
        | BinaryOperator::LtEq
        | BinaryOperator::Eq
        | BinaryOperator::NotEq => Ok(Does::Compare),
        BinaryOperator::Plus
        | BinaryOperator::Minus
        | BinaryOperator::Multiply
        | BinaryOperator::Divide
        | BinaryOperator::Modulo
        | BinaryOperator::StringConcat
        | BinaryOperator::And
        | BinaryOperator::Or => Ok(Does::Other),
        BinaryOperator::Spaceship
        | BinaryOperator::Xor
        | BinaryOperator::BitwiseOr
        | BinaryOperator::BitwiseAnd
        | BinaryOperator::BitwiseXor
        | BinaryOperator::DuckIntegerDivide
        | BinaryOperator::MyIntegerDivide
        | BinaryOperator::Match
        | BinaryOperator::Regexp
        | BinaryOperator::Glob
        | BinaryOperator::Custom(_)
        | BinaryOperator::PGBitwiseXor
        | BinaryOperator::PGBitwiseShiftLeft
        | BinaryOperator::PGBitwiseShiftRight
        | BinaryOperator::PGExp
        | BinaryOperator::PGOverlap
        | BinaryOperator::PGRegexMatch
        | BinaryOperator::PGRegexIMatch
        | BinaryOperator::PGRegexNotMatch
        | BinaryOperator::PGRegexNotIMatch
        | BinaryOperator::PGLikeMatch
        | BinaryOperator::PGILikeMatch
        | BinaryOperator::PGNotLikeMatch
        | BinaryOperator::PGNotILikeMatch
        | BinaryOperator::PGStartsWith
        | BinaryOperator::Arrow
        | BinaryOperator::LongArrow
        | BinaryOperator::HashArrow
        | BinaryOperator::HashLongArrow
        | BinaryOperator::AtAt
        | BinaryOperator::AtArrow
        | BinaryOperator::ArrowAt
        | BinaryOperator::HashMinus
        | BinaryOperator::AtQuestion
        | BinaryOperator::Question
        | BinaryOperator::QuestionAnd
        | BinaryOperator::QuestionPipe
        | BinaryOperator::PGCustomBinaryOperator(_)
        | BinaryOperator::Overlaps
        | BinaryOperator::DoubleHash
        | BinaryOperator::LtDashGt
        | BinaryOperator::AndLt
        | BinaryOperator::AndGt
        | BinaryOperator::LtLtPipe
        | BinaryOperator::PipeGtGt
        | BinaryOperator::AndLtPipe
        | BinaryOperator::PipeAndGt
        | BinaryOperator::LtCaret
        | BinaryOperator::GtCaret
        | BinaryOperator::QuestionHash
        | BinaryOperator::QuestionDash
        | BinaryOperator::QuestionDashPipe
        | BinaryOperator::QuestionDoublePipe
        | BinaryOperator::At
        | BinaryOperator::TildeEq
        | BinaryOperator::Assignment => Err(refuse(operator.to_string())),
    }
}

/// Judges an operator between two expressions. A comparison of a comparison needs parentheses:
/// PostgreSQL has no such thing, and engines disagree about what it compares.
pub(super) fn between(
    left: &Expr,
    operator: &BinaryOperator,
    right: &Expr,
) -> Result<(), SqlRefusal> {
    match binary(operator)? {
        Does::Other => Ok(()),
        Does::Compare => {
            if compares(left) || compares(right) {
                return Err(SqlRefusal::new(
                    Rule::R10,
                    None,
                    "a comparison of a comparison",
                    "parentheses around one of them",
                ));
            }
            Ok(())
        }
    }
}

fn compares(expr: &Expr) -> bool {
    matches!(expr, Expr::BinaryOp { op, .. } if binary(op) == Ok(Does::Compare))
}

/// Judges a prefix operator.
pub(super) fn unary(operator: UnaryOperator) -> Result<(), SqlRefusal> {
    match operator {
        UnaryOperator::Plus | UnaryOperator::Minus | UnaryOperator::Not => Ok(()),
        UnaryOperator::AtDashAt
        | UnaryOperator::BangNot
        | UnaryOperator::BitwiseNot
        | UnaryOperator::DoubleAt
        | UnaryOperator::Hash
        | UnaryOperator::PGAbs
        | UnaryOperator::PGCubeRoot
        | UnaryOperator::PGPostfixFactorial
        | UnaryOperator::PGPrefixFactorial
        | UnaryOperator::PGSquareRoot
        | UnaryOperator::QuestionDash
        | UnaryOperator::QuestionPipe => Err(refuse(operator.to_string())),
    }
}
