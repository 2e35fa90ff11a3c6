//! What a tool's mode `log` lets pass: the policy's clear no, and nothing else.

use super::attempt::{Attempt, Gate};
use super::policy_rows::{DATA, read};

/// The attack: input that makes a rule fail, in the hope that a mode which waives a no waives that too.
#[test]
fn a_clear_no_is_waived_and_what_is_no_answer_is_not() {
    let of = |value: &str| format!("package atf.gate\ndecision := {value}");
    let no = "{\"allow\": false, \"reasons\": [\"cap.exceeded\"], \"obligations\": {\"reserve_cents\": 0}}";
    let yes = "{\"allow\": true, \"reasons\": [], \"obligations\": {}}";
    let tool = Attempt::honest().decide(&Gate::shipped()).unwrap().call().target().to_string();
    let data = |mode: &str| {
        let tools = format!("\"tools\":{{\"{tool}\":{mode}}},\"seal\"");
        DATA.replace("\"seal\"", &tools)
    };
    let (log, plain) = (data("{\"mode\":\"log\"}"), data("{}"));
    for (what, module, data, passes, waived) in [
        ("a yes", of(yes), &log, true, false),
        ("a no", of(no), &log, true, true),
        ("a no of both", of(&no.replace("false", "true")), &log, true, true),
        ("a no without the mode", of(no), &plain, false, false),
        ("a no in mode learn", of(no), &data("{\"mode\":\"learn\"}"), false, false),
        ("nothing", format!("{} if false", of(no)), &log, false, false),
        ("an error", format!("{} if 1 / 0 == 1", of(no)), &log, false, false),
        ("no obligations", of("{\"allow\": false, \"reasons\": []}"), &log, false, false),
        (
            "no word of what to reserve",
            of(&no.replace("\"reserve_cents\": 0", "")),
            &log,
            false,
            false,
        ),
        ("one that is not known", of(&no.replace("reserve_cents", "mask")), &log, false, false),
        ("a word", of("false"), &log, false, false),
    ] {
        let mut gate = Gate::shipped();
        gate.policy = read(&module, data).unwrap();
        let judged = Attempt::honest().decide(&gate);
        assert_eq!(judged.is_ok(), passes, "{what}: {judged:?}");
        let found = judged.is_ok_and(|judged| judged.waived().is_some());
        assert_eq!(found, waived, "{what}");
    }
}
