//! The executor, as the gateway speaks to it: permits to act upon, what the servers tell meanwhile, and what
//! they offer.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;

use super::changes::Offering;
use super::clients::{Link, OPEN_TIMEOUT, Unavailable, within};
use crate::audit::Outcome;
use crate::call::{DecisionId, Digest, Questions, Reason, Target, ToolName, Untrusted};
use crate::gate::Permit;
use crate::identity::{AgreementKey, MacKey, Purpose};
use crate::wire::{
    Answers, Catalogue, ExecutorReply, ExecutorRequest, FrameError, Pipelined, Receipt, SentPermit,
    Told,
};

/// Connections to the executor, which works on the requests of each one after the other: SQLite has
/// one writer, and readers cost a core each.
const LANES: usize = 4;

/// The executor.
pub(super) struct Executor {
    lanes: [Lane; LANES],
    /// For those who are told for a long time, so that they hold up no call.
    apart: Lane,
    execute_timeout: Duration,
    own: Arc<AgreementKey>,
}

/// One connection to the executor.
struct Lane {
    link: Link<ExecutorRequest, ExecutorReply>,
    /// The executor at the other end of the link.
    life: Mutex<Option<Life>>,
    /// Counts those who have it: this one, and each call that is on its way.
    taken: Arc<()>,
}

/// One life of the executor.
#[derive(Clone)]
struct Life {
    /// What permits for it must carry: its public key.
    nonce: Digest,
    /// What is agreed with it.
    key: Arc<MacKey>,
}

/// One connection to one life of the executor.
pub(super) struct Ready {
    pipelined: Arc<Pipelined<ExecutorRequest, ExecutorReply>>,
    /// How long it has for one call.
    pub(super) execute_timeout: Duration,
    /// What permits for this life must carry.
    pub(super) nonce: Digest,
    /// The key of their codes.
    pub(super) key: Arc<MacKey>,
    /// As long as this lives, the lane has one call more.
    _taken: Arc<()>,
}

/// What became of a permit that was sent, or not.
pub(super) enum Acted {
    /// The tool answered, or whatever was called.
    Answered(Box<RawValue>),
    /// Its server answered with a JSON-RPC error.
    Erred {
        /// The code.
        code: i64,
        /// In its words.
        message: Untrusted,
        /// What it would have had to ask of the run, and may not.
        missing: Questions,
    },
    /// It did not; the outcome says what is known, the reason what the caller learns.
    Not(Outcome, Reason),
}

/// The connection of a lane, and what is known of the life at its other end.
type Connected<'a> = (Arc<Pipelined<ExecutorRequest, ExecutorReply>>, MutexGuard<'a, Option<Life>>);

impl Lane {
    /// The open connection. Whoever opens it anew forgets the life before.
    async fn connected(&self) -> Result<Connected<'_>, Unavailable> {
        let mut life = self.life.lock().await;
        let (pipelined, is_new) = self.link.get().await?;
        if is_new {
            *life = None;
        }
        Ok((pipelined, life))
    }
}

impl Executor {
    /// The executor at the socket `path`, which has `execute_timeout` for one call; what is sent to it is under
    /// what `own` agrees with it.
    pub(super) fn new(path: &Path, execute_timeout: Duration, own: Arc<AgreementKey>) -> Self {
        let lane = |_| Lane {
            link: Link::new("executor", path.to_owned()),
            life: Mutex::new(None),
            taken: Arc::default(),
        };
        Self { lanes: std::array::from_fn(lane), apart: lane(LANES), execute_timeout, own }
    }

    /// The lane with the fewest calls; of several the first, so that a calm gateway keeps one of the
    /// executor's threads warm.
    fn lane(&self) -> &Lane {
        let calls = |lane: &&Lane| Arc::strong_count(&lane.taken);
        self.lanes.iter().min_by_key(calls).unwrap_or(&self.lanes[0])
    }

    /// A connection to the executor that lives now, and its nonce.
    ///
    /// # Errors
    /// When it is away.
    pub(super) async fn ready(&self) -> Result<Ready, Unavailable> {
        self.ready_by(self.lane()).await
    }

    /// The same for one who is told for a long time.
    ///
    /// # Errors
    /// When it is away.
    pub(super) async fn ready_apart(&self) -> Result<Ready, Unavailable> {
        self.ready_by(&self.apart).await
    }

