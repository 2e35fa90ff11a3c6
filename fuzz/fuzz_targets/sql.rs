//! Statements in each dialect: nothing panics or stalls, and what is allowed names and touches what is listed.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
mod target {
    use atf_agent::gate::promises::statements::{ALLOWED, HONEST, Statements};
    use atf_fuzz::{begin, counted, spelled, statement};

    thread_local! {
        static STATEMENTS: Statements = Statements::open();
    }

    libfuzzer_sys::fuzz_target!(init: begin(HONEST.iter().chain(ALLOWED).map(spelled)), |bytes: &[u8]| {
        let is_allowed = STATEMENTS.with(|statements| statements.keep(&statement(bytes)));
        counted(is_allowed);
    });
}

#[cfg(not(fuzzing))]
fn main() {}
