//! One call by the shipped rules, for the tests and the fuzz targets: honest until it is changed.

use std::path::{Path, PathBuf};

use super::{Counters, Facts, Judged, Known, Limits, Pins, Policy, Presented, Rules, decide};
use crate::call::{Caller, CgroupId, Digest, Named, Refusal, RunId};
use crate::identity::{Claims, Verifier, forge};

/// The policy that the repository ships.
pub(super) fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies")
}

/// The rules that a call is judged by.
pub(super) struct Gate {
    pub(super) verifier: Verifier,
    pub(super) pins: Pins,
    pub(super) policy: Policy,
}

impl Gate {
    pub(super) fn shipped() -> Self {
        let dir = shipped();
        Self {
            verifier: forge::verifier(),
            pins: Pins::read(&dir.join("tools")).unwrap(),
            policy: Policy::read(&dir).unwrap(),
        }
    }
}

/// One call, honest until it is changed.
pub(super) struct Attempt {
    pub(super) claims: Claims,
    pub(super) jwt: Option<String>,
    pub(super) run: RunId,
    pub(super) tool: &'static str,
    pub(super) arguments: String,
    pub(super) prompt: Option<Digest>,
}

impl Attempt {
    pub(super) fn honest() -> Self {
        let claims = forge::claims();
        Self {
            run: claims.jti,
            claims,
            jwt: None,
            tool: "ledger.adjust",
            arguments: r#"{"entry_id":1,"amount_cents":100,"reason":"refund"}"#.to_owned(),
            prompt: Some(Digest::of(b"prompt")),
        }
    }

    pub(super) fn with(change: impl FnOnce(&mut Self)) -> Self {
        let mut attempt = Self::honest();
        change(&mut attempt);
        attempt
    }

    #[cfg(test)]
    pub(super) fn adjust(arguments: serde_json::Value) -> Self {
        Self::with(|a| a.arguments = arguments.to_string())
    }

    #[cfg(test)]
    pub(super) fn query(sql: &str) -> Self {
        Self::with(|a| {
            a.tool = "ledger.query";
            a.arguments = serde_json::json!({ "sql": sql }).to_string();
        })
    }

    pub(super) fn decide(&self, gate: &Gate) -> Result<Judged, Refusal> {
        let bytes = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{}","arguments":{}}}}}"#,
            self.tool, self.arguments
        );
        let jwt = match &self.jwt {
            Some(jwt) => jwt.clone(),
            None => forge::minter().mint(&self.claims).unwrap(),
        };
        let prompt = self.prompt.map(|digest| digest.to_string());
        let presented = Presented {
            caller: Caller { run: self.run, cgroup: CgroupId(7) },
            jwt: Some(&jwt),
            prompt: prompt.as_deref(),
        };
        let rules = Rules {
            verifier: &gate.verifier,
            pins: &gate.pins,
            policy: &gate.policy,
            limits: &Limits::default(),
        };
        let facts =
            Facts { counters: Counters::default(), now_unix_ns: forge::NOW * 1_000_000_000 };
        let known = Known::fresh(&Named::nothing());
        decide(bytes.as_bytes(), presented, rules, (facts, &known))
    }
}
