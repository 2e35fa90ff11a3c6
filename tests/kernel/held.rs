//! Who holds the maps of a cage that was made anew, and is told so.

use std::fs;

use atf_agent::kernel::{self, maps::Held};

use crate::cell::Cell;

#[test]
fn maps_in_whose_place_others_are_pinned_are_named() {
    let cell = Cell::up();
    let pins = &cell.cage.pin_dir;
    let held = Held::of(pins, &["RUNS", "DENY", "EVENTS"]).expect("pinned");
    assert!(held.replaced().is_empty());
    kernel::renew(&cell.cage, &cell.ids).expect("renewed");
    assert!(held.replaced().is_empty(), "an upgrade keeps the maps");
    fs::remove_file(pins.join("DENY")).expect("root may");
    assert!(held.replaced().is_empty(), "the watch has not filled its place yet");
    kernel::up(&cell.cage, &cell.ids).expect("repaired");
    assert_eq!(held.replaced(), ["DENY"]);
    fs::remove_dir_all(pins).expect("root may");
    kernel::up(&cell.cage, &cell.ids).expect("repaired");
    assert_eq!(held.replaced(), ["RUNS", "DENY", "EVENTS"]);
    assert!(Held::of(pins, &["NO_SUCH_MAP"]).is_err());
}
