//! What is packaged for systemd: that it is hardened, starts in the right order, and agrees with what
//! the processes do by themselves. Read offline: no service manager has to run here.

mod agent;
mod exposure;
mod order;
mod unit;
