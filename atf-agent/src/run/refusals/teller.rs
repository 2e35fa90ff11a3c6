//! Brings refusals to the recorder. One that it does not take is dropped, and counted: the answer to
//! the run never waits for the log.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use super::Counts;
use crate::audit::Event;
use crate::wire::{Connection, RecorderReply, RecorderRequest};

/// How long the recorder may take for one of them.
const RECORDER_TIMEOUT: Duration = Duration::from_secs(1);

/// How long the recorder may take for all that is queued when the run is over.
const LAST_TIMEOUT: Duration = Duration::from_secs(2);

/// Tells everything that is queued, until nobody can queue any more. Once the run is over, the first
/// failure ends the telling, and so does a recorder that is slow: a run's end must not wait for it.
pub(super) fn tell_all(
    queue: &Receiver<Event>,
    recorder: &Path,
    counts: &Counts,
    over: &AtomicBool,
) {
    let mut connection = None;
    let (mut given_up, mut until) = (false, None);
    for event in queue {
        if over.load(Ordering::SeqCst) {
            let until = *until.get_or_insert_with(|| Instant::now() + LAST_TIMEOUT);
            given_up |= Instant::now() >= until;
        }
        let told = !given_up && tell(&mut connection, recorder, event);
        let count = if told { &counts.events } else { &counts.dropped };
        count.fetch_add(1, Ordering::SeqCst);
        given_up |= !told && over.load(Ordering::SeqCst);
    }
}

type ToRecorder = Connection<RecorderRequest, RecorderReply>;

fn tell(connection: &mut Option<ToRecorder>, recorder: &Path, event: Event) -> bool {
    let open = match connection.take() {
        Some(open) => Ok(open),
        None => Connection::open(recorder, RECORDER_TIMEOUT),
    };
    let Ok(mut open) = open else {
        return false;
    };
    let request = RecorderRequest::Append { event: Box::new(event), durable: false, permit: None };
    match open.ask(&request) {
        Ok(RecorderReply::Recorded { .. }) => {
            *connection = Some(open);
            true
        }
        Ok(RecorderReply::Refused { why }) => {
            tracing::warn!(%why, "the recorder refused a refusal of the run's");
            *connection = Some(open);
            false
        }
        Err(_) => false,
    }
}
