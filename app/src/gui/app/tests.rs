//! The whole window against a scripted machine: the machine's end of the interface is in the test's hands.

use super::*;
use crate::config::Boot;
use crate::gui::Launch;
use crate::machine::api::{EngineMode, Event, GuestExit, MachineEnd, StartOptions, Status, channel};
use egui::{Key, Modifiers};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};
use std::ops::Deref;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Made in the first frame, when there is a context.
struct Window {
    options: Option<GuiOptions>,
    app: Option<App>,
}

impl Deref for Window {
    type Target = App;
    fn deref(&self) -> &App {
        self.app.as_ref().expect("the first frame is over")
    }
}

fn draw(ui: &mut Ui, window: &mut Window) {
    if let Some(options) = window.options.take() {
        // Fonts that are set in a frame can be used in the next one.
        window.app = Some(App::new(ui.ctx(), options));
    } else if let Some(app) = &mut window.app {
        app.frame(ui);
    }
}

struct Bench {
    harness: Harness<'static, Window>,
    machines: Arc<Mutex<Vec<(StartOptions, MachineEnd)>>>,
    home: Home,
    _root: tempfile::TempDir,
}

fn bench(prepare: impl FnOnce(&Home), start: StartWith) -> Bench {
    let root = tempfile::tempdir().expect("a temporary folder");
    let home = Home::at(root.path());
    prepare(&home);
    let machines: Arc<Mutex<Vec<(StartOptions, MachineEnd)>>> = Arc::default();
    let made = machines.clone();
    let launch: Launch = Arc::new(move |config: &MachineConfig, options| {
        let (handle, end) = channel(&config.name, &["ttyS0", "hvc0"], config.harts as usize, config.engine);
        end.set_state(RunState::Running);
        made.lock().expect("no panic before").push((options, end));
        Ok(handle)
    });
    let options = GuiOptions { home: home.clone(), start, launch };
    let harness = Harness::builder()
        .with_size([1280.0, 800.0])
        .with_max_steps(40)
        .build_ui_state(draw, Window { options: Some(options), app: None });
    let mut bench = Bench { harness, machines, home, _root: root };
    bench.steps();
    bench
}

impl Bench {
    /// Some frames; a running machine asks for frames for ever, so there is no "until quiet".
    fn steps(&mut self) {
        self.harness.run_steps(4);
    }

    fn until(&mut self, what: &str, mut done: impl FnMut(&mut Bench) -> bool) {
        let end = Instant::now() + Duration::from_secs(20);
        while !done(self) {
            assert!(Instant::now() < end, "never happened: {what}");
            std::thread::sleep(Duration::from_millis(5));
            self.harness.step();
        }
        self.steps();
    }

    fn until_running(&mut self, count: usize) {
        self.until("running", |b| {
            let running = |s: &&Session| matches!(s.state(), Some(RunState::Running));
            b.harness.state().sessions.iter().filter(running).count() == count
        });
    }

    fn click(&mut self, label: &str) {
        self.harness.get_by_label(label).click();
        self.steps();
    }

    fn has(&self, label: &str) -> bool {
        self.harness.query_by_label(label).is_some()
    }

    fn with_machine<R>(&self, i: usize, f: impl FnOnce(&MachineEnd) -> R) -> R {
        f(&self.machines.lock().expect("no panic before")[i].1)
    }

    fn commands(&self, i: usize) -> Vec<Command> {
        self.with_machine(i, |end| end.commands.try_iter().map(|r| r.command).collect())
    }

    fn keys(&mut self, key: Key) {
        self.harness.key_press_modifiers(Modifiers::CTRL | Modifiers::SHIFT, key);
        self.steps();
    }
}

fn linux(home: &Home, name: &str) -> String {
    let boot = Boot { kernel: Some("/nowhere/Image".to_owned()), ..Boot::default() };
    let mut config = MachineConfig { name: name.to_owned(), boot, ..MachineConfig::default() };
    home.create_machine(&mut config).expect("created");
    config.id
}

#[test]
fn the_first_start_shows_the_embedded_guest_running() {
    let mut b = bench(|_| {}, StartWith::Default);
    b.until_running(1);
    b.with_machine(0, |end| end.serial()[0].push_output(b"hello from the guest\r\n$ "));
    b.until("output", |b| b.harness.state().sessions[0].screen_text().contains("hello from the guest"));
    b.harness.event(egui::Event::Text("help".to_owned()));
    b.harness.key_press(Key::Enter);
    b.steps();
    assert_eq!(b.with_machine(0, |end| end.serial()[0].take_input(100)), b"help\r");
}

