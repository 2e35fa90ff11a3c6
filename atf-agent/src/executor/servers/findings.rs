//! What the log is told of the tool servers: each finding once, and of one server no more than a reader bears. A
//! server says of itself what it likes, and without an end it could fill the log, and with it the disk.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::audit::Event;
use crate::call::{Digest, Untrusted};
use crate::wire::{Connection, FrameError, RecorderReply, RecorderRequest};

/// Findings of one server that are told at once: one that was replaced has changed all its tools.
const AT_ONCE: u32 = 256;

/// Past that, how long it takes until there is room for one more.
const ONE_MORE: Duration = Duration::from_secs(60);

/// Findings of one server that are remembered. It takes days to tell so many; then some are told again.
const REMEMBERED_MAX: usize = 4_096;

/// Findings of all servers that wait for the recorder.
const WAITING_MAX: usize = 1_024;

/// How long the recorder has for a finding.
const RECORD_TIMEOUT: Duration = Duration::from_secs(5);

/// Pause until a recorder that is away is tried again: it may start later.
const PAUSE: Duration = Duration::from_secs(1);

/// What the log is told.
pub(super) struct Findings {
    by_server: Mutex<BTreeMap<String, Told>>,
    queue: SyncSender<Event>,
}

/// What it was told of one server, in this life of the executor.
#[derive(Default)]
struct Told {
    all: HashSet<Digest>,
    /// When there is room for [`AT_ONCE`] again.
    whole: Option<Instant>,
    /// Findings since the last one that was told.
    silent: u64,
}

impl Findings {
    /// Tells the recorder at this socket, by a thread that ends with this value.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(super) fn new(recorder: PathBuf) -> io::Result<Self> {
        let (queue, waiting) = sync_channel(WAITING_MAX);
        let thread = std::thread::Builder::new().name("findings".to_owned());
        thread.spawn(move || tell_all(&waiting, &recorder))?;
        Ok(Self { by_server: Mutex::default(), queue })
    }

    /// Something was found out about a server.
    pub(super) fn tell(&self, server: &str, name: &'static str, detail: &str) {
        let digest = Digest::of(format!("{name} {detail}").as_bytes());
        // Whole after a panic: it only takes inserts.
        let mut by_server = self.by_server.lock().unwrap_or_else(PoisonError::into_inner);
        let told = by_server.entry(server.to_owned()).or_default();
        if told.all.contains(&digest) {
            return;
        }
        let detail = match told.silent {
            0 => Untrusted::begin_of(detail),
            silent => Untrusted::begin_of(&format!("{silent} before it were not told; {detail}")),
        };
        let finding = Event::Finding { name: name.to_owned(), run: None, detail: detail.clone() };
        if !told.has_room() || self.queue.try_send(finding).is_err() {
            told.silent += 1;
            return;
        }
        told.spend(digest);
        drop(by_server);
        tracing::warn!(finding = name, %detail, "a tool server");
    }
}

impl Told {
    fn has_room(&self) -> bool {
        let ahead = self.whole.map(|whole| whole.saturating_duration_since(Instant::now()));
        ahead.unwrap_or_default() <= (AT_ONCE - 1) * ONE_MORE
    }

    fn spend(&mut self, digest: Digest) {
        let now = Instant::now();
        self.whole = Some(self.whole.map_or(now, |whole| whole.max(now)) + ONE_MORE);
        self.silent = 0;
        if self.all.len() >= REMEMBERED_MAX {
            self.all.clear();
        }
        self.all.insert(digest);
    }
}

/// Tells everything that is queued, one after the other, however long the recorder is away.
fn tell_all(queue: &Receiver<Event>, recorder: &Path) {
    for event in queue {
        let request =
            RecorderRequest::Append { event: Box::new(event), durable: true, permit: None };
        loop {
            match record(recorder, &request) {
                Ok(RecorderReply::Recorded { .. }) => break,
                Ok(RecorderReply::Refused { why }) => {
                    tracing::error!(%why, "a finding is not recorded");
                    break;
                }
                Err(error) => tracing::warn!(%error, "a finding is not recorded yet"),
            }
            std::thread::sleep(PAUSE);
        }
    }
}

fn record(recorder: &Path, request: &RecorderRequest) -> Result<RecorderReply, FrameError> {
    let opened: io::Result<Connection<RecorderRequest, RecorderReply>> =
        Connection::open(recorder, RECORD_TIMEOUT);
    opened.map_err(FrameError::Io)?.ask(request)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::wire;

    /// The attack: a server whose tools are others each time that they are read, to fill the log.
    #[test]
    fn one_server_does_not_fill_the_log_and_each_finding_is_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("recorder");
        let findings = Findings::new(path.clone()).unwrap();
        findings.tell("quiet", "tool.changed", "while the recorder is away");
        let (told, all) = channel();
        let listener = wire::listen(&path).unwrap();
        std::thread::spawn(move || {
            wire::serve(
                &listener,
                |_| true,
                move |mut server| {
                    while let Ok(Some((number, asked))) = server.hear() {
                        let RecorderRequest::Append { event, .. } = asked;
                        let Event::Finding { name, detail, .. } = *event else { panic!() };
                        told.send((name, detail.raw().to_owned())).unwrap();
                        let reply = RecorderReply::Recorded { receipt: None };
                        server.answer(number, &reply).unwrap();
                    }
                },
            )
        });
        for round in 0..10_000 {
            findings.tell("loud", "tool.changed", &format!("another one {round}"));
        }
        for _ in 0..2 {
            findings.tell("quiet", "tool.changed", "the control");
        }
        findings.tell("quiet", "tool.not_approved", "the last");
        let mut found = Vec::new();
        while found.last().is_none_or(|(_, detail)| detail != "the last") {
            found.push(all.recv_timeout(Duration::from_secs(20)).unwrap());
        }
        let of = |what: &str| found.iter().filter(|(_, d)| d.starts_with(what)).count();
        assert_eq!(of("another one"), AT_ONCE as usize);
        assert_eq!((of("while the recorder"), of("the control")), (1, 1));

        // What was not told is counted by the next one.
        let mut by_server = findings.by_server.lock().unwrap();
        by_server.get_mut("loud").unwrap().whole = None;
        drop(by_server);
        findings.tell("loud", "tool.changed", "when there is room");
        let (_, detail) = all.recv_timeout(Duration::from_secs(20)).unwrap();
        assert_eq!(detail, "9744 before it were not told; when there is room");
    }
}
