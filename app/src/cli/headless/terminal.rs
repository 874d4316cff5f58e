//! The host's terminal in raw mode, and back: at the end, on a panic, and when the process is told to end.

use parking_lot::Mutex;
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcsetattr};
use std::io::stdin;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

/// The mode to go back to; here and not in the guard, because a panic on another thread needs it too.
static COOKED: Mutex<Option<Termios>> = Mutex::new(None);
static RAW: AtomicBool = AtomicBool::new(false);
static PANIC_HOOK: Once = Once::new();

/// Keeps the terminal raw until dropped.
pub struct RawTerminal(());

impl RawTerminal {
    /// Makes standard input raw if it is a terminal.
    pub fn enter() -> Option<RawTerminal> {
        let input = stdin();
        if !isatty(&input) {
            return None;
        }
        let cooked = tcgetattr(&input).ok()?;
        *COOKED.lock() = Some(cooked);
        PANIC_HOOK.call_once(|| {
            let next = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                restore();
                next(info);
            }));
        });
        RawTerminal::apply().then_some(RawTerminal(()))
    }

    /// Makes it raw again, after a shell had it (stop and continue).
    pub fn apply() -> bool {
        let Some(cooked) = COOKED.lock().clone() else { return false };
        let mut raw = cooked;
        raw.make_raw();
        let done = tcsetattr(stdin(), OptionalActions::Now, &raw).is_ok();
        RAW.store(done, Ordering::Relaxed);
        done
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        restore();
        *COOKED.lock() = None;
    }
}

/// Goes back to the mode before, now; [`RawTerminal::apply`] makes it raw again.
pub fn restore() {
    // try_lock: the panic may have come while the lock was held.
    if RAW.swap(false, Ordering::Relaxed)
        && let Some(guard) = COOKED.try_lock()
        && let Some(cooked) = guard.as_ref()
    {
        let _ = tcsetattr(stdin(), OptionalActions::Drain, cooked);
    }
}

/// The end of a line for messages on the terminal: a raw one needs the carriage return.
pub fn newline() -> &'static str {
    if RAW.load(Ordering::Relaxed) { "\r\n" } else { "\n" }
}
