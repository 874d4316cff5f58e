//! `vitrine debug`: a program's code as disassembly and as IR, a machine's device tree, a guest's symbols ([`symbols`]).

use super::options::{CodeArgs, DebugCommand, DtbArgs};
use super::report::{Failure, failed, print, usage};
use super::{symbols, translate};
use crate::config::MachineConfig;
use crate::machine::build::{self, Machine};
use devices::board::map::{RAM_BASE, Range};
use devices::boot::{self, Bios, BootPlan, BootSpec, Content, Target};
use engine::guest::riscv::model::Model;
use engine::guest::riscv::{KEY_FS_CLEAN, Riscv};
use engine::guest::{Guest, LiftInput};
use engine::ir::Boundary;
use engine::ir::opt::{Rules, optimise};
use engine::ir::print::Names;
use std::io::Write;
use std::path::Path;

/// Memory that a program may ask for here.
const RAM_BYTES: u64 = 4 << 30;
/// Longest block in bytes: to the end of a page.
const PAGE: u64 = 4096;

/// Carries out the command.
pub fn run(command: DebugCommand) -> Result<u8, Failure> {
    match command {
        DebugCommand::Ir(args) => print(&ir(&args)?)?,
        DebugCommand::Disasm(args) => print(&disassembly(&args)?)?,
        DebugCommand::Dtb(args) => device_tree(&args)?,
        DebugCommand::Symbols(args) => return symbols::run(&args),
    }
    Ok(0)
}

/// A program as it lies in memory.
struct Program {
    plan: BootPlan,
    entry: u64,
}

impl Program {
    fn load(path: &Path) -> Result<Program, Failure> {
        let spec = BootSpec { bios: Bios::BuiltIn, kernel: Some(path.to_owned()), ..BootSpec::default() };
        let wrong = |e: boot::BootError| {
            failed(build::sentence(&e.to_string()), "", "Name an ELF file or a Linux Image.")
        };
        let files = boot::BootFiles::open(&spec).map_err(wrong)?;
        let target = Target {
            ram: Range { base: RAM_BASE, size: RAM_BYTES },
            flash: false,
            tree: &|_| Ok(Vec::new()),
        };
        let plan = boot::plan_files(&spec, &files, &target).map_err(wrong)?;
        let entry = match plan.start {
            boot::Start::Supervisor(pc) | boot::Start::Machine(pc) => pc,
        };
        Ok(Program { plan, entry })
    }

    /// Up to `len` bytes at an address; fewer at the end of what was loaded.
    fn read(&self, at: u64, len: u64) -> Vec<u8> {
        let holds = |b: &&boot::Blob| at >= b.at && at - b.at < b.size;
        let Some(blob) = self.plan.blobs.iter().find(holds) else { return Vec::new() };
        let offset = at - blob.at;
        let room = usize::try_from(len.min(blob.size - offset)).unwrap_or(usize::MAX);
        match &blob.content {
            Content::Bytes(bytes) => {
                let from = usize::try_from(offset).unwrap_or(usize::MAX);
                bytes.get(from..).unwrap_or_default().iter().copied().take(room).collect()
            }
            Content::Part(part) => {
                let mut bytes = vec![0; room];
                let n = part.read_at(offset, &mut bytes).unwrap_or(0);
                bytes.truncate(n);
                bytes
            }
        }
    }

    fn start(&self, args: &CodeArgs) -> Result<u64, Failure> {
        let Some(text) = &args.at else { return Ok(self.entry) };
        let number = match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => text.parse(),
        };
        number.map_err(|_| usage("This is no address", format!("--at {text}"), "Write it as in 0x80000000."))
    }
}

fn nothing_at(pc: u64) -> Failure {
    failed("No code was loaded there", format!("{pc:#x}"), "Without --at it begins at the entry point.")
}

fn disassembly(args: &CodeArgs) -> Result<String, Failure> {
    let program = Program::load(&args.kernel)?;
    let mut pc = program.start(args)?;
    let mut text = String::new();
    for _ in 0..args.count {
        let code = program.read(pc, Riscv::MAX_INSN_BYTES as u64);
        let (insn, len) = Riscv::disassemble(&code, pc);
        if len == 0 {
            break;
        }
        let raw: String = code.iter().take(len).rev().map(|b| format!("{b:02x}")).collect();
        text.push_str(&format!("{pc:#18x}  {raw:>8}  {insn}\n"));
        pc = pc.wrapping_add(len as u64);
    }
    if text.is_empty() { Err(nothing_at(pc)) } else { Ok(text) }
}

fn ir(args: &CodeArgs) -> Result<String, Failure> {
    let program = Program::load(&args.kernel)?;
    let mut config = MachineConfig::default();
    if let Some(cpu) = &args.cpu {
        config.cpu = translate::cpu(cpu)?;
    }
    let model = build::model(&config)?;
    let mut pc = program.start(args)?;
    let mut text = String::new();
    for _ in 0..args.count {
        let Some((block, bytes)) = one_block(&program, &model, pc) else { break };
        text.push_str(&block);
        pc = pc.wrapping_add(bytes);
    }
    if text.is_empty() { Err(nothing_at(pc)) } else { Ok(text) }
}

/// The text of the block at `pc`, and how many bytes of code it has.
fn one_block(program: &Program, model: &Model, pc: u64) -> Option<(String, u64)> {
    let code = program.read(pc, PAGE - pc % PAGE);
    // Float state on and clean, as a program finds it; no limit but the lifter's own.
    let lift = |code: &[u8]| Riscv::lift(model, LiftInput { code, key: KEY_FS_CLEAN, max_insns: u32::MAX });
    let mut block = lift(&code);
    if block.bounds.is_empty() {
        // The first instruction spans two pages: then it is a block of its own.
        block = lift(&program.read(pc, Riscv::MAX_INSN_BYTES as u64));
    }
    if block.bounds.is_empty() {
        return None;
    }
    optimise(&mut block, &Rules::of::<Riscv>(Riscv::ZERO));
    let asm = |b: &Boundary| {
        let raw = b.raw.to_le_bytes();
        let code = raw.get(..usize::from(b.len))?;
        Some(Riscv::disassemble(code, pc.wrapping_add(b.offset.into())).0)
    };
    let names = Names { asm: &asm, ..Names::of::<Riscv>() };
    let text = engine::ir::print::print(&block, &names);
    Some((format!("; at {pc:#x}\n{text}\n"), u64::from(block.bytes)))
}

fn device_tree(args: &DtbArgs) -> Result<(), Failure> {
    let mut config = translate::launch(&args.machine, None)?.config;
    translate::check_files(&config)?;
    // Disks and networks do not change with who looks at the tree.
    config.net.hostfwd.clear();
    config.drives.iter_mut().for_each(|d| d.readonly = true);
    let (events, _heard) = crossbeam_channel::bounded(1);
    let quiet: devices::block::MessageFn = std::sync::Arc::new(|_| {});
    let tree = Machine::build(&config, &[], events, &quiet)?.device_tree(&config)?;
    if args.output.as_os_str() == "-" {
        let written = std::io::stdout().lock().write_all(&tree);
        return written
            .map_err(|e| failed(format!("The tree cannot be written: {e}"), "standard output", ""));
    }
    std::fs::write(&args.output, tree).map_err(|e| {
        let place = args.output.display().to_string();
        failed(format!("The tree cannot be written: {e}"), place, "Check the folder and its permissions.")
    })
}
