//! Runs a policy's own tests: every rule `test_…` of its `*_test.rego`, on the interpreter that serves it,
//! as strict and as bounded. The same files run under `opa test`.

use std::path::Path;

use super::policy::{Files, PolicyError};
use super::rego;

/// One test of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyTest {
    /// The rule, as `data.atf.gate_test.test_x`.
    pub rule: String,
    /// The file and line where it stands.
    pub place: String,
    /// Nothing when it holds; else what it is instead of true: `false`, `undefined`, an error.
    pub instead: Option<String>,
}

/// Runs all tests of the policy in `policy_dir`, in the order of files and lines. None at all is an
/// empty list: whether that will do is the caller's to say.
///
/// # Errors
/// When a file cannot be read, or the modules and tests do not parse together.
pub fn test_policy(policy_dir: &Path) -> Result<Vec<PolicyTest>, PolicyError> {
    let Files { mut modules, tests, data } = Files::read(policy_dir)?;
    let found: Vec<(String, String)> =
        tests.iter().flat_map(|(name, source)| rules_of(name, source)).collect();
    modules.extend(tests);
    let rules: Vec<String> = found.iter().map(|(rule, _)| rule.clone()).collect();
    let held = rego::hold(&modules, &data, &rules)
        .map_err(|what| PolicyError::Refused { path: policy_dir.to_owned(), what })?;
    let tests = found.into_iter().zip(held);
    Ok(tests.map(|((rule, place), held)| PolicyTest { rule, place, instead: held.err() }).collect())
}

/// The tests of one file, each with its place. A rule begins at the beginning of a line, as `opa fmt`
/// writes it; one that is defined in several bodies is one test.
fn rules_of(name: &str, source: &str) -> Vec<(String, String)> {
    let mut package = "";
    let mut found: Vec<(String, String)> = Vec::new();
    for (number, line) in (1..).zip(source.lines()) {
        if let Some(named) = line.strip_prefix("package ") {
            package = named.split('#').next().unwrap_or(named).trim();
        }
        let end = line.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(line.len());
        let rule = format!("data.{package}.{}", &line[..end]);
        if line.starts_with("test_") && found.iter().all(|(known, _)| *known != rule) {
            found.push((rule, format!("{name}:{number}")));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::gate::policy_rows::shipped;

    #[test]
    fn every_test_of_the_shipped_policy_holds() {
        let tests = test_policy(&shipped()).unwrap();
        assert!(tests.len() >= 15, "{tests:?}");
        let failed: Vec<_> = tests.iter().filter(|test| test.instead.is_some()).collect();
        assert!(failed.is_empty(), "{failed:?}");
    }

    fn run(tests: &str) -> Result<Vec<(String, Option<String>)>, PolicyError> {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("p.rego"), "package p\nlimit := data.limit").unwrap();
        fs::write(dir.path().join("p_test.rego"), tests).unwrap();
        fs::write(dir.path().join("data.json"), r#"{"limit":5}"#).unwrap();
        let found = test_policy(dir.path())?;
        Ok(found.into_iter().map(|test| (test.place, test.instead)).collect())
    }

    #[test]
    fn a_test_that_is_not_true_has_failed() {
        let found = run("package p_test\nimport data.p\n\
             test_true if p.limit == 5\n\
             test_undefined if p.limit == 6\n\
             test_false := p.limit == 6\n\
             test_a_text := \"true\"\n\
             test_error if startswith(5, \"a\")\n\
             test_not_an_error if not startswith(5, \"a\")\n\
             helper if false\n")
        .unwrap();
        let places: Vec<&str> = found.iter().map(|(place, _)| place.as_str()).collect();
        let lines: Vec<String> = (3..9).map(|line| format!("p_test.rego:{line}")).collect();
        assert_eq!(places, lines);
        let instead: Vec<Option<&str>> = found.iter().map(|(_, what)| what.as_deref()).collect();
        assert_eq!(instead[..3], [None, Some("undefined"), Some("false")]);
        assert!(instead[3..].iter().all(Option::is_some), "{instead:?}");
    }

    #[test]
    fn tests_that_do_not_parse_are_an_error() {
        assert!(run("package p_test\ntest_x if true\n").is_ok(), "the control");
        assert!(run("package p_test\ntest_x if {\n").is_err());
        assert_eq!(run("package p_test\n").unwrap(), []);
    }
}
