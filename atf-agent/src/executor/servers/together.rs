//! What all servers offer besides tools, kept so that it fits into the one frame in which it travels: a longer one
//! would end the gateway's connection, and with it whatever calls are under way there.

use std::collections::BTreeMap;

use crate::wire::Catalogue;

/// Most bytes of all of it: the names of what is withheld are in the same frame.
const BYTES_MAX: usize = 3 << 20;

/// What each server offers, and how many bytes that is.
#[derive(Debug, Default)]
pub(super) struct Together(BTreeMap<String, (usize, Catalogue)>);

impl Together {
    /// A server offers this from now on.
    ///
    /// # Errors
    /// When there is no room for it beside what the others offer: then it offers nothing.
    pub(super) fn put(&mut self, server: &str, offered: Catalogue) -> Result<(), String> {
        self.0.remove(server);
        let others: usize = self.0.values().map(|(bytes, _)| bytes).sum();
        let bytes = serde_json::to_vec(&offered).map_err(|error| error.to_string())?.len();
        if others + bytes > BYTES_MAX {
            return Err(format!(
                "{server}: it offers {bytes} bytes besides tools and the others {others}, at most {BYTES_MAX} are told"
            ));
        }
        self.0.insert(server.to_owned(), (bytes, offered));
        Ok(())
    }

    /// All of it.
    pub(super) fn whole(&self) -> Catalogue {
        let mut all = Catalogue::default();
        self.0.values().for_each(|(_, one)| all.extend(one.clone()));
        all
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::wire::{ExecutorReply, FRAME_BYTES_MAX, Offer};

    /// What a server offers that offers as much as it may of each kind.
    fn much(server: &str) -> Catalogue {
        let resources = (0..750).map(|number| {
            let name = format!("{server}+file:///{number}");
            let listing = json!({"uri": name, "description": "x".repeat(1_000)});
            Offer { name: name.parse().unwrap(), listing }
        });
        Catalogue { resources: resources.collect(), ..Catalogue::default() }
    }

    /// The attack: each server's lists are within their bounds, and all of them are longer than a frame.
    #[test]
    fn what_all_offer_fits_into_a_frame_whatever_each_offers() {
        let mut together = Together::default();
        let servers = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
        let kept = servers.iter().filter(|server| together.put(server, much(server)).is_ok());
        assert_eq!(kept.count(), 3);
        let frame = |offered| {
            let tools = (0..64_000).map(|n| format!("s{n}.{}", "x".repeat(57)).parse().unwrap());
            let (withheld, offered) = (tools.collect(), Box::new(offered));
            serde_json::to_vec(&ExecutorReply::Offering { number: 1, withheld, offered }).unwrap()
        };
        assert!(frame(together.whole()).len() <= FRAME_BYTES_MAX);
        let mut all = Catalogue::default();
        servers.iter().for_each(|server| all.extend(much(server)));
        assert!(frame(all).len() > FRAME_BYTES_MAX, "the control");

        // One that offers less makes room.
        assert!(together.put("k", much("k")).is_err());
        together.put("a", Catalogue::default()).unwrap();
        together.put("k", much("k")).unwrap();
        let names = together.whole().resources.into_iter().map(|one| one.name.to_string());
        assert_eq!(names.filter(|name| name.starts_with("k+")).count(), 750);
    }
}
