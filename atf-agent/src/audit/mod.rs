//! What is remembered: the events, their shape in the log (OCSF 1.9), the chain that binds each
//! record to the one before, and the proof that a log is whole. No socket; the recorder has those.

mod event;

pub use event::{Call, Event, Outcome, Process, Verdict};
