//! Step 5: the policy, on all facts. Rego decides; Rust turns everything that is not a clear yes into
//! a no.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::to_raw_value;

use super::act::{Act, Checked};
use super::approvers::{self, Approvers};
use super::facts::{Facts, Input, Obligations};
use super::hearing::{self, Answer, Hearing};
use super::limits::PolicyLimits;
use super::pins::Pins;
use super::policy_source::{Files, revision};
use super::profile;
use super::provenance::{self, Traced};
use super::rego::Rules;
use super::talk;
use super::tool::{ToolData, ToolMode};
use super::unread::unread;
use crate::audit;
use crate::call::{Approvable, Digest, Reason, Refusal, Step, ToolName};
use crate::state::PolicyFiles;
use crate::wire::{Answers, Exchange, MayTell};

/// A loaded policy.
pub struct Policy {
    revision: Digest,
    settings: Data,
    rules: Rules,
    unread: Vec<String>,
}

/// Why a policy is not taken.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// A file or directory cannot be read.
    #[error("cannot read the policy at {path}: {error}")]
    Read {
        /// The path.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file is refused.
    #[error("the policy {path} is refused: {what}")]
    Refused {
        /// The file or directory.
        path: PathBuf,
        /// What was found, what was expected.
        what: String,
    },
}

/// The part of `data.json` that ATF itself reads. The rest is the rules' own.
#[derive(Debug, Clone, Deserialize)]
struct Data {
    limits: Arc<PolicyLimits>,
    seal: SealData,
    #[serde(default)]
    tools: BTreeMap<ToolName, ToolData>,
    /// Who may grant calls on which a person's word is wanted; anybody who may ask the authority when absent.
    #[serde(default)]
    approvers: Option<Arc<Approvers>>,
    #[serde(default, rename = "provenance")]
    _provenance: Option<provenance::Settings>,
}

/// When a run is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealData {
    refusals: std::num::NonZeroU64,
}

/// A call that the policy allows, or refuses in vain. Only [`judge`] makes one.
#[derive(Debug)]
pub struct Judged {
    call: Act,
    policy: Digest,
    obligations: Obligations,
    limits: Arc<PolicyLimits>,
    rows: u64,
    exchange: Option<Exchange>,
    answers: Option<Box<Answers>>,
    waived: Option<Refusal>,
    approvers: Option<Arc<Approvers>>,
}

/// Asks the policy. What it was told and said is for who wants to know why; the call has passed only by the
/// second.
///
/// # Errors
/// When the policy does not clearly allow the call: it denies, is undefined, failed, took too long, or
/// gave an answer that is not understood.
pub fn judge(
    traced: Traced,
    policy: &Policy,
    facts: Facts,
) -> (Option<Hearing>, Result<Judged, Refusal>) {
    let told = Input::of(&traced, facts);
    match to_raw_value(&told) {
        Ok(input) => {
            let said = policy.rules.eval_facts(&told).and_then(plain);
            let hearing = Hearing { said, input };
            let judged = judged(traced, policy, &hearing);
            (Some(hearing), judged)
        }
        Err(error) => (None, Err(denied(error.to_string()))),
    }
}

/// What rules say, for who knows no rules.
fn plain(said: regorus::Value) -> Result<serde_json::Value, String> {
    serde_json::to_value(&said).map_err(|error| error.to_string())
}

fn denied(detail: String) -> Refusal {
    Refusal::new(Step::Policy, Reason::PolicyDenied, detail)
}

fn judged(traced: Traced, policy: &Policy, hearing: &Hearing) -> Result<Judged, Refusal> {
    let mut decision = hearing::understood(&hearing.said).map_err(denied)?;
    if let Checked::Ask(asked) = traced.checked()
        && let Some(pin) = asked.pin().filter(|pin| !policy.settings.tools.contains_key(pin.name()))
    {
        return Err(denied(format!("the policy does not know {} any more", pin.name())));
    }
    let refused = (!decision.allow || !decision.reasons.is_empty()).then(|| {
        let detail = format!("reasons: {}{traced}", decision.reasons.join(", "));
        Refusal::new(Step::Policy, reason(&decision.reasons), detail)
    });
    // A clear no can be waived. What is no answer at all, an error or an obligation that is not understood, has
    // ended before. A no that does not say what it would have reserved, as a default rule's, is none of the call.
    let waives = policy.waives(traced.checked()) && hearing.names_reservation();
    let waived = match refused {
        Some(refused) if !waives => return Err(refused),
        refused => refused,
    };
    let rows = rows(traced.checked());
    let call = traced.into_act();
    let (exchange, answers) = talk::exchange(&call, &decision.obligations)?.unzip();
    decision.obligations.reserve_cents = reserves(&call, decision.obligations.reserve_cents)?;
    Ok(Judged {
        rows,
        call,
        exchange,
        answers: answers.flatten(),
        policy: policy.revision,
        obligations: decision.obligations,
        limits: Arc::clone(&policy.settings.limits),
        waived,
        approvers: policy.settings.approvers.clone(),
    })
}

