"""download_model_weights: fetched once, kept for every runner and every restart."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from towpath.concurrency import in_thread
from towpath.downloads.download import DownloadOptions, Landing, bring, wanted
from towpath.downloads.ledger import Ledger
from towpath.downloads.places import facts_dir, key_of, model_weights_dir, old_weights_dir
from towpath.settings import active

__all__ = ["download_model_weights", "download_model_weights_async"]

_PATIENCE = 300.0


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
    no request. A file that was changed or cut on disk is fetched again. Signature parameters of
    the URL are left out of the hash, so that a newly signed URL finds what is here.

    Args:
        url: http, https or a data: URI.
        force: download even if the weights are here already.
        request_headers: sent to the URL's own origin only.
        filesize_limit: MiB that the file may have; 0 is a limit.
        options: see DownloadOptions.

    Raises:
        DownloadError: the file could not be brought here; its subclasses say why.
    """
    data_dir = active().data_dir
    key = key_of(url)
    folder = model_weights_dir(data_dir) / key
    have = None if force else _present(folder, key) or _adopted(old_weights_dir(data_dir, url))
    if have is not None:
        return have
    request = wanted(url, request_headers, filesize_limit, options)
    return bring(
        replace(request, patience=_PATIENCE), Landing(folder, key, durable=True), force=force
    )


download_model_weights_async = in_thread(download_model_weights)


def _present(folder: Path, key: str) -> Path | None:
    """Return the file that was downloaded, if it is still what it was."""
    ledger = Ledger(facts_dir(active().data_dir))
    facts = ledger.facts(key)
    if facts is None:
        return _adopted(folder)
    path = folder / facts.name
    return path if ledger.have(path, facts) is not None else None


def _adopted(folder: Path) -> Path | None:
    """Return the one file in a folder that we know nothing about."""
    if not folder.is_dir():
        return None
    files = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    return next((path for path in files if path.is_file() and not path.is_symlink()), None)
