//! The RISC-V CPU model: which extensions a machine's harts have.

use serde::{Deserialize, Serialize};

macro_rules! extensions {
    ($( $(#[$doc:meta])* $name:ident $text:literal $default:literal; )*) => {
        /// One extension beyond RV64IMAFDC with M, S and U mode, Zicsr and Zifencei, which every model has.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Ext { $( #[doc = $text] $(#[$doc])* $name, )* }

        impl Ext {
            /// Every extension in the order of ISA strings.
            pub const ALL: &'static [Ext] = &[ $( Ext::$name, )* ];
            /// Its name in ISA strings.
            pub const fn text(self) -> &'static str {
                match self { $( Ext::$name => $text, )* }
            }
            /// Whether the default model has it.
            pub const fn default_on(self) -> bool {
                match self { $( Ext::$name => $default, )* }
            }
        }
    };
}

// In canonical order: Zi*, Zm/Za, Zf, Zc, Zb, S*.
extensions! {
    Zicbom "zicbom" true;
    Zicbop "zicbop" true;
    Zicboz "zicboz" true;
    Zicntr "zicntr" true;
    Zicond "zicond" true;
    Zihintpause "zihintpause" true;
    Zihpm "zihpm" true;
    Zacas "zacas" true;
    Zawrs "zawrs" true;
    Zfa "zfa" true;
    Zfh "zfh" true;
    Zfhmin "zfhmin" true;
    Zcb "zcb" true;
    Zba "zba" true;
    Zbb "zbb" true;
    Zbc "zbc" true;
    Zbs "zbs" true;
    Sstc "sstc" true;
    /// Page faults instead of hardware updates of accessed and dirty bits.
    Svade "svade" false;
    /// Hardware updates them when `menvcfg.ADUE` is set.
    Svadu "svadu" true;
    Svinval "svinval" true;
    Svnapot "svnapot" true;
    Svpbmt "svpbmt" true;
}

/// Largest page-table mode.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord, Serialize, Deserialize, Default)]
pub enum VmMode {
    /// Three levels.
    Sv39,
    /// Four.
    Sv48,
    /// Five.
    #[default]
    Sv57,
}

/// A CPU model.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Model {
    /// Bit `Ext as u8` set = present.
    extensions: u64,
    /// Largest page-table mode; smaller ones are supported too.
    pub vm: VmMode,
    /// PMP regions, 0 to 16.
    pub pmp_regions: u8,
    /// Misaligned loads and stores raise exceptions.
    pub trap_misaligned: bool,
    /// S-mode calls are served by the built-in SBI; M-mode is not entered.
    pub builtin_sbi: bool,
    /// Whether the machine runs deterministically (hart counters and time come from the instruction count).
    pub deterministic: bool,
}

impl Default for Model {
    fn default() -> Model {
        let mut m = Model {
            extensions: 0,
            vm: VmMode::Sv57,
            pmp_regions: 16,
            trap_misaligned: false,
            builtin_sbi: false,
            deterministic: false,
        };
        for e in Ext::ALL {
            m.set(*e, e.default_on());
        }
        m
    }
}

impl Model {
    /// Whether the model has `ext`.
    #[inline]
    pub fn has(&self, ext: Ext) -> bool {
        self.extensions & 1 << ext as u8 != 0
    }

    /// Adds or removes `ext`. Svade and Svadu exclude each other; Zfh brings Zfhmin.
    pub fn set(&mut self, ext: Ext, on: bool) {
        let bit = |e: Ext| 1u64 << e as u8;
        if on {
            self.extensions |= bit(ext);
            match ext {
                Ext::Svade => self.extensions &= !bit(Ext::Svadu),
                Ext::Svadu => self.extensions &= !bit(Ext::Svade),
                Ext::Zfh => self.extensions |= bit(Ext::Zfhmin),
                _ => {}
            }
        } else {
            self.extensions &= !bit(ext);
            if ext == Ext::Zfhmin {
                self.extensions &= !bit(Ext::Zfh);
            }
        }
    }

    /// The extension names of the device tree's `riscv,isa-extensions`.
    pub fn isa_extensions(&self) -> Vec<&'static str> {
        let mut v = vec!["i", "m", "a", "f", "d", "c", "zicsr", "zifencei"];
        v.extend(Ext::ALL.iter().filter(|e| self.has(**e)).map(|e| e.text()));
        v
    }

    /// The device tree's `riscv,isa` string.
    pub fn isa_string(&self) -> String {
        let ext: Vec<_> = self.isa_extensions()[6..].to_vec();
        format!("rv64imafdc_{}", ext.join("_"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn svade_and_svadu_exclude_each_other() {
        let mut m = Model::default();
        assert!(m.has(Ext::Svadu) && !m.has(Ext::Svade));
        m.set(Ext::Svade, true);
        assert!(!m.has(Ext::Svadu) && m.has(Ext::Svade));
        assert!(m.isa_string().starts_with("rv64imafdc_zicsr_zifencei_"));
    }
}
