//! What the documents promise, held against the code.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use atf_agent::kernel::matrix;
use atf_tests::attempts::ATTEMPTS;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect("a file of the project")
}

/// The rows that the threats name as `demo:ID`.
fn named() -> BTreeSet<String> {
    let text = read("docs/THREATS.md");
    let after = text.split("`demo:").skip(1);
    let ids = after.filter_map(|rest| rest.split('`').next());
    ids.filter(|id| *id != "ID").map(str::to_owned).collect()
}

#[test]
fn every_row_that_the_threats_name_is_in_the_demo() {
    let demo = ["audit", "calls", "killed", "seal", "unpinned"]
        .map(|f| read(&format!("tests/src/demo/{f}.rs")));
    let named = named();
    assert!(named.len() > 20, "{named:?}");
    for id in named {
        let is_attempt = ATTEMPTS.iter().any(|attempt| attempt.id == id);
        // The rows of the dead processes are named after the process.
        let word = id.strip_prefix("kill_").unwrap_or(&id);
        let is_promise = demo.iter().any(|source| source.contains(&format!("\"{word}\"")));
        assert!(is_attempt || is_promise, "docs/THREATS.md names demo:{id}, which is no row");
    }
}

#[test]
fn every_attempt_is_in_the_threats_and_in_the_matrix() {
    let (named, rows) = (named(), matrix::rows());
    let matrix: BTreeSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    let attempts: BTreeSet<&str> = ATTEMPTS.iter().map(|attempt| attempt.id).collect();
    assert_eq!(matrix, attempts);
    for id in attempts {
        assert!(named.contains(id), "docs/THREATS.md does not name demo:{id}");
    }
}

#[test]
fn every_command_is_in_the_readme() {
    use clap::CommandFactory as _;
    let readme = read("README.md");
    for command in atf_agent::cli::Arguments::command().get_subcommands() {
        let name = command.get_name();
        if !command.is_hide_set() {
            assert!(readme.contains(&format!("atf {name}")), "README.md lacks `atf {name}`");
        }
    }
}

#[test]
fn the_page_of_clients_and_servers_is_of_the_text_and_the_versions_that_are_tried() {
    let (page, text) = (read("docs/COMPATIBILITY.md"), read("tests/compatibility/page.md"));
    let places = ["{node}", "{python}", "{caller}", "{clients}", "{servers}", "{deferred}"];
    let around = places.iter().fold(text, |text, place| text.replace(place, "{}"));
    let mut rest = page.as_str();
    for part in around.split("{}") {
        let at = rest.find(part);
        let at = at.unwrap_or_else(|| panic!("run the suite again: the page lacks {part:?}"));
        rest = &rest[at + part.len()..];
    }
    assert_eq!(rest, "", "the page has more than the text");
    let packages = read("tests/compatibility/packages.json");
    let packages: serde_json::Value = serde_json::from_str(&packages).expect("JSON");
    for package in packages.as_object().expect("packages by name").values() {
        let wanted = package["install"][0].as_str().expect("a package");
        let (name, version) =
            wanted.split_once("==").or_else(|| wanted.rsplit_once('@')).expect("a version");
        let has_row = page.lines().any(|line| {
            line.starts_with(&format!("| `{name}`")) && line.contains(&format!(" | {version} | "))
        });
        assert!(has_row, "run the suite again: the page has no row of {wanted}");
    }
}
