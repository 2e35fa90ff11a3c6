//! What came of it: as JSON, and as the page, which is the same whenever the same came of it.

use std::fmt::Write as _;

use serde::Serialize;

use super::clients::Door;
use super::have::Spelling;
use super::seen::Outcome;

/// All of it.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The versions of what runs them all.
    pub(super) node: String,
    pub(super) python: String,
    /// The client that calls the servers.
    pub(super) caller: Spelling,
    pub(super) clients: Vec<ClientRow>,
    pub(super) servers: Vec<ServerRow>,
    pub(super) deferred: Vec<DeferredRow>,
}

/// A client at a door.
#[derive(Debug, Serialize)]
pub(super) struct ClientRow {
    #[serde(flatten)]
    pub(super) spelling: Spelling,
    pub(super) door: Door,
    pub(super) outcome: Outcome,
}

/// A client that makes calls that are answered later, at a door.
#[derive(Debug, Serialize)]
pub(super) struct DeferredRow {
    #[serde(flatten)]
    pub(super) spelling: Spelling,
    pub(super) door: Door,
    /// Whether it waits for the result.
    pub(super) waits: bool,
    pub(super) outcome: Outcome,
}

/// A server.
#[derive(Debug, Serialize)]
pub(super) struct ServerRow {
    #[serde(flatten)]
    pub(super) spelling: Spelling,
    /// The tool that was called.
    pub(super) tool: &'static str,
    /// The reason of the refusal.
    pub(super) reason: &'static str,
    /// Of how many tools there is a pin.
    pub(super) pinned: usize,
    /// The others.
    pub(super) not_pinned: Vec<String>,
    pub(super) outcome: Outcome,
}

impl Report {
    /// Whether everything that could be tried does what it must, and everything could be installed.
    pub fn is_good(&self) -> bool {
        let clients = self.clients.iter().map(|row| &row.outcome);
        let servers = self.servers.iter().map(|row| &row.outcome);
        let deferred = self.deferred.iter().map(|row| &row.outcome);
        clients.chain(servers).chain(deferred).all(Outcome::is_good)
    }

    /// The page, of a text with places for the tables and the versions.
    pub fn page(&self, text: &str) -> String {
        let caller = format!("{} {}", self.caller.name(), self.caller.version);
        let (clients, servers) = (self.clients_table(), self.servers_table());
        let deferred = self.deferred_table();
        let parts = [
            ("{node}", self.node.as_str()),
            ("{python}", &self.python),
            ("{caller}", &caller),
            ("{clients}", clients.trim_end()),
            ("{servers}", servers.trim_end()),
            ("{deferred}", deferred.trim_end()),
        ];
        parts.iter().fold(text.to_owned(), |page, (place, part)| page.replace(place, part))
    }

    fn clients_table(&self) -> String {
        let mut table =
            "| client | version | door | speaks | a refusal is | a tool that is not its is |\n\
                         |---|---|---|---|---|---|\n"
                .to_owned();
        for row in &self.clients {
            let cells = match &row.outcome {
                Outcome::Works { revision, refused, foreign } => {
                    let revision = revision.as_deref().unwrap_or("(it does not say)");
                    let foreign = foreign.as_deref().unwrap_or("never called");
                    format!("{revision} | {refused} | {foreign}")
                }
                other => format!("{other} | |"),
            };
            let (spelling, door) = (&row.spelling, row.door.shown());
            let _written = writeln!(
                table,
                "| {} | {} | {door} | {cells} |",
                spelling.name(),
                spelling.version
            );
        }
        table
    }

    fn servers_table(&self) -> String {
        let mut table =
            "| server | version | tools with a pin | called | refused | the refusal is |\n\
                         |---|---|---|---|---|---|\n"
                .to_owned();
        for row in &self.servers {
            let offered = row.pinned + row.not_pinned.len();
            let mut pinned = format!("{} of {offered}", row.pinned);
            if !row.not_pinned.is_empty() {
                let _written = write!(pinned, ", not {}", row.not_pinned.join(", "));
            }
            let cells = match &row.outcome {
                Outcome::Works { refused, .. } => {
                    format!("{pinned} | `{}` | `{}` | {refused}", row.tool, row.reason)
                }
                other => format!("{other} | `{}` | |", row.tool),
            };
            let spelling = &row.spelling;
            let _written =
                writeln!(table, "| {} | {} | {cells} |", spelling.name(), spelling.version);
        }
        table
    }
}

