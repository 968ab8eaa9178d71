"""http and https: the guarded GET as a source."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from towpath.downloads.digests import stated_digest
from towpath.downloads.reuse import Facts, Head
from towpath.downloads.sources import Ask, Opened
from towpath.errors import BadResponseError, DownloadError, SourceStatusError
from towpath.media.names import name_from_disposition, name_from_url
from towpath.net.answers import Answer
from towpath.net.heads import content_range, retry_after
from towpath.net.origin import Origin
from towpath.net.patience import Watch

__all__ = ["HttpSource"]

_Get = Callable[[dict[str, str]], Answer]
_OK = 200
_PARTIAL = 206
_NOT_MODIFIED = 304
_NOT_SIGNED_IN = (401, 403)
_HINTS = {
    401: "It needs a sign-in: upload the file.",
    403: "It may not be read without permission, or the link has expired: ask for a new link, or "
    "upload the file.",
    404: "Check that the link opens in a private window.",
    410: "The file is gone; ask for a new link.",
    429: "It gets too many requests; try again later.",
}


@dataclass(slots=True)
class HttpSource:
    """One URL that may be opened again and again during a download.

    Attributes:
        origin: the guarded client.
        url: as the caller gave it.
        headers: the caller's; they stay with the first origin.
        named: the name of the file, where it is known better than the server knows it.
    """

    origin: Origin
    url: str
    headers: Mapping[str, str]
    named: str = ""
    _matches: bool = False  # whether the server heeds If-Match and not If-Range

    def open(self, ask: Ask, watch: Watch) -> Opened:
        """GET the URL, through its redirects.

        Raises:
            SourceStatusError: the answer is no success.
            DownloadError: one of its other kinds.
        """

        def get(fields: dict[str, str]) -> Answer:
            return self.origin.open(self.url, self.headers, ask=fields, watch=watch)

        return self._asked(ask, get)

    def _asked(self, ask: Ask, get: _Get) -> Opened:
        """Ask; and once more by If-Match where a server ignores If-Range with an entity tag."""
        try:
            opened = self._read(ask, get(self._fields(ask)))
            same = ask.start and not opened.start and opened.head.etag == ask.validator
            if not same or self._matches:
                return opened
            opened.close()
            self._matches = True
            return self._read(ask, get(self._fields(ask)))
        except DownloadError as error:
            error.url = self.url  # the one that the caller gave, also when a later hop failed
            raise

    def _fields(self, ask: Ask) -> dict[str, str]:
        """Write what is asked for as header fields."""
        if ask.known is not None:
            return _conditions(ask.known)
        if not ask.start and ask.stop is None:
            return {}
        last = "" if ask.stop is None else str(ask.stop - 1)
        fields = {"range": f"bytes={ask.start}-{last}"}
        if ask.validator is not None:
            fields["if-match" if self._matches else "if-range"] = ask.validator
        return fields

    def _read(self, ask: Ask, answer: Answer) -> Opened:
        """Check an answer, and describe it."""
        try:
            _check_status(self.url, answer, ask)
            return self._described(answer, ask)
        except BaseException:
            answer.close()
            raise

    def _described(self, answer: Answer, ask: Ask) -> Opened:
        """Return what came, with the way to its parts."""
        head, start = _head(self.url, answer), 0
        if answer.status == _PARTIAL:
            start, stop, total = content_range(self.url, answer.headers)
            head = replace(head, size=total)
            is_longer = ask.stop is not None and stop > ask.stop
            if is_longer or answer.size not in {None, stop - start}:
                raise BadResponseError(self.url, "its part is not the one that was asked for")
        if self.named:
            head = replace(head, name=self.named)
        route = answer.route

        def beside(more: Ask, other: Watch) -> Opened:
            return self._asked(more, lambda fields: self.origin.again(route, fields, other))

        as_is = _is_stored_packed(self.url, answer)
        return Opened(
            head,
            lambda: answer.chunks(decode=not as_is),
            answer.close,
            answer.status == _NOT_MODIFIED,
            start,
            beside,
        )


def _conditions(known: Facts) -> dict[str, str]:
    """Return the headers that spare an unchanged body."""
    if known.etag:
        return {"If-None-Match": known.etag}
    return {"If-Modified-Since": known.last_modified} if known.last_modified else {}


def _head(url: str, answer: Answer) -> Head:
    """Return what an answer says of the whole file."""
    fields = answer.headers
    is_plain = answer.coding == "identity" or _is_stored_packed(url, answer)
    gives_parts = answer.status == _PARTIAL or _says_parts(fields.get("accept-ranges"))
    return Head(
        url=url,
        name=name_from_disposition(fields.get("content-disposition")) or name_from_url(url),
        size=answer.size if is_plain else None,
        content_type=fields.get("content-type"),
        etag=fields.get("etag"),
        last_modified=fields.get("last-modified"),
        digest=stated_digest(_about_whole(answer), answer.linked) if is_plain else None,
        ranges=is_plain and gives_parts and "transfer-encoding" not in fields,
    )


def _about_whole(answer: Answer) -> dict[str, str]:
    """Return the fields that speak of the whole file, as it comes."""
    fields = dict(answer.headers)
    if answer.status == _PARTIAL:
        fields.pop("content-digest", None)
        fields.pop("content-md5", None)
    if fields.get("x-goog-stored-content-encoding", "identity") != "identity":
        fields.pop("x-goog-hash", None)  # of the stored bytes, which were unpacked on the way
    return fields


def _says_parts(value: str | None) -> bool:
    """Return whether Accept-Ranges allows parts, or does not speak against them."""
    return value is None or "bytes" in value.lower()


def _is_stored_packed(url: str, answer: Answer) -> bool:
    """Return whether a compressed body is the file itself: the server names its type a coding."""
    path = url.partition("?")[0].lower()
    return answer.coding in {"gzip", "x-gzip"} and path.endswith((".gz", ".tgz"))


def _check_status(url: str, answer: Answer, ask: Ask) -> None:
    """Take 200, 206 to a range, and 304 to a condition; nothing else is a file."""
    status = answer.status
    is_part = ask.start > 0 or ask.stop is not None
    if status == _OK or (status == _PARTIAL and is_part):
        return
    if status == _NOT_MODIFIED and ask.known is not None:
        return
    if status < 400:  # noqa: PLR2004
        raise BadResponseError(url, f"the server answered {status}, which carries no file")
    server_fault = status >= 500  # noqa: PLR2004
    hint = "Try again later." if server_fault else _HINTS.get(status, "Check the link.")
    advice = "Pass request_headers to sign in." if status in _NOT_SIGNED_IN else ""
    wait = retry_after(answer.headers.get("retry-after"), time.time())
    raise SourceStatusError(url, status, hint, retry_after=wait, advice=advice)
