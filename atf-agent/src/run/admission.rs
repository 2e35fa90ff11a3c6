//! The launcher's side of the authority: admit a run, renew its token, forget it.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::call::{CgroupId, Digest, RunId, Untrusted};
use crate::wire::{AuthorityReply, AuthorityRequest, Connection, Mandate, Token};

use super::error::RunError;
use super::request::Request;

/// Longest wait for an admission: the authority answers when the kernel and the gateway know the run.
const REGISTER_WAIT_MAX: Duration = Duration::from_secs(10);

/// Longest wait for a token once it is being made; the keeper does nothing else meanwhile.
const RENEW_WAIT_MAX: Duration = Duration::from_secs(2);

/// Longest wait of a keeper for its turn, for the same reason.
const KEEPER_IN_LINE_MAX: Duration = Duration::from_secs(5);

/// How long an end is repeated while the authority is away. After that the cgroup goes without it,
/// and its id never comes back, so that nothing stays admitted.
const END_WAIT_MAX: Duration = Duration::from_secs(10);

/// Pause between two tries to tell the end.
const END_PAUSE: Duration = Duration::from_millis(100);

/// Where the authority is.
pub(super) struct Authority {
    /// Its socket.
    pub(super) socket: PathBuf,
}

impl Authority {
    /// Registers the run; the answer is its uid and its first token.
    pub(super) fn register(
        &self,
        run: RunId,
        cgroup: CgroupId,
        (prompt, mandate): (Digest, Mandate),
        network: Option<NonZeroU64>,
        request: &Request,
    ) -> Result<(u32, Token), RunError> {
        let ask = AuthorityRequest::Register {
            run,
            cgroup,
            agent: request.agent.clone(),
            mandate,
            prompt,
            lifetime_s: request.lifetime_s,
            network,
        };
        let mut connection = self.open(REGISTER_WAIT_MAX)?;
        match connection.ask(&ask) {
            Ok(AuthorityReply::Registered { uid, token }) => Ok((uid, token)),
            Ok(other) => Err(self.unexpected(other)),
            Err(error) => {
                // It was asked, so it may have admitted; a run that is not known is no problem to it. Hung up first: a
                // registration that has not had its turn has none then.
                drop(connection);
                let _unknown = self.end_once(run, "not started", None);
                Err(self.gone(error.to_string()))
            }
        }
    }

    /// A fresh token.
    pub(super) fn renew(&self, run: RunId) -> Result<Token, RunError> {
        match self.ask(&AuthorityRequest::Renew { run }, RENEW_WAIT_MAX)? {
            AuthorityReply::Renewed { token } => Ok(token),
            other => Err(self.unexpected(other)),
        }
    }

    /// Tells that the run has ended, and what its filter refused where that was counted, again and again
    /// for a while when the authority is away. The answer is whether the run was sealed.
    pub(super) fn end(
        &self,
        run: RunId,
        how: &str,
        refused: Option<[u64; 6]>,
    ) -> Result<bool, RunError> {
        let deadline = Instant::now() + END_WAIT_MAX;
        loop {
            match self.end_once(run, how, refused) {
                Err(RunError::NoAuthority { .. }) if Instant::now() < deadline => {
                    std::thread::sleep(END_PAUSE);
                }
                done => return done,
            }
        }
    }

    /// Tells that the run has ended, once.
    pub(super) fn end_once(
        &self,
        run: RunId,
        how: &str,
        refused: Option<[u64; 6]>,
    ) -> Result<bool, RunError> {
        let how = Untrusted::from(how);
        match self.ask(&AuthorityRequest::End { run, how, refused }, RENEW_WAIT_MAX)? {
            AuthorityReply::Was { sealed } => Ok(sealed),
            other => Err(self.unexpected(other)),
        }
    }

    fn ask(&self, ask: &AuthorityRequest, wait: Duration) -> Result<AuthorityReply, RunError> {
        let mut connection = self.open(wait)?.in_line_at_most(KEEPER_IN_LINE_MAX);
        connection.ask(ask).map_err(|error| self.gone(error.to_string()))
    }

    fn open(
        &self,
        wait: Duration,
    ) -> Result<Connection<AuthorityRequest, AuthorityReply>, RunError> {
        Connection::open(&self.socket, wait).map_err(|error| self.gone(error.to_string()))
    }

    fn gone(&self, why: String) -> RunError {
        RunError::NoAuthority { path: self.socket.clone(), why }
    }

    fn unexpected(&self, reply: AuthorityReply) -> RunError {
        match reply {
            AuthorityReply::Refused { why } => RunError::Refused { why },
            AuthorityReply::Registered { .. }
            | AuthorityReply::Renewed { .. }
            | AuthorityReply::Done
            | AuthorityReply::Was { .. }
            | AuthorityReply::Approvals { .. }
            | AuthorityReply::Runs { .. } => self.gone("it answered another question".to_owned()),
        }
    }
}
