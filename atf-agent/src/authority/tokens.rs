//! Tokens: the authority's RSA key, the published key set, and what is signed for a run.

use std::time::Duration;

use super::Settings;
use super::clock::{boot_ms, now_unix_s};
use super::error::AuthorityError;
use crate::audit::Event;
use crate::call::{Digest, ToolName};
use crate::identity::{Claims, Context, Entitlements, Minter, TOKEN_TTL_S_MAX};
use crate::state::Registered;
use crate::state::files;
use crate::wire::{Places, Token};

/// A signed token, what the kernel and the log have to know of it, and when it was signed.
pub(super) struct Minted {
    pub(super) token: Token,
    pub(super) token_boot_ms: u64,
    pub(super) iat_unix_s: u64,
    pub(super) event: Event,
}

/// The key of this installation, made at the first start, and its key set, published.
pub(super) fn minter(places: &Places) -> Result<Minter, AuthorityError> {
    let path = places.state("authority").join("token.key");
    let minter = match files::read_secret(&path)? {
        Some(pkcs8) => Minter::from_pkcs8(&pkcs8)?,
        None => {
            let minter = Minter::generate()?;
            files::keep_secret(&path, &minter.pkcs8())?;
            minter
        }
    };
    files::publish(&places.jwks(), minter.jwks().as_bytes())?;
    Ok(minter)
}

/// Signs a token for `run`. It ends with the run at the latest.
pub(super) fn mint(
    minter: &Minter,
    settings: &Settings,
    run: &Registered,
    last_iat_unix_s: u64,
) -> Result<Minted, AuthorityError> {
    let (now_unix_s, now_boot_ms) = (now_unix_s(), boot_ms());
    if now_unix_s < last_iat_unix_s || now_unix_s == 0 {
        return Err(AuthorityError::Clock { now_unix_s, last_unix_s: last_iat_unix_s });
    }
    let (ttl_s, token_boot_ms) = lifetime(settings.token_ttl_s, now_boot_ms, run.end_boot_ms)
        .ok_or(AuthorityError::AtEnd { run: run.run })?;
    let claims = Claims {
        iss: settings.issuer.clone(),
        sub: run.agent.clone(),
        aud: settings.audience.clone(),
        iat: now_unix_s,
        nbf: now_unix_s,
        exp: now_unix_s + ttl_s,
        jti: run.run,
        context: Context { parent_user: run.user.clone(), task_id: run.task.clone() },
        entitlements: Entitlements {
            allowed_tools: run.tools.clone(),
            narrowing: run.narrowing.only(&run.tools),
            reach: run.reach.clone(),
        },
        prompt_integrity_hash: run.prompt,
        act: run.chain.clone(),
    };
    let jwt = minter.mint(&claims)?;
    let event = Event::TokenMinted {
        run: run.run,
        agent: run.agent.clone(),
        token: Digest::of(jwt.as_bytes()),
        key: minter.kid().to_owned(),
        expires_unix_s: claims.exp,
    };
    Ok(Minted {
        token: Token {
            jwt,
            renew_in_s: renew_in_s(ttl_s, token_boot_ms, run.end_boot_ms),
            ends_in_ms: run.end_boot_ms.saturating_sub(now_boot_ms),
        },
        token_boot_ms,
        iat_unix_s: now_unix_s,
        event,
    })
}

/// Seconds that a token lives which is signed now, and its end on the boot clock; `None` when the
/// run has no whole second left.
fn lifetime(token_ttl_s: u64, now_boot_ms: u64, end_boot_ms: u64) -> Option<(u64, u64)> {
    let left_s = Duration::from_millis(end_boot_ms.saturating_sub(now_boot_ms)).as_secs();
    let ttl_s = token_ttl_s.min(TOKEN_TTL_S_MAX).min(left_s);
    (ttl_s > 0).then_some((ttl_s, now_boot_ms + ttl_s * 1_000))
}

/// After two thirds of its life, so that a renewal may fail a few times; zero when a renewed token
/// would end with the run just as this one does.
fn renew_in_s(ttl_s: u64, token_boot_ms: u64, end_boot_ms: u64) -> u64 {
    if token_boot_ms + 1_000 > end_boot_ms {
        return 0;
    }
    (ttl_s * 2 / 3).max(1)
}

/// The tools that a renewed token may name: those of the run that the manifest still has. So an
/// operator can take a tool away from a live run, and nobody can add one.
pub(super) fn still_allowed(run: &[ToolName], manifest: &[ToolName]) -> Vec<ToolName> {
    let kept = run.iter().filter(|tool| manifest.contains(tool));
    kept.cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_never_outlives_its_run() {
        for (ttl_s, now, end, expected) in [
            (300, 1_000, 3_601_000, Some((300, 301_000))),
            (900, 1_000, 3_601_000, Some((300, 301_000))),
            (300, 1_000, 11_500, Some((10, 11_000))),
            (300, 1_000, 1_999, None),
            (300, 2_000, 1_000, None),
            (0, 1_000, 3_601_000, None),
        ] {
            assert_eq!(lifetime(ttl_s, now, end), expected, "{ttl_s} {now} {end}");
        }
        for (ttl_s, token, end, expected) in [
            (300, 301_000, 3_601_000, 200),
            (1, 2_000, 3_601_000, 1),
            (10, 11_000, 11_500, 0),
            (300, 301_000, 301_000, 0),
        ] {
            assert_eq!(renew_in_s(ttl_s, token, end), expected);
        }
    }

    #[test]
    fn a_renewal_takes_tools_away_and_never_adds_one() {
        let tools = |names: &[&str]| -> Vec<ToolName> {
            names.iter().map(|name| name.parse().unwrap()).collect()
        };
        let kept = still_allowed(&tools(&["a", "b"]), &tools(&["c", "b"]));
        assert_eq!(kept, tools(&["b"]));
    }
}
