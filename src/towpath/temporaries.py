"""Temporary folders, each with an owner that removes it.

The naive way is a folder of a known name in /tmp that is removed at exit. It fails three times:
another user makes the name first, or plants a link there; a process that lives for weeks removes
nothing; and a killed one leaves its files for ever. Here

* all folders lie in one folder of this process, of mode 0700 and with a random name (mkdtemp);
* each belongs to the current request, else to the object that holds it, else to the process;
* the process's folder is locked (flock(2)) for as long as the process lives. The kernel releases
  the lock however the process ends, and the next process removes the folders that nobody locks.
  A recorded process id would not do: containers share /tmp but not their ids, and ids are reused.

systemd-tmpfiles respects the same lock: https://systemd.io/TEMPORARY_DIRECTORIES/
"""

import atexit
import errno
import fcntl
import os
import re
import shutil
import stat
import tempfile
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from towpath.clock import system_clock
from towpath.context import places
from towpath.errors import TemporaryFullError

__all__ = [
    "Keeper",
    "Temporary",
    "keeping",
    "kept_temporary",
    "lasting_temporary",
    "telling_full",
]

_PREFIX = "towpath-temp-"
_UNLOCKED = "towpath-new-"
"""What a process's folder is called until it is locked, so that nobody sweeps it meanwhile."""
_LONGEST_UNLOCKED = 3600.0
_TRIES = 10
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Temporary:
    """A folder of mode 0700, removed when it is closed or when nothing holds it any more.

    One that is made in a request is also removed at the request's end.
    """

    def __init__(self) -> None:
        self.path = _new_folder()
        self._process = os.getpid()
        # Not detached by `close`: a thread that outlives its request may make the folder again.
        weakref.finalize(self, _remove, self.path, self._process).atexit = False
        keeper = _keeper.get()
        if keeper is not None:
            keeper.watch(self)

    @property
    def is_there(self) -> bool:
        """Whether nobody has removed it."""
        return self.path.is_dir()

    def close(self) -> None:
        """Remove the folder and what is in it; doing it twice is no error."""
        _remove(self.path, self._process)

    def __enter__(self) -> Path:
        return self.path

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Keeper:
    """Owns the temporaries of one request: removes them when it is closed.

    Every request has one and most make no temporary, so an empty one holds next to nothing.
    """

    __slots__ = ("_held", "_is_closed", "_lock", "_watched")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: list[Temporary] = []
        self._watched: weakref.WeakSet[Temporary] | None = None
        self._is_closed = False

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to remove."""
        return not self._watched

    def watch(self, temporary: Temporary) -> None:
        """Close *temporary* at the end, if it is still there then."""
        with self._lock:
            if not self._is_closed:
                self._watched = self._watched or weakref.WeakSet()
                self._watched.add(temporary)

    def hold(self, temporary: Temporary) -> None:
        """Keep *temporary* until the end, whether or not an object holds it.

        A keeper that is closed keeps nothing: code that outlives its request owns what it makes.
        """
        with self._lock:
            if not self._is_closed:
                self._held.append(temporary)

    def close(self) -> None:
        """Remove everything; code that still uses it gets FileNotFoundError."""
        with self._lock:
            self._is_closed = True
            watched = list(self._watched or ())
            self._watched, self._held = None, []
        for temporary in watched:
            temporary.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


_keeper: ContextVar[Keeper | None] = ContextVar("towpath_keeper", default=None)


class keeping:  # noqa: N801 - a context manager; one made of a generator takes twice as long
    """Let *keeper* own what this context makes; it is not closed here."""

    __slots__ = ("_keeper", "_token")

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    def __enter__(self) -> Keeper:
        self._token = _keeper.set(self._keeper)
        return self._keeper

    def __exit__(self, *_: object) -> None:
        _keeper.reset(self._token)


def kept_temporary() -> Temporary:
    """Make a folder that stays until the request's end; outside of one it is its holder's."""
    made = Temporary()
    keeper = _keeper.get()
    if keeper is not None:
        keeper.hold(made)
    return made


def lasting_temporary() -> Path:
    """Make a folder that stays until this process ends."""
    return _new_folder()


@contextmanager
def telling_full() -> Iterator[None]:
    """Say that a disk is full with our error; other errors go on as they are.

    Raises:
        TemporaryFullError: there is no room for a temporary file.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        free = shutil.disk_usage(places().temp or tempfile.gettempdir()).free
        raise TemporaryFullError(free=free) from error


# --- the folder of this process ------------------------------------------------------------------


