//! R2 on the raw text: our own scanner, stricter than any engine's, so that PostgreSQL, MySQL and
//! SQLite all cut what passes into the same tokens. It knows no grammar.

use super::profile::Engine;
use super::refusal::{Position, Rule, SqlRefusal, quote};

/// Most tokens of a statement: left-deep chains of this many terms still fit a small stack, and
/// IN-lists of a thousand values still pass.
pub(super) const TOKENS_MAX: usize = 2_000;

/// Deepest nesting of parentheses: the parser tries each way to read one, so that its time doubles
/// with each that could open a query or a join.
const NESTING_MAX: usize = 16;

/// Most of each word that makes the parser recurse without counting, or copy what it has read so far:
/// far more than a statement that the other caps let pass.
const COSTLY_MAX: usize = 16;

/// These words.
const COSTLY: [&str; 5] = ["join", "div", "glob", "match", "regexp"];

/// Operators, longest first. Bitwise, regular expression, JSON and user-defined ones are absent.
const OPERATORS: [&str; 13] =
    ["<>", "!=", "<=", ">=", "||", "=", "<", ">", "+", "-", "*", "/", "%"];

/// Characters that PostgreSQL joins into one operator.
const OPERATOR_CHARS: &str = "+-*/<>=~!@#%^&|`?";

/// Longest name, in bytes: PostgreSQL cuts longer ones silently, so that two could become one.
const NAME_BYTES_MAX: usize = 63;

/// What a token is, as far as the gate tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Word,
    Quoted,
    Text,
    Number,
    Open,
    Close,
    Comma,
    Period,
    Semicolon,
    Cast,
    Operator,
}

/// One token.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lexeme<'t> {
    pub(super) kind: Kind,
    pub(super) text: &'t str,
    pub(super) at: Position,
}

/// Cuts the text into tokens.
pub(super) fn scan(text: &str, engine: Engine) -> Result<Vec<Lexeme<'_>>, SqlRefusal> {
    let mut scanner = Scanner {
        text,
        engine,
        offset: 0,
        at: Position { line: 1, column: 1 },
        nesting: 0,
        costly: 0,
        // A word or number and its sign, mostly.
        lexemes: Vec::with_capacity(TOKENS_MAX.min(text.len() / 4)),
    };
    while let Some(c) = scanner.peek() {
        if matches!(c, ' ' | '\t' | '\n' | '\r') {
            scanner.skip(1);
        } else {
            scanner.token(c)?;
        }
    }
    Ok(scanner.lexemes)
}

struct Scanner<'t> {
    text: &'t str,
    engine: Engine,
    offset: usize,
    at: Position,
    nesting: usize,
    costly: usize,
    lexemes: Vec<Lexeme<'t>>,
}

