//! Where the configuration names who may publish, the gateway serves what one of them signed and nothing else.

use std::fs;
use std::path::Path;

use super::super::rules::InForce;
use crate::gate::Signers;
use crate::gate::bundle::forge;
use crate::state::PolicyFiles;

fn written(files: &PolicyFiles) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, contents) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }
    dir
}

/// The attack: rules that come into the directory past the operator, by hand or by a link.
#[test]
fn what_nobody_signed_is_not_served() {
    let ci = forge::ed25519();
    let signers = || forge::signers(&[("ci", &ci)]);
    let read = |dir: &Path, signers| InForce::read(dir.to_owned(), signers);
    let unsigned = written(&forge::shipped());
    assert!(read(unsigned.path(), signers()).is_err());
    assert!(read(unsigned.path(), Signers::default()).is_ok(), "the control");

    let dir = written(&forge::signed("ci", &ci));
    let rules = read(dir.path(), signers()).unwrap();
    assert_eq!(rules.now().signer.as_deref(), Some("ci"));
    let plain = read(dir.path(), Signers::default()).unwrap().now();
    assert_eq!(plain.policy.revision(), rules.now().policy.revision());
    assert_eq!(plain.pins.iter().count(), rules.now().pins.iter().count());

    let more = "package atf.gate\nimport rego.v1\nreasons contains \"x\" if true\n";
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("more.rego"), more).unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), dir.path().join("linked")).unwrap();
    let linked = rules.reload(None).unwrap();
    assert_eq!(linked.policy.revision(), plain.policy.revision(), "a link is not followed");
    for file in ["more.rego", "tools/ledger.other.json"] {
        fs::write(dir.path().join(file), more).unwrap();
        assert!(rules.reload(None).is_err(), "{file}");
        assert_eq!(rules.now().policy.revision(), plain.policy.revision(), "{file}");
        fs::remove_file(dir.path().join(file)).unwrap();
        assert!(rules.reload(None).is_ok(), "the control");
    }
    let data = fs::read_to_string(dir.path().join("data.json")).unwrap();
    fs::write(dir.path().join("data.json"), format!("{data}\n")).unwrap();
    let same = rules.reload(None).unwrap().policy.revision();
    fs::write(dir.path().join("data.json"), data.replace("50000", "50001")).unwrap();
    assert!(rules.reload(None).is_err());
    assert_eq!(rules.now().policy.revision(), same, "data counts by what it means");
}
