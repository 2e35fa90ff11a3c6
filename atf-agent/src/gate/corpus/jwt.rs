//! Tokens, judged by the verifier that the gateway uses, at the time that the row names.

use serde::Deserialize;

use super::{CorpusError, CorpusReport, run};
use crate::identity::Verifier;

#[derive(Deserialize)]
struct Presented {
    token: String,
    now_unix_s: u64,
    #[serde(flatten)]
    trust: Trust,
}

/// What the verifier is made of.
#[derive(Deserialize, PartialEq, Eq)]
struct Trust {
    jwks: serde_json::Value,
    issuer: String,
    audience: String,
}

/// Judges each line's token under the keys, issuer and audience of the same line.
///
/// # Errors
/// [`CorpusError`] at the first line that is not a case, or whose key set is none: a row that no
/// token could pass would prove nothing.
pub fn jwt(lines: impl Iterator<Item = String>) -> Result<CorpusReport, CorpusError> {
    let mut last: Option<(Trust, Verifier)> = None;
    run(lines, |case: Presented| {
        let verifier = match last.take() {
            Some((trust, verifier)) if trust == case.trust => verifier,
            Some(_) | None => {
                let Trust { jwks, issuer, audience } = &case.trust;
                Verifier::from_jwks(&jwks.to_string(), issuer, audience)
                    .map_err(|error| format!("the key set: {error}"))?
            }
        };
        let allowed = verifier.verify(&case.token, case.now_unix_s).is_ok();
        last = Some((case.trust, verifier));
        Ok(allowed)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::identity::forge::{self, Draft, NOW};

    fn row(id: &str, token: &str, now_unix_s: u64, expect: &str) -> Value {
        let jwks: Value = serde_json::from_str(&forge::minter().jwks()).unwrap();
        json!({
            "id": id, "token": token, "now_unix_s": now_unix_s, "expect": expect,
            "jwks": jwks, "issuer": forge::ISSUER, "audience": forge::AUDIENCE,
        })
    }

    fn judge(rows: &[Value]) -> Result<CorpusReport, CorpusError> {
        jwt(rows.iter().map(Value::to_string))
    }

    #[test]
    fn tokens_are_judged_at_their_time_and_under_their_trust() {
        let good = Draft::honest().signed();
        let none = Draft::honest().head("/alg", json!("none")).signed();
        let mut other = row("another audience", &good, NOW, "deny");
        other["audience"] = json!("other.test");
        let rows = [
            row("honest", &good, NOW, "allow"),
            row("late", &good, NOW + 10_000, "deny"),
            other,
            row("alg none", &none, NOW, "deny"),
            row("honest again", &good, NOW, "allow"),
        ];
        let report = judge(&rows).unwrap();
        assert!(report.is_right() && report.right == 5, "{report:?}");
        let report = judge(&[row("honest", &good, NOW, "deny")]).unwrap();
        assert_eq!(report.false_allow, ["honest"], "the control");
    }

    #[test]
    fn a_key_set_that_is_none_is_an_error() {
        let mut bad = row("a", "x", NOW, "deny");
        bad["jwks"] = json!({"keys": []});
        let found = judge(&[bad]);
        assert!(matches!(found, Err(CorpusError::Case { line: 1, .. })), "{found:?}");
    }
}
