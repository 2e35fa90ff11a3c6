//! The authority's way to the recorder.

use std::path::PathBuf;
use std::time::Duration;

use super::error::AuthorityError;
use crate::audit::Event;
use crate::wire::{Connection, RecorderReply, RecorderRequest};

/// How long a record may take: a disk under load takes a second, a dead recorder answers at once.
const RECORD_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to the recorder that is opened when it is needed.
pub(super) struct Log {
    socket: PathBuf,
    open: Option<Connection<RecorderRequest, RecorderReply>>,
    /// What the recorder has not heard yet: that this authority started.
    start: Option<Event>,
}

impl Log {
    /// The recorder at `socket`.
    pub(super) fn new(socket: PathBuf) -> Self {
        Self { socket, open: None, start: None }
    }

    /// Records `start` now, or else before whatever is recorded next.
    pub(super) fn begin(&mut self, start: Event) {
        self.start = Some(start);
        self.catch_up();
    }

    /// Records the start, when it is not in the log.
    pub(super) fn catch_up(&mut self) {
        if let Err(error) = self.record(Vec::new()) {
            tracing::warn!(%error, "the start is not in the log yet");
        }
    }

    /// Records `events` in this order, all on the disk when this returns: the log is one file, and
    /// what stands before a durable record is durable.
    pub(super) fn record(&mut self, events: Vec<Event>) -> Result<(), AuthorityError> {
        if let Some(start) = self.start.clone() {
            self.append(start, true)?;
            self.start = None;
        }
        let last = events.len().saturating_sub(1);
        for (number, event) in events.into_iter().enumerate() {
            self.append(event, number == last)?;
        }
        Ok(())
    }

    fn append(&mut self, event: Event, durable: bool) -> Result<(), AuthorityError> {
        let failed = |error: &dyn std::fmt::Display| AuthorityError::Log(error.to_string());
        let mut recorder = match self.open.take() {
            Some(open) => open,
            None => Connection::open(&self.socket, RECORD_TIMEOUT).map_err(|e| failed(&e))?,
        };
        let request = RecorderRequest::Append { event: Box::new(event), durable, permit: None };
        // A connection that failed is not kept: the recorder may have been restarted.
        match recorder.ask(&request).map_err(|e| failed(&e))? {
            RecorderReply::Recorded { .. } => {
                self.open = Some(recorder);
                Ok(())
            }
            RecorderReply::Refused { why } => {
                self.open = Some(recorder);
                Err(failed(&why))
            }
        }
    }
}
