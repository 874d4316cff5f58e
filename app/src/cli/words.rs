//! QEMU's options have one dash and long names, clap's have two. Each word of QEMU's is known here by name and by
//! whether a value follows it, so that a value may begin with a dash, a slip gets the nearest word, and an option that this
//! program has not gets a reason.

use super::list::escape;
use super::near;
use super::report::{Failure, usage};
use std::ffi::{OsStr, OsString};

/// What to do with a word.
#[derive(Clone, Copy)]
enum Kind {
    /// Stands alone; clap knows it by this name.
    Flag(&'static str),
    /// A value follows; clap knows it by this name.
    Value(&'static str),
    /// A value follows; it is short for `-drive` with these further entries.
    Drive(&'static str),
    /// Stands alone and asks for what is so here anyway.
    Always,
    /// A value follows; only these values are so here anyway, others get the reason.
    Only(&'static [&'static str], &'static str),
    /// This program has it not, for this reason; it stands alone.
    NoFlag(&'static str),
    /// This program has it not, for this reason; a value follows.
    NoValue(&'static str),
}
use Kind::{Always, Drive, Flag, NoFlag, NoValue, Only, Value};

const NO_DISPLAY: &str = "A virt machine has no graphics card yet; its console is the serial port.";
const NO_MONITOR: &str = "There is no monitor on a socket or device; headless, Ctrl-A c opens a small one.";
const NO_GDB: &str = "There is no debugger's server yet.";
const NO_MIGRATION: &str = "Use --save FILE and --resume FILE for saved states.";
const NO_LOG: &str = "Set VITRINE_LOG=debug in the environment for a log on standard error.";
const NO_ACCEL: &str = "Guest code runs in Vitrine's own engine; choose its mode with --engine.";
const NO_BLOCKDEV: &str = "Use -drive file=FILE,format=raw,if=none,id=NAME.";
const NO_USB: &str = "There is no USB yet.";
const NO_AUDIO: &str = "There is no sound yet.";
const NO_DAEMON: &str = "Use the shell to run it in the background.";

const WORDS: &[(&str, Kind)] = &[
    ("machine", Value("machine")),
    ("M", Value("machine")),
    ("m", Value("memory")),
    ("memory", Value("memory")),
    ("smp", Value("smp")),
    ("cpu", Value("cpu")),
    ("kernel", Value("kernel")),
    ("initrd", Value("initrd")),
    ("append", Value("append")),
    ("dtb", Value("dtb")),
    ("bios", Value("bios")),
    ("drive", Value("drive")),
    ("hda", Drive("if=virtio")),
    ("hdb", Drive("if=virtio")),
    ("hdc", Drive("if=virtio")),
    ("hdd", Drive("if=virtio")),
    ("cdrom", Drive("format=raw,if=virtio,readonly=on")),
    ("pflash", Drive("format=raw,if=pflash")),
    ("device", Value("device")),
    ("netdev", Value("netdev")),
    ("nic", Value("nic")),
    ("net", Value("net")),
    ("serial", Value("serial")),
    ("chardev", Value("chardev")),
    ("object", Value("object")),
    ("global", Value("global")),
    ("display", Value("display")),
    ("nographic", Flag("headless")),
    ("headless", Flag("headless")),
    ("snapshot", Flag("snapshot")),
    ("no-reboot", Flag("no-reboot")),
    ("name", Value("name")),
    ("S", Flag("paused")),
    ("paused", Flag("paused")),
    ("icount", Value("icount")),
    ("rtc", Value("rtc")),
    ("engine", Value("engine")),
    ("lockstep-tier", Value("lockstep-tier")),
    ("engine-tuning", Value("engine-tuning")),
    ("pin", Value("pin")),
    ("timeout", Value("timeout")),
    ("deterministic", Flag("deterministic")),
    ("save", Value("save")),
    ("resume", Value("resume")),
    ("embedded", Flag("embedded")),
    ("at", Value("at")),
    ("count", Value("count")),
    ("find", Value("find")),
    ("symbols", Value("symbols")),
    ("o", Value("output")),
    ("output", Value("output")),
    ("h", Flag("help")),
    ("help", Flag("help")),
    ("accel", Only(&["tcg"], NO_ACCEL)),
    ("monitor", Only(&["none", "null", "stdio"], NO_MONITOR)),
    ("qmp", Only(&["none"], "There is no QMP yet.")),
    ("vga", Only(&["none"], NO_DISPLAY)),
    ("parallel", Only(&["none", "null"], "There is no parallel port.")),
    ("audio", Only(&["none"], NO_AUDIO)),
    ("boot", NoValue("The kernel or firmware decides what is booted; change the order of the drives.")),
    ("no-user-config", Always),
    ("nodefaults", Always),
    ("no-acpi", Always),
    ("enable-kvm", NoFlag(NO_ACCEL)),
    (
        "no-shutdown",
        NoFlag("A machine that powers off ends the run; use the window to look at it afterwards."),
    ),
    ("s", NoFlag(NO_GDB)),
    ("gdb", NoValue(NO_GDB)),
    ("blockdev", NoValue(NO_BLOCKDEV)),
    ("sd", NoValue("The virt machine has no SD card; use -drive file=FILE,format=raw,if=virtio.")),
    ("fda", NoValue("The virt machine has no floppy drive.")),
    ("mtdblock", NoValue("Use -drive file=FILE,format=raw,if=pflash.")),
    ("mon", NoValue(NO_MONITOR)),
    ("loadvm", NoValue(NO_MIGRATION)),
    ("incoming", NoValue(NO_MIGRATION)),
    ("usb", NoFlag(NO_USB)),
    ("usbdevice", NoValue(NO_USB)),
    ("audiodev", NoValue(NO_AUDIO)),
    ("vnc", NoValue(NO_DISPLAY)),
    ("spice", NoValue(NO_DISPLAY)),
    ("full-screen", NoFlag(NO_DISPLAY)),
    ("k", NoValue(NO_DISPLAY)),
    ("g", NoValue(NO_DISPLAY)),
    ("d", NoValue(NO_LOG)),
    ("D", NoValue(NO_LOG)),
    ("trace", NoValue(NO_LOG)),
    ("daemonize", NoFlag(NO_DAEMON)),
    ("pidfile", NoValue(NO_DAEMON)),
    ("numa", NoValue("A machine's memory is one piece.")),
    ("fw_cfg", NoValue("There is no way to add items to fw_cfg yet.")),
    ("smbios", NoValue("The virt machine is described by its device tree only.")),
    ("acpitable", NoValue("The virt machine is described by its device tree only.")),
    ("semihosting", NoFlag("There is no semihosting; use the serial port and the test device.")),
    ("semihosting-config", NoValue("There is no semihosting; use the serial port and the test device.")),
    ("virtfs", NoValue("There is no shared folder yet; use -netdev user or a disk.")),
    ("fsdev", NoValue("There is no shared folder yet; use -netdev user or a disk.")),
    ("tpmdev", NoValue("There is no TPM.")),
    ("L", NoValue("Name the firmware's file with -bios FILE.")),
    ("readconfig", NoValue("Name a machine's TOML file instead: vitrine run MACHINE.toml.")),
    ("seed", NoValue("Random numbers come from the host; --deterministic makes runs repeatable.")),
    ("run-with", NoValue("Use the system's own means to run it as another user.")),
    ("sandbox", NoValue("Use the system's own sandbox.")),
];

/// Rewrites QEMU's words as clap's, each with its value in one argument.
pub fn normalise(args: impl IntoIterator<Item = OsString>) -> Result<Vec<OsString>, Failure> {
    let mut out = Vec::new();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        match arg.to_str().and_then(option_name) {
            None => out.push(arg),
            Some((name, attached)) => {
                let kind = find(name)?;
                let mut value = || match attached {
                    Some(v) => Ok(OsString::from(v)),
                    None => args.next().ok_or_else(|| {
                        usage(
                            format!("-{name} needs a value"),
                            "",
                            format!("Write it after -{name}, or see vitrine run -help."),
                        )
                    }),
                };
                if let Some(word) = one(name, kind, attached.is_some(), &mut value)? {
                    out.push(word);
                }
            }
        }
    }
    Ok(out)
}

/// The name of an option, and its value if it is attached with `=`.
fn option_name(arg: &str) -> Option<(&str, Option<&str>)> {
    let name = arg.strip_prefix("--").or_else(|| arg.strip_prefix('-')).filter(|n| !n.is_empty())?;
    Some(match name.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (name, None),
    })
}

fn find(name: &str) -> Result<Kind, Failure> {
    if let Some((_, kind)) = WORDS.iter().find(|(w, _)| *w == name) {
        return Ok(*kind);
    }
    let known = WORDS.iter().filter(|(_, k)| !matches!(k, NoFlag(_) | NoValue(_))).map(|(w, _)| *w);
    let advice = match near::nearest(name, known) {
        Some(near) => format!("Did you mean -{near}?"),
        None => "vitrine run -help lists the options.".to_owned(),
    };
    Err(usage(format!("There is no option -{name}"), "", advice))
}

fn one(
    name: &str,
    kind: Kind,
    attached: bool,
    value: &mut dyn FnMut() -> Result<OsString, Failure>,
) -> Result<Option<OsString>, Failure> {
    let refused = |reason: &str| Err(usage(format!("-{name} is not supported"), "", reason));
    match kind {
        Flag(_) | Always if attached => Err(usage(format!("-{name} takes no value"), "", "Remove it.")),
        Flag(long) => Ok(Some(format!("--{long}").into())),
        Always => Ok(None),
        Value(long) => {
            let mut word = OsString::from(format!("--{long}="));
            word.push(value()?);
            Ok(Some(word))
        }
        Drive(more) => {
            let file = utf8(name, &value()?)?;
            Ok(Some(format!("--drive=file={},{more}", escape(&file)).into()))
        }
        Only(allowed, reason) => {
            let given = utf8(name, &value()?)?;
            let first = given.split(',').next().unwrap_or_default();
            if allowed.contains(&first) { Ok(None) } else { refused(reason) }
        }
        NoFlag(reason) | NoValue(reason) => refused(reason),
    }
}

fn utf8(name: &str, value: &OsStr) -> Result<String, Failure> {
    value.to_str().map(str::to_owned).ok_or_else(|| {
        usage(format!("The value of -{name} is not UTF-8"), value.to_string_lossy(), "Rename the file.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Result<Vec<String>, String> {
        normalise(line.split(' ').map(OsString::from))
            .map(|v| v.into_iter().map(|w| w.to_string_lossy().into_owned()).collect())
            .map_err(|f| f.text())
    }

    #[test]
    fn one_dash_two_dashes_and_values_with_dashes() {
        let got = words("-kernel Image -append -x --m=1G -nographic -S m.toml -hda a,b");
        assert_eq!(
            got.expect("known words"),
            [
                "--kernel=Image",
                "--append=-x",
                "--memory=1G",
                "--headless",
                "--paused",
                "m.toml",
                "--drive=file=a,,b,if=virtio"
            ]
        );
        assert_eq!(words("-monitor none -accel tcg,thread=multi -nodefaults"), Ok(Vec::new()));
    }

    #[test]
    fn slips_missing_values_and_what_there_is_not() {
        let error = |line: &str| words(line).expect_err(line);
        assert!(error("-kernle Image").contains("Did you mean -kernel?"));
        assert!(error("--banana").contains("-help"));
        assert!(error("-kernel").contains("needs a value"));
        assert!(error("-nographic=1").contains("takes no value"));
        assert!(error("-vga std").contains("no graphics card"));
        assert!(error("-monitor telnet:x").contains("Ctrl-A c"));
        assert!(error("-s").contains("debugger"));
    }

    #[test]
    fn no_word_is_listed_twice() {
        for (i, (word, _)) in WORDS.iter().enumerate() {
            assert!(WORDS[..i].iter().all(|(w, _)| w != word), "{word}");
        }
    }
}
