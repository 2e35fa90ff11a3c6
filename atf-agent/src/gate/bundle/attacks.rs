//! Bundles as an attacker makes them. Each row is refused, and differs in one thing from one that is taken.

use std::io::Write as _;
use std::path::Path;

use aws_lc_rs::rsa::KeySize;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

use super::archive::{ENTRIES_MAX, FILE_BYTES_MAX, UNPACKED_BYTES_MAX};
use super::forge::{ed25519, rsa, shipped, signed, signers};
use super::{BundleError, pack, unpack};
use crate::identity::{PublisherKey, PublishingKey};
use crate::state::PolicyFiles;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

/// A tar of entries: kind, name byte for byte, contents.
fn tar(entries: &[(EntryType, &[u8], &[u8])]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (kind, name, contents) in entries {
        let mut header = Header::new_ustar();
        header.set_entry_type(*kind);
        header.as_mut_bytes()[..name.len()].copy_from_slice(name);
        if matches!(kind, EntryType::Link | EntryType::Symlink) {
            header.set_link_name("/etc/shadow").unwrap();
        }
        header.set_size(contents.len() as u64);
        header.set_mode(0o777);
        header.set_cksum();
        tar.append(&header, *contents).unwrap();
    }
    tar.into_inner().unwrap()
}

#[test]
fn a_bundle_is_read_as_it_was_packed_whoever_packed_it() {
    let files = shipped();
    assert!(files.len() >= 5);
    let packed = pack(&files).unwrap();
    assert_eq!(unpack(&packed).unwrap(), files);
    assert_eq!(pack(&files).unwrap(), packed, "the same files make the same bytes");
    // As OPA names files, and as tar does.
    let (file, dir) = (EntryType::Regular, EntryType::Directory);
    for name in [&b"/data.json"[..], b"./data.json", b"data.json"] {
        let archive = gzip(&tar(&[(dir, b"./", b""), (file, name, b"{}")]));
        assert_eq!(unpack(&archive).unwrap(), [("data.json".into(), b"{}".to_vec())]);
    }
}

/// The attack: an archive that writes elsewhere, links, or says one thing to one reader and another to the next.
#[test]
fn what_is_no_plain_file_of_a_policy_refuses_the_whole() {
    let file = EntryType::Regular;
    let good = tar(&[(file, b"data.json", b"{}"), (file, b"atf/gate.rego", b"package p")]);
    assert!(unpack(&gzip(&good)).is_ok(), "the control");
    for name in [
        &b"../data.json"[..],
        b"tools/../../p.rego",
        b"//data.json",
        b"./../data.json",
        b"./data.json/",
        b"atf/./p.rego",
        b"atf//p.rego",
        b"..",
        b"/",
        b"a\\..\\p.rego",
        b"a\nb.rego",
        b"\xff.rego",
        "ä.rego".as_bytes(),
        b"policy.wasm",
        b"patch.json",
        b"more/data.json",
        b"data.yaml",
        b"tools/deep/a.b.json",
        b"run.sh",
    ] {
        let refused = unpack(&gzip(&tar(&[(file, name, b"{}")])));
        assert!(refused.is_err(), "{}: {refused:?}", String::from_utf8_lossy(name));
    }
    for kind in [
        EntryType::Link,
        EntryType::Symlink,
        EntryType::Char,
        EntryType::Block,
        EntryType::Fifo,
        EntryType::Continuous,
        EntryType::GNUSparse,
        EntryType::XGlobalHeader,
    ] {
        assert!(unpack(&gzip(&tar(&[(kind, b"p.rego", b"")]))).is_err(), "{kind:?}");
    }
    let twice = tar(&[(file, b"data.json", b"{}"), (file, b"/data.json", b"{}")]);
    let mut hidden = good.clone();
    hidden.extend(tar(&[(file, b"p.rego", b"package p")]));
    let mut behind = gzip(&good);
    behind.extend(gzip(&good));
    let (mut cut, mut flipped) = (gzip(&good), gzip(&good));
    cut.truncate(cut.len() - 9);
    let last = flipped.len() - 5;
    flipped[last] ^= 1;
    for (what, archive) in [
        ("the same name twice", gzip(&twice)),
        ("files behind the end of the tar", gzip(&hidden)),
        ("a second gzip behind the first", behind),
        ("cut short", cut),
        ("a checksum that does not hold", flipped),
        ("no gzip", good),
        ("nothing", Vec::new()),
    ] {
        assert!(unpack(&archive).is_err(), "{what}");
    }
}

