//! The log: whole as it is, and not whole when one byte of it is another.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use super::installation::{Installation, copy_tree};
use super::report::Row;

/// Verifies the log when ATF has ended, and a copy in which one byte was flipped.
pub(super) fn run(installation: &mut Installation) -> [Row; 2] {
    let (first, second) =
        (("log_whole", "the log as it is"), ("log_flipped", "one byte of it flipped"));
    let whole = installation.stop().and_then(|()| whole(installation, Row::new(first.0, first.1)));
    let found = flipped(installation, Row::new(second.0, second.1));
    [Row::or_failed(first.0, first.1, whole), Row::or_failed(second.0, second.1, found)]
}

fn whole(installation: &Installation, mut row: Row) -> Result<Row> {
    let verified = verify(installation, &installation.log_folder())?;
    let whole = verified["whole"] == true && verified["records"].as_u64() > Some(0);
    row.with = Some(if whole { "whole" } else { "broken" }.to_owned());
    Ok(row.promise(whole, verified.to_string()))
}

fn flipped(installation: &Installation, mut row: Row) -> Result<Row> {
    let copy = tempfile::tempdir()?;
    copy_tree(&installation.log_folder(), copy.path())?;
    let seq = flip(copy.path())?;
    let verified = verify(installation, copy.path())?;
    let found = verified["whole"] == false && verified["broken"]["seq"].as_u64() == Some(seq);
    row.with = Some(if found { "found at its record" } else { "not found" }.to_owned());
    row.stopped_by = Some("audit verify".to_owned());
    Ok(row.promise(found, format!("flipped in record {seq}; {verified}")))
}

/// What `atf audit verify` says; its status is not 0 when the log is broken.
fn verify(installation: &Installation, log: &Path) -> Result<Value> {
    let mut command = installation.atf();
    command.args(["audit", "verify", "--output", "json", "--log"]).arg(log);
    let output = command.output().context("cannot start atf")?;
    serde_json::from_slice(&output.stdout).with_context(|| {
        format!("atf audit verify said: {}", String::from_utf8_lossy(&output.stderr))
    })
}

/// Flips one bit in the middle of the middle record, inside of a text, so that the line stays JSON;
/// returns the record's number.
fn flip(folder: &Path) -> Result<u64> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder)?.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.is_file());
    files.sort();
    for file in files {
        let mut bytes = fs::read(&file)?;
        let lines: Vec<(usize, &[u8])> = bytes
            .split(|byte| *byte == b'\n')
            .scan(0, |start, line| {
                let at = *start;
                *start += line.len() + 1;
                Some((at, line))
            })
            .filter(|(_, line)| line.starts_with(b"{"))
            .collect();
        let Some((start, line)) = lines.get(lines.len() / 2).copied() else {
            continue;
        };
        let record: Value =
            serde_json::from_slice(line).context("the log has a line that is no JSON")?;
        let Some(seq) = record["atf"]["seq"].as_u64() else {
            continue;
        };
        // A letter of a key or of a text; the last bit makes it another letter.
        let middle = line.len() / 2;
        let letter = line[middle..].iter().position(u8::is_ascii_lowercase).context("no letter")?;
        bytes[start + middle + letter] ^= 1;
        fs::write(&file, bytes)?;
        return Ok(seq);
    }
    anyhow::bail!("the log has no record to flip a byte of")
}
