//! The parser's dialects, word for word, with a short way for what stands in a long list: there the parser would
//! try each number as the name of a type, and write the error that it then throws away.

use std::any::TypeId;
use std::iter::Peekable;
use std::str::Chars;

use sqlparser::ast::{ColumnOption, Expr, GranteesType, Ident, ObjectNamePart, Statement};
use sqlparser::dialect::{Dialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use super::lists::is_literal;

/// A dialect that reads as `D` does.
#[derive(Debug)]
pub(super) struct Brisk<D>(pub(super) D);

/// A number or a text behind another one and a comma, with a comma or the closing parenthesis behind it: whatever the
/// dialect, the parser would make the same of it. The one before was read by the parser itself, or so, and no less
/// deep: its limit of recursion ends the same texts.
fn listed(parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
    let is_listed = parser.get_current_token().token == Token::Comma
        && is_literal(&parser.get_previous_token().token)
        && is_literal(&parser.peek_token_ref().token)
        && matches!(parser.peek_nth_token_ref(1).token, Token::Comma | Token::RParen);
    is_listed.then(|| parser.parse_value().map(Expr::Value))
}

macro_rules! as_inner {
    ($($says:ident)*) => {
        $(fn $says(&self) -> bool {
            self.0.$says()
        })*
    };
}

#[deny(
    clippy::missing_trait_methods,
    reason = "what is not handed on would be the trait's own default"
)]
impl<D: Dialect> Dialect for Brisk<D> {
    fn parse_prefix(&self, parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        self.0.parse_prefix(parser).or_else(|| listed(parser))
    }

    fn dialect(&self) -> TypeId {
        self.0.dialect()
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        self.0.is_delimited_identifier_start(ch)
    }

    fn is_nested_delimited_identifier_start(&self, ch: char) -> bool {
        self.0.is_nested_delimited_identifier_start(ch)
    }

    fn peek_nested_delimited_identifier_quotes(
        &self,
        chars: Peekable<Chars<'_>>,
    ) -> Option<(char, Option<char>)> {
        self.0.peek_nested_delimited_identifier_quotes(chars)
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        self.0.identifier_quote_style(identifier)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        self.0.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        self.0.is_identifier_part(ch)
    }

    fn is_custom_operator_part(&self, ch: char) -> bool {
        self.0.is_custom_operator_part(ch)
    }

