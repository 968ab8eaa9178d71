"""download_model_weights: fetched once, kept for every runner and every restart."""

from collections.abc import Mapping
from pathlib import Path
from typing import Unpack

from towpath.concurrency import in_thread
from towpath.downloads.cache import evict
from towpath.downloads.digests import file_digest
from towpath.downloads.download import bring
from towpath.downloads.hits import Hits, memory_of
from towpath.downloads.inherited import inherited
from towpath.downloads.landing import Landing
from towpath.downloads.ledger import Ledger
from towpath.downloads.opening import all_schemes
from towpath.downloads.places import facts_dir, key_of, model_weights_dir, old_weights_dir
from towpath.downloads.wanted import WEIGHTS_PATIENCE, DownloadOptions, Wanted, wanted
from towpath.settings import active

__all__ = ["download_model_weights", "download_model_weights_async"]

_hits = Hits()


def download_model_weights(
    url: str,
    *,
    force: bool = False,
    request_headers: Mapping[str, str] | None = None,
    filesize_limit: float | None = None,
    **options: Unpack[DownloadOptions],
) -> Path:
    """Download model weights to the shared folder of all apps and return their path.

    They lie in `<data dir>/.towpath/model_weights/<sha256 of the URL>/`. A repeated call makes
    no request. A file that was changed or cut on disk is fetched again; one that only has another
    time is hashed. The signature of a URL is left out of the hash, so that a newly signed URL
    finds what is here; request headers are in it. A download that broke off is gone on with by
    the next call, if the server allows it.

    Args:
        url: http, https, a data: URI, hf://, s3://, gs://, az://, or a registered scheme.
        force: download even if the weights are here already.
        request_headers: sent to the URL's own origin only.
        filesize_limit: MiB that the file may have; 0 is a limit.
        options: see DownloadOptions; patience is 300 s here.

    Raises:
        DownloadError: the file could not be brought here; its subclasses say why.
    """
    data_dir = active().data_dir
    is_pinned = not force and filesize_limit is None and "max_age" not in options
    memory = memory_of(options, url, request_headers, data_dir) if is_pinned else None
    if is_pinned and (path := _hits.look(memory)) is not None:
        return path
    request = wanted(
        url,
        request_headers,
        filesize_limit,
        options,
        patience=WEIGHTS_PATIENCE,
        sources=all_schemes(),
    )
    key = key_of(url, headers=request.headers)
    folder = model_weights_dir(data_dir) / key
    ledger = Ledger(facts_dir(data_dir))
    if not force and ledger.facts(key) is None and not inherited(request, ledger, data_dir):
        here = _adopted(folder, request) or _adopted(old_weights_dir(data_dir, url), request)
        if here is not None:
            return here
    path = bring(request, Landing(folder, key, is_weights=True), force=force)
    most = active().cache_max_bytes
    if most is not None:
        evict(most, spared=key)
    if is_pinned:
        _hits.remember(memory, path, ledger.facts_path(key))
    return path


download_model_weights_async = in_thread(download_model_weights)


def _adopted(folder: Path, request: Wanted) -> Path | None:
    """Return the one file in a folder that we know nothing about, unless its digest is wrong."""
    if not folder.is_dir():
        return None
    files = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    found = next((path for path in files if path.is_file() and not path.is_symlink()), None)
    if found is None or request.sha256 is None:
        return found
    with found.open("rb") as file:
        return found if file_digest(file.fileno()) == request.sha256 else None
