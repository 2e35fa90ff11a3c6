//! Servers by URL, real ones and hostile ones, on loopback and on unix sockets. Beside each refusal stands an
//! honest call to the same server, so that a row that proves nothing fails.

mod asking;
mod forgotten;
mod hostile;
mod lab;
mod lives;
mod old;
mod real;
mod resuming;
mod tls;
mod writing;
