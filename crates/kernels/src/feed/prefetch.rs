//! Batches that are made ahead: who makes which in whose memory, and what lies ready.
//!
//! Threads take the next place in the plan together with a free slot, fill it, and put it where the caller
//! finds it. The caller takes batches in order, and holds each one's memory through a [`Lease`]. When the
//! caller comes before anybody has begun the batch it wants, it makes that batch itself.
//!
//! One lock guards the book-keeping and is held for moments only, never while a batch is made.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::batch::Batch;
use super::config::{Feed, FeedConfig};
use super::gather::{self, Filled, Scratch, Shape};
use super::masks::Static;
use super::order::{OrderCache, SampleId};
use super::pool::{AlignedBuffer, Home, Lease, Slot};
use super::state::{Cursor, GroupPlace};
use super::stats::{Counters, Stats};
use crate::error::{KernelError, Result};

/// What came of a request for a batch.
pub enum Request {
    /// Here it is.
    Batch(Batch),
    /// The time given has passed.
    Pending,
}

/// What threads, caller and leases share.
pub struct Prefetcher {
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

impl Prefetcher {
    /// A feed of which nothing is made yet.
    ///
    /// # Errors
    /// `Option` when there are too few buffers.
    pub(super) fn new(feed: Feed, config: &FeedConfig) -> Result<Self> {
        if config.buffers == 0 {
            let reason = "is 0; the least is 1".to_owned();
            return Err(KernelError::Option { name: "buffers".to_owned(), reason });
        }
        Ok(Self {
            feed,
            buffers: config.buffers,
            prefetch: config.prefetch,
            thread_count: if config.prefetch == 0 { 0 } else { config.threads },
            books: Mutex::default(),
            masks: Mutex::default(),
            bench: Mutex::default(),
            ready: Condvar::new(),
            room: Condvar::new(),
        })
    }

    /// Where the next batch begins.
    pub(super) fn cursor(&self) -> Cursor {
        self.books().take.at
    }

    /// As [`super::loader::Loader::lend`].
    pub(super) fn lend(&self, memory: Vec<AlignedBuffer>) -> Result<()> {
        let needed = self.feed.batch_bytes;
        if memory.len() != self.buffers || memory.iter().any(|buffer| buffer.bytes() < needed) {
            let reason = format!("it takes {} buffers of {needed} bytes", self.buffers);
            return Err(KernelError::Option { name: "pin_memory".to_owned(), reason });
        }
        let mut books = self.books();
        if books.slots > 0 {
            return Err(KernelError::internal("memory comes before the first request"));
        }
        books.slots = memory.len();
        books.free.extend(memory.into_iter().map(|matrices| Slot { matrices, ..Slot::new(0) }));
        Ok(())
    }

    /// How many threads are to work, as [`Prefetcher::work`] says; none after [`Prefetcher::close`].
    pub(super) fn threads(&self) -> usize {
        if self.books().closed { 0 } else { self.listeners() + self.thread_count }
    }

    /// Threads that wait for the feeder.
    fn listeners(&self) -> usize {
        usize::from(self.feed.live.is_some())
    }

    /// What a thread does, the first ones by listening to the feeder; it ends when the feed is closed.
    pub(super) fn work(&self, thread: usize) {
        if thread < self.listeners() {
            while self.listen() {}
            return;
        }
        let mut bench = Workbench::default();
        while self.make_one(&mut bench) {}
    }

    /// Goes elsewhere.
    pub(super) fn seek(&self, cursor: Cursor, place: GroupPlace) {
        let mut books = self.books();
        if let Some(live) = &self.feed.live {
            live.seek(cursor, place);
        }
        books.restart(self.feed.plan.settle(cursor));
        drop(books);
        self.room.notify_all();
    }

    /// What was measured so far.
    pub(super) fn stats(&self) -> Stats {
        let books = self.books();
        let elapsed = books.started.zip(books.last).map_or(Duration::ZERO, |(from, to)| to - from);
        let feeder = self.feed.live.as_ref().map(|live| live.stats());
        books.counters.over(elapsed, self.thread_count, feeder)
    }

    /// Ends the threads' work.
    pub(super) fn close(&self) {
        let mut books = self.books();
        books.closed = true;
        books.done.clear();
        books.free.clear();
        drop(books);
        if let Some(live) = &self.feed.live {
            live.close();
        }
        self.room.notify_all();
        self.ready.notify_all();
    }

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

    /// As [`super::loader::Loader::next`].
    pub(super) fn next(self: &Arc<Self>, patience: Duration) -> Result<Request> {
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

impl Home for Prefetcher {
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
