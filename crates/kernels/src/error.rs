//! The errors kernels return.
//!
//! A kernel error is something the caller must fix or a broken invariant. Bad input is not an error:
//! readers return rejected records beside the rows (see `reject.rs`).

use std::fmt;
use std::path::PathBuf;

/// Result of a kernel.
pub type Result<T, E = KernelError> = std::result::Result<T, E>;

/// What went wrong, with the values that mattered.
///
/// [`KernelError::code`] is stable and is the code users see; `src/core/errors.ts` holds the registry
/// with a hint for each.
#[derive(Debug)]
#[non_exhaustive]
pub enum KernelError {
    /// A column that the operator needs is not in the batch.
    ColumnMissing {
        /// The column asked for.
        name: String,
        /// The columns there are.
        available: Vec<String>,
    },
    /// A column has another type than the operator needs.
    ColumnType {
        /// The column.
        name: String,
        /// The type the operator needs.
        expected: String,
        /// The type it has.
        got: String,
    },
    /// Reading or writing a local file failed.
    Io {
        /// What was being done, as in "write".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// Bytes that should be in a format are not.
    Format {
        /// The format, as in "parquet".
        format: &'static str,
        /// What is wrong, with offsets where they are known.
        reason: String,
    },
    /// A tokenizer file cannot be used or failed on a text.
    Tokenizer {
        /// What is wrong.
        reason: String,
    },
    /// A model file cannot be used.
    Model {
        /// What is wrong.
        reason: String,
    },
    /// Parameters of a column cannot be found, or do not fit it.
    Fit {
        /// The column.
        column: String,
        /// What is in the way.
        reason: String,
    },
    /// A category that is not among those of its column.
    Category {
        /// The column.
        column: String,
        /// The value, as people read it.
        value: String,
        /// Id of the row.
        row: String,
    },
    /// An option has a value the kernel cannot work with.
    Option {
        /// The option.
        name: String,
        /// What is wrong with its value.
        reason: String,
    },
    /// An object was used after `dispose()`.
    Disposed {
        /// The kind of object.
        what: &'static str,
    },
    /// There is no finished run where one was expected.
    RunMissing {
        /// Where it was looked for.
        folder: PathBuf,
        /// How one sees that.
        reason: &'static str,
    },
    /// A block of a published file is not what was written.
    Checksum {
        /// The file.
        path: PathBuf,
        /// The MiB block, from 0.
        block: usize,
        /// The checksum the manifest states.
        expected: u64,
        /// The checksum it has.
        got: u64,
    },
    /// Somebody else works in a folder.
    Locked {
        /// The folder.
        folder: PathBuf,
    },
    /// A saved state does not belong to this feed.
    FeedState {
        /// What is wrong, or what changed.
        reason: String,
    },
    /// The caller holds every buffer of the feed.
    FeedBuffers {
        /// How many there are.
        buffers: usize,
    },
    /// The process that runs a pipeline for a feed has failed, or is gone.
    Feeder {
        /// Stable name of the kind of failure: one of `src/core/errors.ts`.
        code: String,
        /// What it says.
        message: String,
        /// What to try.
        hint: String,
    },
    /// A broken invariant of ours: a bug.
    Internal {
        /// What did not hold.
        reason: String,
    },
}

impl KernelError {
    /// The stable code of this error.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::ColumnMissing { .. } => "GM_COLUMN_MISSING",
            Self::ColumnType { .. } => "GM_COLUMN_TYPE",
            Self::Io { source, .. } if is_disk_full(source) => "GM_DISK_FULL",
            Self::Io { .. } => "GM_IO",
            Self::Format { .. } => "GM_FORMAT",
            Self::Tokenizer { .. } => "GM_TOKENIZER",
            Self::Model { .. } => "GM_MODEL",
            Self::Fit { .. } => "GM_FIT",
            Self::Category { .. } => "GM_CATEGORY",
            Self::Option { .. } => "GM_CONFIG",
            Self::Disposed { .. } => "GM_DISPOSED",
            Self::RunMissing { .. } => "GM_RUN_MISSING",
            Self::Checksum { .. } => "GM_SHARD_CHECKSUM",
            Self::Locked { .. } => "GM_RUN_LOCKED",
            Self::FeedState { .. } => "GM_FEED_STATE",
            Self::FeedBuffers { .. } => "GM_FEED_BUFFERS",
            Self::Feeder { code, .. } => code,
            Self::Internal { .. } => "GM_INTERNAL",
        }
    }

    /// An I/O error while doing `action` to `path`.
    pub fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    /// Bytes that are not in `format`.
    pub fn format(format: &'static str, reason: impl fmt::Display) -> Self {
        Self::Format { format, reason: reason.to_string() }
    }

    /// A broken invariant.
    pub fn internal(reason: impl fmt::Display) -> Self {
        Self::Internal { reason: reason.to_string() }
    }
}

fn is_disk_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

impl fmt::Display for KernelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ColumnMissing { name, available } => {
                write!(f, "there is no column '{name}'; the columns are {}", available.join(", "))
            }
            Self::ColumnType { name, expected, got } => {
                write!(f, "column '{name}' has type {got}, expected {expected}")
            }
            Self::Io { action, path, source } => {
                write!(f, "cannot {action} {}: {source}", path.display())
            }
            Self::Format { format, reason } => write!(f, "not valid {format}: {reason}"),
            Self::Tokenizer { reason } => write!(f, "tokenizer: {reason}"),
            Self::Model { reason } => write!(f, "model: {reason}"),
            Self::Fit { column, reason } => write!(f, "column '{column}' cannot be fitted: {reason}"),
            Self::Category { column, value, row } => {
                write!(f, "column '{column}' of the row {row} holds {value}, which is none of its categories")
            }
            Self::Option { name, reason } => write!(f, "option '{name}': {reason}"),
            Self::Disposed { what } => write!(f, "this {what} was disposed and cannot be used"),
            Self::RunMissing { folder, reason } => {
                write!(f, "{} is no finished run: {reason}", folder.display())
            }
            Self::Checksum { path, block, expected, got } => write!(
                f,
                "{}: MiB block {block} does not match its checksum: expected {expected:016x}, got {got:016x}",
                path.display()
            ),
            Self::Locked { folder } => write!(f, "another process works in {}", folder.display()),
            Self::FeedState { reason } => write!(f, "this state cannot be loaded: {reason}"),
            Self::FeedBuffers { buffers } => write!(
                f,
                "all {buffers} buffers are held by batches that are still in use; let go of some, or copy \
                 what you keep, or open the loader with more `buffers`"
            ),
            Self::Feeder { message, .. } => f.write_str(message),
            Self::Internal { reason } => write!(f, "internal error: {reason}"),
        }
    }
}

impl std::error::Error for KernelError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<arrow_schema::ArrowError> for KernelError {
    fn from(error: arrow_schema::ArrowError) -> Self {
        Self::internal(error)
    }
}
