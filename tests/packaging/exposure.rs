//! How much of the host each unit leaves open, by systemd's own count.

use crate::unit::{Unit, packaging, said, systemd_analyze};

/// The most that a unit may leave open, in tenths of systemd's scale from 0 to 10.
const EXPOSURE_MAX: &str = "25";

#[test]
fn no_unit_leaves_more_open_than_it_needs() {
    let units = Unit::all();
    assert_eq!(units.len(), 7, "five processes, the watch and the agents");
    for unit in units {
        let threshold = format!("--threshold={EXPOSURE_MAX}");
        let arguments = ["security", "--offline=true", "--no-pager", &threshold];
        let output = systemd_analyze(&arguments, Some(&unit.path));
        assert!(output.status.success(), "{}: over {EXPOSURE_MAX}\n{}", unit.name(), said(&output));
    }
}

/// The units as they are, and the executor's with what it needs for servers by URL.
#[test]
fn the_executor_that_reaches_servers_leaves_no_more_open_than_that() {
    let egress = packaging().join("systemd/executor-egress.conf");
    let more = std::fs::read_to_string(egress).expect("it is packaged");
    let unit = Unit::read("atf-executor.service");
    let plain = std::fs::read_to_string(&unit.path).expect("it is packaged");
    let dir = tempfile::tempdir().expect("a folder");
    let both = dir.path().join(unit.name());
    std::fs::write(&both, format!("{plain}\n{more}")).expect("it is written");
    let threshold = format!("--threshold={EXPOSURE_MAX}");
    let arguments = ["security", "--offline=true", "--no-pager", &threshold];
    let output = systemd_analyze(&arguments, Some(&both));
    assert!(output.status.success(), "over {EXPOSURE_MAX}\n{}", said(&output));
    // What it opens: a network, in which the unit still denies every address but those that are named.
    let keys = more.lines().filter(|line| !line.starts_with(['#', '[']));
    let keys: Vec<&str> =
        keys.filter_map(|line| line.split_once('=')).map(|(key, _)| key).collect();
    assert_eq!(keys, ["PrivateNetwork", "RestrictAddressFamilies", "IPAddressAllow"]);
    assert_eq!(unit.words("IPAddressDeny"), ["any"]);
}

#[test]
fn systemd_understands_every_line() {
    for unit in Unit::all() {
        let arguments = ["verify", "--man=no", "--recursive-errors=no"];
        let said = said(&systemd_analyze(&arguments, Some(&unit.path)));
        // Nothing is installed here; that is all it may say.
        let other = |line: &&str| !line.contains("/usr/local/bin/atf is not executable");
        let other: Vec<&str> = said.lines().filter(other).collect();
        assert!(other.is_empty(), "{}: {other:?}", unit.name());
    }
}
