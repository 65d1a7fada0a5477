//! A feed as its user has it: batches one after the other, its state, its threads.
//!
//! The threads work in the background, ahead of the caller; how is in [`super::prefetch`].

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::config::{Feed, FeedConfig, bad};
use super::pool::AlignedBuffer;
use super::prefetch::{Prefetcher, Request};
use super::state::{self, Cursor, GroupPlace};
use super::stats::Stats;
use crate::error::{KernelError, Result};

/// The last epoch that can be gone to; places in later ones would not fit their numbers.
pub const LAST_EPOCH: u64 = (1 << 32) - 1;

/// A feed with its threads.
pub struct Loader {
    prefetcher: Arc<Prefetcher>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    process: u32,
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
        let prefetcher = Arc::new(Prefetcher::new(feed, config)?);
        Ok(Self { prefetcher, threads: Mutex::default(), process: std::process::id() })
    }

    /// The feed behind the loader.
    pub fn feed(&self) -> &Feed {
        &self.prefetcher.feed
    }

    /// Where the next batch begins.
    pub fn cursor(&self) -> Cursor {
        self.prefetcher.cursor()
    }

    /// Takes the memory of its batches from somebody else: a buffer for each that can exist. Before the first
    /// request.
    ///
    /// # Errors
    /// `Option` when there are not as many as `buffers`, or one is too small; `Internal` when there was a
    /// request.
    pub fn lend(&self, memory: Vec<AlignedBuffer>) -> Result<()> {
        self.prefetcher.lend(memory)
    }

    /// The next batch, waiting up to `patience` for it.
    ///
    /// # Errors
    /// Whatever went wrong when the batch was made, in its place in the order; asking again tries again.
    /// `FeedBuffers` when the caller holds all buffers, `Disposed` after [`Loader::close`]; `Option` when the system
    /// starts no more threads.
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
        self.prefetcher.next(patience)
    }

    fn start_threads(&self) -> Result<()> {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for number in threads.len()..self.prefetcher.threads() {
            let prefetcher = Arc::clone(&self.prefetcher);
            let thread = std::thread::Builder::new()
                .name(format!("gristmill-feed-{number}"))
                .spawn(move || prefetcher.work(number))
                .map_err(|error| bad("threads", format!("the system starts no thread {number}: {error}")))?;
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
        let place = self.prefetcher.feed.live.as_ref().map(|live| live.group_place(cursor));
        state::save(cursor, place, &self.prefetcher.feed.identity)
    }

    /// Goes to the place a state was saved at.
    ///
    /// # Errors
    /// As [`state::load`].
    pub fn load_state(&self, text: &str) -> Result<()> {
        let (cursor, place) = state::load(text, &self.prefetcher.feed.identity)?;
        if cursor.epoch > LAST_EPOCH || cursor.samples >= 1 << 60 {
            let reason = format!("epoch {} and sample {} are no place", cursor.epoch, cursor.samples);
            return Err(KernelError::FeedState { reason });
        }
        if let Some(live) = &self.prefetcher.feed.live
            && !place.is_some_and(|place| live.has_place(cursor, place))
        {
            let reason = "it names no place among this pipeline's tasks".to_owned();
            return Err(KernelError::FeedState { reason });
        }
        self.prefetcher.seek(cursor, place.unwrap_or_default());
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
        self.prefetcher.seek(Cursor { epoch, samples: 0 }, GroupPlace::default());
        Ok(())
    }

    /// What was measured so far.
    pub fn stats(&self) -> Stats {
        self.prefetcher.stats()
    }

    /// Ends the threads. Batches that were handed over stay valid.
    pub fn close(&self) {
        if std::process::id() != self.process {
            return; // after a fork the threads are not here, and one may have held the lock
        }
        self.prefetcher.close();
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
