//! How much of the host each unit leaves open, by systemd's own count.

use crate::unit::{Unit, said, systemd_analyze};

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