    async fn ready_by(&self, lane: &Lane) -> Result<Ready, Unavailable> {
        let taken = Arc::clone(&lane.taken);
        let (pipelined, mut life) = lane.connected().await?;
        let known = match &*life {
            Some(known) => known,
            None => &*life.insert(self.meet(hello(&pipelined).await?)?),
        };
        let Life { nonce, key } = known.clone();
        drop(life);
        Ok(Ready { pipelined, execute_timeout: self.execute_timeout, nonce, key, _taken: taken })
    }

    /// Agrees with the executor of this nonce.
    fn meet(&self, nonce: Digest) -> Result<Life, Unavailable> {
        let key = self.own.to_reader(Purpose::Permit, nonce.into());
        let key = key.map_err(|error| Unavailable::Away {
            who: "executor",
            error: io::Error::other(error.to_string()).into(),
        })?;
        Ok(Life { nonce, key: Arc::new(key) })
    }

    /// The tools that are not what was approved. What a run is told of a tool is the pin's text, so that
    /// an executor that is away withholds nothing here; it refuses the calls.
    pub(super) async fn withheld(&self) -> Vec<ToolName> {
        let asked = async {
            let ready = self.ready().await?;
            let ask = async { ready.pipelined.ask(&ExecutorRequest::Withheld).await };
            within("executor", OPEN_TIMEOUT, ask).await
        };
        match asked.await {
            Ok(ExecutorReply::Withheld { tools }) => tools,
            Ok(other) => {
                tracing::error!(?other, "the executor does not say which tools it withholds");
                Vec::new()
            }
            Err(error) => {
                tracing::warn!(%error, "which tools are withheld is not known");
                Vec::new()
            }
        }
    }

    /// What the servers offer, as soon as it is another state of it than `seen`; and the number of that.
    ///
    /// # Errors
    /// When the executor goes away meanwhile.
    pub(super) async fn offering(&self, seen: u64) -> Result<(u64, Offering), Unavailable> {
        // It takes no lane: nobody's call is behind it.
        let (pipelined, life) = self.lanes[0].connected().await?;
        drop(life);
        let away = |error| Unavailable::Away { who: "executor", error };
        match pipelined.ask(&ExecutorRequest::Watch { seen }).await.map_err(away)? {
            ExecutorReply::Offering { number, withheld, offered } => {
                Ok((number, Offering { withheld, catalogue: *offered }))
            }
            other => {
                let error = io::Error::other(format!("expected an offering, found {other:?}"));
                Err(away(error.into()))
            }
        }
    }

    /// What the servers offer besides tools.
    ///
    /// # Errors
    /// When the executor does not say.
    pub(super) async fn catalogue(&self) -> Result<Catalogue, Unavailable> {
        let ready = self.ready().await?;
        let ask = async { ready.pipelined.ask(&ExecutorRequest::Catalogue).await };
        match within("executor", OPEN_TIMEOUT, ask).await? {
            ExecutorReply::Catalogue { offered } => Ok(*offered),
            other => Err(Unavailable::Away {
                who: "executor",
                error: io::Error::other(format!("expected a catalogue, found {other:?}")).into(),
            }),
        }
    }
}

/// A permit on its way, with all that the executor checks it by.
pub(super) struct Order {
    ordered: Unreceipted,
    /// That the permit is in the log.
    receipt: Receipt,
}

/// An order that nobody acts upon: its permit is not in the log yet, for all that is known.
pub(super) struct Unreceipted {
    /// The permit.
    permit: SentPermit,
    /// The arguments, byte for byte as judged.
    arguments: Box<RawValue>,
    /// What the run answers to the server, as judged.
    answers: Option<Box<Answers>>,
    /// The run's token.
    token: String,
}

impl Unreceipted {
    /// The order that `permit` will be, for the executor with which `key` is.
    pub(super) fn of(permit: &Permit, key: &MacKey, token: &str) -> Self {
        Self {
            permit: permit.sent(key),
            arguments: permit.judged().call().arguments().to_owned(),
            answers: permit.judged().answers().cloned().map(Box::new),
            token: token.to_owned(),
        }
    }

    /// The order, once its permit is in the log.
    pub(super) fn with(self, receipt: Receipt) -> Order {
        Order { ordered: self, receipt }
    }
}

