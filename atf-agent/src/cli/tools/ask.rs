//! `pin` and `diff`: the servers are started, asked for their tools, and ended.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Pinned, Row, print};
use crate::call::{NameError, ToolName};
use crate::cli::args::Output;
use crate::cli::{EXIT_NO, EXIT_OK};
use crate::config::Config;
use crate::executor::{self, Answer, Offered};
use crate::gate::{Pin, hidden_text, tighten};
use crate::state::files;

/// Writes a draft of a pin for each tool that is not approved as it is.
pub(super) fn pin(
    config: &Config,
    pinned: &Pinned,
    server: Option<&str>,
    form: Output,
) -> anyhow::Result<u8> {
    let answers = asked(config, server)?;
    std::fs::create_dir_all(pinned.proposals())?;
    let mut rows = Vec::new();
    for answer in &answers {
        match &answer.tools {
            Err(why) => rows.push(Row::new(&answer.server, "refused").because(why)),
            Ok(tools) => {
                for offered in tools {
                    rows.push(propose(pinned, &answer.server, offered)?);
                }
            }
        }
    }
    print(&rows, form)?;
    Ok(if rows.iter().any(|row| row.state == "refused") { EXIT_NO } else { EXIT_OK })
}

fn propose(pinned: &Pinned, server: &str, offered: &Offered) -> anyhow::Result<Row> {
    let tool = match name(server, offered) {
        Ok(tool) => tool,
        Err((tool, error)) => return Ok(Row::new(&tool, "refused").because(error.to_string())),
    };
    // Never cleaned: what is not seen is there for a reason.
    if let Some(hidden) = hidden_text(&offered.definition()) {
        return Ok(Row::new(&tool, "refused").because(hidden));
    }
    if approved(pinned, &tool)?.is_some_and(|pin| pin.server() == Some(offered.digest)) {
        return Ok(Row::new(&tool, "unchanged").at(&pinned.approved(&tool)));
    }
    let draft = draft(&tool, offered);
    let text = format!("{}\n", serde_json::to_string_pretty(&draft)?);
    let path = pinned.proposed(&tool);
    files::publish(&path, text.as_bytes())?;
    let row = Row::new(&tool, "proposed").at(&path);
    Ok(match Pin::read(text.as_bytes()) {
        Ok(_) => row,
        Err(wrong) => row.because(format!("to be edited first: {wrong}")),
    })
}

/// The tool as its server describes it, under its whole name, with bounds, and with the digest of what
/// was seen.
fn draft(tool: &ToolName, offered: &Offered) -> Value {
    let definition = offered.definition();
    let mut draft = Map::new();
    draft.insert("name".to_owned(), json!(tool));
    for member in ["title", "description", "annotations", "execution"] {
        if let Some(value) = definition.get(member) {
            draft.insert(member.to_owned(), value.clone());
        }
    }
    draft.insert("inputSchema".to_owned(), tighten(&definition["inputSchema"]));
    draft.insert("x-atf-server".to_owned(), json!(offered.digest));
    Value::Object(draft)
}

/// Says what differs between what the servers offer and what is approved.
pub(super) fn diff(
    config: &Config,
    pinned: &Pinned,
    server: Option<&str>,
    form: Output,
) -> anyhow::Result<u8> {
    let mut rows = Vec::new();
    for answer in asked(config, server)? {
        match &answer.tools {
            Err(why) => rows.push(Row::new(&answer.server, "refused").because(why)),
            Ok(tools) => differences(pinned, &answer.server, tools, &mut rows)?,
        }
    }
    print(&rows, form)?;
    Ok(if rows.iter().all(|row| row.state == "approved") { EXIT_OK } else { EXIT_NO })
}

fn differences(
    pinned: &Pinned,
    server: &str,
    tools: &[Offered],
    rows: &mut Vec<Row>,
) -> anyhow::Result<()> {
    let mut offers = BTreeSet::new();
    for offered in tools {
        let tool = match name(server, offered) {
            Ok(tool) => tool,
            Err((tool, error)) => {
                rows.push(Row::new(&tool, "refused").because(error.to_string()));
                continue;
            }
        };
        let row = match approved(pinned, &tool)? {
            None => Row::new(&tool, "new"),
            Some(pin) if pin.server() == Some(offered.digest) => Row::new(&tool, "approved"),
            Some(pin) => Row::new(&tool, "changed").because(changed(&pin, offered)),
        };
        rows.push(match hidden_text(&offered.definition()) {
            Some(hidden) => row.because(hidden),
            None => row,
        });
        offers.insert(pinned.approved(&tool));
    }
    let prefix = format!("{server}.");
    for entry in std::fs::read_dir(&pinned.0)? {
        let path = entry?.path();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let is_pin = path.extension().is_some_and(|extension| extension == "json");
        if is_pin && stem.starts_with(&prefix) && !offers.contains(&path) {
            rows.push(Row::new(&stem, "gone").at(&path));
        }
    }
    Ok(())
}

/// Which members are others now, as far as the pin tells: it has a schema of its own.
fn changed(pin: &Pin, offered: &Offered) -> String {
    let (pinned, offered) = (pin.listing(), offered.definition());
    let members = ["title", "description", "annotations"];
    let found: Vec<&str> =
        members.into_iter().filter(|member| pinned.get(member) != offered.get(member)).collect();
    match found.is_empty() {
        true => "a schema, or what is not in the pin".to_owned(),
        false => found.join(", "),
    }
}

fn asked(config: &Config, server: Option<&str>) -> anyhow::Result<Vec<Answer>> {
    let answers = executor::offers(&config.places, &config.ids, server)?;
    if answers.is_empty() {
        let dir = config.places.servers_dir.display();
        let named = server.map_or_else(String::new, |server| format!(" named {server}"));
        anyhow::bail!("there is no tool server{named} in {dir}");
    }
    Ok(answers)
}

fn name(server: &str, offered: &Offered) -> Result<ToolName, (String, NameError)> {
    let whole = format!("{server}.{}", offered.tool);
    whole.parse().map_err(|error| (whole, error))
}

fn approved(pinned: &Pinned, tool: &ToolName) -> anyhow::Result<Option<Pin>> {
    let path = pinned.approved(tool);
    let Some(bytes) = files::read_public(&path)? else { return Ok(None) };
    let pin = Pin::read(&bytes);
    pin.map(Some).map_err(|wrong| anyhow::anyhow!("the pin {} is refused: {wrong}", path.display()))
}
