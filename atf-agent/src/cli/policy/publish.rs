//! `atf policy publish|rollback|versions`: what an operator asks for and is told.

use std::cell::Cell;
use std::path::Path;

use serde_json::json;

use super::super::args::{Output, PublishArguments};
use super::super::output;
use super::super::runs::ask;
use super::super::{EXIT_NO, EXIT_OK};
use super::bundle;
use super::place::{Placed, Told, Wanted, place};
use crate::call::{Digest, Untrusted};
use crate::config::Config;
use crate::gate::{Pins, Policy, Signers};
use crate::state::{Version, Versions, policy_files};
use crate::wire::{AuthorityReply, AuthorityRequest};

/// Puts a draft's directory or a bundle in force.
pub(super) fn publish(config: &Config, draft: &Path, how: &PublishArguments) -> anyhow::Result<u8> {
    match bundle::open(draft) {
        Ok(files) => in_place(config, Wanted::Draft(files), &draft.to_string_lossy(), how),
        Err(error) => {
            let placed = Placed::NotTaken { why: format!("{error:#}") };
            refused(config, &placed, &draft.to_string_lossy(), how);
            report(&placed, how.output)
        }
    }
}

pub(super) fn rollback(
    config: &Config,
    number: Option<u32>,
    how: &PublishArguments,
) -> anyhow::Result<u8> {
    let what = number.map_or("the version before".to_owned(), |number| format!("version {number}"));
    in_place(config, Wanted::Version(number), &what, how)
}

fn in_place(
    config: &Config,
    wanted: Wanted,
    what: &str,
    how: &PublishArguments,
) -> anyhow::Result<u8> {
    let asked = Cell::new(false);
    let tell = |of: Told<'_>| {
        asked.set(true);
        told(config, &how.by, of)
    };
    let signers = Signers::read(&config.policy)?;
    let placed = place(&config.places.policy_dir, wanted, &signers, &tell)?;
    // What the gateway refused, the authority has put into the log.
    if !asked.get() {
        refused(config, &placed, what, how);
    } else if matches!(placed, Placed::InForce { .. }) {
        Versions::of(&config.places.policy_dir).note_refused(None)?;
    }
    report(&placed, how.output)
}

/// Has the log and the list of versions say that something was refused. That it stays out of force does not
/// depend on either.
fn refused(config: &Config, placed: &Placed, what: &str, how: &PublishArguments) {
    let Placed::NotTaken { why } = placed else { return };
    let what = format!("{what}: {why}");
    if let Err(error) = Versions::of(&config.places.policy_dir).note_refused(Some(&what)) {
        tracing::warn!(%error, "`atf policy versions` will not show what was refused");
    }
    let name = Untrusted::from(how.by.as_str());
    match ask(config, &AuthorityRequest::NotPublished { what: Untrusted::new(what), name }) {
        Ok(AuthorityReply::Done) => {}
        Ok(other) => tracing::warn!(?other, "the log does not have what was refused"),
        Err(error) => tracing::warn!("the log does not have what was refused: {error:#}"),
    }
}

/// A row of the answer of `versions`.
struct Row {
    number: u32,
    /// Why it cannot be put in force again, where it is not one that a gateway takes.
    revision: Result<Digest, String>,
    in_force: bool,
    /// Who signed it, or what of the signature is wrong; absent where none is demanded.
    signer: Option<Result<String, String>>,
}

/// The revision of the policy in `dir`, when a gateway would read it and its pins.
fn revision(dir: &Path) -> Result<Digest, String> {
    let policy = Policy::read(dir).map_err(|error| error.to_string())?;
    Pins::read(&dir.join("tools")).map_err(|error| error.to_string())?;
    Ok(policy.revision())
}

fn rows(config: &Config) -> anyhow::Result<Vec<Row>> {
    let versions = Versions::of(&config.places.policy_dir);
    let signers = Signers::read(&config.policy)?;
    let now = versions.now()?.map(|now| now.number);
    let mut rows = Vec::new();
    for Version { number, .. } in versions.all()? {
        let path = versions.path(number);
        let signed = signers.check(&policy_files(&path)?).map_err(|error| error.to_string());
        rows.push(Row {
            number,
            revision: revision(&path),
            in_force: now == Some(number),
            signer: signed.transpose(),
        });
    }
    Ok(rows)
}

