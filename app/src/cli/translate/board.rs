//! The board itself: machine type, memory, harts, CPU model, clocks.

use crate::cli::list::KeyValues;
use crate::cli::near;
use crate::cli::options::MachineArgs;
use crate::cli::report::{Failure, usage};
use crate::config::{Cpu, HARTS_MAX, MachineConfig, MemorySize, Paging};
use engine::guest::riscv::model::Ext;

/// Applies `-M -m -smp -cpu -icount -rtc`.
pub fn apply(args: &MachineArgs, config: &mut MachineConfig) -> Result<(), Failure> {
    if let Some(text) = &args.machine {
        machine(text)?;
    }
    if let Some(text) = &args.memory {
        config.memory = memory(text)?;
    }
    if let Some(text) = &args.smp {
        config.harts = harts(text)?;
    }
    if let Some(text) = &args.cpu {
        config.cpu = cpu(text)?;
    }
    if let Some(text) = &args.icount {
        icount(text)?;
        config.deterministic = true;
    }
    if let Some(text) = &args.rtc {
        rtc(text)?;
    }
    Ok(())
}

fn machine(text: &str) -> Result<(), Failure> {
    let mut list = KeyValues::parse("machine", text, Some("type"))?;
    let kind = list.take("type").unwrap_or_else(|| "virt".to_owned());
    if kind != "virt" {
        let next = "Use -M virt; other boards are not there yet.";
        return Err(list.wrong(format!("There is no board \"{kind}\""), next));
    }
    if let Some(file) = list.take("dumpdtb") {
        let next = format!("Write vitrine debug dtb -o {file} with the same options.");
        return Err(list.wrong("The device tree has a command of its own", next));
    }
    let so_here: [(&'static str, &[&str], &str); 7] = [
        ("acpi", &["off", "auto"], "The machine is described by its device tree only."),
        ("aclint", &["off"], "The board has a CLINT."),
        ("aia", &["none"], "The board has a PLIC."),
        ("iommu-sys", &["off", "auto"], "There is no IOMMU."),
        ("usb", &["off"], "There is no USB yet."),
        ("graphics", &["off", "on"], ""),
        ("accel", &["tcg"], "Guest code runs in Vitrine's own engine; choose its mode with --engine."),
    ];
    for (key, values, why) in so_here {
        if let Some(value) = list.take(key)
            && !values.contains(&value.as_str())
        {
            return Err(list.wrong(format!("{key}={value} is not supported"), why));
        }
    }
    for key in ["pflash0", "pflash1"] {
        if list.take(key).is_some() {
            let next = "Use -drive file=FILE,format=raw,if=pflash instead of -blockdev.";
            return Err(list.wrong(format!("{key}= is not supported"), next));
        }
    }
    list.finish()
}

fn memory(text: &str) -> Result<MemorySize, Failure> {
    let mut list = KeyValues::parse("m", text, Some("size"))?;
    let size = list.take("size").unwrap_or_else(|| "1G".to_owned());
    let size: MemorySize = size.parse().map_err(|what: String| list.wrong(what, ""))?;
    let most = list.take("maxmem").map(|m| m.parse::<MemorySize>());
    if list.take("slots").is_some_and(|s| s != "0") || most.is_some_and(|m| m != Ok(size)) {
        return Err(list.wrong("Memory cannot be added later", "Leave slots= and maxmem= out."));
    }
    list.finish()?;
    Ok(size)
}

fn harts(text: &str) -> Result<u32, Failure> {
    let mut list = KeyValues::parse("smp", text, Some("cpus"))?;
    let cpus = list.take_number("cpus")?;
    let mut product: Option<u64> = None;
    for key in ["drawers", "books", "sockets", "dies", "clusters", "modules", "cores", "threads"] {
        if let Some(n) = list.take_number(key)? {
            product = Some(product.unwrap_or(1).saturating_mul(n));
        }
    }
    let count = cpus.or(product).unwrap_or(1);
    if list.take_number("maxcpus")?.is_some_and(|most| most != count) {
        return Err(list.wrong("Harts cannot be added later", "Leave maxcpus= out."));
    }
    if product.is_some_and(|p| p != count) {
        let what = format!("{} harts in sockets and cores are not {count}", product.unwrap_or_default());
        return Err(list.wrong(what, "Leave sockets=, cores= and threads= out: all harts are alike."));
    }
    let place = list.place();
    list.finish()?;
    u32::try_from(count).ok().filter(|n| (1..=HARTS_MAX).contains(n)).ok_or_else(|| {
        usage(format!("A machine cannot have {count} harts"), place, format!("Use 1 to {HARTS_MAX}."))
    })
}

/// Extensions that every model has, and single letters that mean them.
const ALWAYS: [&str; 11] = ["i", "m", "a", "f", "d", "c", "g", "s", "u", "zicsr", "zifencei"];
/// Extensions that no model has; switching them off changes nothing.
const NEVER: [&str; 4] = ["v", "h", "e", "sv64"];

/// Reads the value of `-cpu`.
pub fn cpu(text: &str) -> Result<Cpu, Failure> {
    let mut list = KeyValues::parse("cpu", text, Some("model"))?;
    let model = list.take("model").unwrap_or_else(|| "rv64".to_owned());
    if model != "rv64" {
        let next = "Use -cpu rv64, and switch extensions on or off: -cpu rv64,zfa=off.";
        return Err(list.wrong(format!("There is no CPU model \"{model}\""), next));
    }
    let mut cpu = Cpu { model: Some(model), ..Cpu::default() };
    if let Some(word) = list.take("misaligned") {
        cpu.trap_misaligned = match word.as_str() {
            "trap" => true,
            "on" => false,
            _ => return Err(list.wrong(format!("misaligned={word} is neither on nor trap"), "")),
        };
    }
    for (key, value) in list.take_rest() {
        extension(&key, &value, &mut cpu).map_err(|(what, next)| list.wrong(what, next))?;
    }
    Ok(cpu)
}

fn extension(key: &str, value: &str, cpu: &mut Cpu) -> Result<(), (String, String)> {
    let (name, on) = match (key.strip_prefix('+'), key.strip_prefix('-')) {
        (Some(name), _) => (name, true),
        (_, Some(name)) => (name, false),
        _ => (key, crate::cli::list::switch(key, value).map_err(|what| (what, String::new()))?),
    };
    let paging = match name {
        "sv39" => Some((Paging::Sv39, Paging::Sv39)),
        "sv48" => Some((Paging::Sv48, Paging::Sv39)),
        "sv57" => Some((Paging::Sv57, Paging::Sv48)),
        _ => None,
    };
    if let Some((this, below)) = paging {
        let largest = cpu.paging.unwrap_or(Paging::Sv57);
        cpu.paging = if on { Some(this) } else { Some(largest.min(below)) };
        return Ok(());
    }
    if Ext::ALL.iter().any(|e| e.text() == name) {
        cpu.extensions.push(format!("{}{name}", if on { '+' } else { '-' }));
        return Ok(());
    }
    let always = ALWAYS.contains(&name) || matches!(name, "mmu" | "pmp");
    match (always, NEVER.contains(&name), on) {
        (true, _, true) | (_, true, false) => Ok(()),
        (true, _, false) => {
            Err((format!("Every model has {name}; it cannot be switched off"), String::new()))
        }
        (_, true, true) => Err((format!("No model has {name} yet"), String::new())),
        _ => {
            let known: Vec<&str> = Ext::ALL.iter().map(|e| e.text()).collect();
            Err((format!("There is no extension \"{name}\""), near::advice(name, &known)))
        }
    }
}

fn icount(text: &str) -> Result<(), Failure> {
    let mut list = KeyValues::parse("icount", text, Some("shift"))?;
    if let Some(shift) = list.take("shift")
        && shift != "auto"
        && !shift.parse::<u32>().is_ok_and(|s| s <= 10)
    {
        return Err(list.wrong(format!("shift={shift} is not a number from 0 to 10"), "Or use shift=auto."));
    }
    if list.take("rr").is_some() || list.take("rrfile").is_some() {
        return Err(list.wrong("There is no record and replay yet", "Use --deterministic alone."));
    }
    list.ignore(&["align", "sleep"]);
    list.finish()
}

fn rtc(text: &str) -> Result<(), Failure> {
    let mut list = KeyValues::parse("rtc", text, None)?;
    if let Some(base) = list.take("base")
        && base != "utc"
    {
        let next = "Use base=utc; the guest's time zone is the guest's affair.";
        return Err(list.wrong(format!("The clock cannot start from base={base}"), next));
    }
    if let Some(clock) = list.take("clock")
        && clock != "host"
    {
        let next = "With --deterministic it follows the instruction count; leave clock= out.";
        return Err(list.wrong(format!("The clock cannot follow clock={clock}"), next));
    }
    list.ignore(&["driftfix"]);
    list.finish()
}
