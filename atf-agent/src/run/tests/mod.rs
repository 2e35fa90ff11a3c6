//! The launcher on this host: real namespaces, a real cgroup, real commands, and a double of the
//! authority. Needs root; without it the tests fail, they do not skip.

mod authority_double;
mod bridged;
mod lab;

/// What a command sees and can do.
mod cage;
/// How runs start, go on and end.
mod life;
mod needs;
mod pipes;
