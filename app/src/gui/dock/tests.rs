use super::*;
use crate::machine::api::{EngineMode, RunState, channel};

fn open(dock: &Dock) -> Vec<&'static str> {
    dock.list().into_iter().filter(|p| p.open).map(|p| p.id).collect()
}

#[test]
fn panels_open_and_close_and_say_what_they_want() {
    let mut dock = Dock::new(1, None);
    assert!(open(&dock).is_empty() && !dock.wants().any());
    dock.toggle("caches");
    assert_eq!((open(&dock), dock.wants()), (vec!["caches"], Wants::COUNTERS));
    dock.toggle("promotions");
    assert_eq!(dock.wants(), Wants::DECISIONS);
    dock.toggle("promotions");
    dock.toggle("caches");
    assert!(open(&dock).is_empty());
    dock.toggle("no such panel");
    dock.toggle(TERMINAL);
    assert!(dock.tree.tiles.find_pane(&TERMINAL).is_some());
    dock.apply(Preset::Engine);
    assert_eq!(open(&dock), ["engine", "caches", "hot", "promotions"]);
    dock.apply(Preset::Guest);
    assert!(open(&dock).is_empty());
}

#[test]
fn the_layout_is_remembered() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("layout.json");
    let mut dock = Dock::new(1, Some(file.clone()));
    dock.apply(Preset::Engine);
    dock.toggle("caches");
    drop(dock);
    assert_eq!(open(&Dock::new(2, Some(file.clone()))), ["engine", "hot", "promotions"]);
    std::fs::write(&file, "{").expect("written");
    assert!(open(&Dock::new(3, Some(file))).is_empty());
}

#[test]
fn a_machine_is_watched_while_a_panel_is_open() {
    let (handle, end) = channel("m", &[], 1, EngineMode::Adaptive);
    end.set_state(RunState::Running);
    let mut dock = Dock::new(1, None);
    dock.watch(&handle, &Context::default());
    dock.toggle("engine");
    let until = Instant::now() + std::time::Duration::from_secs(20);
    while dock.watcher.as_ref().is_none_or(|w| w.rings().history.last().is_none()) {
        assert!(Instant::now() < until);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}