/// The cents that a call reserves for which the policy wants `cents` reserved. One that answers a question has what its
/// call has reserved, and changes nothing about that.
fn reserves(call: &Act, cents: u64) -> Result<u64, Refusal> {
    match call.continues() {
        None => Ok(cents),
        Some(continues) if continues.cents == cents => Ok(0),
        Some(continues) => {
            let reserved = continues.cents;
            let detail = format!("the answer makes {cents} cents of the call's {reserved}");
            Err(Refusal::new(Step::Policy, Reason::CapExceeded, detail))
        }
    }
}

/// The rows that the call's statements ask for. One without a LIMIT asks for all that there are.
fn rows(checked: &Checked) -> u64 {
    let of_each = checked.statements().iter().map(|(_, facts)| facts.rows.unwrap_or(u64::MAX));
    of_each.fold(0, u64::saturating_add)
}

/// The reason code of several reasons: the most telling one that is known.
fn reason(reasons: &[String]) -> Reason {
    [Reason::PromptDigest, Reason::CapExceeded, Reason::Provenance, Reason::SecretToSink]
        .into_iter()
        .find(|known| reasons.contains(&known.to_string()))
        .unwrap_or(Reason::PolicyDenied)
}

impl Policy {
    /// Reads the policy in `policy_dir`: `data.json` and all `*.rego` below it but `*_test.rego`.
    ///
    /// # Errors
    /// When a file cannot be read, a rule steps outside of ATF's profile, or `data.json` lacks a limit.
    pub fn read(policy_dir: &Path) -> Result<Self, PolicyError> {
        Self::of(policy_dir, Files::read(policy_dir)?)
    }

    /// The policy that `files` are, which were read in `policy_dir`.
    ///
    /// # Errors
    /// As [`Policy::read`].
    pub fn from_files(policy_dir: &Path, files: &PolicyFiles) -> Result<Self, PolicyError> {
        Self::of(policy_dir, Files::of(policy_dir, files)?)
    }

    fn of(policy_dir: &Path, files: Files) -> Result<Self, PolicyError> {
        let Files { modules, data, tests: _ } = files;
        let path = policy_dir.join("data.json");
        let refused = |path: PathBuf| move |what: String| PolicyError::Refused { path, what };
        for (name, source) in &modules {
            profile::check(source).map_err(refused(policy_dir.join(name)))?;
        }
        super::json::scan(data.as_bytes(), 32, usize::MAX)
            .map_err(|fault| refused(path.clone())(fault.to_string()))?;
        let settings: Data = super::envelope::object(&data).map_err(refused(path.clone()))?;
        settings.limits.check(&settings.tools).map_err(refused(path.clone()))?;
        if let Some(named) = &settings.approvers {
            approvers::check(named, &settings.tools).map_err(refused(path))?;
        }
        let rules = Rules::compile(&modules, &data).map_err(refused(policy_dir.to_owned()))?;
        let unread = unread(&data, &modules);
        Ok(Self { revision: revision(&modules, &data), settings, rules, unread })
    }

    /// The digest over the names and contents of all files.
    pub fn revision(&self) -> Digest {
        self.revision
    }

    /// Why its rules are interpreted, which takes some eight times as long as on the register machine; `None`
    /// when they are not.
    pub fn why_interpreted(&self) -> Option<&str> {
        self.rules.why_interpreted()
    }

    /// Forgets what the shipped rules have said of the same facts before, so that they are asked each time. What they
    /// say is the same; for who measures how long they take.
    pub fn forget(&self) {
        self.rules.forget();
    }

    /// After how many refusals a run is sealed.
    pub fn seal_refusals(&self) -> u64 {
        self.settings.seal.refusals.get()
    }

    /// What one run may spend, in cents.
    pub fn per_run_cents(&self) -> u64 {
        self.settings.limits.per_run_cents
    }

    /// The tools whose calls are made although the policy refuses them.
    pub fn unenforced(&self) -> Vec<ToolName> {
        self.in_mode(ToolMode::Log)
    }

