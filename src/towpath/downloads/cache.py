"""What is kept in the data directory until it is evicted: weights, clones and stale parts."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from towpath.downloads.digests import file_digest
from towpath.downloads.journal import Journal
from towpath.downloads.ledger import Entry, Ledger
from towpath.downloads.part import sweep
from towpath.downloads.places import clone_key, facts_dir, model_weights_dir, repository_dir
from towpath.settings import active

__all__ = ["Cached", "PruneReport", "Verdict", "cached", "evict", "prune", "remove", "verified"]

Verdict = Literal["good", "damaged", "missing", "unknown"]
_YOUNG_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True)
class Cached:
    """Something that may be evicted.

    Attributes:
        key: what the command calls it: the key of weights, the folder's name of a clone.
        kind: weights or clone.
        path: the file or the folder of the clone.
        size: bytes on disk.
        used_at: when it was last used, in seconds since the epoch.
        url: where it came from, without secrets; '' when that is not known.
    """

    key: str
    kind: Literal["weights", "clone"]
    path: Path
    size: int
    used_at: float
    url: str = ""


@dataclass(frozen=True, slots=True)
class PruneReport:
    """What was evicted.

    Attributes:
        removed: the paths of the files and folders, and of parts.
        freed_bytes: what they took on the disk.
        kept: how many weights and clones are still there.
    """

    removed: tuple[Path, ...]
    freed_bytes: int
    kept: int


def cached(data_dir: Path | None = None) -> list[Cached]:
    """Return all weights and clones, the least recently used first.

    Args:
        data_dir: of the apps; the active settings' by default.
    """
    data_dir = data_dir or active().data_dir
    found = [*_weights(data_dir), *_clones(data_dir)]
    return sorted(found, key=lambda each: (each.used_at, each.key))


def evict(max_bytes: int, *, spared: str = "") -> PruneReport:
    """Evict until everything takes *max_bytes* at most; the entry *spared* stays.

    Args:
        max_bytes: what all weights and clones may take together.
        spared: the key or the folder's name of what was just brought.
    """
    entries = cached()
    mine = sum(entry.size for entry in entries if entry.key == spared)
    others = [entry for entry in entries if entry.key != spared]
    going = _chosen(others, max(0, max_bytes - mine), None, 0.0)
    gone = [entry for entry in going if remove(entry)]
    freed = sum(entry.size for entry in gone)
    return PruneReport(tuple(entry.path for entry in gone), freed, len(entries) - len(gone))


def prune(
    *, max_bytes: int | None = None, max_age: float | None = None, dry_run: bool = False
) -> PruneReport:
    """Evict weights and clones, the least recently used first, and parts nobody goes on with.

    What was downloaded to a `target_dir` is never touched. What is being downloaded now stays.

    Args:
        max_bytes: what they may take together; default: no limit.
        max_age: seconds since the last use after which they go; default: none go by age.
        dry_run: only say what would go.

    Raises:
        ValueError: a limit is negative.
    """
    for name, value in (("max_bytes", max_bytes), ("max_age", max_age)):
        if value is not None and value < 0:
            message = f"{name}={value} is negative; give 0 or more, or None for no limit"
            raise ValueError(message)
    entries = cached()
    going = _chosen(entries, max_bytes, max_age, time.time())
    removed: list[Path] = []
    freed = 0
    for entry in going:
        if dry_run or remove(entry):
            removed.append(entry.path)
            freed += entry.size
    if not dry_run:
        freed += _sweep_all(active().data_dir)
    return PruneReport(tuple(removed), freed, len(entries) - len(removed))


def _chosen(
    entries: list[Cached], max_bytes: int | None, max_age: float | None, now: float
) -> list[Cached]:
    """Choose what goes from *entries*, which are ordered by their last use."""
    old = [e for e in entries if max_age is not None and e.used_at < now - max_age]
    rest = [e for e in entries if e not in old]
    total = sum(e.size for e in rest)
    for entry in rest:
        if max_bytes is None or total <= max_bytes:
            break
        old.append(entry)
        total -= entry.size
    return old


def remove(entry: Cached) -> bool:
    """Evict one; return False when it is being downloaded now."""
    ledger = Ledger(facts_dir(active().data_dir))
    folder = entry.path.parent if entry.kind == "weights" else entry.path
    key = entry.key if entry.kind == "weights" else clone_key(entry.path)
    with ledger.try_lock(key) as is_free:
        if not is_free:
            return False
        trash = folder.with_name(f".trash-{folder.name[:16]}-{os.getpid()}-{time.monotonic_ns()}")
        try:
            folder.rename(trash)  # at once: nobody sees half of it
        except OSError:
            return False
        ledger.forget(key)
    shutil.rmtree(trash, ignore_errors=True)
    return True


def verified() -> Iterator[tuple[Cached, Verdict]]:
    """Hash all weights again; yield each with whether it is what was downloaded."""
    ledger = Ledger(facts_dir(active().data_dir))
    for each in cached():
        if each.kind == "weights":
            yield each, _verdict(ledger.entry(each.key), each.path)


def _verdict(entry: Entry | None, path: Path) -> Verdict:
    """Compare a file with what is known of it."""
    if entry is None or entry.facts.sha256 is None:
        return "unknown"
    try:
        with path.open("rb") as file:
            return "good" if file_digest(file.fileno()) == entry.facts.sha256 else "damaged"
    except OSError:
        return "missing"


def _weights(data_dir: Path) -> Iterator[Cached]:
    """Yield the files below the folder of weights."""
    ledger = Ledger(facts_dir(data_dir))
    for folder in _folders(model_weights_dir(data_dir)):
        files = [path for path in _visible(folder) if path.is_file()]
        if not files:
            continue
        entry = ledger.entry(folder.name)
        size = sum(path.lstat().st_size for path in files)
        used = max(path.lstat().st_mtime for path in files) if entry is None else entry.used_at
        url = "" if entry is None else entry.url
        path = next((p for p in files if entry is not None and p == entry.path), files[0])
        yield Cached(folder.name, "weights", path, size, used, url)


def _clones(data_dir: Path) -> Iterator[Cached]:
    """Yield the folders of clones."""
    ledger = Ledger(facts_dir(data_dir))
    for folder in _folders(repository_dir(data_dir)):
        size = sum(p.lstat().st_size for p in folder.rglob("*") if p.is_file())
        entry = ledger.entry(clone_key(folder))
        used = folder.stat().st_mtime if entry is None else entry.used_at
        url = "" if entry is None else entry.url
        yield Cached(folder.name, "clone", folder, size, used, url)


def _folders(root: Path) -> list[Path]:
    """Return the folders in *root* that are nobody's temporary."""
    return [path for path in _visible(root) if path.is_dir() and not path.is_symlink()]


