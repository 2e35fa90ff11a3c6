//! What a server offers, asked for when its life begins and whenever it says that it changed.

use tokio::time::Instant;

use super::super::besides::{Reading, Then};
use super::super::call::Call;
use super::super::message::Body;
use super::super::offer::{self, Listing, Next};
use super::super::saying::What;
use super::{Ended, HANDSHAKE_MAX, Session};
use crate::executor::error::Mistrust;
use crate::wire::Catalogue;

impl Session<'_> {
    /// Asks for its tools; when that is under way, it is done again afterwards.
    pub(super) fn list(&mut self) {
        if self.listing.is_some() {
            self.is_stale = true;
            return;
        }
        let listing = Listing::begin(self.number());
        self.ask_for_tools(listing.id, None);
        self.list_until = Instant::now() + HANDSHAKE_MAX;
        self.listing = Some(listing);
    }

    fn ask_for_tools(&self, id: u64, cursor: Option<&str>) {
        self.say(What::asks(id, offer::METHOD), offer::ask(self.bounds.era, id, cursor));
    }

    /// Asks for all else that it offers. What is read of it at the moment is out of date then: the
    /// answers to come are to nobody.
    pub(super) fn list_besides(&mut self) {
        let id = self.number();
        self.reading = Reading::begin(self.name, self.besides.clone(), id);
        match &self.reading {
            Some(reading) => self.ask_for_more(reading, None),
            None => (self.offered.besides)(Catalogue::default()),
        }
    }

    fn ask_for_more(&self, reading: &Reading, cursor: Option<&str>) {
        let line = reading.request(self.bounds.era, cursor);
        self.say(What::asks(reading.id, reading.method()), line);
    }

    /// Takes a page of one of these lists.
    pub(super) fn listed_besides(&mut self, reading: Box<Reading>, body: &Body) {
        match reading.take(body) {
            Then::Ask(mut reading, cursor) => {
                reading.id = self.number();
                self.ask_for_more(&reading, cursor.as_deref());
                self.reading = Some(reading);
            }
            Then::Whole(catalogue) => (self.offered.besides)(catalogue),
        }
    }

    /// Takes a page of the list of tools.
    pub(super) fn listed(&mut self, mut listing: Listing, body: &Body) -> Result<(), Ended> {
        match listing.take(body).map_err(Ended::Handshake)? {
            Next::Page(cursor) => {
                listing.id = self.number();
                self.ask_for_tools(listing.id, Some(&cursor));
                self.listing = Some(listing);
            }
            Next::Whole(tools) => {
                (self.offered.tools)(&tools);
                self.offers = tools.into_iter().map(|tool| (tool.tool, tool.digest)).collect();
                if std::mem::take(&mut self.is_stale) {
                    self.list();
                }
            }
        }
        Ok(())
    }

    /// The tool is what an operator approved, by what its server said last. Nothing else has a pin.
    pub(super) fn is_approved(&self, call: &Call) -> Result<(), Mistrust> {
        let Some(tool) = call.target.of_tool() else { return Ok(()) };
        let why = match (self.offers.get(call.target.split().1), call.approved) {
            (Some(offered), Some(approved)) if *offered == approved => return Ok(()),
            (Some(_), Some(_)) => "its server changed it after it was approved",
            (Some(_), None) => "its pin does not say what of its server was approved",
            (None, _) => "its server does not offer it",
        };
        Err(Mistrust::ToolWithheld { tool: tool.clone(), why })
    }
}
