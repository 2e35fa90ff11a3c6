//! A PostgreSQL of our own: in a temporary folder, on a unix socket in it and on no port, as a user that
//! is not root, for as long as it is held.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

/// Statements of one session: starting one takes longer than a statement.
pub(super) const BATCH: usize = 40;

/// Where Debian puts the servers, one folder a version.
const SERVERS: &str = "/usr/lib/postgresql";

/// The user that Debian's package makes, and under which the server runs when we are root.
const USER: &str = "postgres";

/// The ledger, with what the policy does not list. A view and a function read what their reader may not.
const SCHEMA: &str = "
    CREATE TABLE merchants (id bigint PRIMARY KEY, name text, api_key text, tax_id text);
    CREATE TABLE ledger_entries (id bigint PRIMARY KEY, merchant_id bigint, amount_cents bigint,
        status text, created_at timestamptz, card_pan text);
    CREATE TABLE agent_credentials (id bigint PRIMARY KEY, token text);
    INSERT INTO merchants VALUES (1, 'a', 'k', 't'), (2, 'b', 'k', 't'), (3, 'c', 'k', 't');
    INSERT INTO ledger_entries
        SELECT n, n % 3 + 1, n * 10, 'open', '2026-01-01'::timestamptz + n * interval '1 day', 'p'
        FROM generate_series(1, 50) n;
    INSERT INTO agent_credentials VALUES (1, 's');
    ANALYZE;
    CREATE ROLE narrow LOGIN;
    CREATE ROLE wide LOGIN;
    GRANT SELECT (id, name) ON merchants TO narrow;
    GRANT SELECT (id, merchant_id, amount_cents, status, created_at) ON ledger_entries TO narrow;
    GRANT SELECT ON merchants, ledger_entries, agent_credentials TO wide;
    ALTER ROLE narrow SET default_transaction_read_only = on;
    ALTER ROLE wide SET default_transaction_read_only = on;
    ALTER ROLE narrow SET statement_timeout = '5s';
    ALTER ROLE wide SET statement_timeout = '5s';
";

/// As whom a statement is put.
#[derive(Debug, Clone, Copy)]
pub(super) enum Role {
    /// May read the listed columns; the statement is run, then explained.
    Narrow,
    /// May read every table; the statement is explained alone.
    Wide,
}

/// What the server said of one statement.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// The first SQLSTATE, when it failed.
    pub(super) error: Option<String>,
    /// All that went to standard error.
    pub(super) complaint: String,
    /// The plan, JSON.
    pub(super) plan: Option<String>,
}

/// A running server.
pub(super) struct Cluster {
    folder: TempDir,
    programs: PathBuf,
    user: Option<(u32, u32)>,
}

