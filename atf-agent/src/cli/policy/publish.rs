//! `atf policy publish|rollback|versions`: one policy in the place of another, in one step, if the gateway takes it.

use std::path::Path;

use serde_json::json;

use super::super::args::{Output, PublishArguments};
use super::super::output;
use super::super::runs::ask;
use super::super::{EXIT_NO, EXIT_OK};
use crate::call::{Digest, Untrusted};
use crate::config::Config;
use crate::gate::{Pins, Policy, test_policy};
use crate::state::{Version, Versions};
use crate::wire::{AuthorityReply, AuthorityRequest};

/// Has the gateway take what is in the policy's directory; why not, when it does not.
type Tell<'a> = &'a dyn Fn(&Version, Digest) -> anyhow::Result<Result<(), Untrusted>>;

pub(super) fn publish(config: &Config, draft: &Path, how: &PublishArguments) -> anyhow::Result<u8> {
    let tell = |version: &Version, revision| told(config, &how.by, version, revision);
    let done = place(&config.places.policy_dir, Wanted::Draft(draft), &tell)?;
    report(&done, how.output)
}

pub(super) fn rollback(
    config: &Config,
    number: Option<u32>,
    how: &PublishArguments,
) -> anyhow::Result<u8> {
    let tell = |version: &Version, revision| told(config, &how.by, version, revision);
    let done = place(&config.places.policy_dir, Wanted::Version(number), &tell)?;
    report(&done, how.output)
}

pub(super) fn versions(config: &Config, form: Output) -> anyhow::Result<u8> {
    let versions = Versions::of(&config.places.policy_dir);
    let now = versions.now()?.map(|now| now.number);
    let mut rows = Vec::new();
    for Version { number, .. } in versions.all()? {
        let revision = Policy::read(&versions.path(number))?.revision();
        rows.push((number, revision, now == Some(number)));
    }
    if form == Output::Json {
        let row = |(number, revision, now): &(u32, Digest, bool)| json!({"version": number, "revision": revision, "in_force": now});
        output::json(&rows.iter().map(row).collect::<Vec<_>>())?;
        return Ok(EXIT_OK);
    }
    let rows: Vec<[String; 3]> = rows
        .into_iter()
        .map(|(number, revision, now)| {
            let now = if now { "in force" } else { "" };
            [number.to_string(), revision.to_string(), now.to_owned()]
        })
        .collect();
    output::table(["VERSION", "REVISION", ""], &rows)?;
    Ok(EXIT_OK)
}

