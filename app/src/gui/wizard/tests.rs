use super::*;
use crate::config::DriveFormat;

fn home() -> (tempfile::TempDir, Home) {
    let root = tempfile::tempdir().expect("a temporary folder");
    let home = Home::at(root.path());
    (root, home)
}

#[test]
fn the_first_template_is_ready_to_be_created() {
    let (_root, home) = home();
    let mut wizard = Wizard::create(&home, None);
    assert_eq!(wizard.problems(), []);
    let Action::SaveMachine { config, new_disk, start } = wizard.save(true) else { panic!("not a save") };
    assert!(config.boot.embedded && config.id.is_empty() && new_disk.is_none() && start);
}

#[test]
fn mistakes_name_their_fields_and_what_to_do() {
    let (_root, home) = home();
    let mut wizard = Wizard::create(&home, None);
    wizard.use_template(1);
    wizard.memory = "lots".to_owned();
    wizard.forwards = "tcp:x\n".to_owned();
    wizard.new_disk = Some("1K".to_owned());
    let problems = wizard.problems();
    let fields: Vec<&str> = problems.iter().map(|p| p.field.as_str()).collect();
    assert_eq!(fields, ["memory", "new_disk", "net.hostfwd[0]", "boot.kernel", "boot.initrd"]);
    assert!(problems[3].advice.contains("vitrine images fetch installer-riscv64"));
}

#[test]
fn a_dropped_file_finds_its_place() {
    let disk = around_file(Path::new("/x/Debian 13.qcow2"));
    assert_eq!((disk.name.as_str(), disk.drives[0].format), ("Debian 13", DriveFormat::Qcow2));
    assert_eq!(around_file(Path::new("/x/Image")).boot.kernel.as_deref(), Some("/x/Image"));
    assert_eq!(around_file(Path::new("/x/initrd.gz")).boot.initrd.as_deref(), Some("/x/initrd.gz"));
    assert_eq!(around_file(Path::new("/x/Image.gz")).boot.kernel.as_deref(), Some("/x/Image.gz"));
}
