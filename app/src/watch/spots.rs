//! The thread that asks a machine's harts where they are, and makes the table of hot spots of what they say.

use super::Wants;
use super::flame::{self, Frame};
use super::hot::{self, Named, Namer, Order, Table};
use super::inspect::{Inspected, inspect};
use super::names::TableNamer;
use crate::machine::api::MachineHandle;
use crate::symbols::finder::Finder;
use engine::watch::apart::Apart;
use engine::watch::list::Listed;
use engine::watch::samples::Sample;
use parking_lot::{Condvar, Mutex};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The time that the table is about.
pub const WINDOW: Duration = Duration::from_secs(10);
/// Mean time between two questions.
const MEAN: Duration = Duration::from_millis(5);
/// Between two tables.
const TABLES: Duration = Duration::from_millis(500);
/// Between two looks for symbols, most of which only see that it is not time yet.
const NAMES: Duration = Duration::from_millis(250);
/// Translations of one block that are taken apart.
const MOST_FORMS: usize = 6;
/// Translations whose modes are tried for a block without one.
const KEYS: usize = 4_096;
/// Between two lists of translations: there can be many.
const LISTS: Duration = Duration::from_secs(1);

/// What can be asked.
pub trait Sampled: Send {
    /// Asks all harts that run, for their callers too or not; `false` if the machine is over.
    fn ask(&self, callers: bool) -> bool;
    /// Samples from a number on, and the number to go on from.
    fn samples(&self, from: u64) -> Option<(Vec<Sample>, u64)>;
    /// All translations.
    fn list(&self) -> Option<Vec<Listed>>;
    /// A translation in all its forms, as if its entry were at this guest address.
    fn apart(&self, id: u32, at: Option<u64>) -> Option<Apart>;
    /// A block as it is interpreted.
    fn block_apart(&self, pa: u64, key: u32, at: Option<u64>) -> Option<Apart>;
}

/// Guest code that somebody looks at.
#[derive(Clone, Debug, Default)]
pub struct Subject {
    /// Physical address.
    pub pa: u64,
    /// Guest address.
    pub pc: Option<u64>,
    /// The function.
    pub name: Option<Named>,
    /// What runs it, and the block itself first; empty if there is no such code any more.
    pub forms: Vec<(Option<Listed>, Inspected)>,
}

impl Sampled for MachineHandle {
    fn ask(&self, callers: bool) -> bool {
        self.look(|engine| engine.ask_for_samples(callers)).is_some() || self.state().is_alive()
    }

    fn samples(&self, from: u64) -> Option<(Vec<Sample>, u64)> {
        self.look(|engine| engine.code().translations().samples.since(from))
    }

    fn list(&self) -> Option<Vec<Listed>> {
        let (mut out, mut from) = (Vec::new(), Some(0));
        while let Some(n) = from {
            // Each piece for itself, so that a machine that ends waits for one only.
            from = self.look(|engine| engine.code().translations().list(n, &mut out))?;
        }
        Some(out)
    }

    fn apart(&self, id: u32, at: Option<u64>) -> Option<Apart> {
        self.look(|engine| engine.take_apart(id, at))?
    }

    fn block_apart(&self, pa: u64, key: u32, at: Option<u64>) -> Option<Apart> {
        self.look(|engine| engine.take_block_apart(pa, key, at))?
    }
}

#[derive(Default)]
struct Control {
    wanted: bool,
    /// With call stacks.
    stacks: bool,
    stop: bool,
    order: Order,
    /// Names of functions, once they are known.
    namer: Option<Arc<dyn Namer + Send + Sync>>,
    /// Where they come from, in words.
    names_from: String,
    /// The order or the names have changed.
    changed: bool,
    /// What is to be taken apart: physical and guest address.
    subject: Option<(u64, Option<u64>)>,
    /// It has changed.
    other_subject: bool,
}

#[derive(Default)]
struct Shared {
    control: Mutex<Control>,
    news: Condvar,
    table: Mutex<Arc<Table>>,
    subject: Mutex<Arc<Subject>>,
    flame: Mutex<Option<Arc<Frame>>>,
}

/// Samples one machine until it is dropped or the machine is over; the last table stays.
pub struct Spots {
    shared: Arc<Shared>,
}

