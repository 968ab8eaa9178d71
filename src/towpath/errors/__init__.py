"""Every error that towpath raises on purpose: one tree, one file.

TowpathError
  DownloadError              .url .retryable
    InvalidURLError (ValueError)   BlockedAddressError   TooManyRedirectsError
    BadResponseError   SourceStatusError .status .retry_after   FileTooLargeError .size .limit
    SourceUnavailableError (T)   TruncatedError (T)   DiskFullError (OSError)
    SourceChangedError   DigestError .algorithm .expected .got
  MediaError                 .url
    UnsupportedFormatError (ValueError)   BrokenImageError   ImageTooLargeError .pixels .limit
    BrokenMediaError   BrokenArchiveError .member   UnsafeArchiveError .member
  InputError                 .field .type .ctx .at
  UploadError
    NoUploaderError   UploadRefusedError .status   UploadUnavailableError (T)
  StorageError               .key
    ObjectNotFoundError (FileNotFoundError)   ObjectExistsError (FileExistsError)
    ObjectExpiredError   RangeError   StoreFullError   StoreUnusableError
    TemporaryFullError .free
  RequestError               what a caller of the server did wrong
    BodyTooLargeError   BodyTimeoutError   UnsupportedBodyError   MissingKeyError   ForbiddenError
    UnknownAppError   UnknownEndpointError   ServerBusyError (T) .limit   ClientBusyError (T) .limit
    ContentCodingError .coding   TransferCodingError .coding   MissingTokenError
    WebsocketNeededError
  AppError
    AppDefinitionError .traceback   AppSetupError .traceback   StartTimeoutError
      RequirementsError, AppNotLoadedError (both an AppSetupError)
    AppStartingError (T)   AppDiskFullError .path .free
    DeadlineError   RunnerLostError (T)   RunnerUnreachableError (T)   RunnerIncompleteError
    ServerShortageError (T)   ServerStoppingError (T)
    WebsocketsFullError (T) .limit   WebsocketRefusedError
    RequestCancelledError
  QueueError
    IdempotencyKeyError .request_id
    RequestNotFoundError   WrongStateError .state   QueueFullError .waiting .limit   LeaseLostError
    QueueUnavailableError (T) .is_full   AnswerTooLargeError .limit
  ServerError                why a command cannot serve
    SettingsError (ValueError)   AddressInUseError   StateInUseError
TransientError (T)           mix-in: the same call may work a moment later
RequestCancelled             a BaseException: raised inside of an endpoint whose caller has gone

`str(error)` is for authors and operators; `error.told` is what callers of a server read: without
`error.advice`, which names settings, and without what only the operator may know.

A message says what failed, on what, why, with the numbers, and what to do. URLs appear without
their query and user info, because signed URLs are secrets.
"""

from towpath.errors.downloads import (
    BadResponseError,
    BlockedAddressError,
    DigestError,
    DiskFullError,
    DownloadError,
    FileTooLargeError,
    InvalidURLError,
    SourceChangedError,
    SourceStatusError,
    SourceUnavailableError,
    TooManyRedirectsError,
    TruncatedError,
)
from towpath.errors.media import (
    BrokenArchiveError,
    BrokenImageError,
    BrokenMediaError,
    ImageTooLargeError,
    InputError,
    MediaError,
    UnsafeArchiveError,
    UnsupportedFormatError,
)
from towpath.errors.queue import (
    AnswerTooLargeError,
    IdempotencyKeyError,
    LeaseLostError,
    QueueError,
    QueueFullError,
    QueueUnavailableError,
    RequestNotFoundError,
    WrongStateError,
)
from towpath.errors.root import (
    TowpathError,
    TransientError,
)
from towpath.errors.serving import (
    AddressInUseError,
    AppDefinitionError,
    AppDiskFullError,
    AppError,
    AppNotLoadedError,
    AppSetupError,
    AppStartingError,
    BodyTimeoutError,
    BodyTooLargeError,
    ClientBusyError,
    ContentCodingError,
    DeadlineError,
    ForbiddenError,
    MissingKeyError,
    MissingTokenError,
    RequestCancelled,
    RequestCancelledError,
    RequestError,
    RequirementsError,
    RunnerIncompleteError,
    RunnerLostError,
    RunnerUnreachableError,
    ServerBusyError,
    ServerError,
    ServerShortageError,
    ServerStoppingError,
    SettingsError,
    StartTimeoutError,
    StateInUseError,
    TransferCodingError,
    UnknownAppError,
    UnknownEndpointError,
    UnsupportedBodyError,
    WebsocketNeededError,
    WebsocketRefusedError,
    WebsocketsFullError,
)
from towpath.errors.storage import (
    NoUploaderError,
    ObjectExistsError,
    ObjectExpiredError,
    ObjectNotFoundError,
    RangeError,
    StorageError,
    StoreFullError,
    StoreUnusableError,
    TemporaryFullError,
    UploadError,
    UploadRefusedError,
    UploadUnavailableError,
)

# fmt: off
__all__ = [
    "AddressInUseError", "AnswerTooLargeError", "AppDefinitionError", "AppDiskFullError",
    "AppError", "AppNotLoadedError", "AppSetupError", "AppStartingError", "BadResponseError",
    "BlockedAddressError",
    "BodyTimeoutError", "BodyTooLargeError", "BrokenArchiveError", "BrokenImageError",
    "BrokenMediaError", "ClientBusyError", "ContentCodingError", "DeadlineError", "DigestError",
    "DiskFullError", "DownloadError", "FileTooLargeError", "ForbiddenError", "IdempotencyKeyError",
    "ImageTooLargeError", "InputError", "InvalidURLError", "LeaseLostError", "MediaError",
    "MissingKeyError", "MissingTokenError", "NoUploaderError", "ObjectExistsError",
    "ObjectExpiredError", "ObjectNotFoundError", "QueueError", "QueueFullError",
    "QueueUnavailableError", "RangeError", "RequestCancelled", "RequestCancelledError",
    "RequestError", "RequestNotFoundError", "RequirementsError", "RunnerIncompleteError",
    "RunnerLostError", "RunnerUnreachableError", "ServerBusyError", "ServerError",
    "ServerShortageError", "ServerStoppingError", "SettingsError", "SourceChangedError",
    "SourceStatusError", "SourceUnavailableError", "StartTimeoutError", "StateInUseError",
    "StorageError", "StoreFullError", "StoreUnusableError", "TemporaryFullError",
    "TooManyRedirectsError", "TowpathError", "TransferCodingError", "TransientError",
    "TruncatedError", "UnknownAppError", "UnknownEndpointError", "UnsafeArchiveError",
    "UnsupportedBodyError", "UnsupportedFormatError", "UploadError", "UploadRefusedError",
    "UploadUnavailableError", "WebsocketNeededError", "WebsocketRefusedError",
    "WebsocketsFullError", "WrongStateError",
]
# fmt: on
