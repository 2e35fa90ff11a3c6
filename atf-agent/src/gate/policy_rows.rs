//! Policies that must not be taken, and answers that are no yes.

use std::fs;

use super::Policy;
pub(super) use super::attempt::shipped;

/// Writes a policy of one module and its data, and reads it.
pub(super) fn read(module: &str, data: &str) -> Result<Policy, String> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("p.rego"), module).unwrap();
    fs::write(dir.path().join("data.json"), data).unwrap();
    Policy::read(dir.path()).map_err(|error| error.to_string())
}

pub(super) const DATA: &str =
    r#"{"limits":{"per_call_cents":5,"per_run_cents":9},"seal":{"refusals":3}}"#;
const YES: &str =
    "package atf.gate\ndecision := {\"allow\": true, \"reasons\": [], \"obligations\": {}}";

#[test]
fn a_policy_that_is_not_whole_is_not_taken() {
    assert!(read(YES, DATA).is_ok(), "the control");
    let with = |line: &str| format!("{YES}\n{line}");
    for (what, module, data) in [
        ("no Rego", "allow everything".to_owned(), DATA.to_owned()),
        ("another package", YES.replace("atf.gate", "other"), DATA.to_owned()),
        ("no decision", YES.replace("decision", "verdict"), DATA.to_owned()),
        ("a clock", with("x := time.now_ns()"), DATA.to_owned()),
        ("the network", with("x := http.send({})"), DATA.to_owned()),
        ("a long range", with("x := numbers.range(1, 100000)"), DATA.to_owned()),
        ("no data", YES.to_owned(), "{}".to_owned()),
        ("data that is no object", YES.to_owned(), "[]".to_owned()),
        ("a limit is missing", YES.to_owned(), DATA.replace("per_call_cents", "x")),
        (
            "a limit is misspelt",
            YES.to_owned(),
            DATA.replace("\"per_call_cents\":5,", "\"per_call_cents\":5,\"per_day_cents\":1,"),
        ),
        ("a limit is negative", YES.to_owned(), DATA.replace(":5", ":-5")),
        ("a limit is a text", YES.to_owned(), DATA.replace(":5", ":\"5\"")),
        ("a limit stands twice", YES.to_owned(), DATA.replace(":5", ":5,\"per_call_cents\":50")),
        (
            "a demand is misspelt",
            YES.to_owned(),
            DATA.replace(
                "\"seal\"",
                "\"provenance\":{\"demand\":\"nmaed\",\"secrets_to_sinks\":\"allow\"},\"seal\"",
            ),
        ),
        (
            "a demand is missing",
            YES.to_owned(),
            DATA.replace("\"seal\"", "\"provenance\":{\"secrets_to_sinks\":\"allow\"},\"seal\""),
        ),
        (
            "an approver whom nobody can tell",
            YES.to_owned(),
            DATA.replace("\"seal\"", "\"approvers\":{\"bob\":{}},\"seal\""),
        ),
        (
            "an approver of a tool that there is not",
            YES.to_owned(),
            DATA.replace(
                "\"seal\"",
                "\"approvers\":{\"bob\":{\"uid\":1,\"tools\":[\"a\"]}},\"seal\"",
            ),
        ),
        (
            "an approver with a misspelt bound",
            YES.to_owned(),
            DATA.replace("\"seal\"", "\"approvers\":{\"bob\":{\"uid\":1,\"up_to\":5}},\"seal\""),
        ),
        (
            "a mode that there is not",
            YES.to_owned(),
            DATA.replace("\"seal\"", "\"tools\":{\"a\":{\"mode\":\"off\"}},\"seal\""),
        ),
        ("sealed at once", YES.to_owned(), DATA.replace(":3", ":0")),
    ] {
        assert!(read(&module, &data).is_err(), "{what}");
    }
    let empty = tempfile::tempdir().unwrap();
    assert!(Policy::read(empty.path()).is_err(), "an empty directory");
}

#[test]
fn the_revision_changes_with_every_byte_and_name() {
    let base = read(YES, DATA).unwrap().revision();
    assert_eq!(read(YES, DATA).unwrap().revision(), base);
    assert_ne!(read(&format!("{YES}\n"), DATA).unwrap().revision(), base);
    assert_ne!(read(YES, &DATA.replace(":5", ":6")).unwrap().revision(), base);
}

#[test]
fn whatever_is_not_a_clear_yes_is_a_no() {
    // Refused when it is loaded or when it is asked: a no.
    let answer = |module: &str| read(module, DATA).and_then(|policy| policy.decide("{}"));
    assert!(answer(YES).is_ok_and(|decision| decision.allow), "the control");
    let of = |value: &str| format!("package atf.gate\ndecision := {value}");
    for module in [
        of("true"),
        of("{\"allow\": true}"),
        of("{\"allow\": \"true\", \"reasons\": [], \"obligations\": {}}"),
        of("{\"allow\": 1, \"reasons\": [], \"obligations\": {}}"),
        of("{\"allow\": true, \"reasons\": [], \"obligations\": {\"mask\": true}}"),
        of("{\"allow\": true, \"reasons\": [], \"obligations\": {\"reserve_cents\": -1}}"),
        of("{\"allow\": true, \"reasons\": [], \"obligations\": {\"reserve_cents\": 1.5}}"),
        of("{\"allow\": true, \"reasons\": [], \"obligations\": {}, \"note\": 1}"),
        YES.replace("decision :=", "decision := x if { false } \n x :="),
        // Not strict, the error of `startswith` would be undefined, and `not` of it true.
        format!("{} if not startswith(5, \"a\")", YES),
        format!("{} if 1 / 0 == 1", YES),
    ] {
        let found = answer(&module);
        assert!(found.is_err(), "{module}: {found:?}");
    }
}

#[test]
fn rules_that_run_long_are_a_no() {
    let nested = "[1 | some a in r; some b in r; some c in r; a + b + c < 0]";
    let module = format!("{YES} if {{\n\tr := numbers.range(1, 1000)\n\tcount({nested}) == 0\n}}");
    let policy = read(&module, DATA);
    let found = policy.map(|policy| policy.decide("{}"));
    assert!(matches!(found, Ok(Err(_))), "{found:?}");
}

impl std::fmt::Debug for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Policy({})", self.revision())
    }
}

#[test]
fn an_error_in_a_rule_is_a_no_even_where_its_absence_would_be_a_yes() {
    for module in [
        format!("{YES} if not bad\nbad if startswith(input.x, \"a\")"),
        format!("{YES} if count(bad) == 0\nbad contains 1 if startswith(input.x, \"a\")"),
        format!("{YES} if not bad\nbad if 1 / input.x > 5"),
        format!("{YES} if not bad(input.x)\nbad(x) if to_number(x) > 5"),
    ] {
        let policy = read(&module, DATA).unwrap();
        let allows = |input: &str| policy.decide(input).is_ok_and(|decision| decision.allow);
        let harmless = if module.contains("startswith") { "\"b\"" } else { "1" };
        assert!(allows(&format!("{{\"x\":{harmless}}}")), "the control: {module}");
        let failing = match () {
            () if module.contains('/') => "0",
            () if module.contains("to_number") => "\"x\"",
            () => "5",
        };
        assert!(!allows(&format!("{{\"x\":{failing}}}")), "{module}");
    }
}
