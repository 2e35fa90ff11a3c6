//! Files of cases, as a reader brings them.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

/// The file's text. `gzip` undoes the compression, as it does everywhere else on the system.
///
/// # Errors
/// When the file cannot be read or is no UTF-8.
pub fn read(file: &Path) -> Result<String> {
    let bytes = if file.extension().is_some_and(|end| end == "gz") {
        let mut gzip = Command::new("gzip");
        gzip.args(["-dc", "--"]).arg(file).stderr(Stdio::inherit());
        let output = gzip.output().context("cannot start gzip")?;
        ensure!(output.status.success(), "gzip cannot read {}", file.display());
        output.stdout
    } else {
        std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?
    };
    String::from_utf8(bytes).with_context(|| format!("{} is no UTF-8", file.display()))
}