def _visible(root: Path) -> list[Path]:
    """Return what is in *root*, less what has a dot in front."""
    with suppress(OSError):
        return sorted(path for path in root.iterdir() if not path.name.startswith("."))
    return []


def _sweep_all(data_dir: Path) -> int:
    """Remove parts that nobody goes on with, old rubbish, and facts of files that are gone."""
    ledger, freed = Ledger(facts_dir(data_dir)), 0
    for root in (model_weights_dir(data_dir), repository_dir(data_dir)):
        for path in root.glob(".trash-*"):
            shutil.rmtree(path, ignore_errors=True)
    for folder in _folders(model_weights_dir(data_dir)):
        freed += sweep(folder, ledger.remembers, now=True)
        with suppress(OSError):
            folder.rmdir()  # only an empty one goes
    for path in ledger.root.glob("?/*.journal"):
        freed += _drop_stale(path)
    ledger.sweep(_YOUNG_SECONDS)
    return freed


def _drop_stale(path: Path) -> int:
    """Remove a journal older than a day, and the part that it speaks of."""
    if path.stat().st_mtime >= time.time() - _YOUNG_SECONDS:
        return 0
    part = Journal(str(path)).part()
    path.unlink(missing_ok=True)
    return sweep(part.parent, lambda other: other != part, now=True) if part is not None else 0
