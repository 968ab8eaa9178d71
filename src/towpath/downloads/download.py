"""download_file: a URL to a local path, and nothing moved twice."""

from collections.abc import Collection, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from hashlib import sha256
from os import PathLike, fspath
from pathlib import Path
from typing import TypedDict, Unpack

from towpath.concurrency import in_thread
from towpath.context import places
from towpath.downloads.landing import Limits, counted, land
from towpath.downloads.ledger import Ledger
from towpath.downloads.opening import Wanted, open_source
from towpath.downloads.places import facts_dir, key_of, target_folder
from towpath.downloads.reuse import verdict
from towpath.downloads.sources import Opened
from towpath.errors.redaction import shown_url
from towpath.media.content_types import extension_of
from towpath.media.data_uri import is_data_uri
from towpath.media.names import with_mark
from towpath.settings import active

__all__ = [
    "DownloadOptions",
    "bring",
    "bring_to",
    "download_file",
    "download_file_async",
    "fetch_bytes",
    "fetch_into",
    "mebibytes",
    "wanted",
]


class DownloadOptions(TypedDict, total=False):
    """What a download may be told beside its main arguments."""

    allow_hosts: Collection[str]
    """Hosts, addresses or networks that this call may reach though they are private."""


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
    whether the file changed and moves no body byte when it did not.

    Args:
        url: http, https or a data: URI. Files of our own server are read without a connection.
        target_dir: a folder, made when missing; a relative one lies below the data directory.
        force: download even if the file is here already.
        request_headers: sent to the URL's own origin only, never across a redirect to another.
        filesize_limit: MiB that the file may have, exact to the byte; 0 is a limit.
        options: see DownloadOptions.

    Raises:
        DownloadError: the file could not be brought here; its subclasses say why.
    """
    folder = target_folder(fspath(target_dir), data_dir=active().data_dir, temp=places().temp)
    request = wanted(url, request_headers, filesize_limit, options)
    return bring(request, Landing(folder, key_of(url, folder)), force=force)


download_file_async = in_thread(download_file)


@dataclass(frozen=True, slots=True)
class Landing:
    """Where a download goes.

    Attributes:
        folder: the folder.
        key: what its facts are kept under.
        durable: whether it is synced before it appears.
    """

    folder: Path
    key: str
    durable: bool = False


def bring(request: Wanted, landing: Landing, *, force: bool = False) -> Path:
    """Bring what is wanted to its folder, if it is not there already."""
    ledger = _ledger(landing.folder)
    facts = None if force else ledger.facts(landing.key)
    if facts is not None and ledger.have(landing.folder / facts.name, facts) is None:
        facts = None
    opened = open_source(request, facts)
    with closing(opened):
        if opened.not_modified and facts is not None:
            return landing.folder / facts.name
        path, is_known = _claimed(opened, landing, ledger)
        mine = facts if facts is not None and facts.name == path.name else None
        have = ledger.have(path, mine) if mine or not is_known else None
        if verdict(opened.head, have, limit=request.limit, force=force) == "reuse":
            return path
        limits = _limits(request.limit)
        new = land(opened.head, opened.chunks(), path, limits=limits, durable=landing.durable)
    ledger.note(landing.key, path, new, shown_url(request.url))
    return path


def _ledger(folder: Path) -> Ledger:
    """Return the ledger of downloads to *folder*; a runner's temp folder has its own."""
    temp = places().temp
    if temp is not None and folder.is_relative_to(temp):
        return Ledger(temp / ".towpath-downloads")
    return Ledger(facts_dir(active().data_dir))


def _claimed(opened: Opened, landing: Landing, ledger: Ledger) -> tuple[Path, bool]:
    """Return the path of the file, and whether a download of ours was there before.

    A name that another URL took gets a mark.
    """
    path = landing.folder / _name(opened)
    is_known = ledger.is_claimed(path)
    if ledger.claim(path, landing.key):
        return path, is_known
    marked = path.with_name(with_mark(path.name, landing.key[:8]))
    return marked, ledger.is_claimed(marked)


def _name(opened: Opened) -> str:
    """Return the name that the source gives, or one made of the URL's hash."""
    digest = sha256(opened.head.url.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    if is_data_uri(opened.head.url):
        return f"{digest}.{extension_of(opened.head.content_type or '')}"
    return opened.head.name or digest


def fetch_into(request: Wanted, folder: Path) -> Path:
    """Bring what is wanted to a fresh *folder* of the caller's own; nothing is remembered."""
    opened = open_source(request)
    with closing(opened):
        verdict(opened.head, None, limit=request.limit, force=True)
        path = folder / _name(opened)
        land(opened.head, opened.chunks(), path, limits=_limits(request.limit))
    return path


def fetch_bytes(request: Wanted) -> bytes:
    """Return the content of a URL, kept in memory: never more than an undeclared body may have."""
    limits = _limits(request.limit)
    most = limits.undeclared if limits.given is None else limits.given
    opened = open_source(request)
    with closing(opened):
        verdict(opened.head, None, limit=most, force=True)
        return b"".join(counted(opened.head, opened.chunks(), replace(limits, given=most)))


def bring_to(request: Wanted, target: Path) -> None:
    """Bring what is wanted to the path *target*, in place of what is there."""
    opened = open_source(request)
    with closing(opened):
        verdict(opened.head, None, limit=request.limit, force=True)
        land(opened.head, opened.chunks(), target, limits=_limits(request.limit))


def wanted(
    url: str,
    headers: Mapping[str, str] | None,
    filesize_limit: float | None,
    options: DownloadOptions,
) -> Wanted:
    """Put the arguments of a call into one record."""
    limit = None if filesize_limit is None else mebibytes(filesize_limit)
    allow = tuple(options.get("allow_hosts", ()))
    return Wanted(url, dict(headers or {}), limit, allow_hosts=allow)


def mebibytes(number: float) -> int:
    """Return *number* MiB in bytes."""
    if number < 0:
        message = f"filesize_limit={number} is negative; give MiB, or None for no limit"
        raise ValueError(message)
    return int(number * 2**20)


def _limits(given: int | None) -> Limits:
    """Return the limits of a download."""
    settings = active()
    return Limits(given, settings.download_undeclared_max_bytes, settings.store_reserve)
