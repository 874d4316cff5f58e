//! A running machine whose serial console is read and typed at.

use super::watchdog::Watchdog;
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::path::Path;
use std::time::{Duration, Instant};
use vitrine::config::MachineConfig;
use vitrine::machine::api::{
    AfterSave, Command, Event, GuestExit, MachineHandle, RunState, StartOptions, Status, Subscription,
};
use vitrine::machine::spawn;

/// How long a reader sleeps at most before it looks again.
pub const TICK: Duration = Duration::from_millis(200);
/// After its limit a test has this long to end by itself.
const GRACE: Duration = Duration::from_secs(60);
/// A guest's last words in a failure.
const TAIL: usize = 3000;

/// A machine, with everything that its console has said.
pub struct Guest {
    handle: MachineHandle,
    news: Subscription,
    text: Vec<u8>,
    cursor: u64,
    /// End of what [`Guest::expect`] has matched.
    seen: usize,
    events: u64,
    deadline: Instant,
    _dog: Watchdog,
}

impl Guest {
    /// Boots. `limit` is for the whole life of the machine.
    pub fn start(config: &MachineConfig, limit: Duration) -> Result<Guest> {
        Guest::with(config, StartOptions::default(), limit)
    }

    /// Continues from a saved state.
    pub fn resume(config: &MachineConfig, state: &Path, limit: Duration) -> Result<Guest> {
        let options = StartOptions { resume_from: Some(state.to_owned()), ..StartOptions::default() };
        Guest::with(config, options, limit)
    }

    fn with(config: &MachineConfig, options: StartOptions, limit: Duration) -> Result<Guest> {
        let dog = Watchdog::new(&config.name, limit + GRACE);
        let handle = spawn(config, options)?;
        let news = handle.subscribe(Box::new(|| {}));
        let deadline = Instant::now() + limit;
        Ok(Guest { handle, news, text: Vec::new(), cursor: 0, seen: 0, events: 0, deadline, _dog: dog })
    }

    /// The machine.
    pub fn handle(&self) -> &MachineHandle {
        &self.handle
    }

    /// All that the console has said, as bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.text
    }

    /// All that the console has said.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.text).into_owned()
    }

    fn tail(&self) -> String {
        let from = self.text.len().saturating_sub(TAIL);
        String::from_utf8_lossy(&self.text[from..]).into_owned()
    }

    /// Reads what has come since the last time.
    pub fn collect(&mut self) -> Result<()> {
        let port = self.handle.serial().first().context("the machine has no console")?;
        let read = port.read_since(self.cursor);
        ensure!(read.missed == 0, "{} bytes of the console were overwritten", read.missed);
        self.cursor = read.cursor;
        self.text.extend(read.bytes);
        Ok(())
    }

    /// Waits until `done` gives something.
    pub fn wait<T>(&mut self, what: &str, mut done: impl FnMut(&mut Guest) -> Option<T>) -> Result<T> {
        loop {
            let state = self.handle.state();
            self.collect()?;
            if let Some(found) = done(self) {
                return Ok(found);
            }
            if !state.is_alive() {
                bail!("waited for {what}, but the machine is {state:?}; it said:\n{}", self.tail());
            }
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("time is over, waited for {what}; the guest said:\n{}", self.tail());
            }
            self.news.wait(left.min(TICK));
        }
    }

    /// Waits until the console says `text` behind what was expected before; gives what stood between.
    pub fn expect(&mut self, text: &str) -> Result<String> {
        self.wait(&format!("{text:?}"), |g| {
            let new = &g.text[g.seen..];
            let at = new.windows(text.len()).position(|w| w == text.as_bytes())?;
            let before = String::from_utf8_lossy(&new[..at]).into_owned();
            g.seen += at + text.len();
            Some(before)
        })
    }

    /// Types.
    pub fn keys(&mut self, keys: &str) -> Result<()> {
        let port = self.handle.serial().first().context("the machine has no console")?;
        ensure!(port.write(keys.as_bytes()) == keys.len(), "the guest does not take {keys:?}");
        Ok(())
    }

    /// Types a line for a shell and gives its output, which ends where the line's own end mark is printed.
    pub fn shell(&mut self, line: &str) -> Result<String> {
        // The mark is put together by the shell, so that the echo of the line does not hold it.
        self.keys(&format!("{line}; echo \"@@\"END $?\r"))?;
        let output = self.expect("@@END ")?;
        let status = self.expect("\n")?;
        // Keys that arrive before the prompt are echoed twice, once by the terminal and once by the shell.
        self.expect("# ")?;
        let output = output.split_once('\n').map_or("", |(_, rest)| rest).replace('\r', "");
        ensure!(status.trim() == "0", "`{line}` ends with {}: {output}", status.trim());
        Ok(output)
    }

    /// Gives a command and waits for its outcome.
    pub fn command(&mut self, command: Command) -> Result<()> {
        let id = self.handle.send(command)?;
        let what = format!("the outcome of command {}", id.0);
        let outcome = self.wait(&what, |g| {
            let (events, next) = g.handle.events_since(g.events);
            g.events = next;
            events.into_iter().find_map(|e| match e {
                Event::Done { request } if request == id => Some(Ok(())),
                Event::Failed { request, error } if request == id => Some(Err(error)),
                _ => None,
            })
        })?;
        Ok(outcome?)
    }

    /// Saves the state.
    pub fn save(&mut self, path: &Path, then: AfterSave) -> Result<()> {
        self.command(Command::SaveState { path: path.to_owned(), then })
    }

    /// Waits until the machine is off; gives why.
    pub fn off(&mut self) -> Result<GuestExit> {
        self.wait("the end", |g| match g.handle.state() {
            RunState::Off { exit } => Some(Ok(exit)),
            RunState::Failed(e) => Some(Err(anyhow!("the machine failed: {e}"))),
            _ => None,
        })?
        .and_then(|exit| self.collect().map(|()| exit))
    }

    /// Waits until the machine is off, which must be by the guest's own power-off.
    pub fn powered_off(&mut self) -> Result<()> {
        let exit = self.off()?;
        ensure!(exit == GuestExit::Code(0), "the machine ended with {exit:?}; it said:\n{}", self.tail());
        Ok(())
    }

    /// The machine's counters.
    pub fn status(&self) -> std::sync::Arc<Status> {
        self.handle.status()
    }

    /// Instructions retired by all harts.
    pub fn retired(&self) -> u64 {
        self.handle.status().harts.iter().map(|h| h.retired).sum()
    }
}

impl Drop for Guest {
    /// Leaves no machine behind: the next test needs the processor.
    fn drop(&mut self) {
        let _ = self.handle.send(Command::PowerOff);
        let begin = Instant::now();
        while self.handle.state().is_alive() && begin.elapsed() < GRACE {
            self.news.wait(TICK);
        }
    }
}
