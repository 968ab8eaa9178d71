"""What a full disk makes of an app's errors (trust T53, T55)."""

import errno
import sqlite3
from pathlib import Path

import pytest

from towpath.runner.limits import full_disk


def raised_from(cause: BaseException) -> BaseException:
    error = RuntimeError("the picture could not be saved")
    error.__cause__ = cause
    return error


def full_database() -> sqlite3.Error:
    """Return what SQLite raises where there is no room, without filling a disk."""
    with sqlite3.connect(":memory:") as database:
        database.execute("PRAGMA max_page_count = 2")
        with pytest.raises(sqlite3.OperationalError) as failure:
            database.executescript("CREATE TABLE a (x); INSERT INTO a VALUES (zeroblob(100000));")
    database.close()
    return failure.value


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        raised_from(OSError(errno.ENOSPC, "No space left on device")),
        ExceptionGroup("tasks", [OSError(errno.ENOSPC, "No space left on device")]),
        full_database(),
    ],
)
def test_trust_t53_a_full_disk_is_told_as_one(error: BaseException) -> None:
    told = full_disk(error)
    assert told is not None
    assert told.free > 0
    assert f"{told.free} bytes left. Free some space." in str(told)


def test_trust_t53_the_path_is_for_the_log_only(tmp_path: Path) -> None:
    told = full_disk(OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "a.bin")))
    assert told is not None
    assert told.path == tmp_path / "a.bin"
    assert str(tmp_path) not in str(told)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("No space left on device"),
        OSError("[Errno 28] No space left on device"),
        OSError(errno.EACCES, "Permission denied"),
        sqlite3.OperationalError("database or disk is full"),
    ],
)
def test_trust_t53_words_alone_are_no_full_disk(error: BaseException) -> None:
    assert full_disk(error) is None
