//! Holds what servers offer against what an operator approved: what differs is withheld, and the log is
//! told. The approval is in the pin; what the server says is never shown to a run.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::findings::Findings;
use super::offer::Offered;
use super::together::Together;
use crate::call::ToolName;
use crate::executor::outcome::Reply;
use crate::executor::trust::Trust;
use crate::gate;
use crate::wire::{Catalogue, ExecutorReply};

/// Most who wait for a change.
const WAITING_MAX: usize = 16;

/// Most names that one finding spells out.
const NAMES_MAX: usize = 20;

/// What is known of all servers.
pub(in crate::executor) struct Watch {
    trust: Arc<Trust>,
    findings: Findings,
    /// The tools that changed since they were approved, by server.
    withheld: Mutex<BTreeMap<String, BTreeSet<ToolName>>>,
    /// What they offer besides tools.
    besides: Mutex<Together>,
    /// The number of what is offered now, and those who wait for the next one.
    waiting: Mutex<(u64, Vec<Reply>)>,
}

impl Watch {
    /// Nothing is known yet. Findings go to the recorder's socket.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(in crate::executor) fn new(trust: Arc<Trust>, recorder: PathBuf) -> io::Result<Self> {
        Ok(Self {
            trust,
            findings: Findings::new(recorder)?,
            withheld: Mutex::default(),
            besides: Mutex::default(),
            waiting: Mutex::new((1, Vec::new())),
        })
    }

    /// The tools that are withheld.
    pub(in crate::executor) fn withheld(&self) -> Vec<ToolName> {
        lock(&self.withheld).values().flatten().cloned().collect()
    }

    /// What all servers offer besides tools.
    pub(in crate::executor) fn catalogue(&self) -> Catalogue {
        lock(&self.besides).whole()
    }

    /// Has `reply` given what is offered, as soon as it is another than the one of number `seen`.
    pub(super) fn changed_since(&self, seen: u64, reply: Reply) {
        let mut waiting = lock(&self.waiting);
        if waiting.0 != seen {
            let number = waiting.0;
            drop(waiting);
            return self.offer(number, reply);
        }
        // One who asks often is its own harm: the gateway asks once.
        waiting.1.truncate(WAITING_MAX - 1);
        waiting.1.push(reply);
    }

    fn offer(&self, number: u64, reply: Reply) {
        let (withheld, offered) = (self.withheld(), Box::new(self.catalogue()));
        reply.give(ExecutorReply::Offering { number, withheld, offered });
    }

    /// Something is offered otherwise from now on.
    fn changed(&self) {
        let mut waiting = lock(&self.waiting);
        waiting.0 += 1;
        let (number, replies) = (waiting.0, std::mem::take(&mut waiting.1));
        drop(waiting);
        replies.into_iter().for_each(|reply| self.offer(number, reply));
    }

    /// A server offers this besides its tools from now on. No pin covers it: what has a text that an
    /// operator does not see is no offer.
    pub(super) fn besides(&self, server: &str, mut offered: Catalogue) {
        let is_clean = |name: &str, listing: &Value| match gate::hidden_text(listing) {
            Some(hidden) => {
                self.findings.tell(server, "offer.hidden_text", &format!("{name}: {hidden}"));
                false
            }
            None => true,
        };
        offered.prompts.retain(|one| is_clean(one.name.as_str(), &one.listing));
        offered.resources.retain(|one| is_clean(one.name.as_str(), &one.listing));
        offered.templates.retain(|one| is_clean(one.name.as_str(), &one.listing));
        let kept = lock(&self.besides).put(server, offered);
        if let Err(why) = kept {
            self.findings.tell(server, "offer.too_long", &why);
        }
        self.changed();
    }

    /// A server offers `tools` from now on.
    pub(super) fn offered(&self, server: &str, tools: &[Offered]) {
        let mut changed = BTreeSet::new();
        let mut not_approved = Vec::new();
        for offered in tools {
            let name: Option<ToolName> = format!("{server}.{}", offered.tool).parse().ok();
            if let Some(hidden) = hidden(offered) {
                self.findings.tell(
                    server,
                    "tool.hidden_text",
                    &format!("{server}: {:?}: {hidden}", offered.tool),
                );
            }
            match name.map(|name| (self.trust.approved(&name), name)) {
                None | Some((Err(_), _)) => not_approved.push(offered.tool.as_str()),
                Some((Ok(approved), _)) if approved == Some(offered.digest) => {}
                Some((Ok(approved), name)) => {
                    let approved =
                        approved.map_or_else(|| "nothing".to_owned(), |digest| digest.to_string());
                    let found = offered.digest;
                    let detail = format!("{name}: approved is {approved}, it offers {found}");
                    self.findings.tell(server, "tool.changed", &detail);
                    changed.insert(name);
                }
            }
        }
        if !not_approved.is_empty() {
            let (count, names) = (not_approved.len(), &not_approved[..count_shown(&not_approved)]);
            let detail = format!("{server}: {count} tools that nobody approved: {names:?}");
            self.findings.tell(server, "tool.not_approved", &detail);
        }
        lock(&self.withheld).insert(server.to_owned(), changed);
        self.changed();
    }
}

fn count_shown(names: &[&str]) -> usize {
    names.len().min(NAMES_MAX)
}

/// A character of the tool's texts that is not seen, if there is one.
fn hidden(offered: &Offered) -> Option<String> {
    gate::hidden_text(&offered.definition())
}

/// The maps are whole after a panic: they only take inserts.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
