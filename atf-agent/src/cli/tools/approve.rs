//! `approve`: a draft becomes a pin. What it says of the server is what was seen when the draft was made;
//! a server that has changed since is withheld by the executor.

use super::{Pinned, Row, print};
use crate::call::ToolName;
use crate::cli::args::Output;
use crate::cli::{EXIT_NO, EXIT_OK};
use crate::gate::{Pin, Pins};
use crate::state::files;

pub(super) fn approve(pinned: &Pinned, tools: &[ToolName], form: Output) -> anyhow::Result<u8> {
    let rows: Vec<Row> = tools
        .iter()
        .map(|tool| match one(pinned, tool) {
            Ok(row) => row,
            Err(error) => Row::new(tool, "refused").because(format!("{error:#}")),
        })
        .collect();
    print(&rows, form)?;
    let refused = rows.iter().any(|row| row.state == "refused");
    // One bad pin refuses all, so it is said at once.
    Pins::read(&pinned.0)?;
    tracing::info!("send SIGHUP to the gateway, or start it again, to have it read the pins");
    Ok(if refused { EXIT_NO } else { EXIT_OK })
}

fn one(pinned: &Pinned, tool: &ToolName) -> anyhow::Result<Row> {
    let from = pinned.proposed(tool);
    let Some(bytes) = files::read_public(&from)? else {
        anyhow::bail!("there is no {}; make it with `atf tools pin`", from.display());
    };
    let pin = Pin::read(&bytes).map_err(anyhow::Error::msg)?;
    anyhow::ensure!(pin.name() == tool, "{} is of {}", from.display(), pin.name());
    anyhow::ensure!(
        pin.server().is_some(),
        "{} has no x-atf-server, the digest of what its server said; make it with `atf tools pin`",
        from.display()
    );
    let to = pinned.approved(tool);
    files::publish(&to, &bytes)?;
    std::fs::remove_file(&from)?;
    Ok(Row::new(tool, "approved").at(&to).because(format!("pin {}", pin.digest())))
}
