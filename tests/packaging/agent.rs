//! The unit of the agents beside the launcher's own cage. What the unit forbids, the run inherits: so it
//! must forbid nothing that the launcher needs or the run may use, and loosen nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use atf_agent::run::{Settings, allowed_calls};

use crate::unit::{Unit, said, systemd_analyze};

/// What the launcher does between its start and the command's, beside what the command may do.
const LAUNCHER_CALLS: [&str; 19] = [
    "clone",
    "clone3",
    "unshare",
    "mount_setattr",
    "open_tree",
    "move_mount",
    "fsopen",
    "fsconfig",
    "fsmount",
    "pivot_root",
    "umount2",
    "sethostname",
    "setresuid",
    "setresgid",
    "setgroups",
    "capset",
    "prctl",
    "seccomp",
    "bpf",
];

/// The capabilities of the launcher; a test of its own shows that it needs each and no other.
const CAPABILITIES: [&str; 5] =
    ["CAP_NET_ADMIN", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_ADMIN"];

/// The namespaces that the launcher makes: all but the user namespace, in which a run would be root.
const NAMESPACES: [&str; 6] = ["cgroup", "ipc", "mnt", "net", "pid", "uts"];

fn agent() -> Unit {
    Unit::read("atf-agent@.service")
}

#[test]
fn the_unit_forbids_no_call_that_the_launcher_or_the_run_makes() {
    let numbers = numbers();
    let run: BTreeSet<i64> = allowed_calls().into_iter().collect();
    assert!(run.contains(&numbers["execve"]), "the control: numbers and names agree");
    let mut forbidden = 0;
    for word in agent().words("SystemCallFilter") {
        let group = word.trim_start_matches('~');
        assert!(group.starts_with('@'), "{word}");
        for name in members(group) {
            forbidden += 1;
            assert!(!LAUNCHER_CALLS.contains(&name.as_str()), "{group} has {name}: the launcher's");
            let allowed = numbers.get(&name).is_some_and(|number| run.contains(number));
            assert!(!allowed, "{group} has {name}, which a run may make");
        }
    }
    assert!(forbidden > 30, "only {forbidden} calls are forbidden");
}

#[test]
fn the_unit_gives_the_launcher_what_it_needs_and_no_more() {
    let agent = agent();
    let sorted = |key: &str| {
        let mut words: Vec<String> = agent.words(key).iter().map(ToString::to_string).collect();
        words.sort();
        words
    };
    assert_eq!(sorted("CapabilityBoundingSet"), CAPABILITIES);
    assert_eq!(sorted("RestrictNamespaces"), NAMESPACES);
    assert!(agent.words("AmbientCapabilities").is_empty());
    for key in ["NoNewPrivileges", "RestrictSUIDSGID", "PrivateNetwork"] {
        assert_eq!(agent.words(key), ["yes"], "{key}");
    }
    // Delegated, the cgroup would be the unit's to change.
    for key in ["Delegate", "PrivateUsers", "MemoryDenyWriteExecute", "LimitNPROC", "LimitCORE"] {
        assert!(!agent.has(key), "{key}= is the launcher's, or breaks programs");
    }
    let files = agent.words("LimitNOFILE")[0].parse::<u64>().expect("a number");
    assert!(files >= Settings::default().files_max, "a run may have more files than the unit");
}

#[test]
fn the_unit_writes_the_cgroups_of_the_cage_and_no_others() {
    let agent = agent();
    let cgroup = atf_agent::kernel::Settings::default().cgroup;
    let first = cgroup.split('/').next().expect("a cgroup has a name");
    let own = format!("/sys/fs/cgroup/{first}");
    let written = agent.words("ReadWritePaths");
    let cgroups: Vec<&str> = written.into_iter().filter(|path| path.starts_with("/sys")).collect();
    assert_eq!(cgroups, [own.as_str()]);
    assert_eq!(agent.words("ProtectControlGroups"), ["yes"]);
}

#[test]
fn the_families_that_the_cage_judges_reach_it() {
    let families = ["AF_INET", "AF_INET6", "AF_NETLINK", "AF_UNIX"];
    let mut found = agent().words("RestrictAddressFamilies").join(" ");
    let mut words: Vec<&str> = found.split(' ').collect();
    words.sort_unstable();
    found = words.join(" ");
    assert_eq!(found, families.join(" "), "as the launcher's own filter has it");
}

/// The calls of one of systemd's groups, nested groups undone.
fn members(group: &str) -> BTreeSet<String> {
    let output = systemd_analyze(&["syscall-filter", "--no-pager", group], None);
    assert!(output.status.success(), "{group}: {}", said(&output));
    let text = said(&output);
    let words = text.lines().map(str::trim).filter(|word| !word.starts_with('#'));
    let words = words.filter(|word| !word.is_empty() && *word != group);
    words
        .flat_map(|word| match word.starts_with('@') {
            true => members(word),
            false => BTreeSet::from([word.to_owned()]),
        })
        .collect()
}

/// The numbers of the calls, by name, as the kernel's headers have them.
fn numbers() -> BTreeMap<String, i64> {
    let header = format!("/usr/include/{}-linux-gnu/asm/unistd_64.h", std::env::consts::ARCH);
    let text = fs::read_to_string(&header).unwrap_or_else(|error| {
        panic!("this test needs {header} (Debian's package linux-libc-dev): {error}")
    });
    let defined = text.lines().filter_map(|line| line.strip_prefix("#define __NR_"));
    let pairs = defined.filter_map(|line| line.split_once(' '));
    pairs.filter_map(|(name, number)| Some((name.to_owned(), number.parse().ok()?))).collect()
}
