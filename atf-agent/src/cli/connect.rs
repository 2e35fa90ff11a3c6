//! `atf connect`: this process's standard input and output, and the run that it is in.

use std::io::{self, BufReader};

use super::EXIT_OK;
use crate::connect::Inside;

pub(super) fn connect(prompt: Option<String>) -> anyhow::Result<u8> {
    Inside::find(prompt)?.serve(BufReader::new(io::stdin()), io::stdout())?;
    Ok(EXIT_OK)
}
