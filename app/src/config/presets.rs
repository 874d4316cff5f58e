//! The machines that come with the program, as templates.

use super::machine::MachineConfig;

/// A template.
pub struct Preset {
    /// Its name in `configs/`, without the ending.
    pub id: &'static str,
    /// What it is good for, in one sentence.
    pub about: &'static str,
    /// The description as it comes with the program.
    pub text: &'static str,
}

impl Preset {
    /// The description; the templates are checked by a test, so that a default takes the place of a broken one.
    pub fn config(&self) -> MachineConfig {
        MachineConfig::parse(self.text, self.id).unwrap_or_default()
    }
}

macro_rules! preset {
    ($id:literal, $about:literal) => {
        Preset { id: $id, about: $about, text: include_str!(concat!("../../../configs/", $id, ".toml")) }
    };
}

const PRESETS: &[Preset] = &[
    preset!("embedded", "The small guest inside this program: starts at once, nothing to fetch."),
    preset!("debian-installer", "Debian's own installer, from the network, on an empty disk."),
    preset!("linux-kernel", "A Linux kernel of yours with an initial RAM disk."),
    preset!("firmware", "OpenSBI, then U-Boot: boots whatever the disk holds."),
];

/// All templates; the first is the embedded guest.
pub fn presets() -> &'static [Preset] {
    PRESETS
}