/// What is to be put in the policy's place.
pub(super) enum Wanted<'a> {
    /// What is in this directory.
    Draft(&'a Path),
    /// This version, or the one before the one in force.
    Version(Option<u32>),
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Placed {
    /// The gateway judges by it.
    InForce { version: u32, revision: Digest },
    /// It is not, and the one before stands as it was.
    NotTaken { why: String },
}

/// Checks what is wanted, exchanges the directory, and puts it back when the gateway does not take it.
pub(super) fn place(dir: &Path, wanted: Wanted<'_>, tell: Tell<'_>) -> anyhow::Result<Placed> {
    let versions = Versions::of(dir);
    let version = match wanted {
        Wanted::Draft(draft) => {
            if let Some(why) = wrong(draft) {
                return Ok(Placed::NotTaken { why });
            }
            // A policy that was put there by hand is a version to go back to.
            if versions.now()?.is_none() {
                versions.keep(dir)?;
            }
            versions.keep(draft)?
        }
        Wanted::Version(number) => {
            let now = versions.now()?.map(|now| now.number);
            let before = |version: &Version| match number {
                Some(number) => version.number == number,
                None => now.is_some_and(|now| version.number < now),
            };
            match versions.all()?.into_iter().rev().find(before) {
                Some(version) => version,
                None => anyhow::bail!("there is no such version; `atf policy versions` lists them"),
            }
        }
    };
    let path = versions.path(version.number);
    if let Some(why) = wrong(&path) {
        return Ok(Placed::NotTaken { why });
    }
    let revision = Policy::read(&path)?.revision();
    versions.exchange(version.number)?;
    match tell(&version, revision) {
        Ok(Ok(())) => {
            versions.settle()?;
            Ok(Placed::InForce { version: version.number, revision })
        }
        Ok(Err(why)) => {
            versions.undo()?;
            Ok(Placed::NotTaken { why: why.to_string() })
        }
        Err(error) => {
            versions.undo()?;
            Err(error)
        }
    }
}

/// Why the gateway would not take it, or its author would not want it.
fn wrong(dir: &Path) -> Option<String> {
    if let Err(error) = Policy::read(dir) {
        return Some(error.to_string());
    }
    if let Err(error) = Pins::read(&dir.join("tools")) {
        return Some(error.to_string());
    }
    match test_policy(dir) {
        Err(error) => Some(error.to_string()),
        Ok((tests, _)) => {
            let failed = tests.iter().find(|test| test.instead.is_some())?;
            Some(format!("its test {} ({}) fails", failed.rule, failed.place))
        }
    }
}

fn told(
    config: &Config,
    by: &str,
    version: &Version,
    revision: Digest,
) -> anyhow::Result<Result<(), Untrusted>> {
    let name = Untrusted::from(by);
    let asked = AuthorityRequest::Publish { version: version.number, revision, name };
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
    use std::cell::RefCell;
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    struct Lab {
        dir: tempfile::TempDir,
        told: RefCell<Vec<u32>>,
    }

    impl Lab {
        /// The shipped policy, put there by hand.
        fn new() -> Self {
            let lab = Self { dir: tempfile::tempdir().unwrap(), told: RefCell::default() };
            lab.write("policies", 50_000);
            lab
        }

        fn policies(&self) -> PathBuf {
            self.dir.path().join("policies")
        }

        fn write(&self, name: &str, per_call_cents: u64) -> PathBuf {
            let to = self.dir.path().join(name);
            let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
            for file in [
                "atf/gate.rego",
                "atf/gate_test.rego",
                "data.json",
                "tools/ledger.query.json",
                "tools/ledger.adjust.json",
            ] {
                let path = to.join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                let text = fs::read_to_string(shipped.join(file)).unwrap();
                let cap = format!("\"per_call_cents\": {per_call_cents}");
                fs::write(path, text.replace("\"per_call_cents\": 50000", &cap)).unwrap();
            }
            to
        }

        fn place(&self, wanted: Wanted<'_>, taken: bool) -> Placed {
            let tell = |version: &Version, revision: Digest| {
                self.told.borrow_mut().push(version.number);
                // As the gateway does: it reads the directory and finds the revision there.
                assert_eq!(Policy::read(&self.policies()).unwrap().revision(), revision);
                Ok(if taken { Ok(()) } else { Err("busy".into()) })
            };
            place(&self.policies(), wanted, &tell).unwrap()
        }

        fn cap(&self) -> u64 {
            let text = fs::read_to_string(self.policies().join("data.json")).unwrap();
            let data: serde_json::Value = serde_json::from_str(&text).unwrap();
            data["limits"]["per_call_cents"].as_u64().unwrap()
        }
    }

    fn in_force(placed: &Placed) -> Option<u32> {
        match placed {
            Placed::InForce { version, .. } => Some(*version),
            Placed::NotTaken { .. } => None,
        }
    }

    #[test]
    fn a_draft_is_put_in_force_and_taken_back() {
        let lab = Lab::new();
        let draft = lab.write("draft", 7_000);
        assert_eq!(in_force(&lab.place(Wanted::Draft(&draft), true)), Some(2));
        assert_eq!(lab.cap(), 7_000);
        assert_eq!(in_force(&lab.place(Wanted::Version(None), true)), Some(1));
        assert_eq!(lab.cap(), 50_000, "what was put there by hand");
        assert_eq!(in_force(&lab.place(Wanted::Version(Some(2)), true)), Some(2));
        assert_eq!((lab.cap(), lab.told.take()), (7_000, vec![2, 1, 2]));
        assert!(place(&lab.policies(), Wanted::Version(Some(9)), &|_, _| panic!("told")).is_err());
    }

    #[test]
    fn what_is_not_good_or_not_taken_leaves_the_last_one_in_force() {
        let lab = Lab::new();
        let (rego, pin, test) = ("atf/gate.rego", "tools/ledger.adjust.json", "atf/gate_test.rego");
        for (file, from, to) in [
            ("data.json", "\"refusals\": 3", "\"refusals\": 0"),
            (rego, "package atf.gate", "package atf.other"),
            (rego, "default cents := 0", "default cents := time.now_ns()"),
            (pin, "\"object\"", "\"objekt\""),
            (test, "decision.allow == false", "decision.allow == true"),
        ] {
            let draft = lab.write("draft", 7_000);
            let text = fs::read_to_string(draft.join(file)).unwrap();
            assert!(text.contains(from), "{file}: {from}");
            fs::write(draft.join(file), text.replace(from, to)).unwrap();
            let placed = lab.place(Wanted::Draft(&draft), true);
            assert!(matches!(placed, Placed::NotTaken { .. }), "{file}: {placed:?}");
            assert_eq!((lab.cap(), lab.told.take()), (50_000, vec![]), "{file}");
        }
        let draft = lab.write("draft", 7_000);
        let placed = lab.place(Wanted::Draft(&draft), false);
        assert_eq!((placed, lab.cap()), (Placed::NotTaken { why: "busy".to_owned() }, 50_000));
        let failing: Tell<'_> = &|_, _| anyhow::bail!("no authority");
        assert!(place(&lab.policies(), Wanted::Draft(&draft), failing).is_err());
        assert_eq!(lab.cap(), 50_000);
        assert_eq!(in_force(&lab.place(Wanted::Draft(&draft), true)), Some(2), "the control");
    }
}
