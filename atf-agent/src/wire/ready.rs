//! A word to the service manager, sd_notify(3): that this process serves now, so that what is ordered after it
//! finds it.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Says it. Without a service manager nobody is told, and one that does not hear it is no reason to fail: it
/// ends who is not ready in time.
pub fn ready() {
    if let Some(at) = std::env::var_os("NOTIFY_SOCKET")
        && let Err(error) = tell(&at)
    {
        tracing::warn!(%error, "the service manager does not hear that this daemon is ready");
    }
}

fn tell(at: &OsStr) -> io::Result<()> {
    let manager = match at.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(at)?,
    };
    UnixDatagram::unbound()?.send_to_addr(b"READY=1", &manager).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manager_hears_it_by_either_name() {
        let folder = tempfile::tempdir().unwrap();
        let (path, name) =
            (folder.path().join("notify"), format!("atf-notify-{}", std::process::id()));
        let by_name = SocketAddr::from_abstract_name(&name).unwrap();
        for (at, manager) in [
            (path.as_os_str().to_owned(), UnixDatagram::bind(&path).unwrap()),
            (format!("@{name}").into(), UnixDatagram::bind_addr(&by_name).unwrap()),
        ] {
            tell(&at).unwrap();
            let mut heard = [0; 32];
            let length = manager.recv(&mut heard).unwrap();
            assert_eq!(&heard[..length], b"READY=1");
        }
        assert!(tell(OsStr::new("/nowhere")).is_err());
    }
}
