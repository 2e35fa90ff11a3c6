//! What of servers a token names besides tools: prompts by their names, resources by their addresses or
//! by where these begin, and what a server may ask of the run.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::names::PromptName;
use super::question::Questions;
use super::target::{self, ResourceUri, Target, UriTemplate};

/// Longest reach as JSON, in bytes: beside tools and narrowing it still fits a token.
pub const REACH_BYTES_MAX: usize = 1 << 10;

/// Prompts, resources and questions. Empty, it reaches none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reach {
    /// The prompts, exactly; none twice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prompts: Vec<PromptName>,
    /// The resources; none twice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<ResourceScope>,
    /// By server, what it may ask of the run while it works on a call.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub questions: BTreeMap<String, Questions>,
}

/// Asked by a server that nobody named.
static NO_QUESTIONS: Questions = Questions::new();

/// Which resources: one address, or with `*` at the end all that begin so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ResourceScope(String);

/// A text that names no resources.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{found:?} names no resources: {what}")]
pub struct ScopeError {
    what: String,
    found: String,
}

impl Reach {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.prompts.is_empty() && self.resources.is_empty() && self.questions.is_empty()
    }

    /// Whether it names the prompt.
    pub fn names(&self, prompt: &PromptName) -> bool {
        self.prompts.contains(prompt)
    }

    /// Whether it covers the resource.
    pub fn covers(&self, resource: &ResourceUri) -> bool {
        self.resources.iter().any(|scope| match scope.prefix() {
            Some(prefix) => resource.as_str().starts_with(prefix),
            None => resource.as_str() == scope.0,
        })
    }

    /// Whether it covers whatever is filled into the template.
    pub fn covers_all_of(&self, template: &UriTemplate) -> bool {
        let fixed = template.as_str().split('{').next().unwrap_or_default();
        self.resources.iter().any(|scope| match scope.prefix() {
            Some(prefix) => fixed.starts_with(prefix),
            None => template.as_str() == scope.0,
        })
    }

    /// What `server` may ask of the run.
    pub fn asked_by(&self, server: &str) -> &Questions {
        self.questions.get(server).unwrap_or(&NO_QUESTIONS)
    }

    /// Whether it allows a call of the target; a tool is not its to tell.
    pub fn allows(&self, target: &Target) -> bool {
        match target {
            Target::Tool(_) | Target::Deferred(_) => false,
            Target::Prompt(name) | Target::PromptArgument(name) => self.names(name),
            Target::Resource(uri) | Target::Subscription(uri) => self.covers(uri),
            Target::TemplateArgument(template) => self.covers_all_of(template),
        }
    }

    /// The part that `other` says too, word for word.
    #[must_use]
    pub fn also_in(&self, other: &Self) -> Self {
        let prompts = self.prompts.iter().filter(|prompt| other.prompts.contains(prompt));
        let resources = self.resources.iter().filter(|scope| other.resources.contains(scope));
        let questions = self.questions.iter().map(|(server, questions)| {
            let both = questions & other.asked_by(server);
            (server.clone(), both)
        });
        Self {
            prompts: prompts.cloned().collect(),
            resources: resources.cloned().collect(),
            questions: questions.filter(|(_, both)| !both.is_empty()).collect(),
        }
    }

    /// Whether it is within its bounds; what is wrong otherwise.
    ///
    /// # Errors
    /// When it is too long, or names something twice.
    pub fn check(&self) -> Result<(), String> {
        let bytes = serde_json::to_vec(self).map_err(|error| error.to_string())?.len();
        if bytes > REACH_BYTES_MAX {
            return Err(format!(
                "prompts, resources and questions have {bytes} bytes as JSON, at most {REACH_BYTES_MAX}"
            ));
        }
        let (prompts, resources) = (&self.prompts, &self.resources);
        if let Some(i) = (1..prompts.len()).find(|&i| prompts[..i].contains(&prompts[i])) {
            return Err(format!("the prompt {} is named twice", prompts[i]));
        }
        if let Some(i) = (1..resources.len()).find(|&i| resources[..i].contains(&resources[i])) {
            return Err(format!("the resources {} are named twice", resources[i]));
        }
        if let Some(bad) = self.questions.keys().find(|server| !target::is_server(server)) {
            return Err(format!("questions: {bad:?} is no server's name"));
        }
        Ok(())
    }
}

