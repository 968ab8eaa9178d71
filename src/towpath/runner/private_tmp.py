"""A `/tmp` of a runner's own: in a mount namespace where the system allows it."""

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path

__all__ = ["TMP", "mount_private_tmp"]

TMP = Path("/tmp")  # noqa: S108 - what is made private here
_NEW_NAMESPACE = 0x20000  # CLONE_NEWNS
_NEW_USER = 0x10000000  # CLONE_NEWUSER
_BIND, _RECURSIVE, _SLAVE = 4096, 16384, 1 << 19  # MS_BIND, MS_REC, MS_SLAVE


def mount_private_tmp(temp: Path, needed: Iterable[Path]) -> bool:
    """Make *temp* this process's `/tmp`, and its children's; return whether that was possible.

    To be called before the process has threads. What lies below the old `/tmp` is not seen any
    more, but for *needed*.

    Args:
        temp: an empty folder; it lies below `/tmp` only if it is one of *needed*.
        needed: folders and files that have to stay where they are.
    """
    here = Path.cwd()
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        libc.unshare, libc.mount  # noqa: B018 - not on every system
    except (OSError, AttributeError):
        return False
    try:
        _unshare(libc)
        _mount(libc, None, Path("/"), _RECURSIVE | _SLAVE)  # others' mounts come, ours do not go
        for path in _outermost(needed):
            place = temp / path.relative_to(TMP)
            _make_like(path, place)
            _mount(libc, path, place, _BIND | _RECURSIVE)
        _mount(libc, temp, TMP, _BIND | _RECURSIVE)
        os.chdir(here)  # the way there leads through the new one
    except OSError:
        return False
    return True


def _unshare(libc: ctypes.CDLL) -> None:
    """Have mounts of our own: as root, or as ourselves in a user namespace."""
    uid, gid = os.getuid(), os.getgid()
    if libc.unshare(_NEW_NAMESPACE) == 0:
        return
    if libc.unshare(_NEW_NAMESPACE | _NEW_USER) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")


def _mount(libc: ctypes.CDLL, source: Path | None, target: Path, flags: int) -> None:
    """Call mount(2)."""
    given = os.fsencode(source) if source is not None else b"none"
    if libc.mount(given, os.fsencode(target), None, flags, None) != 0:
        raise OSError(ctypes.get_errno(), "mount", str(target))


def _outermost(paths: Iterable[Path]) -> list[Path]:
    """Return those below `/tmp` that lie in none of the others, as they are called there."""
    inside = {path.absolute() for path in paths if path.exists()}
    below = sorted(path for path in inside if path.is_relative_to(TMP) and path != TMP)
    return [p for p in below if not any(p != q and p.is_relative_to(q) for q in below)]


def _make_like(path: Path, place: Path) -> None:
    """Make an empty file or folder to mount *path* on."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        place.mkdir(exist_ok=True)
    else:
        place.touch()