/// The attack: a small archive that becomes a large one.
#[test]
fn an_archive_is_bounded_before_it_is_unpacked() {
    let file = EntryType::Regular;
    let names: Vec<String> = (0..=ENTRIES_MAX).map(|i| format!("{i}.rego")).collect();
    let many: Vec<_> = names.iter().map(|name| (file, name.as_bytes(), &b""[..])).collect();
    assert!(unpack(&gzip(&tar(&many[..ENTRIES_MAX]))).is_ok(), "the control");
    assert!(unpack(&gzip(&tar(&many))).is_err(), "too many entries");
    let long = vec![b'#'; FILE_BYTES_MAX as usize + 1];
    assert!(unpack(&gzip(&tar(&[(file, b"p.rego", &long[1..])]))).is_ok(), "the control");
    assert!(unpack(&gzip(&tar(&[(file, b"p.rego", &long)]))).is_err(), "too long a file");
    let whole = &long[1..];
    let count = (UNPACKED_BYTES_MAX / FILE_BYTES_MAX) as usize;
    let bomb: Vec<_> = names.iter().take(count).map(|n| (file, n.as_bytes(), whole)).collect();
    assert!(unpack(&gzip(&tar(&bomb))).is_err(), "too much in all");
    assert!(unpack(&gzip(&tar(&bomb[1..]))).is_ok(), "the control");
    let mut zeros = tar(&many[..1]);
    zeros.resize(UNPACKED_BYTES_MAX as usize + 2, 0);
    assert!(unpack(&gzip(&zeros)).is_err(), "zeros without end");
}

/// `files` with the payload of their signature changed and signed anew by the same key.
fn resigned(files: &PolicyFiles, key: &PublishingKey, change: impl Fn(&mut Value)) -> PolicyFiles {
    let (jwt, mut files) = (jwt_of(files), files.clone());
    let payload = URL_SAFE_NO_PAD.decode(jwt.split('.').nth(1).unwrap()).unwrap();
    let mut payload: Value = serde_json::from_slice(&payload).unwrap();
    change(&mut payload);
    let kid = payload["keyid"].as_str().unwrap_or("ci").to_owned();
    let jwt = key.sign(&kid, payload.to_string().as_bytes()).unwrap();
    set(&mut files, ".signatures.json", &json!({"signatures": [jwt]}).to_string());
    files
}

fn jwt_of(files: &PolicyFiles) -> String {
    let (_, text) = files.iter().find(|(n, _)| n == Path::new(".signatures.json")).unwrap();
    let text: Value = serde_json::from_slice(text).unwrap();
    text["signatures"][0].as_str().unwrap().to_owned()
}

fn set(files: &mut PolicyFiles, name: &str, text: &str) {
    files.retain(|(found, _)| found != Path::new(name));
    files.push((name.into(), text.as_bytes().to_vec()));
}

/// The attack: a bundle that another one signed, that nobody did, or that changed since.
#[test]
fn a_signature_holds_for_exactly_these_files_and_one_of_these_keys() {
    let (ci, other) = (ed25519(), ed25519());
    let two_keys = signers(&[("ci", &ci), ("other", &other)]);
    let only_ci = signers(&[("ci", &ci)]);
    let files = signed("ci", &ci);
    assert_eq!(only_ci.check(&files).unwrap().as_deref(), Some("ci"), "the control");
    assert_eq!(signers(&[]).check(&shipped()).unwrap(), None, "no key, no demand");
    assert!(matches!(only_ci.check(&shipped()), Err(BundleError::Unsigned)));

    let changed = |change: &dyn Fn(&mut PolicyFiles)| {
        let mut files = files.clone();
        change(&mut files);
        files
    };
    let data = String::from_utf8(
        files.iter().find(|(n, _)| n == Path::new("data.json")).unwrap().1.clone(),
    );
    let spaced = data.unwrap().replace(": ", " :  ");
    let same = changed(&|f| set(f, "data.json", &spaced));
    assert!(only_ci.check(&same).is_ok(), "the control: data counts by what it means");
    for (what, files) in [
        ("a file more", changed(&|f| set(f, "more.rego", "package more"))),
        ("a file less", changed(&|f| drop(f.pop()))),
        ("a rule changed", changed(&|f| set(f, "atf/gate.rego", "package atf.gate"))),
        ("a pin changed by a space", changed(&|f| set(f, "tools/ledger.query.json", "{ }"))),
        ("a number changed", changed(&|f| set(f, "data.json", &spaced.replace("50000", "50001")))),
        ("another's, under the name of ci", signed("ci", &other)),
        ("a name that is not configured", signed("mallory", &ci)),
    ] {
        assert!(only_ci.check(&files).is_err(), "{what}");
    }
    assert!(two_keys.check(&signed("other", &ci)).is_err(), "ci's, under the name of other");
    assert!(two_keys.check(&signed("other", &other)).is_ok(), "the control");
}

