//! What is typed is what was meant.

use clap::CommandFactory as _;

use super::*;
use crate::run::BRIDGE_PORT;

#[test]
fn the_arguments_do_not_contradict_each_other() {
    Arguments::command().debug_assert();
}

#[test]
fn a_bridge_has_a_port_when_it_is_asked_for() {
    for (words, port) in [
        ("", None),
        ("--bridge", Some(BRIDGE_PORT)),
        ("--bridge 9000", Some(9_000)),
        ("--bridge=9000", Some(9_000)),
    ] {
        let line = format!("atf run --agent a --task t --user u --prompt p {words} -- /bin/true");
        let parsed = Arguments::try_parse_from(line.split_whitespace()).expect(&line);
        let Command::Run(run) = parsed.command else { panic!("{line}") };
        assert_eq!(run.bridge, port, "{line}");
    }
}

#[test]
fn what_no_token_has_room_for_is_named_as_it_was_typed() {
    let line = |user: &str, task: &str, lifetime: &str| {
        let fixed = ["atf", "run", "--agent", "a", "--prompt", "p"];
        let given = ["--user", user, "--task", task, "--lifetime", lifetime, "--", "/bin/true"];
        Arguments::try_parse_from([&fixed[..], &given].concat()).map_err(|error| error.to_string())
    };
    let long = "x".repeat(TEXT_BYTES_MAX);
    assert!(line("u", &long, "1").is_ok(), "the control");
    let longer = format!("{long}x");
    for (user, task, lifetime, flag) in [
        ("", "t", "1", "--user"),
        ("u", "", "1", "--task"),
        ("u", &longer, "1", "--task"),
        ("u", "t", "0", "--lifetime"),
    ] {
        let why = line(user, task, lifetime).unwrap_err();
        assert!(why.contains(flag), "{why}");
    }
}

#[test]
fn who_says_so_has_a_name() {
    for words in [
        "policy publish draft",
        "policy rollback",
        "approvals grant 0123456789abcdef0123456789abcdef",
        "approvals deny 0123456789abcdef0123456789abcdef",
    ] {
        let line = |by: &'static str| {
            let words = ["atf"].into_iter().chain(words.split_whitespace()).chain(["--by", by]);
            Arguments::try_parse_from(words).map_err(|error| error.to_string())
        };
        assert!(line("alice").is_ok(), "the control: {words}");
        let why = line("").unwrap_err();
        assert!(why.contains("--by"), "{why}");
    }
}

#[test]
fn every_command_that_reads_can_be_parsed() {
    for words in [
        "atf connect --prompt-sha256 aa",
        "atf doctor --output json",
        "atf audit verify --log /tmp/log --output json",
        "atf audit show --denied --last 3",
        "atf audit show --output opa --input",
        "atf --config /tmp/atf.toml runs --output json",
        "atf approvals list --output json",
        "atf approvals grant 0123456789abcdef0123456789abcdef --by alice",
        "atf policy check --output json",
        "atf policy test --dir /tmp/policies --coverage",
        "atf policy explain 17 --output json",
        "atf policy explain 00000000000000000000000000000000 --dir /tmp/policies",
        "atf policy replay --dir /tmp/draft --last 100 --output json",
        "atf policy diff /tmp/policies /tmp/draft",
        "atf policy publish /tmp/draft --by alice",
        "atf policy rollback --to 3 --by alice --output json",
        "atf policy versions",
        "atf policy publish /tmp/policy.tar.gz --by alice",
        "atf policy bundle /tmp/policies --out /tmp/p.tar.gz --key /tmp/key.pem --key-id ci",
        "atf policy capabilities",
        "atf policy learn --last 500 --out /tmp/proposed --output json",
        "atf enforcer check --output json",
        "atf tools pin files --output json",
        "atf tools diff --dir /tmp/policies",
        "atf tools approve files.read files.list",
        "atf tools lint --output json",
        "atf run --agent a --task t --user u --prompt p -- /bin/true -x",
        "atf run --bridge 9000 --agent a --task t --user u --prompt p -- /bin/true",
    ] {
        let parsed = Arguments::try_parse_from(words.split(' '));
        assert!(parsed.is_ok(), "{words}: {parsed:?}");
    }
}
