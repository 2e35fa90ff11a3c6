//! `lint`: whether each pin, and each draft, would be taken.

use std::path::Path;

use anyhow::Context as _;

use super::{Pinned, Row, print};
use crate::cli::args::Output;
use crate::cli::{EXIT_NO, EXIT_OK};
use crate::gate::Pin;
use crate::state::files;

pub(super) fn lint(pinned: &Pinned, form: Output) -> anyhow::Result<u8> {
    let mut rows = of(&pinned.0)?;
    if pinned.proposals().is_dir() {
        rows.extend(of(&pinned.proposals())?);
    }
    print(&rows, form)?;
    // No pin at all proves nothing: a mistyped directory must not look like a success.
    let good = !rows.is_empty() && rows.iter().all(|row| row.state == "good");
    Ok(if good { EXIT_OK } else { EXIT_NO })
}

fn of(dir: &Path) -> anyhow::Result<Vec<Row>> {
    let mut paths: Vec<_> = std::fs::read_dir(dir)
        .with_context(|| format!("cannot read {}", dir.display()))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    Ok(paths.iter().map(|path| row(path)).collect())
}

fn row(path: &Path) -> Row {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let read = match files::read_public(path) {
        Ok(bytes) => Pin::read(&bytes.unwrap_or_default()),
        Err(error) => Err(error.to_string()),
    };
    match read {
        Ok(pin) if pin.name().as_str() == stem => Row::new(&stem, "good").at(path),
        Ok(pin) => Row::new(&stem, "refused").at(path).because(format!("it is of {}", pin.name())),
        Err(wrong) => Row::new(&stem, "refused").at(path).because(wrong),
    }
}
