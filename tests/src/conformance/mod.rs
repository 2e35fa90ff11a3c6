//! The official conformance suite against the fixture by itself and through ATF, scenario by scenario:
//! what differs is a difference that ATF makes. Behind ATF the fixture is spoken with in both eras, started and by
//! its URL.

mod frames;
mod inside;
mod names;
mod outside;
mod result;
mod target;

use std::path::PathBuf;

use anyhow::Result;

pub use inside::serve as inside;
pub use result::{Report, Row};

/// What is needed to run it.
#[derive(Debug, Clone)]
pub struct Options {
    /// The product's binary.
    pub atf: PathBuf,
    /// This program, which is also the part inside the run.
    pub own: PathBuf,
    /// The fixture's binary.
    pub fixture: PathBuf,
    /// Node.
    pub node: PathBuf,
    /// The suite's program.
    pub suite: PathBuf,
    /// The policies to begin with.
    pub policies: PathBuf,
}

/// Which scenarios the suite runs, by its own words. It knows no older revision.
const PARTS: [(&str, &[&str]); 4] = [
    ("2026-07-28", &["--requirements", "2026-07-28"]),
    ("2025-11-25", &["--requirements", "2025-11-25"]),
    ("2025-06-18", &["--suite", "all", "--spec-version", "2025-06-18"]),
    ("2025-03-26", &["--suite", "all", "--spec-version", "2025-03-26"]),
];

/// Runs every part directly and in each way through ATF.
///
/// # Errors
/// When something cannot be started, or the suite leaves no results.
pub fn run(options: &Options) -> Result<Report> {
    let folder = crate::demo::installation::folder()?;
    let direct = target::Direct::start(&options.fixture)?;
    let through = target::Through::start(folder.path(), options)?;
    let mut rows = Vec::new();
    for (revision, words) in PARTS {
        let results = folder.path().join("results").join(revision);
        let by_itself = result::of(options, &direct.url, words, &results.join("direct"))?;
        for (server, url) in &through.urls {
            let by_atf = result::of(options, url, words, &results.join(server.name()))?;
            rows.extend(result::compare((revision, *server), &by_itself, &by_atf));
        }
    }
    Ok(Report { rows })
}
