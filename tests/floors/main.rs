//! The floors of `docs/ARCHITECTURE.md`: a lower floor never names a higher one, and rooms of one
//! floor name each other only where the table says so.

use std::fs;
use std::path::{Path, PathBuf};

/// Every room of `atf-agent/src`, with its floor and the rooms of its own floor that it may name.
const ROOMS: &[(&str, u8, &[&str])] = &[
    ("call", 1, &[]),
    ("sys", 1, &[]),
    ("audit", 2, &[]),
    ("identity", 2, &[]),
    ("kernel", 2, &["wire"]),
    ("state", 2, &[]),
    ("wire", 2, &["audit"]),
    ("gate", 3, &[]),
    ("authority", 4, &[]),
    ("connect", 4, &[]),
    ("enforcer", 4, &[]),
    ("executor", 4, &[]),
    ("gateway", 4, &[]),
    ("recorder", 4, &[]),
    ("run", 4, &[]),
    ("cli", 5, &["config"]),
    ("config", 5, &[]),
];

/// Crates that one room alone may name.
const CRATES: &[(&str, &[&str])] = &[
    ("aya", &["kernel"]),
    ("aya_obj", &["kernel"]),
    ("regorus", &["gate"]),
    ("sqlparser", &["gate"]),
    ("jsonschema", &["gate"]),
    ("tar", &["gate"]),
    ("flate2", &["gate"]),
    ("jsonwebtoken", &["identity"]),
    // The first bytes of its own cost a process some forty milliseconds: nothing that a launcher does may ask
    // for them. `call` has random bytes of the kernel.
    ("aws_lc_rs::rand", &["identity", "gateway", "executor"]),
    ("hyper", &["gateway", "executor"]),
    ("rustls", &["executor"]),
    ("rustls_native_certs", &["executor"]),
    ("tokio_rustls", &["executor"]),
    ("rusqlite", &["state", "executor", "gate"]),
    // Numbers of system calls and errors; the calls themselves need `unsafe`, which is `sys`'s.
    ("libc", &["sys", "kernel", "run"]),
    ("clap", &["cli"]),
    ("toml", &["config", "authority", "cli", "kernel", "executor"]),
];

/// What is wrong in one source text of `room`.
fn breaches(room: &str, text: &str) -> Vec<String> {
    let Some((_, floor, siblings)) = ROOMS.iter().find(|(name, ..)| *name == room) else {
        return vec![format!("the room `{room}` has no floor; give it one in tests/floors")];
    };
    let mut found = Vec::new();
    for named in rooms_named(text) {
        let Some((_, other, _)) = ROOMS.iter().find(|(name, ..)| *name == named) else { continue };
        if named != room
            && (other > floor || (other == floor && !siblings.contains(&named.as_str())))
        {
            found.push(format!("{room} (floor {floor}) names {named} (floor {other})"));
        }
    }
    for (name, rooms) in CRATES {
        let uses = text.contains(&format!("use {name}::"))
            || text.contains(&format!(" {name}::"))
            || name.contains("::") && text.contains(name)
            || names_in_group(text, name);
        if uses && !rooms.contains(&room) {
            found.push(format!("{room} names the crate {name}, which only {rooms:?} may"));
        }
    }
    found
}

/// Whether `text` names the path `name` with others of its parent in braces.
fn names_in_group(text: &str, name: &str) -> bool {
    let Some((parent, child)) = name.rsplit_once("::") else { return false };
    let begin = format!("{parent}::{{");
    let mut groups = text.split(&begin).skip(1).filter_map(|rest| rest.split('}').next());
    groups.any(|group| group.split(',').any(|word| word.trim().starts_with(child)))
}

/// The rooms after each `crate::`, the ones in braces too.
fn rooms_named(text: &str) -> Vec<String> {
    let mut named = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        let group = match rest.strip_prefix('{') {
            Some(inner) => inner.split('}').next().unwrap_or_default(),
            None => {
                rest.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or_default()
            }
        };
        for part in group.split(',') {
            let word = part.trim().split(|c: char| !(c.is_alphanumeric() || c == '_')).next();
            named.extend(word.filter(|w| !w.is_empty()).map(str::to_owned));
        }
    }
    named
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).expect("a room can be listed") {
        let path = entry.expect("a room can be listed").path();
        if path.is_dir() {
            all.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            all.push(path);
        }
    }
    all
}

#[test]
fn no_room_names_a_higher_floor() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../atf-agent/src");
    let mut found = Vec::new();
    let mut read = 0;
    for path in sources(&root) {
        let relative = path.strip_prefix(&root).unwrap();
        let first = relative.components().next().unwrap().as_os_str().to_str().unwrap();
        let room = first.trim_end_matches(".rs");
        if ["lib", "main", "corpora"].contains(&room) {
            continue;
        }
        read += 1;
        let text = fs::read_to_string(&path).unwrap();
        found.extend(
            breaches(room, &text).into_iter().map(|b| format!("{}: {b}", relative.display())),
        );
    }
    assert!(read > 20, "only {read} files were read: is {} the right place?", root.display());
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_breach_is_found() {
    for (room, text, wrong) in [
        ("call", "use crate::gate::Permit;", true),
        ("gate", "use crate::call::Refusal;", false),
        ("gate", "use crate::{call::Step, gateway};", true),
        ("gateway", "use crate::executor::serve;", true),
        ("wire", "use crate::audit::Event;", false),
        ("audit", "use crate::wire::Receipt;", true),
        ("kernel", "use aya::Ebpf;", false),
        ("gateway", "use aya::Ebpf;", true),
        ("call", "use aws_lc_rs::{hmac, rand};", true),
        ("run", "aws_lc_rs::rand::fill(&mut bytes);", true),
        ("call", "use aws_lc_rs::hmac;", false),
        ("attic", "", true),
    ] {
        assert_eq!(!breaches(room, text).is_empty(), wrong, "{room}: {text}");
    }
}

#[test]
fn unsafe_stands_only_where_it_may() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let may = ["atf-agent/src/sys/", "atf-common/src/records.rs", "tests/src/sys/"];
    for dir in ["atf-agent/src", "atf-common/src", "fuzz", "xtask/src", "tests"] {
        for path in sources(&root.join(dir)) {
            let relative = path.strip_prefix(&root).unwrap().display().to_string();
            let text = fs::read_to_string(&path).unwrap();
            // Spelled in two, so that this file has neither.
            let words = [concat!("unsafe", " {"), concat!("unsafe", " impl")];
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            let has = code.into_iter().any(|line| words.iter().any(|word| line.contains(word)));
            let may = may.iter().any(|m| relative.starts_with(m));
            assert!(may || !has, "{relative} has an unsafe block");
        }
    }
}
