//! A posture is claimed on a kernel build once the self-test was passed there, and not before.

use std::fs;

use atf_agent::kernel::selftest::{Tested, Verdict};
use atf_agent::kernel::{self, Posture};
use atf_tests::sys::namespace::unshare_network;
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

use crate::cell::Cell;

/// What the file in the state directory says.
fn kept(cell: &Cell) -> Tested {
    let text = fs::read(cell.cage.state_dir.join("selftest.json")).expect("it is kept");
    serde_json::from_slice(&text).expect("it is one")
}

/// A cage whose state directory no other test of this process has.
fn alone() -> (Cell, tempfile::TempDir) {
    let mut cell = Cell::up();
    let home = tempfile::tempdir().expect("a temporary directory");
    cell.cage.state_dir = home.path().join("enforcer");
    (cell, home)
}

#[test]
fn what_is_claimed_was_shown_on_this_kernel_build() {
    let (cell, _home) = alone();
    let report = kernel::probe(&cell.cage);
    let tested = report.tested.expect("passed");
    assert_eq!(tested, kept(&cell));
    assert_eq!((report.posture, report.layers), (cell.proof.posture, tested.layers));
    assert_eq!(tested.count(Verdict::Escaped), 0);
    assert!(tested.count(Verdict::Closed) >= 15, "{tested:?}");
    let passes = |name: &str| tested.tried.iter().filter(|tried| tried.layers == name).count();
    assert!(passes("A") > 0);
    assert_eq!(passes("B") > 0 && passes("AB") > 0, report.layers == Posture::Full);
    kernel::prove(&cell.cage).expect("the cage that stands was left alone");
}

#[test]
fn another_kernel_build_is_tried_anew() {
    let (cell, _home) = alone();
    kernel::probe(&cell.cage);
    let mut other = kept(&cell);
    let here = other.build.clone();
    other.build.kernel[1].push_str(" built again");
    other.tried.clear();
    let path = cell.cage.state_dir.join("selftest.json");
    fs::write(&path, serde_json::to_vec(&other).expect("it is plain")).expect("writable");
    let report = kernel::probe(&cell.cage);
    assert_eq!(report.posture, cell.proof.posture);
    assert_eq!(kept(&cell).build, here);
    assert!(!kept(&cell).tried.is_empty(), "it was made");
}

/// A process that may load programs and make no network, in one whose loopback interface is down.
fn without_networks<T: Send>(act: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            unshare_network().expect("root may");
            let mut held = capabilities(None).expect("readable");
            held.effective -= CapabilitySet::SYS_ADMIN;
            set_capabilities(None, held).expect("less may be had");
            act()
        });
        thread.join().expect("the thread ends well")
    })
}

/// The attack: the self-test is kept from being made, so that a kernel is taken for what it is not.
#[test]
fn without_a_self_test_nothing_goes_up() {
    let (cell, _home) = alone();
    fs::remove_file(cell.cage.pin_dir.join("links/connect4")).expect("the link is pinned");
    let report = without_networks(|| kernel::probe(&cell.cage));
    assert!(report.layers >= Posture::Core, "control: the programs load: {report:?}");
    assert_eq!(report.posture, Posture::Refuse);
    assert!(!report.unproven.is_empty() && report.tested.is_none(), "{report:?}");
    let refused = without_networks(|| kernel::up(&cell.cage, &cell.ids));
    assert!(refused.is_err(), "{refused:?}");
    assert!(!cell.cage.state_dir.exists(), "nothing is kept");
    kernel::up(&cell.cage, &cell.ids).expect("control: with a self-test it is repaired");
    let report = without_networks(|| kernel::probe(&cell.cage));
    assert_eq!(report.posture, cell.proof.posture, "a kept one is as good: {report:?}");
}
