"""What a call asks for: its options, read once and checked."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypedDict

from towpath.downloads.digests import is_sha256
from towpath.errors import InvalidURLError
from towpath.errors.redaction import shown
from towpath.media.data_uri import MOST_INLINE, check_length, is_data_uri
from towpath.settings import active

__all__ = ["LONGEST_URL", "DownloadOptions", "Progress", "Wanted", "wanted"]

Progress = Literal["auto", "bar", "log", "off"] | Callable[[int, int | None], None]
"""How a download is shown, or a function of the bytes here and of all bytes, if known."""

FILE_PATIENCE = 15.0
WEIGHTS_PATIENCE = 300.0
LONGEST_URL = 64 * 1024  # characters; eight times what servers take


class DownloadOptions(TypedDict, total=False):
    """What a download may be told beside its main arguments."""

    sha256: str
    """64 hex digits; other content raises DigestError, and nothing is published."""
    sources: Collection[str]
    """Schemes this call may use beside http, https, data: s3, gs, az, hf, registered ones."""
    progress: Progress
    """`auto` (a bar in a terminal, else a line every 5 s), `bar`, `log`, `off`, or a function that
    is called at most 10 times a second."""
    connections: int
    """Upper bound of connections; default TOWPATH_DOWNLOAD_CONNECTIONS (16)."""
    patience: float
    """Seconds without a useful amount of bytes before giving up; 15, weights 300."""
    deadline: float
    """Seconds for the whole call; none."""
    max_age: float
    """Weights only: ask the server about what was last checked so many seconds ago; never."""
    stale_if_error: bool
    """An unreachable host is no error when a whole copy is here; False."""
    verify: bool
    """Hash the cached copy again; False."""
    proxy: str
    """`http://[user:password@]host:port`; the only way a proxy is used."""
    allow_hosts: Collection[str]
    """Hosts, addresses or networks that this call may reach though they are private."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for.

    Attributes:
        url: http, https, data:, or a scheme of `sources`.
        headers: request headers of the caller; they stay with the first origin.
        limit: bytes that the file may have.
        patience: seconds without a useful amount of bytes.
        deadline: seconds for the whole call, or None.
        allow_hosts: hosts allowed beside those of the settings.
        sources: schemes that may be used beside http, https and data.
        sha256: the digest that the content has to have, or None.
        connections: at most so many at once.
        proxy: the URL of a proxy, or None.
        progress: how it is shown.
        max_age: seconds after which the source is asked again, or None.
        stale_if_error: whether a copy is good enough when the source cannot be reached.
        verify: whether a copy is hashed again.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    limit: int | None = None
    patience: float = FILE_PATIENCE
    deadline: float | None = None
    allow_hosts: tuple[str, ...] = ()
    sources: frozenset[str] = frozenset()
    sha256: str | None = None
    connections: int = 16
    proxy: str | None = None
    progress: Progress = "off"
    max_age: float | None = None
    stale_if_error: bool = False
    verify: bool = False

    @property
    def identity(self) -> tuple[object, ...]:
        """Return what two calls have to share so that one answer serves both."""
        headers = tuple(sorted(self.headers.items()))
        return (
            *(self.url, headers, self.limit, self.allow_hosts, self.sources),
            *(self.sha256, self.proxy, self.verify, self.max_age, self.stale_if_error),
            *(self.patience, self.deadline),
        )


def wanted(
    url: str,
    headers: Mapping[str, str] | None = None,
    filesize_limit: float | None = None,
    options: DownloadOptions | None = None,
    *,
    patience: float = FILE_PATIENCE,
    sources: Collection[str] | None = None,
) -> Wanted:
    """Put the arguments of a call into one record.

    Args:
        url: the URL.
        headers: of the caller.
        filesize_limit: MiB, or None.
        options: the caller's.
        patience: where the options give none.
        sources: where the options give none; None = those of the settings.

    Raises:
        InvalidURLError: the URL is no text, or is too long.
        FileTooLargeError: the URL is inline data of more bytes than the limit.
        TypeError: an option has no such name.
        ValueError: an option has a value that cannot be meant.
    """
    given = DownloadOptions() if options is None else options
    _check(given)
    limit = None if filesize_limit is None else _mebibytes(filesize_limit)
    _check_url(url, MOST_INLINE if limit is None else limit)
    settings = active()
    digest = given.get("sha256")
    return Wanted(
        url,
        dict(headers or {}),
        limit,
        patience=given.get("patience", patience),
        deadline=given.get("deadline"),
        allow_hosts=tuple(given.get("allow_hosts", ())),
        sources=frozenset(given.get("sources", settings.sources if sources is None else sources)),
        sha256=None if digest is None else digest.lower(),
        connections=given.get("connections", settings.download_connections),
        proxy=given.get("proxy"),
        progress=given.get("progress", settings.progress),
        max_age=given.get("max_age"),
        stale_if_error=given.get("stale_if_error", False),
        verify=given.get("verify", False),
    )


def _check_url(url: object, most_inline: int) -> None:
    """Judge the length of a URL before anything makes a copy of it."""
    if not isinstance(url, str):
        raise InvalidURLError(shown(repr(url), 60), "a URL is a text")
    if is_data_uri(url):
        check_length(url, most_inline)
    elif len(url) > LONGEST_URL:
        reason = f"the URL has {len(url)} characters, and {LONGEST_URL} are the most"
        raise InvalidURLError(url, reason)


def _check(given: DownloadOptions) -> None:
    """Refuse what cannot be meant."""
    unknown = sorted(set(given) - set(DownloadOptions.__annotations__))
    if unknown:
        names = ", ".join(sorted(DownloadOptions.__annotations__))
        message = f"there is no download option {unknown[0]!r}; there are {names}"
        raise TypeError(message)
    if "sha256" in given and not is_sha256(given["sha256"]):
        message = f"sha256 has to be 64 hex digits; got {len(given['sha256'])} characters"
        raise ValueError(message)
    if given.get("connections", 1) < 1:
        message = f"connections={given['connections']}; at least one is needed"
        raise ValueError(message)
    for name, value in (("patience", given.get("patience")), ("deadline", given.get("deadline"))):
        if value is not None and not value > 0:
            message = f"{name}={value}; give seconds above 0"
            raise ValueError(message)


def _mebibytes(number: float) -> int:
    """Return *number* MiB in bytes."""
    if not number >= 0:
        message = f"filesize_limit={number} is negative; give MiB, or None for no limit"
        raise ValueError(message)
    return int(number * 2**20)
