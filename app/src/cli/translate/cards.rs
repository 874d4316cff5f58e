//! The network: `-netdev` with `-device`, `-nic`, and the old `-net`.

use super::KnownDevices;
use crate::cli::list::KeyValues;
use crate::cli::options::MachineArgs;
use crate::cli::report::{Failure, usage};
use crate::config::{MachineConfig, Network, NetworkMode, Transport};

struct Netdev {
    id: Option<String>,
    network: Network,
}

/// Applies the network's options; without any the machine's own network stays.
pub(super) fn apply(
    args: &MachineArgs,
    devices: &mut KnownDevices,
    config: &mut MachineConfig,
) -> Result<(), Failure> {
    let mut networks = Vec::new();
    let mut said = false;
    let mut netdevs = Vec::new();
    for text in &args.netdev {
        netdevs.push(netdev("netdev", text)?);
    }
    for (transport, mut device) in devices.take("virtio-net")? {
        said = true;
        let mac = mac(&mut device)?;
        let network = match device.take("netdev") {
            None => Network { mode: NetworkMode::None, ..Network::default() },
            Some(id) => match netdevs.iter().position(|n| n.id.as_deref() == Some(&id)) {
                Some(at) => netdevs.remove(at).network,
                None => {
                    let next = format!("Add -netdev user,id={id}.");
                    return Err(device.wrong(format!("There is no free network \"{id}\""), next));
                }
            },
        };
        device.ignore(&["mq", "vectors", "csum", "gso", "host_mtu", "mrg_rxbuf", "event_idx"]);
        device.finish()?;
        networks.push(Network { mac, transport, ..network });
    }
    if let Some(left) = netdevs.into_iter().next() {
        let id = left.id.unwrap_or_default();
        let next = format!("Add -device virtio-net-pci,netdev={id}.");
        return Err(usage("The network has no card", format!("-netdev id={id}"), next));
    }
    for text in &args.nic {
        said = true;
        networks.extend(nic(text)?);
    }
    said |= !args.net.is_empty();
    networks.extend(old_net(&args.net)?);
    match networks.len() {
        0 if !said => {}
        0 => config.net = Network { mode: NetworkMode::None, ..Network::default() },
        1 => config.net = networks.remove(0),
        _ => return Err(usage("A machine has at most one network card", "", "Remove the other ones.")),
    }
    Ok(())
}

fn mac(list: &mut KeyValues) -> Result<Option<String>, Failure> {
    let mac = list.take("mac");
    if let Some(text) = &mac {
        crate::config::check_mac(text).map_err(|what| list.wrong(what, ""))?;
    }
    Ok(mac)
}

/// Reads a user-mode network. Its words are checked by the network itself; here they are only sorted.
fn netdev(option: &'static str, text: &str) -> Result<Netdev, Failure> {
    let list = KeyValues::parse(option, text, Some("type"))?;
    user(list)
}

fn user(mut list: KeyValues) -> Result<Netdev, Failure> {
    match list.take("type").as_deref() {
        Some("user") => {}
        other => {
            let kind = other.unwrap_or_default();
            let next = "Use user; bridges and taps need rights that Vitrine does not ask for.";
            return Err(list.wrong(format!("There is no network back end \"{kind}\""), next));
        }
    }
    let id = list.take("id");
    let mut network = Network::default();
    for forward in list.take_all("hostfwd") {
        network.hostfwd.push(forward);
    }
    let rest: Vec<String> = list.take_rest().into_iter().map(|(k, v)| format!("{k}={v}")).collect();
    network.options = rest.join(",");
    let words = network.netdev_words().unwrap_or_default();
    devices::net::user::netdev(&words).map_err(|e| list.wrong(format!("The network is wrong: {e}"), ""))?;
    Ok(Netdev { id, network })
}

/// `-nic`: network and card in one; none for `-nic none`.
fn nic(text: &str) -> Result<Option<Network>, Failure> {
    let mut list = KeyValues::parse("nic", text, Some("type"))?;
    let transport = model(&mut list)?;
    let mac = mac(&mut list)?;
    let mut kind = list.take_all("type");
    if kind.first().is_some_and(|k| k == "none") {
        list.finish()?;
        return Ok(None);
    }
    let more: Vec<String> = list.take_rest().into_iter().map(|(k, v)| format!("{k}={v}")).collect();
    kind.extend(more);
    let network = netdev("nic", &kind.join(","))?.network;
    Ok(Some(Network { mac, transport, ..network }))
}

fn model(list: &mut KeyValues) -> Result<Transport, Failure> {
    match list.take("model").as_deref() {
        None | Some("virtio" | "virtio-net-pci" | "virtio-net") => Ok(Transport::Pci),
        Some("virtio-net-device") => Ok(Transport::Mmio),
        Some(other) => {
            let next = "Use virtio-net-pci or virtio-net-device.";
            Err(list.wrong(format!("There is no network card \"{other}\""), next))
        }
    }
}

/// `-net nic -net user`: the card and the network each by themselves.
fn old_net(texts: &[String]) -> Result<Option<Network>, Failure> {
    let mut card = None;
    let mut network = None;
    for text in texts {
        let mut list = KeyValues::parse("net", text, Some("type"))?;
        match list.take("type").as_deref() {
            Some("none") => list.finish()?,
            Some("nic") => {
                card = Some((model(&mut list)?, mac(&mut list)?));
                list.ignore(&["netdev", "name", "vectors"]);
                list.finish()?;
            }
            _ => network = Some(netdev("net", text)?.network),
        }
    }
    match (card, network) {
        (None, None) => Ok(None),
        (Some((transport, mac)), Some(network)) => Ok(Some(Network { mac, transport, ..network })),
        (None, Some(network)) => Ok(Some(network)),
        (Some(_), None) => {
            Err(usage("The network card leads nowhere", "-net nic", "Add -net user, or use -nic user."))
        }
    }
}
