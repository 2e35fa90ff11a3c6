//! Doubles of the authority, the recorder and the executor: real sockets and real messages, and no
//! more behind them than a test needs.

use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, LazyLock, Mutex};

use serde_json::value::RawValue;

use crate::audit::Event;
use crate::call::{DecisionId, Digest, Questions, Target, ToolName};
use crate::identity::{AgreementKey, Purpose};
use crate::wire::{
    Answers, AuthorityRequest, Catalogue, ExecutorReply, ExecutorRequest, PermitBody, Receipt,
    ReceiptBody, RecorderReply, RecorderRequest, Registry, RegistryAck, RunEntry, SentPermit,
    Server, Told, serve,
};

fn listen(path: &Path, each: impl Fn(Server) + Send + Sync + 'static) {
    let listener = UnixListener::bind(path).unwrap();
    std::thread::spawn(move || serve(&listener, |_| true, each));
}

/// What a test has the authority's double do.
enum Say {
    Change(Box<Registry>),
    HangUp,
}

/// An authority that registers what the test says.
pub(crate) struct AuthorityDouble {
    pub(crate) live: Arc<Mutex<Vec<RunEntry>>>,
    say: Sender<Say>,
    acks: Mutex<Receiver<RegistryAck>>,
}

impl AuthorityDouble {
    pub(crate) fn start(path: &Path) -> Self {
        let (say, said) = channel();
        let (acked, acks) = channel();
        let live = Arc::new(Mutex::new(Vec::<RunEntry>::new()));
        let (runs, said) = (Arc::clone(&live), Mutex::new(said));
        listen(path, move |mut server| {
            let asked = server.hear::<AuthorityRequest>().unwrap();
            assert!(matches!(asked, Some((_, AuthorityRequest::Subscribe))));
            let snapshot = Registry::Snapshot { runs: runs.lock().unwrap().clone() };
            let mut next = Say::Change(Box::new(snapshot));
            let mut number = 100;
            while let Say::Change(change) = next {
                number += 1;
                server.answer(number, &change).unwrap();
                let Some((found, ack)) = server.hear::<RegistryAck>().unwrap() else {
                    return;
                };
                assert_eq!(found, number);
                acked.send(ack).unwrap();
                next = said.lock().unwrap().recv().unwrap_or(Say::HangUp);
            }
            server.hang_up();
        });
        Self { live, say, acks: Mutex::new(acks) }
    }

    /// Tells the gateway, and waits for its answer.
    pub(crate) fn tell(&self, change: Registry) -> RegistryAck {
        self.say.send(Say::Change(Box::new(change))).unwrap();
        self.ack()
    }

    /// Breaks the connection, and waits until the gateway has the next snapshot.
    pub(crate) fn restart(&self) -> RegistryAck {
        self.say.send(Say::HangUp).unwrap();
        self.ack()
    }

    /// The gateway's next answer.
    pub(crate) fn ack(&self) -> RegistryAck {
        let patience = std::time::Duration::from_secs(10);
        self.acks.lock().unwrap().recv_timeout(patience).unwrap()
    }
}

/// How a double of a process behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Works,
    Refuses,
    /// An executor whose server answers with an error.
    Errs,
    /// An executor whose tool is not what was approved.
    Changed,
    HangsUp,
    /// Waits until the mood changes.
    Waits,
}

/// A mood that can be waited for.
pub(crate) struct Moody(Mutex<Mood>, Condvar);

impl Moody {
    fn new() -> Self {
        Self(Mutex::new(Mood::Works), Condvar::new())
    }

    pub(crate) fn set(&self, mood: Mood) {
        *self.0.lock().unwrap() = mood;
        self.1.notify_all();
    }

    fn is(&self, mood: Mood) -> bool {
        *self.0.lock().unwrap() == mood
    }

    fn settled(&self) -> Mood {
        let waits = |mood: &mut Mood| *mood == Mood::Waits;
        *self.1.wait_while(self.0.lock().unwrap(), waits).unwrap()
    }
}

/// A recorder that keeps what it is told in memory.
pub(crate) struct RecorderDouble {
    pub(crate) events: Mutex<Vec<Event>>,
    pub(crate) mood: Moody,
}

impl RecorderDouble {
    pub(crate) fn start(path: &Path) -> Arc<Self> {
        let double = Arc::new(Self { events: Mutex::new(Vec::new()), mood: Moody::new() });
        let shared = Arc::clone(&double);
        listen(path, move |mut server| {
            while let Ok(Some((number, asked))) = server.hear() {
                let RecorderRequest::Append { event, durable, permit } = asked;
                let reply = match shared.mood.settled() {
                    Mood::Works => shared.append(*event, durable, permit.as_deref()),
                    Mood::Refuses => RecorderReply::Refused { why: "the disk is full".into() },
                    Mood::Changed | Mood::Errs | Mood::HangsUp | Mood::Waits => break,
                };
                server.answer(number, &reply).unwrap();
            }
            server.hang_up();
        });
        double
    }

