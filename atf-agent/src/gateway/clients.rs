//! The two processes on the path of a call, as the gateway speaks to them: the recorder and the
//! executor. Each connection is shared by all calls and opened anew when it has failed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::audit::{Event, Outcome};
use crate::call::{Digest, Questions, Reason, ToolName, Untrusted};
use crate::wire::{
    Answers, Catalogue, ExecutorReply, ExecutorRequest, FrameError, Pipelined, Receipt,
    RecorderReply, RecorderRequest, SignedPermit,
};

/// How long the recorder has for a record: a disk that takes longer is one that does not answer.
const RECORD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a process of ATF has to take a connection or to say hello.
const OPEN_TIMEOUT: Duration = Duration::from_secs(2);

/// A process that did not answer, or said no.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unavailable {
    /// Nobody listens, or the connection broke.
    #[error("the {who} is away: {error}")]
    Away {
        /// The process.
        who: &'static str,
        /// What happened.
        error: FrameError,
    },
    /// It took too long.
    #[error("the {who} did not answer in {after:?}")]
    Slow {
        /// The process.
        who: &'static str,
        /// How long it had.
        after: Duration,
    },
    /// It answered no.
    #[error("the {who} refused: {why}")]
    Refused {
        /// The process.
        who: &'static str,
        /// In its words.
        why: Untrusted,
    },
}

/// A connection that is opened when it is needed.
struct Link<Ask, Answer> {
    who: &'static str,
    path: PathBuf,
    open: Mutex<Option<Arc<Pipelined<Ask, Answer>>>>,
}

impl<Ask: Serialize, Answer: DeserializeOwned> Link<Ask, Answer> {
    fn new(who: &'static str, path: PathBuf) -> Self {
        Self { who, path, open: Mutex::new(None) }
    }

    /// The open connection, and whether it is a new one.
    async fn get(&self) -> Result<(Arc<Pipelined<Ask, Answer>>, bool), Unavailable> {
        let mut open = self.open.lock().await;
        if let Some(pipelined) = open.as_ref().filter(|p| !p.is_closed()) {
            return Ok((Arc::clone(pipelined), false));
        }
        let fresh =
            within(self.who, OPEN_TIMEOUT, async { Ok(Pipelined::open(&self.path).await?) })
                .await?;
        let fresh = Arc::new(fresh);
        *open = Some(Arc::clone(&fresh));
        Ok((fresh, true))
    }
}

/// The recorder.
pub(super) struct Recorder {
    link: Link<RecorderRequest, RecorderReply>,
}

impl Recorder {
    /// The recorder at the socket `path`; it is connected when it is first needed.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { link: Link::new("recorder", path) }
    }

    /// Appends one record, and waits until the recorder has it.
    ///
    /// # Errors
    /// When it does not say so. Whether the record is in the log is not known then.
    pub(super) async fn append(&self, event: Event, durable: bool) -> Result<(), Unavailable> {
        let event = Box::new(event);
        self.ask(RecorderRequest::Append { event, durable, permit: None }).await.map(drop)
    }

    /// Appends the record of an allowed call with its permit's text, for a receipt that stands for
    /// the permit.
    ///
    /// # Errors
    /// As [`Recorder::append`]; and when the two do not say the same.
    pub(super) async fn append_permitted(
        &self,
        event: Event,
        durable: bool,
        permit: String,
    ) -> Result<Receipt, Unavailable> {
        let (event, permit) = (Box::new(event), Some(permit));
        let receipt = self.ask(RecorderRequest::Append { event, durable, permit }).await?;
        let why = || "it gave no receipt for a permit".into();
        receipt.ok_or_else(|| Unavailable::Refused { who: self.link.who, why: why() })
    }

    async fn ask(&self, request: RecorderRequest) -> Result<Option<Receipt>, Unavailable> {
        let (pipelined, _) = self.link.get().await?;
        let asked = async { pipelined.ask(&request).await };
        match within(self.link.who, RECORD_TIMEOUT, asked).await? {
            RecorderReply::Recorded { receipt } => Ok(receipt),
            RecorderReply::Refused { why } => Err(Unavailable::Refused { who: self.link.who, why }),
        }
    }

    /// Appends a record on which nothing waits; its loss is told to the operator's log.
    pub(super) async fn note(&self, event: Event) {
        if let Err(error) = self.append(event.clone(), false).await {
            tracing::error!(%error, ?event, "not recorded");
        }
    }
}

/// Connections to the executor, which works on the requests of each one after the other: SQLite has
/// one writer, and readers cost a core each.
const LANES: usize = 4;

/// The executor.
pub(super) struct Executor {
    lanes: [Lane; LANES],
    execute_timeout: Duration,
}

/// One connection to the executor.
struct Lane {
    link: Link<ExecutorRequest, ExecutorReply>,
    /// The boot nonce of the executor at the other end of the link.
    nonce: Mutex<Option<Digest>>,
    /// Counts those who have it: this one, and each call that is on its way.
    taken: Arc<()>,
}

