//! The servers: each is put behind the executor as an operator does it, with one tool for one agent and a
//! bound on what that agent may ask of it.

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::have::{Have, Registry};
use super::place::Place;
use super::seen::{AGAIN, ALLOWED, Call, REFUSED, Wanted};
use crate::demo::installation::{copy_tree, output};
use crate::served::{self, Approved, Server};

/// The first of the servers' uids.
const UID_FIRST: u32 = 1_930_000_000;

/// A server, and what is tried of it. `{data}` stands for its own folder.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    /// The package's name in the list, and the server's.
    pub(super) name: &'static str,
    /// The words after the program, but for the package's own.
    arguments: &'static [&'static str],
    /// The tool that the agent has.
    pub(super) tool: &'static str,
    /// One that it does not have.
    other: &'static str,
    /// What the manifest or the pin has besides, and the reason of what it refuses.
    bound: Bound,
    /// Arguments that are permitted, and what stands in the answer.
    allowed: (&'static str, &'static str),
    /// Arguments that are not.
    refused: &'static str,
}

/// What an operator holds an agent to.
#[derive(Debug, Clone, Copy)]
enum Bound {
    /// The manifest narrows the tool by this, of its arguments' properties.
    Narrow(&'static str),
    /// The pin says that this argument is SQL, of this table with these columns.
    Sql(&'static str, &'static str, &'static [&'static str]),
}

