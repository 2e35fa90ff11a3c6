//! What the recorder is asked and answers.

use serde::{Deserialize, Serialize};

use crate::audit::{Call, Event, Verdict};
use crate::call::{Digest, Mac, Untrusted};

/// What the recorder is asked. Any of ATF's processes may ask. Tagged from outside: for an inner tag serde
/// copies all fields first.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RecorderRequest {
    /// Append one record. Answered when it is durable, or, with `durable` false, when it is queued.
    Append {
        /// What happened. Boxed: an event is large beside the other variants.
        #[serde(with = "event")]
        event: Box<Event>,
        /// Wait for the disk.
        durable: bool,
        /// The JSON of the [`PermitBody`] that the event allows, byte for byte as it will be sent,
        /// for a receipt that stands for it. The recorder holds it against the event.
        permit: Option<String>,
    },
}

/// An event on its way. One comes with each call, a decision; and what it says of the call is as much as all else.
mod event {
    use serde::de::Error as _;
    use serde::{Deserializer, Serializer};

    use super::{Call, Deserialize, Event, Serialize, Verdict};

    /// Tagged from outside, as an event in the log is not.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case", deny_unknown_fields)]
    enum Sent<C, V, E> {
        Decided { call: C, verdict: V },
        Other(E),
    }

    pub(super) fn serialize<S: Serializer>(event: &Event, to: S) -> Result<S::Ok, S::Error> {
        match event {
            Event::Decided { call, verdict } => {
                Sent::Decided::<&Call, &Verdict, &Event> { call, verdict }.serialize(to)
            }
            other => Sent::Other::<&Call, &Verdict, &Event>(other).serialize(to),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Box<Event>, D::Error> {
        match Sent::<Box<Call>, Verdict, Box<Event>>::deserialize(from)? {
            Sent::Decided { call, verdict } => Ok(Box::new(Event::Decided { call, verdict })),
            Sent::Other(event) if matches!(*event, Event::Decided { .. }) => {
                Err(D::Error::custom("a decision has one spelling"))
            }
            Sent::Other(event) => Ok(event),
        }
    }
}

/// What the recorder answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RecorderReply {
    /// It is in the log.
    Recorded {
        /// Proof for the executor; only a record with a permit has one.
        receipt: Option<Receipt>,
    },
    /// It is not, and why: the disk is full, the log is broken.
    Refused {
        /// What stood in the way.
        why: Untrusted,
    },
}

/// The recorder's proof that the record of a permit is in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// What it says.
    pub body: ReceiptBody,
    /// The code of [`ReceiptBody::bytes`] under the key that the recorder has with the executor.
    pub code: Mac,
}

/// What a receipt says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptBody {
    /// The record's number, from zero, without gaps.
    pub seq: u64,
    /// The record's fingerprint.
    pub fingerprint: Digest,
    /// The digest of the permit that the record names.
    pub permit: Digest,
    /// True when the record was on the disk before the receipt was made, false when it was only
    /// queued. Under the code too, so that the one cannot pass for the other.
    pub durable: bool,
}

impl ReceiptBody {
    /// The bytes under the code: the number, the fingerprint, the permit, and whether it was on the disk.
    pub fn bytes(&self) -> Vec<u8> {
        format!(
            "{}\n{}\n{}\n{}\n",
            self.seq,
            self.fingerprint,
            self.permit,
            if self.durable { "durable" } else { "queued" }
        )
        .into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::samples;

    #[test]
    fn each_event_arrives_as_it_was_sent_and_in_one_spelling_alone() {
        let mut decisions = 0;
        for event in samples::all() {
            let sent =
                RecorderRequest::Append { event: Box::new(event), durable: true, permit: None };
            let text = serde_json::to_string(&sent).unwrap();
            let RecorderRequest::Append { event: found, .. } = serde_json::from_str(&text).unwrap();
            let RecorderRequest::Append { event, .. } = sent;
            assert_eq!(found, event);
            let unknown = text.replacen(r#""run":"#, r#""runs":0,"run":"#, 1);
            if unknown != text {
                assert!(serde_json::from_str::<RecorderRequest>(&unknown).is_err(), "{unknown}");
            }
            if matches!(*event, Event::Decided { .. }) {
                decisions += 1;
                let inner = serde_json::to_string(&event).unwrap();
                let other = format!(
                    r#"{{"append":{{"event":{{"other":{inner}}},"durable":true,"permit":null}}}}"#
                );
                assert!(serde_json::from_str::<RecorderRequest>(&other).is_err(), "{other}");
                let control = other.replace(
                    &inner,
                    &serde_json::to_string(&samples::sealed(atf_common::mode::Mode::Enforce))
                        .unwrap(),
                );
                assert!(serde_json::from_str::<RecorderRequest>(&control).is_ok(), "{control}");
            }
        }
        assert!(decisions > 1);
    }
}
