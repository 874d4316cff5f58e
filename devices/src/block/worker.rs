//! The thread of a disk: takes requests in order, hands completions to the machine's input port.
//!
//! Order matters for flushes: a flush completes after every write that was submitted before it, so one thread and one
//! queue are all it takes. In instruction-count time requests run on the submitter's thread, so that a run without a
//! recording is deterministic too; their completions still wait in the port for the end of the slice.

use super::backend::BlockBackend;
use super::error::BlockError;
use crossbeam_channel::{Receiver, Sender, unbounded};
use engine::exec::inputs::{InputEvent, InputPort, SourceId};
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread::JoinHandle;

/// Hears, once per kind of failure, what to tell the user. Called on the disk's thread or, in instruction-count time, on a
/// hart's: it must only pass the text on.
pub type MessageFn = Arc<dyn Fn(&str) + Send + Sync>;

/// A request. Offsets and lengths are in bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DiskOp {
    /// Read `len` bytes.
    Read {
        /// First byte.
        offset: u64,
        /// How many.
        len: u32,
    },
    /// Write; with `through` the data is durable at completion.
    Write {
        /// First byte.
        offset: u64,
        /// What.
        data: Vec<u8>,
        /// Flush afterwards.
        through: bool,
    },
    /// Make everything written durable.
    Flush,
    /// Ranges that are needed no longer.
    Discard(Vec<(u64, u64)>),
    /// Ranges that read as zero afterwards, with the permission to free their space.
    WriteZeroes(Vec<(u64, u64, bool)>),
}

impl DiskOp {
    /// Bytes of host memory that the request holds while it is under way.
    fn weight(&self) -> u64 {
        match self {
            DiskOp::Read { len, .. } => *len as u64,
            DiskOp::Write { data, .. } => data.len() as u64,
            _ => 64,
        }
    }
}

/// Counters of a disk since it was opened.
#[derive(Default, Debug)]
pub struct BlockMetrics {
    /// Read requests.
    pub reads: AtomicU64,
    /// Bytes read.
    pub read_bytes: AtomicU64,
    /// Write requests.
    pub writes: AtomicU64,
    /// Bytes written.
    pub written_bytes: AtomicU64,
    /// Flushes.
    pub flushes: AtomicU64,
    /// Discards and zero-writes.
    pub discards: AtomicU64,
    /// Requests that failed.
    pub errors: AtomicU64,
}

#[derive(Default)]
struct Progress {
    requests: u64,
    bytes: u64,
    running: bool,
    paused: bool,
    /// What is queued is not run any more.
    abandoned: bool,
}

struct Shared {
    backend: Arc<dyn BlockBackend>,
    port: Arc<InputPort>,
    source: SourceId,
    progress: Mutex<Progress>,
    changed: Condvar,
    metrics: BlockMetrics,
    /// Bit per error code that was told since the last flush that went well.
    told: AtomicU32,
    tell: Option<MessageFn>,
}

/// A disk with its thread.
pub struct DiskWorker {
    shared: Arc<Shared>,
    /// `None`: requests run on the submitter's thread.
    queue: Option<Sender<(u64, DiskOp)>>,
    thread: Option<JoinHandle<()>>,
}

impl DiskWorker {
    /// Starts the worker; it pushes an [`InputEvent::Completion`] with the tag of each request at `source`.
    /// With `inline`, or if the host has no thread left, requests run where they are submitted. `tell` hears of failures.
    pub fn new(
        backend: Arc<dyn BlockBackend>,
        port: Arc<InputPort>,
        source: SourceId,
        inline: bool,
        tell: Option<MessageFn>,
    ) -> DiskWorker {
        let shared = Arc::new(Shared {
            backend,
            port,
            source,
            progress: Mutex::default(),
            changed: Condvar::new(),
            metrics: BlockMetrics::default(),
            told: AtomicU32::new(0),
            tell,
        });
        let mut worker = DiskWorker { shared, queue: None, thread: None };
        if !inline {
            worker.start();
        }
        worker
    }

    fn start(&mut self) {
        let (queue, requests) = unbounded();
        let shared = self.shared.clone();
        let thread = std::thread::Builder::new().name("disk".into()).spawn(move || shared.run(&requests));
        match thread {
            Ok(thread) => {
                self.thread = Some(thread);
                self.queue = Some(queue);
            }
            Err(e) => tracing::error!("no thread for a disk ({e}); its requests run on the harts' threads"),
        }
    }

    /// Hands a request over. Its completion carries `tag`.
    pub fn submit(&self, tag: u64, op: DiskOp) {
        {
            let mut p = self.shared.progress.lock();
            p.requests += 1;
            p.bytes += op.weight();
        }
        match &self.queue {
            // The receiver lives as long as the thread, which ends only when the sender is dropped.
            Some(q) => drop(q.send((tag, op))),
            None => self.shared.serve(tag, op),
        }
    }

