"""Weights that an earlier version kept under another key: found again, and never another file.

Until version 2 of the ledger, a key left out every parameter with the name of a signature's part,
lowered the case of hosts in every scheme, and knew nothing of request headers. What it wrote down
of a URL has no query. So where the URL that is asked for has none and no headers go with it, what
was written down is the proof. Elsewhere the digest that the caller gives is one, or the server is:
it is asked with the strong validator of what is here, and no byte of the body moves.
"""

import os
import re
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from towpath.downloads.ledger import Entry, Ledger
from towpath.downloads.opening import opener_of
from towpath.downloads.places import digest_of, key_of, model_weights_dir
from towpath.downloads.reuse import Facts, is_strong
from towpath.downloads.sources import Ask
from towpath.downloads.wanted import Wanted
from towpath.errors import DownloadError
from towpath.errors.redaction import shown_url
from towpath.media.data_uri import is_data_uri
from towpath.net.patience import Patience, Watch

__all__ = ["inherited", "old_key_of"]

_OLD_SIGNATURE = re.compile(
    r"^(x-amz-.*|x-goog-.*|x-oss-.*|signature|expires|key-pair-id|policy|awsaccesskeyid|googleaccessid"
    r"|se|sig|sp|sv|sr|st|skoid|sktid|skt|ske|sks|skv|token|access_token|auth|hmac)$",
    re.IGNORECASE,
)
_OLD_PORTS = {"http": ":80", "https": ":443"}


def inherited(wanted: Wanted, ledger: Ledger, data_dir: Path) -> bool:
    """Take over the weights that are kept under the old key of what is *wanted*, if they are it.

    Returns:
        Whether there were any; they are kept under the new key too.
    """
    key, old_key = key_of(wanted.url, headers=wanted.headers), old_key_of(wanted.url)
    if old_key is None or old_key == key:
        return False
    entry = ledger.entry(old_key)
    if entry is None or entry.version > 1 or entry.url != shown_url(wanted.url):
        return False
    path = model_weights_dir(data_dir) / old_key / entry.facts.name
    if ledger.have(path, entry.facts) is None or not _is_it(wanted, entry):
        return False
    return _linked(ledger, key, path, entry)


def old_key_of(url: str) -> str | None:
    """Return the key that version 1 gave to *url*, or None if it could not give one."""
    if is_data_uri(url):
        return None
    try:
        parts = urlsplit(url)
        pairs = parse_qsl(parts.query, keep_blank_values=True)
        kept = [pair for pair in pairs if not _OLD_SIGNATURE.match(pair[0])]
        query = parts.query if len(kept) == len(pairs) else urlencode(kept)
    except ValueError:
        return None
    if not parts.scheme:
        return digest_of(url)
    host = parts.netloc.lower().removesuffix(_OLD_PORTS.get(parts.scheme, "\0"))
    return digest_of(urlunsplit((parts.scheme, host, parts.path or "/", query, "")))


def _is_it(wanted: Wanted, entry: Entry) -> bool:
    """Return whether an entry is of the very URL, or its content is what the server has there."""
    if not wanted.headers and entry.url == wanted.url.partition("#")[0]:
        return True
    if wanted.sha256 is not None:
        return wanted.sha256 == entry.facts.sha256
    return is_strong(entry.facts.etag) and _is_at_source(wanted, entry.facts)


def _is_at_source(wanted: Wanted, facts: Facts) -> bool:
    """Ask the source whether it has what *facts* are of; it is not heard out."""
    patience = Patience(wanted.url, wanted.patience, deadline=wanted.deadline)
    with (
        suppress(DownloadError),
        closing(opener_of(wanted)(Ask(known=facts), Watch(patience))) as opened,
    ):
        head = opened.head
        has_other_size = head.size is not None and head.size != facts.size
        return opened.not_modified or (head.etag == facts.etag and not has_other_size)
    return False


def _linked(ledger: Ledger, key: str, path: Path, entry: Entry) -> bool:
    """Give the file a second name, below the new key; return False where there are no links."""
    target = path.parents[1] / key / path.name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.link(path, target)
    except OSError:
        return False
    ledger.note(key, target, entry.facts, entry.url)
    return True