#[test]
fn the_library_has_cards_and_starts_machines() {
    let mut b = bench(
        |home| {
            linux(home, "Alpha");
            linux(home, "Beta");
        },
        StartWith::Default,
    );
    assert!(b.has("Machine Alpha") && b.has("Machine Beta") && b.has("New machine card"));
    b.click("Machine Beta");
    b.until_running(1);
    assert!(b.has("Terminal ttyS0"));
    b.click("Library");
    b.click("Machine Alpha");
    b.until_running(2);
    b.keys(Key::M);
    assert_eq!(b.harness.state().shown().map(|s| s.config.name.as_str()), Some("Beta"));
}

#[test]
fn pause_reset_save_and_power_reach_the_machine() {
    let mut b = bench(|_| {}, StartWith::Default);
    b.until_running(1);
    b.click("Pause");
    b.with_machine(0, |end| end.set_state(RunState::Paused));
    b.steps();
    b.keys(Key::Space);
    b.with_machine(0, |end| end.set_state(RunState::Running));
    b.steps();
    b.click("Reset");
    b.click("Save state");
    let commands = b.commands(0);
    assert_eq!(commands[..3], [Command::Pause, Command::Resume, Command::Reset]);
    let state = b.home.state_file("vitrine-guest");
    assert!(matches!(&commands[3], Command::SaveState { path, .. } if *path == state));
    b.click("Power off");
    assert_eq!(b.commands(0), [Command::PowerOff], "the embedded guest has nothing to lose");
}

#[test]
fn power_off_asks_when_something_may_be_lost() {
    let mut b = bench(|home| drop(linux(home, "Alpha")), StartWith::Id("alpha".to_owned()));
    b.until_running(1);
    b.keys(Key::O);
    assert!(b.has("Power off Alpha?"));
    assert_eq!(b.commands(0), []);
    b.click("Cancel");
    assert!(!b.has("Power off Alpha?"));
    b.keys(Key::O);
    b.harness.get_all_by_label("Power off").last().expect("the answer").click();
    b.steps();
    assert_eq!(b.commands(0), [Command::PowerOff]);
}

#[test]
fn failures_and_exits_are_told() {
    let mut b = bench(|_| {}, StartWith::Default);
    b.until_running(1);
    b.click("Reset");
    let request = b.with_machine(0, |end| end.commands.try_recv().expect("a reset").id);
    let error = UserError::new("The firmware is gone", "fw.bin", "Put it back.");
    b.with_machine(0, |end| end.failed(request, error));
    b.steps();
    assert_eq!(b.harness.state().toasts.newest(), Some("fw.bin: The firmware is gone."));
    b.with_machine(0, |end| {
        end.emit(Event::GuestExit { code: 3 });
        end.set_state(RunState::Off { exit: GuestExit::Code(3) });
    });
    b.steps();
    assert_eq!(b.harness.state().toasts.newest(), Some("Vitrine guest ended with code 3."));
    assert!(b.has("The guest has ended with code 3"));
    assert!(b.home.lock("vitrine-guest").is_ok(), "the machine is free again");
    b.click("Start");
    b.until_running(1);
}

#[test]
fn the_wizard_makes_a_machine() {
    let mut b = bench(|_| {}, StartWith::Library);
    b.click("New machine card");
    assert!(b.has("Step Architecture"));
    for _ in 0..5 {
        b.click("Next");
    }
    b.click("Create");
    let ids: Vec<String> = b.home.machines().into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, ["vitrine-guest", "vitrine-guest-2"]);
    assert!(b.harness.query_all_by_label("Machine Vitrine guest").count() == 2);
}

#[test]
fn a_dropped_file_opens_the_wizard_with_it() {
    #[derive(Debug)]
    struct Dropped(std::path::PathBuf);
    impl egui::DroppedFile for Dropped {
        fn path(&self) -> &std::path::Path {
            &self.0
        }
        fn bytes(&self) -> Result<Vec<u8>, String> {
            Err("not read".to_owned())
        }
    }
    let mut b = bench(|_| {}, StartWith::Library);
    b.harness.input_mut().dropped_files.push(Arc::new(Dropped("/somewhere/Image".into())));
    b.steps();
    assert!(b.has("Step Boot"));
    assert!(
        b.has("There is no file /somewhere/Image. Check the path"),
        "the problem stands beside the field"
    );
}

