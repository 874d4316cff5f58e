//! Our side: the `virt` board with one hart in this process, as `-bios none -kernel prog.elf` boots it.

use super::elf::Image;
use anyhow::{Result, bail};
use devices::backend::chardev::{CharInput, SharedSink};
use devices::board::make_harts;
use devices::board::map::{RAM_BASE, Range};
use devices::board::virt::{VirtBackends, VirtBoard, VirtConfig};
use devices::boot::{self, Bios, BootFile, BootFiles, BootSpec, Role, Start, Target};
use engine::exec::cpu::{MachineEvent, Shared};
use engine::exec::engine::Engine;
use engine::exec::inputs::InputPort;
use engine::exec::mode::{Mode, Tuning};
use engine::exec::time::{Clock, TimeSource};
use engine::guest::riscv::model::Model;
use engine::guest::riscv::{self, Riscv};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::time::Duration;

/// Bytes of RAM on both sides.
const RAM: u64 = 128 << 20;

/// How the machine is to run.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The CPU.
    pub model: Model,
    /// Where time comes from.
    pub time: TimeSource,
    /// Virtual nanoseconds of an instruction.
    pub ns_per_insn: u64,
    /// Which tiers run it.
    pub mode: Mode,
    /// Their thresholds.
    pub tuning: Tuning,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            model: Model::default(),
            time: TimeSource::Host,
            ns_per_insn: 10,
            mode: Mode::default(),
            tuning: Tuning::default(),
        }
    }
}

/// A machine with a program, not yet running.
pub struct Ours {
    /// Its hart.
    pub engine: Box<dyn Engine>,
    /// Its devices.
    pub board: VirtBoard,
    /// Its clock.
    pub clock: Arc<Clock>,
    output: Arc<Mutex<Vec<u8>>>,
    /// How the program has ended.
    pub events: Mutex<mpsc::Receiver<MachineEvent>>,
}

impl Ours {
    /// Builds the machine and loads the program.
    pub fn load(image: &Image, setup: Setup) -> Result<Ours> {
        let clock = Clock::new(setup.time, 0);
        let inputs = InputPort::new();
        let (harts, lines) = make_harts(1);
        let output = Arc::new(Mutex::new(Vec::new()));
        let (power, events) = mpsc::channel();
        let sink = output.clone();
        let halt: Arc<OnceLock<Arc<dyn Fn() + Send + Sync>>> = Arc::default();
        let heard = halt.clone();
        let backends = VirtBackends {
            serial: SharedSink::new(Box::new(move |bytes: &[u8]| {
                if let Ok(mut out) = sink.lock() {
                    out.extend_from_slice(bytes);
                }
            })),
            typed: CharInput::default(),
            events: Arc::new(move |event| {
                if let Some(halt) = heard.get() {
                    halt();
                }
                // The machine may be on its way out already.
                let _ = power.send(event);
            }),
            entropy: Arc::new(|bytes| bytes.fill(0)),
            flash: [None, None],
            clock: clock.clone(),
            inputs: inputs.clone(),
        };
        let virt = VirtConfig { harts: 1, ram_bytes: RAM, model: setup.model.clone() };
        let board = VirtBoard::new(virt, &lines, backends)?;
        let shared = Shared::<Riscv> {
            model: setup.model,
            memory: board.memory().clone(),
            clock: clock.clone(),
            inputs,
            harts,
            platform: board.platform(),
            ns_per_insn: setup.ns_per_insn,
        };
        let mut engine = riscv::engine(Arc::new(shared));
        let _ = halt.set(engine.halter());
        engine.settings().set_tuning(setup.tuning);
        engine.settings().set_mode(setup.mode);
        engine.spawn()?;
        let ours = Ours { engine, board, clock, output, events: Mutex::new(events) };
        ours.boot(image)?;
        Ok(ours)
    }

    fn boot(&self, image: &Image) -> Result<()> {
        let files = BootFiles {
            kernel: Some(BootFile::from_bytes(Role::Kernel, "test.elf", image.elf())),
            ..BootFiles::default()
        };
        let spec = BootSpec { bios: Bios::None, ..BootSpec::default() };
        let tree = |chosen: &devices::board::fdt::Chosen| self.board.device_tree(chosen);
        let target = Target { ram: Range { base: RAM_BASE, size: RAM }, flash: false, tree: &tree };
        let plan = boot::plan_files(&spec, &files, &target)?;
        plan.apply(self.board.memory())?;
        let Start::Machine(pc) = plan.start else { bail!("a program without firmware must start in M-mode") };
        self.engine.start(0, pc, [0, plan.fdt]);
        Ok(())
    }

    /// What the program has written to its serial port.
    pub fn text(&self) -> String {
        self.output.lock().map(|o| String::from_utf8_lossy(&o).into_owned()).unwrap_or_default()
    }
}

/// Runs the program on the default model and returns what it wrote to its serial port.
pub fn run(image: &Image, limit: Duration) -> Result<String> {
    run_model(image, Model::default(), limit)
}

/// The same on another model.
pub fn run_model(image: &Image, model: Model, limit: Duration) -> Result<String> {
    let ours = Ours::load(image, Setup { model, ..Setup::default() })?;
    ours.engine.resume();
    let end = match ours.events.lock() {
        Ok(events) => events.recv_timeout(limit),
        Err(_) => bail!("a reader of the machine's events panicked"),
    };
    ours.engine.pause();
    let text = ours.text();
    match end {
        Ok(MachineEvent::PowerOff(0)) => Ok(text),
        Ok(event) => bail!("the program ended with {event:?}"),
        Err(_) => {
            let tail = text.lines().rev().take(4).collect::<Vec<_>>();
            let at = ours.engine.view(0).map_or(0, |h| h.pc);
            bail!(
                "the program did not end on Vitrine within {limit:?}, pc {at:#x}; last lines (newest first): {tail:?}"
            )
        }
    }
}
