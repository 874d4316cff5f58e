//! What is kept on disk: machines and settings as TOML with a schema version, and where they lie.

pub mod diagnose;
mod home;
mod lock;
mod machine;
mod migrate;
mod presets;
mod settings;
mod size;
mod store;
mod tuning;
mod validate;

pub use diagnose::{ConfigError, Problem};
pub use home::Home;
pub use lock::{LockError, MachineLock};
pub use machine::{
    Arch, Boot, Cpu, Device, DeviceKind, Drive, DriveFormat, DriveInterface, MachineConfig, Network,
    NetworkMode, Paging, Serial, SerialTarget, Transport,
};
pub use presets::{Preset, presets};
pub use settings::{Settings, ThemeChoice};
pub use size::MemorySize;
pub use store::{StoreError, write_atomically};
pub use tuning::{CODE_MAX, CODE_MIN, CODE_STEP, EngineTuning, RUNS_MAX};
pub use validate::{HARTS_MAX, MEMORY_MAX, MEMORY_MIN, check_forward, check_mac, is_valid_id};

#[cfg(test)]
mod tests;
