//! The order of a feed that is made on the fly: a block shuffle by tasks.
//!
//! How many samples a task gives is known when it is done, so an order over all samples cannot be had before
//! the first epoch. Tasks are known in advance: each epoch has them in an order of its own, and samples are
//! shuffled within groups of tasks that follow each other in it. Where a sample comes so depends on the seed,
//! the epoch and the tasks of its group, and on nothing that other groups hold.

use crate::error::{KernelError, Result};
use crate::feed::permutation::{Permutation, derive};

/// Names the tasks of each group and the order of its samples.
#[derive(Debug, Clone)]
pub struct TaskOrder {
    /// Names the order.
    pub seed: u64,
    /// Tasks of an epoch.
    pub tasks: u32,
    /// Tasks of a group.
    pub group: u32,
    /// Otherwise all comes as it lies.
    pub shuffled: bool,
}

impl TaskOrder {
    /// Groups of an epoch.
    #[must_use]
    pub fn groups(&self) -> u64 {
        u64::from(self.tasks.div_ceil(self.group))
    }

    /// The tasks of a group, in their order; none past the last group.
    #[must_use]
    pub fn members(&self, epoch: u64, group: u64) -> Vec<u32> {
        let tasks = u64::from(self.tasks);
        let from = (group * u64::from(self.group)).min(tasks);
        let to = (from + u64::from(self.group)).min(tasks);
        let order = Permutation::new(tasks, derive(self.seed, &[epoch, 0]));
        (from..to).map(|place| if self.shuffled { order.at(place) } else { place } as u32).collect()
    }

    /// The samples of a group, whose tasks have as many as `size` says.
    ///
    /// # Errors
    /// `Internal` when it does not know one.
    pub fn samples(&self, epoch: u64, group: u64, size: impl Fn(u32) -> Option<u64>) -> Result<GroupSamples> {
        let mut end = 0;
        let mut ends = Vec::with_capacity(self.group as usize);
        for task in self.members(epoch, group) {
            end += size(task).ok_or_else(|| KernelError::internal(format!("no size of task {task}")))?;
            ends.push((end, task));
        }
        let order = || Permutation::new(end, derive(self.seed, &[epoch, 1, group]));
        Ok(GroupSamples { order: self.shuffled.then(order), ends })
    }
}

/// The samples of a group.
#[derive(Debug, Clone)]
pub struct GroupSamples {
    /// `None` as they lie.
    order: Option<Permutation>,
    /// Samples up to the end of each task, and the task.
    ends: Vec<(u64, u32)>,
}

impl GroupSamples {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.ends.last().map_or(0, |(end, _)| *end)
    }

    /// Task and sequence of the sample at `position` of the group.
    ///
    /// # Errors
    /// `Internal` when the group has no such sample.
    pub fn at(&self, position: u64) -> Result<(u32, u64)> {
        let position = match &self.order {
            Some(order) if position < self.count() => order.at(position),
            _ => position,
        };
        let member = self.ends.partition_point(|(end, _)| *end <= position);
        let Some(&(_, task)) = self.ends.get(member) else {
            return Err(KernelError::internal(format!("sample {position} lies outside its group")));
        };
        let before = member.checked_sub(1).map_or(0, |before| self.ends[before].0);
        Ok((task, position - before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_task_comes_once_an_epoch(
            (seed, epoch) in (any::<u64>(), 0_u64..9),
            (tasks, group) in (0_u32..300, 1_u32..20),
            shuffled in any::<bool>(),
        ) {
            let order = TaskOrder { seed, tasks, group, shuffled };
            let mut all: Vec<u32> = (0..order.groups()).flat_map(|group| order.members(epoch, group)).collect();
            prop_assert!(order.members(epoch, order.groups()).is_empty());
            all.sort_unstable();
            prop_assert!(all.into_iter().eq(0..tasks));
        }
    }

    /// A saved state is a place in this order, so it must never change by itself.
    #[test]
    fn the_order_is_what_it_was() {
        let order = TaskOrder { seed: 7, tasks: 100, group: 4, shuffled: true };
        let samples = order
            .samples(1, 3, |task| Some(if task == 58 { 0 } else { 333 + u64::from(task == 57) }))
            .unwrap();
        assert_eq!(order.members(1, 3), [57, 58, 8, 2]);
        // Samples 476, 835 and 492 of the group's thousand.
        assert_eq!([0, 1, 999].map(|at| samples.at(at).unwrap()), [(8, 142), (2, 168), (8, 158)]);
        assert!(samples.at(1000).is_err());
    }
}
