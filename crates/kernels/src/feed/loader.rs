//! Batches made in the background, ahead of the caller, and handed over in order.
//!
//! Threads take the next place in the plan together with a free slot, fill it, and put it where the caller
//! finds it. The caller takes batches in order, and holds each one's memory through a [`Lease`]. When the
//! caller comes before anybody has begun the batch it wants, it makes that batch itself.
//!
//! One lock guards the book-keeping and is held for moments only, never while a batch is made.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::batch::Batch;
use super::config::{Feed, FeedConfig};
use super::gather::{self, Filled, Scratch, Shape};
use super::masks::Static;
use super::order::{OrderCache, SampleId};
use super::pool::{AlignedBuffer, Home, Lease, Slot};
use super::state::{self, Cursor, GroupPlace};
use super::stats::{Counters, Stats};
use crate::error::{KernelError, Result};

/// The last epoch that can be gone to; places in later ones would not fit their numbers.
pub const LAST_EPOCH: u64 = (1 << 32) - 1;

/// What came of a request for a batch.
pub enum Request {
    /// Here it is.
    Batch(Batch),
    /// The time given has passed.
    Pending,
}

/// A feed with its threads.
pub struct Loader {
    core: Arc<Core>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    process: u32,
}

/// What threads, caller and leases share.
pub struct Core {
    pub(super) feed: Feed,
    buffers: usize,
    prefetch: usize,
    thread_count: usize,
    books: Mutex<Books>,
    /// Masks that batches share, by what they are and positions of a row; the largest that was asked for.
    masks: Mutex<BTreeMap<(&'static str, u32), Arc<AlignedBuffer>>>,
    /// The caller's own, for batches it makes itself.
    bench: Mutex<Workbench>,
    /// Signalled when a batch is ready or given up.
    ready: Condvar,
    /// Signalled when there may be something to make.
    room: Condvar,
}

#[derive(Default)]
struct Books {
    free: Vec<Slot>,
    /// Slots that exist, wherever they are.
    slots: usize,
    /// The next batch to make, and its number.
    claim: Ticket,
    /// The next batch to hand over, and its number.
    take: Ticket,
    /// Made, or failed, by number.
    done: BTreeMap<u64, Result<(Slot, Filled)>>,
    in_flight: usize,
    /// A thread found no memory for the next batch and waits for some to come back.
    starved: bool,
    closed: bool,
    started: Option<Instant>,
    last: Option<Instant>,
    counters: Counters,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Ticket {
    number: u64,
    at: Cursor,
}

/// What one thread works with.
#[derive(Default)]
struct Workbench {
    cache: OrderCache,
    scratch: Scratch,
    samples: Vec<Option<SampleId>>,
}

impl Loader {
    /// Opens a feed; its threads start with the first request.
    ///
    /// # Errors
    /// As [`Feed::open`], and `Option` when there are too few buffers.
    pub fn open(config: &FeedConfig) -> Result<Self> {
        Self::over(Feed::open(config)?, config)
    }

    /// As [`Loader::open`], over a feed that is open already.
    ///
    /// # Errors
    /// `Option` when there are too few buffers.
    pub fn over(feed: Feed, config: &FeedConfig) -> Result<Self> {
        if config.buffers == 0 {
            let reason = "is 0; the least is 1".to_owned();
            return Err(KernelError::Option { name: "buffers".to_owned(), reason });
        }
        let core = Core {
            feed,
            buffers: config.buffers,
            prefetch: config.prefetch,
            thread_count: if config.prefetch == 0 { 0 } else { config.threads },
            books: Mutex::default(),
            masks: Mutex::default(),
            bench: Mutex::default(),
            ready: Condvar::new(),
            room: Condvar::new(),
        };
        Ok(Self { core: Arc::new(core), threads: Mutex::default(), process: std::process::id() })
    }

    /// The feed behind the loader.
    pub fn feed(&self) -> &Feed {
        &self.core.feed
    }

    /// Where the next batch begins.
    pub fn cursor(&self) -> Cursor {
        self.core.books().take.at
    }

