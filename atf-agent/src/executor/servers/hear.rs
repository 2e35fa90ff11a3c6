//! Who is told what a server offers.

use super::offer::Offered;
use crate::wire::Catalogue;

type HearTools = Box<dyn Fn(&[Offered]) + Send + Sync>;

/// Who is told what a server offers.
pub(super) struct Hear {
    /// Its tools.
    pub(super) tools: HearTools,
    /// All else.
    pub(super) besides: Box<dyn Fn(Catalogue) + Send + Sync>,
}