struct NoNames;
impl Namer for NoNames {
    fn name(&self, _: Option<u64>, _: Option<u64>) -> Option<Named> {
        None
    }
}

impl Spots {
    /// Begins. `wake` is called with each new table.
    pub fn new(sampled: impl Sampled + 'static, wake: impl Fn() + Send + 'static) -> Spots {
        let shared = Arc::<Shared>::default();
        let mut eye =
            Eye { sampled, shared: shared.clone(), window: VecDeque::new(), next: None, listed: None };
        let made = std::thread::Builder::new().name("sample".into()).spawn(move || eye.run(&wake));
        if let Err(e) = made {
            tracing::warn!("no samples are taken, no thread could be started: {e}");
        }
        Spots { shared }
    }

    /// As [`Spots::new`], with functions of the guest's kernel named by the kernel's own tables, as soon as they are found in its memory.
    pub fn of_machine(machine: &MachineHandle, wake: impl Fn() + Send + 'static) -> Spots {
        let spots = Spots::new(machine.clone(), wake);
        let (memory, shared) = (machine.clone(), spots.shared.clone());
        let made =
            std::thread::Builder::new().name("symbols".into()).spawn(move || find_names(&memory, &shared));
        if let Err(e) = made {
            tracing::warn!("functions have no names, no thread could be started: {e}");
        }
        spots
    }

    /// Whether anybody looks.
    pub fn want(&self, wants: Wants) {
        let mut control = self.shared.control.lock();
        if (control.wanted, control.stacks) != (wants.spots, wants.stacks) {
            (control.wanted, control.stacks) = (wants.spots, wants.stacks);
            self.shared.news.notify_all();
        }
    }

    /// The order in which the table is wanted.
    pub fn order(&self, order: &Order) {
        let mut control = self.shared.control.lock();
        if control.order != *order {
            control.order = order.clone();
            control.changed = true;
            self.shared.news.notify_all();
        }
    }

    /// Where the names of functions come from, in words.
    pub fn names_from(&self) -> String {
        self.shared.control.lock().names_from.clone()
    }

    /// Takes this code apart from now on.
    pub fn inspect(&self, pa: u64, pc: Option<u64>) {
        let mut control = self.shared.control.lock();
        if control.subject.is_none_or(|(now, at)| now != pa || (pc.is_some() && at != pc)) {
            control.subject = Some((pa, pc));
            control.other_subject = true;
            self.shared.news.notify_all();
        }
    }

    /// The code that was last taken apart.
    pub fn subject(&self) -> Arc<Subject> {
        self.shared.subject.lock().clone()
    }

    /// The call stacks of the last seconds, once there are any.
    pub fn flame(&self) -> Option<Arc<Frame>> {
        self.shared.flame.lock().clone()
    }

    /// The newest table.
    pub fn table(&self) -> Arc<Table> {
        self.shared.table.lock().clone()
    }
}

impl Drop for Spots {
    fn drop(&mut self) {
        self.shared.control.lock().stop = true;
        self.shared.news.notify_all();
    }
}

/// A count with its digits in groups, by thin spaces.
fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let group = |(i, c): (usize, char)| {
        let space = (i > 0 && (digits.len() - i).is_multiple_of(3)).then_some('\u{2009}');
        space.into_iter().chain([c])
    };
    digits.chars().enumerate().flat_map(group).collect()
}

/// Body of the thread that looks for the kernel's symbols, while somebody looks at what it names.
fn find_names(machine: &MachineHandle, shared: &Shared) {
    let mut finder = Finder::default();
    loop {
        {
            let mut control = shared.control.lock();
            while !control.stop && !control.wanted {
                shared.news.wait(&mut control);
            }
            if control.stop {
                return;
            }
        }
        if !machine.state().is_alive() {
            return;
        }
        // The names of a machine that is over stay.
        if finder.poll(machine, Instant::now()) && machine.look(|_| ()).is_some() {
            let kernel = finder.kernel().map(|k| k.table.clone());
            let mut control = shared.control.lock();
            control.names_from = kernel
                .as_ref()
                .map_or_else(String::new, |t| format!("{} symbols of {}", thousands(t.len()), t.source()));
            control.namer = kernel.map(|table| Arc::new(TableNamer(table)) as Arc<dyn Namer + Send + Sync>);
            control.changed = true;
            shared.news.notify_all();
        }
        let mut control = shared.control.lock();
        if !control.stop {
            shared.news.wait_for(&mut control, NAMES);
        }
    }
}