class _Process:
    """The folder of this process, by the folder that it lies in, and what holds its lock."""

    lock = threading.RLock()  # the garbage collector may remove a temporary at any moment
    folders: ClassVar[dict[Path, tuple[Path, int | None]]] = {}
    swept: ClassVar[set[Path]] = set()

    @classmethod
    def start_over(cls) -> None:
        """Begin without a folder, as a forked child has to; its parent's stays locked."""
        cls.lock = threading.RLock()
        cls.folders.clear()

    @classmethod
    def end(cls) -> None:
        """Remove what is left."""
        for folder, _ in cls.folders.values():
            shutil.rmtree(folder, ignore_errors=True)


os.register_at_fork(after_in_child=_Process.start_over)
atexit.register(_Process.end)


def _new_folder() -> Path:
    """Make an empty folder in this process's own."""
    base = places().temp or Path(tempfile.gettempdir())
    with telling_full():
        return _made_below(base)


def _made_below(base: Path) -> Path:
    """Make an empty folder in this process's own in *base*."""
    for _ in range(_TRIES):
        with _Process.lock:  # a thread that closes the last folder removes the process's
            own = _process_folder(base)
            with suppress(FileNotFoundError):  # somebody emptied /tmp, or we collected garbage
                return Path(tempfile.mkdtemp(dir=own))
            _forget(own)
    return Path(tempfile.mkdtemp(dir=_process_folder(base)))


def _process_folder(base: Path) -> Path:
    """Return this process's folder in *base*; at first remove those of dead processes."""
    with _Process.lock:
        if base not in _Process.swept:
            _Process.swept.add(base)
            _sweep(base)
        if base not in _Process.folders:
            _Process.folders[base] = _made_in(base)
        return _Process.folders[base][0]


def _made_in(base: Path) -> tuple[Path, int | None]:
    """Make a folder in *base*, and lock it; return the descriptor that holds the lock."""
    draft = Path(tempfile.mkdtemp(prefix=_UNLOCKED, dir=base))
    descriptor = None
    with suppress(OSError):  # where there are no locks, nothing is swept
        descriptor = _locked(draft)
    folder = draft.with_name(f"{_PREFIX}{draft.name.removeprefix(_UNLOCKED)}")
    draft.rename(folder)
    return folder, descriptor


def _remove(folder: Path, process: int) -> None:
    """Remove a folder that *process* made; a forked child leaves it to its parent."""
    if os.getpid() != process:
        return
    shutil.rmtree(folder, ignore_errors=True)
    with _Process.lock, suppress(OSError):
        folder.parent.rmdir()  # the process's own, once it is empty
        _forget(folder.parent)


def _forget(own: Path) -> None:
    """Let go of a process's folder that is not there any more, and of its lock."""
    known, descriptor = _Process.folders.get(own.parent, (None, None))
    if known == own:
        del _Process.folders[own.parent]
        if descriptor is not None:
            os.close(descriptor)


def _sweep(base: Path) -> None:
    """Remove the folders in *base* whose processes have ended."""
    for name in _names_in(base):
        path = base / name
        with suppress(OSError):  # another process sweeps as well
            status = path.lstat()
            age = system_clock() - status.st_mtime
            is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
            if not is_ours or (name.startswith(_UNLOCKED) and age < _LONGEST_UNLOCKED):
                continue
            if _holds_mount(path):
                continue
            descriptor = _locked(path)
            shutil.rmtree(path, ignore_errors=True)
            os.close(descriptor)


def _holds_mount(folder: Path) -> bool:
    """Return whether something is mounted on or below a folder: it is not the folder's to remove.

    A bind mount has the device of its source, so `os.path.ismount` does not see it. In a runner,
    a data folder below the server's /tmp is such a mount.
    """
    try:
        mounts = Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:  # another system: runners have no mounts of their own there
        return False
    points = (Path(os.fsdecode(_unescaped(line.split()[4]))) for line in mounts)
    return any(point.is_relative_to(folder) for point in points)


def _unescaped(field: bytes) -> bytes:
    """Return a path of mountinfo, in which blanks and backslashes are octal (proc(5))."""
    return re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), field)


def _names_in(base: Path) -> list[str]:
    """Return the names of processes' folders in *base*."""
    with suppress(OSError), os.scandir(base) as entries:
        return [entry.name for entry in entries if entry.name.startswith((_PREFIX, _UNLOCKED))]
    return []


def _locked(folder: Path) -> int:
    """Lock a folder; return the descriptor that holds the lock.

    Raises:
        OSError: a process holds it, or its file system has no locks.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
