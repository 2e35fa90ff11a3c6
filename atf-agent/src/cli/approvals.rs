//! `atf approvals list|grant|deny`: the calls on which the policy wants a person's word.

use super::args::{ApprovalsAction, Output};
use super::output;
use super::runs::ask;
use super::{EXIT_NO, EXIT_OK};
use crate::call::{Approval, DecisionId, Standing, Untrusted};
use crate::config::Config;
use crate::wire::{AuthorityReply, AuthorityRequest};

pub(super) fn approvals(config: &Config, action: &ApprovalsAction) -> anyhow::Result<u8> {
    match action {
        ApprovalsAction::List { output } => list(config, *output),
        ApprovalsAction::Grant { decision, by } => answer(config, *decision, true, by),
        ApprovalsAction::Deny { decision, by } => answer(config, *decision, false, by),
    }
}

fn list(config: &Config, form: Output) -> anyhow::Result<u8> {
    let approvals = match ask(config, &AuthorityRequest::Approvals)? {
        AuthorityReply::Approvals { approvals } => approvals,
        AuthorityReply::Refused { why } => {
            tracing::error!("{why}");
            return Ok(EXIT_NO);
        }
        _ => anyhow::bail!("the authority gave another answer than asked for"),
    };
    if form == Output::Json {
        output::json(&approvals)?;
        return Ok(EXIT_OK);
    }
    if approvals.is_empty() {
        tracing::info!("no call waits for a person's word");
    }
    for approval in &approvals {
        show(approval)?;
    }
    Ok(EXIT_OK)
}

fn show(approval: &Approval) -> anyhow::Result<()> {
    let of = &approval.of;
    let standing = match approval.standing {
        Standing::Pending => "waits",
        Standing::Granted => "granted, not used yet",
        Standing::Denied => "denied",
    };
    let by = approval.approver.as_ref().map(|by| format!(" by {}", by.name)).unwrap_or_default();
    let left_s = approval.left_ms / 1_000;
    output::line(&format!("{}  {standing}{by}, {left_s} s left", approval.decision))?;
    output::line(&format!(
        "  run {}, agent {} for {}, task {}",
        of.run, of.agent, of.user, of.task
    ))?;
    if let Some(named) = &of.may_grant {
        let names: Vec<String> = named.iter().map(|named| named.name.to_string()).collect();
        let names = if names.is_empty() { "nobody".to_owned() } else { names.join(", ") };
        output::line(&format!("  may be granted by {names}"))?;
    }
    output::line(&format!("  {} {}", of.target, of.arguments))
}

fn answer(config: &Config, decision: DecisionId, granted: bool, by: &str) -> anyhow::Result<u8> {
    let name = Untrusted::from(by);
    let word = if granted { "granted" } else { "denied" };
    match ask(config, &AuthorityRequest::Approve { decision, granted, name })? {
        AuthorityReply::Done => {
            tracing::info!(%decision, "{word}");
            Ok(EXIT_OK)
        }
        AuthorityReply::Refused { why } => {
            tracing::error!(%decision, "not {word}: {why}");
            Ok(EXIT_NO)
        }
        _ => anyhow::bail!("the authority gave another answer than asked for"),
    }
}
