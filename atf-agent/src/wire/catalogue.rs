//! What servers offer besides tools, on its way from the executor, which asks them, to the gateway, which
//! tells a run what its token names.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::call::{PromptName, ResourceUri, UriTemplate};

/// What servers offer besides tools, named as a run names it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// The prompts.
    pub prompts: Vec<Offer<PromptName>>,
    /// The resources.
    pub resources: Vec<Offer<ResourceUri>>,
    /// Resources of a kind.
    pub templates: Vec<Offer<UriTemplate>>,
}

/// One thing that a server offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer<Name> {
    /// As a run names it.
    pub name: Name,
    /// What a list says of it, the name included.
    pub listing: Value,
}

impl Catalogue {
    /// Adds what another server offers.
    pub fn extend(&mut self, other: Self) {
        self.prompts.extend(other.prompts);
        self.resources.extend(other.resources);
        self.templates.extend(other.templates);
    }
}