    fn append(&self, event: Event, durable: bool, permit: Option<&str>) -> RecorderReply {
        let mut events = self.events.lock().unwrap();
        events.push(event);
        let receipt = permit.map(|text| {
            let body = ReceiptBody {
                seq: events.len() as u64,
                fingerprint: Digest::of(b"record"),
                permit: Digest::of(text.as_bytes()),
                durable,
            };
            // Of a key that no executor has; the gateway does not read it.
            let key = EXECUTOR.to_reader(Purpose::Receipt, EXECUTOR.public()).unwrap();
            Receipt { code: key.code(&body.bytes()), body }
        });
        RecorderReply::Recorded { receipt }
    }
}

/// One permit that the executor's double was given.
pub(crate) struct Act {
    pub(crate) permit: PermitBody,
    pub(crate) sent: SentPermit,
    pub(crate) arguments: String,
    pub(crate) answers: Option<Box<Answers>>,
    pub(crate) token: String,
    pub(crate) receipt: Receipt,
}

/// An executor that does nothing and answers what the test says.
pub(crate) struct ExecutorDouble {
    pub(crate) acts: Mutex<Vec<Act>>,
    pub(crate) result: Mutex<String>,
    /// What it tells before each answer.
    pub(crate) tells: Mutex<Vec<Told>>,
    pub(crate) cancelled: Mutex<Vec<DecisionId>>,
    /// How long it takes until a server has the answer to its question.
    pub(crate) answers_after: Mutex<std::time::Duration>,
    /// The questions that nobody answers.
    pub(crate) unanswered: Mutex<Vec<u64>>,
    /// Those who are told of resources, with the numbers of their requests.
    subscribed: Mutex<Vec<(Target, DecisionId, u64, Server)>>,
    changes: (Mutex<u64>, Condvar),
    pub(crate) withheld: Mutex<Vec<ToolName>>,
    pub(crate) catalogue: Mutex<Catalogue>,
    pub(crate) mood: Moody,
}

/// An answer is on its way to the server that has asked.
fn taken() -> ExecutorReply {
    ExecutorReply::Result { result: RawValue::from_string("{}".to_owned()).unwrap() }
}

/// What is sent of an order.
type SentOrder = (SentPermit, Box<RawValue>, Option<Box<Answers>>, String, Receipt);

fn of(told: Told) -> ExecutorReply {
    ExecutorReply::Told { told }
}

/// The key of the executor's double.
pub(crate) static EXECUTOR: LazyLock<AgreementKey> =
    LazyLock::new(|| AgreementKey::generate().unwrap());

/// The nonce of the executor's double.
pub(crate) fn nonce() -> Digest {
    EXECUTOR.public().into()
}