#[test]
fn the_palette_runs_commands_and_finds_settings() {
    let mut b = bench(|_| {}, StartWith::Default);
    b.until_running(1);
    b.keys(Key::P);
    b.harness.event(egui::Event::Text("reset the".to_owned()));
    b.steps();
    b.harness.key_press(Key::Enter);
    b.steps();
    assert_eq!(b.commands(0), [Command::Reset]);
    assert_eq!(b.with_machine(0, |end| end.serial()[0].take_input(100)), b"", "the guest saw none of it");
    b.keys(Key::P);
    b.harness.event(egui::Event::Text("scrollback setting".to_owned()));
    b.steps();
    b.harness.key_press(Key::Enter);
    b.steps();
    assert!(b.has("Search settings") || b.has("Scrollback"));
    b.click("Back");
    assert!(b.has("Terminal ttyS0"));
}

#[test]
fn a_machine_in_use_elsewhere_is_not_started() {
    let mut b = bench(|home| drop(linux(home, "Alpha")), StartWith::Library);
    let lock = b.home.lock("alpha").expect("free");
    b.click("Machine Alpha");
    let told = b.harness.state().toasts.newest().map(str::to_owned).unwrap_or_default();
    assert!(told.contains("in use by another window"), "{told}");
    drop(lock);
    b.click("Start");
    b.until_running(1);
}

#[test]
fn a_suspended_machine_is_resumed_from_its_state() {
    let mut b = bench(
        |home| {
            let id = linux(home, "Alpha");
            crate::config::write_atomically(&home.state_file(&id), b"state").expect("written");
        },
        StartWith::Library,
    );
    b.click("Resume");
    b.until_running(1);
    let resumed = b.machines.lock().expect("no panic before")[0].0.resume_from.clone();
    assert_eq!(resumed, Some(b.home.state_file("alpha")));
}

#[test]
fn engines_that_this_host_has_not_cannot_be_chosen() {
    let mut b = bench(|_| {}, StartWith::Default);
    b.until_running(1);
    b.click("Engine");
    for mode in EngineMode::ALL {
        let node = b.harness.query_all_by_label(mode.title()).next().expect("listed");
        assert_eq!(node.accesskit_node().is_disabled(), mode.unavailable().is_some(), "{mode:?}");
    }
}

#[test]
fn the_engine_is_switched_from_badge_and_palette_while_the_machine_runs() {
    let mut b = bench(|_| {}, StartWith::Default);
    b.until_running(1);
    b.commands(0);
    // Whatever this host can do, the interpreter is one of at least two modes only where there is a compiler.
    let first = EngineMode::default();
    let second = first.next_available();
    if first == second {
        return;
    }
    b.click("Engine");
    b.harness.get_by_role_and_label(egui::accesskit::Role::MenuItem, second.title()).click();
    b.steps();
    assert_eq!(b.commands(0), [Command::SetEngine(second)]);
    b.with_machine(0, |end| end.set_engine(second));
    b.steps();
    let shown = b.harness.state().sessions[0].handle().map(|h| h.status().engine);
    assert_eq!(shown, Some(second));
    b.keys(Key::P);
    b.harness.event(egui::Event::Text(format!("engine: {}", first.title())));
    b.steps();
    b.harness.key_press(Key::Enter);
    b.steps();
    assert_eq!(b.commands(0), [Command::SetEngine(first)]);
}

#[test]
fn the_engine_mode_has_a_key() {
    let mut b = bench(|_| {}, StartWith::Default);
    b.until_running(1);
    b.commands(0);
    let next = EngineMode::default().next_available();
    b.keys(Key::G);
    let expected = if next == EngineMode::default() { vec![] } else { vec![Command::SetEngine(next)] };
    assert_eq!(b.commands(0), expected);
}

