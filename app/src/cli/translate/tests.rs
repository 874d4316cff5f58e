//! Recipes as people write them, and the machines that they mean.

use super::*;
use crate::cli::options::{Cli, CliCommand};
use crate::config::{
    Device, DeviceKind, Drive, DriveFormat, DriveInterface, MemorySize, Paging, Serial, SerialTarget,
    Transport,
};
use engine::exec::mode::BlockCompilers;
use std::ffi::OsString;

fn launch_of(line: &str) -> Result<Launch, String> {
    // Words are split at spaces; ~ stands for a space inside a word.
    let args = std::iter::once("vitrine").chain(["run"]).chain(line.split_whitespace());
    let args: Vec<OsString> = args.map(|a| OsString::from(a.replace('~', " "))).collect();
    let cli = crate::cli::parse(args).map_err(|f| f.text())?;
    let Cli { command: Some(CliCommand::Run(run)) } = cli else { return Err("not run".to_owned()) };
    launch(&run.machine, None).map_err(|f| f.text())
}

fn config(line: &str) -> MachineConfig {
    launch_of(line).unwrap_or_else(|e| panic!("{line}: {e}")).config
}

fn error(line: &str) -> String {
    launch_of(line).expect_err(line)
}

fn full(name: &str) -> String {
    std::path::absolute(name).expect("a path").display().to_string()
}

#[test]
fn a_linux_kernel() {
    let c = config(
        "-M virt -nographic -m 512M -smp 4 -cpu rv64 -kernel Image -initrd i.cpio -append console=ttyS0~quiet~-- \
         -no-reboot -bios default -name guest=box,process=x",
    );
    assert_eq!((c.memory, c.harts), (MemorySize(512 << 20), 4));
    assert_eq!(c.boot.kernel, Some(full("Image")));
    assert_eq!(c.boot.initrd, Some(full("i.cpio")));
    assert_eq!(c.boot.append.as_deref(), Some("console=ttyS0 quiet --"));
    assert_eq!((c.boot.bios, c.name.as_str()), (None, "box"));
    assert_eq!(c.net.mode, NetworkMode::None);
}

#[test]
fn engine_and_tuning() {
    let usual = config("-kernel k -accel tcg");
    assert_eq!((usual.engine, usual.tuning.is_empty()), (EngineMode::default(), true));
    let c = config(
        "-kernel k --engine interpreter --engine-tuning tier1-runs=8,code-cache=4M,workers=0,tier1-compiler=cranelift",
    );
    assert_eq!(c.engine, EngineMode::Interpreter);
    let t = c.tuning;
    assert_eq!((t.tier1_runs, t.tier2_runs, t.workers), (Some(8), None, Some(0)));
    assert_eq!(t.code_cache, Some(MemorySize(4 << 20)));
    assert_eq!(t.applied().tier1_compiler, BlockCompilers::Cranelift);
}

#[test]
fn code_is_pinned() {
    let c = config("-kernel k --pin 0x80200000=tier1 --pin=0x80201000-0x80202000=interpreter");
    let pins: Vec<_> = c.pins.iter().map(ToString::to_string).collect();
    assert_eq!(pins, ["0x80200000=tier1", "0x80201000-0x80202000=interpreter"]);
}

#[test]
fn lockstep_takes_a_tier_and_is_deterministic() {
    let c = config("-kernel k --engine lockstep");
    assert_eq!((c.engine, c.deterministic), (EngineMode::Tier2, true));
    let c = config("-kernel k --engine lockstep --lockstep-tier tier1");
    assert_eq!((c.engine, c.deterministic), (EngineMode::Tier1, true));
}

#[test]
fn xv6() {
    let c = config(
        "-machine virt -bios none -kernel kernel/kernel -m 128M -smp 3 -nographic \
         -global virtio-mmio.force-legacy=false -drive file=fs.img,if=none,format=raw,id=x0 \
         -device virtio-blk-device,drive=x0,bus=virtio-mmio-bus.0",
    );
    assert_eq!(c.boot.bios.as_deref(), Some("none"));
    let drive = Drive { file: full("fs.img"), transport: Transport::Mmio, ..Drive::default() };
    assert_eq!(c.drives, [drive]);
}

