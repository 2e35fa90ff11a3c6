//! The daemons of ATF, room by room. `docs/ARCHITECTURE.md` draws the floors: a lower floor never
//! names a higher one, and `tests/floors` proves it.

// Floor 1: the words, and what the operating system can be asked.
pub mod call;
pub mod sys;

// Floor 2: the facts a decision needs, and the ways that processes talk.
pub mod audit;
pub mod identity;
pub mod kernel;
pub mod state;
pub mod wire;

// Floor 3: the decision. Pure: no socket, no file, no clock.
pub mod gate;

// Floor 4: the processes.
pub mod authority;
pub mod connect;
pub mod enforcer;
pub mod executor;
pub mod gateway;
pub mod recorder;
pub mod run;

// Floor 5: what puts them together.
pub mod cli;
pub mod config;

#[cfg(test)]
mod corpora;