    /// Takes the memory of its batches from somebody else: a buffer for each that can exist. Before the first
    /// request.
    ///
    /// # Errors
    /// `Option` when there are not as many as `buffers`, or one is too small; `Internal` when there was a
    /// request.
    pub fn lend(&self, memory: Vec<AlignedBuffer>) -> Result<()> {
        let core = &self.core;
        let needed = core.feed.batch_bytes;
        if memory.len() != core.buffers || memory.iter().any(|buffer| buffer.bytes() < needed) {
            let reason = format!("it takes {} buffers of {needed} bytes", core.buffers);
            return Err(KernelError::Option { name: "pin_memory".to_owned(), reason });
        }
        let mut books = core.books();
        if books.slots > 0 {
            return Err(KernelError::internal("memory comes before the first request"));
        }
        books.slots = memory.len();
        books.free.extend(memory.into_iter().map(|matrices| Slot { matrices, ..Slot::new(0) }));
        Ok(())
    }

    /// The next batch, waiting up to `patience` for it.
    ///
    /// # Errors
    /// Whatever went wrong when the batch was made, in its place in the order; asking again tries again.
    /// `FeedBuffers` when the caller holds all buffers, `Disposed` after [`Loader::close`].
    pub fn next(&self, patience: Duration) -> Result<Request> {
        if std::process::id() != self.process {
            return Err(KernelError::Option {
                name: "num_workers".to_owned(),
                reason: "this loader was opened in another process, and its threads are not in this one; \
                         it works in the background by itself, so use num_workers=0"
                    .to_owned(),
            });
        }
        self.start_threads()?;
        self.core.next(patience)
    }

    fn start_threads(&self) -> Result<()> {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let listeners = usize::from(self.core.feed.live.is_some());
        if threads.len() == listeners + self.core.thread_count || self.core.books().closed {
            return Ok(());
        }
        for number in threads.len()..listeners + self.core.thread_count {
            let core = Arc::clone(&self.core);
            let thread = std::thread::Builder::new()
                .name(format!("gristmill-feed-{number}"))
                .spawn(move || {
                    if number < listeners {
                        while core.listen() {}
                        return;
                    }
                    let mut bench = Workbench::default();
                    while core.make_one(&mut bench) {}
                })
                .map_err(KernelError::io("start a thread of", "the feed"))?;
            threads.push(thread);
        }
        Ok(())
    }

    /// The state after the last batch handed over.
    ///
    /// # Errors
    /// `Internal` when it cannot be written, which would be a bug.
    pub fn state(&self) -> Result<String> {
        let cursor = self.cursor();
        let place = self.core.feed.live.as_ref().map(|live| live.group_place(cursor));
        state::save(cursor, place, &self.core.feed.identity)
    }

    /// Goes to the place a state was saved at.
    ///
    /// # Errors
    /// As [`state::load`].
    pub fn load_state(&self, text: &str) -> Result<()> {
        let (cursor, place) = state::load(text, &self.core.feed.identity)?;
        if cursor.epoch > LAST_EPOCH || cursor.samples >= 1 << 60 {
            let reason = format!("epoch {} and sample {} are no place", cursor.epoch, cursor.samples);
            return Err(KernelError::FeedState { reason });
        }
        if let Some(live) = &self.core.feed.live
            && !place.is_some_and(|place| live.has_place(cursor, place))
        {
            let reason = "it names no place among this pipeline's tasks".to_owned();
            return Err(KernelError::FeedState { reason });
        }
        self.seek(cursor, place.unwrap_or_default());
        Ok(())
    }

    /// Goes to the start of an epoch.
    ///
    /// # Errors
    /// `Option` when the epoch is past [`LAST_EPOCH`].
    pub fn set_epoch(&self, epoch: u64) -> Result<()> {
        if epoch > LAST_EPOCH {
            let reason = format!("{epoch} is past {LAST_EPOCH}");
            return Err(KernelError::Option { name: "epoch".to_owned(), reason });
        }
        self.seek(Cursor { epoch, samples: 0 }, GroupPlace::default());
        Ok(())
    }

    fn seek(&self, cursor: Cursor, place: GroupPlace) {
        let mut books = self.core.books();
        if let Some(live) = &self.core.feed.live {
            live.seek(cursor, place);
        }
        books.restart(self.core.feed.plan.settle(cursor));
        drop(books);
        self.core.room.notify_all();
    }

