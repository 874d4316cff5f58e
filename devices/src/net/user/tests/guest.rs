//! A guest made of the same library's stack, with the network as its card.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::State;
use smoltcp::socket::{tcp, udp};
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};

use crate::net::user::dns::Resolvers;
use crate::net::user::{UserNet, UserNetConfig};
use crate::net::{NetBackend, NetMetrics};

/// The guest's hardware address.
pub const MAC: EthernetAddress = EthernetAddress([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
/// The guest's address.
pub const ADDR: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
/// The host as the guest sees it.
pub const HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
/// The name server as the guest sees it.
pub const DNS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

/// The guest's end of the cable.
pub struct Card(pub UserNet);

pub struct Rx(Vec<u8>);
pub struct Tx<'a>(&'a mut UserNet);

impl RxToken for Rx {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl TxToken for Tx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let result = f(&mut frame);
        self.0.transmit(&frame);
        result
    }
}

impl Device for Card {
    type RxToken<'a> = Rx;
    type TxToken<'a> = Tx<'a>;

    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Rx, Tx<'_>)> {
        let mut frame = Vec::new();
        self.0.receive(&mut frame).then_some((Rx(frame), Tx(&mut self.0)))
    }

    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Tx<'_>> {
        Some(Tx(&mut self.0))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

/// The guest.
pub struct Guest {
    pub card: Card,
    pub sockets: SocketSet<'static>,
    pub iface: Interface,
    bell: Arc<Bell>,
    start: Instant,
    next_port: u16,
}

impl Guest {
    /// A guest on a network of `config`, with its address set by hand.
    pub fn new(config: &UserNetConfig) -> Self {
        Self::with_resolvers(config, Vec::new())
    }

    /// The same, where the host uses these name servers.
    pub fn with_resolvers(config: &UserNetConfig, servers: Vec<SocketAddr>) -> Self {
        let mut net = UserNet::with_resolvers(config, Resolvers::fixed(servers)).expect("a network");
        let bell = Arc::new(Bell::default());
        let ringer = bell.clone();
        net.set_notify(Box::new(move || {
            *ringer.rung.lock() = true;
            ringer.changed.notify_all();
        }));
        let mut card = Card(net);
        let mut iface = Interface::new(Config::new(MAC.into()), &mut card, smoltcp::time::Instant::ZERO);
        iface.update_ip_addrs(|a| a.push(IpCidr::new(IpAddress::Ipv4(ADDR), 24)).expect("room"));
        iface.routes_mut().add_default_ipv4_route(HOST).expect("room");
        let sockets = SocketSet::new(Vec::new());
        Self { card, sockets, iface, bell, start: Instant::now(), next_port: 40_000 }
    }

    /// A guest on the customary network.
    pub fn customary() -> Self {
        Self::new(&UserNetConfig::default())
    }

    /// Lets the guest's stack work once.
    pub fn poll(&mut self) {
        let now = smoltcp::time::Instant::from_micros(self.start.elapsed().as_micros() as i64);
        self.iface.poll(now, &mut self.card, &mut self.sockets);
    }

