//! What happens between the wish to close the window and its end: machines that are set to it are suspended first.

use super::action::Action;
use super::dialog::Question;
use super::session::Session;
use super::toasts::Toasts;

/// Where the window is on its way out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Closing {
    /// It stays open.
    #[default]
    No,
    /// States are being saved; it closes when that is over.
    Suspending,
    /// It closes.
    Now,
}

/// Whether a machine is to be suspended when the window closes.
fn suspends(session: &Session) -> bool {
    session.config.suspend_on_close && session.place.id().is_some() && session.handle().is_some()
}

/// The question to ask before closing, if something would be lost.
pub fn question(sessions: &[Session], confirm: bool) -> Option<Question> {
    let lost: Vec<&str> = sessions
        .iter()
        .filter(|s| s.has_something_to_lose() && !suspends(s))
        .map(|s| s.config.name.as_str())
        .collect();
    if !confirm || lost.is_empty() {
        return None;
    }
    Some(Question {
        title: "Power off and close?".to_owned(),
        text: format!("Still running: {}. What they have not written to disk is lost.", lost.join(", ")),
        yes: "Power off and close".to_owned(),
        action: Action::CloseAnyway,
        other: None,
    })
}

/// Suspends the machines that are set to it and says how it goes on.
pub fn begin(sessions: &mut [Session], toasts: &mut Toasts) -> Closing {
    for session in sessions.iter_mut().filter(|s| s.is_alive() && suspends(s)) {
        session.save_state(true, toasts);
    }
    proceed(sessions, Closing::Suspending)
}

/// Whether all suspensions are over.
pub fn proceed(sessions: &[Session], closing: Closing) -> Closing {
    match closing {
        Closing::Suspending if !sessions.iter().any(Session::is_suspending) => {
            // One that could not be saved keeps running, and the window open: its error is on the screen.
            let failed = sessions.iter().any(|s| s.is_alive() && suspends(s));
            if failed { Closing::No } else { Closing::Now }
        }
        closing => closing,
    }
}
