//! What the servers offer now, asked once: for an operator who is about to approve it. The servers are
//! started or reached as the executor does it, and that ends at once.

use std::sync::mpsc;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::hear::Hear;
use super::offer::Offered;
use super::orders::orders;
use super::session;
use super::{Prepared, ServersError, keeper};
use crate::wire::{Ids, Places};

/// Room for calls that nobody makes.
const NO_CALLS: usize = 1;

/// How long a server may take to say what it offers: its handshake's time, and a little.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// What one server said.
pub struct Answer {
    /// The server.
    pub server: String,
    /// Its tools, or why there is no list.
    pub tools: Result<Vec<Offered>, String>,
}

/// Asks every server, or the one of this name. Call it as root, before the first thread is started.
///
/// # Errors
/// When a server's file is refused, this is not root, or there are no threads.
pub fn offers(places: &Places, ids: &Ids, only: Option<&str>) -> Result<Vec<Answer>, ServersError> {
    let prepared = Prepared::fork(places, ids, None)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ServersError::Spawner)?;
    let mut answers = Vec::new();
    for (server, reached) in prepared.reached() {
        if only.is_some_and(|only| only != server.name) {
            continue;
        }
        let bounds = server.bounds();
        let (tell, told) = mpsc::channel();
        let tell = Mutex::new(tell);
        let tools = Box::new(move |tools: &[Offered]| {
            let tell = tell.lock().unwrap_or_else(PoisonError::into_inner);
            drop(tell.send(tools.to_vec()));
        });
        // Nobody approves of what has no pin.
        let offered = Hear { tools, besides: Box::new(drop) };
        let kept = keeper::Kept { name: server.name, bounds, reached, offered };
        let ended = runtime.block_on(one_life(&kept));
        let tools = told.try_recv().map_err(|_| ended);
        answers.push(Answer { server: kept.name, tools });
    }
    Ok(answers)
}

/// One life without a call: it ends when the tools are known, for then it is asked to serve nobody.
async fn one_life(kept: &keeper::Kept) -> String {
    let (giving, mut none) = orders(NO_CALLS);
    drop(giving);
    let life = tokio::time::timeout(ANSWER_MAX, keeper::life(kept, &mut none)).await;
    let ended: Result<session::Ended, String> =
        life.unwrap_or_else(|_| Err(format!("it did not say what it offers in {ANSWER_MAX:?}")));
    ended.map_or_else(|why| why, |ended| ended.to_string())
}