struct Eye<S> {
    sampled: S,
    shared: Arc<Shared>,
    window: VecDeque<Sample>,
    /// The number of the next sample.
    next: Option<u64>,
    listed: Option<(Instant, Vec<Listed>)>,
}

/// What is to be done next.
enum Turn {
    Ask { callers: bool },
    Table,
    Subject,
    Over,
}

impl<S: Sampled> Eye<S> {
    fn run(&mut self, wake: &impl Fn()) {
        let (mut number, mut made) = (0_u64, None::<Instant>);
        loop {
            let due = made.is_none_or(|at| at.elapsed() >= TABLES);
            match self.wait(number, due) {
                Turn::Over => return,
                Turn::Ask { callers } => {
                    number += 1;
                    if !self.sampled.ask(callers) {
                        return;
                    }
                }
                Turn::Table => {
                    made = Some(Instant::now());
                    self.take();
                    self.make();
                    self.take_apart();
                    wake();
                }
                Turn::Subject => {
                    self.take_apart();
                    wake();
                }
            }
        }
    }

    /// Waits until it is time to ask, or for a table.
    fn wait(&self, number: u64, due: bool) -> Turn {
        let mut control = self.shared.control.lock();
        let at = Instant::now() + interval(number);
        loop {
            if control.stop {
                return Turn::Over;
            }
            if !control.wanted {
                self.shared.news.wait(&mut control);
            } else if std::mem::take(&mut control.other_subject) {
                return Turn::Subject;
            } else if due || std::mem::take(&mut control.changed) {
                return Turn::Table;
            } else if self.shared.news.wait_until(&mut control, at).timed_out() {
                return Turn::Ask { callers: control.stacks };
            }
        }
    }

    fn take(&mut self) {
        let Some((samples, next)) = self.sampled.samples(self.next.unwrap_or(0)) else { return };
        if self.next.is_some_and(|before| next < before) {
            // Another machine under the same handle: it was reset.
            self.window.clear();
            self.listed = None;
        }
        self.next = Some(next);
        self.window.extend(samples);
        // Time stands still with the guest: the window ends with the newest sample.
        let Some(end) = self.window.back().map(|s| s.at) else { return };
        while self.window.front().is_some_and(|s| end.duration_since(s.at) > WINDOW) {
            self.window.pop_front();
        }
    }

    /// Takes the subject apart, if it is another or other translations have it.
    fn take_apart(&mut self) {
        let (subject, namer) = {
            let control = self.shared.control.lock();
            (control.subject, control.namer.clone())
        };
        let Some((pa, pc)) = subject else { return };
        let listed = self.listed.as_ref().map_or(&[][..], |(_, list)| list);
        let mut own: Vec<&Listed> = listed.iter().filter(|l| l.blocks.contains(&pa)).collect();
        own.sort_by_key(|l| (l.stage, l.pa != pa, l.id));
        own.truncate(MOST_FORMS);
        let now = self.shared.subject.lock().clone();
        let same =
            |(a, b): (&Option<Listed>, &Listed)| a.as_ref().is_some_and(|a| a.id == b.id && a.pa == b.pa);
        let shown: Vec<_> = now.forms.iter().map(|(l, _)| l.clone()).filter(Option::is_some).collect();
        let alike = now.pa == pa
            && now.pc == pc
            && shown.len() == own.len()
            && shown.iter().zip(own.iter().copied()).all(same);
        if alike && !now.forms.is_empty() {
            return;
        }
        let keys: BTreeSet<u32> = own.iter().copied().chain(listed).map(|l| l.key).take(KEYS).collect();
        let block = keys.iter().find_map(|key| self.sampled.block_apart(pa, *key, pc));
        let translated = own.into_iter().filter_map(|l| {
            let at = pc.map(|pc| pc.wrapping_add(l.pa.wrapping_sub(pa)));
            Some((Some(l.clone()), inspect(self.sampled.apart(l.id, at)?)))
        });
        let forms = block.map(|b| (None, inspect(b))).into_iter().chain(translated).collect();
        let name = namer.and_then(|namer| namer.name(Some(pa), pc));
        *self.shared.subject.lock() = Arc::new(Subject { pa, pc, name, forms });
    }