impl Ready {
    /// Has the permit acted upon, once: an act that may have happened is never tried again. `hear` is given
    /// what the server tells meanwhile, when it may tell anything.
    pub(super) async fn execute(&self, order: Order, hear: Option<impl FnMut(Told)>) -> Acted {
        match timeout(self.execute_timeout, self.follow(order, hear)).await {
            Ok(acted) => acted,
            Err(_) => self.unheard(),
        }
    }

    /// What is known of a permit that was not answered in time.
    pub(super) fn unheard(&self) -> Acted {
        unknown(&format!("no answer in {:?}", self.execute_timeout))
    }

    /// The same as [`Ready::execute`], however long it takes.
    pub(super) async fn follow(&self, order: Order, hear: Option<impl FnMut(Told)>) -> Acted {
        if self.pipelined.is_closed() {
            return not_done("the executor went away before it had the permit");
        }
        let Order { ordered, receipt } = order;
        let Unreceipted { permit, arguments, answers, token } = ordered;
        let request = ExecutorRequest::Execute { permit, arguments, answers, token, receipt };
        let asked = async {
            let Some(mut hear) = hear else { return self.pipelined.ask(&request).await };
            let told = |reply| match reply {
                ExecutorReply::Told { told } => hear(told),
                other => tracing::error!(?other, "the executor answers before it has answered"),
            };
            self.pipelined.ask_hearing(&request, told).await
        };
        match asked.await {
            Ok(ExecutorReply::Result { result }) => Acted::Answered(result),
            Ok(ExecutorReply::Refused { why }) => failed(Outcome::NotDone { why }),
            Ok(ExecutorReply::Changed { why }) => {
                Acted::Not(Outcome::NotDone { why }, Reason::ToolWithheld)
            }
            Ok(ExecutorReply::Unknown { why }) => failed(Outcome::Unknown { why }),
            Ok(ExecutorReply::Erred { code, message, missing }) => {
                Acted::Erred { code, message, missing }
            }
            Ok(
                ExecutorReply::Hello { .. }
                | ExecutorReply::Told { .. }
                | ExecutorReply::Cancelled
                | ExecutorReply::Offering { .. }
                | ExecutorReply::Withheld { .. }
                | ExecutorReply::Catalogue { .. },
            ) => unknown("the executor answered another question"),
            // Only the encoding fails this way, before anything is sent.
            Err(error @ FrameError::Length { .. }) => not_done(&error.to_string()),
            Err(error) => unknown(&error.to_string()),
        }
    }

    /// Has the server of a call told that nobody answers what it asks.
    pub(super) async fn unanswered(&self, decision: DecisionId, target: Target, question: u64) {
        let request = ExecutorRequest::Unanswered { decision, target, question };
        let told = within("executor", OPEN_TIMEOUT, self.pipelined.ask(&request)).await;
        if let Err(error) = told {
            tracing::warn!(%error, %decision, "a server does not know that nobody answers");
        }
    }

    /// Has the server of a call told that nobody waits for it. The call goes on to its end, whatever that is.
    pub(super) async fn cancel(&self, decision: DecisionId, target: Target) {
        let request = ExecutorRequest::Cancel { decision, target };
        let told = within("executor", OPEN_TIMEOUT, self.pipelined.ask(&request)).await;
        if let Err(error) = told {
            tracing::warn!(%error, %decision, "a server does not know that nobody waits");
        }
    }
}

async fn hello(
    pipelined: &Pipelined<ExecutorRequest, ExecutorReply>,
) -> Result<Digest, Unavailable> {
    let asked = async { pipelined.ask(&ExecutorRequest::Hello).await };
    match within("executor", OPEN_TIMEOUT, asked).await? {
        ExecutorReply::Hello { nonce } => Ok(nonce),
        other => Err(Unavailable::Away {
            who: "executor",
            error: io::Error::other(format!("expected a hello, found {other:?}")).into(),
        }),
    }
}

fn failed(outcome: Outcome) -> Acted {
    Acted::Not(outcome, Reason::ExecuteFailed)
}

fn not_done(why: &str) -> Acted {
    failed(Outcome::NotDone { why: why.into() })
}

/// Nobody knows what became of it.
pub(super) fn unknown(why: &str) -> Acted {
    failed(Outcome::Unknown { why: why.into() })
}

#[cfg(test)]
#[path = "execution_tests.rs"]
mod tests;
