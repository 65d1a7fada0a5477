//! What feeder and loader say to each other: JSON, one object a line. `src/engine/feeder.ts` is the other side.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::channel::{Received, Receiver};
use crate::error::{KernelError, Result};
use crate::feed::state::Identity;

/// Version of the messages and of the blocks.
pub const PROTOCOL: u32 = 1;

/// From the feeder.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum FromFeeder {
    /// The pipeline is planned; the first message.
    Ready {
        /// [`PROTOCOL`] of the feeder.
        protocol: u32,
        /// Tasks of an epoch.
        tasks: u32,
        /// Ids of a full sequence.
        length: u32,
        /// Highest id + 1, when the pipeline knows it.
        vocabulary_size: Option<u32>,
        /// What the tasks' sequences depend on, by name.
        identity: Identity,
    },
    /// A task's rows went through the pipeline; the descriptor of its block comes with this line.
    Made {
        /// The task.
        task: u32,
    },
    /// A task's block lies in the cache.
    Cached {
        /// The task.
        task: u32,
        /// Its name, which [`crate::cache::Key::of_parts`] makes a key.
        name: String,
    },
    /// Nothing more comes: a function of the user's threw, an input is gone, ….
    Failed(Failure),
}

/// Why a feeder stopped.
#[derive(Debug, Clone, Deserialize)]
pub struct Failure {
    /// Stable name of the kind of failure.
    pub code: String,
    /// What went wrong.
    pub message: String,
    /// What to try.
    pub hint: String,
}

impl From<Failure> for KernelError {
    fn from(Failure { code, message, hint }: Failure) -> Self {
        Self::Feeder { code, message, hint }
    }
}

/// To the feeder.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ToFeeder {
    /// The loader needs a task's block, after all that it asked for before.
    Want {
        /// The task.
        task: u32,
    },
}

/// A feeder that does not answer as it should. The Python package adds how the process ended.
pub(super) fn ended(reason: &str) -> Failure {
    Failure {
        code: "GM_FEEDER".to_owned(),
        message: format!("the feeder ended: {reason}"),
        hint: "open the loader again and load the last state; the lines above say what the feeder wrote last"
            .to_owned(),
    }
}

/// Waits for the first message of a feeder; `None` when it takes longer than `patience`.
///
/// # Errors
/// `Feeder` when it fails, or says something else.
pub fn greeting(
    socket: &UnixStream,
    receiver: &mut Receiver,
    patience: Duration,
) -> Result<Option<FromFeeder>> {
    let failure = match receiver.line(socket.as_fd(), Some(patience)) {
        Ok(Received::Pending) => return Ok(None),
        Ok(Received::Line(line)) => match serde_json::from_str(&line) {
            Ok(FromFeeder::Failed(failure)) => failure,
            Ok(message) => return Ok(Some(message)),
            Err(error) => ended(&format!("it said {line:?}: {error}")),
        },
        Ok(Received::End) => ended("it closed its socket"),
        Err(error) => ended(&format!("its socket failed: {error}")),
    };
    Err(failure.into())
}
