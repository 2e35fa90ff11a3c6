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
}

impl Log {
    /// The recorder at `socket`.
    pub(super) fn new(socket: PathBuf) -> Self {
        Self { socket, open: None }
    }

    /// Records `events` in this order, all on the disk when this returns: the log is one file, and
    /// what stands before a durable record is durable.
    pub(super) fn record(&mut self, events: Vec<Event>) -> Result<(), AuthorityError> {
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
