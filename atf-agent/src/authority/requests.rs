//! The connections: who may ask what, and the answer.

use std::io;
use std::time::{Duration, Instant};

use super::Authority;
use super::error::AuthorityError;
use super::turns::{InTurn, Turn};
use crate::call::{Approver, RunId, Untrusted};
use crate::wire::{AuthorityReply, AuthorityRequest, Ids, Registry, Server};

/// How long a registration waits for a gateway; `atf run` itself waits longer.
const GATEWAY_WITHIN: Duration = Duration::from_secs(3);

/// How often it looks meanwhile.
const GATEWAY_LOOK_EVERY: Duration = Duration::from_millis(10);

/// How often one who waits for its turn is told so: far more often than the shortest time that anybody
/// gives an answer, two seconds.
const TELL_EVERY: Duration = Duration::from_millis(500);

/// Takes the requests of one connection until it ends or becomes the subscriber's. Who subscribes has a turn among
/// `subscribers` first: each may take seconds, and a gateway that fell opens many.
pub(super) fn attend(mut server: Server, authority: &InTurn<Authority>, subscribers: &InTurn<()>) {
    loop {
        let (number, request) = match server.hear::<AuthorityRequest>() {
            Ok(Some(next)) => next,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(server.peer.uid, server.peer.pid, %error, "a connection failed");
                return;
            }
        };
        let uid = server.peer.uid;
        let registers = matches!(request, AuthorityRequest::Register { .. });
        // Read before it waits for its turn; by then it may have gone.
        let login = server.login_uid().map_err(|error| error.kind());
        let subscribes = matches!(request, AuthorityRequest::Subscribe);
        let waits = || server.waits(number);
        let _one_of_them = subscribes.then(|| subscribers.take(TELL_EVERY, waits));
        let turn = || authority.take(TELL_EVERY, waits);
        let mut authority = match uid == 0 && registers {
            true => turn_with_gateway(turn, waits),
            false => turn(),
        };
        // What nobody waits for any more is not done, but for an end: the run is over all the same.
        if !matches!(request, AuthorityRequest::End { .. }) && !server.is_open() {
            tracing::warn!(uid, server.peer.pid, "who asked has gone before its turn");
            return;
        }
        if subscribes && may_ask(&authority.ids, uid, &request) {
            if let Err(error) = authority.subscribe(server) {
                tracing::error!(%error, "the gateway did not take the snapshot");
            }
            return;
        }
        let reply = authority.answer(Asker { uid, login }, request).unwrap_or_else(|error| {
            tracing::warn!(uid, %error, "refused");
            AuthorityReply::Refused { why: Untrusted::new(error.to_string()) }
        });
        drop(authority);
        if server.answer(number, &reply).is_err() {
            return;
        }
    }
}

/// Gives a gateway that is just starting, or starting again, the time to subscribe: a launch in that
/// moment should be late, not refused. Others have their turns while it waits.
fn turn_with_gateway<'a>(
    turn: impl Fn() -> Turn<'a, Authority>,
    waits: impl Fn(),
) -> Turn<'a, Authority> {
    let mut own = turn();
    let deadline = Instant::now() + GATEWAY_WITHIN;
    let mut due = Instant::now() + TELL_EVERY;
    while !own.subscriber.is_connected() && Instant::now() < deadline {
        drop(own);
        std::thread::sleep(GATEWAY_LOOK_EVERY);
        if Instant::now() >= due {
            waits();
            due = Instant::now() + TELL_EVERY;
        }
        own = turn();
    }
    own
}

/// Who asks, by the kernel's word.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker {
    pub(super) uid: u32,
    /// With which uid the person logged in, `None` where nobody did; or why that cannot be read.
    pub(super) login: Result<Option<u32>, io::ErrorKind>,
}

impl Asker {
    /// Who it is by `name`, as the log has it.
    fn named(self, name: Untrusted) -> Approver {
        Approver { uid: self.uid, login_uid: self.login.ok().flatten(), name }
    }
}