    /// What was measured so far.
    pub fn stats(&self) -> Stats {
        let books = self.core.books();
        let elapsed = books.started.zip(books.last).map_or(Duration::ZERO, |(from, to)| to - from);
        let feeder = self.core.feed.live.as_ref().map(|live| live.stats());
        books.counters.over(elapsed, self.core.thread_count, feeder)
    }

    /// Ends the threads. Batches that were handed over stay valid.
    pub fn close(&self) {
        if std::process::id() != self.process {
            return; // after a fork the threads are not here, and one may have held the lock
        }
        let mut books = self.core.books();
        books.closed = true;
        books.done.clear();
        books.free.clear();
        drop(books);
        if let Some(live) = &self.core.feed.live {
            live.close();
        }
        self.core.room.notify_all();
        self.core.ready.notify_all();
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            let _ = thread.join(); // a thread catches its own panics
        }
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.close();
    }
}

impl Books {
    /// Whether all memory that may be is in use.
    fn is_full(&self, buffers: usize) -> bool {
        self.free.is_empty() && self.slots >= buffers
    }

    /// Forgets what was made ahead and goes on at `cursor`. What is being made finds its number gone.
    fn restart(&mut self, cursor: Cursor) {
        let number = self.claim.number.max(self.take.number) + 1;
        self.claim = Ticket { number, at: cursor };
        self.take = self.claim;
        for (slot, _) in std::mem::take(&mut self.done).into_values().flatten() {
            self.free.push(slot);
        }
    }
}

impl Core {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a message from the feeder; false when there are no more.
    fn listen(&self) -> bool {
        let more = self.feed.live.as_ref().is_some_and(|live| live.receive());
        // Whoever looked before this came holds the lock, or waits already.
        drop(self.books());
        self.ready.notify_all();
        self.room.notify_all();
        more
    }

    /// A mask that batches share.
    pub(super) fn shared(&self, mask: Static, shape: Shape) -> Result<Arc<AlignedBuffer>> {
        let mut masks = self.masks.lock().unwrap_or_else(PoisonError::into_inner);
        let (key, making) = ((mask.name(), shape.length), &self.feed.making);
        if let Some(known) = masks.get(&key).filter(|known| known.bytes() >= mask.bytes(making, shape)) {
            return Ok(Arc::clone(known));
        }
        let made = Arc::new(mask.make(making, shape)?);
        masks.insert(key, Arc::clone(&made));
        Ok(made)
    }

