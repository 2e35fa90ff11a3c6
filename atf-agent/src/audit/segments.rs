//! The files of a log: segments `<number of the first record, 20 digits>.jsonl`, in one directory.

use std::io;
use std::path::{Path, PathBuf};

/// Longest line in bytes with its newline: what a log shipper takes by default (102,400) is more, an
/// entry of a C2SP tile log (65,535) is the least.
pub const LINE_BYTES_MAX: usize = 65_535;

/// How a segment's name ends.
const EXTENSION: &str = "jsonl";

/// Digits of the number in a segment's name, so that names sort as the numbers do.
const DIGITS: usize = 20;

/// One file of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// The number of its first record, from its name; `None` when the name is not of the grammar.
    pub first: Option<u64>,
    /// The file.
    pub path: PathBuf,
}

impl Segment {
    /// The segment of `dir` that begins with record `first`.
    pub fn at(dir: &Path, first: u64) -> Self {
        Self { first: Some(first), path: dir.join(format!("{first:0DIGITS$}.{EXTENSION}")) }
    }
}

/// The segments of `dir` in the order of their names. Files that do not end in `.jsonl` are none.
///
/// # Errors
/// When the directory cannot be read.
pub fn segments(dir: &Path) -> io::Result<Vec<Segment>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == EXTENSION) {
            let first = path.file_stem().and_then(|stem| number(stem.to_str()?));
            found.push(Segment { first, path });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn number(stem: &str) -> Option<u64> {
    let digits = stem.len() == DIGITS && stem.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| stem.parse().ok())?
}
