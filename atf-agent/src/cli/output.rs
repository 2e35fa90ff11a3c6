//! Answers on standard output: aligned columns for people, JSON for scripts.

use std::io::{self, Write as _};

use serde::Serialize;

/// Who read standard output has enough, as `head` has: nothing to complain of.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the answer to its end")]
pub(super) struct Unread;

/// Prints `value` as JSON.
pub(super) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    print(&text)
}

/// Prints one line.
pub(super) fn line(text: &str) -> anyhow::Result<()> {
    print(format!("{text}\n").as_bytes())
}

/// Prints `text` as it is.
///
/// # Errors
/// [`Unread`], and when standard output cannot be written.
pub(super) fn print(text: &[u8]) -> anyhow::Result<()> {
    match io::stdout().lock().write_all(text) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Unread.into()),
        printed => Ok(printed?),
    }
}

/// Prints rows under a heading, columns aligned by their longest cell.
pub(super) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> anyhow::Result<()> {
    let mut widths = head.map(|cell| cell.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    let head = head.map(str::to_owned);
    for row in std::iter::once(&head).chain(rows) {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    print(text.as_bytes())
}
