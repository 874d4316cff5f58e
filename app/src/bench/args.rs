//! What `vitrine bench` takes.

use clap::Args;
use std::path::PathBuf;

/// `vitrine bench`
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Figures are medians (lowest to highest). CPU seconds are user and system time of the whole process; \"vcpu\" is its busiest\n\
    thread. The kernels' source is also compiled for the host, plain and vectorised, to compare with.\n\
    The Debian cases need `vitrine images fetch debian-riscv64` and `installer-riscv64`, or --kernel and --installer.\n\
    A template is a command with {elf}, or with {kernel}, {initrd} and {append}; two with the same NAME= are one emulator:\n\
    --against 'rv=emulator -bios fw.bin -kernel {kernel} -initrd {initrd} -append {append}'"
)]
pub struct BenchArgs {
    /// Cases, beginnings of their names, or groups; all if none is given.
    pub names: Vec<String>,
    /// Measure another emulator in turn: "qemu", a program that takes QEMU's words, or a template.
    #[arg(long, value_name = "[NAME=]qemu|PROGRAM|TEMPLATE")]
    pub against: Vec<String>,
    /// Modes to measure: "all", or words with commas between; all for what is short, the default mode for Linux, if not given.
    #[arg(long, value_name = "MODES")]
    pub engine: Option<String>,
    /// Thresholds and sizes of the engine, as for `run`.
    #[arg(long, value_name = "LIST")]
    pub engine_tuning: Option<String>,
    /// How much work the kernels and single events do; at 1 a kernel takes half a second natively.
    #[arg(long, value_name = "FACTOR", default_value_t = 0.1)]
    pub scale: f64,
    /// How often each case is run.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub runs: u32,
    /// A kernel Image; mini.cpio and work.cpio lie beside it.
    #[arg(long, value_name = "FILE")]
    pub kernel: Option<PathBuf>,
    /// The installer's kernel; its initrd.gz lies beside it.
    #[arg(long, value_name = "FILE")]
    pub installer: Option<PathBuf>,
    /// Leave the native kernels out.
    #[arg(long)]
    pub no_native: bool,
    /// The host's compiler.
    #[arg(long, value_name = "PROGRAM", default_value = "cc")]
    pub cc: String,
    /// Give a run up after so many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub limit: u64,
    /// Write the result as JSON to standard output, the table to standard error.
    #[arg(long)]
    pub json: bool,
    /// List the cases and run nothing.
    #[arg(long)]
    pub list: bool,
}
