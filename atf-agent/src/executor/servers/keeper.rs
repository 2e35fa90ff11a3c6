//! Keeps one server alive: starts or reaches it, speaks with it, ends that, and begins again after a pause that
//! grows. Meanwhile its calls are not done, and those of other servers know nothing of it.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::unix::pipe;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use super::super::error::Mistrust;
use super::super::spawner::{Pipes, Spawner};
use super::bounds::Bounds;
use super::hear;
use super::orders::Orders;
use super::remote::{self, Remote};
use super::session::{self, Ended};
use super::sides;
use super::stderr;
use crate::call::Untrusted;

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
    /// How it is reached.
    pub(super) reached: Reached,
    /// Who is told what it offers.
    pub(super) offered: hear::Hear,
}

/// How a server is reached.
pub(super) enum Reached {
    /// As a process, which the spawner starts by its number.
    Child(u32, Arc<Spawner>),
    /// By its URL.
    Url(Arc<Remote>),
}

/// Keeps it until the executor ends.
pub(super) async fn keep(kept: Kept, mut orders: Orders) {
    let mut pause = PAUSE_FIRST;
    let mut is_anew = false;
    loop {
        let began = Instant::now();
        let ended = life(&kept, &mut orders).await;
        // A session that the server ended is begun anew at once, and once: until a call was answered in it.
        if let Ok(Ended::Forgotten { has_served }) = &ended
            && (*has_served || !is_anew)
        {
            is_anew = true;
            tracing::info!(server = kept.name, "a tool server ended the session; it is begun anew");
            continue;
        }
        is_anew = false;
        // It was slow, and is not broken: its next call came to it by then, and each took its time.
        if let Ok(ended @ Ended::Late) = &ended {
            tracing::warn!(server = kept.name, why = %ended, "a tool server is begun anew");
            continue;
        }
        let why = match ended {
            Ok(Ended::NoCallers) => return,
            Ok(ended) => ended.to_string(),
            Err(why) => why,
        };
        let why = Untrusted::begin_of(&why);
        if began.elapsed() >= LIVED_WELL {
            pause = PAUSE_FIRST;
        }
        tracing::warn!(server = kept.name, ?pause, %why, "a tool server is away");
        if !wait(&kept.name, why.raw(), Instant::now() + pause, &mut orders).await {
            return;
        }
        pause = (pause * 2).min(PAUSE_LAST);
    }
}

/// One life, from its begin to its end.
///
/// # Errors
/// When it cannot begin.
pub(super) async fn life(kept: &Kept, orders: &mut Orders) -> Result<Ended, String> {
    let Kept { name, bounds, offered, .. } = kept;
    match &kept.reached {
        Reached::Child(number, spawner) => {
            let lived = match start(spawner, *number).await {
                Ok(pipes) => of_a_child(kept, pipes, orders).await.map_err(|e| e.to_string()),
                Err(why) => Err(why),
            };
            stop(name, spawner, *number).await;
            lived
        }
        Reached::Url(remote) => {
            let link = remote.link(bounds.era)?;
            let carry = remote::over(Arc::clone(&link), bounds.call_timeout);
            let ended = session::live(name, bounds.clone(), carry, orders, offered).await;
            link.bye().await;
            Ok(ended)
        }
    }
}

async fn of_a_child(kept: &Kept, pipes: Pipes, orders: &mut Orders) -> std::io::Result<Ended> {
    let [input, output, errors] = pipes.0;
    let to = pipe::Sender::from_owned_fd(input)?;
    let from = pipe::Receiver::from_owned_fd(output)?;
    let errors = pipe::Receiver::from_owned_fd(errors)?;
    // Ends with the pipe: when the last process of the server is gone.
    tokio::spawn(stderr::log(kept.name.clone(), errors));
    let carry = sides::over(from, to);
    Ok(session::live(&kept.name, kept.bounds.clone(), carry, orders, &kept.offered).await)
}

/// Has the spawner start it.
async fn start(spawner: &Arc<Spawner>, number: u32) -> Result<Pipes, String> {
    let spawner = Arc::clone(spawner);
    let started = spawn_blocking(move || spawner.start(number)).await;
    let started: Result<[OwnedFd; 3], _> = started.map_err(|error| error.to_string())?;
    started.map(Pipes).map_err(|error| format!("it cannot be started: {error}"))
}

/// Has the spawner end it.
async fn stop(name: &str, spawner: &Arc<Spawner>, number: u32) {
    let spawner = Arc::clone(spawner);
    if let Ok(Err(error)) = spawn_blocking(move || spawner.stop(number)).await {
        tracing::error!(server = name, %error, "a tool server cannot be ended");
    }
}

/// Refuses calls until the pause is over; false when no more will come.
async fn wait(name: &str, why: &str, until: Instant, orders: &mut Orders) -> bool {
    let away = || Mistrust::ServerAway { server: name.to_owned(), why: why.to_owned() };
    orders.again.drain(..).chain(orders.waiting.drain()).for_each(|call| call.not_done(away()));
    loop {
        tokio::select! {
            () = sleep_until(until) => return true,
            call = orders.calls.recv() => match call {
                None => return false,
                Some(call) => call.not_done(away()),
            },
            Some(answering) = orders.answers.recv() => answering.in_vain(away()),
        }
    }
}
