//! The report for people: a table and one line of totals.

use super::report::{Report, Row, Verdict};

const HEAD: [&str; 7] =
    ["attempt", "without ATF", "with ATF", "stopped by", "stops it alone", "us", "verdict"];

/// The table.
pub(super) fn render(report: &Report) -> String {
    let lines: Vec<[String; 7]> =
        std::iter::once(HEAD.map(str::to_owned)).chain(report.rows.iter().map(cells)).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: Vec<usize> = (0..HEAD.len()).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = format!(
        "Linux {}, posture {}\n\n",
        report.kernel,
        report.posture.as_deref().unwrap_or("none: ATF was not started")
    );
    for line in lines {
        let padded: Vec<String> =
            line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(padded.join("  ").trim_end());
        text.push('\n');
    }
    report.rows.iter().for_each(|row| text.push_str(&calls(row)));
    text.push_str(&beside(&report.rows));
    let totals = report.totals;
    text.push_str(&format!(
        "\n{} attempts: {} closed, {} vacuous, {} not covered, {} escaped\n",
        totals.attempts, totals.closed, totals.vacuous, totals.not_covered, totals.escaped
    ));
    text
}

fn cells(row: &Row) -> [String; 7] {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let verdict = match row.verdict {
        Some(Verdict::Closed) => "closed",
        Some(Verdict::Vacuous) => "vacuous",
        Some(Verdict::NotCovered) => "NOT COVERED",
        Some(Verdict::Escaped) => "ESCAPED",
        None => "-",
    };
    [
        row.id.clone(),
        or_dash(&row.without),
        or_dash(&row.with),
        or_dash(&row.stopped_by),
        alone(row),
        row.us.map_or_else(|| "-".to_owned(), |us| format!("{us:.1}")),
        verdict.to_owned(),
    ]
}

/// How random calls ended, the most frequent ends first; nothing for other rows.
fn calls(row: &Row) -> String {
    let mut text = String::new();
    if !row.calls.is_empty() {
        text.push_str(&format!("\n{}: calls by kind and outcome\n", row.id));
    }
    for (kind, outcomes) in &row.calls {
        let mut outcomes: Vec<(&String, &u64)> = outcomes.iter().collect();
        outcomes.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let outcomes: Vec<String> =
            outcomes.iter().map(|(outcome, count)| format!("{outcome} {count}")).collect();
        text.push_str(&format!("  {kind:<12}{}\n", outcomes.join(", ")));
    }
    text
}

/// What got out of the other sandbox, and how often nothing did; nothing where it was not tried.
fn beside(rows: &[Row]) -> String {
    let tried = rows.iter().filter(|row| row.without.as_deref() == Some("out"));
    let tried: Vec<(&Row, &String)> =
        tried.filter_map(|row| Some((row, row.beside.as_ref()?))).collect();
    if tried.is_empty() {
        return String::new();
    }
    let out: Vec<&str> = tried
        .iter()
        .filter(|(_, outcome)| *outcome == "out")
        .map(|(row, _)| row.id.as_str())
        .collect();
    let under_atf = tried.iter().filter(|(row, _)| row.with.as_deref() == Some("out")).count();
    format!(
        "\nOf {} attempts that work without either, {} get out under ATF, and inside {} {}: {}\n",
        tried.len(),
        under_atf,
        super::beside::NAME,
        out.len(),
        if out.is_empty() { "none".to_owned() } else { out.join(", ") }
    )
}

/// The layers that each stop it alone, among those that were tried alone.
fn alone(row: &Row) -> String {
    let stopping = row.layers.iter().filter(|(_, outcome)| *outcome != "out");
    let stopping: Vec<String> = stopping.map(|(layer, _)| layer.to_string()).collect();
    match (row.layers.is_empty(), stopping.is_empty()) {
        (true, _) => "-".to_owned(),
        (false, true) => "none".to_owned(),
        (false, false) => stopping.join(" "),
    }
}