impl Report {
    fn deferred_table(&self) -> String {
        let mut table =
            "| client | version | door | speaks | comes to its result by | a refusal is |\n\
                         |---|---|---|---|---|---|\n"
                .to_owned();
        for row in &self.deferred {
            let by = if row.waits { "`tasks/result`" } else { "`tasks/get`, then `tasks/result`" };
            let cells = match &row.outcome {
                Outcome::Works { revision, refused, .. } => {
                    let revision = revision.as_deref().unwrap_or("(it does not say)");
                    format!("{revision} | {by} | {refused}")
                }
                other => format!("{other} | {by} | |"),
            };
            let (spelling, door) = (&row.spelling, row.door.shown());
            let (name, version) = (spelling.name(), &spelling.version);
            let _written = writeln!(table, "| {name} | {version} | {door} | {cells} |");
        }
        table
    }
}

impl Spelling {
    fn name(&self) -> String {
        match &self.beside[..] {
            [] => format!("`{}`", self.package),
            beside => format!("`{}` with {}", self.package, beside.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelling(package: &str) -> Spelling {
        Spelling { package: package.to_owned(), version: "1.2".to_owned(), beside: Vec::new() }
    }

    fn works() -> Outcome {
        Outcome::Works {
            revision: Some("2026-07-28".to_owned()),
            refused: "a result, `isError`".to_owned(),
            foreign: None,
        }
    }

    fn report(client: Outcome, server: Outcome) -> Report {
        with_deferred(client, server, works())
    }

    fn with_deferred(client: Outcome, server: Outcome, deferred: Outcome) -> Report {
        Report {
            node: "24".to_owned(),
            python: "3".to_owned(),
            caller: spelling("c"),
            clients: vec![ClientRow {
                spelling: spelling("a"),
                door: Door::Socket,
                outcome: client,
            }],
            servers: vec![ServerRow {
                spelling: spelling("b"),
                tool: "t",
                reason: "sql.refused",
                pinned: 2,
                not_pinned: vec!["b.x".to_owned()],
                outcome: server,
            }],
            deferred: vec![DeferredRow {
                spelling: spelling("d"),
                door: Door::Stdio,
                waits: true,
                outcome: deferred,
            }],
        }
    }

    #[test]
    fn the_page_has_a_row_for_each_and_the_text_around() {
        let page = report(works(), works())
            .page("{node} {python} {caller}\n{clients}\nbetween\n{servers}\nafter\n");
        let rows: Vec<&str> = page.lines().collect();
        assert_eq!((rows[0], rows[rows.len() - 1]), ("24 3 `c` 1.2", "after"));
        let client =
            "| `a` | 1.2 | `$ATF_SOCKET` | 2026-07-28 | a result, `isError` | never called |";
        assert!(rows.contains(&client), "{page}");
        let server = "| `b` | 1.2 | 2 of 3, not b.x | `t` | `sql.refused` | a result, `isError` |";
        assert!(rows.contains(&server), "{page}");
        let page = with_deferred(works(), works(), works()).page("{deferred}");
        let deferred =
            "| `d` | 1.2 | `atf connect` | 2026-07-28 | `tasks/result` | a result, `isError` |";
        assert!(page.lines().any(|row| row == deferred), "{page}");
        let fails = || Outcome::Fails { step: "list", why: "/some/path".to_owned() };
        let page = report(fails(), Outcome::NotInstalled).page("{clients}\n{servers}");
        assert!(page.contains("| fails: list | | |"), "{page}");
        assert!(page.contains("| cannot be installed | `t` | | |"), "{page}");
        assert!(!page.contains("/some/path"), "what it said is not of the page");
    }

    #[test]
    fn what_is_not_offered_is_no_failure_and_what_is_not_installed_is_one() {
        assert!(report(works(), works()).is_good(), "the control");
        assert!(report(Outcome::NotOffered, works()).is_good());
        let fails = || Outcome::Fails { step: "list", why: String::new() };
        for bad in [fails(), Outcome::NotInstalled] {
            assert!(!report(bad.clone(), works()).is_good(), "{bad:?}");
            assert!(!report(works(), bad.clone()).is_good());
            assert!(!with_deferred(works(), works(), bad).is_good());
        }
    }
}
