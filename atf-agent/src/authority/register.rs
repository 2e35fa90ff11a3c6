//! How a run comes to life: registry, kernel, gateway, log, and then the answer. What fails takes
//! back what was done before it, in the opposite order.

use std::num::NonZeroU64;

use atf_common::operation::NO_NETWORK;
use atf_common::records::Run;

use super::Authority;
use super::clock::boot_ms;
use super::delegation::child;
use super::ending::is_sealed;
use super::error::AuthorityError;
use super::manifest::Manifest;
use super::tokens::{self, Minted};
use crate::audit::Event;
use crate::call::{AgentName, CgroupId, Chain, Digest, Named, RunId};
use crate::state::Registered;
use crate::sys::network;
use crate::wire::{AuthorityReply, Mandate, Registry, RunEntry};

/// What the launcher asks for.
pub(super) struct Wanted {
    pub(super) run: RunId,
    pub(super) cgroup: CgroupId,
    pub(super) agent: AgentName,
    pub(super) mandate: Mandate,
    pub(super) prompt: Digest,
    pub(super) lifetime_s: Option<u32>,
    pub(super) network: Option<NonZeroU64>,
}

impl Authority {
    /// Admits a run.
    pub(super) fn register(&mut self, wanted: Wanted) -> Result<AuthorityReply, AuthorityError> {
        let (run, named) = self.check(wanted)?;
        // Signed first: claims that cannot be signed undo nothing.
        let last_iat = self.last_iat_unix_s()?;
        let minted = tokens::mint(&self.minter, &self.settings, &run, last_iat)?;
        let run = Registered { token_boot_ms: minted.token_boot_ms, ..run };
        self.registry.add(&run, &named, minted.iat_unix_s)?;
        match self.admit(&run, named, &minted) {
            Ok(()) => Ok(AuthorityReply::Registered { uid: run.uid, token: minted.token }),
            Err(error) => {
                self.undo(&run, &error);
                Err(error)
            }
        }
    }

    /// A fresh token for a live run.
    pub(super) fn renew(&mut self, run: RunId) -> Result<AuthorityReply, AuthorityError> {
        let live = self.live(run)?;
        let manifest = Manifest::read(&self.places.agents_dir, &live.agent)?;
        check_prompt(&manifest, live.prompt)?;
        let live = Registered {
            tools: tokens::still_allowed(&live.tools, &manifest.tools),
            narrowing: live.narrowing.and(&manifest.narrowing()),
            reach: live.reach.also_in(&manifest.reach()),
            ..live
        };
        let live = self.below_all(live)?;
        let last_iat = self.registry.last_iat_unix_s()?;
        let minted = tokens::mint(&self.minter, &self.settings, &live, last_iat)?;
        self.log.record(vec![minted.event])?;
        self.registry.renewed(run, minted.token_boot_ms, minted.iat_unix_s)?;
        let renewed = Registered { token_boot_ms: minted.token_boot_ms, ..live };
        (self.kernel.extend)(renewed.cgroup, record(&renewed)).map_err(AuthorityError::Kernel)?;
        Ok(AuthorityReply::Renewed { token: minted.token })
    }

    /// The live run of this id.
    pub(super) fn live(&self, run: RunId) -> Result<Registered, AuthorityError> {
        let live = self.registry.get(run)?;
        live.ok_or(AuthorityError::NotLive { run })
    }

    /// All live runs, as the gateway and the operator see them.
    pub(super) fn entries(&self) -> Result<Vec<RunEntry>, AuthorityError> {
        let live = self.registry.live()?;
        live.iter().map(|run| self.entry(run)).collect()
    }

    fn entry(&self, run: &Registered) -> Result<RunEntry, AuthorityError> {
        let state = (self.kernel.state)(run.cgroup).map_err(AuthorityError::Kernel)?;
        Ok(RunEntry {
            run: run.run,
            cgroup: run.cgroup,
            uid: run.uid,
            agent: run.agent.clone(),
            user: run.user.clone(),
            task: run.task.clone(),
            prompt: run.prompt,
            end_boot_ms: run.end_boot_ms,
            sealed: is_sealed(state),
        })
    }

