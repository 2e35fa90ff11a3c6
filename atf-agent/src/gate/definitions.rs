//! Where the rules of a policy stand: each definition of each rule, and what one of them alone comes to. The
//! gate never asks this; people do.

use std::collections::BTreeMap;

use regorus::Value;
use regorus::unstable::{Rule, RuleHead};

use super::profile::{self, Token};
use super::rego;

/// One definition of a rule. A rule has several when any of them may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Definition {
    /// The rule, as `data.atf.gate.reasons`.
    pub(super) rule: String,
    /// The module, by its path below the policy's directory.
    pub(super) module: usize,
    /// Its first line, from 1.
    pub(super) line: u32,
    pub(super) kind: Kind,
    /// Where its text begins in the module, and where the next one's does.
    bytes: std::ops::Range<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// What holds when nothing else does.
    Default,
    /// Has a value of its own.
    Rule,
    /// Has one for each of its arguments alone.
    Function,
}

/// The definitions of all modules, in the order in which they stand.
pub(super) struct Definitions<'a> {
    modules: &'a [(String, String)],
    data: &'a str,
    pub(super) all: Vec<Definition>,
    /// What each module calls things by: its package, and its imports by their short names.
    names: Vec<Names>,
}

struct Names {
    package: String,
    imports: BTreeMap<String, String>,
}

impl<'a> Definitions<'a> {
    /// Finds them.
    ///
    /// # Errors
    /// When the modules do not parse.
    pub(super) fn of(modules: &'a [(String, String)], data: &'a str) -> Result<Self, String> {
        let mut engine = rego::engine(modules, data)?;
        let (mut all, mut names) = (Vec::new(), Vec::new());
        for (number, parsed) in engine.get_modules().iter().enumerate() {
            let package = format!("data.{}", parsed.package.refr.span().text());
            let mut found: Vec<Definition> = Vec::new();
            for rule in &parsed.policy {
                let (named, kind) = head(rule);
                let end = named.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                let name = &named[..end.unwrap_or(named.len())];
                let span = rule.span();
                let start = span.start as usize;
                if let Some(before) = found.last_mut() {
                    before.bytes.end = start;
                }
                found.push(Definition {
                    rule: format!("{package}.{name}"),
                    module: number,
                    line: span.line,
                    kind,
                    bytes: start..modules[number].1.len(),
                });
            }
            all.extend(found);
            let imports = parsed.imports.iter().map(|import| {
                let whole = import.refr.span().text().to_owned();
                let last = whole.rsplit('.').next().unwrap_or_default().to_owned();
                let short = import.r#as.as_ref().map_or(last, |short| short.text().to_owned());
                (short, whole)
            });
            names.push(Names { package, imports: imports.collect() });
        }
        Ok(Self { modules, data, all, names })
    }

    /// The definitions of `rule`.
    pub(super) fn of_rule<'b>(&'b self, rule: &'b str) -> impl Iterator<Item = &'b Definition> {
        self.all.iter().filter(move |definition| definition.rule == rule)
    }

    /// The file.
    pub(super) fn file(&self, definition: &Definition) -> &str {
        &self.modules[definition.module].0
    }

    /// Its first line, as it is written.
    pub(super) fn text(&self, definition: &Definition) -> &str {
        self.source(definition).lines().next().unwrap_or_default()
    }

    /// The whole of it, with the comments and the spaces left out that mean nothing.
    pub(super) fn plain(&self, definition: &Definition) -> String {
        profile::plain(self.source(definition))
    }

    fn source(&self, definition: &Definition) -> &str {
        &self.modules[definition.module].1[definition.bytes.clone()]
    }

    /// What `rule` comes to for `input`.
    pub(super) fn value(&self, rule: &str, input: &str) -> Result<Value, String> {
        rego::value(self.modules, self.data, input, rule)
    }

    /// What `definition` alone comes to: the policy without the other definitions of its rule.
    pub(super) fn alone(&self, definition: &Definition, input: &str) -> Result<Value, String> {
        let mut modules = self.modules.to_vec();
        for other in self.of_rule(&definition.rule).filter(|other| *other != definition) {
            let source = &mut modules[other.module].1;
            let blank: String = source[other.bytes.clone()]
                .bytes()
                .map(|byte| if byte == b'\n' { '\n' } else { ' ' })
                .collect();
            source.replace_range(other.bytes.clone(), &blank);
        }
        rego::value(&modules, self.data, input, &definition.rule)
    }

    /// The rules that the text of `definition` names, each once, in their order.
    pub(super) fn named_by(&self, definition: &Definition) -> Vec<String> {
        let names = &self.names[definition.module];
        let tokens = profile::tokens(self.source(definition));
        let mut found: Vec<String> = Vec::new();
        for (at, token) in tokens.iter().enumerate() {
            if at > 0 && tokens[at - 1].text == "." {
                continue;
            }
            let chain = chain(&tokens[at..]);
            let root = token.text;
            let whole = match names.imports.get(root) {
                Some(import) => format!("{import}{}", &chain[root.len()..]),
                None if root == "data" => chain,
                None => format!("{}.{chain}", names.package),
            };
            let of_it = |rule: &&Definition| {
                whole
                    .strip_prefix(&rule.rule)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            };
            if let Some(rule) = self.all.iter().find(of_it).map(|definition| &definition.rule)
                && *rule != definition.rule
                && !found.contains(rule)
            {
                found.push(rule.clone());
            }
        }
        found
    }
}

/// The words at the beginning of `tokens` with stops between them.
fn chain(tokens: &[Token<'_>]) -> String {
    let mut chain = tokens[0].text.to_owned();
    let mut rest = &tokens[1..];
    while let [stop, word, after @ ..] = rest
        && stop.text == "."
    {
        chain = format!("{chain}.{}", word.text);
        rest = after;
    }
    chain
}

fn head(rule: &Rule) -> (&str, Kind) {
    match rule {
        Rule::Default { refr, args, .. } => {
            let kind = if args.is_empty() { Kind::Default } else { Kind::Function };
            (refr.span().text(), kind)
        }
        Rule::Spec { head, .. } => match head {
            RuleHead::Compr { refr, .. } | RuleHead::Set { refr, .. } => {
                (refr.span().text(), Kind::Rule)
            }
            RuleHead::Func { refr, .. } => (refr.span().text(), Kind::Function),
        },
    }
}
