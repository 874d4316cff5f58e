//! From a description to a machine that stands ready: board, devices, disks, networks, harts.

use super::api::{CodePin, SerialPort, UserError};
use super::attach;
use crate::config::{Home, MachineConfig, Paging};
use crossbeam_channel::Sender;
use devices::backend::chardev::{CharInput, SharedSink};
use devices::block::MessageFn;
use devices::board::make_harts;
use devices::board::virt::{VirtBackends, VirtBoard, VirtConfig};
use devices::boot::{self, Bios, BootFile, BootFiles, BootPlan, BootSpec, Start, Target};
use engine::exec::cpu::{MachineEvent, Shared};
use engine::exec::engine::Engine;
use engine::exec::inputs::InputPort;
use engine::exec::mode::Mode;
use engine::exec::time::{Clock, TimeSource};
use engine::guest::riscv::model::{Ext, Model, VmMode};
use engine::guest::riscv::{self, Riscv};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

/// Virtual nanoseconds per instruction in deterministic mode: a hart of 100 million instructions per second.
const NS_PER_INSN: u64 = 10;
/// Where deterministic machines believe to be in time: 2026-01-01 00:00 UTC, in Unix ns.
const FIXED_WALL_NS: u64 = 1_767_225_600_000_000_000;
/// Where the random numbers of deterministic machines begin.
const ENTROPY_SEED: u64 = 0x5eed;
/// The guest that comes with the program.
pub const EMBEDDED: &[u8] = include_bytes!("../../../assets/guest/glass.elf");

/// A machine.
pub struct Machine {
    /// Its harts.
    pub engine: Box<dyn Engine>,
    /// Its board.
    pub board: VirtBoard,
    /// Its clock.
    pub clock: Arc<Clock>,
    /// What types at each serial port.
    pub typed: Vec<CharInput>,
    /// How far a deterministic machine is in its random numbers.
    pub entropy_state: Arc<AtomicU64>,
}

fn refuse(what: impl Into<String>, next: impl Into<String>) -> UserError {
    UserError::new(what, "", next)
}

/// The CPU model of a description.
pub fn model(config: &MachineConfig) -> Result<Model, UserError> {
    let mut model = Model::default();
    model.deterministic = config.deterministic;
    if let Some(name) = config.cpu.model.as_deref().filter(|n| !matches!(*n, "rv64" | "max")) {
        return Err(refuse(format!("There is no CPU model \"{name}\""), "Use rv64."));
    }
    for change in &config.cpu.extensions {
        let (on, name) = match change.split_at_checked(1) {
            Some(("+", name)) => (true, name),
            Some(("-", name)) => (false, name),
            _ => {
                return Err(refuse(format!("\"{change}\" is no change of the CPU"), "Write +name or -name."));
            }
        };
        let Some(ext) = Ext::ALL.iter().find(|e| e.text().eq_ignore_ascii_case(name)) else {
            let known: Vec<_> = Ext::ALL.iter().map(|e| e.text()).collect();
            return Err(refuse(
                format!("The CPU has no extension \"{name}\""),
                format!("Known are {}.", known.join(", ")),
            ));
        };
        model.set(*ext, on);
    }
    model.trap_misaligned = config.cpu.trap_misaligned;
    model.vm = match config.cpu.paging {
        Some(Paging::Sv39) => VmMode::Sv39,
        Some(Paging::Sv48) => VmMode::Sv48,
        Some(Paging::Sv57) | None => VmMode::Sv57,
    };
    model.builtin_sbi = config.boot.bios.is_none() && !config.boot.embedded;
    Ok(model)
}

/// Where the description's paths lead.
pub struct Paths {
    base: PathBuf,
    images: PathBuf,
}

impl Paths {
    /// For a machine of the user's library, or with absolute paths.
    pub fn of(config: &MachineConfig) -> Result<Paths, UserError> {
        let home = Home::find().map_err(|e| refuse(e.to_string(), ""))?;
        Ok(Paths { base: home.machine_dir(&config.id), images: home.images_dir() })
    }

    /// A path of the description.
    pub fn resolve(&self, config: &MachineConfig, path: &str) -> PathBuf {
        config.resolve(path, &self.base, &self.images)
    }
}

