//! What the enforcer tells the recorder.

use std::path::Path;
use std::time::Duration;

use crate::audit::Event;
use crate::call::Untrusted;
use crate::wire::{Connection, RecorderReply, RecorderRequest};

/// How long the recorder may take. After a mismatch the runs are frozen meanwhile.
const RECORDER_TIMEOUT: Duration = Duration::from_secs(1);

/// Has a finding on the disk.
///
/// # Errors
/// Why it is not.
pub(super) fn record(socket: &Path, name: &str, detail: &str) -> Result<(), String> {
    let request = RecorderRequest::Append {
        event: Box::new(Event::Finding {
            name: name.to_owned(),
            run: None,
            detail: Untrusted::new(detail),
        }),
        durable: true,
        permit: None,
    };
    let mut recorder = Connection::<RecorderRequest, RecorderReply>::open(socket, RECORDER_TIMEOUT)
        .map_err(|error| error.to_string())?;
    match recorder.ask(&request).map_err(|error| error.to_string())? {
        RecorderReply::Recorded { .. } => Ok(()),
        RecorderReply::Refused { why } => Err(why.to_string()),
    }
}
