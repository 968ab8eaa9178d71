"""Where bytes come from: a head that is known, and a body that has not been read."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from towpath.downloads.reuse import Facts, Head
from towpath.errors import InvalidURLError
from towpath.errors.redaction import shown
from towpath.net.patience import Watch

__all__ = ["Ask", "Opened", "Source", "register_source", "registered_schemes", "registered_source"]


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked of a source.

    Attributes:
        start: the first byte.
        stop: the byte after the last; None = to the end.
        validator: the entity tag that the file has to have still.
        known: what we have, if nothing needs to come when it is right still.
    """

    start: int = 0
    stop: int | None = None
    validator: str | None = None
    known: Facts | None = None


def _nothing() -> None:
    """Close nothing."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An open source.

    Attributes:
        head: what it says before the body.
        chunks: yields the body; a piece is valid until the next one is asked for.
        close: gives the source back; a body that was not read stays unread.
        not_modified: whether the source says that what we have is still right.
        start: the first byte that the body brings; 0 when the whole file comes.
        beside: opens a part of the same file over another connection, or None.
    """

    head: Head
    chunks: Callable[[], Iterator[bytes | memoryview]]
    close: Callable[[], None] = _nothing
    not_modified: bool = False
    start: int = 0
    beside: "Callable[[Ask, Watch], Opened] | None" = None


class Source(Protocol):
    """Turns URLs of its own schemes into bytes. Register one with `register_source`."""

    schemes: frozenset[str]
    """In lower case. They work where the author asks for them: `sources=`, the setting, weights."""

    def open(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        start: int = 0,
        stop: int | None = None,
        validator: str | None = None,
    ) -> AbstractContextManager[Opened]:
        """Open *url* from byte *start* up to *stop*.

        A head with a size, a strong etag and `ranges=True` allows parts, several at once; then
        `Opened.start` says where the body begins, and *validator* is the etag that the file must
        have still: raise DownloadError or answer with another head when it has not.

        Raises:
            DownloadError: one of its kinds; transient ones are tried again.
        """
        ...


_registered: dict[str, Source] = {}
_TAKEN = frozenset({"http", "https", "data", "file"})


def register_source(source: Source) -> None:
    """Let downloads use *source* for the URLs of its schemes; the last one registered wins.

    Raises:
        InvalidURLError: a scheme is one of http, https, data and file, which cannot be replaced.
    """
    for scheme in source.schemes:
        if scheme in _TAKEN or scheme != scheme.lower():
            reason = f"the scheme {shown(scheme, 20)!r} cannot be registered"
            raise InvalidURLError(f"{scheme}://", reason)
    _registered.update(dict.fromkeys(source.schemes, source))


def registered_source(scheme: str) -> Source | None:
    """Return what was registered for *scheme*, or None."""
    return _registered.get(scheme)


def registered_schemes() -> frozenset[str]:
    """Return all schemes that were registered."""
    return frozenset(_registered)
