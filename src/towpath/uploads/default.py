"""The uploader that this process uses, and the life that its files get."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from towpath.context import Lifetime, current_request, lifetime_default
from towpath.errors import NoUploaderError
from towpath.errors.redaction import shown
from towpath.settings import active
from towpath.storage.hosting import current_hosting
from towpath.uploads.direct import DirectUploader
from towpath.uploads.fallback import FallbackUploader
from towpath.uploads.in_memory import InMemoryUploader
from towpath.uploads.lifetimes import lifetime_in_header
from towpath.uploads.uploader import Uploader

__all__ = ["choose_lifetime", "choose_uploader", "using_uploader"]

log = logging.getLogger(__name__)

_CDN_NAMES = frozenset({"cdn", "fal", "fal_v2", "fal_v3"})
_HEADERS = ("x-fal-object-lifecycle-preference", "x-fal-object-lifecycle")
_override: ContextVar[Uploader | None] = ContextVar("towpath_uploader", default=None)

Repository = str | Uploader


@contextmanager
def using_uploader(uploader: Uploader) -> Iterator[None]:
    """Send uploads of this context through *uploader*."""
    token = _override.set(uploader)
    try:
        yield
    finally:
        _override.reset(token)


def choose_uploader(
    repository: Repository, fallback: Repository | Sequence[Repository] | None = None
) -> Uploader:
    """Return the uploader that the names stand for.

    Raises:
        NoUploaderError: this process has no store.
        ValueError: a name is not known.
    """
    if fallback is None:
        return _named(repository)
    others = (
        fallback if isinstance(fallback, Sequence) and not isinstance(fallback, str) else [fallback]
    )
    chosen: list[Uploader] = []
    for name in (repository, *others):
        uploader = _named(name)
        if uploader not in chosen:
            chosen.append(uploader)
    return FallbackUploader(*chosen)


def _named(repository: Repository) -> Uploader:
    """Return one uploader."""
    if not isinstance(repository, str):
        return repository
    if repository == "in_memory":
        return InMemoryUploader()
    if repository not in _CDN_NAMES:
        message = f"{shown(repository, 40)!r} is not a repository: use 'cdn' or 'in_memory'"
        raise ValueError(message)
    override = _override.get()
    if override is not None:
        return override
    hosting = current_hosting()
    if hosting is None:
        raise NoUploaderError
    return DirectUploader(hosting, limit=active().max_upload_bytes)


def choose_lifetime(given: Lifetime | None, headers: object = None) -> Lifetime | None:
    """Return the life of a new file: call > request header > app > setting.

    Args:
        given: what the call says.
        headers: the headers of a request whose lifecycle preference counts; the current
            request's by default.
    """
    if given is not None:
        return given
    return _preferred(headers) or lifetime_default() or active().media_expires_in


def _preferred(headers: object) -> Lifetime | None:
    """Return the lifetime in the request's header, if it is there and well formed."""
    request = current_request()
    if headers is None and request is not None:
        headers = request.headers
    getter = getattr(headers, "get", None)
    raw = next((v for name in _HEADERS if getter and (v := getter(name))), None)
    if raw is None:
        return None
    try:
        return lifetime_in_header(raw)
    except (ValueError, TypeError):
        log.warning("malformed lifecycle header ignored", extra={"header": shown(str(raw), 80)})
        return None
