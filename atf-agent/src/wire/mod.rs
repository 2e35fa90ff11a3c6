//! How ATF's processes talk: length-framed, versioned JSON messages over unix sockets whose peers
//! the kernel names. What the messages mean is the business of the processes.

mod answers;
mod batches;
mod blocking;
mod catalogue;
mod frame;
mod ids;
pub mod in_run;
mod listen;
mod messages;
mod outbox;
mod peer;
mod pipelined;
mod places;
mod ready;
mod stream;
mod subscription;
mod telling;
mod timed;

pub use answers::{Answers, Exchange};
pub use batches::Batches;
pub use blocking::{Connection, Server, serve};
pub use catalogue::{Catalogue, Offer};
pub use frame::{FRAME_BYTES_MAX, FrameError, VERSION};
pub use ids::Ids;
pub use listen::{listen, unattended};
pub use messages::*;
pub use peer::Peer;
pub use pipelined::Pipelined;
pub use places::Places;
pub use ready::ready;
pub use stream::{End, Stream};
pub use subscription::Subscription;
pub use telling::{MayTell, Told};
