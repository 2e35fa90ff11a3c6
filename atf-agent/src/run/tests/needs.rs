//! What the launcher may do in its unit is enough for a whole life of a run: few capabilities, and neither
//! clone3 nor openat2, which a service manager hides that restricts namespaces and set-id bits.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::process::{Signal, kill_process};
use rustix::thread::CapabilitySet;
use seccompiler::{SeccompAction, SeccompFilter, TargetArch};

use crate::wire::Ids;

use super::lab::{Kept, Lab};

/// What `packaging/systemd/atf-agent@.service` gives.
/// `CAP_NET_ADMIN` too, for the kernel's proof, which has a double here.
const UNIT: CapabilitySet = CapabilitySet::SETGID
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::SYS_ADMIN);

/// A lab with a run that has shown a path below its home, and stays until it is told to end.
fn lab(capabilities: CapabilitySet) -> Lab {
    let mut lab = Lab::new();
    lab.capabilities = Some(capabilities);
    let hidden = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());
    let arch = TargetArch::try_from(std::env::consts::ARCH).unwrap();
    let calls =
        BTreeMap::from([libc::SYS_clone3, libc::SYS_openat2].map(|call| (call, Vec::new())));
    let filter = SeccompFilter::new(calls, SeccompAction::Allow, hidden, arch).unwrap();
    lab.filter = Some(filter.try_into().unwrap());
    lab
}

#[test]
fn a_run_lives_and_ends_by_what_the_unit_gives() {
    let lab = lab(UNIT);
    let mut request = lab.request(&["sh", "-c", "trap 'exit 9' TERM; echo up; sleep 60 & wait"]);
    let shown = tempfile::tempdir_in("/tmp").unwrap();
    request.read_only.push(shown.path().to_owned());
    let mut run = lab.start(&request);
    run.wait_for("up");
    let cgroup = lab.leftovers().into_iter().find(|path| path.starts_with(&lab.agents_dir));
    let inside = fs::read_to_string(cgroup.unwrap().join("cgroup.procs")).unwrap();
    assert!(inside.lines().count() >= 2, "the supervisor and the command are in it: {inside}");
    // What the gateway makes in its part, by mistake or on purpose.
    let part = lab.leftovers().into_iter().find(|path| path.starts_with(&lab.places.run_dir));
    let part = part.unwrap().join("gateway");
    let gateway = Ids::default().gateway;
    let (file, folder) = (part.join("left"), part.join("more"));
    fs::write(&file, "").unwrap();
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("file"), "").unwrap();
    for path in [&file, &folder, &folder.join("file")] {
        chown(path, Some(gateway), Some(gateway)).unwrap();
    }
    kill_process(run.pid, Signal::TERM).unwrap();
    let ended = run.end();
    assert_eq!(ended.ended, Ok(9), "the signal reached it: {}", ended.output);
    assert_eq!(ended.left_behind, "");
    assert!(lab.leftovers().is_empty(), "{:?}", lab.leftovers());
}

/// A run that ends by no signal, up, once it has done what is to be done `before`.
fn stubborn(lab: &Lab, before: &str) -> Kept {
    let script = format!("{before} trap '' TERM HUP INT QUIT; echo up; while :; do sleep 1; done");
    let mut run = lab.start(&lab.request(&["sh", "-c", &script]));
    run.wait_for("up");
    run
}

/// The kernel sends a death signal by the rights of who dies, and the unit gives none to signal the run.
#[test]
fn a_keeper_that_may_not_kill_takes_its_run_with_it() {
    let lab = lab(UNIT);
    let run = stubborn(&lab, "");
    assert!(lab.dies_with(&run));
    drop(run.end());
}

/// The attack: a run that takes every descriptor from its first process, which has the same uid and could not wait for
/// the keeper's end any more. The run itself may not ask for it; here it is done all the same.
#[test]
fn a_run_whose_first_process_cannot_wait_ends_too() {
    let lab = lab(UNIT);
    let run = stubborn(&lab, "prlimit --pid 1 --nofile=0:0 && echo blinded;");
    let first = lab.first_process();
    let pid = first.as_raw_nonzero().to_string();
    let of_run = fs::metadata(format!("/proc/{pid}/task")).unwrap();
    assert!(lab.dies_when(|| {
        let limit = ["--pid", &pid, "--nofile=0:0"];
        let mut prlimit = Command::new("prlimit");
        let by_the_run = prlimit.args(limit).uid(of_run.uid()).gid(of_run.gid()).status();
        assert!(by_the_run.unwrap().success());
        // A signal has it wait anew.
        kill_process(first, Signal::TTOU).unwrap();
    }));
    let ended = run.end();
    assert!(!ended.output.contains("blinded"), "{}", ended.output);
}

#[test]
fn each_of_these_is_needed() {
    for missing in [
        CapabilitySet::SETGID,
        CapabilitySet::SETUID,
        CapabilitySet::SETPCAP,
        CapabilitySet::SYS_ADMIN,
    ] {
        let lab = lab(UNIT.difference(missing));
        let found = lab.sh("echo ran");
        assert!(found.ended.is_err(), "{missing:?}: {found:?}");
        assert_eq!(found.output, "", "{missing:?}");
    }
}