    /// What the run would be, when all of it is as it should be, and what it names. Nothing is changed.
    fn check(&self, wanted: Wanted) -> Result<(Registered, Named), AuthorityError> {
        let manifest = Manifest::read(&self.places.agents_dir, &wanted.agent)?;
        check_prompt(&manifest, wanted.prompt)?;
        if !self.kernel.has_cgroup(wanted.run, wanted.cgroup) {
            return Err(AuthorityError::Cgroup { run: wanted.run, cgroup: wanted.cgroup });
        }
        if let Some(network) = wanted.network {
            self.check_network(network)?;
        }
        // A run below another names what that one's task does: its own may be the other agent's words.
        let (user, task, named, parent) = match wanted.mandate {
            Mandate::Person { user, task, named } => (user, task, named, None),
            Mandate::Run { parent } => {
                let parent = self.delegating(parent)?;
                let named = self.registry.named(parent.run)?;
                (parent.user.clone(), parent.task.clone(), named, Some(parent))
            }
        };
        let (first, size) = (self.ids.pool_first, self.ids.pool_size);
        let uid = self.registry.free_uid(first, size)?;
        let lifetime_s = wanted.lifetime_s.map_or(u64::MAX, u64::from);
        let lifetime_s = lifetime_s.min(self.settings.run_max_s);
        let end_boot_ms = boot_ms().saturating_add(lifetime_s.saturating_mul(1_000));
        let run = Registered {
            run: wanted.run,
            cgroup: wanted.cgroup,
            uid: uid.ok_or(AuthorityError::Pool { size })?,
            agent: wanted.agent,
            user,
            task,
            prompt: wanted.prompt,
            narrowing: manifest.narrowing(),
            reach: manifest.reach(),
            chain: Chain::default(),
            tools: manifest.tools_for(&named),
            network: wanted.network,
            boot: self.boot.clone(),
            end_boot_ms,
            token_boot_ms: end_boot_ms,
        };
        let run = match parent {
            Some(parent) => self.below_all(child(run, &parent)?)?,
            None => run,
        };
        Ok((run, named))
    }

    /// The network has to be the run's own: in any other, its TCP sockets would reach what is not its. The
    /// kernel programs refuse that of the host by themselves.
    fn check_network(&self, found: NonZeroU64) -> Result<(), AuthorityError> {
        let others = self.registry.live()?;
        let is_taken = others.iter().any(|run| run.network == Some(found));
        match network::cookie() {
            Ok(own) if own != found && !is_taken => Ok(()),
            Ok(_) | Err(_) => Err(AuthorityError::Network { found }),
        }
    }

    /// Makes the registered run live, everywhere.
    fn admit(
        &mut self,
        run: &Registered,
        named: Named,
        minted: &Minted,
    ) -> Result<(), AuthorityError> {
        let mode = (self.kernel.mode)().map_err(AuthorityError::Kernel)?;
        (self.kernel.admit)(run.cgroup, record(run)).map_err(AuthorityError::Kernel)?;
        let entry = self.entry(run)?;
        self.subscriber.tell(&Registry::Open { entry, named })?;
        let registered = Event::RunRegistered {
            run: run.run,
            cgroup: run.cgroup,
            uid: run.uid,
            agent: run.agent.clone(),
            user: run.user.clone(),
            task: run.task.clone(),
            prompt: run.prompt,
            chain: run.chain.clone(),
            mode,
        };
        self.log.record(vec![registered, minted.event.clone()])
    }

    /// Takes back a run that was never answered for. Each part is tried: what stays behind denies,
    /// and the next start sets it right from the registry.
    fn undo(&mut self, run: &Registered, why: &AuthorityError) {
        if let AuthorityError::Log(_) = why {
            // Half of it may be in the log: then its end has to be there too, as soon as can be.
            let how = "its registration is not in the log".into();
            if let Err(error) = self.forget(run, how) {
                tracing::error!(run = %run.run, %error, "a run cannot be taken back");
            }
            return;
        }
        if let Err(error) = self.subscriber.tell(&Registry::Close { run: run.run }) {
            tracing::warn!(run = %run.run, %error, "the gateway could not take back the run");
        }
        if let Err(error) = (self.kernel.remove)(run.cgroup) {
            tracing::error!(run = %run.run, %error, "the kernel keeps a run that was taken back");
        }
        if let Err(error) = self.registry.remove(run.run) {
            tracing::error!(run = %run.run, %error, "the registry keeps a run that was taken back");
        }
    }
}

/// What the kernel has to know of a run.
pub(super) fn record(run: &Registered) -> Run {
    Run {
        end_boot_ms: run.end_boot_ms,
        token_boot_ms: run.token_boot_ms,
        netns_cookie: run.network.map_or(NO_NETWORK, NonZeroU64::get),
    }
}

fn check_prompt(manifest: &Manifest, found: Digest) -> Result<(), AuthorityError> {
    match manifest.prompt_sha256 {
        Some(expected) if expected != found => Err(AuthorityError::Prompt { expected, found }),
        Some(_) | None => Ok(()),
    }
}
