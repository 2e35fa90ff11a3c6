//! Runs a policy's own tests: every rule `test_…` of its `*_test.rego`, on the interpreter that serves it,
//! as strict and as bounded. The same files run under `opa test`.

use std::collections::BTreeSet;
use std::path::Path;

use super::definitions::Definitions;
use super::policy::PolicyError;
use super::policy_source::Files;
use super::rego::{self, Lines, Ran};

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

/// What the tests of a policy evaluated of one of its modules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Covered {
    /// The module, by its path below the policy's directory.
    pub file: String,
    /// Lines that have something to evaluate; none are known of a module that no test came to.
    pub lines: u64,
    /// How many of them a test evaluated.
    pub evaluated: u64,
    /// Those that none did, from 1.
    pub missed: Vec<u32>,
    /// The definitions of rules that no test came to: where each begins, and its rule.
    pub rules_missed: Vec<(u32, String)>,
    /// All definitions of rules.
    pub rules: u64,
}

/// Runs all tests of the policy in `policy_dir`, in the order of files and lines, and says what they
/// evaluated of each module that is served. None at all is an empty list: whether that will do is the
/// caller's to say.
///
/// # Errors
/// When a file cannot be read, or the modules and tests do not parse together.
pub fn test_policy(policy_dir: &Path) -> Result<(Vec<PolicyTest>, Vec<Covered>), PolicyError> {
    let Files { mut modules, tests, data } = Files::read(policy_dir)?;
    let found: Vec<(String, String)> =
        tests.iter().flat_map(|(name, source)| rules_of(name, source)).collect();
    let refused = |what: String| PolicyError::Refused { path: policy_dir.to_owned(), what };
    let served = modules.clone();
    modules.extend(tests);
    let rules: Vec<String> = found.iter().map(|(rule, _)| rule.clone()).collect();
    let Ran { held, lines } = rego::hold(&modules, &data, &rules).map_err(refused)?;
    let covered = covered(&served, &data, &lines).map_err(refused)?;
    let tests = found.into_iter().zip(held).map(|((rule, place), held)| PolicyTest {
        rule,
        place,
        instead: held.err(),
    });
    Ok((tests.collect(), covered))
}

/// What of `served` was evaluated. A module of which nothing was is not among `lines`.
fn covered(
    served: &[(String, String)],
    data: &str,
    lines: &[Lines],
) -> Result<Vec<Covered>, String> {
    let definitions = Definitions::of(served, data)?;
    let none = BTreeSet::new();
    let of = |(file, source): &(String, String)| {
        let found = lines.iter().find(|lines| lines.file == *file);
        let evaluated = found.map_or(&none, |lines| &lines.evaluated);
        let not = found.map_or(&none, |lines| &lines.not);
        // A line with two expressions of which one was evaluated is in both.
        let missed: Vec<u32> = not.difference(evaluated).copied().collect();
        let own: Vec<_> = definitions.all.iter().filter(|d| definitions.file(d) == file).collect();
        let end = u32::try_from(source.lines().count()).unwrap_or(u32::MAX).saturating_add(1);
        let ends = own.iter().skip(1).map(|d| d.line).chain([end]);
        let rules_missed = own
            .iter()
            .zip(ends)
            .filter(|(d, end)| evaluated.range(d.line..(*end).max(d.line + 1)).next().is_none())
            .map(|(d, _)| (d.line, d.rule.clone()))
            .collect();
        Covered {
            file: file.clone(),
            lines: (evaluated.len() + missed.len()) as u64,
            evaluated: evaluated.len() as u64,
            missed,
            rules_missed,
            rules: own.len() as u64,
        }
    };
    Ok(served.iter().map(of).collect())
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
        let (tests, covered) = test_policy(&shipped()).unwrap();
        assert!(tests.len() >= 15, "{tests:?}");
        let failed: Vec<_> = tests.iter().filter(|test| test.instead.is_some()).collect();
        assert!(failed.is_empty(), "{failed:?}");
        let missed = |covered: &Covered| !covered.missed.is_empty() || covered.lines < 40;
        assert!(!covered.iter().any(missed), "lines that no test evaluates: {covered:?}");
    }

    #[test]
    fn lines_and_rules_that_no_test_comes_to_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write(
            "p.rego",
            "package p\nimport rego.v1\n\na if {\n\tinput.x == 1\n\tinput.y == 2\n}\n\n\
             b if input.z == 3\n",
        );
        write("q.rego", "package q\nimport rego.v1\nc if input.z == 3\n");
        write("data.json", "{}");
        let covered = |test: &str| {
            write("p_test.rego", &format!("package p_test\nimport rego.v1\n{test}\n"));
            test_policy(dir.path()).unwrap().1
        };
        let [p, q] = covered("test_a if not data.p.a with input as {\"x\": 2}").try_into().unwrap();
        assert_eq!((p.file.as_str(), p.missed, p.rules), ("p.rego", vec![6, 9], 2));
        assert_eq!(p.rules_missed, [(9, "data.p.b".to_owned())]);
        assert_eq!(q.rules_missed, [(3, "data.q.c".to_owned())]);
        let [p, _] = covered(
            "test_a if data.p.a with input as {\"x\": 1, \"y\": 2}\ntest_b if not data.p.b with input as {}",
        )
        .try_into()
        .unwrap();
        assert_eq!((p.missed, p.rules_missed, p.evaluated), (vec![], vec![], p.lines));
    }

    fn run(tests: &str) -> Result<Vec<(String, Option<String>)>, PolicyError> {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("p.rego"), "package p\nlimit := data.limit").unwrap();
        fs::write(dir.path().join("p_test.rego"), tests).unwrap();
        fs::write(dir.path().join("data.json"), r#"{"limit":5}"#).unwrap();
        let (found, _) = test_policy(dir.path())?;
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
