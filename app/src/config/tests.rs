use super::*;
use crate::machine::api::EngineMode;

const FULL: &str = r#"schema = 1
name = "Full"
harts = 4
memory = "512M"
engine = "interpreter"
pins = ["0x80200000-0x80201000=tier1", "0x80300000=interpreter"]
[cpu]
extensions = ["-zfa", "+svade"]
[tuning]
tier2_runs = 100
code_cache = "4M"
[boot]
kernel = "image:debian/Image"
append = "console=ttyS0"
[net]
hostfwd = ["tcp:127.0.0.1:2222-:22", "udp::53-10.0.2.15:53"]
[[drives]]
file = "disk.raw"
if = "virtio"
snapshot = true
[[serial]]
target = "terminal"
"#;

fn problems(text: &str) -> Vec<Problem> {
    MachineConfig::parse(text, "test.toml").expect_err("a mistake").problems
}

#[test]
fn a_full_description_survives_writing_and_reading() {
    let config = MachineConfig::parse(FULL, "test.toml").expect("valid");
    assert_eq!((config.engine, config.tuning.tier2_runs), (EngineMode::Interpreter, Some(100)));
    assert_eq!(config.memory, MemorySize(512 << 20));
    assert_eq!(config.pins[1].to_string(), "0x80300000=interpreter");
    assert!(config.drives[0].snapshot && config.drives[0].interface == DriveInterface::Virtio);
    let again = MachineConfig::parse(&config.to_toml().expect("writable"), "again").expect("valid");
    assert_eq!(config, again);
}

#[test]
fn mistakes_are_found_with_line_and_column() {
    let wrong = FULL
        .replace("harts = 4", "harts = 99")
        .replace("-zfa", "zfa")
        .replace("2222-:22", "2222-:0")
        .replace("disk.raw", "");
    let found = problems(&wrong);
    let places: Vec<_> = found.iter().map(|p| (p.field.as_str(), p.line, p.column)).collect();
    assert_eq!(
        places,
        [
            ("harts", 3, 9),
            ("cpu.extensions[0]", 8, 15),
            ("drives[0].file", 18, 8),
            ("net.hostfwd[0]", 16, 12)
        ]
    );
}

#[test]
fn syntax_types_and_unknown_fields_are_found_with_their_place() {
    assert_eq!(problems("schema = 1\nname = \"x")[0].line, 2);
    let kind = &problems("schema = 1\nname = \"x\"\nharts = \"two\"\n")[0];
    assert_eq!((kind.line, kind.column), (3, 9));
    let unknown = &problems("schema = 1\nname = \"x\"\nhearts = 2\n")[0];
    assert_eq!(unknown.line, 3);
    assert!(unknown.what.contains("hearts"), "{}", unknown.what);
    assert_eq!(problems("schema = 1\nname = \"x\"\nmemory = \"lots\"\n")[0].line, 3);
    let nothing = &problems("schema = 1\nname = \"x\"\n[boot]\n")[0];
    assert_eq!((nothing.field.as_str(), nothing.line), ("boot", 3));
    let ready = &problems("schema = 1\nname = \"x\"\narch = \"aarch64\"\n[boot]\nembedded = true\n")[0];
    assert_eq!((ready.field.as_str(), ready.line), ("arch", 3));
}

#[test]
fn absurd_sizes_are_refused() {
    for (harts, memory) in [(0, "1G"), (17, "1G"), (1, "0"), (1, "1K"), (1, "600G"), (1, "5001K")] {
        let text = format!(
            "schema = 1\nname = \"x\"\nharts = {harts}\nmemory = \"{memory}\"\n[boot]\nembedded = true\n"
        );
        assert_eq!(problems(&text).len(), 1, "{harts} {memory}");
    }
}

#[test]
fn forms_get_problems_without_lines() {
    let config = MachineConfig { harts: 0, ..MachineConfig::default() };
    let found = config.problems();
    assert_eq!(found.iter().map(|p| p.field.as_str()).collect::<Vec<_>>(), ["harts", "boot"]);
    assert_eq!(found[0].line, 0);
    assert_eq!(found[0].to_string(), "A machine cannot have 0 harts. Use 1 to 16");
}

#[test]
fn templates_are_valid() {
    for preset in presets() {
        let config = MachineConfig::parse(preset.text, preset.id).expect("a valid template");
        assert_eq!(config.id, preset.id);
    }
    assert!(presets()[0].config().boot.embedded);
}

#[test]
fn paths_are_found_beside_the_machine_or_among_the_images() {
    let config = MachineConfig::default();
    let (dir, images) = (std::path::Path::new("/m"), std::path::Path::new("/i"));
    assert_eq!(config.resolve("a/b", dir, images), std::path::Path::new("/m/a/b"));
    assert_eq!(config.resolve("/x", dir, images), std::path::Path::new("/x"));
    assert_eq!(config.resolve("image:d/k", dir, images), std::path::Path::new("/i/d/k"));
    let mut all = MachineConfig::parse(FULL, "test").expect("valid");
    all.boot.bios = Some("none".to_owned());
    all.resolve_paths(dir, images);
    assert_eq!(all.boot.kernel.as_deref(), Some("/i/debian/Image"));
    assert_eq!(all.boot.bios.as_deref(), Some("none"));
    assert_eq!(all.drives[0].file, "/m/disk.raw");
}

#[test]
fn machines_are_created_listed_and_deleted_by_one_writer() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let home = Home::at(root.path());
    let mut config = presets()[0].config();
    home.create_machine(&mut config).expect("created");
    assert_eq!(config.id, "vitrine-guest");
    let mut twin = config.clone();
    home.create_machine(&mut twin).expect("created");
    assert_eq!(twin.id, "vitrine-guest-2");
    let listed = home.machines();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0].1.as_ref().expect("readable"), &config);

    let lock = home.lock(&config.id).expect("free");
    assert!(matches!(home.lock(&config.id), Err(StoreError::Locked(LockError::Busy { .. }))));
    assert!(home.delete_machine(&config.id).is_err());
    config.harts = 3;
    home.save_machine(&config, &lock).expect("saved");
    drop(lock);
    assert_eq!(home.load_machine(&config.id).expect("readable").harts, 3);
    home.delete_machine(&config.id).expect("deleted");
    assert_eq!(home.machines().len(), 1);
    assert!(home.delete_machine("../../etc").is_err());
}

#[test]
fn a_broken_machine_does_not_hide_the_others() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let home = Home::at(root.path());
    home.create_machine(&mut presets()[0].config()).expect("created");
    write_atomically(&home.machine_file("broken"), b"schema = 1\nname = 3\n").expect("written");
    let listed = home.machines();
    assert_eq!(listed.len(), 2);
    assert!(listed[0].1.is_err() && listed[1].1.is_ok());
}

#[test]
fn settings_keep_their_ranges_and_survive() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let path = Home::at(root.path()).settings_file();
    assert_eq!(Settings::load(&path).expect("defaults"), Settings::default());
    let text = "schema = 1\nzoom = 99.0\nterminal_text = nan\nlater = true\n";
    let settings = Settings::parse(text, "test").expect("readable");
    assert_eq!((settings.zoom, settings.terminal_text), (3.0, 14.0));
    settings.save(&path).expect("saved");
    assert_eq!(Settings::load(&path).expect("readable"), settings);
}