/// All of them.
pub(super) const CASES: [Case; 5] = [
    Case {
        name: "filesystem",
        arguments: &["{data}"],
        tool: "read_text_file",
        other: "write_file",
        bound: Bound::Narrow(r#"{"path": {"enum": ["{data}/open.txt"]}}"#),
        allowed: (r#"{"path": "{data}/open.txt"}"#, "the books are open"),
        refused: r#"{"path": "{data}/closed.txt"}"#,
    },
    Case {
        name: "everything",
        arguments: &["stdio"],
        tool: "get-sum",
        other: "echo",
        bound: Bound::Narrow(r#"{"a": {"maximum": 100}}"#),
        allowed: (r#"{"a": 2, "b": 40}"#, "42"),
        refused: r#"{"a": 101, "b": 40}"#,
    },
    Case {
        name: "git",
        arguments: &["-m", "mcp_server_git", "--repository", "{data}"],
        tool: "git_log",
        other: "git_commit",
        bound: Bound::Narrow(r#"{"max_count": {"maximum": 5}}"#),
        allowed: (r#"{"repo_path": "{data}", "max_count": 1}"#, "open the books"),
        refused: r#"{"repo_path": "{data}", "max_count": 6}"#,
    },
    Case {
        name: "time",
        arguments: &["-m", "mcp_server_time", "--local-timezone", "UTC"],
        tool: "convert_time",
        other: "get_current_time",
        bound: Bound::Narrow(r#"{"target_timezone": {"enum": ["Asia/Tokyo"]}}"#),
        allowed: (
            r#"{"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}"#,
            "+9.0h",
        ),
        refused: r#"{"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Seoul"}"#,
    },
    Case {
        name: "sqlite",
        arguments: &[
            "-c",
            "import mcp_server_sqlite; mcp_server_sqlite.main()",
            "--db-path",
            "{data}/books.db",
        ],
        tool: "read_query",
        other: "write_query",
        bound: Bound::Sql("query", "payments", &["id", "payee"]),
        allowed: (r#"{"query": "SELECT payee FROM payments LIMIT 1"}"#, "Harbour Books"),
        refused: r#"{"query": "SELECT word FROM secrets LIMIT 1"}"#,
    },
];

impl Case {
    /// Puts the `number`th of them behind the executor, with everything that an operator says of it.
    pub(super) fn put(self, place: &Place, have: &Have, number: u32) -> Result<Approved> {
        let packages = have.folder(self.name).context("it is not installed")?;
        let registry = have.registry(self.name)?;
        // A server sees the host's files as its uid does.
        let (own, data) = (self.folder(place, "package"), self.folder(place, "data"));
        copy_tree(packages, &own)?;
        let mut server = Server::new(place.program(registry), UID_FIRST, number);
        match registry {
            Registry::Pypi => {
                server.environment.insert("PYTHONPATH".to_owned(), own.display().to_string());
            }
            Registry::Npm => {
                let module = format!("node_modules/@modelcontextprotocol/server-{}", self.name);
                server.arguments.push(own.join(module).join("dist/index.js").display().to_string());
            }
        }
        server.arguments.extend(self.arguments.iter().map(|word| at(word, &data)));
        self.fill(&data, server.uid)?;
        server.put(&place.installation, self.name)?;
        let approved = served::approve(&place.installation, self.name, |tool, draft| {
            self.mark(tool, draft);
            Ok(())
        })?;
        self.allow(place, &data, &approved)?;
        Ok(approved)
    }

    /// What a client is asked to do.
    pub(super) fn wanted(self, place: &Place) -> Result<Wanted> {
        let data = self.folder(place, "data");
        let call = |id, arguments: &str| -> Result<Call> {
            let arguments = serde_json::from_str(&at(arguments, &data))?;
            Ok(Call { id, tool: self.whole(self.tool), arguments })
        };
        let (allowed, answer) = self.allowed;
        Ok(Wanted {
            calls: vec![
                call(ALLOWED, allowed)?,
                call(REFUSED, self.refused)?,
                call(AGAIN, allowed)?,
            ],
            answer: answer.to_owned(),
            reason: match self.bound {
                Bound::Narrow(_) => "token.narrowed",
                Bound::Sql(..) => "sql.refused",
            },
            listed: self.whole(self.tool),
            not_listed: Some(self.whole(self.other)),
            are_deferred: false,
        })
    }

    fn whole(self, tool: &str) -> String {
        format!("{}.{tool}", self.name)
    }

    fn folder(self, place: &Place, what: &str) -> std::path::PathBuf {
        place.folder.path().join("servers-of-the-suite").join(self.name).join(what)
    }

    /// Makes what the server serves, as its own.
    fn fill(self, data: &Path, uid: u32) -> Result<()> {
        fs::create_dir_all(data)?;
        match self.name {
            "filesystem" => {
                fs::write(data.join("open.txt"), "the books are open\n")?;
                fs::write(data.join("closed.txt"), "the books are closed\n")?;
            }
            "git" => {
                fs::write(data.join("books.txt"), "the books are open\n")?;
                let author = ["-c", "user.name=Clerk", "-c", "user.email=clerk@example.com"];
                for words in [&["init", "--quiet"][..], &["add", "books.txt"]] {
                    output(Command::new("git").arg("-C").arg(data).args(words))?;
                }
                let mut commit = Command::new("git");
                commit.arg("-C").arg(data).args(author);
                output(commit.args(["commit", "--quiet", "--message", "open the books"]))?;
            }
            "sqlite" => {
                let books = rusqlite::Connection::open(data.join("books.db"))?;
                books.execute_batch(
                    "CREATE TABLE payments (id INTEGER PRIMARY KEY, payee TEXT);
                     INSERT INTO payments VALUES (1, 'Harbour Books');
                     CREATE TABLE secrets (word TEXT);
                     INSERT INTO secrets VALUES ('sesame');",
                )?;
            }
            _ => {}
        }
        own_all(data, uid)
    }

    /// What the operator writes into a tool's draft.
    fn mark(self, tool: &str, draft: &mut Value) {
        if let Bound::Sql(argument, table, columns) = self.bound
            && tool == self.tool
        {
            draft["inputSchema"]["properties"][argument]["x-atf-sql"] = json!({
                "dialect": "sqlite",
                "tables": {table: columns},
                "functions": [],
                "limit_max": 100,
                "joins_max": 0,
            });
        }
    }

    /// Lets the policy know the tools, and the agent have one.
    fn allow(self, place: &Place, data: &Path, approved: &Approved) -> Result<()> {
        served::change_data(&place.installation, |data| {
            for tool in &approved.tools {
                data["tools"][tool] = match self.bound {
                    Bound::Sql(argument, ..) if *tool == self.whole(self.tool) => {
                        json!({"sql": [argument]})
                    }
                    Bound::Sql(..) | Bound::Narrow(_) => json!({"sql": []}),
                };
            }
            Ok(())
        })?;
        let tool = self.whole(self.tool);
        let mut manifest = toml::Table::new();
        manifest.insert("tools".to_owned(), vec![tool.clone()].into());
        if let Bound::Narrow(properties) = self.bound {
            let properties: toml::Value = serde_json::from_str(&at(properties, data))?;
            let fragment = toml::Table::from_iter([("properties".to_owned(), properties)]);
            let narrow = toml::Table::from_iter([(tool, fragment.into())]);
            manifest.insert("narrow".to_owned(), narrow.into());
        }
        served::write_manifest(&place.installation, self.name, &toml::to_string(&manifest)?)
    }
}

/// A text with the server's folder in it.
fn at(text: &str, data: &Path) -> String {
    text.replace("{data}", &data.display().to_string())
}

/// Gives a folder and all in it to `uid`.
fn own_all(path: &Path, uid: u32) -> Result<()> {
    chown(path, Some(uid), Some(uid))?;
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            own_all(&entry?.path(), uid)?;
        }
    }
    Ok(())
}
