//! A wall clock that was ahead and is right again. Tokens are not signed for earlier than the last one, which
//! would be a long time without any; but where no run is live, no token is either.

use super::Authority;
use super::clock::now_unix_s;
use super::error::AuthorityError;
use crate::audit::Event;
use crate::call::Untrusted;
use crate::identity::TOKEN_TTL_S_MAX;

impl Authority {
    /// When the last token was signed that counts. One that is further ahead than a token lives counts no more
    /// while no run is live: the log has that before it holds.
    pub(super) fn last_iat_unix_s(&mut self) -> Result<u64, AuthorityError> {
        let (last, now) = (self.registry.last_iat_unix_s()?, now_unix_s());
        let is_far = now > 0 && last > now.saturating_add(TOKEN_TTL_S_MAX);
        if !is_far || !self.registry.live()?.is_empty() {
            return Ok(last);
        }
        let detail = format!("the last token is of {last}, no run is live: tokens begin at {now}");
        let name = "clock.set_back".to_owned();
        let finding = Event::Finding { name, run: None, detail: Untrusted::new(detail) };
        self.log.record(vec![finding])?;
        self.registry.set_back(now)?;
        Ok(now)
    }
}
