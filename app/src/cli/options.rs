//! What clap reads: commands and options. `run` and the machine options of `debug` have gone through [`super::words`] before.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// A full-system emulator in a glass case. Without a command it opens the window.
#[derive(Parser, Debug)]
#[command(name = "vitrine", version, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<CliCommand>,
}

/// The commands.
#[derive(Subcommand, Debug)]
pub enum CliCommand {
    /// Run a machine from a file, from the library, or from QEMU's options.
    Run(Box<RunArgs>),
    /// Fetch known guests from Debian's packages.
    #[command(subcommand)]
    Images(ImagesCommand),
    /// Look at machines' descriptions.
    #[command(subcommand)]
    Machine(MachineCommand),
    /// Measure how fast this machine runs guests.
    Bench(crate::bench::BenchArgs),
    /// Look inside.
    #[command(subcommand)]
    Debug(DebugCommand),
}

/// `vitrine images ...`
#[derive(Subcommand, Debug)]
pub enum ImagesCommand {
    /// Say what there is, and where it was put.
    List,
    /// Build a guest from this machine's own Debian mirror.
    Fetch {
        /// Name of the guest; `images list` names them.
        name: String,
        /// Put it here instead of the images' folder.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
        /// Build it again although it is complete, from what the mirror has now.
        #[arg(long)]
        again: bool,
    },
    /// Print the path of a guest's file, for scripts.
    Path {
        /// Name of the guest.
        name: String,
        /// Name of the file; without it the folder is printed.
        file: Option<String>,
    },
}

/// `vitrine machine ...`
#[derive(Subcommand, Debug)]
pub enum MachineCommand {
    /// Explain a description's mistakes by line and column.
    Check {
        /// The TOML file.
        file: PathBuf,
    },
    /// List the machines of the library, and the presets.
    List,
}

/// `vitrine debug ...`
#[derive(Subcommand, Debug)]
pub enum DebugCommand {
    /// Print the IR of blocks of a program.
    Ir(CodeArgs),
    /// Disassemble a program.
    Disasm(CodeArgs),
    /// Write the device tree that a machine gets.
    Dtb(Box<DtbArgs>),
    /// Print the names of a Linux guest's code, from its own memory, or those in files.
    Symbols(Box<SymbolsArgs>),
}

/// Which code to look at.
#[derive(Args, Debug)]
pub struct CodeArgs {
    /// An ELF file, a Linux Image, or a flat binary.
    #[arg(long, value_name = "FILE")]
    pub kernel: PathBuf,
    /// Where to begin, as in 0x80000000; the entry point if not given.
    #[arg(long, value_name = "ADDR")]
    pub at: Option<String>,
    /// How many blocks (ir) or instructions (disasm).
    #[arg(long, default_value_t = 1)]
    pub count: usize,
    /// The CPU model, as for `run`.
    #[arg(long, value_name = "rv64[,EXT=on|off]")]
    pub cpu: Option<String>,
}

/// `vitrine debug dtb`
#[derive(Args, Debug)]
pub struct DtbArgs {
    /// Where to write it; `-` is standard output.
    #[arg(long = "output", value_name = "FILE", help = "-o FILE: where to write it; - is standard output")]
    pub output: PathBuf,
    /// The machine.
    #[command(flatten)]
    pub machine: MachineArgs,
}

/// `vitrine debug symbols`
#[derive(Args, Debug)]
#[command(after_help = "With neither --find nor --at all symbols are printed, as in a System.map.")]
pub struct SymbolsArgs {
    /// Print the symbols whose name holds this.
    #[arg(long, value_name = "TEXT")]
    pub find: Option<String>,
    /// Say what is at this address, virtual or physical.
    #[arg(long, value_name = "ADDR")]
    pub at: Vec<String>,
    /// An ELF file, a System.map, or a copy of a guest's /proc/kallsyms. Without a machine nothing is booted.
    #[arg(long, value_name = "FILE")]
    pub symbols: Vec<PathBuf>,
    /// How long the machine may take to load its kernel.
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    pub timeout: f64,
    /// The machine, which is booted for a moment.
    #[command(flatten)]
    pub machine: MachineArgs,
}

/// `vitrine run`
#[derive(Args, Debug)]
#[command(
    after_help = "Long options may have one dash or two. Headless, the serial port is the terminal: Ctrl-A x leaves, Ctrl-A h helps.\n\
    Exit status: 0 the guest powered off; the guest's own code when it reported failure; 124 --timeout ended the run; 2 bad arguments; 1 any other error."
)]
pub struct RunArgs {
    /// The machine.
    #[command(flatten)]
    pub machine: MachineArgs,
    /// No window: the serial port is the terminal (-nographic is the same).
    #[arg(long)]
    pub headless: bool,
    /// "none" is the same as --headless.
    #[arg(long, value_name = "none|window")]
    pub display: Option<String>,
    /// Build the machine, but wait with its first instruction (-S is the same).
    #[arg(long)]
    pub paused: bool,
    /// A reset by the guest ends the run.
    #[arg(long)]
    pub no_reboot: bool,
    /// End the run after so many seconds, with exit status 124.
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<f64>,
    /// Where Ctrl-A s saves the state; with --timeout the state is saved there when the time is over.
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Go on from a saved state instead of booting.
    #[arg(long, value_name = "FILE")]
    pub resume: Option<PathBuf>,
}

