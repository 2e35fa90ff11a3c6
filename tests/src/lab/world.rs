//! The world that the agent finds: a link to an internet of canaries, and local services.

use std::fs::{self, Permissions};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};

use rustix::net::{AddressFamily, Protocol, RawProtocol, SocketAddrUnix, SocketFlags, SocketType};

use super::shared::Shared;
use super::{Namespace, Oracle, address, link, odd};
use crate::sys::address::Vsock;

/// The namespaces, the canaries, and the folder with the unix sockets.
#[derive(Debug)]
pub struct World {
    /// Where the agent is started.
    pub agent: Namespace,
    /// What the canaries saw.
    pub oracle: Oracle,
    /// The folder with the unix sockets.
    pub folder: PathBuf,
    /// Where the internet is; kept because a namespace ends with its last descriptor.
    world: Namespace,
    _shared: Shared,
}

const WORLD_LINK: &str = "lab1";

impl World {
    /// Makes the world; its unix sockets come into `folder`.
    ///
    /// # Errors
    /// When we are not root, or the kernel has no veth.
    pub fn new(folder: &Path) -> io::Result<Self> {
        let (agent, world) = (Namespace::new()?, Namespace::new()?);
        wire(&agent, &world)?;
        let mut oracle = Oracle::default();
        world.within(|| internet(&mut oracle))?;
        agent.within(|| beside_the_agent(&mut oracle))?;
        unix_services(&mut oracle, folder)?;
        match vsock_listener() {
            Ok(listener) => oracle.listener("vsock", listener),
            Err(error) => oracle.miss("vsock", error),
        }
        for by_the_victim in ["victim_memory", "victim_signal"] {
            oracle.add(by_the_victim);
        }
        let shared = Shared::new(&mut oracle, folder)?;
        Ok(Self { agent, oracle, folder: folder.to_owned(), world, _shared: shared })
    }

    /// A connection from the agent's namespace to the world, as a careless parent leaves one open.
    ///
    /// # Errors
    /// When the world does not answer.
    pub fn inheritable(&self) -> io::Result<TcpStream> {
        self.agent.within(|| TcpStream::connect(address::INHERITED))
    }

    /// The namespace of the internet.
    pub fn internet(&self) -> &Namespace {
        &self.world
    }
}

fn wire(agent: &Namespace, world: &Namespace) -> io::Result<()> {
    agent.within(|| {
        link::up("lo")?;
        link::make_pair(address::AGENT_LINK, WORLD_LINK, world.as_fd())
    })?;
    world.within(|| {
        link::up("lo")?;
        link::up(WORLD_LINK)?;
        link::add_address(WORLD_LINK, address::WORLD_V4.into(), 24)?;
        link::add_address(WORLD_LINK, address::WORLD_V6.into(), 64)?;
        link::add_address(WORLD_LINK, address::METADATA_V4.into(), 32)
    })?;
    agent.within(|| {
        link::up(address::AGENT_LINK)?;
        link::add_address(address::AGENT_LINK, address::AGENT_V4.into(), 24)?;
        link::add_address(address::AGENT_LINK, address::AGENT_V6.into(), 64)?;
        link::add_route(address::AGENT_LINK, address::METADATA_V4.into())
    })
}

fn internet(oracle: &mut Oracle) -> io::Result<()> {
    oracle.tcp("tcp4", TcpListener::bind(address::TCP4)?);
    oracle.tcp("tcp6", TcpListener::bind(address::TCP6)?);
    oracle.tcp("metadata", TcpListener::bind(address::METADATA)?);
    oracle.tcp("inherited_fd", TcpListener::bind(address::INHERITED)?);
    oracle.udp("udp4", UdpSocket::bind(address::UDP4)?);
    oracle.udp("dns", UdpSocket::bind(address::DNS)?);
    let raw = protocol(address::RAW_PROTOCOL.into());
    let (family, cloexec) = (AddressFamily::INET, SocketFlags::CLOEXEC);
    let socket = rustix::net::socket_with(family, SocketType::RAW, cloexec, raw)?;
    oracle.packets("raw", socket, |_| true);
    let frames = protocol(address::ETHERTYPE.to_be().into());
    let family = AddressFamily::PACKET;
    let socket = rustix::net::socket_with(family, SocketType::DGRAM, cloexec, frames)?;
    oracle.packets("packet", socket, |frame| frame.starts_with(address::SECRET));
    oracle.tcp("world_loopback", TcpListener::bind(address::WORLD_LOOPBACK)?);
    odd::internet(oracle)
}

fn beside_the_agent(oracle: &mut Oracle) -> io::Result<()> {
    oracle.tcp("loopback", TcpListener::bind(SocketAddr::from(address::LOOPBACK))?);
    let name = UnixAddr::from_abstract_name(address::ABSTRACT_NAME)?;
    oracle.unix("unix_abstract", UnixListener::bind_addr(&name)?);
    oracle.tcp("loopback6", TcpListener::bind(address::LOOPBACK6)?);
    oracle.udp("resolver", UdpSocket::bind(address::RESOLVER)?);
    let name = UnixAddr::from_abstract_name(address::ABSTRACT_DATAGRAM)?;
    oracle.packets("unix_datagram_abstract", UnixDatagram::bind_addr(&name)?.into(), |_| true);
    odd::let_everybody_ping()
}

fn unix_services(oracle: &mut Oracle, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder.join(address::VISIBLE_FOLDER))?;
    for (name, path) in [("unix_path", address::UNIX_PATH), ("unix_visible", address::UNIX_VISIBLE)]
    {
        let path = folder.join(path);
        let listener = UnixListener::bind(&path)?;
        // Everybody may connect: nothing but ATF shall be what stops the attacker.
        fs::set_permissions(&path, Permissions::from_mode(0o666))?;
        oracle.unix(name, listener);
    }
    for (name, path) in [
        ("unix_datagram", address::UNIX_DATAGRAM),
        ("unix_datagram_visible", address::UNIX_DATAGRAM_VISIBLE),
    ] {
        let path = folder.join(path);
        let socket = UnixDatagram::bind(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o666))?;
        oracle.packets(name, socket.into(), |_| true);
    }
    let path = folder.join(address::UNIX_SEQPACKET);
    let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
    let socket = rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(&path)?)?;
    rustix::net::listen(&socket, 16)?;
    fs::set_permissions(&path, Permissions::from_mode(0o666))?;
    oracle.listener("unix_seqpacket", socket);
    Ok(())
}

/// Without the loopback transport, a connection to ourselves would be sent to the hypervisor, which
/// is no part of the lab.
const VSOCK_LOOPBACK: &str = "/sys/module/vsock_loopback";

fn vsock_listener() -> io::Result<OwnedFd> {
    if !Path::new(VSOCK_LOOPBACK).exists() {
        return Err(io::Error::other("the kernel has no vsock_loopback"));
    }
    let (family, cloexec) = (AddressFamily::VSOCK, SocketFlags::CLOEXEC);
    let socket = rustix::net::socket_with(family, SocketType::STREAM, cloexec, None)?;
    rustix::net::bind(&socket, &Vsock { cid: Vsock::ANY, port: address::VSOCK_PORT })?;
    rustix::net::listen(&socket, 16)?;
    Ok(socket)
}

fn protocol(number: u32) -> Option<Protocol> {
    RawProtocol::new(number).map(Protocol::from_raw)
}
