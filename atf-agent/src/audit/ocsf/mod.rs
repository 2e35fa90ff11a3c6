//! The shape of a record: one OCSF 1.9.0 object (<https://schema.ocsf.io/1.9.0>), and under `atf`
//! the event in our own words, which is what our own tools read. The chain is added elsewhere.

mod classes;
mod fields;
mod plain;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::event::{Event, Process};
use fields::Class;

/// The version of the schema.
const VERSION: &str = "1.9.0";

/// What the recorder knows about a record beside the event itself.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    /// The record's number.
    pub seq: u64,
    /// Milliseconds since the epoch.
    pub time_unix_ms: u64,
    /// Who told it, by the kernel's word.
    pub reporter: Process,
}

/// The object of `event`, without its attestation.
pub(super) fn object(event: &Event, stamp: Stamp) -> Map<String, Value> {
    let Class { class, activity, severity, fields } = classes::of(event);
    let mut object = Map::new();
    object.insert("metadata".into(), metadata(stamp));
    object.insert("category_uid".into(), json!(class / 1_000));
    object.insert("class_uid".into(), json!(class));
    object.insert("activity_id".into(), json!(activity));
    object.insert("type_uid".into(), json!(class * 100 + activity));
    object.insert("severity_id".into(), json!(severity as u32));
    object.insert("time".into(), json!(stamp.time_unix_ms));
    object.extend(fields);
    object.insert(
        "atf".into(),
        json!({
            "seq": stamp.seq,
            "reporter": stamp.reporter,
            "event": value(event),
        }),
    );
    for value in object.values_mut() {
        plain::make(value);
    }
    object
}

fn metadata(stamp: Stamp) -> Value {
    json!({
        "version": VERSION,
        "product": {
            "name": "ATF",
            "vendor_name": "ATF",
            "version": env!("CARGO_PKG_VERSION"),
        },
        "profiles": ["ai_operation", "record_integrity", "security_control"],
        "log_name": "atf",
        "sequence": stamp.seq,
    })
}

/// The JSON of a plain value of ours. Such values have text keys and no floating point numbers, so
/// that they always have one.
fn value(of: &impl Serialize) -> Value {
    serde_json::to_value(of).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use atf_common::mode::Mode;

    use super::*;
    use crate::audit::samples;

    /// The attributes that the schema of each class requires, beside those of the base event.
    fn required(class: u64) -> &'static [&'static str] {
        match class {
            1003 => &["kernel"],
            1007 => &["process", "actor"],
            2004 => &["finding_info"],
            3003 => &["user", "privileges"],
            4001 => &["src_endpoint"],
            6002 => &["app"],
            6003 => &["actor", "api", "src_endpoint"],
            other => panic!("class {other} is not one that we write"),
        }
    }

    #[test]
    fn every_event_has_what_its_class_requires() {
        for event in samples::all() {
            let object = object(
                &event,
                Stamp { seq: 3, time_unix_ms: 1_700_000_000_123, reporter: Process::Gateway },
            );
            let number = |key: &str| object[key].as_u64().unwrap();
            assert_eq!(number("type_uid"), number("class_uid") * 100 + number("activity_id"));
            assert_eq!(number("category_uid"), number("class_uid") / 1_000);
            assert_eq!(number("time"), 1_700_000_000_123);
            assert!((1..=6).contains(&number("severity_id")), "{event:?}");
            assert_eq!(object["metadata"]["version"], "1.9.0");
            for key in required(number("class_uid")) {
                assert!(object.get(*key).is_some_and(|v| !v.is_null()), "{key} of {event:?}");
            }
            if number("activity_id") == 99 {
                assert!(object["activity_name"].is_string(), "{event:?}");
            }
            assert_eq!(object["atf"]["event"]["event"], value(&event)["event"]);
        }
    }

    /// A reader of the log must not take for held what was only seen.
    #[test]
    fn what_was_observed_reads_as_blocked_nowhere() {
        let actions = |event: &Event| {
            let stamp = Stamp { seq: 0, time_unix_ms: 0, reporter: Process::Recorder };
            let object = object(event, stamp);
            let number = |key: &str| object[key].as_u64().unwrap();
            (number("action_id"), number("disposition_id"), number("status_id"))
        };
        let judged = samples::judged();
        assert_eq!(actions(&Event::KernelDenied(judged.clone())), (2, 2, 2));
        assert_eq!(actions(&Event::KernelObserved(judged)), (3, 15, 1));
        for (mode, expected) in [(Mode::Enforce, (2, 4, 1)), (Mode::Observe, (2, 2, 1))] {
            assert_eq!(actions(&samples::sealed(mode)), expected);
        }
    }

    #[test]
    fn the_classes_are_those_of_the_table() {
        let rows: Vec<(String, u64)> = samples::all()
            .iter()
            .map(|event| {
                let stamp = Stamp { seq: 0, time_unix_ms: 0, reporter: Process::Recorder };
                let object = object(event, stamp);
                let name = object["atf"]["event"]["event"].as_str().unwrap().to_owned();
                (name, object["type_uid"].as_u64().unwrap())
            })
            .collect();
        for (name, type_uid) in [
            ("started", 600_203),
            ("run_registered", 100_701),
            ("token_minted", 300_301),
            ("run_ended", 100_702),
            ("decided", 600_399),
            ("settled", 600_399),
            ("sealed", 200_401),
            ("released", 200_402),
            ("answered", 300_301),
            ("policy_published", 600_299),
            ("kernel_denied", 400_105),
            ("kernel_denied", 100_304),
            ("kernel_observed", 400_199),
            ("finding", 200_401),
        ] {
            assert!(rows.contains(&(name.to_owned(), type_uid)), "{name}: {rows:?}");
        }
    }
}
