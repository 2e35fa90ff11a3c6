//! Arguments of `ledger.adjust`, through the whole decision: nothing panics, and what is allowed is within
//! the bounds of its pin and of the shipped caps, read again.

use serde_json::Value;

use crate::call::RunId;
use crate::gate::attempt::{Attempt, Gate};
use crate::identity::forge;

/// Arguments that are allowed, before they are changed.
pub const HONEST: &[&str] = &[
    r#"{"entry_id":1,"amount_cents":100,"reason":"refund"}"#,
    r#"{"entry_id":9007199254740991,"amount_cents":50000,"reason":"é"}"#,
    r#"{"reason":"x","amount_cents":1,"entry_id":2}"#,
];

/// The rules that arguments are judged by.
pub struct Arguments {
    gate: Gate,
    run: RunId,
    token: String,
}

impl Arguments {
    /// Those that are shipped.
    ///
    /// # Panics
    /// When they cannot be read.
    #[must_use]
    pub fn shipped() -> Self {
        // A run's calls come with one token. To sign one takes longer than to judge by it.
        let Attempt { claims, run, .. } = Attempt::honest();
        let token = forge::minter().mint(&claims).unwrap();
        Self { gate: Gate::shipped(), run, token }
    }

    /// Judges a call with these arguments; says whether it is allowed.
    ///
    /// # Panics
    /// When it is, and should not be.
    pub fn keep(&self, arguments: &str) -> bool {
        let attempt = Attempt::with(|a| {
            a.arguments = arguments.to_owned();
            (a.run, a.jwt) = (self.run, Some(self.token.clone()));
        });
        let is_allowed = attempt.decide(&self.gate).is_ok();
        if is_allowed {
            let read: Value = serde_json::from_str(arguments).expect("what is judged is JSON");
            assert!(may_be_adjusted(&read), "{arguments}");
        }
        is_allowed
    }
}

/// The bounds of `ledger.adjust`, read again: its pin and the shipped caps.
fn may_be_adjusted(arguments: &Value) -> bool {
    let whole = |name: &str, least: f64, most: f64| {
        let number = arguments[name].as_f64();
        number.is_some_and(|n| n.fract() == 0.0 && (least..=most).contains(&n))
    };
    let reason = arguments["reason"].as_str().map(|reason| reason.chars().count());
    arguments.as_object().is_some_and(|members| members.len() == 3)
        && whole("entry_id", 1.0, 9_007_199_254_740_991.0)
        && whole("amount_cents", 1.0, 50_000.0)
        && reason.is_some_and(|length| (1..=200).contains(&length))
}