#[test]
fn code_is_pinned_and_unpinned_in_a_dialog() {
    let mut b = bench(|_| {}, StartWith::Default);
    b.until_running(1);
    b.commands(0);
    b.click("Engine");
    b.click("Pinned code");
    assert!(b.has("Nothing is pinned. Write an address, or a range of them, and choose its tier."));
    // What is typed goes to the field, not to the guest.
    b.harness.event(egui::Event::Text("0x80201000-0x80200000".to_owned()));
    b.steps();
    b.harness.key_press(Key::Enter);
    b.steps();
    assert!(b.harness.query_by_label_contains("ends before it begins").is_some());
    assert_eq!(b.commands(0), []);
    b.harness.key_press_modifiers(Modifiers::COMMAND, Key::A);
    b.harness.event(egui::Event::Text("0x80200000-0x80201000".to_owned()));
    b.steps();
    b.harness.get_by_role_and_label(egui::accesskit::Role::Button, EngineMode::Tier2.title()).click();
    b.steps();
    b.click("Pin");
    let pin: crate::machine::api::CodePin = "0x80200000-0x80201000=tier2".parse().expect("a pin");
    assert_eq!(b.commands(0), [Command::Pin(pin.clone())]);
    b.with_machine(0, |end| {
        end.set_source(Arc::new(move |status: &mut Status| status.pins = vec![pin.clone()]))
    });
    b.until("listed", |b| b.has("Unpin 0x80200000-0x80201000"));
    b.click("Unpin 0x80200000-0x80201000");
    let range = "0x80200000-0x80201000".parse().expect("a range");
    assert_eq!(b.commands(0), [Command::Unpin(Some(range))]);
    b.harness.key_press(Key::Escape);
    b.steps();
    assert!(!b.has("Unpin 0x80200000-0x80201000"));
    assert_eq!(b.with_machine(0, |end| end.serial()[0].take_input(100)), b"");
}

/// A guest whose clock goes on by 100 ms with each look, and that compiles one block each time.
struct Watched {
    machine: crate::machine::api::MachineHandle,
    begin: Instant,
    looks: std::sync::atomic::AtomicU64,
}

impl crate::watch::Watched for Watched {
    fn counted(&self) -> (Arc<Status>, Instant) {
        let n = self.looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut status = Status::clone(&self.machine.status());
        status.uptime_ns = n * 100_000_000;
        status.tiers.insns = [n * 1_000, n * 3_000, n * 6_000];
        (Arc::new(status), self.begin + Duration::from_millis(n * 100))
    }

    fn told(&self, from: u64) -> Option<crate::watch::Told> {
        let next = self.looks.load(std::sync::atomic::Ordering::Relaxed).min(20);
        let event = |n: u64| engine::tier::events::Event {
            at_ns: n * 100_000_000,
            pa: 0x8020_0000 + n,
            what: engine::tier::events::What::Tier1 { runs: 24 },
            queued: 0,
            compile_ns: 5_000,
        };
        Some(crate::watch::Told { begin: self.begin, events: (from..next).map(event).collect(), next })
    }
}

impl Bench {
    fn dock(&mut self) -> &mut Dock {
        let app = self.harness.state_mut().app.as_mut().expect("the first frame is over");
        app.sessions[0].dock.as_mut().expect("it is drawn only within a frame")
    }

    fn watch(&mut self) {
        let machine = self.harness.state().sessions[0].handle().expect("it runs").clone();
        let watched = Watched { machine, begin: Instant::now(), looks: 0.into() };
        self.dock().watch_with(watched, || {});
    }

    fn terminal(&self) -> egui::Rect {
        self.harness.get_by_label("Terminal ttyS0").rect()
    }
}

#[test]
fn presets_lay_panels_round_the_guest_and_are_remembered() {
    let mut b = bench(|_| {}, StartWith::Default);
    b.until_running(1);
    let alone = b.terminal();
    b.keys(Key::W);
    for panel in ["Engine", "Caches", "Promotions"] {
        assert!(b.has(&format!("Close {panel}")), "{panel}");
    }
    assert!(b.harness.state().sessions[0].has_keyboard, "whoever types goes on typing");
    let beside = b.terminal();
    assert!(beside.width() < alone.width() && beside.height() < alone.height());
    b.click("Close Caches");
    assert!(!b.has("Close Caches") && b.has("Close Engine"));
    let file = b.home.layout_file("vitrine-guest");
    b.until("remembered", |b| {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        b.harness.step();
        text.contains("engine") && !text.contains("caches")
    });
    b.keys(Key::U);
    assert_eq!(b.terminal(), alone, "the guest alone is as it was before there were panels");
    assert!(b.harness.state().sessions[0].has_keyboard);
}