pub(super) fn versions(config: &Config, form: Output) -> anyhow::Result<u8> {
    let rows = rows(config)?;
    let refused = Versions::of(&config.places.policy_dir).refused()?.map(Untrusted::from);
    if form == Output::Json {
        let row = |row: &Row| {
            let signer = row.signer.as_ref().and_then(|signer| signer.as_ref().ok());
            let (revision, wrong) = (row.revision.as_ref().ok(), row.revision.as_ref().err());
            json!({"version": row.number, "revision": revision, "in_force": row.in_force, "signer": signer, "wrong": wrong})
        };
        output::json(&rows.iter().map(row).collect::<Vec<_>>())?;
        if let Some(refused) = refused {
            tracing::warn!("refused since: {refused}");
        }
        return Ok(EXIT_OK);
    }
    let rows: Vec<[String; 5]> = rows
        .into_iter()
        .map(|row| {
            let now = if row.in_force { "in force" } else { "" };
            let signer = match row.signer {
                None => String::new(),
                Some(Ok(signer)) => format!("signed by {signer}"),
                Some(Err(_)) => "not signed".to_owned(),
            };
            let (revision, wrong) = match row.revision {
                Ok(revision) => (revision.to_string(), String::new()),
                Err(why) => ("-".to_owned(), format!("not usable: {}", Untrusted::from(why))),
            };
            [row.number.to_string(), revision, now.to_owned(), signer, wrong]
        })
        .collect();
    output::table(["VERSION", "REVISION", "", "", ""], &rows)?;
    if let Some(refused) = refused {
        output::line(&format!("refused since: {refused}"))?;
    }
    Ok(EXIT_OK)
}

fn told(
    config: &Config,
    by: &str,
    (version, revision, signer): Told<'_>,
) -> anyhow::Result<Result<(), Untrusted>> {
    let asked = AuthorityRequest::Publish {
        version: version.number,
        revision,
        signer: signer.map(Untrusted::from),
        name: Untrusted::from(by),
    };
    match ask(config, &asked)? {
        AuthorityReply::Done => Ok(Ok(())),
        AuthorityReply::Refused { why } => Ok(Err(why)),
        _ => anyhow::bail!("the authority gave another answer than asked for"),
    }
}

fn report(placed: &Placed, form: Output) -> anyhow::Result<u8> {
    let (value, text, status) = match placed {
        Placed::InForce { version, revision } => (
            json!({"in_force": true, "version": version, "revision": revision, "why": null}),
            format!("version {version} is in force: revision {revision}"),
            EXIT_OK,
        ),
        Placed::NotTaken { why } => (
            json!({"in_force": false, "version": null, "revision": null, "why": why}),
            format!(
                "not taken, the policy before stays in force: {}",
                Untrusted::from(why.as_str())
            ),
            EXIT_NO,
        ),
    };
    match form {
        Output::Json => output::json(&value)?,
        Output::Text => output::line(&text)?,
    }
    Ok(status)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::state::PolicyFiles;

    /// The mistake: a policy that was broken by hand is kept as a version by the publication that mends it.
    #[test]
    fn a_version_that_is_broken_is_listed_beside_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.places.policy_dir = dir.path().join("policies");
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
        let versions = Versions::of(&config.places.policy_dir);
        let mut files = policy_files(&shipped).unwrap();
        let place = |files: &PolicyFiles| {
            versions.stage(files).unwrap();
            versions.keep_staged().unwrap()
        };
        place(&files);
        let whole = files.clone();
        let broken = |name: &str| files.iter().position(|(at, _)| at.ends_with(name)).unwrap();
        for at in [broken("gate.rego"), broken("ledger.query.json")] {
            let before = std::mem::replace(&mut files[at].1, b"{".to_vec());
            place(&files);
            files[at].1 = before;
        }
        place(&whole);
        fs::create_dir_all(&config.places.policy_dir).unwrap();
        for (name, bytes) in &whole {
            let path = config.places.policy_dir.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let rows = rows(&config).unwrap();
        let usable: Vec<bool> = rows.iter().map(|row| row.revision.is_ok()).collect();
        assert_eq!(usable, [true, false, false, true]);
        assert!(rows[3].in_force);
        for form in [Output::Text, Output::Json] {
            assert_eq!(super::versions(&config, form).unwrap(), EXIT_OK);
        }
    }
}
