//! The kernel's denials on their way into the log. A full ring is counted by the kernel programs; the
//! ring fills while the log is slow.

use std::io;
use std::time::Duration;

use atf_common::event::Event as Denied;
use atf_common::vector::Vector;
use atf_common::verdict::Denial;

use super::shared_log::SharedLog;
use super::writer::Job;
use crate::audit::{Event, Judged, Process};
use crate::call::{CgroupId, Untrusted};

/// Records of one group: a reporter waits for no more than that.
const GROUP_RECORDS_MAX: usize = 256;

/// Pause before a source that failed is asked again.
const RETRY: Duration = Duration::from_secs(1);

/// Forwards for ever what `source` gives. A failure is recorded once, until the source works again.
pub(super) fn forward(mut source: impl FnMut() -> io::Result<Vec<Denied>>, log: &SharedLog) {
    let mut failing = false;
    loop {
        let mut events = match source() {
            Ok(denied) => {
                failing = false;
                denied.iter().map(event).collect::<Vec<_>>()
            }
            Err(error) => {
                std::thread::sleep(RETRY);
                if std::mem::replace(&mut failing, true) {
                    continue;
                }
                tracing::error!(%error, "the kernel's events cannot be read");
                vec![Event::Finding {
                    name: "events.unreadable".to_owned(),
                    run: None,
                    detail: error.to_string().into(),
                }]
            }
        };
        let job = |event| Job { event, reporter: Process::Recorder, permit: None, durable: false };
        // What is refused was told to the operator's log; nobody else asked.
        while !events.is_empty() {
            let rest = events.split_off(events.len().min(GROUP_RECORDS_MAX));
            let group = std::mem::replace(&mut events, rest);
            log.commit(group.into_iter().map(job).collect());
        }
    }
}

/// The event of one kernel record. Numbers that this release does not know are kept as numbers.
fn event(denied: &Denied) -> Event {
    let name = |known: Option<&str>, number: u32| {
        known.map_or_else(|| format!("unknown_{number}"), str::to_owned)
    };
    let comm = denied.comm.split(|b| *b == 0).next().unwrap_or_default();
    let judged = Judged {
        cgroup: CgroupId(denied.run),
        boot_ns: denied.boot_ns,
        vector: name(Vector::from_number(denied.vector).map(Vector::name), denied.vector),
        denial: name(
            Denial::from_number(denied.denial.into()).map(Denial::name),
            denied.denial.into(),
        ),
        pid: denied.pid,
        uid: denied.uid,
        comm: Untrusted::new(String::from_utf8_lossy(comm)),
        family: denied.family,
        detail: denied.detail,
        suppressed: denied.suppressed,
    };
    // Only what is certainly an observation is told as one.
    match denied.observed {
        1 => Event::KernelObserved(judged),
        _ => Event::KernelDenied(judged),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_record_keeps_its_names_and_its_unknown_numbers() {
        let mut denied = Denied {
            vector: Vector::Connect4 as u32,
            denial: Denial::Sealed as u16,
            run: 7,
            ..Denied::default()
        };
        denied.comm[..4].copy_from_slice(b"curl");
        for (vector, name) in [(Vector::Connect4 as u32, "connect4"), (99, "unknown_99")] {
            denied.vector = vector;
            let Event::KernelDenied(Judged { vector, denial, comm, .. }) = event(&denied) else {
                panic!("another event");
            };
            assert_eq!(vector, name);
            assert_eq!(denial, "sealed");
            assert_eq!(comm.raw(), "curl");
        }
    }

    #[test]
    fn what_was_let_through_is_no_denial() {
        for (observed, expected) in [(0, false), (1, true), (2, false)] {
            let told = event(&Denied { observed, ..Denied::default() });
            assert_eq!(matches!(told, Event::KernelObserved(_)), expected, "{observed}");
            assert_eq!(matches!(told, Event::KernelDenied(_)), !expected, "{observed}");
        }
    }
}
