//! The cage of a kernel test, out of the lab.

pub(crate) use atf_tests::lab::cell::{Cell, HOUR_MS, LEASE_MS, Place, lasting};
