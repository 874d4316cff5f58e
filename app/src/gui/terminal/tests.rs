use super::*;
use crate::gui::theme;
use egui::{Event as UiEvent, Key, Modifiers};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;

fn terminal(bytes: &[u8]) -> Terminal {
    let mut t = Terminal::new(1000);
    t.feed(bytes);
    t
}

fn outgoing(t: &mut Terminal) -> Vec<u8> {
    let mut out = Vec::new();
    t.flush(|b| {
        out.extend_from_slice(b);
        b.len()
    });
    out
}

fn harness(t: Terminal) -> Harness<'static, Terminal> {
    let options = TerminalOptions { text: 14.0, standard_size: false, mouse: true, grab_focus: false };
    let mut installed = false;
    let mut h = Harness::builder().with_size([1000.0, 700.0]).build_ui_state(
        move |ui, t: &mut Terminal| {
            if !std::mem::replace(&mut installed, true) {
                theme::install(ui.ctx());
                return;
            }
            show(ui, t, "ttyS0", options);
        },
        t,
    );
    h.run();
    h.get_by_label("Terminal ttyS0").focus();
    h.run();
    h
}

#[test]
fn the_installers_line_drawing_sets_become_boxes() {
    // As the installer's screens do it: G0 switched by ESC ( 0, G1 by SO and SI.
    let t = terminal(b"\x1b(0lqqk\x1b(B\r\n\x1b)0\x0ex\x0f Hi \x0ex\x0f\r\n\x1b(0mqqj\x1b(B");
    assert_eq!(t.screen_text(), "┌──┐\n│ Hi │\n└──┘");
}

#[test]
fn colours_and_attributes_reach_the_cells() {
    let t = terminal(b"\x1b[1;31mA\x1b[0;7mB\x1b[0;38;5;208mC\x1b[48;2;1;2;3mD\x1b[0;2mE");
    let cell = |c: usize| &t.term.grid()[Point::new(Line(0), Column(c))];
    let of = |c: usize| colors::of_cell(t.term.colors(), cell(c));
    assert!(cell(0).flags.contains(Flags::BOLD));
    assert_eq!(of(0).0, egui::Color32::from_rgb(0xFF, 0x80, 0x80), "bold red is bright red");
    assert_eq!(of(1), (colors::BACKGROUND, colors::FOREGROUND));
    assert_eq!(of(2).0, egui::Color32::from_rgb(255, 135, 0));
    assert_eq!(of(3).1, egui::Color32::from_rgb(1, 2, 3));
    assert!(of(4).0.r() < colors::FOREGROUND.r());
}

#[test]
fn wide_characters_take_two_cells() {
    let t = terminal("漢字x".as_bytes());
    let grid = t.term.grid();
    assert!(grid[Point::new(Line(0), Column(0))].flags.contains(Flags::WIDE_CHAR));
    assert_eq!(grid[Point::new(Line(0), Column(4))].c, 'x');
    assert_eq!(t.screen_text(), "漢字x");
}

#[test]
fn queries_are_answered_to_the_guest() {
    let mut t = terminal(b"\x1b[c\x1b[10;5H\x1b[6n\x1b[5n");
    let answers = String::from_utf8(outgoing(&mut t)).expect("answers are text");
    assert!(answers.starts_with("\x1b[?6"), "{answers:?}");
    assert!(answers.contains("\x1b[10;5R"), "{answers:?}");
    assert!(answers.ends_with("\x1b[0n"), "{answers:?}");
    t.feed(b"\x1b]11;?\x07");
    assert_eq!(outgoing(&mut t), b"\x1b]11;rgb:0d0d/0f0f/1212\x07");
}

#[test]
fn a_guest_that_never_reads_cannot_fill_memory() {
    let mut t = Terminal::new(0);
    for _ in 0..300_000 {
        t.feed(b"\x1b[6n");
    }
    assert!(t.outgoing.len() <= OUTGOING_MAX);
    assert!(t.flush(|_| 0), "something is left");
}

#[test]
fn garbage_does_no_harm() {
    let mut t = Terminal::new(100);
    let mut x = 1u32;
    let noise: Vec<u8> = (0..200_000)
        .map(|_| {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            [0x1b, b'[', (x >> 24) as u8, b'0' + (x >> 20) as u8 % 10, b';', b'm', (x >> 8) as u8]
                [(x >> 28) as usize % 7]
        })
        .collect();
    t.feed(&noise);
    t.resize(Size { columns: 2, rows: 1 });
    t.feed(&noise);
    t.resize(Size { columns: 200, rows: 80 });
    assert!(t.screen_text().lines().count() <= 80);
}

#[test]
fn the_clipboard_is_closed_to_the_guest() {
    let t = terminal(b"\x1b]52;c;aGVsbG8=\x07\x1b]52;c;?\x07");
    assert!(t.outgoing.is_empty());
}

