//! What the run gives to its agent: a socket, and a file with a token that is renewed.

use std::env;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The gateway's socket.
///
/// # Errors
/// Outside of a run.
pub(super) fn socket() -> Result<PathBuf> {
    env::var_os("ATF_SOCKET").map(PathBuf::from).context("ATF_SOCKET is not set: this is no run")
}

/// The port of the run's bridge.
///
/// # Errors
/// In a run without one.
pub(super) fn bridge_port() -> Result<u16> {
    let url = env::var("ATF_BRIDGE_URL").context("ATF_BRIDGE_URL is not set: no bridge")?;
    let port = url.rsplit(':').next().and_then(|port| port.parse().ok());
    port.with_context(|| format!("{url} names no port"))
}

/// The token, as it is now.
///
/// # Errors
/// Outside of a run.
pub(super) fn token() -> Result<String> {
    let file =
        env::var_os("ATF_TOKEN_FILE").context("ATF_TOKEN_FILE is not set: this is no run")?;
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {file:?}"))?;
    Ok(text.trim().to_owned())
}

/// The run's id, from the token's `jti`.
pub(super) fn run_id() -> Option<String> {
    let token = token().ok()?;
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&claims).ok()?;
    Some(claims["jti"].as_str()?.strip_prefix("task-run:")?.to_owned())
}
