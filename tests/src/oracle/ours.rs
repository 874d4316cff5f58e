//! Our side: the `virt` board with one hart in this process, as `-bios none -kernel prog.elf` boots it.

use super::elf::Image;
use anyhow::{Result, bail};
use devices::backend::chardev::{CharInput, SharedSink};
use devices::board::make_harts;
use devices::board::map::{RAM_BASE, Range};
use devices::board::virt::{VirtBackends, VirtBoard, VirtConfig};
use devices::boot::{self, Bios, BootFile, BootFiles, BootSpec, Role, Start, Target};
use engine::exec::cpu::{MachineEvent, Shared};
use engine::exec::inputs::InputPort;
use engine::exec::time::{Clock, TimeSource};
use engine::guest::riscv::model::Model;
use engine::guest::riscv::{self, Riscv};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

/// Bytes of RAM on both sides.
const RAM: u64 = 128 << 20;

/// Runs the program on the default model and returns what it wrote to its serial port.
pub fn run(image: &Image, limit: Duration) -> Result<String> {
    run_model(image, Model::default(), limit)
}

/// The same on another model.
pub fn run_model(image: &Image, model: Model, limit: Duration) -> Result<String> {
    let clock = Clock::new(TimeSource::Host, 0);
    let inputs = InputPort::new();
    let (harts, lines) = make_harts(1);
    let output = Arc::new(Mutex::new(Vec::new()));
    let (power, events) = mpsc::channel();
    let sink = output.clone();
    let backends = VirtBackends {
        serial: SharedSink::new(Box::new(move |bytes: &[u8]| {
            if let Ok(mut out) = sink.lock() {
                out.extend_from_slice(bytes);
            }
        })),
        typed: CharInput::default(),
        events: Arc::new(move |event| {
            // The machine may be on its way out already.
            let _ = power.send(event);
        }),
        entropy: Arc::new(|bytes| bytes.fill(0)),
        flash: [None, None],
        clock: clock.clone(),
        inputs: inputs.clone(),
    };
    let board =
        VirtBoard::new(VirtConfig { harts: 1, ram_bytes: RAM, model: model.clone() }, &lines, backends)?;
    let platform = board.platform();
    let shared = Shared::<Riscv> {
        model,
        memory: board.memory().clone(),
        clock,
        inputs,
        harts,
        platform,
        ns_per_insn: 10,
    };
    let mut engine = riscv::engine(Arc::new(shared));
    engine.spawn()?;
    let files = BootFiles {
        kernel: Some(BootFile::from_bytes(Role::Kernel, "test.elf", image.elf())),
        ..BootFiles::default()
    };
    let spec = BootSpec { bios: Bios::None, ..BootSpec::default() };
    let tree = |chosen: &devices::board::fdt::Chosen| board.device_tree(chosen);
    let target = Target { ram: Range { base: RAM_BASE, size: RAM }, flash: false, tree: &tree };
    let plan = boot::plan_files(&spec, &files, &target)?;
    plan.apply(board.memory())?;
    let Start::Machine(pc) = plan.start else { bail!("a program without firmware must start in M-mode") };
    engine.start(0, pc, [0, plan.fdt]);
    engine.resume();
    let end = events.recv_timeout(limit);
    engine.pause();
    let text = output.lock().map(|o| String::from_utf8_lossy(&o).into_owned()).unwrap_or_default();
    match end {
        Ok(MachineEvent::PowerOff(0)) => Ok(text),
        Ok(event) => bail!("the program ended with {event:?}"),
        Err(_) => {
            let tail = text.lines().rev().take(4).collect::<Vec<_>>();
            let at = engine.view(0).map_or(0, |h| h.pc);
            bail!(
                "the program did not end on Vitrine within {limit:?}, pc {at:#x}; last lines (newest first): {tail:?}"
            )
        }
    }
}
