//! Completions and man pages, made from the same parser that reads the arguments.

use std::path::Path;

use anyhow::Context as _;
use clap::CommandFactory as _;

use super::{Arguments, EXIT_OK, output};

pub(super) fn completions(shell: clap_complete::Shell) -> anyhow::Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "atf", &mut script);
    output::print(&script)?;
    Ok(EXIT_OK)
}

pub(super) fn man(dir: &Path) -> anyhow::Result<u8> {
    std::fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(Arguments::command(), dir))
        .with_context(|| format!("cannot write the man pages into {}", dir.display()))?;
    Ok(EXIT_OK)
}
