//! Carries a serial port's output to a file or to standard output, on a thread of its own, so that a reader that has stopped
//! reading holds up neither the machine nor the keys.

use crate::machine::api::{MachineHandle, SerialPort, Subscription};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How the output ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DrainEnd {
    /// All was written; so many bytes came too fast and are lost.
    Complete {
        /// Bytes lost.
        missed: u64,
    },
    /// The reader has left (`| head`).
    Closed,
    /// Writing failed for another reason, such as a full disk.
    Failed(std::io::ErrorKind),
}

/// A running drain.
pub struct Drain {
    thread: JoinHandle<DrainEnd>,
    stop: Arc<AtomicBool>,
}

impl Drain {
    /// Starts to carry the output of `port` to `out`; calls `ended` when it cannot go on.
    pub fn start(
        machine: &MachineHandle,
        port: SerialPort,
        out: Box<dyn Write + Send>,
        ended: impl Fn() + Send + 'static,
    ) -> std::io::Result<Drain> {
        let news = machine.subscribe(Box::new(|| {}));
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, watched) = (stop.clone(), machine.clone());
        let thread = std::thread::Builder::new().name("serial-out".to_owned()).spawn(move || {
            let over = || stopped.load(Ordering::Acquire) || !watched.state().is_alive();
            let end = carry(&port, &news, out, &over);
            if !matches!(end, DrainEnd::Complete { .. }) {
                ended();
            }
            end
        })?;
        Ok(Drain { thread, stop })
    }

    /// Writes what is left and ends; `None` if the reader does not take it in time.
    pub fn finish(self, patience: Duration) -> Option<DrainEnd> {
        self.stop.store(true, Ordering::Release);
        let deadline = Instant::now() + patience;
        while !self.thread.is_finished() {
            if Instant::now() >= deadline {
                return None;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        self.thread.join().ok()
    }
}

fn carry(
    port: &SerialPort,
    news: &Subscription,
    mut out: Box<dyn Write + Send>,
    over: &dyn Fn() -> bool,
) -> DrainEnd {
    let (mut cursor, mut missed) = (0, 0);
    loop {
        // Asked before reading: what was written before the end is still read.
        let last = over();
        news.acknowledge();
        let read = port.read_since(cursor);
        cursor = read.cursor;
        missed += read.missed;
        if !read.bytes.is_empty() {
            match out.write_all(&read.bytes).and_then(|()| out.flush()) {
                Ok(()) => continue,
                Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => return DrainEnd::Closed,
                Err(e) => return DrainEnd::Failed(e.kind()),
            }
        }
        if last {
            return DrainEnd::Complete { missed };
        }
        // Woken by output and by the machine's end; the time is only for a stop before that.
        news.wait(Duration::from_millis(250));
    }
}
