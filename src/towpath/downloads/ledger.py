"""What is known about downloads, kept apart from the folders they went to."""

import fcntl
import hashlib
import json
import os
import re
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from towpath.downloads.journal import Journal
from towpath.downloads.reuse import Facts, Have

__all__ = ["Entry", "Ledger"]

_KEY_LENGTH = 64
_VERSION = 2  # 1 left signatures out by single names, and did not tell askers apart
_OWNER = re.compile(r'(?:([0-9a-f]{64})|\{"v": \d+, "key": "([0-9a-f]{64})")')
_MOMENT = threading.Event()
_FIRST_PAUSE = 0.005
_LONGEST_PAUSE = 0.2
_STUCK_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One download that is known.

    Attributes:
        key: its key.
        url: for people, without secrets.
        path: where the file is.
        facts: what is known of it.
        used_at: when it was last used, in seconds since the epoch.
        version: of the rules that its key follows.
    """

    key: str
    url: str
    path: Path
    facts: Facts
    used_at: float
    version: int = _VERSION


class Ledger:
    """Facts by key, and which key owns which path; one for each download, not shared by threads.

    Losing it costs a transfer, never a file; so writing to it may fail silently.

    Attributes:
        root: its folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._text = os.fspath(root)
        self._held: tuple[str, int] | None = None

    # --- facts ---

    def facts(self, key: str) -> Facts | None:
        """Return what is known of the download *key*."""
        entry = self.entry(key)
        return entry.facts if entry is not None else None

    def entry(self, key: str) -> Entry | None:
        """Return all that is written down about the download *key*."""
        path = self._path(key, "json")
        try:
            with open(path, "rb") as file:  # noqa: PTH123 - every download passes here
                told = json.loads(file.read())
                used = os.fstat(file.fileno()).st_mtime
            facts = Facts(**told["facts"])
            return Entry(key, told["url"], Path(told["path"]), facts, used, told["v"])
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def note(self, key: str, path: Path, facts: Facts, url: str) -> None:
        """Write down what lies at *path*; *url* is for people and holds no secrets.

        It is written in place, because the file is the lock too: one inode for each download,
        since making one costs more than all else. What is torn by a crash counts as not known.
        """
        told = {"v": _VERSION, "key": key, "url": url, "path": str(path), "facts": _plain(facts)}
        content = json.dumps(told).encode()
        with suppress(OSError), self._opened(key) as descriptor:
            os.pwrite(descriptor, content, 0)
            os.ftruncate(descriptor, len(content))
            os.utime(descriptor, ns=(time.time_ns(),) * 2)  # finer than the kernel's own

    @contextmanager
    def _opened(self, key: str) -> Iterator[int]:
        """Give the descriptor of the lock that is held, or one for a moment."""
        if self._held is not None and self._held[0] == key:
            yield self._held[1]
            return
        descriptor = self._open(key)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def touch(self, key: str) -> None:
        """Note that the download *key* was used now."""
        with suppress(OSError):
            os.utime(self._path(key, "json"), ns=(time.time_ns(),) * 2)

    def facts_path(self, key: str) -> str:
        """Return where the facts of *key* are; its time of change is that of the last use."""
        return self._path(key, "json")

    def entries(self) -> Iterator[Entry]:
        """Yield everything that is known."""
        for path in sorted(self.root.glob("?/*.json")):
            if len(path.stem) == _KEY_LENGTH and (entry := self.entry(path.stem)) is not None:
                yield entry

    def forget(self, key: str) -> None:
        """Remove what is known of *key*, and its claim."""
        entry = self.entry(key)
        paths = [self._path(key, "json"), self._path(key, "journal")]
        if entry is not None and self._owner(entry.path) == key:
            paths.append(self._claim(entry.path))
        for path in paths:
            with suppress(OSError):
                Path(path).unlink(missing_ok=True)

    def abandon(self, key: str, path: Path | None = None) -> None:
        """Leave no trace of a try that came to nothing, unless an earlier file is known.

        Args:
            key: the download.
            path: the path that it claimed, if it did and nothing lies there.
        """
        with suppress(OSError):
            if path is not None and not os.path.lexists(path) and self._owner(path) == key:
                os.unlink(self._claim(path))  # noqa: PTH108 - as all paths here
            if self.entry(key) is None and not os.path.exists(self._path(key, "journal")):  # noqa: PTH110
                os.unlink(self._path(key, "json"))  # noqa: PTH108 - as above

    def sweep(self, seconds: float) -> None:
        """Forget downloads whose file is gone, and tries that came to nothing, after *seconds*."""
        before = time.time() - seconds
        for path in self.root.glob("?/*.json"):
            with suppress(OSError):
                entry = self.entry(path.stem)
                gone = entry is None or not entry.path.exists()
                if gone and path.stat().st_mtime < before:
                    self.forget(path.stem)

    # --- which download owns a path ---

    def is_claimed(self, path: Path) -> bool:
        """Return whether a download of ours took *path*."""
        return os.path.exists(self._claim(path))  # noqa: PTH110 - every download passes here

    def claim(self, path: Path, key: str) -> bool:
        """Take *path* for the download *key*; return False when it is another's.

        The first to claim a path keeps it, so that two URLs with one name never meet in one file.
        """
        claim = self._claim(path)
        try:
            _make_folder_of(claim)
            os.link(self._path(key, "json"), claim)  # what it says is whose it is
        except FileExistsError:
            return self._owner(path) == key
        except OSError:
            return self._claim_by_file(path, claim, key)
        return True

    def _claim_by_file(self, path: Path, claim: str, key: str) -> bool:
        """Claim *path* where there are no links."""
        try:
            with open(claim, "x") as file:  # noqa: PTH123 - every download passes here
                file.write(key)
        except FileExistsError:
            return self._owner(path) == key
        except OSError:
            return True  # no ledger here: the last one wins, as without claims
        return True

    def _owner(self, path: Path) -> str:
        """Return whose claim it is; one that is just being written is waited for a moment."""
        claim = Path(self._claim(path))
        for _ in range(50):
            with suppress(OSError, UnicodeError):
                if match := _OWNER.match(claim.read_text()):
                    return match[1] or match[2]
            _MOMENT.wait(0.01)
        return ""

    def _claim(self, path: Path) -> str:
        """Return where the claim of *path* is."""
        return f"{self._text}/claims/{hashlib.sha256(os.fsencode(path)).hexdigest()}"

    # --- what lies there ---

    def have(self, path: Path, facts: Facts | None) -> Have | None:
        """Return what lies at *path*: None when nothing that could be reused."""
        try:
            status = os.lstat(path)
        except OSError:
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        same = facts is not None and (facts.size, facts.mtime_ns) == (
            status.st_size,
            status.st_mtime_ns,
        )
        if facts is not None and not same:
            return None
        return Have(status.st_size, facts)

    # --- one at a time ---

    @contextmanager
    def lock(self, key: str, progress: Callable[[], object]) -> Iterator[bool]:
        """Hold the lock of *key*, if the file system has locks; yield whether it was waited for.

        Args:
            key: the download.
            progress: returns something that changes while its holder goes on; when it does not
                for a minute, the lock is not waited for any longer. Nothing but traffic depends
                on it.
        """
        try:
            descriptor = self._open(key)
        except OSError:
            yield False
            return
        try:
            has_waited = _wait_for(descriptor, progress)
            self._held = (key, descriptor)
            yield has_waited
        finally:
            self._held = None
            os.close(descriptor)

    def _open(self, key: str) -> int:
        """Open the file of *key*, made when it is missing."""
        path = self._path(key, "json")
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        try:
            descriptor = os.open(path, flags, 0o666)
        except FileNotFoundError:
            _make_folder_of(path)
            descriptor = os.open(path, flags, 0o666)
        if not os.fstat(descriptor).st_size:
            os.pwrite(descriptor, key.encode(), 0)
        return descriptor

    @contextmanager
    def try_lock(self, key: str) -> Iterator[bool]:
        """Hold the lock of *key* unless somebody else does; yield whether nobody does."""
        try:
            descriptor = self._open(key)
        except OSError:
            yield True
            return
        try:
            yield _is_free(descriptor)
        finally:
            os.close(descriptor)

    # --- what was cut off ---

    def journal(self, key: str) -> Journal:
        """Return the journal of the download *key*."""
        return Journal(self._path(key, "journal"))

    def remembers(self, part: Path) -> bool:
        """Return whether a journal speaks of *part*, and is younger than a day."""
        token = part.name.rpartition(".part")[0][-8:]
        for path in (self.root / token[0]).glob(f"{token}*.journal"):
            saved = Journal(str(path)).load(part.parent)
            if saved is not None and saved.part == str(part):
                return True
        return False

    def _path(self, digest: str, suffix: str) -> str:
        return f"{self._text}/{digest[0]}/{digest}.{suffix}"  # 16 folders: making one costs more


def _plain(facts: Facts) -> dict[str, object]:
    """Return facts as JSON has them."""
    return {name: getattr(facts, name) for name in Facts.__slots__}


def _make_folder_of(path: str) -> None:
    """Make the folder of *path*, if it is missing."""
    folder = path.rpartition("/")[0]
    if not os.path.isdir(folder):  # noqa: PTH112 - every download passes here
        Path(folder).mkdir(parents=True, exist_ok=True)


def _is_free(descriptor: int) -> bool:
    """Take the lock if that can be done at once; return False when somebody holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # no locks on this file system
    return True


def _wait_for(descriptor: int, progress: Callable[[], object]) -> bool:
    """Take the lock, waiting as long as its holder goes on; return whether it was waited for."""
    if _is_free(descriptor):
        return False
    pause, seen, since = _FIRST_PAUSE, progress(), time.monotonic()
    while not _is_free(descriptor):
        _MOMENT.wait(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
        if (now := progress()) != seen:
            seen, since = now, time.monotonic()
        elif time.monotonic() - since > _STUCK_SECONDS:
            break
    return True
