//! Who starts after whom, and as whom; and that stopping a unit never takes the cage down.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use atf_agent::wire::Ids;

use crate::unit::{Unit, packaging, said};

const ENFORCER: &str = "atf-enforcer.service";
const DAEMONS: [&str; 4] = ["recorder", "authority", "executor", "gateway"];

#[test]
fn nothing_starts_before_the_cage_stands() {
    for unit in Unit::all() {
        if unit.name() == ENFORCER {
            continue;
        }
        for key in ["Requires", "After"] {
            assert!(unit.words(key).contains(&ENFORCER), "{}: {key}=", unit.name());
        }
    }
    let enforcer = Unit::read(ENFORCER);
    assert_eq!(enforcer.words("Type"), ["oneshot"], "done when it is proven, and not before");
    assert_eq!(enforcer.words("RemainAfterExit"), ["yes"]);
}

/// The attack: the authority cannot see who asks it, so that the login of everybody looks like none.
#[test]
fn who_reads_of_other_processes_sees_proc() {
    for (daemon, sees) in
        [("authority", true), ("gateway", true), ("recorder", false), ("executor", false)]
    {
        let unit = Unit::read(&format!("atf-{daemon}.service"));
        let expected = if sees { "default" } else { "invisible" };
        assert_eq!(unit.words("ProtectProc"), [expected], "{daemon}");
    }
}

#[test]
fn a_daemon_that_stops_or_restarts_takes_no_agent_with_it() {
    let agent = Unit::read("atf-agent@.service");
    assert_eq!(agent.words("Requires"), [ENFORCER], "a restart of what it requires restarts it");
    for daemon in DAEMONS {
        let daemon = format!("atf-{daemon}.service");
        assert!(agent.words("After").contains(&daemon.as_str()), "{daemon}");
        assert!(agent.words("Wants").contains(&daemon.as_str()), "{daemon}");
    }
}

#[test]
fn no_unit_takes_the_cage_down() {
    for unit in Unit::all() {
        assert!(!unit.has("ExecStop") && !unit.has("ExecStopPost"), "{}", unit.name());
        for key in ["ExecStart", "ExecReload"] {
            assert!(!unit.words(key).contains(&"down"), "{}: {key}=", unit.name());
        }
    }
}

/// What it does not understand it leaves out, and makes a user of another number.
#[test]
fn systemd_understands_every_line_of_the_users() {
    let root = tempfile::tempdir().expect("a folder");
    let mut sysusers = Command::new("systemd-sysusers");
    sysusers.arg(format!("--root={}", root.path().display())).arg("--dry-run");
    sysusers.arg(packaging().join("sysusers.d/atf.conf").canonicalize().expect("packaged"));
    let output = sysusers.output().expect("this test needs Debian's package systemd");
    let said = said(&output);
    for (daemon, uid) in uids() {
        let made =
            said.lines().find(|line| line.contains(&format!("Creating user 'atf-{daemon}'")));
        let made = made.unwrap_or_else(|| panic!("no user atf-{daemon}: {said}"));
        assert!(made.contains(&format!("UID {uid} ")), "{made}");
    }
}

#[test]
fn each_daemon_has_its_own_user_and_no_capability() {
    let ids = Ids::default();
    let text = fs::read_to_string(packaging().join("sysusers.d/atf.conf")).expect("packaged");
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let lines: Vec<Vec<String>> = text.lines().map(words).collect();
    assert!(lines.contains(&words(&format!("g atf {}", ids.group))), "the shared group");
    for (daemon, uid) in uids() {
        let user = format!("atf-{daemon}");
        let made = lines.iter().find(|line| line.len() > 2 && line[0] == "u" && line[1] == user);
        assert_eq!(made.map(|line| line[2].clone()), Some(uid.to_string()), "{user}");
        assert!(lines.contains(&words(&format!("m {user} atf"))), "{user}");
        let unit = Unit::read(&format!("atf-{daemon}.service"));
        assert_eq!(unit.words("User"), [user.as_str()]);
        assert_eq!(unit.words("Group"), [user.as_str()]);
        assert_eq!(unit.words("SupplementaryGroups"), ["atf"]);
        assert!(unit.has("CapabilityBoundingSet"), "{user}");
        assert!(unit.words("CapabilityBoundingSet").is_empty(), "{user}");
        assert_eq!(unit.words("PrivateNetwork"), ["yes"], "{user}");
        assert_eq!(unit.words("Type"), ["notify"], "{user}: an agent after it finds it serving");
        // The kernel names peers by their uid; in another user namespace it would name nobody.
        assert!(!unit.has("PrivateUsers"), "{user}");
    }
}

/// The daemons' uids, as the configuration has them.
fn uids() -> BTreeMap<&'static str, u32> {
    let ids = Ids::default();
    BTreeMap::from([
        ("authority", ids.authority),
        ("gateway", ids.gateway),
        ("recorder", ids.recorder),
        ("executor", ids.executor),
    ])
}
