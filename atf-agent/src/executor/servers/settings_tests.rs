//! Files of servers that are plain, and such as are not.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn read_one(file: &str, text: &str) -> Result<Vec<Server>, ServersError> {
    let dir = tempfile::tempdir().unwrap();
    files::keep_secret(&dir.path().join(file), text.as_bytes()).unwrap();
    read(dir.path(), &Ids::default())
}

#[test]
fn a_server_that_is_not_plain_is_refused() {
    let good = "command = \"/bin/cat\"\nuid = 1900000101\n";
    for (file, text, fine) in [
        ("files.toml", good.to_owned(), true),
        ("files.toml", format!("{good}[environment]\nTOKEN = \"x\"\n"), true),
        ("files.txt", "what".to_owned(), true),
        ("ledger.toml", good.to_owned(), false),
        ("a.b.toml", good.to_owned(), false),
        ("Files.toml", good.to_owned(), false),
        ("files.toml", good.replace("uid", "uidd"), false),
        ("files.toml", good.replace("/bin", "bin"), false),
        ("files.toml", good.replace("/bin", "/bin/.."), false),
        ("files.toml", good.replace("1900000101", "0"), false),
        ("files.toml", good.replace("1900000101", "1900000002"), false),
        ("files.toml", good.replace("1900000101", "1900100005"), false),
        ("files.toml", format!("{good}call_timeout_ms = 0\n"), false),
        ("files.toml", format!("{good}call_timeout_ms = 80000\n"), true),
        ("files.toml", format!("{good}call_timeout_ms = 80001\n"), false),
        ("files.toml", format!("{good}calls_max = 0\n"), false),
        ("files.toml", format!("{good}[environment]\n\"A=B\" = \"x\"\n"), false),
        ("files.toml", format!("{good}questions = [\"elicitation/create\"]\n"), true),
        ("files.toml", format!("{good}questions = [\"tools/call\"]\n"), false),
        ("files.toml", format!("{good}questions = [\"roots/list\"]\n"), false),
        (
            "files.toml",
            format!("{good}questions = [\"elicitation/create\"]\nstateless = true\n"),
            false,
        ),
        (
            "files.toml",
            format!("{good}questions = [\"elicitation/create\"]\ncalls_max = 1\n"),
            true,
        ),
        (
            "files.toml",
            format!("{good}questions = [\"elicitation/create\"]\ncalls_max = 2\n"),
            false,
        ),
        ("files.toml", format!("{good}arguments = [\"a\\u0000\"]\n"), false),
    ] {
        let found = read_one(file, &text).map(|servers| servers.len());
        assert_eq!(found.is_ok(), fine, "{file}: {text}: {found:?}");
    }
    assert!(read(Path::new("/nowhere"), &Ids::default()).unwrap().is_empty());
}

/// A credential that others may read is none, and one that is mistyped is not shown.
#[test]
fn a_credential_is_neither_read_from_an_open_file_nor_shown_in_an_error() {
    let good = "command = \"/bin/cat\"\nuid = 1900000101\n[environment]\nTOKEN = \"s3cret\"\n";
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("files.toml");
    files::keep_secret(&path, good.as_bytes()).unwrap();
    assert_eq!(read(dir.path(), &Ids::default()).unwrap().len(), 1, "the control");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(read(dir.path(), &Ids::default()), Err(ServersError::File(_))));

    let torn = good.replace("\"s3cret\"", "\"s3cret");
    let error = read_one("files.toml", &torn).err().unwrap().to_string();
    assert!(error.contains("files.toml") && !error.contains("s3cret"), "{error}");
}

#[test]
fn two_servers_do_not_share_a_uid() {
    let dir = tempfile::tempdir().unwrap();
    for (name, uid) in [("a", 1_900_000_101), ("b", 1_900_000_102)] {
        let text = format!("command = \"/bin/cat\"\nuid = {uid}\n");
        files::keep_secret(&dir.path().join(format!("{name}.toml")), text.as_bytes()).unwrap();
    }
    assert_eq!(read(dir.path(), &Ids::default()).unwrap().len(), 2, "the control");
    let text = b"command = \"/bin/cat\"\nuid = 1900000101\n";
    files::keep_secret(&dir.path().join("c.toml"), text).unwrap();
    let error = read(dir.path(), &Ids::default()).err().unwrap().to_string();
    assert!(error.contains("each server has its own"), "{error}");
}