impl ExecutorDouble {
    fn new() -> Self {
        Self {
            acts: Mutex::new(Vec::new()),
            result: Mutex::new(r#"{"content":[{"type":"text","text":"3 rows"}]}"#.to_owned()),
            tells: Mutex::default(),
            cancelled: Mutex::default(),
            answers_after: Mutex::default(),
            unanswered: Mutex::default(),
            subscribed: Mutex::default(),
            changes: (Mutex::new(1), Condvar::new()),
            withheld: Mutex::default(),
            catalogue: Mutex::default(),
            mood: Moody::new(),
        }
    }

    pub(crate) fn start(path: &Path) -> Arc<Self> {
        let double = Arc::new(Self::new());
        let shared = Arc::clone(&double);
        listen(path, move |mut server| {
            while let Ok(Some((number, asked))) = server.hear() {
                let reply = match asked {
                    ExecutorRequest::Hello => ExecutorReply::Hello { nonce: nonce() },
                    ExecutorRequest::Cancel { decision, .. } => {
                        shared.ends(decision);
                        shared.cancelled.lock().unwrap().push(decision);
                        ExecutorReply::Cancelled
                    }
                    ExecutorRequest::Unanswered { question, .. } => {
                        shared.unanswered.lock().unwrap().push(question);
                        ExecutorReply::Cancelled
                    }
                    ExecutorRequest::Watch { seen } => {
                        let (shared, server) = (Arc::clone(&shared), server.share().unwrap());
                        std::thread::spawn(move || shared.offer(server, number, seen));
                        continue;
                    }
                    ExecutorRequest::Withheld => {
                        ExecutorReply::Withheld { tools: shared.withheld.lock().unwrap().clone() }
                    }
                    ExecutorRequest::Catalogue if shared.mood.settled() == Mood::HangsUp => break,
                    ExecutorRequest::Catalogue => {
                        let offered = Box::new(shared.catalogue.lock().unwrap().clone());
                        ExecutorReply::Catalogue { offered }
                    }
                    ExecutorRequest::Execute { permit, arguments, answers, token, receipt } => {
                        let body = shared.takes((permit, arguments, answers, token, receipt));
                        let subscribes = matches!(body.target, Target::Subscription(_));
                        let is_told = (body.target.clone(), body.decision, number);
                        if body.answers_a_question() {
                            shared.passes_on(&mut server, number);
                            continue;
                        }
                        for told in shared.tells.lock().unwrap().clone() {
                            server.tell(number, &ExecutorReply::Told { told }).unwrap();
                        }
                        if subscribes && shared.mood.is(Mood::Works) {
                            shared.subscribes(is_told, &mut server);
                            continue;
                        }
                        if shared.mood.is(Mood::Waits) {
                            // Others are answered meanwhile.
                            let (shared, server) = (Arc::clone(&shared), server.share().unwrap());
                            std::thread::spawn(move || shared.answer(server, number));
                            continue;
                        }
                        match shared.acted() {
                            Some(reply) => reply,
                            None => break,
                        }
                    }
                };
                server.answer(number, &reply).unwrap();
            }
            server.hang_up();
        });
        double
    }

    /// Keeps an order; what its permit says.
    fn takes(&self, (sent, arguments, answers, token, receipt): SentOrder) -> PermitBody {
        let permit: PermitBody = serde_json::from_str(&sent.body).unwrap();
        let (body, arguments) = (permit.clone(), arguments.get().to_owned());
        let act = Act { permit, sent, arguments, answers, token, receipt };
        self.acts.lock().unwrap().push(act);
        body
    }

    /// A server gets the answer to its question, when it takes it.
    fn passes_on(&self, to: &mut Server, number: u64) {
        std::thread::sleep(*self.answers_after.lock().unwrap());
        to.answer(number, &taken()).unwrap();
    }

    /// Says what is offered when it has changed.
    fn offer(&self, mut server: Server, number: u64, seen: u64) {
        let (changes, changed) = &self.changes;
        let now = changed.wait_while(changes.lock().unwrap(), |now| *now == seen).unwrap();
        let reply = ExecutorReply::Offering {
            number: *now,
            withheld: self.withheld.lock().unwrap().clone(),
            offered: Box::new(self.catalogue.lock().unwrap().clone()),
        };
        drop(server.answer(number, &reply));
    }

    fn subscribes(&self, (target, decision, number): (Target, DecisionId, u64), to: &mut Server) {
        let one = (target, decision, number, to.share().unwrap());
        self.subscribed.lock().unwrap().push(one);
        to.tell(number, &of(Told::Subscribed)).unwrap();
    }

    /// The resource has changed: those who subscribed are told; how many there are.
    pub(crate) fn updates(&self, uri: &str) -> usize {
        let mut all = self.subscribed.lock().unwrap();
        let mut its: Vec<_> = all.iter_mut().filter(|one| one.0.as_str() == uri).collect();
        its.iter_mut().for_each(|one| one.3.tell(one.2, &of(Told::Updated)).unwrap());
        its.len()
    }

    /// Those of this decision, or all without one, are told no more.
    pub(crate) fn ends(&self, decision: impl Into<Option<DecisionId>>) {
        let decision = decision.into();
        let mut all = self.subscribed.lock().unwrap();
        let its = all.extract_if(.., |one| decision.is_none_or(|decision| decision == one.1));
        its.for_each(|mut one| {
            let why = "the server ended".into();
            drop(one.3.answer(one.2, &ExecutorReply::Unknown { why }));
        });
    }

    /// What is offered is another now.
    pub(crate) fn changes(&self) {
        *self.changes.0.lock().unwrap() += 1;
        self.changes.1.notify_all();
    }

    /// Answers when the mood has changed.
    fn answer(&self, mut server: Server, number: u64) {
        match self.acted() {
            // The gateway of a test that is over has gone.
            Some(reply) => drop(server.answer(number, &reply)),
            None => server.hang_up(),
        }
    }

    fn acted(&self) -> Option<ExecutorReply> {
        Some(match self.mood.settled() {
            Mood::Works => {
                let result = self.result.lock().unwrap().clone();
                ExecutorReply::Result { result: RawValue::from_string(result).unwrap() }
            }
            Mood::Refuses => ExecutorReply::Refused { why: "the permit has expired".into() },
            Mood::Errs => ExecutorReply::Erred {
                code: -32002,
                message: "there is no such thing".into(),
                missing: Questions::new(),
            },
            Mood::Changed => ExecutorReply::Changed { why: "the server changed it".into() },
            Mood::HangsUp | Mood::Waits => return None,
        })
    }
}