    /// What its author may not have meant: names in `data.json` that nothing reads, and tools without a pin, which
    /// nobody can call.
    pub fn doubts(&self, pins: &Pins) -> Vec<String> {
        let unpinned = self.settings.tools.keys().filter(|tool| pins.get(tool).is_none());
        let unpinned = unpinned.map(|tool| format!("data.json: the tool {tool} has no pin"));
        self.unread.iter().cloned().chain(unpinned).collect()
    }

    /// The tools of which the operator wants to know what they need at least.
    pub fn learning(&self) -> Vec<ToolName> {
        self.in_mode(ToolMode::Learn)
    }

    fn in_mode(&self, mode: ToolMode) -> Vec<ToolName> {
        let tools = self.settings.tools.iter().filter(|(_, data)| data.mode == mode);
        tools.map(|(name, _)| name.clone()).collect()
    }

    /// Whether a call is made that the policy refuses.
    fn waives(&self, checked: &Checked) -> bool {
        match checked {
            Checked::Tool(checked) => {
                let data = self.settings.tools.get(checked.call().tool());
                data.is_some_and(|data| data.mode == ToolMode::Log)
            }
            Checked::Ask(_) => false,
        }
    }

    /// What it says of `input`.
    pub(super) fn said(&self, input: &str) -> Result<serde_json::Value, String> {
        plain(self.rules.eval(input)?)
    }

    /// What it says where another one was asked before.
    pub fn hear_again(&self, hearing: &Hearing) -> Answer {
        Answer::of(&self.said(hearing.told()))
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn decide(&self, input: &str) -> Result<super::facts::Decision, String> {
        hearing::understood(&self.said(input))
    }
}

impl Judged {
    /// The call.
    pub fn call(&self) -> &Act {
        &self.call
    }

    /// The revision of the policy that allowed it.
    pub fn policy(&self) -> Digest {
        self.policy
    }

    /// The policy's no, where the mode of the call's tool lets it pass all the same.
    pub fn waived(&self) -> Option<&Refusal> {
        self.waived.as_ref()
    }

    /// What the policy wants done.
    pub fn obligations(&self) -> &Obligations {
        &self.obligations
    }

    /// What the server may ask of the run, and what the run answers.
    pub(super) fn exchange(&self) -> Option<&Exchange> {
        self.exchange.as_ref()
    }

    /// What the server may tell the run meanwhile.
    pub(super) fn may_tell(&self) -> MayTell {
        self.call.wants().within(&self.obligations.notices, &self.call.target())
    }

    /// What the run answers to the server, as judged.
    pub fn answers(&self) -> Option<&Answers> {
        self.answers.as_deref()
    }

    /// What is called, for a person's word: of a deferred call what is asked of it too.
    fn named(&self) -> String {
        let target = self.call.target();
        match target.deferral() {
            Some(deferred) => format!("{} {target}", deferred.asks.method()),
            None => target.to_string(),
        }
    }

    /// The digest by which a person's word is of this call and of no other: the run, the target, its pin
    /// and the arguments, byte for byte.
    pub fn call_digest(&self) -> Digest {
        let (call, pin) = (&self.call, self.call.pin());
        let pin = pin.map(|pin| pin.to_string()).unwrap_or_default();
        // Neither a run nor a digest has a line end, and a target has none either.
        let text = format!(
            "atf-call-v1\n{}\n{}\n{pin}\n{}\n",
            call.caller().run,
            self.named(),
            call.arguments_digest()
        );
        Digest::of(text.as_bytes())
    }

    /// What a person is asked about.
    pub fn approvable(&self) -> Approvable {
        let (call, claims) = (&self.call, self.call.claims());
        Approvable {
            call: self.call_digest(),
            policy: self.policy,
            run: call.caller().run,
            target: self.named().into(),
            arguments: call.arguments().get().into(),
            agent: claims.sub.clone(),
            user: claims.context.parent_user.clone(),
            task: claims.context.task_id.clone(),
            may_grant: self.approvers.as_ref().map(|approvers| {
                approvers::of(approvers, &call.target(), self.obligations.reserve_cents)
            }),
        }
    }

    /// What may be done.
    pub(super) fn limits(&self) -> &PolicyLimits {
        &self.limits
    }

    /// The rows that it asks for.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Writes what is known now into the call that the log will tell of.
    pub fn describe(&self, call: &mut audit::Call) {
        self.call.describe(call);
        call.policy = Some(self.policy);
    }
}
