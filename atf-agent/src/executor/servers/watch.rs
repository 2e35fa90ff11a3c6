//! Holds what servers offer against what an operator approved: what differs is withheld, and the log is
//! told. The approval is in the pin; what the server says is never shown to a run.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::offer::Offered;
use crate::audit::Event;
use crate::call::{Digest, ToolName, Untrusted};
use crate::executor::outcome::Reply;
use crate::executor::trust::Trust;
use crate::gate;
use crate::wire::{Catalogue, Connection, ExecutorReply, RecorderReply, RecorderRequest};

/// How long the recorder has for a finding, and how often it is tried: it may start later.
const RECORD_TIMEOUT: Duration = Duration::from_secs(5);
/// See [`RECORD_TIMEOUT`].
const TRIES: u32 = 30;
/// Pause between two tries.
const PAUSE: Duration = Duration::from_secs(1);

/// Most who wait for a change.
const WAITING_MAX: usize = 16;

/// Most names that one finding spells out.
const NAMES_MAX: usize = 20;

/// What is known of all servers.
pub(in crate::executor) struct Watch {
    trust: Arc<Trust>,
    recorder: PathBuf,
    /// The tools that changed since they were approved, by server.
    withheld: Mutex<BTreeMap<String, BTreeSet<ToolName>>>,
    /// What they offer besides tools, by server.
    besides: Mutex<BTreeMap<String, Catalogue>>,
    /// The number of what is offered now, and those who wait for the next one.
    waiting: Mutex<(u64, Vec<Reply>)>,
    /// What the log was told in this life of the executor.
    told: Mutex<HashSet<Digest>>,
}

impl Watch {
    /// Nothing is known yet. Findings go to the recorder's socket.
    pub(in crate::executor) fn new(trust: Arc<Trust>, recorder: PathBuf) -> Self {
        Self {
            trust,
            recorder,
            withheld: Mutex::default(),
            besides: Mutex::default(),
            waiting: Mutex::new((1, Vec::new())),
            told: Mutex::default(),
        }
    }

    /// The tools that are withheld.
    pub(in crate::executor) fn withheld(&self) -> Vec<ToolName> {
        lock(&self.withheld).values().flatten().cloned().collect()
    }

    /// What all servers offer besides tools.
    pub(in crate::executor) fn catalogue(&self) -> Catalogue {
        let mut all = Catalogue::default();
        lock(&self.besides).values().cloned().for_each(|one| all.extend(one));
        all
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
    pub(super) fn besides(self: &Arc<Self>, server: &str, mut offered: Catalogue) {
        let is_clean = |name: &str, listing: &Value| match gate::hidden_text(listing) {
            Some(hidden) => {
                self.tell("offer.hidden_text", &format!("{name}: {hidden}"));
                false
            }
            None => true,
        };
        offered.prompts.retain(|one| is_clean(one.name.as_str(), &one.listing));
        offered.resources.retain(|one| is_clean(one.name.as_str(), &one.listing));
        offered.templates.retain(|one| is_clean(one.name.as_str(), &one.listing));
        lock(&self.besides).insert(server.to_owned(), offered);
        self.changed();
    }

    /// A server offers `tools` from now on.
    pub(super) fn offered(self: &Arc<Self>, server: &str, tools: &[Offered]) {
        let mut changed = BTreeSet::new();
        let mut not_approved = Vec::new();
        for offered in tools {
            let name: Option<ToolName> = format!("{server}.{}", offered.tool).parse().ok();
            if let Some(hidden) = hidden(offered) {
                self.tell("tool.hidden_text", &format!("{server}: {:?}: {hidden}", offered.tool));
            }
            match name.map(|name| (self.trust.approved(&name), name)) {
                None | Some((Err(_), _)) => not_approved.push(offered.tool.as_str()),
                Some((Ok(approved), _)) if approved == Some(offered.digest) => {}
                Some((Ok(approved), name)) => {
                    let approved =
                        approved.map_or_else(|| "nothing".to_owned(), |digest| digest.to_string());
                    let found = offered.digest;
                    let detail = format!("{name}: approved is {approved}, it offers {found}");
                    self.tell("tool.changed", &detail);
                    changed.insert(name);
                }
            }
        }
        if !not_approved.is_empty() {
            let (count, names) = (not_approved.len(), &not_approved[..count_shown(&not_approved)]);
            let detail = format!("{server}: {count} tools that nobody approved: {names:?}");
            self.tell("tool.not_approved", &detail);
        }
        lock(&self.withheld).insert(server.to_owned(), changed);
        self.changed();
    }

    /// Tells the log, once for each finding.
    fn tell(self: &Arc<Self>, name: &'static str, detail: &str) {
        if !lock(&self.told).insert(Digest::of(format!("{name} {detail}").as_bytes())) {
            return;
        }
        let detail = Untrusted::new(detail);
        tracing::warn!(finding = name, %detail, "a tool server");
        let recorder = self.recorder.clone();
        std::thread::spawn(move || {
            for _ in 0..TRIES {
                match record(&recorder, name, &detail) {
                    Ok(()) => return,
                    Err(error) => tracing::warn!(%error, finding = name, "not recorded yet"),
                }
                std::thread::sleep(PAUSE);
            }
            tracing::error!(finding = name, %detail, "a finding is not recorded");
        });
    }
}

fn count_shown(names: &[&str]) -> usize {
    names.len().min(NAMES_MAX)
}

fn record(recorder: &Path, name: &str, detail: &Untrusted) -> Result<(), String> {
    let opened: std::io::Result<Connection<RecorderRequest, RecorderReply>> =
        Connection::open(recorder, RECORD_TIMEOUT);
    let mut connection = opened.map_err(|error| error.to_string())?;
    let event = Event::Finding { name: name.to_owned(), run: None, detail: detail.clone() };
    let request = RecorderRequest::Append { event: Box::new(event), durable: true, permit: None };
    match connection.ask(&request) {
        Ok(RecorderReply::Recorded { .. }) => Ok(()),
        Ok(RecorderReply::Refused { why }) => Err(why.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// A character of the tool's texts that is not seen, if there is one.
fn hidden(offered: &Offered) -> Option<String> {
    gate::hidden_text(&offered.definition)
}

/// The maps are whole after a panic: they only take inserts.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