fn boot_spec(config: &MachineConfig, paths: &Paths) -> Result<BootSpec, UserError> {
    let b = &config.boot;
    let file = |p: &Option<String>| p.as_deref().map(|p| paths.resolve(config, p));
    let bios = match b.bios.as_deref() {
        _ if b.embedded => Bios::None,
        None | Some("builtin") => Bios::BuiltIn,
        Some("none") => Bios::None,
        Some(path) => Bios::File(paths.resolve(config, path)),
    };
    if b.dtb.is_some() && (b.initrd.is_some() || b.append.as_deref().is_some_and(|a| !a.is_empty())) {
        return Err(refuse(
            "A device tree of your own is used as it is",
            "Put initrd and bootargs into its /chosen node, or leave -dtb out.",
        ));
    }
    Ok(BootSpec {
        bios,
        kernel: file(&b.kernel),
        initrd: file(&b.initrd),
        append: b.append.clone().unwrap_or_default(),
        rng_seed: Some(seed(config.deterministic)),
    })
}

/// Seed of the guest's generator. A deterministic machine gets the same one each time: without any, its kernel would mix its pool
/// anew for each random number until it has collected enough.
fn seed(deterministic: bool) -> [u8; 32] {
    let mut seed = *b"this seed is the same every time";
    if !deterministic {
        host_entropy(&mut seed);
    }
    seed
}

fn host_entropy(buf: &mut [u8]) {
    let mut rest = buf;
    while !rest.is_empty() {
        match rustix::rand::getrandom(&mut *rest, rustix::rand::GetRandomFlags::empty()) {
            Ok(n) => rest = &mut rest[n..],
            Err(rustix::io::Errno::INTR) => {}
            // A host without entropy is not something a guest can be told; zeroes are what is left.
            Err(_) => return,
        }
    }
}

