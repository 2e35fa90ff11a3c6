//! One policy in the place of another, in one step: checked before, and put back when the gateway does not take it.

use std::path::Path;

use crate::call::{Digest, Untrusted};
use crate::gate::{Manifest, Pins, Policy, Signers, test_policy};
use crate::state::{PolicyFiles, Version, VersionError, Versions, policy_files};

/// What the gateway is told of: the version, its revision and who signed it.
pub(super) type Told<'a> = (&'a Version, Digest, Option<String>);

/// Has the gateway take what is in the policy's directory; why not, when it does not.
pub(super) type Tell<'a> = &'a dyn Fn(Told<'_>) -> anyhow::Result<Result<(), Untrusted>>;

/// What is to be put in the policy's place.
pub(super) enum Wanted {
    /// These files.
    Draft(PolicyFiles),
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

/// Checks what is wanted, exchanges the directory, and puts it back when the gateway does not take it. What failed leaves
/// no version behind that there was not before.
pub(super) fn place(
    dir: &Path,
    wanted: Wanted,
    signers: &Signers,
    tell: Tell<'_>,
) -> anyhow::Result<Placed> {
    let versions = Versions::of(dir);
    let newest = versions.all()?.last().map_or(0, |version| version.number);
    let placed = exchange(&versions, dir, wanted, signers, tell);
    if placed.is_err()
        && let Err(error) = versions.forget_after(newest)
    {
        tracing::warn!(%error, "a version is left that was never in force");
    }
    placed
}

fn exchange(
    versions: &Versions,
    dir: &Path,
    wanted: Wanted,
    signers: &Signers,
    tell: Tell<'_>,
) -> anyhow::Result<Placed> {
    let is_named = !matches!(wanted, Wanted::Version(None));
    let version = match wanted {
        Wanted::Draft(files) => {
            // A policy that was put there by hand is a version to go back to.
            if versions.now()?.is_none() {
                versions.keep(dir)?;
            }
            if let Err(why) = good(&versions.stage(&files)?, signers) {
                versions.unstage()?;
                return Ok(Placed::NotTaken { why });
            }
            versions.keep_staged()?
        }
        Wanted::Version(number) => {
            let now = versions.now()?.map(|now| now.number);
            let before = |version: &Version| match number {
                Some(number) => version.number == number,
                None => now.is_some_and(|now| version.number < now),
            };
            match versions.all()?.into_iter().rev().find(before) {
                Some(version) => version,
                None => match number {
                    Some(number) => return Err(VersionError::None { number }.into()),
                    None => anyhow::bail!("there is no version before the one in force"),
                },
            }
        }
    };
    let path = versions.path(version.number);
    let signer = match good(&path, signers) {
        Ok(signer) => signer,
        Err(why) if is_named => return Ok(Placed::NotTaken { why }),
        Err(why) => {
            let number = version.number;
            let why = format!("version {number}, the one before: {why}; name another with --to");
            return Ok(Placed::NotTaken { why });
        }
    };
    let revision = Policy::read(&path)?.revision();
    versions.exchange(version.number)?;
    match tell((&version, revision, signer)) {
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

/// Who signed what is in `dir`, where a signature is demanded; else why the gateway would not take it, or its
/// author would not want it.
pub(super) fn good(dir: &Path, signers: &Signers) -> Result<Option<String>, String> {
    let shown = |error: &dyn std::fmt::Display| error.to_string();
    let files = policy_files(dir).map_err(|error| shown(&error))?;
    // First: rules that nobody signed are not even compiled.
    let signer = signers.check(&files).map_err(|error| shown(&error))?;
    Manifest::of(&files).map_err(|error| shown(&error))?;
    Policy::read(dir).map_err(|error| shown(&error))?;
    Pins::read(&dir.join("tools")).map_err(|error| shown(&error))?;
    let (tests, _) = test_policy(dir).map_err(|error| shown(&error))?;
    match tests.iter().find(|test| test.instead.is_some()) {
        Some(failed) => Err(format!("its test {} ({}) fails", failed.rule, failed.place)),
        None => Ok(signer),
    }
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

        fn place(&self, wanted: Wanted, taken: bool) -> Placed {
            self.place_signed(wanted, &Signers::default(), taken)
        }

        fn place_signed(&self, wanted: Wanted, signers: &Signers, taken: bool) -> Placed {
            let tell = |(version, revision, signer): Told<'_>| {
                assert_eq!(signer.is_some(), signers.demand());
                self.told.borrow_mut().push(version.number);
                // As the gateway does: it reads the directory and finds the revision there.
                assert_eq!(Policy::read(&self.policies()).unwrap().revision(), revision);
                Ok(if taken { Ok(()) } else { Err("busy".into()) })
            };
            place(&self.policies(), wanted, signers, &tell).unwrap()
        }

        fn cap(&self) -> u64 {
            let text = fs::read_to_string(self.policies().join("data.json")).unwrap();
            let data: serde_json::Value = serde_json::from_str(&text).unwrap();
            data["limits"]["per_call_cents"].as_u64().unwrap()
        }
    }

    fn draft_of(dir: &Path) -> Wanted {
        Wanted::Draft(policy_files(dir).unwrap())
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
        assert_eq!(in_force(&lab.place(draft_of(&draft), true)), Some(2));
        assert_eq!(lab.cap(), 7_000);
        assert_eq!(in_force(&lab.place(Wanted::Version(None), true)), Some(1));
        assert_eq!(lab.cap(), 50_000, "what was put there by hand");
        assert_eq!(in_force(&lab.place(Wanted::Version(Some(2)), true)), Some(2));
        assert_eq!((lab.cap(), lab.told.take()), (7_000, vec![2, 1, 2]));
        let none = Wanted::Version(Some(9));
        assert!(place(&lab.policies(), none, &Signers::default(), &|_| panic!("told")).is_err());
    }

    /// The mistake: a policy that was broken by hand, and kept by the publication that mended it.
    #[test]
    fn the_version_before_that_is_broken_is_named_and_can_be_passed_over() {
        let lab = Lab::new();
        lab.place(draft_of(&lab.write("draft", 7_000)), true);
        fs::write(lab.policies().join("atf/gate.rego"), "package").unwrap();
        lab.place(draft_of(&lab.write("draft", 8_000)), true);
        let placed = lab.place(Wanted::Version(None), true);
        let Placed::NotTaken { why } = placed else { panic!("{placed:?}") };
        assert!(why.starts_with("version 3, ") && why.ends_with("with --to"), "{why}");
        assert_eq!(lab.cap(), 8_000);
        assert_eq!(in_force(&lab.place(Wanted::Version(Some(2)), true)), Some(2));
    }

    #[test]
    fn what_failed_leaves_no_version_that_was_not_there() {
        let failing: Tell<'_> = &|_| anyhow::bail!("no authority");
        let fails = |lab: &Lab, wanted| {
            place(&lab.policies(), wanted, &Signers::default(), failing).unwrap_err().to_string()
        };
        let all = |lab: &Lab| Versions::of(&lab.policies()).all().unwrap().len();
        let lab = Lab::new();
        let kept = lab.dir.path().join("policies.versions");
        // What is in force already, and something else.
        for per_call_cents in [50_000, 7_000] {
            let draft = lab.write("draft", per_call_cents);
            fails(&lab, draft_of(&draft));
            assert!(!kept.exists(), "nothing was ever in force by a publication");
        }
        lab.place(draft_of(&lab.write("draft", 50_000)), true);
        assert_eq!((all(&lab), kept.join("staged").exists()), (1, false));
        let why = fails(&lab, Wanted::Version(None));
        assert!(why.contains("no version before the one in force"), "{why}");
        assert!(fails(&lab, Wanted::Version(Some(9))).contains("no version 9"));
        fails(&lab, draft_of(&lab.write("draft", 7_000)));
        assert_eq!((all(&lab), lab.cap()), (1, 50_000));
        assert_eq!(in_force(&lab.place(draft_of(&lab.write("draft", 7_000)), true)), Some(2));
        assert_eq!(all(&lab), 2, "the control");
    }

    #[test]
    fn what_is_not_good_or_not_taken_leaves_the_last_one_in_force() {
        let lab = Lab::new();
        let (rego, pin, test) = ("atf/gate.rego", "tools/ledger.adjust.json", "atf/gate_test.rego");
        for (file, from, to) in [
            ("data.json", "\"refusals\": 3", "\"refusals\": 0"),
            (rego, "package atf.gate", "package atf.other"),
            (rego, "default reserve := {}", "default reserve := time.now_ns()"),
            (pin, "\"object\"", "\"objekt\""),
            (test, "decision.allow == false", "decision.allow == true"),
        ] {
            let draft = lab.write("draft", 7_000);
            let text = fs::read_to_string(draft.join(file)).unwrap();
            assert!(text.contains(from), "{file}: {from}");
            fs::write(draft.join(file), text.replace(from, to)).unwrap();
            let placed = lab.place(draft_of(&draft), true);
            assert!(matches!(placed, Placed::NotTaken { .. }), "{file}: {placed:?}");
            assert_eq!((lab.cap(), lab.told.take()), (50_000, vec![]), "{file}");
        }
        let draft = lab.write("draft", 7_000);
        let placed = lab.place(draft_of(&draft), false);
        assert_eq!((placed, lab.cap()), (Placed::NotTaken { why: "busy".to_owned() }, 50_000));
        let failing: Tell<'_> = &|_| anyhow::bail!("no authority");
        let wanted = Wanted::Draft(policy_files(&draft).unwrap());
        assert!(place(&lab.policies(), wanted, &Signers::default(), failing).is_err());
        assert_eq!(lab.cap(), 50_000);
        assert_eq!(in_force(&lab.place(draft_of(&draft), true)), Some(2), "the control");
    }

    /// The attack: a policy that comes from elsewhere, signed by nobody or by another, or changed on its way; and
    /// an older one from before signatures were demanded.
    #[test]
    fn where_signatures_are_demanded_nothing_else_comes_in_force() {
        use crate::gate::bundle::forge;
        let (ci, other) = (forge::ed25519(), forge::ed25519());
        let signers = forge::signers(&[("ci", &ci)]);
        let lab = Lab::new();
        let mut changed = forge::signed("ci", &ci);
        let rules = changed.iter_mut().find(|(name, _)| name.ends_with("gate.rego")).unwrap();
        rules.1.push(b'\n');
        for (what, files) in [
            ("unsigned", forge::shipped()),
            ("another's", forge::signed("ci", &other)),
            ("changed", changed),
        ] {
            let placed = lab.place_signed(Wanted::Draft(files), &signers, true);
            assert!(matches!(placed, Placed::NotTaken { .. }), "{what}: {placed:?}");
            assert!(lab.told.take().is_empty(), "{what}");
        }
        let signed = Wanted::Draft(forge::signed("ci", &ci));
        assert_eq!(in_force(&lab.place_signed(signed, &signers, true)), Some(2), "the control");
        let back = lab.place_signed(Wanted::Version(Some(1)), &signers, true);
        assert!(matches!(back, Placed::NotTaken { .. }), "{back:?}");
        assert_eq!(in_force(&lab.place(Wanted::Version(Some(1)), true)), Some(1), "the control");
    }
}
