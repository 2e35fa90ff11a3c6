//! The executor as the gateway finds it: its lives and its lanes.

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
                        ExecutorRequest::Hello => ExecutorReply::Hello { nonce: nonce_of(life) },
                        _ => ExecutorReply::Withheld { tools: Vec::new() },
                    };
                    server.answer(number, &reply).unwrap();
                }
                server.hang_up();
            },
        )
    });
    let own = Arc::new(AgreementKey::generate().unwrap());
    Executor::new(&path, Duration::from_secs(5), own)
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

/// The attack: a run listens, so that it is the first that finds the executor anew.
#[tokio::test]
async fn who_listens_leaves_no_nonce_of_another_life() {
    let dir = tempfile::tempdir().unwrap();
    let executor = executor(dir.path(), 2);
    executor.withheld().await;
    settled(&executor).await;
    // This double offers nothing, but it was connected.
    assert!(executor.offering(0).await.is_err());
    assert_eq!(executor.ready().await.unwrap().nonce, nonce_of(1));
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
