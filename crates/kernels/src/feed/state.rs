//! What a resume needs: where the feed is, and of which feed that is a place.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{KernelError, Result};

/// Version of the state and of the meaning of the orders behind it.
const VERSION: u64 = 1;

/// A place in the stream of batches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cursor {
    /// Passes that are over.
    pub epoch: u64,
    /// Samples of this epoch that all ranks together were given. Where batches are cut by length: the
    /// start of a window, and the batches of it that were given.
    pub samples: u64,
}

/// How a place lies in the groups of tasks of a feed that is made on the fly, where how many samples came
/// before a group does not say which group it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupPlace {
    /// The group, counted in the epoch.
    pub group: u64,
    /// Samples of it that were given.
    pub within: u64,
}

/// Everything the sequence of samples depends on, by name.
pub type Identity = Map<String, Value>;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    version: u64,
    epoch: u64,
    samples: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    place: Option<GroupPlace>,
    /// Rows of a global batch, which a loader that chose them by itself goes on with. Not of the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    global_batch: Option<u64>,
    feed: Identity,
}

/// Writes a state as JSON, the same on every rank.
///
/// # Errors
/// `Internal` when the identity is no JSON.
pub fn save(cursor: Cursor, place: Option<GroupPlace>, identity: &Identity) -> Result<String> {
    let Cursor { epoch, samples } = cursor;
    let feed = identity.clone();
    let saved = Saved { version: VERSION, epoch, samples, place, global_batch: None, feed };
    serde_json::to_string(&saved).map_err(KernelError::internal)
}

/// Reads a state that was saved from a feed with the same identity.
///
/// # Errors
/// `FeedState` when it is none, is of another version, or is of another feed; the message lists what
/// changed.
pub fn load(text: &str, identity: &Identity) -> Result<(Cursor, Option<GroupPlace>)> {
    let refuse = |reason: String| KernelError::FeedState { reason };
    let value: Value =
        serde_json::from_str(text).map_err(|error| refuse(format!("it is no JSON: {error}")))?;
    match value.get("version").and_then(Value::as_u64) {
        Some(VERSION) => {}
        Some(other) => {
            return Err(refuse(format!("its version is {other}, this Gristmill reads version {VERSION}")));
        }
        None => return Err(refuse("it has no version, so no loader saved it".to_owned())),
    }
    let saved: Saved =
        serde_json::from_value(value).map_err(|error| refuse(format!("it is damaged: {error}")))?;
    let mut names: Vec<&String> = saved.feed.keys().chain(identity.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let changes: Vec<String> = names
        .into_iter()
        .filter(|name| saved.feed.get(*name) != identity.get(*name))
        .map(|name| format!("{name} was {}, is {}", show(saved.feed.get(name)), show(identity.get(name))))
        .collect();
    if changes.is_empty() {
        return Ok((Cursor { epoch: saved.epoch, samples: saved.samples }, saved.place));
    }
    Err(refuse(format!("it was saved from another feed: {}", changes.join("; "))))
}

fn show(value: Option<&Value>) -> String {
    value.map_or_else(|| "absent".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn identity(value: &Value) -> Identity {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_state_is_read_back_by_the_same_feed_alone() {
        let feed = identity(&json!({ "seed": 7, "datasets": ["0a"] }));
        let cursor = Cursor { epoch: 3, samples: 1 << 40 };
        let text = save(cursor, None, &feed).unwrap();
        assert_eq!(load(&text, &feed).unwrap(), (cursor, None));
        let place = Some(GroupPlace { group: 2, within: 5 });
        let text_with_place = save(cursor, place, &feed).unwrap();
        assert_eq!(load(&text_with_place, &feed).unwrap(), (cursor, place));
        let refused = |text: &str, feed: &Identity| load(text, feed).unwrap_err().to_string();
        let other = identity(&json!({ "seed": 8, "datasets": ["0a"], "shuffle": "none" }));
        assert_eq!(
            refused(&text, &other),
            "this state cannot be loaded: it was saved from another feed: seed was 7, is 8; shuffle was \
             absent, is \"none\""
        );
        assert!(refused(&text.replace("\"version\":1", "\"version\":9"), &feed).contains("version is 9"));
        assert!(refused("{}", &feed).contains("no version"));
        assert!(refused("{", &feed).contains("no JSON"));
        assert!(refused("{\"version\":1}", &feed).contains("damaged"));
    }
}
