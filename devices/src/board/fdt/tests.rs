use super::*;
use std::collections::BTreeMap;

type Nodes = BTreeMap<String, BTreeMap<String, Vec<u8>>>;

fn word(blob: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(blob[at..at + 4].try_into().expect("four bytes"))
}

fn text(blob: &[u8], at: usize) -> String {
    let end = blob[at..].iter().position(|b| *b == 0).expect("NUL");
    String::from_utf8(blob[at..at + end].to_vec()).expect("text")
}

/// Properties by path of node (Devicetree Specification 0.4, chapter 5).
fn read(blob: &[u8]) -> Nodes {
    let (mut at, strings) = (word(blob, 8) as usize, word(blob, 12) as usize);
    let (mut nodes, mut path) = (Nodes::new(), Vec::new());
    loop {
        let token = word(blob, at);
        at += 4;
        match token {
            1 => {
                let name = text(blob, at);
                at += (name.len() + 4) & !3;
                path.push(name);
                nodes.insert(path.join("/"), BTreeMap::new());
            }
            2 => drop(path.pop()),
            3 => {
                let (len, name) =
                    (word(blob, at) as usize, text(blob, strings + word(blob, at + 4) as usize));
                let value = blob[at + 8..at + 8 + len].to_vec();
                nodes.get_mut(&path.join("/")).expect("open node").insert(name, value);
                at += 8 + len.next_multiple_of(4);
            }
            4 => {}
            _ => return nodes,
        }
    }
}

fn tree(harts: u32, has_pci: bool, model: &Model, chosen: &Chosen) -> Nodes {
    read(&write(&FdtInput { harts, ram_bytes: 1 << 30, model, has_pci, chosen }).expect("tree"))
}

fn cells(nodes: &Nodes, path: &str, name: &str) -> Vec<u32> {
    let bytes = &nodes[path][name];
    bytes.chunks(4).map(|c| word(c, 0)).collect()
}

#[test]
fn interrupts_find_their_controllers() {
    let t = tree(2, true, &Model::default(), &Chosen::default());
    assert_eq!(cells(&t, "/cpus/cpu@1/interrupt-controller", "phandle"), [4]);
    assert_eq!(cells(&t, "/soc/plic@c000000", "interrupts-extended"), [2, 11, 2, 9, 4, 11, 4, 9]);
    assert_eq!(cells(&t, "/soc/clint@2000000", "interrupts-extended"), [2, 3, 2, 7, 4, 3, 4, 7]);
    assert_eq!(cells(&t, "/cpus/cpu-map/cluster0/core1", "cpu"), cells(&t, "/cpus/cpu@1", "phandle"));
    let plic = cells(&t, "/soc/plic@c000000", "phandle")[0];
    for node in ["rtc@101000", "serial@10000000", "virtio_mmio@10008000"] {
        assert_eq!(cells(&t, &format!("/soc/{node}"), "interrupt-parent"), [plic]);
    }
    assert_eq!(cells(&t, "/soc/virtio_mmio@10008000", "interrupts"), [8]);
    assert_eq!(cells(&t, "/poweroff", "regmap"), cells(&t, "/soc/test@100000", "phandle"));
    let map = cells(&t, "/soc/pci@30000000", "interrupt-map");
    assert_eq!(map.len(), 16 * 6);
    assert_eq!(map[4 * 6..5 * 6], [0x800, 0, 0, 1, plic, 0x21]);
    assert_eq!(map[15 * 6..], [0x1800, 0, 0, 4, plic, 0x22]);
}

#[test]
fn the_model_decides_what_a_processor_says() {
    let mut model = Model::default();
    model.set(Ext::Svade, true);
    model.set(Ext::Zicboz, false);
    model.vm = VmMode::Sv48;
    let t = tree(1, false, &model, &Chosen::default());
    let cpu = &t["/cpus/cpu@0"];
    let isa = String::from_utf8(cpu["riscv,isa"].clone()).expect("text");
    assert!(isa.contains("_svade") && !isa.contains("_svadu") && !isa.contains("zicboz"));
    assert!(cpu["riscv,isa-extensions"].starts_with(b"i\0m\0a\0f\0d\0c\0"));
    assert_eq!(cpu["mmu-type"], b"riscv,sv48\0");
    assert!(cpu.contains_key("riscv,cbom-block-size") && !cpu.contains_key("riscv,cboz-block-size"));
    assert!(!t.contains_key("/soc/pci@30000000"));
}

#[test]
fn the_boot_loader_speaks_under_chosen() {
    let chosen = Chosen {
        bootargs: "quiet\0hidden".into(),
        initrd: Some((0x1_0000_0000, 0x1_0000_0042)),
        rng_seed: Some([9; 32]),
    };
    let t = tree(1, false, &Model::default(), &chosen);
    let c = &t["/chosen"];
    assert_eq!(c["bootargs"], b"quiet\0");
    assert_eq!(cells(&t, "/chosen", "linux,initrd-end"), [1, 0x42]);
    assert_eq!(c["rng-seed"], [9; 32]);
    assert_eq!(c["stdout-path"], b"/soc/serial@10000000\0");
    let none = tree(1, false, &Model::default(), &Chosen::default());
    assert_eq!(none["/chosen"].keys().collect::<Vec<_>>(), ["stdout-path"]);
}

#[test]
fn memory_and_windows_have_64_bits() {
    let t = tree(1, true, &Model::default(), &Chosen::default());
    assert_eq!(cells(&t, "/memory@80000000", "reg"), [0, 0x8000_0000, 0, 0x4000_0000]);
    let windows = cells(&t, "/soc/pci@30000000", "ranges");
    assert_eq!(windows[14..], [0x300_0000, 4, 0, 4, 0, 4, 0]);
    assert_eq!(cells(&t, "/flash@20000000", "reg")[4..], [0, 0x2200_0000, 0, 0x200_0000]);
}
