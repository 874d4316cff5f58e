//! The kernels as a program of the host: the same source by the host's compiler, so that a ratio says what emulation costs.

use super::meter::Reading;
use crate::machine::api::UserError;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use thiserror::Error;

/// The source, as the embedded guest is built from it.
const SOURCE: [(&str, &str); 4] = [
    ("native/main.c", include_str!("../../../assets/guest/native/main.c")),
    ("src/kernels.c", include_str!("../../../assets/guest/src/kernels.c")),
    ("src/kernels.h", include_str!("../../../assets/guest/src/kernels.h")),
    ("src/base.h", include_str!("../../../assets/guest/src/base.h")),
];
/// As the guest is compiled, but for the host's CPU: fused multiply-add would be a call into a library otherwise.
const FLAGS: [&str; 6] = [
    "-std=gnu17",
    "-march=native",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-tree-loop-distribute-patterns",
    "-lm",
];
/// A kernel runs at least so long at full scale.
pub const FULL_SECONDS: f64 = 0.5;

/// How it is compiled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Variant {
    /// One element at a time, as the guest's code.
    Scalar,
    /// With all that the compiler can do.
    Vector,
}

impl Variant {
    /// Both.
    pub const ALL: [Variant; 2] = [Variant::Scalar, Variant::Vector];

    /// What the table calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Variant::Scalar => "native",
            Variant::Vector => "native-O3",
        }
    }

    const fn flags(self) -> &'static [&'static str] {
        match self {
            Variant::Scalar => &["-O2", "-fno-tree-vectorize"],
            Variant::Vector => &["-O3"],
        }
    }
}

/// A native kernel that gave no reading.
#[derive(Debug, Error)]
pub enum NativeError {
    /// It did not start.
    #[error("{0} could not be started: {1}")]
    Start(PathBuf, std::io::Error),
    /// It computed something else, or died.
    #[error("the native kernel {0} says: {1}")]
    Failed(String, String),
}

/// A compiled program.
#[derive(Clone, Debug)]
pub struct Native {
    /// How it was compiled.
    pub variant: Variant,
    program: PathBuf,
}

impl Native {
    /// Compiles it into the folder; `None` without a compiler.
    pub fn compile(cc: &str, variant: Variant, folder: &Path) -> Result<Option<Native>, UserError> {
        let failed = |what: String| UserError::new(what, cc, "Leave the native rows out with --no-native.");
        let write = |name: &str, text: &str| {
            let file = folder.join(name);
            std::fs::create_dir_all(file.parent().unwrap_or(folder))?;
            std::fs::write(file, text)
        };
        for (name, text) in SOURCE {
            write(name, text)
                .map_err(|e| failed(format!("The kernels' source could not be written: {e}")))?;
        }
        let program = folder.join(format!("kernels-{}", variant.name()));
        let sources = ["native/main.c", "src/kernels.c"].map(|n| folder.join(n));
        let run =
            Command::new(cc).args(variant.flags()).args(sources).args(FLAGS).arg("-o").arg(&program).output();
        match run {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(failed(format!("The compiler could not be started: {e}"))),
            Ok(run) if run.status.success() => Ok(Some(Native { variant, program })),
            Ok(run) => Err(failed(format!(
                "The kernels could not be compiled: {}",
                String::from_utf8_lossy(&run.stderr)
            ))),
        }
    }

    /// Runs a kernel so many times; CPU nanoseconds.
    fn once(&self, kernel: &str, times: u64) -> Result<u64, NativeError> {
        let run = Command::new(&self.program).args([kernel, &times.to_string()]).output();
        let run = run.map_err(|e| NativeError::Start(self.program.clone(), e))?;
        let text = String::from_utf8_lossy(&run.stdout).into_owned();
        let ns = cpu_ns(&text).filter(|_| run.status.success());
        ns.ok_or_else(|| NativeError::Failed(kernel.to_owned(), text.trim().to_owned()))
    }

    /// What `passes` of a kernel cost. It runs at least `least` seconds, in more passes if it must; the figure is of `passes`.
    pub fn read(&self, kernel: &str, passes: u64, least: f64) -> Result<Reading, NativeError> {
        let begin = Instant::now();
        let mut times = passes.max(1);
        loop {
            let seconds = self.once(kernel, times)? as f64 / 1e9;
            if seconds >= least || times > 1 << 30 {
                let cpu = seconds * passes as f64 / times as f64;
                return Ok(Reading { cpu, vcpu: None, wall: begin.elapsed().as_secs_f64(), peak_kib: None });
            }
            times = grown(times, seconds, least);
        }
    }
}

/// Passes that take long enough, with some to spare.
fn grown(times: u64, seconds: f64, least: f64) -> u64 {
    let factor = (1.2 * least / seconds.max(1e-6)).clamp(1.2, 1000.0);
    (times as f64 * factor).ceil() as u64
}

/// The nanoseconds in "NAME TIMES cpu_ns N check X ok".
fn cpu_ns(line: &str) -> Option<u64> {
    let mut words = line.split_whitespace().skip_while(|w| *w != "cpu_ns");
    words.nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_runs_grow() {
        assert_eq!(cpu_ns("crc32 20 cpu_ns 139993228 check 1983e474 ok"), Some(139_993_228));
        assert_eq!(cpu_ns("crc32 20 cpu_ns"), None);
        assert_eq!(grown(1, 0.01, 0.5), 60);
        assert!(grown(10, 0.0, 0.5) <= 10_000 && grown(10, 0.49, 0.5) >= 12);
    }

    #[test]
    fn both_variants_compute_what_the_guest_computes() {
        let dir = tempfile::tempdir().expect("a folder");
        for variant in Variant::ALL {
            // Without a compiler there is nothing to compare.
            let Some(native) = Native::compile("cc", variant, dir.path()).expect("compiles") else { return };
            let reading = native.read("fib", 2, 0.0).expect("right");
            assert!(reading.cpu > 0.0);
            assert!(matches!(native.read("none", 1, 0.0), Err(NativeError::Failed(..))));
        }
        assert!(
            Native::compile("no-such-compiler", Variant::Scalar, dir.path()).expect("no error").is_none()
        );
    }
}
