//! Arguments against a pinned schema, through the whole decision: what is allowed is within their bounds.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
mod target {
    use atf_agent::gate::promises::arguments::{Arguments, HONEST};
    use atf_fuzz::{arguments, as_bytes, begin, counted};

    thread_local! {
        static RULES: Arguments = Arguments::shipped();
    }

    libfuzzer_sys::fuzz_target!(init: begin(HONEST.iter().map(as_bytes)), |bytes: &[u8]| {
        counted(RULES.with(|rules| rules.keep(&arguments(bytes))));
    });
}

#[cfg(not(fuzzing))]
fn main() {}
