//! interim
use super::Gateway;
use super::answer::Answer;
use super::headers::Envelope;
use super::runs::LiveRun;
use crate::call::Caller;
pub(super) async fn call(_g: &Gateway, _r: &LiveRun, _c: Caller, m: &[u8], _e: Envelope) -> Answer {
    Answer::unreadable(m)
}
