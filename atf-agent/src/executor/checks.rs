//! Whether to act on a permit: every party that had to agree is asked for its own proof.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::error::Mistrust;
use super::kernel_side::KernelSide;
use super::members;
use super::trust::Trust;
use super::used::Used;
use crate::call::{CgroupId, Digest};
use crate::gate::{self, Fragments};
use crate::identity::Claims;
use crate::wire::{Answers, PermitBody, Receipt, SentPermit};

/// Longest time in seconds for which a permit may still be valid: the gateway gives ten, and a longer
/// one would have to be remembered for longer.
const PERMIT_S_MAX: u64 = 60;

/// What the checks need.
pub(super) struct Checks {
    pub(super) nonce: Digest,
    pub(super) require_durable: bool,
    pub(super) trust: Arc<Trust>,
    pub(super) kernel: KernelSide,
    pub(super) used: Used,
    pub(super) fragments: Fragments,
}

/// A permit that passed every check and is used up by having done so. Only [`Checks::admit`] makes
/// one.
pub(super) struct Admitted {
    body: PermitBody,
}

impl Admitted {
    /// What the permit says.
    pub(super) fn permit(&self) -> &PermitBody {
        &self.body
    }
}

impl Checks {
    /// Checks everything, and uses the permit up.
    pub(super) fn admit(
        &self,
        permit: &SentPermit,
        (arguments, answers): (&str, Option<&Answers>),
        token: &str,
        receipt: &Receipt,
    ) -> Result<Admitted, Mistrust> {
        let now_unix_s = now_unix_s();
        let body = self.permit(permit, now_unix_s)?;
        let claims = self.token(&body, token, now_unix_s)?;
        if Digest::of(arguments.as_bytes()) != body.arguments {
            return Err(Mistrust::OtherArguments);
        }
        members::check(&body.target, arguments)?;
        exchanged(&body, &claims, answers)?;
        let found = body.target.of_tool().map(|tool| self.trust.pin(tool)).transpose()?;
        if found != body.pin {
            let permit = body.pin;
            return Err(Mistrust::OtherPin { found, permit });
        }
        self.narrowed(&body, &claims, arguments)?;
        self.receipt(permit, receipt)?;
        if !self.kernel.has_cgroup(body.run, body.cgroup) {
            return Err(Mistrust::OtherCgroup { run: body.run });
        }
        self.not_sealed(body.cgroup)?;
        self.used.take(body.decision, body.expires_unix_s, now_unix_s)?;
        Ok(Admitted { body })
    }

    /// Fails when the run is sealed, or when the kernel does not say. Asked again before a commit.
    pub(super) fn not_sealed(&self, cgroup: CgroupId) -> Result<(), Mistrust> {
        let why = match (self.kernel.sealed)(cgroup) {
            Ok(false) => return Ok(()),
            Ok(true) => "the kernel says so".to_owned(),
            Err(error) => format!("the kernel does not say: {error}"),
        };
        Err(Mistrust::Sealed { why })
    }

    /// The body, when it is the gateway's, for this executor, and of now.
    fn permit(&self, permit: &SentPermit, now_unix_s: u64) -> Result<PermitBody, Mistrust> {
        let key = self.trust.permit_key.get()?;
        if !key.holds(permit.body.as_bytes(), permit.code) {
            return Err(Mistrust::PermitCode);
        }
        let body: PermitBody = serde_json::from_str(&permit.body)
            .map_err(|error| Mistrust::PermitBody(error.to_string()))?;
        if body.nonce != self.nonce {
            return Err(Mistrust::Nonce);
        }
        let expires_unix_s = body.expires_unix_s;
        if now_unix_s == 0
            || expires_unix_s <= now_unix_s
            || expires_unix_s - now_unix_s > PERMIT_S_MAX
        {
            return Err(Mistrust::Expiry { expires_unix_s, now_unix_s });
        }
        Ok(body)
    }

    /// The token is the one that was judged, is good, is the run's, and names what is called.
    fn token(&self, body: &PermitBody, token: &str, now_unix_s: u64) -> Result<Claims, Mistrust> {
        if Digest::of(token.as_bytes()) != body.token {
            return Err(Mistrust::OtherToken);
        }
        let claims = self.trust.tokens.get()?.verify(token, now_unix_s)?;
        if claims.jti != body.run {
            return Err(Mistrust::OtherRun { token: claims.jti, permit: body.run });
        }
        if !claims.allows(&body.target) {
            let target = body.target.clone();
            return Err(Mistrust::NotNamed { target });
        }
        Ok(claims)
    }

    /// The arguments are within what the token allows of the tool: a gateway that fell cannot reach
    /// beyond a live run's token.
    fn narrowed(
        &self,
        body: &PermitBody,
        claims: &Claims,
        arguments: &str,
    ) -> Result<(), Mistrust> {
        let narrowing = &claims.entitlements.narrowing;
        let Some(tool) = body.target.tool().filter(|tool| !narrowing.of(tool).is_empty()) else {
            return Ok(());
        };
        let narrowed = |what: String| Mistrust::Narrowed { what };
        let arguments = gate::value(arguments).map_err(|e| narrowed(e.to_string()))?;
        let claimed = (claims, body.token);
        self.fragments.check(claimed, tool, None, &arguments).map_err(narrowed)
    }

    /// The record of this very permit is in the log.
    fn receipt(&self, permit: &SentPermit, receipt: &Receipt) -> Result<(), Mistrust> {
        let key = self.trust.receipt_key.get()?;
        let body = &receipt.body;
        if !key.holds(&body.bytes(), receipt.code) {
            return Err(Mistrust::ReceiptCode);
        }
        if body.permit != Digest::of(permit.body.as_bytes()) {
            return Err(Mistrust::OtherReceipt);
        }
        if self.require_durable && !body.durable {
            return Err(Mistrust::NotDurable);
        }
        Ok(())
    }
}

/// The answers are those that were judged, and the token too lets the server ask what the permit says.
fn exchanged(
    body: &PermitBody,
    claims: &Claims,
    answers: Option<&Answers>,
) -> Result<(), Mistrust> {
    let judged = body.exchange.as_ref().and_then(|exchange| exchange.answers);
    if answers.map(Answers::digest) != judged {
        return Err(Mistrust::OtherAnswers);
    }
    let (server, _) = body.target.split();
    let entitled = claims.entitlements.reach.asked_by(server);
    match &body.exchange {
        Some(exchange) if !exchange.questions.is_subset(entitled) => {
            Err(Mistrust::NotAsked { server: server.to_owned() })
        }
        Some(_) | None => Ok(()),
    }
}

/// Fails when a permit that was good has run out since.
pub(super) fn unexpired(expires_unix_s: u64) -> Result<(), Mistrust> {
    let now_unix_s = now_unix_s();
    match now_unix_s != 0 && now_unix_s < expires_unix_s {
        true => Ok(()),
        false => Err(Mistrust::Expiry { expires_unix_s, now_unix_s }),
    }
}

/// Seconds since the epoch; 0 when the clock stands before it, at which nothing is valid.
fn now_unix_s() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