    fn make(&mut self) {
        if self.listed.as_ref().is_none_or(|(at, _)| at.elapsed() >= LISTS)
            && let Some(list) = self.sampled.list()
        {
            self.listed = Some((Instant::now(), list));
        }
        let (order, namer, stacks) = {
            let control = self.shared.control.lock();
            (control.order.clone(), control.namer.clone(), control.stacks)
        };
        let namer: &dyn Namer = match &namer {
            Some(namer) => &**namer,
            None => &NoNames,
        };
        let listed = self.listed.as_ref().map_or(&[][..], |(_, list)| list);
        if stacks {
            *self.shared.flame.lock() = Some(Arc::new(flame::tree(self.window.iter(), namer)));
        }
        *self.shared.table.lock() = Arc::new(hot::table(listed, self.window.iter(), namer, &order));
    }
}

/// The time to the next question: never the same, or guests that do things at fixed times would always be met at them.
fn interval(number: u64) -> Duration {
    // The top bits of a product are a hash (Knuth, The Art of Computer Programming, volume 3, 6.4).
    let part = (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f64 / (1_u64 << 24) as f64;
    MEAN.mul_f64(0.5 + part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::watch::Stage;
    use engine::watch::samples::Privilege;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// A machine that answers each question at once.
    struct Script(Arc<AtomicU64>);

    impl Sampled for Script {
        fn ask(&self, _: bool) -> bool {
            self.0.fetch_add(1, Ordering::Relaxed);
            true
        }
        fn samples(&self, from: u64) -> Option<(Vec<Sample>, u64)> {
            let end = self.0.load(Ordering::Relaxed);
            let sample = |n: u64| Sample {
                at: Instant::now(),
                hart: 0,
                pc: 0x1000 + n % 2,
                pa: None,
                stage: Stage::Tier1,
                privilege: Privilege::User,
                space: 0,
                callers: None,
            };
            Some(((from..end).map(sample).collect(), end))
        }
        fn list(&self) -> Option<Vec<Listed>> {
            Some(Vec::new())
        }
        fn apart(&self, _: u32, _: Option<u64>) -> Option<Apart> {
            None
        }
        fn block_apart(&self, _: u64, _: u32, _: Option<u64>) -> Option<Apart> {
            None
        }
    }

    fn until(mut done: impl FnMut() -> bool) {
        let end = Instant::now() + Duration::from_secs(20);
        while !done() {
            assert!(Instant::now() < end);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn it_asks_while_somebody_looks() {
        let asked = Arc::new(AtomicU64::new(0));
        let spots = Spots::new(Script(asked.clone()), || {});
        std::thread::sleep(4 * MEAN);
        assert_eq!(asked.load(Ordering::Relaxed), 0);
        spots.want(Wants::SPOTS);
        until(|| spots.table().rows.len() == 2);
        let table = spots.table();
        assert_eq!(table.rows.iter().map(|r| r.time()).sum::<u32>(), table.time());
        // Another order is not waited for.
        spots.order(&Order { filter: "1001".into(), ..Order::default() });
        until(|| spots.table().rows.len() == 1);
        spots.want(Wants::default());
        std::thread::sleep(4 * MEAN);
        let before = asked.load(Ordering::Relaxed);
        std::thread::sleep(4 * MEAN);
        assert_eq!(asked.load(Ordering::Relaxed), before);
        let shared = Arc::downgrade(&spots.shared);
        drop(spots);
        until(|| shared.strong_count() == 0);
    }

    #[test]
    fn intervals_vary_about_their_mean() {
        let all: Vec<f64> = (0..1000).map(|n| interval(n).as_secs_f64()).collect();
        let mean = all.iter().sum::<f64>() / 1000.0 / MEAN.as_secs_f64();
        assert!((mean - 1.0).abs() < 0.02, "{mean}");
        assert!(all.windows(2).all(|w| (w[0] - w[1]).abs() > 1e-6));
    }
}
