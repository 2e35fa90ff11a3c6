//! What a session is still to be told of the resources that it subscribed to. Each stands here once, however
//! often it changed: one who reads slowly is told less often, and nothing grows.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use serde_json::json;
use tokio::sync::Notify;

use crate::call::ResourceUri;

/// The resources that have changed. One reads it.
#[derive(Debug, Default)]
pub(super) struct Updates {
    waiting: Mutex<BTreeSet<ResourceUri>>,
    news: Notify,
    lost: Notify,
}

impl Updates {
    /// This one has changed.
    pub(super) fn add(&self, uri: &ResourceUri) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(uri.clone());
        self.news.notify_one();
    }

    /// One of the subscriptions has ended.
    pub(super) fn lost(&self) {
        self.lost.notify_one();
    }

    /// Waits until one of them has.
    pub(super) async fn is_lost(&self) {
        self.lost.notified().await;
    }

    /// The next one. Nothing is lost when this is dropped before it is there.
    pub(super) async fn next(&self) -> ResourceUri {
        loop {
            let first = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_first();
            match first {
                Some(uri) => return uri,
                None => self.news.notified().await,
            }
        }
    }
}

/// What is told of it.
pub(super) fn updated(uri: &ResourceUri) -> String {
    let params = json!({ "uri": uri });
    json!({"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": params})
        .to_string()
}
