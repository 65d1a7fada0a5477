//! The loader's side of a feed that is made on the fly: which tasks are needed, which blocks are here, and
//! where each sample of a batch lies in them.
//!
//! Blocks are asked for in the order in which their samples come, a group ahead of what is being read, and
//! let go of when their group is over, so that memory is bounded by two groups. Those that lie in the cache stay
//! mapped as long as its memory level keeps them.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::block::Block;
use super::channel::{self, Received, Receiver};
use super::order::{GroupSamples, TaskOrder};
use super::protocol::{Failure, FromFeeder, ToFeeder, ended};
use crate::cache::{Cache, Key};
use crate::error::{KernelError, Result};
use crate::feed::dataset::{Ids, Stretch};
use crate::feed::gather::Samples;
use crate::feed::order::SampleId;
use crate::feed::state::{Cursor, GroupPlace};

/// Groups that are asked for beyond the one that is read.
const GROUPS_AHEAD: u64 = 1;

/// A group of tasks: epoch and number.
type Group = (u64, u64);

/// Which part of each global batch is whose.
#[derive(Debug, Clone, Copy)]
pub struct Share {
    /// Samples of a batch of one rank.
    pub batch: u64,
    /// This rank among those with samples of their own.
    pub rank: u64,
    /// How many those are.
    pub ranks: u64,
    /// Global batches between two steps of the optimizer.
    pub accumulate: u64,
}

/// A feeder and what came of it.
#[derive(Debug)]
pub struct Live {
    order: TaskOrder,
    share: Share,
    cache: Option<Cache>,
    socket: UnixStream,
    receiver: Mutex<Receiver>,
    /// What is to be said as soon as the socket has room for it.
    outbox: Mutex<Vec<u8>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Sequences of each task, as far as they are known.
    sizes: Vec<Option<u64>>,
    /// First sample of groups, those that an epoch's end would begin included.
    starts: BTreeMap<Group, u64>,
    /// Samples of an epoch, once they are known.
    total: Option<u64>,
    blocks: BTreeMap<u32, Arc<Block>>,
    /// Tasks that were asked for and did not come yet.
    asked: BTreeSet<u32>,
    /// The group the next batch begins in, and the last one that was asked for.
    needed: Option<(Group, Group)>,
    failure: Option<Failure>,
    stats: FeederStats,
}

/// What came of a feeder so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct FeederStats {
    /// Blocks that were here already, or still mapped.
    pub memory_hits: u64,
    /// Blocks that lay in the cache's folder.
    pub disk_hits: u64,
    /// Blocks whose rows went through the pipeline.
    pub made: u64,
    /// Entries of the cache that were damaged, and made again.
    pub damaged: u64,
    /// Rows the source gave, in the tasks that were seen.
    pub rows: u64,
    /// Those that steps removed.
    pub removed: u64,
    /// Records that could not be read.
    pub quarantined: u64,
}

impl State {
    /// The group that holds the sample at `cursor`, and that group's first sample.
    fn place(&self, cursor: Cursor) -> (u64, u64) {
        let epoch = self.starts.range((cursor.epoch, 0)..=(cursor.epoch, u64::MAX));
        let found = epoch.rev().find(|(_, start)| **start <= cursor.samples);
        found.map_or((0, 0), |(&(_, group), &start)| (group, start))
    }
}

/// The blocks that the samples of a batch lie in.
#[derive(Debug, Default)]
pub struct Window(Vec<(u32, Arc<Block>)>);

impl Window {
    fn block(&self, task: u32) -> Result<&Block> {
        let found = self.0.iter().find(|(number, _)| *number == task);
        found.map(|(_, block)| &**block).ok_or_else(|| KernelError::internal("a sample of no block"))
    }
}

impl Samples for Window {
    fn place(&self, sample: SampleId) -> (u32, u64) {
        (sample.dataset, sample.sample)
    }

    fn stretches(&self, dataset: u32, place: u64, _longest: u32, out: &mut Vec<Stretch>) -> Result<u64> {
        self.block(dataset)?.stretches(place, out)?;
        Ok(0)
    }

    fn ids(&self, dataset: u32, stretch: &Stretch, from: u32, length: u32) -> Result<Ids<'_>> {
        self.block(dataset)?.ids(stretch, from, length)
    }
}