#[test]
fn a_distribution_with_firmware_disk_network_and_random_numbers() {
    let c = config(
        "-machine virt,acpi=off,aclint=off -cpu rv64,zfa=off,svade=on,sv57=off,v=false -m 4G -smp cpus=4,maxcpus=4 \
         -bios fw_jump.elf -kernel u-boot.bin -object rng-random,filename=/dev/urandom,id=rng0 \
         -device virtio-rng-pci,rng=rng0 -device virtio-net-pci,netdev=usernet,mac=52:54:00:11:22:33 \
         -netdev user,id=usernet,hostfwd=tcp::10000-:22,restrict=off -drive file=d.qcow2,format=qcow2,if=virtio,cache=unsafe \
         -snapshot -rtc base=utc,clock=host -accel tcg,thread=multi -monitor none",
    );
    assert_eq!(c.cpu.extensions, ["-zfa", "+svade"]);
    assert_eq!(c.cpu.paging, Some(Paging::Sv48));
    assert_eq!(c.boot.bios, Some(full("fw_jump.elf")));
    assert_eq!(c.devices, [Device { kind: DeviceKind::Rng, transport: Transport::Pci }]);
    assert_eq!(c.net.netdev_words().as_deref(), Some("user,restrict=off,hostfwd=tcp::10000-:22"));
    assert_eq!(c.net.mac.as_deref(), Some("52:54:00:11:22:33"));
    assert!(c.drives[0].snapshot && c.drives[0].format == DriveFormat::Qcow2);
}

#[test]
fn short_forms() {
    let c = config(
        "-kernel k -hda a,b.img -cdrom c.iso -pflash code.fd -nic user,model=virtio-net-device,hostfwd=udp::1-:2",
    );
    let names: Vec<_> = c.drives.iter().map(|d| (d.file.clone(), d.readonly, d.interface)).collect();
    assert_eq!(
        names,
        [
            (full("a,b.img"), false, DriveInterface::Virtio),
            (full("c.iso"), true, DriveInterface::Virtio),
            (full("code.fd"), false, DriveInterface::Pflash)
        ]
    );
    assert_eq!((c.net.mode, c.net.transport), (NetworkMode::User, Transport::Mmio));
    assert_eq!(config("-kernel k -net nic,model=virtio -net user").net.mode, NetworkMode::User);
    assert_eq!(config("-kernel k -nic none").net.mode, NetworkMode::None);
    assert_eq!(config("-kernel k -m 1024").memory, MemorySize(1 << 30));
    assert_eq!(config("-kernel k -m size=2G").memory, MemorySize(2 << 30));
    assert_eq!(config("-kernel k -smp sockets=2,cores=3").harts, 6);
    assert!(config("-kernel k -icount shift=4,sleep=off").deterministic);
    assert!(config("-kernel k --deterministic").deterministic);
    assert!(config("--embedded -append poweroff").boot.embedded);
    assert!(config("-kernel k -cpu rv64,misaligned=trap").cpu.trap_misaligned);
}

#[test]
fn serial_ports_and_consoles() {
    let ports = |line: &str| launch_of(line).unwrap_or_else(|e| panic!("{line}: {e}")).ports;
    assert_eq!(ports("-kernel k"), [PortTarget::Stdio]);
    assert_eq!(ports("-kernel k -serial mon:stdio"), [PortTarget::Stdio]);
    assert_eq!(ports("-kernel k -serial file:out,1"), [PortTarget::File("out,1".into())]);
    let line = "-kernel k -chardev stdio,id=c0,mux=on,signal=off -serial chardev:c0";
    assert_eq!(ports(line), [PortTarget::Stdio]);
    let line =
        "-kernel k -device virtio-serial-device -device virtconsole,chardev=x -chardev file,path=o,id=x";
    assert_eq!(ports(line), [PortTarget::Stdio, PortTarget::File("o".into())]);
    assert_eq!(config(line).devices, [Device { kind: DeviceKind::Console, transport: Transport::Mmio }]);
    let line = "-kernel k -device virtio-serial-pci -device virtconsole,chardev=x -chardev stdio,id=x";
    assert_eq!(ports(line), [PortTarget::Null, PortTarget::Stdio]);
    assert_eq!(config("-kernel k -serial none").serial, [Serial { target: SerialTarget::Null }]);
    assert!(error("-kernel k -serial stdio -serial null").contains("one serial port"));
    assert!(error("-kernel k -serial telnet:localhost:1").contains("file:FILE"));
    assert!(error("-kernel k -serial chardev:z").contains("no chardev \"z\""));
}

#[test]
fn a_file_and_options_that_change_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("m.toml");
    let text = "schema = 1\nname = \"T\"\nharts = 2\n[boot]\nkernel = \"Image\"\ninitrd = \"image:debian-riscv64/mini.cpio\"\n\
        [[drives]]\nfile = \"d.raw\"\n";
    std::fs::write(&file, text).expect("written");
    let c = config(&format!("{} -smp 3 -hda e.raw -append x", file.display()));
    assert_eq!((c.harts, c.name.as_str()), (3, "T"));
    let beside = dir.path().join("Image").display().to_string();
    assert_eq!(c.boot.kernel, Some(beside));
    assert!(c.boot.initrd.expect("kept").ends_with("images/debian-riscv64/mini.cpio"));
    assert_eq!(c.drives.len(), 2);
    assert_eq!(c.drives[0].file, dir.path().join("d.raw").display().to_string());
    assert_eq!(c.net.mode, NetworkMode::User, "what the file says stays");
    std::fs::write(&file, text.replace("harts = 2", "harts = 0")).expect("written");
    let mistake = error(&file.display().to_string());
    assert!(mistake.contains("m.toml:3:9:"), "{mistake}");
    assert!(config("embedded").boot.embedded);
}

