"""What keeps a file from being stored or found."""

from typing_extensions import override

from towpath.errors.redaction import shown
from towpath.errors.root import TowpathError, TransientError

__all__ = [
    "NoUploaderError",
    "ObjectExistsError",
    "ObjectExpiredError",
    "ObjectNotFoundError",
    "RangeError",
    "StorageError",
    "StoreFullError",
    "StoreUnusableError",
    "TemporaryFullError",
    "UploadError",
    "UploadRefusedError",
    "UploadUnavailableError",
]


class UploadError(TowpathError):
    """A file could not be given a public URL."""

    @property
    @override
    def told(self) -> str:
        """What a caller is told: where files go is the operator's business."""
        return "A file of the answer could not be stored."


class NoUploaderError(UploadError):
    """Nothing in this process can give a file a URL."""

    def __init__(self) -> None:
        super().__init__(
            "This process has nowhere to put files. Run the app with `towpath run file.py`, or set "
            "TOWPATH_STORE and TOWPATH_PUBLIC_URL, or pass repository='in_memory' for a data: URI."
        )


class UploadRefusedError(UploadError):
    """The place that keeps files said no.

    Attributes:
        status: the HTTP status that says why.
    """

    def __init__(self, reason: str, *, status: int) -> None:
        self.status = status
        super().__init__(f"The file was not stored: {reason}")


class UploadUnavailableError(UploadError, TransientError):
    """The place that keeps files did not answer."""


class StorageError(TowpathError):
    """The store could not do what was asked.

    Attributes:
        key: the object's id, if one is concerned.
    """

    def __init__(self, message: str, *, key: str | None = None) -> None:
        self.key = key
        super().__init__(message)


class ObjectNotFoundError(StorageError, FileNotFoundError):
    """There is no such object.

    Attributes:
        is_pending: whether its URL was handed out and its bytes are still to come.
    """

    def __init__(self, key: str, *, is_pending: bool = False) -> None:
        self.is_pending = is_pending
        which = f"The file {shown(key, 64)!r} is not here yet; try again in a moment."
        none = f"There is no file {shown(key, 64)!r} here."
        super().__init__(which if is_pending else none, key=key)


class ObjectExistsError(StorageError, FileExistsError):
    """There is such an object already, and it is not replaced."""

    def __init__(self, key: str) -> None:
        super().__init__(f"There is a file {shown(key, 64)!r} already; it is kept.", key=key)


class ObjectExpiredError(StorageError):
    """The object's life is over."""

    def __init__(self, key: str, *, expired_at: str) -> None:
        self.expired_at = expired_at
        super().__init__(
            f"File {shown(key, 64)!r} expired at {expired_at}. Make it again with a longer life.",
            key=key,
        )


class RangeError(StorageError):
    """The range lies outside the object."""

    def __init__(self, size: int, *, key: str | None = None) -> None:
        self.size = size
        super().__init__(f"The range lies outside the file's {size} bytes.", key=key)


class StoreFullError(StorageError):
    """Storing something would use up the reserve of free space.

    Args:
        need: bytes that were to be written at once; None where the disk itself refused them.
        free: bytes that are free.
        reserve: bytes that stay free.
        what: was to be stored; begins a sentence.
    """

    def __init__(
        self, *, need: int | None, free: int, reserve: int, what: str = "The file"
    ) -> None:
        self.what = what
        self.need = need
        self.free = free
        self.reserve = reserve
        trouble = (
            f"The disk answered 'No space left on device' ({free} bytes are free)"
            if need is None
            else f"Storing {need} bytes would leave less than the reserve of {reserve}: {free} are "
            "free"
        )
        self.advice = "Free some space, or lower TOWPATH_STORE_RESERVE."
        self.reason = f"{trouble}. {self.advice}"
        super().__init__(f"{what} could not be stored. {self.reason}")

    @property
    @override
    def told(self) -> str:
        """What a caller is told: the reserve is a setting, and the free space the operator's."""
        return f"{self.what} could not be stored: the server's disk is full. Try again later."


class StoreUnusableError(StorageError):
    """The store cannot be used, or does not answer."""

    @property
    @override
    def told(self) -> str:
        """What a caller is told: the message names folders, hosts and versions."""
        return "The server's store of files cannot be used at the moment. Try again later."


class TemporaryFullError(StorageError):
    """The disk has no room for a temporary file.

    Attributes:
        free: bytes that are free on it.
    """

    def __init__(self, *, free: int) -> None:
        self.free = free
        super().__init__(
            f"There is no room for a temporary file: {free} bytes are free on its disk. Free some "
            "space."
        )

    @property
    @override
    def told(self) -> str:
        """What a caller is told: the free space is the operator's business."""
        return "A temporary file could not be stored: the server's disk is full. Try again later."