impl Live {
    /// Reads what a feeder sends on `socket`, in `order`, for the rank with that `share`. `cache` is the one
    /// that the feeder has.
    #[must_use]
    pub fn new(
        order: TaskOrder,
        share: Share,
        cache: Option<Cache>,
        socket: UnixStream,
        receiver: Receiver,
    ) -> Self {
        let state = State {
            sizes: vec![None; order.tasks as usize],
            starts: BTreeMap::from([((0, 0), 0)]),
            ..State::default()
        };
        let (receiver, state) = (Mutex::new(receiver), Mutex::new(state));
        Self { order, share, cache, socket, receiver, outbox: Mutex::default(), state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Samples of a global batch.
    fn step(&self) -> u64 {
        self.share.batch * self.share.ranks
    }

    /// Takes one message from the feeder; false when there are no more.
    pub fn receive(&self) -> bool {
        let mut receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner);
        let failure = match receiver.line(self.socket.as_fd(), None) {
            Ok(Received::Line(line)) => match self.take(&line, &mut receiver) {
                Ok(()) => {
                    self.say(&[]);
                    return true;
                }
                Err(failure) => failure,
            },
            Ok(Received::Pending) => return true,
            Ok(Received::End) => ended("it closed its socket"),
            Err(error) => ended(&format!("its socket failed: {error}")),
        };
        self.state().failure.get_or_insert(failure);
        false
    }

    fn take(&self, line: &str, receiver: &mut Receiver) -> Result<(), Failure> {
        let message: FromFeeder =
            serde_json::from_str(line).map_err(|error| ended(&format!("it said {line:?}: {error}")))?;
        let unreadable = |task: u32| {
            move |error: KernelError| ended(&format!("the block of task {task} cannot be read: {error}"))
        };
        let (task, block, is_made) = match message {
            FromFeeder::Made { task } => {
                let file =
                    receiver.descriptor().ok_or_else(|| ended("it sent a block without a descriptor"))?;
                (task, Block::map(&file).map_err(unreadable(task))?, true)
            }
            FromFeeder::Cached { task, name } => {
                let cache =
                    self.cache.as_ref().ok_or_else(|| ended("it has a cache, and the loader has none"))?;
                let found = cache.find(Key::of_parts([name.as_bytes()])).map_err(unreadable(task))?;
                let Some(entry) = found else {
                    // Damaged, or let go of meanwhile; it will be made again.
                    self.tell(&ToFeeder::Want { task });
                    return Ok(());
                };
                (task, Block::of_entry(entry).map_err(unreadable(task))?, false)
            }
            FromFeeder::Failed(failure) => return Err(failure),
            FromFeeder::Ready { .. } => return Err(ended("it was ready twice")),
        };
        let mut state = self.state();
        let state = &mut *state;
        let Some(&known) = state.sizes.get(task as usize) else {
            return Err(ended(&format!("it sent task {task}, and there are {}", state.sizes.len())));
        };
        state.stats.made += u64::from(is_made);
        if known.is_none() {
            let counts = block.counts();
            state.stats.rows += counts.rows;
            state.stats.removed += counts.removed;
            state.stats.quarantined += counts.quarantined;
            state.sizes[task as usize] = Some(block.sequences());
        } else if known != Some(block.sequences()) {
            return Err(ended(&format!(
                "task {task} gave {known:?} sequences and now {}",
                block.sequences()
            )));
        }
        state.asked.remove(&task);
        state.blocks.insert(task, Arc::new(block));
        Ok(())
    }

    /// Says something to the feeder.
    fn tell(&self, message: &ToFeeder) {
        if let Ok(line) = serde_json::to_string(message) {
            self.say(&[line.as_bytes(), b"\n"].concat());
        }
    }

    /// Sends what was left over and `bytes`, as far as there is room; that the feeder is gone is seen by
    /// [`Live::receive`].
    ///
    /// The rest waits until something was received. If it were waited for here, nobody would take what the feeder
    /// sends, and the feeder, too, would wait for ever. It answers all it is told, so something always comes.
    fn say(&self, bytes: &[u8]) {
        let mut outbox = self.outbox.lock().unwrap_or_else(PoisonError::into_inner);
        outbox.extend_from_slice(bytes);
        match channel::send_now(self.socket.as_fd(), &outbox) {
            Ok(sent) => drop(outbox.drain(..sent)),
            Err(_) => outbox.clear(),
        }
    }

    /// Whether the batch at `cursor` can be made now; asks for what it and the next ones need.
    ///
    /// # Errors
    /// `Feeder` when the feeder has failed or is gone; `Option` when the pipeline gives no sequence.
    pub fn ready(&self, cursor: Cursor) -> Result<bool> {
        let mut state = self.state();
        let state = &mut *state;
        if let Some(failure) = &state.failure {
            return Err(failure.clone().into());
        }
        let end = cursor.samples + self.step();
        let (first, mut start) = state.place(cursor);
        let mut group = first;
        let mut here = true;
        // Sizes are followed past the batch's end, so that it is known whether the epoch ends with it.
        while start <= end && group < self.order.groups() {
            self.want(state, (cursor.epoch, group), first);
            let members = self.order.members(cursor.epoch, group);
            let sizes = members.iter().map(|&task| state.sizes[task as usize]).sum::<Option<u64>>();
            let Some(size) = sizes else { return Ok(false) };
            let touched = start < end && start + size > cursor.samples;
            here &= !touched || members.iter().all(|task| state.blocks.contains_key(task));
            start += size;
            group += 1;
            state.starts.insert((cursor.epoch, group), start);
        }
        if group == self.order.groups() {
            state.total = Some(start);
            if start == 0 {
                let reason =
                    "no sequence comes out of it: its inputs are empty, or its steps remove all rows";
                return Err(KernelError::Option { name: "pipeline".to_owned(), reason: reason.to_owned() });
            }
        }
        Ok(here)
    }

    /// Asks for the tasks of `group` and of the groups after it.
    fn want(&self, state: &mut State, (epoch, group): Group, first: u64) {
        let groups = self.order.groups();
        let low = state.needed.map_or((epoch, first), |(low, _)| low);
        for ahead in 0..=GROUPS_AHEAD {
            let at = (epoch + (group + ahead) / groups, (group + ahead) % groups);
            if state.needed.is_some_and(|(_, high)| at <= high) {
                continue;
            }
            state.needed = Some((low, at));
            for task in self.order.members(at.0, at.1) {
                if state.blocks.contains_key(&task) {
                    state.stats.memory_hits += 1;
                } else if state.asked.insert(task) {
                    self.tell(&ToFeeder::Want { task });
                }
            }
        }
    }

    /// Where the batch after the one at `cursor` begins, which must have been ready.
    #[must_use]
    pub fn next(&self, cursor: Cursor) -> Cursor {
        let samples = cursor.samples + self.step();
        let over = |total: u64| samples >= total.next_multiple_of(self.step() * self.share.accumulate);
        if self.state().total.is_some_and(over) {
            return Cursor { epoch: cursor.epoch + 1, samples: 0 };
        }
        Cursor { samples, ..cursor }
    }

    /// This rank's samples of the global batch at `cursor`, which must be ready, and their blocks.
    ///
    /// # Errors
    /// `Internal` when a block is not here.
    pub fn samples(&self, cursor: Cursor, out: &mut Vec<Option<SampleId>>) -> Result<Window> {
        let state = self.state();
        let mut window = Window::default();
        out.clear();
        let mut group: Option<(u64, u64, GroupSamples)> = None;
        let from = cursor.samples + self.share.rank * self.share.batch;
        for sample in from..from + self.share.batch {
            if state.total.is_some_and(|total| sample >= total) {
                out.push(None);
                continue;
            }
            if group.as_ref().is_none_or(|(start, end, _)| !(*start..*end).contains(&sample)) {
                let (number, start) = state.place(Cursor { samples: sample, ..cursor });
                let size = |task: u32| state.sizes[task as usize];
                let samples = self.order.samples(cursor.epoch, number, size)?;
                group = Some((start, start + samples.count(), samples));
            }
            let Some((start, _, samples)) = &group else { continue };
            let (task, sequence) = samples.at(sample - start)?;
            if !window.0.iter().any(|(number, _)| *number == task) {
                let block = state.blocks.get(&task);
                let block = block.ok_or_else(|| KernelError::internal(format!("no block of task {task}")))?;
                window.0.push((task, Arc::clone(block)));
            }
            out.push(Some(SampleId { dataset: task, sample: sequence }));
        }
        Ok(window)
    }

    /// Lets go of the blocks that no batch from `cursor` on needs.
    pub fn release(&self, cursor: Cursor) {
        let mut state = self.state();
        let state = &mut *state;
        let low = (cursor.epoch, state.place(cursor).0);
        let Some((_, high)) = state.needed.filter(|(before, _)| *before != low) else { return };
        state.needed = Some((low, high.max(low)));
        state.starts.retain(|group, _| group.0 >= cursor.epoch);
        let groups = self.order.groups();
        let mut needed = BTreeSet::new();
        let mut at = low;
        while at <= high {
            needed.extend(self.order.members(at.0, at.1));
            at = if at.1 + 1 < groups { (at.0, at.1 + 1) } else { (at.0 + 1, 0) };
        }
        state.blocks.retain(|task, _| needed.contains(task));
    }

    /// Whether a place can be one of this feed.
    #[must_use]
    pub fn has_place(&self, cursor: Cursor, GroupPlace { group, within }: GroupPlace) -> bool {
        group <= self.order.groups() && within <= cursor.samples
    }

    /// Goes to a place: `cursor`, which lies so in the groups.
    pub fn seek(&self, cursor: Cursor, GroupPlace { group, within }: GroupPlace) {
        let mut state = self.state();
        state.starts.clear();
        state.starts.insert((cursor.epoch, group), cursor.samples.saturating_sub(within));
        // All that comes is asked for anew; what is here or under way is not sent twice.
        state.needed = None;
    }

    /// How the sample at `cursor` lies in the groups.
    #[must_use]
    pub fn group_place(&self, cursor: Cursor) -> GroupPlace {
        let (group, start) = self.state().place(cursor);
        GroupPlace { group, within: cursor.samples - start }
    }

    /// Samples of an epoch, once they are known: when every task was seen.
    #[must_use]
    pub fn epoch_samples(&self) -> Option<u64> {
        self.state().total
    }

    /// Batches of each rank in an epoch, once they are known.
    #[must_use]
    pub fn epoch_batches(&self) -> Option<u64> {
        let Share { accumulate, .. } = self.share;
        self.epoch_samples().map(|total| total.div_ceil(self.step() * accumulate) * accumulate)
    }

    /// What came so far.
    #[must_use]
    pub fn stats(&self) -> FeederStats {
        let mut stats = self.state().stats;
        if let Some(counted) = self.cache.as_ref().and_then(|cache| cache.stats().ok()) {
            stats.memory_hits += counted.counted.memory_hits;
            stats.disk_hits = counted.counted.disk_hits;
            stats.damaged = counted.counted.corrupt;
        }
        stats
    }

    /// Ends the conversation; the feeder ends itself then.
    pub fn close(&self) {
        let _ = self.socket.shutdown(std::net::Shutdown::Both); // it may be gone already
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};

    use super::super::build::tests::block;
    use super::*;
    use crate::pack::{PackOptions, PackStrategy};
    use proptest::prelude::*;

    /// Blocks of full sequences, as many for each task as `sizes` says, for whoever asks on the socket.
    fn answer(socket: UnixStream, sizes: Vec<u64>) {
        std::thread::spawn(move || {
            for line in BufReader::new(&socket).lines() {
                let Ok(line) = line else { return };
                let asked: serde_json::Value = serde_json::from_str(&line).unwrap();
                let task = asked["task"].as_u64().unwrap();
                let documents: Vec<Vec<u32>> =
                    (0..sizes[task as usize]).map(|at| vec![at as u32; 2]).collect();
                let options = PackOptions { length: 2, strategy: PackStrategy::BestFit, truncate: false };
                let built = block(&documents, 60_000, options).unwrap();
                let message = format!(r#"{{"kind":"made","task":{task}}}"#);
                let _ = channel::send(socket.as_fd(), &message, Some(built.memory.as_fd()));
            }
        });
    }

    fn open(
        order: &TaskOrder,
        sizes: &[u64],
        (batch, rank, ranks, accumulate): (u64, u64, u64, u64),
    ) -> Live {
        let (ours, its) = UnixStream::pair().unwrap();
        answer(its, sizes.to_vec());
        let share = Share { batch, rank, ranks, accumulate };
        Live::new(order.clone(), share, None, ours, Receiver::default())
    }

    /// The batch at `cursor`, as soon as it is there.
    fn take(live: &Live, cursor: Cursor) -> Result<(Vec<Option<SampleId>>, Cursor)> {
        while !live.ready(cursor)? {
            live.receive();
        }
        let mut samples = Vec::new();
        let window = live.samples(cursor, &mut samples)?;
        let mut stretches = Vec::new();
        for sample in samples.iter().flatten() {
            window.stretches(sample.dataset, sample.sample, 2, &mut stretches)?;
        }
        let next = live.next(cursor);
        live.release(next);
        Ok((samples, next))
    }

    fn epoch(live: &Live, mut cursor: Cursor) -> Result<(Vec<Vec<Option<SampleId>>>, Cursor)> {
        let (epoch, mut batches) = (cursor.epoch, Vec::new());
        while cursor.epoch == epoch {
            let (samples, next) = take(live, cursor)?;
            batches.push(samples);
            cursor = next;
        }
        Ok((batches, cursor))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn an_epoch_has_each_sample_once_on_every_world_and_after_a_stop(
            sizes in prop::collection::vec(0_u64..9, 1..20),
            (seed, group, shuffled) in (any::<u64>(), 1_u32..7, any::<bool>()),
            (batch, shift, accumulate, stop) in (1_u64..4, 0_u64..3, 1_u64..4, any::<prop::sample::Index>()),
        ) {
            prop_assume!(sizes.iter().sum::<u64>() > 0);
            let order = TaskOrder { seed, tasks: sizes.len() as u32, group, shuffled };
            let ranks = 1 << shift;
            let whole = open(&order, &sizes, (batch * ranks, 0, 1, accumulate));
            let (batches, second) = epoch(&whole, Cursor::default()).unwrap();
            prop_assert_eq!(second, Cursor { epoch: 1, samples: 0 });
            prop_assert_eq!(Some(batches.len() as u64), whole.epoch_batches());
            prop_assert_eq!(batches.len() as u64 % accumulate, 0);
            let mut all: Vec<SampleId> = batches.iter().flatten().flatten().copied().collect();
            all.sort_unstable();
            let expected: Vec<SampleId> = (0_u32..)
                .zip(&sizes)
                .flat_map(|(dataset, &size)| (0..size).map(move |sample| SampleId { dataset, sample }))
                .collect();
            prop_assert_eq!(all, expected);

            // Stopped before some batch and gone on with on other ranks, which have seen nothing before.
            let stop = stop.index(batches.len());
            let cursor = Cursor { epoch: 0, samples: batch * ranks * stop as u64 };
            let stopped = open(&order, &sizes, (batch * ranks, 0, 1, accumulate));
            let mut at = Cursor::default();
            for _ in 0..stop {
                at = take(&stopped, at).unwrap().1;
            }
            prop_assert_eq!(at, cursor);
            let place = stopped.group_place(cursor);
            let parts: Vec<Vec<Vec<Option<SampleId>>>> = (0..ranks)
                .map(|rank| {
                    let live = open(&order, &sizes, (batch, rank, ranks, accumulate));
                    live.seek(cursor, place);
                    let (batches, next) = epoch(&live, cursor).unwrap();
                    assert_eq!(next, second);
                    batches
                })
                .collect();
            for (number, expected) in batches[stop..].iter().enumerate() {
                let joined: Vec<Option<SampleId>> = parts.iter().flat_map(|part| part[number].clone()).collect();
                prop_assert_eq!(&joined, expected);
            }
            // No more is held than the group that is read, and the one after it.
            prop_assert!(whole.state().blocks.len() <= 2 * group as usize);
        }
    }

    /// More requests than a socket holds: waiting for room with the locks held, the loader would not take the
    /// answers, for which the feeder would wait.
    #[test]
    fn a_group_may_have_more_tasks_than_a_socket_holds_requests() {
        let sizes = vec![1; 1000];
        let order = TaskOrder { seed: 1, tasks: 1000, group: 1000, shuffled: true };
        let (ours, its) = UnixStream::pair().unwrap();
        let share = Share { batch: 1000, rank: 0, ranks: 1, accumulate: 1 };
        let live = Live::new(order, share, None, ours, Receiver::default());
        assert!(!live.ready(Cursor::default()).unwrap()); // nobody listens yet
        assert!(!live.outbox.lock().unwrap().is_empty());
        answer(its, sizes);
        let (samples, _) = take(&live, Cursor::default()).unwrap();
        assert_eq!(samples.iter().flatten().count(), 1000);
    }

    #[test]
    fn a_pipeline_without_samples_is_an_error() {
        let order = TaskOrder { seed: 1, tasks: 3, group: 2, shuffled: true };
        let error = take(&open(&order, &[0, 0, 0], (1, 0, 1, 1)), Cursor::default()).unwrap_err();
        assert!(error.to_string().contains("no sequence comes out of it"), "{error}");
    }
}
