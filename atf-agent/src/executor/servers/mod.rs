//! The tool servers behind the executor: processes of their own, or servers that are reached by a URL. They
//! are not believed. A permit was checked before anything here hears of a call.

mod besides;
mod bounds;
mod call;
mod findings;
mod framing;
mod handshake;
mod hear;
mod keeper;
mod message;
mod news;
mod offer;
mod once;
mod orders;
mod remote;
mod request;
mod saying;
mod session;
mod settings;
mod sides;
mod stderr;
mod subscribed;
mod together;
mod turns;
mod under_way;
mod watch;

#[cfg(test)]
mod hostile;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::runtime::Runtime;

use orders::{Answering, Giving, orders};

use super::error::Mistrust;
use super::outcome::Reply;
use super::spawner::{Confinement, Spawner};
use crate::call::{DecisionId, ToolName};
use crate::wire::{Catalogue, Ids, Places};

pub(super) use call::Call;
pub use offer::Offered;
pub use once::{Answer, offers};
use settings::Way;
pub use settings::{Server, ServersError, read};
pub(super) use watch::Watch;

/// Calls that may wait for one server beside those that are under way.
const WAITING_MAX: usize = 64;

/// Threads that speak with servers: so that one long answer does not keep the others waiting.
const THREADS: usize = 2;

/// The servers and the process that starts them, ready before the executor gives root up.
pub struct Prepared {
    servers: Vec<Server>,
    spawner: Option<Arc<Spawner>>,
}

impl Prepared {
    /// No server at all.
    pub fn none() -> Self {
        Self { servers: Vec::new(), spawner: None }
    }

    /// Reads the servers' files, and forks the process that will start them. Call it as root, before the
    /// first thread is started. `cgroup` is where the servers' cgroups are made; without it they stay
    /// in the executor's.
    ///
    /// # Errors
    /// When a file is refused, or there are servers to be started and this is not root.
    pub fn fork(places: &Places, ids: &Ids, cgroup: Option<PathBuf>) -> Result<Self, ServersError> {
        let mut servers = read(&places.servers_dir, ids)?;
        let children = servers.iter().filter_map(|server| match &server.way {
            Way::Child(child, _) => Some((server.name.clone(), child.clone())),
            Way::Url(_) => None,
        });
        let children: Vec<_> = children.collect();
        if children.is_empty() {
            return Self { servers, spawner: None }.checked();
        }
        if !rustix::process::geteuid().is_root() {
            return Err(ServersError::NotRoot { count: children.len() });
        }
        let confinement =
            Confinement { hidden: vec![places.run_dir.clone(), places.state_dir.clone()], cgroup };
        let spawner = Spawner::fork(children, confinement).map_err(ServersError::Spawner)?;
        // From here on the spawner alone has the credentials of its servers.
        for server in &mut servers {
            if let Way::Child(child, _) = &mut server.way {
                child.environment.clear();
            }
        }
        Self { servers, spawner: Some(Arc::new(spawner)) }.checked()
    }

    /// Whether one of them is reached over IP: the executor keeps the host's network for it alone.
    pub fn need_network(&self) -> bool {
        self.servers.iter().any(|server| match &server.way {
            Way::Url(remote) => remote.is_over_ip(),
            Way::Child(..) => false,
        })
    }

    /// What servers by URL need is there. It is read again when it is used.
    fn checked(self) -> Result<Self, ServersError> {
        for server in &self.servers {
            if let Way::Url(remote) = &server.way {
                let failed = |what| ServersError::Remote { server: server.name.clone(), what };
                remote.link(server.era).map_err(failed)?;
            }
        }
        Ok(self)
    }

    /// Each server, and how it is reached.
    fn reached(self) -> impl Iterator<Item = (Server, keeper::Reached)> {
        let mut number = 0;
        self.servers.into_iter().filter_map(move |server| {
            let reached = match (&server.way, &self.spawner) {
                (Way::Url(remote), _) => keeper::Reached::Url(Arc::clone(remote)),
                (Way::Child(..), Some(spawner)) => {
                    number += 1;
                    keeper::Reached::Child(number - 1, Arc::clone(spawner))
                }
                // Whoever prepared them has forked it.
                (Way::Child(..), None) => return None,
            };
            Some((server, reached))
        })
    }
}

