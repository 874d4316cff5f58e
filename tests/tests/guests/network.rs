//! The user's network: DHCP, a connection out to the host, a connection in from the host. Nothing leaves the loopback interface.

use anyhow::{Context, Result, ensure};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};
use tests::guest::{Guest, images, linux};
use vitrine::config::{MachineConfig, NetworkMode, Transport};

const LIMIT: Duration = Duration::from_secs(600);
const GUEST_PORT: u16 = 7777;

/// A port of the loopback interface that nobody uses.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn machine(name: &str, transport: Transport, forward: u16, jobs: &str) -> Result<MachineConfig> {
    let (kernel, initrd) = images::disk()?;
    let mut config = linux(name, &kernel, &initrd, &format!("console=ttyS0 quiet run={jobs}"));
    config.net.mode = NetworkMode::User;
    config.net.transport = transport;
    config.net.hostfwd = vec![format!("tcp:127.0.0.1:{forward}-:{GUEST_PORT}")];
    Ok(config)
}

/// Answers one connection with a line that holds what it was sent.
fn serve(listener: TcpListener) -> std::thread::JoinHandle<Result<String>> {
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept()?;
        stream.set_read_timeout(Some(LIMIT))?;
        let mut line = String::new();
        BufReader::new(stream.try_clone()?).read_line(&mut line)?;
        write!(stream, "the host heard: {line}")?;
        Ok(line)
    })
}

/// Sends a line to the guest and gives its answer. Its server may not be up yet: then a connection is accepted and closed.
fn ask_guest(port: u16) -> Result<String> {
    let begin = Instant::now();
    while begin.elapsed() < LIMIT {
        let mut answer = String::new();
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let sent = stream.write_all(b"hello from the host\n");
        if sent.is_ok() && BufReader::new(stream).read_line(&mut answer).is_ok() && !answer.is_empty() {
            return Ok(answer);
        }
        std::thread::sleep(Duration::from_millis(300));
    }
    anyhow::bail!("the guest does not answer at port {port}")
}

fn talk(transport: Transport) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let out = listener.local_addr()?.port();
    let into = free_port()?;
    let jobs = format!("net,connect:10.0.2.2-{out},listen:{GUEST_PORT}");
    let mut guest = Guest::start(&machine("network", transport, into, &jobs)?, LIMIT)?;
    let server = serve(listener);
    let lease = guest.expect("@@END net rc 0")?;
    ensure!(lease.contains("inet 10.0.2.15/24"), "no address of the network's own:\n{lease}");
    let heard = guest.expect("@@END connect")?;
    ensure!(heard.contains("the host heard: hello from the guest"), "the guest heard:\n{heard}");
    let line = server.join().ok().context("the server panicked")??;
    ensure!(line.trim() == "hello from the guest", "the host heard {line:?}");
    guest.expect(&format!("listening on {GUEST_PORT}"))?;
    let answer = ask_guest(into)?;
    ensure!(answer.trim() == "guest heard: hello from the host", "the guest answers {answer:?}");
    guest.powered_off()?;
    let net = guest.status().net;
    ensure!(net.read_bytes > 500 && net.written_bytes > 500, "the counters stand still: {net:?}");
    Ok(())
}

#[test]
fn guests_talk_to_the_host_over_pci() -> Result<()> {
    talk(Transport::Pci)
}

#[test]
fn guests_talk_to_the_host_over_virtio_mmio() -> Result<()> {
    talk(Transport::Mmio)
}