/// What describes a machine.
#[derive(Args, Clone, PartialEq, Eq, Debug, Default)]
pub struct MachineArgs {
    /// A machine's TOML file, the id of a machine in the library, or the name of a preset.
    pub file: Option<String>,
    /// The board (-M is the same).
    #[arg(long, value_name = "virt")]
    pub machine: Option<String>,
    /// Memory: mebibytes, or a number with a unit such as 1G (-m is the same).
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<String>,
    /// Number of harts, 1 to 16.
    #[arg(long, value_name = "N")]
    pub smp: Option<String>,
    /// The CPU model and changes to it.
    #[arg(long, value_name = "rv64[,EXT=on|off]")]
    pub cpu: Option<String>,
    /// A Linux Image or an ELF file.
    #[arg(long, value_name = "FILE")]
    pub kernel: Option<String>,
    /// An initial RAM disk.
    #[arg(long, value_name = "FILE")]
    pub initrd: Option<String>,
    /// The kernel's command line.
    #[arg(long, value_name = "TEXT")]
    pub append: Option<String>,
    /// A device tree instead of the generated one.
    #[arg(long, value_name = "FILE")]
    pub dtb: Option<String>,
    /// Firmware: a file, "none" (the kernel starts in M-mode) or "default" (the built-in SBI).
    #[arg(long, value_name = "FILE")]
    pub bios: Option<String>,
    /// Start the guest that comes with the program.
    #[arg(long)]
    pub embedded: bool,
    /// A disk: file=FILE,format=raw|qcow2,if=virtio|none|pflash,readonly=on,snapshot=on,id=NAME (-hda FILE, -cdrom FILE, -pflash FILE are short forms).
    #[arg(long, value_name = "LIST")]
    pub drive: Vec<String>,
    /// A device: virtio-blk-pci,drive=ID; virtio-net-pci,netdev=ID,mac=MAC; virtio-rng-pci; virtio-serial-pci; virtconsole (-device instead of -pci: over virtio-mmio).
    #[arg(long, value_name = "LIST")]
    pub device: Vec<String>,
    /// A network: user,id=ID,hostfwd=tcp::2222-:22
    #[arg(long, value_name = "LIST")]
    pub netdev: Vec<String>,
    /// Network and card in one: user,hostfwd=... or none.
    #[arg(long, value_name = "LIST")]
    pub nic: Vec<String>,
    /// The old form of --nic.
    #[arg(long, value_name = "LIST", hide = true)]
    pub net: Vec<String>,
    /// A serial port: stdio, mon:stdio, file:FILE, null, none.
    #[arg(long, value_name = "WHERE")]
    pub serial: Vec<String>,
    /// A named place for serial ports: stdio|null|file,id=ID,path=FILE
    #[arg(long, value_name = "LIST")]
    pub chardev: Vec<String>,
    /// Accepted for recipes: rng-random, rng-builtin.
    #[arg(long, value_name = "LIST", hide = true)]
    pub object: Vec<String>,
    /// Accepted for recipes: virtio-mmio.force-legacy=false.
    #[arg(long, value_name = "KEY=VALUE", hide = true)]
    pub global: Vec<String>,
    /// Writes to disks go to temporary files that are dropped at the end.
    #[arg(long)]
    pub snapshot: bool,
    /// Name of the machine.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// How guest code runs: interpreter, tier1, tier2, adaptive, accelerated; or lockstep, which compares one of them with the
    /// interpreter, all the time.
    #[arg(long, value_name = "MODE")]
    pub engine: Option<String>,
    /// The mode that --engine lockstep compares: tier1, tier2 or adaptive; tier2 if not given.
    #[arg(long, value_name = "MODE")]
    pub lockstep_tier: Option<String>,
    /// For experiments: tier1-runs=N,tier2-runs=N,tier2-eager-runs=N (runs before code climbs), code-cache=SIZE, workers=N,
    /// tier1-compiler=direct|cranelift, counters=on|off.
    #[arg(long, value_name = "LIST")]
    pub engine_tuning: Option<String>,
    /// Holds guest code in a tier: ADDR=TIER (a block) or ADDR-END=TIER; physical addresses; interpreter, tier1 or tier2.
    #[arg(long, value_name = "RANGE=TIER")]
    pub pin: Vec<String>,
    /// All harts on one thread, time from the instruction count: a run can be repeated exactly.
    #[arg(long)]
    pub deterministic: bool,
    /// QEMU's word for --deterministic: shift=auto
    #[arg(long, value_name = "LIST")]
    pub icount: Option<String>,
    /// The real-time clock: base=utc,clock=host
    #[arg(long, value_name = "LIST")]
    pub rtc: Option<String>,
}