#[test]
fn panels_open_from_menu_and_palette() {
    let mut b = bench(|_| {}, StartWith::Default);
    b.until_running(1);
    b.click("Panels");
    b.harness.get_by_role_and_label(egui::accesskit::Role::CheckBox, "Caches").click();
    b.steps();
    assert!(b.has("Close Caches"));
    b.harness.key_press(Key::Escape);
    b.steps();
    b.keys(Key::P);
    b.harness.event(egui::Event::Text("panel: close caches".to_owned()));
    b.steps();
    b.harness.key_press(Key::Enter);
    b.steps();
    assert!(!b.has("Close Caches"));
    assert_eq!(b.with_machine(0, |end| end.serial()[0].take_input(100)), b"");
}

#[test]
fn the_engine_panel_switches_modes_and_resets_thresholds() {
    let mut b = bench(|_| {}, StartWith::Default);
    b.until_running(1);
    b.with_machine(0, |end| {
        end.set_source(Arc::new(|status: &mut Status| status.tuning.tier1_runs = 7));
    });
    b.keys(Key::W);
    b.commands(0);
    let other = EngineMode::default().next_available();
    if other != EngineMode::default() {
        b.click(&format!("Mode {}", other.title()));
        assert_eq!(b.commands(0), [Command::SetEngine(other)]);
    }
    if !b.has("Reset Tier 1 after") {
        b.click("Thresholds");
    }
    b.until("unfolded", |b| b.has("Reset Tier 1 after"));
    b.click("Reset Tier 1 after");
    assert_eq!(b.commands(0), [Command::Tune(crate::config::EngineTuning::default())]);
}

#[test]
fn decisions_are_listed_and_selected_for_all_panels() {
    let mut b = bench(|_| {}, StartWith::Default);
    b.until_running(1);
    b.watch();
    b.keys(Key::W);
    let label = "0x80200005";
    b.until("listed", |b| b.harness.query_by_label_contains(label).is_some());
    // The list may still move: the pointer holds it.
    b.harness.get_by_label_contains(label).hover();
    b.steps();
    b.harness.get_by_label_contains(label).click();
    b.steps();
    let selected = |b: &mut Bench| b.dock().selected();
    assert_eq!((selected(&mut b).code, selected(&mut b).moment_ns), (Some(0x8020_0005), Some(500_000_000)));
    assert!(!b.harness.state().sessions[0].has_keyboard, "the panel has taken the keyboard");
    b.harness.key_press_modifiers(Modifiers::ALT, Key::ArrowLeft);
    b.steps();
    assert_eq!(selected(&mut b).code, None);
    b.harness.key_press_modifiers(Modifiers::ALT, Key::ArrowRight);
    b.steps();
    assert_eq!(selected(&mut b).code, Some(0x8020_0005));
    // Kinds that are left out are not listed.
    b.click("List Tier 1");
    assert!(b.harness.query_by_label_contains("0x8020000").is_none());
}

#[test]
fn nothing_is_drawn_again_while_the_guest_stands() {
    let mut b = bench(|_| {}, StartWith::Default);
    b.until_running(1);
    b.watch();
    b.keys(Key::W);
    b.with_machine(0, |end| end.set_state(RunState::Paused));
    b.until("at rest", |b| !b.harness.ctx.has_requested_repaint());
}

#[test]
fn a_machine_that_ends_keeps_its_last_picture() {
    let mut b = bench(|_| {}, StartWith::Default);
    b.until_running(1);
    b.watch();
    b.keys(Key::W);
    b.until("listed", |b| b.harness.query_by_label_contains("0x80200003").is_some());
    b.with_machine(0, |end| end.set_state(RunState::Off { exit: GuestExit::Code(0) }));
    b.until("still listed", |b| b.harness.query_by_label_contains("0x80200003").is_some());
    // A window that is much too small for all of it.
    b.harness.set_size(egui::vec2(300.0, 160.0));
    b.steps();
    b.harness.set_size(egui::vec2(1280.0, 800.0));
    b.steps();
    assert!(b.harness.query_by_label_contains("0x80200003").is_some());
}
