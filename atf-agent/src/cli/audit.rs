//! `atf audit verify|show`: the log, proven and read, without any daemon.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::args::{AuditAction, Output, ShowOutput};
use super::output;
use super::policy::decision_log;
use super::{EXIT_NO, EXIT_OK, EXIT_USAGE};
use crate::audit::{self, Filter, Row, VerifyError};
use crate::config::Config;
use crate::recorder;

pub(super) fn audit(config: &Config, action: AuditAction) -> anyhow::Result<u8> {
    match action {
        AuditAction::Verify { log, output } => verify(config, log, output),
        AuditAction::Show { log, run, denied, observed, last, input, output: ShowOutput::Opa } => {
            let log = log.as_deref();
            let wanted = decision_log::Wanted { log, run, denied, observed, last, input };
            let decisions = decision_log::decisions(config, &wanted)?;
            output::json(&decisions)?;
            say_if_nothing(decisions.is_empty());
            Ok(EXIT_OK)
        }
        AuditAction::Show { input: true, .. } => {
            tracing::error!("--input goes with --output opa alone");
            Ok(EXIT_USAGE)
        }
        AuditAction::Show { log, run, denied, observed, last, input: false, output } => {
            let log = log.unwrap_or_else(|| config.places.log_dir());
            let shown = audit::show(&log, &Filter { run, denied, observed, last })?;
            show(&shown.rows, output)?;
            say_if_nothing(shown.rows.is_empty());
            if shown.unread > 0 {
                tracing::warn!(
                    lines = shown.unread,
                    "lines that are no records; see `atf audit verify`"
                );
            }
            Ok(EXIT_OK)
        }
    }
}

/// An answer without a row looks like one that went astray.
fn say_if_nothing(is_empty: bool) {
    if is_empty {
        tracing::warn!("nothing to show: the log has no record that was asked for");
    }
}

fn verify(config: &Config, log: Option<PathBuf>, form: Output) -> anyhow::Result<u8> {
    let key = recorder::public_log_key(&config.places)?;
    // A copy elsewhere may well be older.
    let mark = if log.is_none() { recorder::mark(&config.places)? } else { None };
    // Key and mark are made together with the log: beside them, a folder that is not there was deleted.
    let was_there = log.is_none() && (key.is_some() || mark.is_some());
    let log = log.unwrap_or_else(|| config.places.log_dir());
    if !was_there && matches!(log.try_exists(), Ok(false)) {
        anyhow::bail!("there is no log: {} does not exist; --log names another", log.display());
    }
    let signed = |bytes: &[u8], signature: &str| {
        key.as_ref().is_some_and(|key| key.verify(bytes, signature).is_ok())
    };
    let found = audit::verify(&log, key.as_ref().map(|_| &signed as audit::Signed<'_>), mark);
    if key.is_none() {
        tracing::warn!(
            "no log key at {}: the head's signature is not checked, only the chain",
            config.places.log_key().display()
        );
    }
    let (answer, text, status) = match found {
        Ok(whole) => (
            json!({"whole": true, "records": whole.records, "signed": whole.signed,
                   "segments": whole.segments, "fingerprint": whole.fingerprint, "broken": null}),
            format!("whole: {} records in {} files", whole.records, whole.segments),
            EXIT_OK,
        ),
        Err(VerifyError::Broken(broken)) => (
            json!({"whole": false, "records": null, "broken": {"seq": broken.seq,
                   "file": broken.file, "offset": broken.offset, "why": broken.fault.to_string()}}),
            format!("not whole: {broken}"),
            EXIT_NO,
        ),
        Err(error @ VerifyError::Head(_)) => (
            json!({"whole": false, "records": null, "broken": {"seq": null, "file": null,
                   "offset": null, "why": error.to_string()}}),
            format!("not whole: {error}"),
            EXIT_NO,
        ),
        Err(error @ VerifyError::Io { .. }) => return Err(error.into()),
    };
    match form {
        Output::Json => output::json(&answer)?,
        Output::Text => output::line(&text)?,
    }
    Ok(status)
}

fn show(rows: &[Row], form: ShowOutput) -> anyhow::Result<()> {
    if form == ShowOutput::Json {
        return output::json(&rows.iter().map(|row| &row.record).collect::<Vec<&Value>>());
    }
    let rows: Vec<[String; 6]> = rows
        .iter()
        .map(|row| {
            let fields: Vec<String> =
                row.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
            [
                row.seq.to_string(),
                time(row.time_unix_ms),
                row.reporter.to_string(),
                row.event.to_string(),
                row.run.as_ref().map(ToString::to_string).unwrap_or_default(),
                fields.join(" "),
            ]
        })
        .collect();
    output::table(["SEQ", "UTC", "REPORTER", "EVENT", "RUN", "WHAT"], &rows)
}

/// RFC 3339 in UTC. The days since 1970 become a date by counting from 1 March of year 0, so that
/// the leap day is the last of a year (Howard Hinnant, "chrono-compatible low-level date algorithms").
pub(super) fn time(unix_ms: u64) -> String {
    let (seconds, ms) = (unix_ms / 1_000, unix_ms % 1_000);
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_go_together_is_not_understood() {
        let show = |output| AuditAction::Show {
            log: None,
            run: None,
            denied: false,
            observed: false,
            last: None,
            input: true,
            output,
        };
        let config = Config::default();
        for output in [ShowOutput::Text, ShowOutput::Json] {
            assert_eq!(audit(&config, show(output)).unwrap(), EXIT_USAGE);
        }
    }

    /// The attack: the log is deleted, and `verify` is asked of what is left, or of any other empty place.
    #[test]
    fn what_is_not_there_is_not_whole() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.places.run_dir = dir.path().join("run");
        config.places.state_dir = dir.path().join("state");
        let status = |log: Option<PathBuf>| verify(&config, log, Output::Json).unwrap();
        for key in [false, true] {
            if key {
                let path = config.places.log_key();
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                let key = crate::identity::SigningKey::generate().unwrap();
                std::fs::write(path, key.public_hex()).unwrap();
            }
            match key {
                true => assert_eq!(status(None), EXIT_NO, "it was deleted"),
                false => assert!(verify(&config, None, Output::Json).is_err(), "nothing was there"),
            }
            assert_eq!(status(Some(dir.path().to_owned())), EXIT_NO, "key: {key}");
            let mistyped = Some(dir.path().join("lgo"));
            assert!(verify(&config, mistyped, Output::Json).is_err(), "key: {key}");
        }
        std::fs::create_dir_all(config.places.log_dir()).unwrap();
        assert_eq!(status(None), EXIT_NO);
        std::fs::write(config.places.log_key(), "no key").unwrap();
        assert!(verify(&config, None, Output::Json).is_err(), "what is no key is not passed over");
    }

    #[test]
    fn times_are_read_as_the_calendar_has_them() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_795_445_384_123, "2026-11-23T14:49:44.123Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(time(ms), text);
        }
    }
}