#[test]
fn a_signed_list_that_is_not_the_profile_s_is_refused() {
    let ci = ed25519();
    let key = PublishingKey::from_pem(&ci.0).unwrap();
    let (only_ci, files) = (signers(&[("ci", &ci)]), signed("ci", &ci));
    assert!(only_ci.check(&resigned(&files, &key, |_| ())).is_ok(), "the control");
    let about = |p: &mut Value| (p["iat"], p["iss"]) = (json!(1_592_248_027), json!("ci"));
    assert!(only_ci.check(&resigned(&files, &key, about)).is_ok(), "the control");
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 9] = [
        ("a file twice", |p| {
            let first = p["files"][0].clone();
            p["files"].as_array_mut().unwrap().push(first);
        }),
        ("a file that is not there", |p| {
            let mut first = p["files"][0].clone();
            first["name"] = json!("more.rego");
            p["files"].as_array_mut().unwrap().push(first);
        }),
        ("a broken digest", |p| p["files"][0]["algorithm"] = json!("MD5")),
        ("no digest's name", |p| drop(p["files"][0].as_object_mut().unwrap().remove("algorithm"))),
        ("another spelling", |p| {
            let hash = p["files"][0]["hash"].as_str().unwrap().to_uppercase();
            p["files"][0]["hash"] = json!(hash);
        }),
        ("a scope", |p| p["scope"] = json!("read")),
        ("an end", |p| p["exp"] = json!(1)),
        ("no files", |p| p["files"] = json!([])),
        ("two keys", |p| p["keyid"] = json!("other")),
    ];
    for (what, change) in changes {
        assert!(only_ci.check(&resigned(&files, &key, change)).is_err(), "{what}");
    }
    let jwt = jwt_of(&files);
    for text in [
        json!({"signatures": []}).to_string(),
        json!({"signatures": [jwt, jwt]}).to_string(),
        json!({"signatures": [jwt], "plugin": "mine"}).to_string(),
        format!("{{\"signatures\":[\"{jwt}\"],\"signatures\":[\"{jwt}\"]}}"),
        String::new(),
    ] {
        let mut files = files.clone();
        set(&mut files, ".signatures.json", &text);
        assert!(only_ci.check(&files).is_err(), "{text}");
    }
}

/// The attack: the header chooses the algorithm or the key.
#[test]
fn a_signature_s_header_chooses_nothing() {
    let (rsa, ed) = (rsa(KeySize::Rsa2048), ed25519());
    let both = signers(&[("rsa", &rsa), ("ed", &ed)]);
    assert!(both.check(&signed("rsa", &rsa)).is_ok(), "the control");
    assert!(both.check(&signed("ed", &ed)).is_ok(), "the control");
    for (kid, pair) in [("rsa", &rsa), ("ed", &ed)] {
        let files = signed(kid, pair);
        let (header, rest) = {
            let jwt = jwt_of(&files);
            let (header, rest) = jwt.split_once('.').unwrap();
            (header.to_owned(), rest.to_owned())
        };
        let header: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
        let with = |member: &str, value: Value| {
            let mut header = header.clone();
            header[member] = value;
            header.to_string()
        };
        for header in [
            with("alg", json!("none")),
            with("alg", json!("HS256")),
            with("alg", json!("PS256")),
            with("alg", json!("rs256")),
            with("alg", json!(if kid == "rsa" { "EdDSA" } else { "RS256" })),
            with("kid", json!(if kid == "rsa" { "ed" } else { "rsa" })),
            with("jwk", json!({})),
            with("jku", json!("https://example.org")),
            with("crit", json!(["b64"])),
            with("typ", json!("atf-agent+jwt")),
        ] {
            let mut files = files.clone();
            let jwt = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(&header));
            set(&mut files, ".signatures.json", &json!({"signatures": [jwt]}).to_string());
            assert!(both.check(&files).is_err(), "{header}");
        }
    }
}

#[test]
fn a_key_that_is_private_weak_or_of_another_kind_is_none() {
    let ed = ed25519();
    assert!(PublisherKey::from_pem(&ed.1).is_ok(), "the control");
    assert!(PublisherKey::from_pem(&ed.0).is_err(), "a private key");
    assert!(PublishingKey::from_pem(&ed.1).is_err(), "a public key");
    for bad in [
        &b""[..],
        b"secret",
        b"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        // P-256: an algorithm that is not on the list.
        b"-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYD54V/vp+54P9DXarYqx4MPcm+HK\nRIQzNasYSoRQHQ/6S6Ps8tpMcT+KvIIC8W/e9k0W7Cm72M1P9jU7SLf/vg==\n-----END PUBLIC KEY-----\n",
        // RSA of 1024 bits.
        b"-----BEGIN PUBLIC KEY-----\nMIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDdlatRjRjogo3WojgGHFHYLugd\nUWAY9iR3fy4arWNA1KoS8kVw33cJibXr8bvwUAUparCwlvdbH6dvEOfou0/gCFQs\nHUfQrSDv+MuSUMAe8jzKE4qW+jK+xQU9a03GUnKHkkle+Q0pX/g6jXZ7r1/xAK5D\no2kQ+X5xK9cipRgEKwIDAQAB\n-----END PUBLIC KEY-----\n",
    ] {
        assert!(PublisherKey::from_pem(bad).is_err(), "{}", String::from_utf8_lossy(bad));
    }
}
