//! The gateway on real sockets. Its neighbours are doubles that say so; the gate is the real one.

mod acting;
mod apart;
mod approving;
mod asking;
mod callers;
mod cancelling;
mod client;
mod doubles;
mod handshake;
mod hearings;
mod http_rows;
mod kernel;
mod lab;
mod line_rows;
mod lines_rows;
mod listening;
mod modes;
mod pacing;
mod provenance;
mod questions;
mod registering;
mod sealing;
mod sessions;
mod signing;
mod stateless;
mod telling;
