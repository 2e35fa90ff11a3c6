//! `provenance` in `data.json`. The rules read it; here it only has to be of words that they know.

use serde::Deserialize;

/// What is demanded of the origins of values, and of runs that have read a secret.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::gate) struct Settings {
    #[serde(rename = "demand")]
    _demand: Takes,
    #[serde(rename = "secrets_to_sinks")]
    _secrets_to_sinks: Passes,
}

/// From where values are taken.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Takes {
    Off,
    Known,
    Trusted,
    Named,
}

/// Whether something passes.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Passes {
    Allow,
    Deny,
}
