//! The commands of the README. They are run as they stand there, so that they cannot be wrong there.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::boot::PROJECT;

/// The commands of the README's shell blocks that begin with one of `beginnings`, in the order of these.
///
/// # Errors
/// When there is no such command, or more than one.
pub(super) fn commands(beginnings: &[&str]) -> Result<Vec<String>> {
    let file = Path::new(PROJECT).join("README.md");
    find(&fs::read_to_string(&file).with_context(|| file.display().to_string())?, beginnings)
}

fn find(readme: &str, beginnings: &[&str]) -> Result<Vec<String>> {
    let blocks = readme.split("```sh\n").skip(1);
    let lines = blocks.filter_map(|rest| Some(rest.split_once("```")?.0)).flat_map(str::lines);
    let lines: Vec<&str> =
        lines.map(|line| line.split("  #").next().unwrap_or(line).trim()).collect();
    let one = |beginning: &&str| {
        let mut found = lines.iter().filter(|line| line.starts_with(beginning));
        let line = found.next().with_context(|| format!("the README has no `{beginning}`"))?;
        anyhow::ensure!(found.next().is_none(), "the README has `{beginning}` more than once");
        Ok((*line).to_owned())
    };
    beginnings.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::super::install;
    use super::*;

    #[test]
    fn what_the_suite_runs_stands_in_the_readme_once() {
        let readme = include_str!("../../../README.md");
        for beginnings in
            [&install::INSTALL[..], &install::CHECK, &[install::START, install::AGENT]]
        {
            find(readme, beginnings).unwrap();
        }
    }

    #[test]
    fn a_command_is_told_from_its_remark_and_from_prose() {
        let readme = "do it\n```sh\ndo it   # now\ndo that\n```\nundo\n```toml\nundo\n```\n";
        assert_eq!(find(readme, &["do it"]).unwrap(), ["do it"]);
        assert!(find(readme, &["do"]).is_err(), "two");
        assert!(find(readme, &["undo"]).is_err(), "none");
    }
}
