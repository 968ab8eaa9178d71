"""http and https: the guarded GET as a source."""

from collections.abc import Mapping

from towpath.downloads.reuse import Facts, Head
from towpath.downloads.sources import Opened
from towpath.errors import BadResponseError, DownloadError, SourceStatusError
from towpath.media.names import name_from_disposition, name_from_url
from towpath.net.answers import Answer
from towpath.net.origin import Origin

__all__ = ["open_http"]

_OK = 200
_NOT_MODIFIED = 304
_ADVICE = {
    401: "It needs a sign-in: pass request_headers, or upload the file.",
    403: "It may not be read without permission: pass request_headers, or upload the file.",
    404: "Check that the link opens in a private window.",
    410: "The file is gone; ask for a new link.",
    429: "It gets too many requests; try again later.",
}


def open_http(
    origin: Origin, url: str, *, headers: Mapping[str, str], known: Facts | None
) -> Opened:
    """GET *url*; with *known* facts the server may answer that nothing changed.

    Raises:
        SourceStatusError: the answer is no success.
        DownloadError: one of its other kinds.
    """
    try:
        answer = origin.open(url, {**headers, **_conditions(known)})
        _check_status(url, answer, conditional=known is not None)
    except DownloadError as error:
        error.url = url  # the one that the caller gave, also when a later hop failed
        raise
    head = Head(
        url=url,
        name=_name(answer, url),
        size=answer.size if answer.coding in {"", "identity"} else None,
        content_type=answer.headers.get("content-type"),
        etag=answer.headers.get("etag"),
        last_modified=answer.headers.get("last-modified"),
    )
    return Opened(head, answer.chunks, answer.close, answer.status == _NOT_MODIFIED)


def _conditions(known: Facts | None) -> dict[str, str]:
    """Return the headers that spare an unchanged body."""
    if known is None:
        return {}
    if known.etag:
        return {"If-None-Match": known.etag}
    return {"If-Modified-Since": known.last_modified} if known.last_modified else {}


def _check_status(url: str, answer: Answer, *, conditional: bool) -> None:
    """Take 200, and 304 to a conditional request; nothing else is a file."""
    status = answer.status
    if status == _OK or (status == _NOT_MODIFIED and conditional):
        return
    answer.close()
    if status < 400:  # noqa: PLR2004
        raise BadResponseError(url, f"the server answered {status}, which carries no file")
    server_fault = status >= 500  # noqa: PLR2004
    advice = "Try again later." if server_fault else _ADVICE.get(status, "Check the link.")
    raise SourceStatusError(url, status, advice)


def _name(answer: Answer, url: str) -> str:
    """Return the name that the server or the URL gives."""
    said = name_from_disposition(answer.headers.get("content-disposition"))
    return said or name_from_url(url)
