//! What the gateway tells log and operator of its rules: at its start, and when they are read anew.

use std::sync::Arc;
use std::time::Duration;

use super::rules::Rules;
use super::{Gateway, GatewayError};
use crate::audit::Event;
use crate::call::Untrusted;
use crate::gate::{Policy, UNENFORCED};

/// Pause between two tries to record the start.
const STARTED_PAUSE: Duration = Duration::from_secs(1);

/// Tells the log that the gateway started. The recorder may start later.
pub(super) async fn started(gateway: Arc<Gateway>) {
    let rules = gateway.rules.now();
    let policy = rules.policy.revision();
    let signer = rules.signer.as_ref().map(|signer| ("signer".to_owned(), signer.clone()));
    let unenforced = unenforced(&rules.policy).map(|tools| ("unenforced".to_owned(), tools));
    let mode = match (gateway.kernel.mode)() {
        Ok(mode) => mode.name().to_owned(),
        Err(error) => format!("unknown: {error}"),
    };
    let mut facts = vec![
        ("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("policy".to_owned(), policy.to_string()),
        ("permit_key".to_owned(), gateway.permit_key.public().hex()),
        ("cage".to_owned(), mode),
    ];
    facts.extend(signer);
    facts.extend(unenforced);
    while let Err(error) =
        gateway.recorder.append(Event::Started { facts: facts.clone() }, false).await
    {
        tracing::warn!(%error, "the start is not recorded yet");
        tokio::time::sleep(STARTED_PAUSE).await;
    }
}

/// Says that other rules are in force; in the log, too, when they let pass what they refuse.
pub(super) fn reloaded(gateway: &Arc<Gateway>, rules: &Rules) {
    let revision = rules.policy.revision();
    tracing::info!(policy = %revision, "policy reloaded");
    if let Some(tools) = unenforced(&rules.policy) {
        find(gateway, "policy.unenforced", format!("{UNENFORCED}: {tools}; revision {revision}"));
    }
}

/// Says, and has the log say, that the rules in force stay.
pub(super) fn not_taken(gateway: &Arc<Gateway>, error: &GatewayError) {
    tracing::error!(%error, "the policy is refused; the old one stays");
    find(
        gateway,
        "policy.not_taken",
        format!("read anew: {error}; the rules before stay in force"),
    );
}

/// The tools whose calls are made although the policy refuses them, which is said loudly.
fn unenforced(policy: &Policy) -> Option<String> {
    let tools: Vec<String> = policy.unenforced().iter().map(ToString::to_string).collect();
    let tools = (!tools.is_empty()).then(|| tools.join(", "))?;
    tracing::warn!("{UNENFORCED}: {tools}");
    Some(tools)
}

/// Records a finding, as soon as the recorder takes it.
fn find(gateway: &Arc<Gateway>, name: &str, detail: String) {
    let event = Event::Finding { name: name.to_owned(), run: None, detail: Untrusted::new(detail) };
    let gateway = Arc::clone(gateway);
    tokio::spawn(async move {
        if let Err(error) = gateway.recorder.append(event, false).await {
            tracing::error!(%error, "a finding is not recorded");
        }
    });
}
