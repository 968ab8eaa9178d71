"""What keeps a URL from becoming a local file."""

from typing_extensions import override

from towpath.errors.redaction import shown_url
from towpath.errors.root import TowpathError, TransientError

__all__ = [
    "BadResponseError",
    "BlockedAddressError",
    "DigestError",
    "DiskFullError",
    "DownloadError",
    "FileTooLargeError",
    "InvalidURLError",
    "SourceChangedError",
    "SourceStatusError",
    "SourceUnavailableError",
    "TooManyRedirectsError",
    "TruncatedError",
]

_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


class DownloadError(TowpathError):
    """A URL could not be brought to a local path.

    Attributes:
        url: the URL as it was given; messages show it without query and user info.
        reason: why, and what whoever gave the URL can do.
        advice: what the author of the code or the operator can do; callers of a server do not read
            it.
    """

    def __init__(self, url: str, reason: str, *, advice: str = "") -> None:
        self.url = url
        self.reason = reason
        self.advice = advice
        super().__init__(f"Could not download {shown_url(url)}: {reason} {advice}".rstrip())

    @property
    def retryable(self) -> bool:
        """Whether the same call may work a moment later."""
        return isinstance(self, TransientError)


class InvalidURLError(DownloadError, ValueError):
    """The URL itself cannot be used: syntax, scheme, or inline data."""


class BlockedAddressError(DownloadError):
    """The URL leads to an address that strangers' URLs may not reach.

    Attributes:
        host: the host of the URL, or of a redirect; '' when not known.
        address: the address, which the sentence does not show.
    """

    def __init__(self, url: str, reason: str, *, host: str = "", address: str = "") -> None:
        self.host = host
        self.address = address
        super().__init__(url, reason)


class TooManyRedirectsError(DownloadError):
    """The server redirected more often than is followed."""


class BadResponseError(DownloadError):
    """The server's answer breaks HTTP, or is one that a download cannot use."""


class SourceStatusError(DownloadError):
    """The server answered with a status that is not success.

    Args:
        url: the URL as it was given.
        status: the HTTP status code.
        hint: what whoever gave the URL can do.
        retry_after: seconds that the server asks to wait, or None.
        advice: see DownloadError.
    """

    def __init__(
        self,
        url: str,
        status: int,
        hint: str,
        *,
        retry_after: float | None = None,
        advice: str = "",
    ) -> None:
        self.status = status
        self.retry_after = retry_after
        asks = "" if retry_after is None else f" and asks to wait {retry_after:g} s"
        super().__init__(url, f"the server answered {status}{asks}. {hint}", advice=advice)

    @property
    @override
    def retryable(self) -> bool:
        return self.status in _PASSING


class SourceUnavailableError(DownloadError, TransientError):
    """The host did not answer, or the connection broke.

    Attributes:
        lasting: whether the cause stays until somebody mends it, such as a bad certificate.
    """

    def __init__(self, url: str, reason: str, *, lasting: bool = False, advice: str = "") -> None:
        self.lasting = lasting
        super().__init__(url, reason, advice=advice)

    @property
    @override
    def retryable(self) -> bool:
        return not self.lasting


class SourceChangedError(DownloadError):
    """The file changed at its source again and again while it was downloaded."""

    def __init__(self, url: str, times: int) -> None:
        super().__init__(
            url, f"it changed {times} times while it was downloaded. Try when it is settled."
        )


class DigestError(DownloadError):
    """The content is not what its digest says.

    Attributes:
        algorithm: sha256, sha512 or md5.
        expected: the digest that was asked for or stated, in hex.
        got: the digest of what came, in hex.
    """

    def __init__(self, url: str, algorithm: str, *, expected: str, got: str) -> None:
        self.algorithm = algorithm
        self.expected = expected
        self.got = got
        reason = f"its {algorithm} is {got}, and {expected} was expected. Check link and digest."
        super().__init__(url, reason)


class TruncatedError(DownloadError, TransientError):
    """The body ended before the declared length."""

    def __init__(self, url: str, *, got: int, expected: int) -> None:
        self.got = got
        self.expected = expected
        super().__init__(url, f"the body ended after {got} of {expected} bytes. Try again.")


class FileTooLargeError(DownloadError):
    """The file is larger than the limit.

    Attributes:
        size: bytes declared or seen so far.
        limit: bytes allowed.
    """

    def __init__(self, url: str, *, size: int, limit: int) -> None:
        self.size = size
        self.limit = limit
        super().__init__(
            url,
            f"{size} bytes, and the limit is {limit}. Use a smaller file.",
            advice="Raise the limit to take it.",
        )


class DiskFullError(DownloadError, OSError):
    """The disk has not enough room for the file."""

    def __init__(self, url: str, *, need: int, free: int) -> None:
        self.need = need
        self.free = free
        super().__init__(
            url, f"it needs {need} bytes and the disk has {free} to spare. Free some space."
        )

    @property
    @override
    def told(self) -> str:
        """What a caller is told: the free space is the operator's business."""
        return (
            f"Could not download {shown_url(self.url)}: the server's disk is full. Try again later."
        )