/// The servers at work.
pub(super) struct Servers {
    by_name: HashMap<String, Giving>,
    watch: Arc<Watch>,
    /// What speaks with them; ends with this value.
    _runtime: Option<Runtime>,
}

impl Servers {
    /// Starts all of them. Each comes up by itself; nobody waits for it.
    ///
    /// # Errors
    /// When there are no threads to be had.
    pub(super) fn start(prepared: Prepared, watch: Watch) -> std::io::Result<Self> {
        let watch = Arc::new(watch);
        if prepared.servers.is_empty() {
            return Ok(Self { by_name: HashMap::new(), watch, _runtime: None });
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .enable_all()
            .build()?;
        let mut by_name = HashMap::new();
        for (server, reached) in prepared.reached() {
            let (giving, waiting) = orders(WAITING_MAX);
            let bounds = server.bounds();
            by_name.insert(server.name.clone(), giving);
            let (name, watch) = (server.name, Arc::clone(&watch));
            let offered = hear::Hear {
                tools: {
                    let (name, watch) = (name.clone(), Arc::clone(&watch));
                    Box::new(move |tools: &[Offered]| watch.offered(&name, tools))
                },
                besides: {
                    let name = name.clone();
                    Box::new(move |offered| watch.besides(&name, offered))
                },
            };
            let kept = keeper::Kept { name, bounds, reached, offered };
            runtime.spawn(keeper::keep(kept, waiting));
        }
        Ok(Self { by_name, watch, _runtime: Some(runtime) })
    }

    /// Whether there is a server of this name.
    pub(super) fn has(&self, server: &str) -> bool {
        self.by_name.contains_key(server)
    }

    /// The tools that are not what was approved.
    pub(super) fn withheld(&self) -> Vec<ToolName> {
        self.watch.withheld()
    }

    /// Has `reply` given all that they offer, as soon as it is another than the one of number `seen`.
    pub(super) fn watch(&self, seen: u64, reply: Reply) {
        self.watch.changed_since(seen, reply);
    }

    /// What all of them offer besides tools.
    pub(super) fn catalogue(&self) -> Catalogue {
        self.watch.catalogue()
    }

    /// Nobody waits for the call of `decision` any more. Tells its server as soon as it can be told.
    pub(super) fn cancel(&self, server: &str, decision: DecisionId) {
        let lost = self.by_name.get(server).map(|giving| giving.cancels.try_send(decision));
        if let Some(Err(error)) = lost {
            tracing::debug!(%error, server, "a call runs on, and nobody waits for it");
        }
    }

    /// Hands what is said to a question of a server to it.
    fn answer_to(&self, server: &str, answering: Answering) {
        let Some(giving) = self.by_name.get(server) else {
            let why = "there is none of this name".to_owned();
            return answering.in_vain(Mistrust::ServerAway { server: server.to_owned(), why });
        };
        if let Err(error) = giving.answers.try_send(answering) {
            let server = server.to_owned();
            error.into_inner().in_vain(Mistrust::ServerBusy { server });
        }
    }

    /// Hands what a run answers to the server that has asked it.
    pub(super) fn answer(&self, server: &str, answer: Call) {
        self.answer_to(server, Answering::Answer(Box::new(answer)));
    }

    /// Nobody answers `question`, which was asked for the call of `decision`.
    pub(super) fn unanswered(&self, server: &str, decision: DecisionId, question: u64) {
        self.answer_to(server, Answering::Nothing { decision, question });
    }

    /// Hands a call to its server. It answers when the server has, or has not in time.
    pub(super) fn call(&self, server: &str, call: Call) {
        let Some(giving) = self.by_name.get(server) else {
            let why = "there is none of this name".to_owned();
            return call.reply.give(super::outcome::Outcome::NotDone(Mistrust::ServerAway {
                server: server.to_owned(),
                why,
            }));
        };
        if let Err(error) = giving.calls.try_send(call) {
            let call = error.into_inner();
            let server = server.to_owned();
            call.reply.give(super::outcome::Outcome::NotDone(Mistrust::ServerBusy { server }));
        }
    }
}
