"""What keeps a URL from becoming a local file."""

from towpath.errors.redaction import shown_url
from towpath.errors.root import TowpathError, TransientError

__all__ = [
    "BadResponseError",
    "BlockedAddressError",
    "DiskFullError",
    "DownloadError",
    "FileTooLargeError",
    "InvalidURLError",
    "SourceStatusError",
    "SourceUnavailableError",
    "TooManyRedirectsError",
    "TruncatedError",
]


class DownloadError(TowpathError):
    """A URL could not be brought to a local path.

    Attributes:
        url: the URL as it was given; messages show it without query and user info.
    """

    def __init__(self, url: str, reason: str) -> None:
        self.url = url
        self.reason = reason
        super().__init__(f"Could not download {shown_url(url)}: {reason}")

    @property
    def retryable(self) -> bool:
        """Whether the same call may work a moment later."""
        return isinstance(self, TransientError)


class InvalidURLError(DownloadError, ValueError):
    """The URL itself cannot be used: syntax, scheme, or inline data."""


class BlockedAddressError(DownloadError):
    """The URL leads to an address that strangers' URLs may not reach."""


class TooManyRedirectsError(DownloadError):
    """The server redirected more often than is followed."""


class BadResponseError(DownloadError):
    """The server's answer breaks HTTP, or is one that a download cannot use."""


class SourceStatusError(DownloadError):
    """The server answered with a status that is not success.

    Attributes:
        status: the HTTP status code.
    """

    def __init__(self, url: str, status: int, advice: str) -> None:
        self.status = status
        super().__init__(url, f"the server answered {status}. {advice}")


class SourceUnavailableError(DownloadError, TransientError):
    """The host did not answer, or the connection broke."""


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
            url, f"{size} bytes, and the limit is {limit}. Use a smaller file or raise the limit."
        )


class DiskFullError(DownloadError, OSError):
    """The disk has not enough room for the file."""

    def __init__(self, url: str, *, need: int, free: int) -> None:
        self.need = need
        self.free = free
        super().__init__(
            url, f"it needs {need} bytes and the disk has {free} to spare. Free some space."
        )
