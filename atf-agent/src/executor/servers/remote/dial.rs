//! Connections to a server: made to the place that its file names and to no other, and used again while they
//! are fresh. Nothing of the environment is asked for a way: there is no proxy.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use rustix::net::sockopt;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;

use super::address::{Host, may_be_named};
use super::settings::Remote;

/// Connections that are kept for the next request.
const IDLE_MAX: usize = 8;

/// How long one is kept. Servers close theirs after some seconds, and a request that meets the end of its
/// connection is one of which nobody knows whether it was heard.
const IDLE_FOR: Duration = Duration::from_secs(2);

/// Pause until a unix socket whose queue is full is asked again.
const FULL_PAUSE: Duration = Duration::from_millis(10);

/// How long a connection may be quiet until the other host is asked whether it is there.
const QUIET_MAX: Duration = Duration::from_secs(60);

/// Most bytes of an answer's head, and most of its headers.
const HEAD_BYTES_MAX: usize = 32 << 10;
/// See [`HEAD_BYTES_MAX`].
const HEADERS_MAX: usize = 100;

/// A connection that takes a request.
pub(super) type Sender = SendRequest<Full<Bytes>>;

/// Connections to one server, of one life of it.
pub(super) struct Dial {
    remote: Arc<Remote>,
    tls: Option<Arc<ClientConfig>>,
    idle: Mutex<Vec<(Instant, Sender)>>,
}

impl Dial {
    /// No connection yet.
    pub(super) fn new(remote: Arc<Remote>, tls: Option<Arc<ClientConfig>>) -> Self {
        Self { remote, tls, idle: Mutex::default() }
    }

    /// A connection that was used before and is fresh.
    pub(super) fn kept(&self) -> Option<Sender> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(since, sender)| since.elapsed() < IDLE_FOR && !sender.is_closed());
        // The one that was used last: the others grow old.
        let at = idle.iter().rposition(|(_, sender)| sender.is_ready())?;
        Some(idle.remove(at).1)
    }

    /// Keeps a connection whose answer was read to its end.
    pub(super) fn keep(&self, sender: Sender) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX && !sender.is_closed() {
            idle.push((Instant::now(), sender));
        }
    }

    /// A new connection.
    ///
    /// # Errors
    /// When there is none in its time, or who answers is not the server.
    pub(super) async fn connect(&self) -> Result<Sender, String> {
        let most = self.remote.connect_timeout;
        let connected = timeout(most, self.try_connect()).await;
        connected.unwrap_or_else(|_| Err(format!("no connection in {most:?}")))
    }

    async fn try_connect(&self) -> Result<Sender, String> {
        if let Some(path) = &self.remote.unix {
            let failed = |error| format!("{}: {error}", path.display());
            let stream = unix(path).await.map_err(failed)?;
            let uid = stream.peer_cred().map_err(failed)?.uid();
            if let Some(expected) = self.remote.unix_uid.filter(|expected| *expected != uid) {
                return Err(format!("{}: uid {uid} listens, expected {expected}", path.display()));
            }
            return opened(stream).await;
        }
        let stream = self.tcp().await?;
        let Some(tls) = &self.tls else { return opened(stream).await };
        let name = match &self.remote.url.host {
            Host::Address(address) => ServerName::from(*address),
            Host::Name(name) => {
                ServerName::try_from(name.clone()).map_err(|error| format!("{name}: {error}"))?
            }
        };
        let connector = TlsConnector::from(Arc::clone(tls));
        let stream =
            connector.connect(name, stream).await.map_err(|error| format!("TLS: {error}"))?;
        opened(stream).await
    }

    /// The first address that takes the connection. A name is looked up once for each connection, and what was
    /// found is what is connected to.
    async fn tcp(&self) -> Result<TcpStream, String> {
        let (url, remote) = (&self.remote.url, &self.remote);
        let found: Vec<IpAddr> = match &url.host {
            Host::Address(address) => vec![*address],
            Host::Name(_) if !remote.addresses.is_empty() => remote.addresses.clone(),
            Host::Name(name) => {
                let found = lookup_host((name.as_str(), url.port)).await;
                let found = found.map_err(|error| format!("{name}: {error}"))?;
                let found: Vec<IpAddr> = found.map(|address| address.ip()).collect();
                if let Some(near) = found.iter().find(|address| !may_be_named(**address)) {
                    return Err(format!(
                        "{name} leads to {near}, which no name may; say it by `addresses`"
                    ));
                }
                found
            }
        };
        let mut why = "it has no address".to_owned();
        for address in found {
            match TcpStream::connect(SocketAddr::new(address, url.port)).await {
                Ok(stream) => {
                    prepared(&stream).map_err(|error| error.to_string())?;
                    return Ok(stream);
                }
                Err(error) => why = format!("{address}: {error}"),
            }
        }
        Err(why)
    }
}

/// A connection to a unix socket. One whose queue is full is there, and is asked again: for the kernel does not
/// keep those in line who do not wait in connect(2).
async fn unix(path: &Path) -> std::io::Result<UnixStream> {
    loop {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                sleep(FULL_PAUSE).await;
            }
            done => return done,
        }
    }
}

/// A request is one write: nothing is gained by waiting for more. A stream that is held open notices that the
/// other host is gone.
fn prepared(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, QUIET_MAX)?;
    sockopt::set_tcp_keepintvl(stream, QUIET_MAX / 4)?;
    Ok(())
}

/// HTTP on a stream. The task ends with the connection, which ends with its sender.
async fn opened(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<Sender, String> {
    let made = Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .handshake(TokioIo::new(stream))
        .await;
    let (sender, connection) = made.map_err(|error| error.to_string())?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to a tool server ended");
        }
    });
    Ok(sender)
}

/// A request whose head and body are known.
pub(super) type Asking = Request<Full<Bytes>>;
