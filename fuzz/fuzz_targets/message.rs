//! Messages: what the strict reader takes, `serde_json`, Python and JavaScript read alike, in what came and in
//! what goes on.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
mod target {
    use std::cell::RefCell;

    use atf_agent::gate::promises::messages::{HONEST, Messages};
    use atf_fuzz::{as_bytes, begin, counted, message};

    thread_local! {
        static READERS: RefCell<Messages> = RefCell::new(Messages::with_peers());
    }

    libfuzzer_sys::fuzz_target!(init: begin(HONEST.iter().map(as_bytes)), |bytes: &[u8]| {
        let is_taken = READERS.with_borrow_mut(|readers| readers.keep(&message(bytes)));
        counted(is_taken);
    });
}

#[cfg(not(fuzzing))]
fn main() {}
