//! Inputs of the policy: it allows what a plain reading of its rules allows.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
mod target {
    use atf_agent::gate::promises::policy::Inputs;
    use atf_fuzz::{Question, begin, counted};

    thread_local! {
        static INPUTS: Inputs = Inputs::shipped();
    }

    libfuzzer_sys::fuzz_target!(init: begin([]), |question: Question| {
        counted(INPUTS.with(|inputs| question.keeps(inputs)));
    });
}

#[cfg(not(fuzzing))]
fn main() {}
