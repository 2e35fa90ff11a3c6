//! Servers that are reached by a URL: Streamable HTTP in both eras, and HTTP+SSE of 2024-11-05, over TLS or a
//! unix socket. The session with a server is the same as over pipes; this room carries its messages.

mod address;
mod credentials;
mod dial;
mod events;
mod exchange;
mod listen;
mod post;
mod resuming;
mod settings;
mod sse;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::header::HeaderValue;
use hyper::{HeaderMap, Method};
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

use super::handshake;
use super::message::{self, Body, Failed, Heard};
use super::saying::{Saying, What};
use super::sides::Said;
use crate::gate::Era;
use listen::Asks;

pub(super) use settings::{File, Remote, is_by_url};

/// Messages under way on whose answers nobody waits; past that one is not sent.
const TOLD_MAX: usize = 64;

/// How long a server has to hear that its session is over.
const BYE_MAX: Duration = Duration::from_secs(1);

/// The session that a server named, if it did.
#[derive(Default)]
pub(super) struct Named(Mutex<Option<HeaderValue>>);

impl Named {
    fn id(&self) -> Option<HeaderValue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn begin(&self, id: HeaderValue) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(id);
    }

    fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// What one life of a server has: the ways to it, and what is shown there.
pub(super) struct Link {
    remote: Arc<Remote>,
    era: Era,
    credentials: HeaderMap,
    dial: dial::Dial,
    session: Named,
}

impl Remote {
    /// Reads what has to be read anew for each life: credentials, and who may sign.
    ///
    /// # Errors
    /// When one of them is of no use.
    pub(super) fn link(self: &Arc<Self>, era: Era) -> Result<Arc<Link>, String> {
        let (credentials, tls) = (self.credentials()?, self.tls()?);
        let (remote, session) = (Arc::clone(self), Named::default());
        let dial = dial::Dial::new(Arc::clone(self), tls);
        Ok(Arc::new(Link { remote, era, credentials, dial, session }))
    }
}

impl Link {
    /// The session is over, and the server is told, for a moment.
    pub(super) async fn bye(&self) {
        if self.session.id().is_none() {
            return;
        }
        let bye = async {
            let asking = self.asking(Method::DELETE, &self.remote.url.path, "", (None, None));
            self.send(asking.map_err(Failed::Unheard)?, None).await
        };
        if let Ok(Err(error)) = timeout(BYE_MAX, bye).await {
            tracing::debug!(%error, "a tool server was not told of the end of its session");
        }
        self.session.forget();
    }
}

/// One life's talk with a server.
struct Talk {
    link: Arc<Link>,
    call_timeout: Duration,
    /// Where messages are posted, where the server says so.
    path: Option<String>,
    say: Sender<Said>,
}

impl Talk {
    fn path(&self) -> &str {
        self.path.as_deref().unwrap_or(&self.link.remote.url.path)
    }
}

/// Carries the messages of one life, in a task of `carriers`.
pub(super) fn over(
    link: Arc<Link>,
    call_timeout: Duration,
) -> impl FnOnce(&mut JoinSet<()>, Receiver<Saying>, Sender<Said>) {
    move |carriers, queue, say| {
        carriers.spawn(carry(Talk { link, call_timeout, path: None, say }, queue));
    }
}

async fn carry(mut talk: Talk, queue: Receiver<Saying>) {
    // All of them end with this task.
    let mut tasks = Tasks::default();
    if !talk.link.remote.is_sse {
        return carry_all(&Arc::new(talk), queue, &mut tasks).await;
    }
    let stream = match talk.stream().await {
        Ok(stream) => stream,
        Err(failed) => return refuse_all(&talk, queue, &failed.to_string()).await,
    };
    talk.path = Some(stream.path.clone());
    let talk = Arc::new(talk);
    tokio::select! {
        ended = talk.follow_all(stream) => tracing::debug!(?ended, "a tool server's stream ended"),
        () = carry_all(&talk, queue, &mut tasks) => {}
    }
}

