"""download_file: a URL to a local path, and nothing moved twice."""

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import Unpack

from towpath.concurrency import in_thread
from towpath.context import places
from towpath.downloads.attempts import Attempts
from towpath.downloads.errand import Errand, limits_of, name_of
from towpath.downloads.flights import Flights
from towpath.downloads.hits import Hits, memory_of
from towpath.downloads.landing import Landing, prepared, published, writing_to
from towpath.downloads.ledger import Ledger
from towpath.downloads.limits import counted
from towpath.downloads.opening import opener_of
from towpath.downloads.part import Part
from towpath.downloads.places import facts_dir, key_of, target_folder
from towpath.downloads.reuse import Head, verdict
from towpath.downloads.sources import Ask
from towpath.downloads.transfer import Order, Transfer
from towpath.downloads.wanted import DownloadOptions, Wanted, wanted
from towpath.net.patience import Patience, Watch
from towpath.settings import active

__all__ = [
    "bring",
    "bring_to",
    "download_file",
    "download_file_async",
    "fetch_bytes",
    "fetch_into",
]

_flights: Flights[Path] = Flights()
_hits = Hits()


def download_file(
    url: str,
    target_dir: str | PathLike[str],
    *,
    force: bool = False,
    request_headers: Mapping[str, str] | None = None,
    filesize_limit: float | None = None,
    **options: Unpack[DownloadOptions],
) -> Path:
    """Download *url* into *target_dir* and return the file's path.

    The file appears under its name only when it is whole. A repeated call asks the server
    whether the file changed and moves no body byte when it did not; with `sha256` it asks nobody.
    Callers of one URL at the same moment, in any process, share one transfer if their request
    headers are the same; callers with others have a file of their own.

    Args:
        url: http, https or a data: URI; other schemes where `sources` allows them. Files of our
            own server are read without a connection.
        target_dir: a folder, made when missing; a relative one lies below the data directory.
        force: download even if the file is here already.
        request_headers: sent to the URL's own origin only, never across a redirect to another;
            they are a part of what the file is kept under.
        filesize_limit: MiB that the file may have, exact to the byte; 0 is a limit.
        options: see DownloadOptions.

    Raises:
        DownloadError: the file could not be brought here; its subclasses say why.
    """
    data_dir, temp, place = active().data_dir, places().temp, fspath(target_dir)
    is_pinned = not force and filesize_limit is None and "sha256" in options
    memory = memory_of(options, url, request_headers, place, data_dir, temp) if is_pinned else None
    if is_pinned and (path := _hits.look(memory)) is not None:
        return path
    folder = target_folder(place, data_dir=data_dir, temp=temp)
    request = wanted(url, request_headers, filesize_limit, options)
    landing = Landing(folder, key_of(url, folder, headers=request.headers))
    path = bring(request, landing, force=force)
    if is_pinned:
        _hits.remember(memory, path, _ledger(folder).facts_path(landing.key))
    return path


download_file_async = in_thread(download_file)


def bring(request: Wanted, landing: Landing, *, force: bool = False) -> Path:
    """Bring what is wanted to its folder, if it is not there already.

    Raises:
        DownloadError: it could not be brought.
    """
    ledger = _ledger(landing.folder)
    errand = Errand(request, landing, ledger, force)
    key = (str(ledger.root), landing.key, force, request.identity)
    return _flights.share(key, errand.run)


def _ledger(folder: Path) -> Ledger:
    """Return the ledger of downloads to *folder*; a runner's temp folder has its own."""
    temp = places().temp
    if temp is not None and folder.is_relative_to(temp):
        return Ledger(temp / ".towpath-downloads")
    return Ledger(facts_dir(active().data_dir))


def fetch_into(request: Wanted, folder: Path) -> Path:
    """Bring what is wanted to a fresh *folder* of the caller's own; nothing is remembered.

    Raises:
        DownloadError: it could not be brought.
    """
    return _fetched(request, lambda head: folder / name_of(head))


def bring_to(request: Wanted, target: Path) -> None:
    """Bring what is wanted to the path *target*, in place of what is there.

    Raises:
        DownloadError: it could not be brought.
    """
    _fetched(request, lambda _: target)


def fetch_bytes(request: Wanted) -> bytes:
    """Return the content of a URL, kept in memory: never more than an undeclared body may have.

    Raises:
        DownloadError: it could not be brought.
    """
    limits = limits_of(request.limit)
    limits = replace(limits, given=limits.undeclared if limits.given is None else limits.given)
    patience = Patience(request.url, request.patience, deadline=request.deadline)
    opener, watch, high = opener_of(request), Watch(patience), 0

    def work() -> bytes:
        nonlocal high
        got = bytearray()
        with closing(opener(Ask(), watch)) as opened:
            verdict(opened.head, None, limit=limits.given, force=True)
            for piece in counted(opened.head, opened.chunks(), limits):
                got += piece
                patience.note(max(0, len(got) - high))
                high = max(high, len(got))
        return bytes(got)

    return Attempts(patience).first(work)


def _fetched(request: Wanted, target_of: Callable[[Head], Path]) -> Path:
    """Bring a file to a place that only its caller knows of."""
    limits = limits_of(request.limit)
    patience = Patience(request.url, request.patience, deadline=request.deadline)
    opener, attempts = opener_of(request), Attempts(patience)
    with closing(attempts.first(lambda: opener(Ask(), Watch(patience, patience.tick)))) as opened:
        target = target_of(opened.head)

        def judge(head: Head) -> None:
            verdict(head, None, limit=request.limit, force=True)
            limits.check_room(head, target.parent)

        with writing_to(opened.head, target):
            prepared(target)
            judge(opened.head)
            part = Part.create(target, key_of(request.url)[:8])
            try:
                order = Order(limits, request.connections)
                brought = Transfer(opener, part, order, patience, judge).run(opened)
                published(part, target, brought)
            except BaseException:
                part.drop()
                raise
            finally:
                part.close()
    return target