impl Cluster {
    /// Makes a cluster and starts its server.
    pub(super) fn start() -> Result<Self> {
        let programs = newest(Path::new(SERVERS))?;
        let folder = tempfile::Builder::new().prefix("atf-postgres-").tempdir()?;
        let user = if rustix::process::geteuid().is_root() { Some(server_user()?) } else { None };
        if let Some((uid, gid)) = user {
            std::os::unix::fs::chown(folder.path(), Some(uid), Some(gid))?;
        }
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700))?;
        let cluster = Self { folder, programs, user };
        let data = cluster.data();
        // Whoever reaches the socket is the server's own user: the folder is closed to others.
        let made =
            ["--auth=trust", "--username=owner", "--encoding=UTF8", "--locale=C", "--no-sync"];
        cluster.run(cluster.program("initdb").arg("-D").arg(&data).args(made))?;
        let socket = cluster.folder.path().display().to_string();
        let settings = format!(
            "-c listen_addresses= -c unix_socket_directories={socket} -c fsync=off -c jit=off"
        );
        let log = cluster.folder.path().join("log");
        let start = ["-w", "-t", "60", "-o", &settings];
        let mut start_it = cluster.program("pg_ctl");
        start_it.arg("start").arg("-D").arg(&data).args(start).arg("-l").arg(&log);
        cluster.run(&mut start_it).with_context(|| fs::read_to_string(&log).unwrap_or_default())?;
        cluster.run(cluster.psql("owner").args(["-v", "ON_ERROR_STOP=1", "-c", SCHEMA]))?;
        Ok(cluster)
    }

    /// The server's version.
    pub(super) fn version(&self) -> Result<String> {
        let output = self.run(self.psql("owner").args(["-c", "SHOW server_version"]))?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Puts statements to it, one after the other, each by itself.
    pub(super) fn ask(&self, role: Role, statements: &[&str]) -> Result<Vec<Said>> {
        // No statement has it in its answer: it is of this moment.
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        let nonce = format!("atf{}", now.as_nanos());
        let (name, runs) = match role {
            Role::Narrow => ("narrow", true),
            Role::Wide => ("wide", false),
        };
        let mut session = self.psql(name);
        session.args(["-v", "VERBOSITY=sqlstate"]);
        for statement in statements {
            for mark in ["\\echo", "\\warn"] {
                session.arg("-c").arg(format!("{mark} {nonce}"));
            }
            if runs {
                session.args(["-c", "\\o /dev/null", "-c", statement, "-c", "\\o"]);
            }
            session.arg("-c").arg(format!("EXPLAIN (FORMAT JSON, VERBOSE) {statement}"));
        }
        let output = session.output().context("cannot start psql")?;
        let (plans, complaints) = (parts(&output.stdout, &nonce), parts(&output.stderr, &nonce));
        let said = |(plan, complaint): (String, String)| Said {
            error: complaint.lines().find_map(state).map(str::to_owned),
            complaint: complaint.trim().replace('\n', "; "),
            plan: Some(plan.trim().to_owned()).filter(|plan| !plan.is_empty()),
        };
        Ok(plans.into_iter().zip(complaints).map(said).collect())
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn psql(&self, role: &str) -> Command {
        let mut psql = self.program("psql");
        psql.args(["-X", "-q", "-A", "-t", "-U", role, "-d", "postgres", "-h"])
            .arg(self.folder.path());
        psql
    }

    fn program(&self, name: &str) -> Command {
        let mut program = Command::new(self.programs.join(name));
        program.env_clear().env("LC_ALL", "C").current_dir(self.folder.path()).stdin(Stdio::null());
        if let Some((uid, gid)) = self.user {
            program.uid(uid).gid(gid);
        }
        program
    }

    fn run(&self, command: &mut Command) -> Result<Output> {
        // The server keeps what it inherits, so that its output goes to its log alone.
        let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{:?} failed: {said}", command.get_program());
        Ok(output)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut stop = self.program("pg_ctl");
        stop.arg("stop").arg("-D").arg(self.data()).args(["-m", "immediate", "-w"]);
        if let Err(error) = self.run(&mut stop) {
            eprintln!("the server may still run: {error:#}");
        }
    }
}

/// `ERROR:  42501`, the form that `VERBOSITY=sqlstate` gives.
fn state(line: &str) -> Option<&str> {
    line.strip_prefix("ERROR:").map(str::trim)
}

/// What stands between the marks.
fn parts(bytes: &[u8], nonce: &str) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    text.split(nonce).skip(1).map(str::to_owned).collect()
}

/// The folder of the newest server's programs.
fn newest(servers: &Path) -> Result<PathBuf> {
    let versions = fs::read_dir(servers).with_context(|| format!("no PostgreSQL in {SERVERS}"))?;
    let number = |entry: std::io::Result<fs::DirEntry>| {
        entry.ok()?.file_name().to_str()?.parse::<u32>().ok()
    };
    let newest = versions.filter_map(number).max().context("no PostgreSQL is installed")?;
    let programs = servers.join(newest.to_string()).join("bin");
    ensure!(programs.join("postgres").exists(), "{} has no server", programs.display());
    Ok(programs)
}

/// Uid and gid of the server's user: it refuses to run as root.
fn server_user() -> Result<(u32, u32)> {
    for line in fs::read_to_string("/etc/passwd")?.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        if let [USER, _, uid, gid, ..] = fields.as_slice() {
            return Ok((uid.parse()?, gid.parse()?));
        }
    }
    bail!("there is no user {USER}, which Debian's postgresql-common makes")
}