    /// Bytes of requests that have not run yet; the submitter bounds them.
    pub fn bytes_in_flight(&self) -> u64 {
        self.shared.progress.lock().bytes
    }

    /// Waits until every request has run. Their completions may still be on their way to the port.
    pub fn wait_idle(&self) {
        let mut p = self.shared.progress.lock();
        while p.requests > 0 && !p.paused {
            self.shared.changed.wait(&mut p);
        }
    }

    /// Waits for the request that runs and starts no other; then makes what was written durable. What has not run
    /// stays queued.
    pub fn pause(&self) {
        {
            let mut p = self.shared.progress.lock();
            p.paused = true;
            while p.running {
                self.shared.changed.wait(&mut p);
            }
        }
        self.shared.last_flush();
    }

    /// Goes on after [`DiskWorker::pause`].
    pub fn resume(&self) {
        self.shared.progress.lock().paused = false;
        self.shared.changed.notify_all();
    }

    /// The disk below.
    pub fn backend(&self) -> &dyn BlockBackend {
        &*self.shared.backend
    }

    /// The counters.
    pub fn metrics(&self) -> &BlockMetrics {
        &self.shared.metrics
    }
}

impl Drop for DiskWorker {
    fn drop(&mut self) {
        // The thread runs what is queued, then ends; unless it is paused: then what is queued is part of a saved state,
        // which will run it, and which fits no other disk than that of now. The thread may be the one that drops us,
        // if a completion was the last to hold the device: then it cannot wait for itself.
        self.queue = None;
        {
            let mut p = self.shared.progress.lock();
            p.abandoned = p.paused;
        }
        self.resume();
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
        self.shared.last_flush();
    }
}

impl Shared {
    fn run(&self, requests: &Receiver<(u64, DiskOp)>) {
        for (tag, op) in requests {
            if !self.begin() {
                return;
            }
            self.serve(tag, op);
        }
    }

    /// Waits while paused; then says whether to go on.
    fn begin(&self) -> bool {
        let mut p = self.progress.lock();
        while p.paused {
            self.changed.wait(&mut p);
        }
        p.running = !p.abandoned;
        p.running
    }

    fn serve(&self, tag: u64, op: DiskOp) {
        let weight = op.weight();
        let (status, data) = match self.perform(op) {
            Ok(data) => (0, data),
            Err(e) => (self.failed(&e), Vec::new()),
        };
        {
            // Before the completion is handed over: that may wait for a device which waits for us in `pause`.
            let mut p = self.progress.lock();
            p.running = false;
            p.requests = p.requests.saturating_sub(1);
            p.bytes = p.bytes.saturating_sub(weight);
            self.changed.notify_all();
        }
        self.port.push(self.source, InputEvent::Completion { tag, status, data });
    }

    fn last_flush(&self) {
        if !self.backend.read_only()
            && let Err(e) = self.backend.flush()
        {
            tracing::error!(disk = %self.backend.describe(), "cannot make the disk durable: {e}");
        }
    }

    fn perform(&self, op: DiskOp) -> Result<Vec<u8>, BlockError> {
        let (disk, m) = (&*self.backend, &self.metrics);
        let count = |c: &AtomicU64, n: u64| c.fetch_add(n, Ordering::Relaxed);
        match op {
            DiskOp::Read { offset, len } => {
                let mut buf = vec![0; len as usize];
                disk.read_at(offset, &mut buf)?;
                count(&m.reads, 1);
                count(&m.read_bytes, len as u64);
                return Ok(buf);
            }
            DiskOp::Write { offset, data, through } => {
                disk.write_at(offset, &data)?;
                count(&m.writes, 1);
                count(&m.written_bytes, data.len() as u64);
                if through {
                    disk.flush()?;
                }
            }
            DiskOp::Flush => {
                disk.flush()?;
                self.told.store(0, Ordering::Relaxed);
                count(&m.flushes, 1);
            }
            DiskOp::Discard(ranges) => {
                for (offset, len) in ranges {
                    disk.discard(offset, len)?;
                }
                count(&m.discards, 1);
            }
            DiskOp::WriteZeroes(ranges) => {
                for (offset, len, unmap) in ranges {
                    disk.write_zeroes(offset, len, unmap)?;
                }
                count(&m.discards, 1);
            }
        }
        Ok(Vec::new())
    }

    /// Counts the failure and says it once per kind, not once per request: a full host disk fails thousands.
    fn failed(&self, e: &BlockError) -> i32 {
        self.metrics.errors.fetch_add(1, Ordering::Relaxed);
        let code = e.code();
        let bit = 1 << (code & 31);
        if self.told.fetch_or(bit, Ordering::Relaxed) & bit == 0 {
            let text = format!("{}: {e}", self.backend.describe());
            tracing::error!("disk request failed: {text}");
            if let Some(tell) = &self.tell {
                tell(&text);
            }
        }
        code
    }
}
