//! Real guests in tests: where their files are, a machine that is talked to, the reference that runs beside it.
//!
//! Nothing here waits without end: a [`Guest`] has a time limit for everything that is asked of it, and a [`Watchdog`]
//! ends the test program if even that hangs.

pub mod asm;
pub mod console;
pub mod exact;
pub mod host;
pub mod images;
pub mod qemu;
pub mod screen;
pub mod switching;
pub mod watchdog;
pub mod workload;

pub use console::{Guest, TICK};
pub use watchdog::Watchdog;

use std::path::Path;
use vitrine::config::{Boot, MachineConfig, Network, NetworkMode};
use vitrine::machine::api::EngineMode;

/// A machine of one hart and 1 GiB without network that boots Linux by the built-in firmware.
pub fn linux(name: &str, kernel: &Path, initrd: &Path, append: &str) -> MachineConfig {
    MachineConfig {
        name: name.to_owned(),
        boot: Boot {
            kernel: Some(text(kernel)),
            initrd: Some(text(initrd)),
            append: Some(append.to_owned()),
            ..Boot::default()
        },
        net: Network { mode: NetworkMode::None, ..Network::default() },
        engine: engine(),
        ..MachineConfig::default()
    }
}

/// The mode in which guests run whose test asks for none: `VITRINE_ENGINE`, or the default. All these tests in one mode show
/// that it boots and serves whatever the others do.
pub fn engine() -> EngineMode {
    let Ok(word) = std::env::var("VITRINE_ENGINE") else { return EngineMode::default() };
    let mode = EngineMode::from_word(&word);
    assert!(mode.is_some(), "VITRINE_ENGINE: there is no mode {word}");
    mode.unwrap_or_default()
}

/// Whether everything is to be run in every mode of the engine, which takes hours on a small host: `VITRINE_ALL_MODES`.
pub fn all_modes() -> bool {
    std::env::var_os("VITRINE_ALL_MODES").is_some_and(|v| !v.is_empty() && v != "0")
}

/// A path as descriptions hold it.
pub fn text(path: &Path) -> String {
    path.display().to_string()
}