    fn parse_infix(
        &self,
        parser: &mut Parser<'_>,
        expr: &Expr,
        precedence: u8,
    ) -> Option<Result<Expr, ParserError>> {
        self.0.parse_infix(parser, expr, precedence)
    }

    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        self.0.get_next_precedence(parser)
    }

    fn get_next_precedence_default(&self, parser: &Parser<'_>) -> Result<u8, ParserError> {
        self.0.get_next_precedence_default(parser)
    }

    fn parse_statement(&self, parser: &mut Parser<'_>) -> Option<Result<Statement, ParserError>> {
        self.0.parse_statement(parser)
    }

    fn parse_column_option(
        &self,
        parser: &mut Parser<'_>,
    ) -> Result<Option<Result<Option<ColumnOption>, ParserError>>, ParserError> {
        self.0.parse_column_option(parser)
    }

    fn prec_value(&self, prec: Precedence) -> u8 {
        self.0.prec_value(prec)
    }

    fn prec_unknown(&self) -> u8 {
        self.0.prec_unknown()
    }

    fn is_reserved_for_identifier(&self, kw: Keyword) -> bool {
        self.0.is_reserved_for_identifier(kw)
    }

    fn get_reserved_keywords_for_select_item_operator(&self) -> &[Keyword] {
        self.0.get_reserved_keywords_for_select_item_operator()
    }

    fn get_reserved_grantees_types(&self) -> &[GranteesType] {
        self.0.get_reserved_grantees_types()
    }

    fn is_column_alias(&self, kw: &Keyword, parser: &mut Parser<'_>) -> bool {
        self.0.is_column_alias(kw, parser)
    }

    fn is_select_item_alias(&self, explicit: bool, kw: &Keyword, parser: &mut Parser<'_>) -> bool {
        self.0.is_select_item_alias(explicit, kw, parser)
    }

    fn is_table_factor(&self, kw: &Keyword, parser: &mut Parser<'_>) -> bool {
        self.0.is_table_factor(kw, parser)
    }

    fn is_table_alias(&self, kw: &Keyword, parser: &mut Parser<'_>) -> bool {
        self.0.is_table_alias(kw, parser)
    }

    fn is_table_factor_alias(&self, explicit: bool, kw: &Keyword, parser: &mut Parser<'_>) -> bool {
        self.0.is_table_factor_alias(explicit, kw, parser)
    }

    fn is_identifier_generating_function_name(
        &self,
        ident: &Ident,
        name_parts: &[ObjectNamePart],
    ) -> bool {
        self.0.is_identifier_generating_function_name(ident, name_parts)
    }

    as_inner! {
             supports_string_literal_backslash_escape ignores_wildcard_escapes supports_unicode_string_literal
             supports_filter_during_aggregation supports_window_clause_named_window_reference
             supports_within_after_array_aggregation supports_partition_by_after_order_by supports_array_join_syntax
             supports_alter_user_as_alter_role supports_group_by_expr supports_group_by_with_modifier
             supports_left_associative_joins_without_parens supports_outer_join_operator supports_cross_join_constraint
             supports_connect_by supports_execute_immediate supports_match_recognize supports_in_empty_list
             supports_in_unparenthesized_expr supports_start_transaction_modifier supports_end_transaction_modifier
             supports_named_fn_args_with_eq_operator supports_named_fn_args_with_colon_operator
             supports_named_fn_args_with_assignment_operator supports_named_fn_args_with_rarrow_operator
             supports_named_fn_args_with_expr_name supports_numeric_prefix supports_numeric_literal_underscores
             supports_window_function_null_treatment_arg supports_dictionary_syntax support_map_literal_syntax
             supports_lambda_functions supports_parenthesized_set_variables supports_comma_separated_set_assignments
             supports_update_order_by supports_select_wildcard_except convert_type_before_value
             supports_triple_quoted_string supports_trailing_commas supports_limit_comma
             supports_string_literal_concatenation supports_string_literal_concatenation_with_newline
             supports_projection_trailing_commas supports_from_trailing_commas supports_column_definition_trailing_commas
             supports_object_name_double_dot_notation supports_struct_literal supports_empty_projections
             supports_select_expr_star supports_from_first_select supports_from_first_insert supports_pipe_operator
             supports_user_host_grantee supports_match_against supports_select_wildcard_exclude supports_select_exclude
             supports_create_table_multi_schema_info_sources supports_select_modifiers describe_requires_table_keyword
             allow_extract_custom allow_extract_single_quotes supports_extract_comma_syntax
             supports_subquery_as_function_arg supports_create_view_comment_syntax
             supports_array_typedef_without_element_type supports_parens_around_table_factor
             supports_values_as_table_factor supports_dollar_placeholder supports_dollar_as_money_prefix
             supports_create_index_with_clause require_interval_qualifier supports_explain_with_utility_options
             supports_asc_desc_in_column_definition supports_factorial_operator supports_bitwise_shift_operators
             supports_nested_comments supports_multiline_comment_hints supports_eq_alias_assignment supports_try_convert
             supports_bang_not_operator supports_listen_notify supports_exclude_constraint supports_load_data
             supports_load_extension supports_top_before_distinct supports_boolean_literals supports_show_like_before_in
             supports_comment_on supports_create_table_select supports_leading_comma_before_table_options
             supports_partiql supports_unpivot_expr supports_constraint_keyword_without_name supports_key_column_option
             supports_table_sample_before_alias supports_insert_set supports_insert_table_function
             supports_insert_table_query supports_insert_format supports_insert_table_alias
             supports_set_stmt_without_operator supports_table_versioning supports_string_escape_constant
             supports_table_hints requires_single_line_comment_whitespace supports_array_typedef_with_brackets
             supports_geometric_types supports_order_by_all supports_order_by_using_operator supports_set_names
             supports_space_separated_column_options supports_alter_column_type_using
             supports_comma_separated_drop_column_list supports_notnull_operator supports_data_type_signed_suffix
             supports_interval_options supports_create_table_like_parenthesized supports_semantic_view_table_factor
             supports_quote_delimited_string supports_comment_optimizer_hint supports_double_ampersand_operator
             supports_binary_kw_as_cast supports_select_wildcard_replace supports_select_wildcard_ilike
             supports_select_wildcard_rename supports_select_wildcard_with_alias supports_optimize_table supports_install
             supports_detach supports_prewhere supports_with_fill supports_limit_by supports_interpolate
             supports_settings supports_select_format supports_comma_separated_trim supports_cte_without_as
             supports_select_item_multi_column_alias supports_xml_expressions supports_aliased_function_args
             supports_create_table_using supports_long_type_as_bigint supports_map_literal_with_angle_brackets
    }
}