#[test]
fn mistakes_say_what_to_do() {
    let cases = [
        ("-M sifive_u -kernel k", "-M virt"),
        ("-M virt,aia=aplic -kernel k", "PLIC"),
        ("-M virt,dumpdtb=x.dtb -kernel k", "vitrine debug dtb -o x.dtb"),
        ("-M virt,bananas=on -kernel k", "no option \"bananas\""),
        ("-m 0 -kernel k", "(-m)"),
        ("-m 2G,maxmem=4G -kernel k", "maxmem"),
        ("-smp 0 -kernel k", "Use 1 to 16"),
        ("-smp 99 -kernel k", "Use 1 to 16"),
        ("-smp 4,cores=3 -kernel k", "cores="),
        ("-smp four -kernel k", "not a number"),
        ("-cpu max -kernel k", "-cpu rv64"),
        ("-cpu rv64,zfaa=on -kernel k", "\"zfa\""),
        ("-cpu rv64,v=on -kernel k", "No model has v"),
        ("-cpu rv64,m=off -kernel k", "cannot be switched off"),
        ("-cpu rv64,zfa=perhaps -kernel k", "neither on nor off"),
        ("-append x", "-kernel"),
        ("", "Name a kernel"),
        ("--embedded -initrd x", "embedded guest takes no initrd"),
        ("-kernel k -drive flie=x", "\"file\""),
        ("-kernel k -drive if=virtio", "file=FILE"),
        ("-kernel k -drive file=x,if=ide", "if=virtio"),
        ("-kernel k -drive file=x,format=vmdk", "qcow2"),
        ("-kernel k -drive file=x,if=none,id=d", "-device virtio-blk-pci,drive=d"),
        ("-kernel k -device virtio-blk-pci,drive=d", "if=none,id=d"),
        ("-kernel k -device virtio-blk-device,drive=d,bus=virtio-mmio-bus.7", "virtio-mmio-bus.0"),
        ("-kernel k -device virtio-bkl-pci", "\"virtio-blk-pci\""),
        ("-kernel k -device virtio-gpu-pci", "no device"),
        ("-kernel k -device virtconsole", "virtio-serial-pci"),
        ("-kernel k -netdev tap,id=n", "Use user"),
        ("-kernel k -netdev user,id=n", "virtio-net-pci,netdev=n"),
        ("-kernel k -nic user,hostfwd=tcp:x", "hostfwd"),
        ("-kernel k -nic user,model=e1000", "virtio-net-pci"),
        ("-kernel k -nic user -nic user", "at most one"),
        ("-kernel k -nic user,mac=1", "not an Ethernet address"),
        ("-kernel k -object memory-backend-ram,id=x", "no object"),
        ("-kernel k -global a.b=c", "global property"),
        ("-kernel k --engine jit", "interpreter"),
        ("-kernel k --engine accelerated", "not available"),
        ("-kernel k --lockstep-tier tier1", "--engine lockstep"),
        ("-kernel k --engine lockstep --lockstep-tier fast", "no engine mode"),
        ("-kernel k --engine-tuning tier1-runs=0", "0 runs are no threshold"),
        ("-kernel k --engine-tuning tier1-runs=many", "not a number"),
        ("-kernel k --engine-tuning tier2-runs=99999999999", "too large"),
        ("-kernel k --engine-tuning code-cache=1K", "256K to 1G"),
        ("-kernel k --engine-tuning code-cache=big", "not a size"),
        ("-kernel k --engine-tuning wrokers=1", "\"workers\""),
        ("-kernel k --engine-tuning workers=17", "0 to 16"),
        ("-kernel k --engine-tuning tier1-compiler=gcc", "direct, cranelift"),
        ("-kernel k --pin 0x80200000", "ADDRESS=TIER"),
        ("-kernel k --pin 0x20-0x10=tier1", "ends before"),
        ("-kernel k --pin 0x20=adaptive", "interpreter, tier1, tier2"),
        ("-kernel k -rtc base=localtime", "base=utc"),
        ("-kernel k -icount shift=99", "shift"),
        ("-kernel image:../x", "names no file"),
    ];
    for (line, part) in cases {
        let text = error(line);
        assert!(text.contains(part), "{line}: {text}");
    }
}

#[test]
fn a_qcow2_file_must_be_called_so() {
    let dir = tempfile::tempdir().expect("a folder");
    let disk = dir.path().join("d.img");
    std::fs::write(&disk, b"QFI\xfb\0\0\0\x03").expect("written");
    assert!(error(&format!("-kernel k -hda {}", disk.display())).contains("format=qcow2"));
    assert!(launch_of(&format!("-kernel k -drive file={},format=raw", disk.display())).is_ok());
}
