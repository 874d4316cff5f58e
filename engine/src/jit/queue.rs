//! Blocks that wait for tier 2, hottest first.

use super::ways::Settled;
use crate::cache::code::Code;
use parking_lot::{Condvar, Mutex};
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

/// Most blocks that wait; more are turned away and come again when they are hot once more.
const LIMIT: usize = 4096;

/// A block that asks for tier 2.
#[derive(Clone)]
pub struct Job {
    /// The head of the region to form.
    pub code: Arc<Code>,
    /// Runs until it asked: hotter blocks are compiled sooner.
    pub runs: u64,
    /// Offsets in the page that are known to be hot, if it was found by samples.
    pub hot: Arc<[u16]>,
    /// What is known of the region, if it is formed again.
    pub settled: Option<Arc<Settled>>,
    /// Runs until the region is to say how it was left.
    pub count: i32,
    /// When it asked: of equally hot ones the older first.
    number: u64,
}

impl PartialEq for Job {
    fn eq(&self, other: &Job) -> bool {
        (self.runs, self.number) == (other.runs, other.number)
    }
}
impl Eq for Job {}
impl PartialOrd for Job {
    fn partial_cmp(&self, other: &Job) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Job {
    fn cmp(&self, other: &Job) -> std::cmp::Ordering {
        self.runs.cmp(&other.runs).then(other.number.cmp(&self.number))
    }
}

#[derive(Default)]
struct Inner {
    jobs: BinaryHeap<Job>,
    asked: u64,
    quit: bool,
}

/// The queue.
#[derive(Default)]
pub struct Queue {
    inner: Mutex<Inner>,
    changed: Condvar,
    len: AtomicUsize,
    /// [`Job::count`] of what is asked for now.
    count: AtomicI32,
}

impl Queue {
    /// Adds a block, unless it is there or the queue is full.
    pub fn push(&self, code: &Arc<Code>, runs: u64) -> bool {
        self.push_found(code, runs, Arc::default())
    }

    /// As [`Queue::push`], for a block that samples found, among others in the page.
    pub fn push_found(&self, code: &Arc<Code>, runs: u64, hot: Arc<[u16]>) -> bool {
        code.ask() && self.add(code, runs, hot, None)
    }

    /// As [`Queue::push`], for a block that is the head of a region, which is to be formed again.
    pub fn push_again(&self, code: &Arc<Code>, runs: u64, settled: Settled) -> bool {
        self.add(code, runs, Arc::default(), Some(Arc::new(settled)))
    }

    /// Sets after how many runs regions that are asked for from now on are to say how they were left.
    pub fn set_count(&self, runs: u32) {
        self.count.store(runs.clamp(1, i32::MAX as u32 / 2) as i32, Ordering::Relaxed);
    }

    fn add(&self, code: &Arc<Code>, runs: u64, hot: Arc<[u16]>, settled: Option<Arc<Settled>>) -> bool {
        let mut inner = self.inner.lock();
        if inner.jobs.len() >= LIMIT {
            if settled.is_none() {
                code.ask_again();
            }
            return false;
        }
        let count = self.count.load(Ordering::Relaxed);
        inner.asked += 1;
        let number = inner.asked;
        inner.jobs.push(Job { code: code.clone(), runs, hot, settled, count, number });
        self.len.store(inner.jobs.len(), Ordering::Relaxed);
        drop(inner);
        self.changed.notify_one();
        true
    }

    /// Takes the hottest block if there is one.
    pub fn try_pop(&self) -> Option<Job> {
        let mut inner = self.inner.lock();
        let job = inner.jobs.pop();
        self.len.store(inner.jobs.len(), Ordering::Relaxed);
        job
    }

    /// Takes the hottest block, waits for one; `None` once the queue is closed.
    pub fn pop(&self) -> Option<Job> {
        let mut inner = self.inner.lock();
        loop {
            if inner.quit {
                return None;
            }
            if let Some(job) = inner.jobs.pop() {
                self.len.store(inner.jobs.len(), Ordering::Relaxed);
                return Some(job);
            }
            self.changed.wait(&mut inner);
        }
    }

    /// Blocks that wait.
    pub fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ends all waiting.
    pub fn close(&self) {
        self.inner.lock().quit = true;
        self.changed.notify_all();
    }
}