#[cfg(test)]
mod tests {
    use sqlparser::dialect::{MySqlDialect, PostgreSqlDialect, SQLiteDialect};
    use sqlparser::tokenizer::{TokenWithSpan, Tokenizer};

    use super::super::parse::is_gap;
    use super::*;
    use crate::gate::promises::statements::HONEST;

    /// Deep enough for some, and not for others.
    const RECURSION_MAX: usize = 9;

    /// What the parser makes of a text, with all places; or its error.
    fn read(dialect: &dyn Dialect, tokens: Vec<TokenWithSpan>) -> String {
        let mut parser = Parser::new(dialect).with_recursion_limit(RECURSION_MAX);
        parser = parser.with_tokens_with_locations(tokens);
        let read = parser.parse_statement();
        format!("{read:?} {:?}", parser.next_token())
    }

    fn reads_the_same<D: Dialect>(dialect: D, brisk: &Brisk<D>, text: &str) {
        let plain: &dyn Dialect = &dialect;
        let Ok(tokens) = Tokenizer::new(plain, text).tokenize_with_location() else { return };
        let mut parted = tokens.clone();
        parted.retain(|token| !is_gap(&token.token));
        assert_eq!(read(brisk, parted), read(plain, tokens), "{text}");
    }

    #[test]
    fn the_parser_makes_the_same_of_every_text() {
        let lists = [
            "1, 2, 3",
            "1,2,3",
            "'a', 'b', 'c'",
            "'a', 'b' 'c', 'd'",
            "'a', 'b'\n'c', 'd'",
            "1, -2, 3 + 4, 5",
            "1, 2.5, 3e4, x, 'y', 6",
            "1, 2,",
            "1, 2 3, 4",
            "1, 2::int, 3",
            "1, '2'::date, 3",
            "1, 2 IS NULL, 3",
            "1, 2 COLLATE x, 3",
            "1, date '2026-01-01', 3",
            "1, interval '1' day, 3",
            "*, 1, 2",
            "1, (2, 3, 4), 5",
            "1, ((((2, 3)))), 4",
            "((((1, 2, 3))))",
            "(((((1, 2, 3)))))",
            "f(1, 2, 3), 4",
            "f(a => 1, 2, 3)",
            "1, 2 AS x, 3",
            "1, 2 'x', 3",
            "1, 2.x, 3",
            "1, 'a'.b, 3",
            "1, 2[3], 4",
            "DISTINCT 1, 2, 3",
            "",
        ];
        let around = [
            "SELECT a FROM t WHERE a IN (?)",
            "SELECT ?",
            "SELECT (?)",
            "SELECT (SELECT ?)",
            "SELECT f(?)",
            "SELECT a FROM t ORDER BY ? LIMIT 1, 2",
            "INSERT INTO t VALUES (?), (?)",
            "SELECT ARRAY[?]",
            "SELECT a FROM (SELECT a FROM t WHERE a NOT IN (?) GROUP BY ?) AS s",
            "SELECT substring(?)",
            "UPDATE t SET a = 1 WHERE a IN (?)",
            "SELECT CASE WHEN a IN (?) THEN 1 ELSE 2 END, 3, 4",
        ];
        let texts = around.iter().flat_map(|around| lists.map(|list| around.replace('?', list)));
        for text in texts.chain(HONEST.iter().map(|text| (*text).to_owned())) {
            reads_the_same(PostgreSqlDialect {}, &Brisk(PostgreSqlDialect {}), &text);
            reads_the_same(MySqlDialect {}, &Brisk(MySqlDialect {}), &text);
            reads_the_same(SQLiteDialect {}, &Brisk(SQLiteDialect {}), &text);
        }
    }

    /// How often a list of numbers is read the short way.
    #[test]
    fn all_of_a_list_but_its_first_is_read_the_short_way() {
        let dialect = PostgreSqlDialect {};
        for (list, short) in [("(1)", 0), ("(1, 2)", 1), ("(1, 2, 'x', 4.5)", 3), ("(1, -2, 3)", 1)]
        {
            let mut parser = Parser::new(&dialect).try_with_sql(list).unwrap();
            let mut found = 0;
            while parser.peek_token_ref().token != Token::EOF {
                match listed(&mut parser) {
                    Some(read) => found += usize::from(read.is_ok()),
                    None => parser.advance_token(),
                }
            }
            assert_eq!(found, short, "{list}");
        }
    }
}
