//! Keeps one server alive: starts it, speaks with it, ends it, and starts it again after a pause that
//! grows. Meanwhile its calls are not done, and those of other servers know nothing of it.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::unix::pipe;
use tokio::sync::mpsc::Receiver;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use super::super::error::Mistrust;
use super::super::spawner::{Pipes, Spawner};
use super::bounds::Bounds;
use super::call::Call;
use super::hear;
use super::orders::Orders;
use super::session::{self, Ended};
use super::stderr;

/// First pause before a dead server is started again; it doubles up to the last.
const PAUSE_FIRST: Duration = Duration::from_millis(200);
/// See [`PAUSE_FIRST`].
const PAUSE_LAST: Duration = Duration::from_secs(30);
/// A server that lived this long starts again with the first pause.
const LIVED_WELL: Duration = Duration::from_secs(60);

/// One server, as its keeper knows it.
pub(super) struct Kept {
    /// Its name.
    pub(super) name: String,
    /// What it may do.
    pub(super) bounds: Bounds,
    /// Its number with the spawner.
    pub(super) number: u32,
    /// Who starts it.
    pub(super) spawner: Arc<Spawner>,
    /// Who is told what it offers.
    pub(super) offered: hear::Hear,
}

/// Keeps it until the executor ends.
pub(super) async fn keep(kept: Kept, mut orders: Orders) {
    let mut pause = PAUSE_FIRST;
    loop {
        let began = Instant::now();
        let why = match start(&kept).await {
            Ok(pipes) => match life(&kept, pipes, &mut orders).await {
                Ok(Ended::NoCallers) => return,
                Ok(ended) => ended.to_string(),
                Err(error) => error.to_string(),
            },
            Err(error) => error,
        };
        stop(&kept).await;
        if began.elapsed() >= LIVED_WELL {
            pause = PAUSE_FIRST;
        }
        tracing::warn!(server = kept.name, ?pause, %why, "a tool server is away");
        if !wait(&kept.name, &why, Instant::now() + pause, &mut orders.calls).await {
            return;
        }
        pause = (pause * 2).min(PAUSE_LAST);
    }
}

/// One life, from its pipes to its end.
pub(super) async fn life(kept: &Kept, pipes: Pipes, orders: &mut Orders) -> std::io::Result<Ended> {
    let [input, output, errors] = pipes.0;
    let to = pipe::Sender::from_owned_fd(input)?;
    let from = pipe::Receiver::from_owned_fd(output)?;
    let errors = pipe::Receiver::from_owned_fd(errors)?;
    // Ends with the pipe: when the last process of the server is gone.
    tokio::spawn(stderr::log(kept.name.clone(), errors));
    Ok(session::live(&kept.name, kept.bounds, (from, to), orders, &kept.offered).await)
}

/// Has the spawner start it.
pub(super) async fn start(kept: &Kept) -> Result<Pipes, String> {
    let (spawner, number) = (Arc::clone(&kept.spawner), kept.number);
    let started = spawn_blocking(move || spawner.start(number)).await;
    let started: Result<[OwnedFd; 3], _> = started.map_err(|error| error.to_string())?;
    started.map(Pipes).map_err(|error| format!("it cannot be started: {error}"))
}

/// Has the spawner end it.
pub(super) async fn stop(kept: &Kept) {
    let (spawner, number) = (Arc::clone(&kept.spawner), kept.number);
    if let Ok(Err(error)) = spawn_blocking(move || spawner.stop(number)).await {
        tracing::error!(server = kept.name, %error, "a tool server cannot be ended");
    }
}

/// Refuses calls until the pause is over; false when no more will come.
async fn wait(name: &str, why: &str, until: Instant, calls: &mut Receiver<Call>) -> bool {
    loop {
        tokio::select! {
            () = sleep_until(until) => return true,
            call = calls.recv() => match call {
                None => return false,
                Some(call) => {
                    let (server, why) = (name.to_owned(), why.to_owned());
                    call.not_done(Mistrust::ServerAway { server, why });
                }
            },
        }
    }
}
