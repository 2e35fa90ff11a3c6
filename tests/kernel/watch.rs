//! The watch: finds a broken cage, stops the runs, repairs it, and lets them go on.

use std::fs;
use std::io::Read;
use std::os::unix::net::UnixListener;

use atf_agent::enforcer::{self, DownError, Seen, Watch};
use atf_agent::wire::Places;

use crate::cell::Cell;

#[test]
fn a_broken_cage_is_repaired_reported_and_the_runs_go_on() {
    let cell = Cell::up();
    let run = cell.run("run");
    let stopped = cell.run("stopped");
    let freeze = |place: &crate::cell::Place| place.dir.join("cgroup.freeze");
    fs::write(freeze(&stopped), "1").expect("an operator froze it");
    let home = tempfile::tempdir().expect("a temporary directory");
    let places = Places { run_dir: home.path().to_owned(), ..Places::default() };
    let socket = places.recorder_socket();
    fs::create_dir_all(socket.parent().expect("it has a parent")).expect("made");
    let recorder = UnixListener::bind(&socket).expect("the path is free");
    let reader = std::thread::spawn(move || {
        let (mut asked, _) = recorder.accept().expect("the watch connects");
        let mut bytes = vec![0; 4096];
        let count = asked.read(&mut bytes).expect("it says something");
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    });
    let mut watch = Watch::new(&cell.cage, &cell.ids, &places);
    assert!(matches!(watch.look(), Seen::Proven(_)), "control: whole");
    fs::remove_file(cell.cage.pin_dir.join("links/connect4")).expect("the link is pinned");
    match watch.look() {
        Seen::Repaired { mismatch, .. } => assert!(mismatch.contains("connect4"), "{mismatch}"),
        seen => panic!("expected a repair, saw {seen:?}"),
    }
    let said = reader.join().expect("the reader ends");
    assert!(said.contains("cage.mismatch") && said.contains("connect4"), "{said}");
    let frozen = |place| fs::read_to_string(freeze(place)).expect("readable");
    assert_eq!(frozen(&run).trim(), "0", "it goes on");
    assert_eq!(frozen(&stopped).trim(), "1", "it was not ours to thaw");
    fs::write(freeze(&stopped), "0").expect("thawed");
}

#[test]
fn a_cage_that_cannot_be_repaired_keeps_its_runs_frozen() {
    let cell = Cell::up();
    let run = cell.run("run");
    let mut cage = cell.cage.clone();
    // No kernel here or there is better than FULL with a pin directory of somebody else.
    std::os::unix::fs::chown(&cage.pin_dir, Some(65_534), None).expect("given away");
    cage.posture = atf_agent::kernel::Posture::Core;
    let places = Places { run_dir: "/nonexistent".into(), ..Places::default() };
    let mut watch = Watch::new(&cage, &cell.ids, &places);
    assert!(matches!(watch.look(), Seen::Broken { .. }));
    let frozen = || fs::read_to_string(run.dir.join("cgroup.freeze")).expect("readable");
    assert_eq!(frozen().trim(), "1");
    std::os::unix::fs::chown(&cage.pin_dir, Some(0), None).expect("taken back");
    assert!(matches!(watch.look(), Seen::Proven(_)));
    assert_eq!(frozen().trim(), "0");
}

/// The watch is restarted, or killed, between freezing and thawing.
#[test]
fn the_next_watch_thaws_what_the_one_before_it_froze_and_nothing_else() {
    let cell = Cell::up();
    let (run, stopped) = (cell.run("run"), cell.run("stopped"));
    let freeze = |place: &crate::cell::Place| place.dir.join("cgroup.freeze");
    fs::write(freeze(&stopped), "1").expect("an operator froze it");
    let home = tempfile::tempdir().expect("a temporary directory");
    let places = Places { run_dir: home.path().to_owned(), ..Places::default() };
    fs::create_dir(places.runtime("enforcer")).expect("made");
    std::os::unix::fs::chown(&cell.cage.pin_dir, Some(65_534), None).expect("given away");
    let frozen = |place| fs::read_to_string(freeze(place)).expect("readable");
    for _restart in 0..2 {
        let mut watch = Watch::new(&cell.cage, &cell.ids, &places);
        assert!(matches!(watch.look(), Seen::Broken { .. }));
        assert_eq!(frozen(&run).trim(), "1");
    }
    std::os::unix::fs::chown(&cell.cage.pin_dir, Some(0), None).expect("taken back");
    let mut watch = Watch::new(&cell.cage, &cell.ids, &places);
    assert!(matches!(watch.look(), Seen::Proven(_)));
    assert_eq!(frozen(&run).trim(), "0", "it goes on");
    assert_eq!(frozen(&stopped).trim(), "1", "it was not ours to thaw");
    fs::write(freeze(&run), "1").expect("an operator freezes it now");
    let mut watch = Watch::new(&cell.cage, &cell.ids, &places);
    assert!(matches!(watch.look(), Seen::Proven(_)));
    assert_eq!(frozen(&run).trim(), "1", "that of before is over");
    for place in [&run, &stopped] {
        fs::write(freeze(place), "0").expect("thawed");
    }
}

#[test]
fn down_refuses_while_runs_are_registered() {
    let cell = Cell::up();
    let run = cell.run("run");
    match enforcer::down(&cell.cage, false) {
        Err(DownError::Runs(runs)) => assert_eq!(runs, [run.id]),
        other => panic!("expected a refusal, found {other:?}"),
    }
    enforcer::check(&cell.cage).expect("it still stands");
    enforcer::down(&cell.cage, true).expect("forced");
    enforcer::down(&cell.cage, false).expect("already down");
}
