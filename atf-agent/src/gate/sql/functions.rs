//! R9: listed functions, by their plain name, and the shapes of arguments that they may have. Some
//! functions look like keywords and are nodes of their own; they need their name listed as well.

use sqlparser::ast::{
    CeilFloorKind, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentClause, FunctionArgumentList, FunctionArguments, Ident, ValueWithSpan,
};

use super::agree::position;
use super::literals::literal;
use super::names;
use super::profile::Engine;
use super::refusal::{Position, Rule, SqlRefusal, one_of, quote};
use super::types;
use super::walk::{Here, Walk};
use super::wildcards::wildcard;

/// Aggregates of one argument. With more of them, SQLite has other functions under these names.
const OF_ONE: [&str; 5] = ["avg", "count", "max", "min", "sum"];

impl<'p> Walk<'p> {
    /// Judges a call.
    pub(super) fn function(
        &mut self,
        function: &Function,
        here: Here<'_, 'p>,
    ) -> Result<(), SqlRefusal> {
        let Function {
            name,
            uses_odbc_syntax,
            parameters,
            args,
            within_group,
            filter,
            null_treatment,
            over,
        } = function;
        let ident = names::one_part(name)?;
        let at = names::place(ident);
        let is_clock = matches!(args, FunctionArguments::None)
            && names::is_clock(ident, self.engine)
            && filter.is_none()
            && over.is_none();
        if !is_clock {
            names::is_no_call(ident)?;
        }
        let name = self.listed(ident)?;
        self.see(ident);
        let shape = |found: &str, allowed: &str| {
            Err(SqlRefusal::new(Rule::R9, at, format!("{name} {found}"), allowed))
        };
        if *uses_odbc_syntax {
            return shape("as an ODBC escape", "a plain call");
        }
        match parameters {
            FunctionArguments::None => {}
            FunctionArguments::Subquery(_) | FunctionArguments::List(_) => {
                return shape("with parameters", "arguments alone");
            }
        }
        if null_treatment.is_some() {
            return shape("with a treatment of nulls", "arguments, FILTER, OVER");
        }
        if !within_group.is_empty() && (self.engine != Engine::Postgres || is_of_one(&name)) {
            return shape("with WITHIN GROUP", "arguments, FILTER, OVER");
        }
        within_group.iter().try_for_each(|term| self.order_term(term, here))?;
        match args {
            FunctionArguments::None if is_clock => {}
            FunctionArguments::None => return shape("without parentheses", "a call with ()"),
            FunctionArguments::Subquery(_) => {
                return shape("of a query", "expressions; a query in its own parentheses");
            }
            FunctionArguments::List(list) => self.arguments(&name, at, list, here)?,
        }
        if let Some(filter) = filter {
            self.expr(filter, here)?;
        }
        match over {
            None => Ok(()),
            Some(window) => self.window(window, here),
        }
    }

    fn arguments(
        &mut self,
        name: &str,
        at: Option<Position>,
        list: &FunctionArgumentList,
        here: Here<'_, 'p>,
    ) -> Result<(), SqlRefusal> {
        let FunctionArgumentList { duplicate_treatment, args, clauses } = list;
        self.cap_list(args.len())?;
        let refuse = |found: &str, allowed: &str| {
            Err(SqlRefusal::new(Rule::R9, at, format!("{name} {found}"), allowed))
        };
        // MySQL counts distinct rows of several columns so.
        let counts_rows = self.engine == Engine::Mysql
            && name.eq_ignore_ascii_case("count")
            && *duplicate_treatment == Some(DuplicateTreatment::Distinct)
            && !args.is_empty();
        if is_of_one(name) && !counts_rows && args.len() != 1 {
            return refuse("without or with several arguments", "one argument");
        }
        for clause in clauses {
            match clause {
                FunctionArgumentClause::OrderBy(terms) if !is_of_one(name) => {
                    terms.iter().try_for_each(|term| self.order_term(term, here))?;
                }
                FunctionArgumentClause::Separator(ValueWithSpan { value, span })
                    if self.engine == Engine::Mysql =>
                {
                    literal(value, position(*span))?;
                }
                clause => return refuse(clause_name(clause), "arguments, of some with ORDER BY"),
            }
        }
        for arg in args {
            let value = match arg {
                FunctionArg::Unnamed(value) => value,
                FunctionArg::Named { .. } | FunctionArg::ExprNamed { .. } => {
                    return refuse("with a named argument", "arguments by place");
                }
            };
            match value {
                FunctionArgExpr::Expr(expr) => self.expr(expr, here)?,
                FunctionArgExpr::Wildcard
                    if name.eq_ignore_ascii_case("count")
                        && args.len() == 1
                        && duplicate_treatment.is_none() => {}
                FunctionArgExpr::Wildcard
                | FunctionArgExpr::QualifiedWildcard(_)
                | FunctionArgExpr::WildcardWithOptions(_) => return Err(wildcard()),
            }
        }
        Ok(())
    }

