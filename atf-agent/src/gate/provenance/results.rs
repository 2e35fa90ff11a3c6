//! What an operator says of a tool's results, in its pin.

use serde::Deserialize;

use super::place::Place;

/// Most places of one pin.
const PLACES_MAX: usize = 32;

/// What a tool's results are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Results {
    /// Whether they vouch for the values in them.
    pub(super) trust: Trust,
    /// Places of the structured content whose whole values are vouched for all the same: what a system
    /// of record fills in itself, between texts that others wrote.
    trusted_at: Places,
    /// Whether what is in them must not leave by a sink.
    pub(super) secret: bool,
}

/// Whether the results of a tool vouch for the values in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// Nobody writes what is in them but who may decide where a run acts.
    Trusted,
    /// Others may have written it.
    #[default]
    Untrusted,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "Vec<Place>")]
struct Places(Vec<Place>);

impl TryFrom<Vec<Place>> for Places {
    type Error = String;

    fn try_from(places: Vec<Place>) -> Result<Self, String> {
        match places.len() <= PLACES_MAX {
            true => Ok(Self(places)),
            false => Err(format!("trusted_at has {} places, at most {PLACES_MAX}", places.len())),
        }
    }
}

/// Of what nobody has said anything about: they vouch for nothing and may be a secret.
pub(super) static UNKNOWN: Results =
    Results { trust: Trust::Untrusted, trusted_at: Places(Vec::new()), secret: true };

impl Results {
    /// The places whose whole values are vouched for.
    pub(super) fn trusted_at(&self) -> &[Place] {
        &self.trusted_at.0
    }
}
