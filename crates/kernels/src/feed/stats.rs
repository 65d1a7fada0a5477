//! What a loader measured of itself: rates, who waited for whom, and so which side bounds the training.

use std::time::Duration;

use serde::Serialize;

use super::live::window::FeederStats;

/// Share of the time the trainer may wait before the input is called the bottleneck.
const STALL_SHARE: f64 = 0.05;

/// Which side the other one waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Bottleneck {
    /// The trainer waits for batches.
    Input,
    /// Batches wait for the trainer.
    Trainer,
}

/// Running sums.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counters {
    /// Batches handed over.
    pub batches: u64,
    /// Sequences in them.
    pub sequences: u64,
    /// Ids in them, padding left out.
    pub tokens: u64,
    /// Positions in them, padding included.
    pub positions: u64,
    /// Ids left out, because their document is longer than any sequence may be.
    pub truncated: u64,
    /// Time the caller spent waiting for a batch.
    pub stall: Duration,
    /// Time threads spent making batches, summed over threads.
    pub busy: Duration,
    /// Time threads spent waiting for room, summed over threads.
    pub idle: Duration,
}

/// A snapshot of what was measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Stats {
    /// Batches handed over.
    pub batches: u64,
    /// Sequences in them.
    pub sequences: u64,
    /// Ids in them, padding left out.
    pub tokens: u64,
    /// Share of their positions that is padding, 0 to 1.
    pub padding_share: f64,
    /// Ids left out, because their document is longer than the longest bucket.
    pub truncated_tokens: u64,
    /// From the first request to the last batch.
    pub seconds: f64,
    /// Batches a second.
    pub batches_per_second: f64,
    /// Ids a second.
    pub tokens_per_second: f64,
    /// Time the caller waited for batches.
    pub stall_seconds: f64,
    /// Time a thread waited for the caller, on average.
    pub idle_seconds: f64,
    /// Time threads made batches, summed.
    pub busy_seconds: f64,
    /// `None` before the first batch.
    pub bottleneck: Option<Bottleneck>,
    /// What a feeder did, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feeder: Option<FeederStats>,
}

impl Counters {
    /// What the sums say of `elapsed` with `threads` threads.
    #[must_use]
    pub fn over(&self, elapsed: Duration, threads: usize, feeder: Option<FeederStats>) -> Stats {
        let seconds = elapsed.as_secs_f64();
        let rate = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
        let padding = self.positions - self.tokens;
        let stall_seconds = self.stall.as_secs_f64();
        let bound_by_input = stall_seconds > STALL_SHARE * seconds;
        Stats {
            batches: self.batches,
            sequences: self.sequences,
            tokens: self.tokens,
            padding_share: if self.positions > 0 { padding as f64 / self.positions as f64 } else { 0.0 },
            truncated_tokens: self.truncated,
            seconds,
            batches_per_second: rate(self.batches),
            tokens_per_second: rate(self.tokens),
            stall_seconds,
            idle_seconds: self.idle.as_secs_f64() / threads.max(1) as f64,
            busy_seconds: self.busy.as_secs_f64(),
            bottleneck: (self.batches > 0).then_some(if bound_by_input {
                Bottleneck::Input
            } else {
                Bottleneck::Trainer
            }),
            feeder,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_says_where_the_bottleneck_is() {
        let second = Duration::from_secs(1);
        let counters =
            Counters { batches: 5, tokens: 900, positions: 1000, idle: 12 * second, ..Counters::default() };
        let stats = counters.over(10 * second, 2, None);
        assert_eq!(stats.bottleneck, Some(Bottleneck::Trainer));
        assert_eq!((stats.idle_seconds, stats.tokens_per_second), (6.0, 90.0));
        assert!((stats.padding_share - 0.1).abs() < 1e-12);
        let waiting = Counters { stall: second, ..counters };
        assert_eq!(waiting.over(10 * second, 2, None).bottleneck, Some(Bottleneck::Input));
        assert_eq!(Counters::default().over(Duration::ZERO, 0, None).bottleneck, None);
    }
}
