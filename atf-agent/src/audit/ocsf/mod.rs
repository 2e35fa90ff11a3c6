//! The shape of a record: one OCSF 1.9.0 object (<https://schema.ocsf.io/1.9.0>), and under `atf`
//! the event in our own words, which is what our own tools read. The chain is added elsewhere.

mod classes;
mod fields;

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::event::{Event, Process};
use super::plain::{self, NotPlain};
use fields::Class;

/// The version of the schema.
const VERSION: &str = "1.9.0";

/// What the recorder knows about a record beside the event itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp<'a> {
    /// The record's number.
    pub seq: u64,
    /// Its name: its chain's, a slash, and the number.
    pub uid: &'a str,
    /// Milliseconds since the epoch.
    pub time_unix_ms: u64,
    /// Who told it, by the kernel's word.
    pub reporter: Process,
}

/// Writes the record of `event` behind what `out` has, in its plain form. `attestations` are the chain's.
///
/// # Errors
/// When it has no such form; `out` has a part of it then.
pub(super) fn write(
    event: &Event,
    stamp: Stamp,
    attestations: &impl Serialize,
    out: &mut Vec<u8>,
) -> Result<(), NotPlain> {
    plain::write(&Record { event, stamp, class: classes::of(event), attestations }, out)
}

/// One record, as it is written.
struct Record<'a, A> {
    event: &'a Event,
    stamp: Stamp<'a>,
    class: Class,
    attestations: &'a A,
}

impl<A: Serialize> Serialize for Record<'_, A> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self { event, stamp, class, attestations } = self;
        let Class { class, activity, severity, fields } = class;
        let Stamp { seq, uid, time_unix_ms, reporter } = *stamp;
        let mut record = to.serialize_map(Some(fields.len() + 9))?;
        for (name, value) in fields {
            record.serialize_entry(name, value)?;
        }
        record.serialize_entry("activity_id", activity)?;
        record.serialize_entry("atf", &Atf { event, reporter, seq })?;
        record.serialize_entry("attestation_list", attestations)?;
        record.serialize_entry("category_uid", &(class / 1_000))?;
        record.serialize_entry("class_uid", class)?;
        record.serialize_entry("metadata", &Metadata::of(uid, seq))?;
        record.serialize_entry("severity_id", &(*severity as u32))?;
        record.serialize_entry("time", &time_unix_ms)?;
        record.serialize_entry("type_uid", &(class * 100 + activity))?;
        record.end()
    }
}

/// The event in our own words.
#[derive(Serialize)]
struct Atf<'a> {
    event: &'a Event,
    reporter: Process,
    seq: u64,
}

#[derive(Serialize)]
struct Metadata<'a> {
    log_name: &'static str,
    product: Product,
    profiles: [&'static str; 3],
    sequence: u64,
    uid: &'a str,
    version: &'static str,
}

#[derive(Serialize)]
struct Product {
    name: &'static str,
    vendor_name: &'static str,
    version: &'static str,
}

impl<'a> Metadata<'a> {
    fn of(uid: &'a str, sequence: u64) -> Self {
        Self {
            log_name: "atf",
            product: Product {
                name: "ATF",
                vendor_name: "ATF",
                version: env!("CARGO_PKG_VERSION"),
            },
            profiles: ["ai_operation", "record_integrity", "security_control"],
            sequence,
            uid,
            version: VERSION,
        }
    }
}

/// The JSON of a plain value of ours. Such values have text keys and no floating point numbers, so
/// that they always have one.
fn value(of: &impl Serialize) -> Value {
    serde_json::to_value(of).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use atf_common::mode::Mode;
    use serde_json::Map;

    use super::*;
    use crate::audit::samples;

    /// The record of `event` as a reader has it.
    fn object(event: &Event, time_unix_ms: u64, reporter: Process) -> Map<String, Value> {
        let mut line = Vec::new();
        let stamp = Stamp { seq: 3, uid: "chain/3", time_unix_ms, reporter };
        write(event, stamp, &["attestation"], &mut line).unwrap();
        let object: Map<String, Value> = serde_json::from_slice(&line).unwrap();
        assert_eq!(serde_json_canonicalizer::to_vec(&object).unwrap(), line, "canonical");
        object
    }

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
            let object = object(&event, 1_700_000_000_123, Process::Gateway);
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
            let object = object(event, 0, Process::Recorder);
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
                let object = object(event, 0, Process::Recorder);
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
