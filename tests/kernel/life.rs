//! The life of a cage: what stands without a process, what is found when it is broken, and what a
//! repair keeps.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use atf_agent::kernel::{self, KernelError, Posture, ProvenProgram};
use atf_agent::sys::canary::Attempt;

use crate::cell::{Cell, Place};

fn tcp4() -> Attempt {
    Attempt::socket(libc::AF_INET, libc::SOCK_STREAM, 0)
}

fn mismatches(cell: &Cell) -> String {
    match kernel::prove(&cell.cage) {
        Err(KernelError::Mismatch(found)) => found.join("\n"),
        other => panic!("expected a mismatch, found {other:?}"),
    }
}

#[test]
fn the_cage_stands_without_a_process_and_up_again_changes_nothing() {
    let cell = Cell::up();
    let run = cell.run("run");
    assert_eq!(kernel::prove(&cell.cage).expect("proven"), cell.proof);
    assert_eq!(kernel::up(&cell.cage, &cell.ids).expect("up"), cell.proof);
    // No descriptor of ours is open on a program or a link: the pins alone hold them.
    assert_eq!(run.tries(&tcp4()), libc::EPERM);
    assert_eq!(cell.outside().tries(&tcp4()), 0, "control: outside");
}

#[test]
fn new_programs_take_the_maps_over_while_the_old_ones_hold() {
    let cell = Cell::up();
    let run = cell.run("run");
    let maps = || {
        let pins = ["RUNS", "STATES", "DENY"].map(|map| cell.cage.pin_dir.join(map));
        pins.map(|pin| fs::metadata(pin).expect("pinned").ino())
    };
    let before = maps();
    let over = AtomicBool::new(false);
    let renewed = thread::scope(|scope| {
        let proofs = scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                kernel::prove(&cell.cage).expect("proven all the time");
            }
        });
        let attempts = scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                assert_eq!(run.tries(&tcp4()), libc::EPERM);
            }
        });
        let renewed = kernel::renew(&cell.cage, &cell.ids);
        over.store(true, Ordering::SeqCst);
        for thread in [proofs, attempts] {
            thread.join().expect("it held all the time");
        }
        renewed.expect("renewed")
    });
    let same = |other: &ProvenProgram| cell.proof.programs.iter().any(|old| old.id == other.id);
    assert_eq!(renewed.programs.len(), cell.proof.programs.len());
    assert!(!renewed.programs.iter().any(same), "none of the old programs is left");
    assert_eq!(maps(), before, "the maps are the old ones");
    assert_eq!(cell.outside().tries(&tcp4()), 0, "control: outside");
}

#[test]
fn the_probe_foretells_what_goes_up() {
    let cell = Cell::up();
    let report = kernel::probe(&cell.cage);
    assert_eq!(report.posture, cell.proof.posture);
    assert_eq!(report.kernel, cell.proof.kernel);
    for feature in &report.features {
        assert_ne!(feature.present, !feature.why.is_empty(), "{feature:?}");
        let attached = cell.has(&feature.name);
        assert!(feature.present || !attached, "{feature:?} is attached");
    }
    let open: Vec<&str> = report.not_covered.iter().map(|row| row.id.as_str()).collect();
    let expected: &[&str] = match report.posture {
        Posture::Full => &[],
        Posture::Core => {
            &["unix_visible", "unix_datagram_visible", "passed_fd", "bridge_passed_fd"]
        }
        Posture::Refuse | Posture::Observe => panic!("this kernel holds nothing: {report:?}"),
    };
    assert_eq!(open, expected);
    kernel::prove(&cell.cage).expect("the probe left the cage as it was");
}

#[test]
fn probes_that_run_together_all_find_the_same() {
    let cell = Cell::up();
    let probes = || (0..4).map(|_| kernel::probe(&cell.cage)).collect::<Vec<_>>();
    let found = std::thread::scope(|scope| {
        let together = [(); 4].map(|()| scope.spawn(probes));
        together.map(|probing| probing.join().expect("a probe does not panic"))
    });
    for report in found.iter().flatten() {
        assert_eq!(report.posture, cell.proof.posture, "{:?}", report.features);
    }
}

#[test]
fn a_detached_link_is_found_and_repaired_without_forgetting_a_run() {
    let cell = Cell::up();
    let run = cell.run("run");
    cell.deny.seal(run.id, 1).expect("sealed");
    for link in ["sock_create", "egress"] {
        fs::remove_file(cell.cage.pin_dir.join("links").join(link)).expect("the link is pinned");
    }
    let found = mismatches(&cell);
    assert!(found.contains("sock_create") && found.contains("egress"), "{found}");
    kernel::up(&cell.cage, &cell.ids).expect("repaired");
    kernel::prove(&cell.cage).expect("proven");
    assert_eq!(run.tries(&tcp4()), libc::EPERM);
    assert_eq!(cell.runs.all().expect("readable"), [run.id], "the same maps");
    assert!(cell.deny.contains(run.id).expect("readable"), "the seal is kept");
}

#[test]
fn a_removed_and_recreated_agents_cgroup_is_found_and_repaired() {
    let cell = Cell::up();
    let agents = &cell.cage.agents_dir;
    fs::remove_dir(agents.join("keep")).expect("it is empty");
    fs::remove_dir(agents).expect("it is empty");
    fs::create_dir_all(agents.join("keep")).expect("made again");
    let open = cell.unregistered("open");
    assert_eq!(open.tries(&tcp4()), 0, "control: this is how the cage would be lost");
    let found = mismatches(&cell);
    // The kernel takes the links from a removed cgroup some time later.
    for link in ["sock_create: ", "egress: "] {
        assert!(found.contains(link), "{found}");
    }
    kernel::up(&cell.cage, &cell.ids).expect("repaired");
    assert_eq!(open.tries(&tcp4()), libc::EPERM);
    // The daemons' maps are still the programs' maps.
    cell.runs.admit(open.id, crate::cell::lasting(crate::cell::HOUR_MS)).expect("admitted");
    open.tries(&tcp4());
    let state = cell.runs.state(open.id).expect("readable").expect("there");
    assert!(state.vectors.iter().any(|vector| vector.denied > 0));
}

#[test]
fn a_foreign_pin_directory_is_refused() {
    let dir = Path::new("/sys/fs/bpf").join(format!("atf-test-foreign-{}", std::process::id()));
    let cell = Cell::up();
    fs::create_dir(&dir).expect("made");
    std::os::unix::fs::chown(&dir, Some(65_534), None).expect("given away");
    let mut cage = cell.cage.clone();
    cage.pin_dir.clone_from(&dir);
    let refused = kernel::up(&cage, &cell.ids);
    fs::remove_dir(&dir).expect("nothing was put there");
    assert!(matches!(refused, Err(KernelError::Foreign { .. })), "{refused:?}");
}

#[test]
fn after_down_nothing_is_left() {
    let cell = Cell::up();
    kernel::down(&cell.cage).expect("down");
    assert!(!cell.cage.pin_dir.exists());
    assert!(!cell.cage.agents_dir.exists());
    let free = Place::make(cell.cage.agents_dir.with_file_name("free"));
    assert_eq!(free.tries(&tcp4()), 0);
    kernel::up(&cell.cage, &cell.ids).expect("up again");
}