/// Root asks for everything about runs; the gateway's uid subscribes, and no more.
fn may_ask(ids: &Ids, uid: u32, request: &AuthorityRequest) -> bool {
    match request {
        AuthorityRequest::Subscribe => uid == ids.gateway,
        AuthorityRequest::Register { .. }
        | AuthorityRequest::Renew { .. }
        | AuthorityRequest::End { .. }
        | AuthorityRequest::Release { .. }
        | AuthorityRequest::Runs
        | AuthorityRequest::Approvals
        | AuthorityRequest::Approve { .. }
        | AuthorityRequest::Publish { .. }
        | AuthorityRequest::NotPublished { .. } => uid == 0,
    }
}

impl Authority {
    /// The answer to one request of `uid`.
    pub(super) fn answer(
        &mut self,
        asker: Asker,
        request: AuthorityRequest,
    ) -> Result<AuthorityReply, AuthorityError> {
        let uid = asker.uid;
        if !may_ask(&self.ids, uid, &request) {
            return Err(AuthorityError::NotAllowed { uid });
        }
        match request {
            AuthorityRequest::Register {
                run,
                cgroup,
                agent,
                mandate,
                prompt,
                lifetime_s,
                network,
            } => self.register(super::register::Wanted {
                run,
                cgroup,
                agent,
                mandate,
                prompt,
                lifetime_s,
                network,
            }),
            AuthorityRequest::Renew { run } => self.renew(run),
            AuthorityRequest::End { run, how, refused } => self.end(run, how, refused),
            AuthorityRequest::Release { run } => self.release(run, uid),
            AuthorityRequest::Runs => {
                let held_back = self.subscriber.held_back();
                Ok(AuthorityReply::Runs { runs: self.entries()?, held_back })
            }
            AuthorityRequest::Approvals => self.approvals(),
            AuthorityRequest::Approve { decision, granted, name } => {
                self.approve(decision, granted, asker.named(name), asker.login.err())
            }
            AuthorityRequest::Publish { version, revision, signer, name } => {
                self.publish(version, revision, signer, asker.named(name))
            }
            AuthorityRequest::NotPublished { what, name } => {
                self.not_published(&what, &asker.named(name))
            }
            // A connection becomes the subscriber's in `attend`; here nobody can.
            AuthorityRequest::Subscribe => Err(AuthorityError::NotAllowed { uid }),
        }
    }

    fn subscribe(&mut self, gateway: Server) -> Result<(), AuthorityError> {
        let runs = self.entries()?;
        let live: Vec<RunId> = runs.iter().map(|entry| entry.run).collect();
        // One by one: all of them may be longer than a message.
        let registry = &self.registry;
        let named = live.into_iter().map(|run| {
            let named = registry.named(run)?;
            Ok(Registry::Named { run, named })
        });
        self.subscriber.replace(gateway, &Registry::Snapshot { runs }, named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::DecisionId;

    #[test]
    fn runs_are_root_s_and_subscribing_is_the_gateway_s() {
        let ids = Ids::default();
        let run = RunId::random();
        for (uid, runs, subscribe) in [
            (0, true, false),
            (ids.gateway, false, true),
            (ids.authority, false, false),
            (ids.recorder, false, false),
            (ids.executor, false, false),
            (ids.pool_first, false, false),
        ] {
            let how = "exit 0".into();
            for request in [
                AuthorityRequest::Renew { run },
                AuthorityRequest::End { run, how, refused: None },
                AuthorityRequest::Release { run },
                AuthorityRequest::Runs,
                AuthorityRequest::Approvals,
                AuthorityRequest::Publish {
                    version: 1,
                    revision: crate::call::Digest::of(b"policy"),
                    signer: None,
                    name: "alice".into(),
                },
                AuthorityRequest::NotPublished { what: "unsigned".into(), name: "alice".into() },
                AuthorityRequest::Approve {
                    decision: DecisionId::random(),
                    granted: true,
                    name: "alice".into(),
                },
            ] {
                assert_eq!(may_ask(&ids, uid, &request), runs, "{uid} {request:?}");
            }
            let subscribes = may_ask(&ids, uid, &AuthorityRequest::Subscribe);
            assert_eq!(subscribes, subscribe, "{uid}");
        }
    }
}
