"""The one exception, with a stable code and a hint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ._native import NativeError

_HINTS = {
    "GM_CONFIG": "see help(gristmill.Loader) and help(gristmill.Cache) for every option",
    "GM_RUN_MISSING": "pass the directory given to `gristmill run --out`",
    "GM_SHARD_CHECKSUM": "the file is damaged; restore it from a copy, or make the run again: the bytes will be the same",
    "GM_FORMAT": "the file is damaged or not of the stated format; `gristmill verify` checks the whole run",
    "GM_IO": "check that the path exists and that you may read it",
    "GM_FEED_STATE": "open the loader as it was when the state was saved, or start anew without it",
    "GM_FEED_BUFFERS": "let go of batches, copy what you keep, or raise `buffers`",
    "GM_DISPOSED": "open it again; what was handed over stays valid",
    "GM_FEEDER": "open the loader again and load the last state",
    "GM_COLUMN_MISSING": "documents keep the columns named under `source.columns`; name it there and run again",
    "GM_COLUMN_TYPE": "choose a column of the type stated, or convert it in the pipeline",
    "GM_DISK_FULL": "free some space",
    "GM_INTERNAL": "this is a bug of ours; please report it with the message",
}
_ANY = "docs/errors.md lists every code"


class GristmillError(Exception):
    """Any failure that Gristmill reports on purpose.

    Attributes:
        code: Stable name of the kind of failure, as in ``GM_SHARD_CHECKSUM``; docs/errors.md lists all.
        hint: What to try.
    """

    def __init__(self, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(code, message, hint)
        self.code = code
        self.message = message
        self.hint = hint or _HINTS.get(code, _ANY)

    def __str__(self) -> str:
        return f"{self.code}: {self.message} (hint: {self.hint})"


@contextmanager
def translated() -> Iterator[None]:
    """Turns the errors of native code into :class:`GristmillError`."""
    try:
        yield
    except NativeError as error:
        raise GristmillError(*error.args) from None