impl<'t> Scanner<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.offset..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Moves over `bytes`, which end on a character's boundary.
    fn skip(&mut self, bytes: usize) {
        if bytes == 1 && !self.rest().starts_with('\n') {
            self.at.column += 1;
            self.offset += 1;
            return;
        }
        for c in self.rest()[..bytes].chars() {
            if c == '\n' {
                self.at.line += 1;
                self.at.column = 1;
            } else {
                self.at.column += 1;
            }
        }
        self.offset += bytes;
    }

    fn refuse<T>(&self, found: impl Into<String>, allowed: &str) -> Result<T, SqlRefusal> {
        Err(SqlRefusal::new(Rule::R2, Some(self.at), found, allowed))
    }

    fn push(&mut self, kind: Kind, bytes: usize) -> Result<(), SqlRefusal> {
        let last = self.lexemes.last().map(|lexeme| lexeme.kind);
        if last == Some(Kind::Semicolon) {
            return self.refuse("text after `;`", "one statement");
        }
        if last == Some(Kind::Text) && kind == Kind::Text {
            return self.refuse("two literals side by side", "one literal");
        }
        if self.lexemes.len() == TOKENS_MAX {
            let allowed = format!("{TOKENS_MAX} tokens at most");
            return Err(SqlRefusal::new(Rule::R0, Some(self.at), "more", allowed));
        }
        // A quoted name brings its two quotes.
        let name_bytes = match kind {
            Kind::Word => bytes,
            Kind::Quoted => bytes - 2,
            Kind::Text | Kind::Number | Kind::Open | Kind::Close | Kind::Comma => 0,
            Kind::Period | Kind::Semicolon | Kind::Cast | Kind::Operator => 0,
        };
        if name_bytes > NAME_BYTES_MAX {
            let (found, allowed) = ("a longer name", format!("{NAME_BYTES_MAX} bytes at most"));
            return Err(SqlRefusal::new(Rule::R6, Some(self.at), found, allowed));
        }
        self.lexemes.push(Lexeme { kind, text: &self.rest()[..bytes], at: self.at });
        self.skip(bytes);
        Ok(())
    }

    fn token(&mut self, c: char) -> Result<(), SqlRefusal> {
        let rest = self.rest();
        if rest.starts_with("--") || rest.starts_with("/*") || rest.starts_with('#') {
            return self.refuse("a comment", "no comments");
        }
        match c {
            'A'..='Z' | 'a'..='z' | '_' => self.word(),
            '0'..='9' => self.number(),
            '.' if rest[1..].starts_with(|next: char| next.is_ascii_digit()) => self.fraction(),
            '.' => self.push(Kind::Period, 1),
            ',' => self.push(Kind::Comma, 1),
            ';' => self.push(Kind::Semicolon, 1),
            '(' => self.open(),
            ')' => {
                self.nesting = self.nesting.saturating_sub(1);
                self.push(Kind::Close, 1)
            }
            '\'' => self.literal(),
            '"' if self.engine != Engine::Mysql => self.quoted('"'),
            '`' if self.engine != Engine::Postgres => self.quoted('`'),
            '[' if self.engine == Engine::Sqlite => self.quoted(']'),
            ':' => self.cast(),
            c if OPERATOR_CHARS.contains(c) => self.operator(),
            c if !c.is_ascii() => {
                let found = format!("the character {} outside a literal", c.escape_unicode());
                Err(SqlRefusal::new(Rule::R0, Some(self.at), found, "ASCII"))
            }
            c => self.refuse(
                format!("the character {}", quote(&c.to_string())),
                "plain SQL without variables, placeholders, escapes or brackets",
            ),
        }
    }

    fn open(&mut self) -> Result<(), SqlRefusal> {
        self.nesting += 1;
        if self.nesting > NESTING_MAX {
            let allowed = format!("{NESTING_MAX} parentheses deep at most");
            return Err(SqlRefusal::new(Rule::R12, Some(self.at), "more", allowed));
        }
        self.push(Kind::Open, 1)
    }

    /// A word in front of a quote would be a prefix (`E'..'`, `X'..'`, `U&".."`, `_utf8'..'`).
    fn word(&mut self) -> Result<(), SqlRefusal> {
        let bytes = span(self.rest(), |c| c.is_ascii_alphanumeric() || c == '_');
        self.apart(bytes, "a space between a word and what follows")?;
        let word = &self.rest()[..bytes];
        if COSTLY.iter().any(|costly| word.eq_ignore_ascii_case(costly)) {
            self.costly += 1;
            if self.costly > COSTLY_MAX {
                let allowed = format!("{COSTLY_MAX} of {}", COSTLY.join(", "));
                return Err(SqlRefusal::new(Rule::R12, Some(self.at), "more", allowed));
            }
        }
        self.push(Kind::Word, bytes)
    }

    fn number(&mut self) -> Result<(), SqlRefusal> {
        let rest = self.rest();
        let digits = |from: usize| from + span(&rest[from..], |c| c.is_ascii_digit());
        let mut bytes = digits(0);
        if rest[bytes..].starts_with('.') {
            bytes = digits(bytes + 1);
        }
        if rest[bytes..].starts_with(['e', 'E']) {
            let sign = usize::from(rest[bytes + 1..].starts_with(['+', '-']));
            let exponent = digits(bytes + 1 + sign);
            if exponent > bytes + 1 + sign {
                bytes = exponent;
            }
        }
        if rest[bytes..].starts_with('.') {
            return self.refuse("a number with two points", "a decimal number");
        }
        self.apart(bytes, "a decimal number with a space behind it")?;
        self.push(Kind::Number, bytes)
    }

    /// `.5` is a number unless it hangs on a name.
    fn fraction(&mut self) -> Result<(), SqlRefusal> {
        if self.text[..self.offset].ends_with(is_name_or_quote) {
            return self.refuse("a name that begins with a digit", "names that do not");
        }
        self.number()
    }

    fn literal(&mut self) -> Result<(), SqlRefusal> {
        let rest = self.rest();
        let mut bytes = 1;
        loop {
            match rest[bytes..].find('\'') {
                None => return self.refuse("a literal without end", "a closed literal"),
                Some(end) if rest[bytes + end + 1..].starts_with('\'') => bytes += end + 2,
                Some(end) => {
                    bytes += end + 1;
                    break;
                }
            }
        }
        if self.engine == Engine::Mysql && rest[..bytes].contains('\\') {
            return self.refuse("a backslash in a literal", "literals without backslash");
        }
        self.apart(bytes, "a space behind a literal")?;
        self.push(Kind::Text, bytes)
    }

    fn quoted(&mut self, close: char) -> Result<(), SqlRefusal> {
        let rest = self.rest();
        let Some(length) = rest[1..].find(close) else {
            return self.refuse("a quoted name without end", "a closed name");
        };
        let name = &rest[1..=length];
        if name.is_empty() || !name.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
            return self.refuse("a quoted name that is empty or not plain", "printable ASCII");
        }
        let bytes = length + 2;
        self.apart(bytes, "a space behind a quoted name, and no quotes in it")?;
        self.push(Kind::Quoted, bytes)
    }

    fn cast(&mut self) -> Result<(), SqlRefusal> {
        let casts = span(self.rest(), |c| c == ':' || c == '=') == 2
            && self.rest().starts_with("::")
            && self.engine == Engine::Postgres;
        if casts {
            self.push(Kind::Cast, 2)
        } else {
            self.refuse("the character `:`", "no variables; a cast as cast(.. as ..)")
        }
    }

    /// An operator, or one with a sign behind it, which is where PostgreSQL would end it as well,
    /// but for those with `%`, `!` or `|`: with them a sign is the operator's last character.
    fn operator(&mut self) -> Result<(), SqlRefusal> {
        let run = &self.rest()[..span(self.rest(), |c| OPERATOR_CHARS.contains(c))];
        if run.contains("--") || run.contains("/*") {
            return self.refuse("a comment", "no comments");
        }
        let known = OPERATORS.iter().find(|operator| {
            run.strip_prefix(**operator).is_some_and(|sign| {
                let glued = self.engine == Engine::Postgres && operator.contains(['%', '!', '|']);
                sign.is_empty() || (matches!(sign, "-" | "+") && !glued)
            })
        });
        // SQLite's other spelling of `=`.
        if run == "==" && self.engine == Engine::Sqlite {
            return self.push(Kind::Operator, 2);
        }
        match known {
            Some(operator) => self.push(Kind::Operator, operator.len()),
            None => Err(SqlRefusal::new(
                Rule::R10,
                Some(self.at),
                format!("the operator {}", quote(run)),
                OPERATORS.join(" "),
            )),
        }
    }

    /// Refuses a token that the next one touches where engines disagree about the cut.
    fn apart(&self, bytes: usize, allowed: &str) -> Result<(), SqlRefusal> {
        if self.rest()[bytes..].starts_with(is_name_or_quote) {
            let found = format!("{} with no space behind it", quote(&self.rest()[..bytes]));
            return self.refuse(found, allowed);
        }
        Ok(())
    }
}

fn is_name_or_quote(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '@' | '\'' | '"' | '`' | '[')
}

/// Length of the longest prefix of which all characters satisfy `keep`, in bytes.
fn span(text: &str, keep: impl Fn(char) -> bool) -> usize {
    text.find(|c| !keep(c)).unwrap_or(text.len())
}