    fn next(self: &Arc<Self>, patience: Duration) -> Result<Request> {
        let asked = Instant::now();
        let mut books = self.books();
        books.started.get_or_insert(asked);
        loop {
            if books.closed {
                return Err(KernelError::Disposed { what: "loader" });
            }
            if let Some(live) = &self.feed.live {
                live.ready(books.take.at)?;
            }
            let number = books.take.number;
            if let Some(done) = books.done.remove(&number) {
                let taken = done.inspect_err(|_| {
                    let at = books.take.at;
                    books.restart(at);
                })?;
                return Ok(Request::Batch(self.hand_over(books, asked, taken)));
            }
            if books.claim.number == number {
                if let Some((ticket, slot)) = self.claim(&mut books) {
                    drop(books);
                    self.make(ticket, slot, &mut self.bench.lock().unwrap_or_else(PoisonError::into_inner));
                    books = self.books();
                    continue;
                }
                if books.in_flight == 0 && books.is_full(self.buffers) {
                    return Err(KernelError::FeedBuffers { buffers: self.buffers });
                }
            }
            let Some(left) = patience.checked_sub(asked.elapsed()) else {
                books.counters.stall += asked.elapsed();
                return Ok(Request::Pending);
            };
            books = self.ready.wait_timeout(books, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn hand_over(
        self: &Arc<Self>,
        mut books: MutexGuard<'_, Books>,
        asked: Instant,
        (slot, filled): (Slot, Filled),
    ) -> Batch {
        let at = books.take.at;
        books.take = self.after(books.take);
        let now = Instant::now();
        books.last = Some(now);
        let counters = &mut books.counters;
        counters.stall += now - asked;
        counters.batches += 1;
        counters.sequences += filled.sequences as u64;
        counters.tokens += filled.tokens;
        counters.positions += filled.positions;
        counters.truncated += filled.truncated;
        if let Some(live) = &self.feed.live {
            live.release(books.take.at);
        }
        let few = self.is_low(&books);
        drop(books);
        if few {
            self.room.notify_one();
        }
        Batch { lease: Arc::new(Lease::new(slot, Arc::clone(self))), filled, at }
    }

    /// Whether a thread is to be woken: not for each batch, but for half of what may lie ahead at once. And one more
    /// with every batch that is taken while there are that few, so that a fast trainer has them all at work.
    fn is_low(&self, books: &Books) -> bool {
        books.done.len() + books.in_flight <= self.prefetch / 2
    }

    fn after(&self, ticket: Ticket) -> Ticket {
        Ticket { number: ticket.number + 1, at: self.feed.plan.next(ticket.at) }
    }

    /// The next batch to make and memory for it; `None` when all memory is in use, or what the batch is made
    /// of is not here.
    fn claim(&self, books: &mut Books) -> Option<(Ticket, Slot)> {
        if let Some(live) = &self.feed.live
            && !live.ready(books.claim.at).unwrap_or(false)
        {
            return None;
        }
        let slot = match books.free.pop() {
            Some(slot) => slot,
            None if books.slots < self.buffers => {
                books.slots += 1;
                Slot::new(self.feed.batch_bytes)
            }
            None => {
                books.starved = true;
                return None;
            }
        };
        let ticket = books.claim;
        books.claim = self.after(ticket);
        books.in_flight += 1;
        Some((ticket, slot))
    }

    /// Fills a slot and puts it where the caller finds it.
    fn make(&self, ticket: Ticket, mut slot: Slot, bench: &mut Workbench) {
        let began = Instant::now();
        let Feed { components, plan, making, live, .. } = &self.feed;
        let result = catch_unwind(AssertUnwindSafe(|| {
            let Workbench { cache, scratch, samples } = bench;
            if let Some(live) = live {
                let window = live.samples(ticket.at, samples)?;
                let shape = self.feed.shape(self.feed.length);
                return gather::fill(&mut slot, &window, samples, making, shape, scratch);
            }
            let shape = self.feed.shape(plan.samples(ticket.at, cache, samples)?);
            gather::fill(&mut slot, &**components, samples, making, shape, scratch)
        }))
        .unwrap_or_else(|panic| {
            let reason = panic.downcast_ref::<&str>().map_or_else(
                || panic.downcast_ref::<String>().cloned().unwrap_or_default(),
                |reason| (*reason).to_owned(),
            );
            Err(KernelError::internal(format!("making a batch panicked: {reason}")))
        });
        let mut books = self.books();
        books.in_flight -= 1;
        books.counters.busy += began.elapsed();
        let wanted = (books.take.number..books.claim.number).contains(&ticket.number) && !books.closed;
        match result {
            Ok(filled) if wanted => {
                books.done.insert(ticket.number, Ok((slot, filled)));
            }
            Err(error) if wanted => {
                books.free.push(slot);
                books.done.insert(ticket.number, Err(error));
            }
            _ => books.free.push(slot),
        }
        drop(books);
        self.ready.notify_all();
    }

    /// Makes one batch ahead, waiting for room; false when the loader was closed.
    fn make_one(&self, bench: &mut Workbench) -> bool {
        let mut books = self.books();
        loop {
            if books.closed {
                return false;
            }
            let failed = books.done.values().any(Result::is_err);
            if !failed
                && books.done.len() + books.in_flight < self.prefetch
                && let Some((ticket, slot)) = self.claim(&mut books)
            {
                drop(books);
                self.make(ticket, slot, bench);
                return true;
            }
            let waited = Instant::now();
            books = self.room.wait(books).unwrap_or_else(PoisonError::into_inner);
            books.counters.idle += waited.elapsed();
        }
    }
}

impl Home for Core {
    fn take_back(&self, slot: Slot) {
        let mut books = self.books();
        if books.closed {
            return; // the memory is freed here
        }
        books.free.push(slot);
        let wake = std::mem::take(&mut books.starved) && self.is_low(&books);
        drop(books);
        if wake {
            self.room.notify_one();
        }
    }
}
