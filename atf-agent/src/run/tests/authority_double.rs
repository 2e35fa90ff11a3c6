//! A double of the authority and, as far as a run needs one, of the gateway: it speaks the real
//! messages over the real wire, and admits whom the test wants.

use std::fs;
use std::num::NonZeroU64;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex};

use crate::call::Untrusted;
use crate::wire::{AuthorityReply, AuthorityRequest, Places, Server, Token, serve};

/// How the double behaves.
#[derive(Debug, Clone)]
pub(super) struct Conduct {
    /// The uid that it gives.
    pub(super) uid: u32,
    /// Its words when it refuses to register.
    pub(super) refuses: Option<&'static str>,
    /// `renew_in_s` of every token.
    pub(super) renew_in_s: u64,
    /// `ends_in_ms` of every token.
    pub(super) ends_in_ms: u64,
    /// How many renewals it refuses before it gives one.
    pub(super) renewals_refused: u32,
    /// What it says of each run at its end.
    pub(super) seals: bool,
}

/// The double's memory.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// What it was asked, in order: `register ledger`, `renew`, `end exit 0`.
    pub(super) asked: Vec<String>,
    /// What the keeper counted, at each end.
    pub(super) refused: Vec<Option<[u64; 6]>>,
    /// The network that each registration named.
    pub(super) networks: Vec<Option<NonZeroU64>>,
    renewals: u32,
    pub(super) gateways: Vec<UnixListener>,
}

/// Listens at the authority's place until the test ends.
pub(super) fn listen(places: &Places, conduct: Conduct) -> Arc<Mutex<Memory>> {
    let socket = places.authority_socket();
    fs::create_dir_all(socket.parent().unwrap()).unwrap();
    let listener = UnixListener::bind(socket).unwrap();
    let memory = Arc::new(Mutex::new(Memory::default()));
    let (shared, places) = (Arc::clone(&memory), places.clone());
    std::thread::spawn(move || {
        let each = move |mut server: Server| {
            while let Ok(Some((number, ask))) = server.hear() {
                let reply = answer(&conduct, &places, &mut shared.lock().unwrap(), ask);
                server.answer(number, &reply).unwrap();
            }
        };
        serve(&listener, |peer| peer.uid == 0, each)
    });
    memory
}

fn answer(
    conduct: &Conduct,
    places: &Places,
    memory: &mut Memory,
    ask: AuthorityRequest,
) -> AuthorityReply {
    let token = |number: u32| Token {
        jwt: format!("token-{number}"),
        renew_in_s: conduct.renew_in_s,
        ends_in_ms: conduct.ends_in_ms,
    };
    let refused = |why: &str| AuthorityReply::Refused { why: Untrusted::from(why) };
    match ask {
        AuthorityRequest::Register { run, agent, network, .. } => {
            memory.networks.push(network);
            memory.asked.push(format!("register {agent}"));
            if let Some(why) = conduct.refuses {
                return refused(why);
            }
            let path = places.run_socket(run);
            let gateway = UnixListener::bind(&path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
            memory.gateways.push(gateway);
            AuthorityReply::Registered { uid: conduct.uid, token: token(0) }
        }
        AuthorityRequest::Renew { .. } => {
            memory.asked.push("renew".to_owned());
            memory.renewals += 1;
            if memory.renewals <= conduct.renewals_refused {
                return refused("not now");
            }
            AuthorityReply::Renewed { token: token(memory.renewals) }
        }
        AuthorityRequest::End { how, refused, .. } => {
            memory.asked.push(format!("end {how}"));
            memory.refused.push(refused);
            AuthorityReply::Was { sealed: conduct.seals }
        }
        AuthorityRequest::Release { .. }
        | AuthorityRequest::Runs
        | AuthorityRequest::Approvals
        | AuthorityRequest::Approve { .. }
        | AuthorityRequest::Publish { .. }
        | AuthorityRequest::NotPublished { .. }
        | AuthorityRequest::Subscribe => refused("the double does not know that"),
    }
}