    /// A function with a node of its own and its arguments.
    pub(super) fn keyword<'e>(
        &mut self,
        name: &str,
        arguments: impl IntoIterator<Item = &'e Expr>,
        here: Here<'_, 'p>,
    ) -> Result<(), SqlRefusal> {
        if !self.profile.functions.contains(name) {
            return Err(self.not_listed(name, None));
        }
        self.facts.functions.insert(name.to_owned());
        arguments.into_iter().try_for_each(|argument| self.expr(argument, here))
    }

    /// CEIL and FLOOR.
    pub(super) fn rounded(
        &mut self,
        name: &str,
        expr: &Expr,
        field: &CeilFloorKind,
        here: Here<'_, 'p>,
    ) -> Result<(), SqlRefusal> {
        match field {
            CeilFloorKind::DateTimeField(field) => types::date_field(field)?,
            CeilFloorKind::Scale(ValueWithSpan { value, span }) => {
                literal(value, position(*span))?;
            }
        }
        self.keyword(name, [expr], here)
    }

    /// The name as the profile lists it. Only PostgreSQL takes a quoted name for the same function.
    fn listed(&mut self, ident: &Ident) -> Result<String, SqlRefusal> {
        let key = names::key(ident, self.engine);
        let name = match (self.engine, ident.quote_style) {
            (Engine::Postgres, Some(_)) if GRAMMAR.contains(&key.as_str()) => None,
            (Engine::Postgres, _) => self.profile.functions.get(&key),
            (Engine::Mysql | Engine::Sqlite, None) => {
                let mut known = self.profile.functions.iter();
                known.find(|name| name.eq_ignore_ascii_case(&key))
            }
            (Engine::Mysql | Engine::Sqlite, Some(_)) => None,
        };
        match name {
            Some(name) => {
                self.facts.functions.insert(name.clone());
                Ok(name.clone())
            }
            None => Err(self.not_listed(&ident.value, names::place(ident))),
        }
    }

    fn not_listed(&self, name: &str, at: Option<Position>) -> SqlRefusal {
        SqlRefusal::new(
            Rule::R9,
            at,
            format!("the function {}", quote(name)),
            one_of(self.profile.functions.iter().map(String::as_str)),
        )
    }
}

/// What PostgreSQL's grammar reads itself (`func_expr_common_subexpr` in gram.y). In quotes each is the name of a function
/// that somebody has made.
const GRAMMAR: [&str; 10] = [
    "coalesce",
    "extract",
    "greatest",
    "least",
    "normalize",
    "nullif",
    "overlay",
    "position",
    "substring",
    "trim",
];

fn is_of_one(name: &str) -> bool {
    OF_ONE.iter().any(|one| name.eq_ignore_ascii_case(one))
}

/// Clauses within the parentheses of a call, by name.
fn clause_name(clause: &FunctionArgumentClause) -> &'static str {
    match clause {
        FunctionArgumentClause::IgnoreOrRespectNulls(_) => "with a treatment of nulls",
        FunctionArgumentClause::Where(_) => "with WHERE",
        FunctionArgumentClause::OrderBy(_) => "with ORDER BY",
        FunctionArgumentClause::Limit(_) => "with LIMIT",
        FunctionArgumentClause::OnOverflow(_) => "with ON OVERFLOW",
        FunctionArgumentClause::Having(_) => "with HAVING",
        FunctionArgumentClause::Separator(_) => "with SEPARATOR",
        FunctionArgumentClause::JsonNullClause(_) => "with ON NULL",
        FunctionArgumentClause::JsonReturningClause(_) => "with RETURNING",
    }
}
