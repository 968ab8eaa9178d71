"""hf://org/repo[@revision]/path: a file of a model hub, as the URL that its server answers."""

import re
from urllib.parse import quote

from towpath.errors import InvalidURLError
from towpath.media.names import clean_name
from towpath.settings import hub_endpoint, hub_token

__all__ = ["hub_request", "is_pinned"]

_FORM = re.compile(
    r"hf://(?P<kind>datasets/|spaces/)?(?P<repo>[\w.-]+/[\w.-]+?)"
    r"(?:@(?P<revision>[^/?#]+))?/(?P<path>[^?#]+)"
)
_COMMIT = re.compile(r"[0-9a-f]{40}")


def hub_request(url: str) -> tuple[str, dict[str, str], str]:
    """Return the https URL, the headers and the file name of a hub URL.

    A revision with slashes in it is percent-encoded: `@refs%2Fpr%2F1`. The token comes from
    HF_TOKEN, or from the file that `hf auth login` writes; HF_ENDPOINT is honoured.

    Raises:
        InvalidURLError: it has not the form `hf://org/repo[@revision]/path`.
    """
    match = _FORM.fullmatch(url)
    if match is None or ".." in match["path"].split("/"):
        reason = "give hf://org/repo[@revision]/path, or hf://datasets/org/repo[@revision]/path"
        raise InvalidURLError(url, reason)
    kind = match["kind"] or ""
    revision = quote(match["revision"] or "main", safe="%")
    path = quote(match["path"], safe="/%")
    token = hub_token()
    headers = {"authorization": f"Bearer {token}"} if token else {}
    where = f"{hub_endpoint()}/{kind}{match['repo']}/resolve/{revision}/{path}"
    return where, headers, clean_name(match["path"].rpartition("/")[2])


def is_pinned(url: str) -> bool:
    """Return whether *url* names a commit, whose files never change."""
    match = _FORM.fullmatch(url)
    return match is not None and _COMMIT.fullmatch(match["revision"] or "") is not None
