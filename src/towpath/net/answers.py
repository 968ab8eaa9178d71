"""The answer of a stranger's server: a head that was read, and a body that was not."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from towpath.errors import BadResponseError, DownloadError, SourceUnavailableError
from towpath.net.bodies import chunked, inflated, sized, until_close
from towpath.net.connection import Connection
from towpath.net.heads import Fields
from towpath.net.policy import Target

__all__ = ["Answer", "Route"]

_IDENTITY = frozenset({"", "identity"})
_BODILESS = frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class Route:
    """Where an answer came from, so that another connection can go the same way.

    Attributes:
        target: the URL after redirects.
        address: the judged address that answered.
        headers: the caller's headers that may be sent there.
    """

    target: Target
    address: str
    headers: dict[str, str]


@dataclass(slots=True)
class Answer:
    """A status and headers that have come, and a body that has not yet been read.

    Attributes:
        url: where the answer came from, after redirects.
        status: the HTTP status code.
        headers: the header fields.
        size: the declared length of the body in bytes, or None.
        route: the way to it.
        linked: fields of redirects before it that speak about the file.
    """

    url: str
    status: int
    headers: Fields
    size: int | None
    route: Route
    connection: Connection
    on_done: Callable[[Connection], None] | None = None
    linked: dict[str, str] = field(default_factory=dict)
    _whole: bool = False
    _closed: bool = False

    @property
    def coding(self) -> str:
        """Return the content coding, `identity` if there is none."""
        return self.headers.get("content-encoding", "").strip().lower() or "identity"

    def chunks(self, *, decode: bool = True) -> Iterator[memoryview | bytes]:
        """Yield the body; each piece is valid until the next one is asked for.

        Args:
            decode: whether to undo a content coding.

        Raises:
            TruncatedError: the body ended before its declared length.
            SourceUnavailableError: the connection broke, or the server is too slow.
            BadResponseError: the framing or the coding is broken.
        """
        wire = self._wire()
        if not decode or self.coding in _IDENTITY:
            yield from wire
        elif self.coding in {"gzip", "x-gzip", "deflate"}:
            yield from inflated(self.url, wire)
        else:
            reason = f"it is compressed with {self.coding!r}, which is not read"
            raise BadResponseError(self.url, reason)

    def _wire(self) -> Iterator[memoryview]:
        """Yield the body as it comes, its framing and length checked."""
        got = 0
        try:
            for piece in self._framed():
                got += len(piece)
                yield piece
        except DownloadError:
            raise
        except OSError as error:
            reason = f"the connection broke after {got} bytes ({error.strerror or 'closed'})"
            raise SourceUnavailableError(self.url, reason) from None
        self._whole = self.size is not None or "transfer-encoding" in self.headers

    def _framed(self) -> Iterator[memoryview]:
        """Choose how the end of the body is known (RFC 9112 section 6.3)."""
        if self.status in _BODILESS:
            return iter(())
        if "transfer-encoding" in self.headers:
            return chunked(self.url, self.connection)
        if self.size is not None:
            return sized(self.url, self.connection, self.size)
        return until_close(self.connection)

    def close(self) -> None:
        """Give the connection back if the body was read whole; close it otherwise."""
        if self._closed:
            return
        self._closed = True
        done, self.on_done = self.on_done, None
        if self.status in _BODILESS or self.size == 0:
            self._whole = True
        if done is not None and self._whole and not self.connection.has_rest:
            done(self.connection)
        else:
            self.connection.close()