/// One connection to one life of the executor.
pub(super) struct Ready {
    pipelined: Arc<Pipelined<ExecutorRequest, ExecutorReply>>,
    execute_timeout: Duration,
    /// What permits for this life must carry.
    pub(super) nonce: Digest,
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

impl Executor {
    /// The executor at the socket `path`, which has `execute_timeout` for one call.
    pub(super) fn new(path: &Path, execute_timeout: Duration) -> Self {
        let lane = |_| Lane {
            link: Link::new("executor", path.to_owned()),
            nonce: Mutex::new(None),
            taken: Arc::default(),
        };
        Self { lanes: std::array::from_fn(lane), execute_timeout }
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
        let lane = self.lane();
        let taken = Arc::clone(&lane.taken);
        let mut nonce = lane.nonce.lock().await;
        let (pipelined, is_new) = lane.link.get().await?;
        if is_new {
            *nonce = None;
        }
        let known = match *nonce {
            Some(known) => known,
            None => *nonce.insert(hello(&pipelined).await?),
        };
        let execute_timeout = self.execute_timeout;
        Ok(Ready { pipelined, execute_timeout, nonce: known, _taken: taken })
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

impl Ready {
    /// Has the permit acted upon, once: an act that may have happened is never tried again.
    pub(super) async fn execute(
        &self,
        permit: SignedPermit,
        (arguments, answers): (Box<RawValue>, Option<Box<Answers>>),
        token: String,
        receipt: Receipt,
    ) -> Acted {
        if self.pipelined.is_closed() {
            return not_done("the executor went away before it had the permit");
        }
        let request = ExecutorRequest::Execute { permit, arguments, answers, token, receipt };
        match timeout(self.execute_timeout, self.pipelined.ask(&request)).await {
            Ok(Ok(ExecutorReply::Result { result })) => Acted::Answered(result),
            Ok(Ok(ExecutorReply::Refused { why })) => failed(Outcome::NotDone { why }),
            Ok(Ok(ExecutorReply::Changed { why })) => {
                Acted::Not(Outcome::NotDone { why }, Reason::ToolWithheld)
            }
            Ok(Ok(ExecutorReply::Unknown { why })) => failed(Outcome::Unknown { why }),
            Ok(Ok(ExecutorReply::Erred { code, message, missing })) => {
                Acted::Erred { code, message, missing }
            }
            Ok(Ok(
                ExecutorReply::Hello { .. }
                | ExecutorReply::Withheld { .. }
                | ExecutorReply::Catalogue { .. },
            )) => unknown("the executor answered another question"),
            // Only the encoding fails this way, before anything is sent.
            Ok(Err(error @ FrameError::Length { .. })) => not_done(&error.to_string()),
            Ok(Err(error)) => unknown(&error.to_string()),
            Err(_) => unknown(&format!("no answer in {:?}", self.execute_timeout)),
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

async fn within<T>(
    who: &'static str,
    after: Duration,
    asked: impl Future<Output = Result<T, FrameError>>,
) -> Result<T, Unavailable> {
    match timeout(after, asked).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Unavailable::Away { who, error }),
        Err(_) => Err(Unavailable::Slow { who, after }),
    }
}

fn failed(outcome: Outcome) -> Acted {
    Acted::Not(outcome, Reason::ExecuteFailed)
}

fn not_done(why: &str) -> Acted {
    failed(Outcome::NotDone { why: why.into() })
}

fn unknown(why: &str) -> Acted {
    failed(Outcome::Unknown { why: why.into() })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::wire;

    /// An executor of which each connection is another life, and which hangs up after `asked` questions.
    fn executor(dir: &Path, asked: usize) -> Executor {
        let path = dir.join("s");
        let listener = wire::listen(&path).unwrap();
        let lives = AtomicU64::default();
        std::thread::spawn(move || {
            wire::serve(
                &listener,
                |_| true,
                move |mut server| {
                    let life = lives.fetch_add(1, Ordering::SeqCst);
                    for _ in 0..asked {
                        let Ok(Some((number, asked))) = server.hear() else {
                            break;
                        };
                        let reply = match asked {
                            ExecutorRequest::Hello => {
                                ExecutorReply::Hello { nonce: nonce_of(life) }
                            }
                            _ => ExecutorReply::Withheld { tools: Vec::new() },
                        };
                        server.answer(number, &reply).unwrap();
                    }
                    server.hang_up();
                },
            )
        });
        Executor::new(&path, Duration::from_secs(5))
    }

    fn nonce_of(life: u64) -> Digest {
        Digest::of(&life.to_le_bytes())
    }

    async fn settled(executor: &Executor) {
        while executor.lanes[0].link.open.lock().await.as_ref().is_some_and(|p| !p.is_closed()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// A list is the first that finds the executor anew; the permits after it are for the new life.
    #[tokio::test]
    async fn a_nonce_is_of_the_life_at_the_other_end_whoever_found_it() {
        let dir = tempfile::tempdir().unwrap();
        let executor = executor(dir.path(), 2);
        executor.withheld().await;
        settled(&executor).await;
        executor.withheld().await;
        settled(&executor).await;
        assert_eq!(executor.ready().await.unwrap().nonce, nonce_of(2));
    }

    #[tokio::test]
    async fn calls_at_the_same_time_have_lanes_of_their_own_and_a_lone_one_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let executor = executor(dir.path(), 9);
        let mut calls = Vec::new();
        for life in 0..LANES as u64 {
            let call = executor.ready().await.unwrap();
            assert_eq!(call.nonce, nonce_of(life));
            calls.push(call);
        }
        assert_eq!(executor.ready().await.unwrap().nonce, nonce_of(0), "all are taken alike");
        calls.remove(2);
        assert_eq!(executor.ready().await.unwrap().nonce, nonce_of(2));
        calls.clear();
        assert_eq!(executor.ready().await.unwrap().nonce, nonce_of(0));
    }
}