/// Entropy of a deterministic machine: the same numbers in every run (SplitMix64).
fn fixed_entropy(state: Arc<AtomicU64>) -> impl Fn(&mut [u8]) + Send + Sync {
    move |buf| {
        for chunk in buf.chunks_mut(8) {
            let mut z =
                state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed).wrapping_add(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }
}

fn clock(config: &MachineConfig) -> Arc<Clock> {
    if config.deterministic {
        return Clock::new(TimeSource::Instructions, FIXED_WALL_NS);
    }
    let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Clock::new(TimeSource::Host, unix.map_or(0, |d| d.as_nanos() as u64))
}

impl Machine {
    /// Builds it. Nothing is loaded and nothing runs. `events` hears of power-off and reboot,
    /// `notices` of failing disks.
    pub fn build(
        config: &MachineConfig,
        ports: &[SerialPort],
        events: Sender<MachineEvent>,
        notices: &MessageFn,
    ) -> Result<Machine, UserError> {
        let model = model(config)?;
        let clock = clock(config);
        let inputs = InputPort::new();
        let (harts, lines) = make_harts(config.harts);
        let typed = CharInput::default();
        let out = ports.first().cloned();
        let entropy_state = Arc::new(AtomicU64::new(ENTROPY_SEED));
        let entropy: devices::board::platform::EntropyFn = match config.deterministic {
            true => Arc::new(fixed_entropy(entropy_state.clone())),
            false => Arc::new(host_entropy),
        };
        let paths = Paths::of(config)?;
        let halt: Arc<OnceLock<Arc<dyn Fn() + Send + Sync>>> = Arc::default();
        let heard = halt.clone();
        let backends = VirtBackends {
            serial: SharedSink::new(Box::new(move |bytes: &[u8]| {
                if let Some(port) = &out {
                    port.push_output(bytes);
                }
            })),
            typed: typed.clone(),
            events: Arc::new(move |e| {
                if let Some(halt) = heard.get() {
                    halt();
                }
                let _ = events.try_send(e);
            }),
            entropy: entropy.clone(),
            flash: attach::flash(config, &paths)?,
            clock: clock.clone(),
            inputs: inputs.clone(),
        };
        let virt = VirtConfig { harts: config.harts, ram_bytes: config.memory.0, model: model.clone() };
        let mut board = VirtBoard::new(virt, &lines, backends)
            .map_err(|e| refuse(sentence(&e.to_string()), "Change the machine's memory or processors."))?;
        let consoles =
            attach::all(config, &paths, &mut board, ports.get(1..).unwrap_or_default(), &entropy, notices)?;
        let typed = std::iter::once(typed).chain(consoles).collect();
        let shared = Arc::new(Shared::<Riscv> {
            model,
            memory: board.memory().clone(),
            clock: clock.clone(),
            inputs,
            harts,
            platform: board.platform(),
            ns_per_insn: NS_PER_INSN,
        });
        let mut engine = riscv::engine(shared);
        let _ = halt.set(engine.halter());
        engine.settings().set_tuning(config.tuning.applied());
        engine.settings().set_mode(config.engine.tiers().unwrap_or(Mode::Interpreter));
        for CodePin(pin) in &config.pins {
            let next = "Change or remove the machine's pins.";
            engine.pin(pin.clone()).map_err(|e| refuse(sentence(&e.to_string()), next))?;
        }
        engine
            .spawn()
            .map_err(|e| refuse(sentence(&e.to_string()), "Close other programs and try again."))?;
        Ok(Machine { engine, board, clock, typed, entropy_state })
    }

    /// Stops harts, clock and devices, so that the machine can be saved. [`Machine::wake`] undoes it.
    pub fn rest(&self) {
        self.engine.pause();
        self.engine.settle();
        self.board.quiesce();
    }

    /// Lets devices go on after [`Machine::rest`], and harts if `run`.
    pub fn wake(&self, run: bool) {
        self.board.resume();
        if run {
            self.engine.resume();
        }
    }

    /// Loads what the description boots, and starts the harts (they run once the engine is resumed).
    pub fn boot(&self, config: &MachineConfig) -> Result<(), UserError> {
        let failed = |e: boot::BootError| refuse(sentence(&e.to_string()), "");
        let paths = Paths::of(config)?;
        let plan = self.plan(config, &paths)?;
        plan.install(&self.board).map_err(failed)?;
        match plan.start {
            Start::Supervisor(pc) => self.engine.start(0, pc, [0, plan.fdt]),
            Start::Machine(pc) => {
                (0..self.engine.harts()).for_each(|i| self.engine.start(i, pc, [i as u64, plan.fdt]))
            }
        }
        Ok(())
    }

    fn plan(&self, config: &MachineConfig, paths: &Paths) -> Result<BootPlan, UserError> {
        let failed = |e: boot::BootError| refuse(sentence(&e.to_string()), "");
        let spec = boot_spec(config, paths)?;
        let own_tree =
            config.boot.dtb.as_deref().map(|p| read_tree(&paths.resolve(config, p))).transpose()?;
        let mut files = BootFiles::open(&spec).map_err(failed)?;
        if config.boot.embedded {
            files.kernel = Some(BootFile::from_bytes(boot::Role::Kernel, "glass.elf", EMBEDDED.to_vec()));
        }
        let target = Target {
            ram: devices::board::map::Range { base: devices::board::map::RAM_BASE, size: config.memory.0 },
            flash: self.board.boots_from_flash(),
            tree: &|chosen| match &own_tree {
                Some(bytes) => Ok(bytes.clone()),
                None => self.board.device_tree(chosen),
            },
        };
        boot::plan_files(&spec, &files, &target).map_err(failed)
    }

    /// The device tree that the guest would get, for `debug dtb`.
    pub fn device_tree(&self, config: &MachineConfig) -> Result<Vec<u8>, UserError> {
        let plan = self.plan(config, &Paths::of(config)?)?;
        let blob = plan.blobs.into_iter().find(|b| b.at == plan.fdt);
        match blob.map(|b| b.content) {
            Some(boot::Content::Bytes(bytes)) => Ok(bytes),
            _ => Err(refuse("The boot plan holds no device tree", "Please report this.")),
        }
    }
}

fn read_tree(path: &Path) -> Result<Vec<u8>, UserError> {
    const MAGIC: [u8; 4] = [0xd0, 0x0d, 0xfe, 0xed];
    const LARGEST: u64 = 1 << 20;
    let name = path.display().to_string();
    let fail = |what: String| UserError::new(what, &name, "Give a compiled device tree (.dtb).");
    let meta =
        std::fs::metadata(path).map_err(|e| fail(format!("The device tree could not be read: {e}")))?;
    // Reading a named pipe would wait for its other end.
    if !meta.is_file() {
        return Err(fail("The device tree is not a file".into()));
    }
    if meta.len() > LARGEST {
        return Err(fail("The device tree is larger than 1 MiB".into()));
    }
    let bytes = std::fs::read(path).map_err(|e| fail(format!("The device tree could not be read: {e}")))?;
    if !bytes.starts_with(&MAGIC) {
        return Err(fail("This is not a device tree".into()));
    }
    Ok(bytes)
}

/// A library's error, which starts in lower case, as a sentence without its full stop.
pub fn sentence(text: &str) -> String {
    let mut chars = text.trim_end_matches('.').chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}
