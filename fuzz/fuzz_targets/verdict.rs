//! The verdict: nothing but the run's own marked gateway, its own sockets and its registered loopback is
//! ever allowed.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|case: atf_fuzz::Case| atf_fuzz::counted(case.keeps()));

#[cfg(not(fuzzing))]
fn main() {}