#[test]
fn a_synchronised_update_that_is_never_ended_ends_by_itself() {
    let mut t = terminal(b"\x1b[?2026hhidden");
    assert_eq!(t.screen_text(), "");
    std::thread::sleep(t.end_stale_update().expect("an open update"));
    t.end_stale_update();
    assert_eq!(t.screen_text(), "hidden");
}

#[test]
fn paste_is_marked_and_clean() {
    let mut t = terminal(b"\x1b[?2004h");
    t.paste("a\nb\x1b[201~\x03c");
    assert_eq!(outgoing(&mut t), b"\x1b[200~a\rb[201~c\x1b[201~");
    let mut plain = terminal(b"");
    plain.paste("x\r\ny");
    assert_eq!(outgoing(&mut plain), b"x\ry");
}

#[test]
fn scrollback_selection_and_reset() {
    let mut t = Terminal::new(100);
    for i in 0..60 {
        t.feed(format!("line {i}\r\n").as_bytes());
    }
    t.select_all();
    let all = t.selection().expect("everything");
    assert!(all.starts_with("line 0\n") && all.contains("line 59"));
    t.scroll(10);
    assert_eq!(t.term.grid().display_offset(), 10);
    t.type_bytes(b"x");
    assert_eq!(t.term.grid().display_offset(), 0);
    t.reset();
    assert_eq!((t.screen_text().as_str(), t.term.grid().history_size()), ("", 0));
}

#[test]
fn the_widget_sizes_the_grid_and_keeps_80_by_24() {
    let h = harness(Terminal::new(10));
    let size = h.state().size();
    assert!(size.columns >= 100 && size.rows >= 30, "{size:?}");
    let mut small = harness(Terminal::new(10));
    small.set_size(egui::vec2(300.0, 200.0));
    small.run();
    assert_eq!(small.state().size(), Size { columns: 80, rows: 24 });
}

#[test]
fn keys_become_bytes() {
    let mut h = harness(terminal(b"\x1b[?1h"));
    h.event(UiEvent::Text("ls".to_owned()));
    h.key_press(Key::Enter);
    h.key_press(Key::ArrowUp);
    h.key_press(Key::Tab);
    h.key_press(Key::Escape);
    h.run();
    assert_eq!(outgoing(h.state_mut()), b"ls\r\x1bOA\t\x1b");
}

#[test]
fn ctrl_c_is_the_guests_and_ctrl_alt_leaves() {
    let mut h = harness(Terminal::new(10));
    let ctrl = Modifiers { ctrl: true, command: true, ..Modifiers::NONE };
    h.event_modifiers(UiEvent::Copy, ctrl);
    h.event_modifiers(UiEvent::Cut, ctrl);
    h.event_modifiers(UiEvent::Paste("secret".to_owned()), ctrl);
    h.run();
    assert_eq!(outgoing(h.state_mut()), [0x03, 0x18, 0x16]);
    assert!(h.get_by_label("Terminal ttyS0").is_focused());
    let both = ctrl | Modifiers::ALT;
    h.event_modifiers(UiEvent::ModifiersChanged(both), both);
    h.event_modifiers(UiEvent::ModifiersChanged(Modifiers::NONE), Modifiers::NONE);
    h.run();
    assert!(!h.get_by_label("Terminal ttyS0").is_focused());
    assert!(outgoing(h.state_mut()).is_empty());
}

#[test]
fn dragging_selects_and_double_click_takes_the_word() {
    let mut h = harness(terminal(b"alpha beta gamma"));
    let metrics = paint::Metrics::of(&h.ctx, 14.0);
    let at = |column: f32| {
        egui::pos2(8.0 + metrics.cell.x * column, 8.0 + metrics.cell.y * 0.5) + egui::vec2(8.0, 8.0)
    };
    let button = |pos, pressed| UiEvent::PointerButton {
        pos,
        button: egui::PointerButton::Primary,
        pressed,
        modifiers: Modifiers::NONE,
    };
    let place = h.get_by_label("Terminal ttyS0").rect().min - egui::pos2(8.0, 8.0);
    let to = |column: f32| at(column) + place - egui::vec2(0.0, 0.0);
    h.event(UiEvent::PointerMoved(to(0.1)));
    h.run();
    h.event(button(to(0.1), true));
    h.event(UiEvent::PointerMoved(to(4.9)));
    h.event(button(to(4.9), false));
    h.run();
    assert_eq!(h.state().selection().as_deref(), Some("alpha"));
    for pressed in [true, false, true, false] {
        h.event(button(to(7.5), pressed));
    }
    h.run();
    assert_eq!(h.state().selection().as_deref(), Some("beta"));
}
