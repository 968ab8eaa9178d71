"""A `/tmp` of a runner's own: in a mount namespace where the system allows it.

What an operator names below the old `/tmp` (the app's file, the data folder, the working folder)
has to be seen in the new one under the same name. A name is not a place: `../x/app.py` leads
through the working folder, and a link leads elsewhere. So names are followed as the kernel follows
them (path_resolution(7)): the places they lead to are mounted, and the links on the way are made
again.
A folder mounted under its link's name as well would be two mounts, and `link` and `rename` between
them fail (EXDEV).
"""

import ctypes
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["TMP", "Kept", "is_tmp", "kept_below", "mount_private_tmp"]

TMP = Path("/tmp")  # noqa: S108 - what is made private here
_NEW_NAMESPACE = 0x20000  # CLONE_NEWNS
_NEW_USER = 0x10000000  # CLONE_NEWUSER
_MOST_LINKS = 40  # as many as Linux follows
_BIND, _RECURSIVE, _SLAVE = 4096, 16384, 1 << 19  # MS_BIND, MS_REC, MS_SLAVE


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of an old folder.

    Attributes:
        places: files and folders without links on their way; none lies in another.
        links: symbolic links, and what they say; none lies in a place.
    """

    places: tuple[Path, ...]
    links: tuple[tuple[Path, str], ...]


def is_tmp(path: Path) -> bool:
    """Return whether a path leads to `/tmp` itself."""
    return path.resolve() == TMP.resolve()


def kept_below(old: Path, needed: Iterable[Path]) -> Kept:
    """Return what of the folder *old* has to stay for *needed* to be found.

    Args:
        old: a folder, without links on its way.
        needed: as they are named; relative ones start from the working folder.
    """
    places, links = set[Path](), dict[Path, str]()
    for path in needed:
        place, passed = _followed(path)
        if place.exists():
            places.add(place)
            links |= passed
    inside = sorted(place for place in places if place.is_relative_to(old) and place != old)
    outermost = tuple(p for p in inside if not any(p != q and p.is_relative_to(q) for q in inside))
    return Kept(
        outermost,
        tuple(
            (link, said)
            for link, said in links.items()
            if link.is_relative_to(old) and not any(link.is_relative_to(q) for q in outermost)
        ),
    )


def _followed(path: Path) -> tuple[Path, dict[Path, str]]:
    """Return where a path leads to, and the links on its way."""
    here, links, hops = Path("/"), dict[Path, str](), 0
    parts = list(reversed((Path.cwd() / path).parts[1:]))  # what is joined is not normalised
    while parts:
        part = parts.pop()
        if part == os.pardir:
            here = here.parent
            continue
        step = here / part
        if not step.is_symlink() or hops >= _MOST_LINKS:
            here = step
            continue
        hops += 1
        links[step] = said = str(step.readlink())
        parts += reversed([each for each in Path(said).parts if each != "/"])
        here = Path("/") if said.startswith("/") else here
    return here, links


def mount_private_tmp(temp: Path, needed: Iterable[Path]) -> bool:
    """Make *temp* this process's `/tmp`, and its children's; return whether that was possible.

    To be called before the process has threads. What lies below the old `/tmp` is not seen any
    more, but for *needed*.

    Args:
        temp: an empty folder; it lies below `/tmp` only if it is one of *needed*.
        needed: folders and files that have to stay where they are.
    """
    here, old = Path.cwd(), TMP.resolve()
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        libc.unshare, libc.mount  # noqa: B018 - not on every system
    except (OSError, AttributeError):
        return False
    try:
        kept = kept_below(old, needed)
        _unshare(libc)
        _mount(libc, None, Path("/"), _RECURSIVE | _SLAVE)  # others' mounts come, ours do not go
        for path in kept.places:
            place = temp / path.relative_to(old)
            _make_like(path, place)
            _mount(libc, path, place, _BIND | _RECURSIVE)
        for link, said in kept.links:
            place = temp / link.relative_to(old)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(said)
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


def _make_like(path: Path, place: Path) -> None:
    """Make an empty file or folder to mount *path* on."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        place.mkdir(exist_ok=True)
    else:
        place.touch()