    /// Lets the guest run until `done` says so.
    pub fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let began = Instant::now();
        loop {
            self.poll();
            if done(self) {
                self.poll();
                return;
            }
            assert!(began.elapsed() < PATIENCE, "waited too long: {what}; {:?}", self.metrics());
            let mut rung = self.bell.rung.lock();
            if !*rung {
                self.bell.changed.wait_for(&mut rung, Duration::from_millis(2));
            }
            *rung = false;
        }
    }

    /// Waits for the next frame which `pick` wants, passing the guest's stack by.
    pub fn frame<T>(&mut self, what: &str, mut pick: impl FnMut(&[u8]) -> Option<T>) -> T {
        let began = Instant::now();
        let mut frame = Vec::new();
        loop {
            while self.card.0.receive(&mut frame) {
                if let Some(found) = pick(&frame) {
                    return found;
                }
            }
            assert!(began.elapsed() < PATIENCE, "no frame came: {what}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The network's counters.
    pub fn metrics(&self) -> NetMetrics {
        self.card.0.metrics()
    }

    /// A TCP socket that begins to connect.
    pub fn connect(&mut self, addr: Ipv4Addr, port: u16) -> SocketHandle {
        let mut socket = stream();
        self.next_port += 1;
        socket
            .connect(self.iface.context(), (IpAddress::Ipv4(addr), port), self.next_port)
            .expect("addresses");
        self.sockets.add(socket)
    }

    /// A TCP socket that is connected.
    pub fn connected(&mut self, addr: Ipv4Addr, port: u16) -> SocketHandle {
        let handle = self.connect(addr, port);
        self.until("connection", |g| g.tcp(handle).may_send());
        handle
    }

    /// A TCP socket that listens.
    pub fn listen(&mut self, port: u16) -> SocketHandle {
        let mut socket = stream();
        socket.listen(port).expect("a port");
        self.sockets.add(socket)
    }

    /// A UDP socket.
    pub fn udp_socket(&mut self, port: u16) -> SocketHandle {
        let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 16], vec![0; 16 * 1500]);
        let mut socket = udp::Socket::new(buffer(), buffer());
        socket.bind(port).expect("a port");
        self.sockets.add(socket)
    }

    pub fn tcp(&mut self, handle: SocketHandle) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(handle)
    }

    pub fn udp(&mut self, handle: SocketHandle) -> &mut udp::Socket<'static> {
        self.sockets.get_mut(handle)
    }

    /// Waits for a datagram.
    pub fn datagram(&mut self, handle: SocketHandle) -> (Vec<u8>, SocketAddr) {
        self.until("datagram", |g| g.udp(handle).can_recv());
        let (data, meta) = self.udp(handle).recv().expect("a datagram");
        let IpAddress::Ipv4(addr) = meta.endpoint.addr;
        (data.to_vec(), SocketAddr::from((addr, meta.endpoint.port)))
    }

    /// Whether the gateway answers a ping.
    pub fn ping(&mut self, target: Ipv4Addr) {
        use smoltcp::socket::icmp;
        use smoltcp::wire::{Icmpv4Packet, Icmpv4Repr};
        let buffer = || icmp::PacketBuffer::new(vec![icmp::PacketMetadata::EMPTY; 4], vec![0; 512]);
        let mut socket = icmp::Socket::new(buffer(), buffer());
        socket.bind(icmp::Endpoint::Ident(0x1234)).expect("an endpoint");
        let repr = Icmpv4Repr::EchoRequest { ident: 0x1234, seq_no: 9, data: b"are you there" };
        let room = socket.send(repr.buffer_len(), IpAddress::Ipv4(target)).expect("room");
        let checksums = smoltcp::phy::ChecksumCapabilities::default();
        repr.emit(&mut Icmpv4Packet::new_unchecked(room), &checksums);
        let handle = self.sockets.add(socket);
        self.until("ping", |g| g.sockets.get_mut::<icmp::Socket>(handle).can_recv());
        let (data, from) = self.sockets.get_mut::<icmp::Socket>(handle).recv().expect("an answer");
        let packet = Icmpv4Packet::new_checked(data).expect("ICMP");
        let expected = Icmpv4Repr::EchoReply { ident: 0x1234, seq_no: 9, data: b"are you there" };
        assert_eq!(Icmpv4Repr::parse(&packet, &checksums), Ok(expected));
        assert_eq!(from, IpAddress::Ipv4(target));
        self.sockets.remove(handle);
    }

    /// Reads a connection to its end.
    pub fn read_to_end(&mut self, handle: SocketHandle) -> Vec<u8> {
        let mut all = Vec::new();
        self.until("end of data", |g| {
            let socket = g.tcp(handle);
            while socket.can_recv() {
                socket.recv(|data| (data.len(), all.extend_from_slice(data))).expect("data");
            }
            let opening = matches!(socket.state(), State::Listen | State::SynSent | State::SynReceived);
            !opening && !socket.may_recv()
        });
        all
    }

    /// Writes all of `data`.
    pub fn write_all(&mut self, handle: SocketHandle, data: &[u8]) {
        let mut sent = 0;
        self.until("room to write", |g| {
            sent += g.tcp(handle).send_slice(&data[sent..]).expect("an open connection");
            sent == data.len()
        });
    }
}

fn stream() -> tcp::Socket<'static> {
    let buffer = || tcp::SocketBuffer::new(vec![0; 32 * 1024]);
    tcp::Socket::new(buffer(), buffer())
}

/// Bytes that look random and are always the same.
pub fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(step).collect()
}