/// What is to be said to a server whose stream did not begin has no answer.
async fn refuse_all(talk: &Talk, mut queue: Receiver<Saying>, why: &str) {
    while let Some(saying) = queue.recv().await {
        if let What::Request { id, .. } = saying.what {
            let body = Body::Failed(Failed::Unheard(why.to_owned()));
            talk.hear(Heard::Answer { id, body }).await;
        }
    }
}

/// What is under way.
#[derive(Default)]
struct Tasks {
    all: JoinSet<Done>,
    asked: HashMap<u64, AbortHandle>,
    /// Requests for lists, by method: of two the newer is waited for.
    lists: HashMap<&'static str, u64>,
    told: usize,
}

/// A task that ended.
enum Done {
    /// The request of this number.
    Asked(u64),
    /// What nobody waits for.
    Told,
    /// The server has no stream to listen to.
    Listened,
}

async fn carry_all(talk: &Arc<Talk>, mut queue: Receiver<Saying>, tasks: &mut Tasks) {
    loop {
        tokio::select! {
            saying = queue.recv() => match saying {
                Some(saying) => tasks.begin(talk, saying).await,
                None => return,
            },
            Some(done) = tasks.all.join_next() => match done {
                Ok(Done::Asked(id)) => drop(tasks.asked.remove(&id)),
                Ok(Done::Told) => tasks.told -= 1,
                // Those that were ended were forgotten before.
                Ok(Done::Listened) | Err(_) => {}
            },
        }
    }
}

impl Tasks {
    async fn begin(&mut self, talk: &Arc<Talk>, saying: Saying) {
        match saying.what.clone() {
            What::Request { id, method, .. } => {
                let is_list = method.ends_with("/list");
                if is_list && let Some(older) = self.lists.insert(method, id) {
                    self.stop(older);
                }
                let talk = Arc::clone(talk);
                let handle = self.all.spawn(async move {
                    match (method, talk.link.remote.is_sse) {
                        (handshake::LISTEN, _) => {
                            talk.listen(Asks::Post(saying)).await;
                            let why = "it has no such stream".to_owned();
                            let body = Body::Failed(Failed::Unanswered(why));
                            talk.hear(Heard::Answer { id, body }).await;
                        }
                        (_, true) => talk.post_only(saying, id).await,
                        (_, false) => talk.request(saying, id).await,
                    }
                    Done::Asked(id)
                });
                self.asked.insert(id, handle);
            }
            What::Cancel { id, is_over } => {
                // Without a handshake, who hangs up says so by that.
                if is_over || talk.link.era == Era::Stateless {
                    self.stop(id);
                }
                if talk.link.era == Era::Handshake {
                    self.tell(talk, saying);
                }
            }
            What::Told => self.tell(talk, saying),
            What::Opened => {
                let asks = Asks::Get(saying.revision);
                // Nothing is asked before it was told.
                talk.tell(saying).await;
                if !talk.link.remote.is_sse {
                    let talk = Arc::clone(talk);
                    self.all.spawn(async move {
                        talk.listen(asks).await;
                        Done::Listened
                    });
                }
            }
        }
    }

    fn stop(&mut self, id: u64) {
        self.asked.remove(&id).into_iter().for_each(|task| task.abort());
    }

    fn tell(&mut self, talk: &Arc<Talk>, saying: Saying) {
        if self.told >= TOLD_MAX {
            tracing::debug!("a tool server does not take what it is told");
            return;
        }
        self.told += 1;
        let talk = Arc::clone(talk);
        self.all.spawn(async move {
            talk.tell(saying).await;
            Done::Told
        });
    }
}

/// What an event says, when it is a message.
fn heard(event: &events::Event) -> Option<Heard> {
    (event.kind == events::MESSAGE).then(|| message::read(event.data.as_bytes()))
}
