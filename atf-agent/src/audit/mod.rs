//! What is remembered: the events, their shape in the log (OCSF 1.9), the chain that binds each
//! record to the one before, and the proof that a log is whole. No socket; the recorder has those.

mod chain;
mod decided;
mod event;
mod fault;
mod head;
mod mark;
mod ocsf;
mod plain;
#[cfg(test)]
mod plain_tests;
#[cfg(test)]
pub(crate) mod samples;
mod segments;
mod show;
mod verify;

pub use chain::{Chain, Last, Link, LinkError};
pub use decided::{Decided, decided};
pub use event::{Call, Event, Judged, Notified, Outcome, Process, Rewritten, Verdict};
pub use fault::{Broken, Fault, VerifyError};
pub use head::{HEAD_FILE, Head, HeadError};
pub use mark::{Mark, NoMark};
pub use plain::NotPlain;
pub use segments::{LINE_BYTES_MAX, Segment, segments};
pub use show::{Filter, Row, ShowError, Shown, show};
pub use verify::{Signed, Tail, Whole, verify, verify_tail};