impl ResourceScope {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How what it covers begins; `None` when it is one address.
    fn prefix(&self) -> Option<&str> {
        self.0.strip_suffix('*')
    }
}

impl FromStr for ResourceScope {
    type Err = ScopeError;
    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let refuse = |what: String| ScopeError { what, found: text.to_owned() };
        let begins = text.strip_suffix('*').unwrap_or(text);
        if begins.contains('*') {
            return Err(refuse("* stands at the end alone".to_owned()));
        }
        // Else `/srv/books*` would cover `/srv/books-of-others`.
        if begins.len() < text.len() && !begins.ends_with(['/', ':']) {
            return Err(refuse("before * stands / or :".to_owned()));
        }
        let _is_one: ResourceUri = begins.parse().map_err(|error| refuse(format!("{error}")))?;
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for ResourceScope {
    type Error = ScopeError;
    fn try_from(text: String) -> Result<Self, ScopeError> {
        text.parse()
    }
}

impl From<ResourceScope> for String {
    fn from(scope: ResourceScope) -> Self {
        scope.0
    }
}

impl fmt::Display for ResourceScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(resources: &[&str]) -> Reach {
        let resources = resources.iter().map(|scope| scope.parse().unwrap()).collect();
        let prompts = vec!["files.review".parse().unwrap()];
        Reach { prompts, resources, questions: BTreeMap::new() }
    }

    #[test]
    fn a_scope_covers_what_begins_so_and_nothing_beside_it() {
        let some = reach(&["files+file:///srv/books/*", "memo+memo:insights"]);
        for (address, covered) in [
            ("files+file:///srv/books/2026.csv", true),
            ("files+file:///srv/books/a/b", true),
            ("memo+memo:insights", true),
            ("memo+memo:insights/x", false),
            ("files+file:///srv/books", false),
            ("files+file:///srv/books-of-others/x", false),
            ("files+file:///srv/Books/x", false),
            ("files+FILE:///srv/books/x", false),
            ("files2+file:///srv/books/x", false),
            ("other+file:///srv/books/x", false),
        ] {
            assert_eq!(some.covers(&address.parse().unwrap()), covered, "{address}");
        }
        for (template, covered) in [
            ("files+file:///srv/books/{year}", true),
            ("files+file:///srv/{dir}/x", false),
            ("files+{anything}://x", false),
            ("memo+memo:insights", true),
        ] {
            let covers = template.parse().is_ok_and(|template| some.covers_all_of(&template));
            assert_eq!(covers, covered, "{template}");
        }
        let prompt = |name: &str| Target::Prompt(name.parse().unwrap());
        assert!(some.allows(&prompt("files.review")) && !some.allows(&prompt("files.other")));
        assert!(!Reach::default().allows(&prompt("files.review")));
    }

    #[test]
    fn a_scope_that_leaves_open_what_it_covers_is_refused() {
        for good in ["files+file:///*", "files+memo:*", "files+file:///srv/a"] {
            assert!(good.parse::<ResourceScope>().is_ok(), "the control {good}");
        }
        for bad in
            ["*", "files+*", "files+file:///srv/a*", "files+file:///*/a", "file:///*", "a+b:/../*"]
        {
            assert!(bad.parse::<ResourceScope>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_a_manifest_lost_is_lost_and_what_it_gained_is_not_gained() {
        let old = reach(&["a+x:1", "a+x:2"]);
        let new = reach(&["a+x:2", "a+x:3"]);
        assert_eq!(old.also_in(&new), reach(&["a+x:2"]));
        assert!(old.check().is_ok());
        assert!(reach(&["a+x:1", "a+x:1"]).check().is_err());
        let long = format!("a+x:{}", "y".repeat(REACH_BYTES_MAX));
        assert!(reach(&[&long]).check().is_err());
    }
}
