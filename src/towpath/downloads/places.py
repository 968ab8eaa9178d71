"""Where downloads go: below which folder a target lies, and where weights and facts live. Pure."""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit, urlunsplit

from towpath.downloads.askers import asker_of
from towpath.downloads.signatures import without_signature
from towpath.media.data_uri import is_data_uri

__all__ = [
    "canonical",
    "clone_key",
    "digest_of",
    "facts_dir",
    "key_of",
    "model_weights_dir",
    "old_weights_dir",
    "repository_dir",
    "target_folder",
]

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_SLICE = 2**20


@lru_cache(maxsize=256)
def target_folder(target: str, *, data_dir: Path, temp: Path | None) -> Path:
    """Return the folder that *target* means.

    A relative one lies below the data directory. `/data/…` means the data directory wherever it
    is; `/tmp/…` means the runner's own temp folder, if there is one.
    """
    path = PurePosixPath(target)
    if not path.is_absolute():
        return data_dir / path
    for root, place in (("/data", data_dir), ("/tmp", temp)):  # noqa: S108 - a name to compare
        inside = place is not None and Path(path).is_relative_to(place)
        if place is not None and not inside and path.is_relative_to(root):
            return place / path.relative_to(root)
    return Path(path)


def canonical(url: str) -> str:
    """Return *url* as all spellings of it are: what two calls have to share to mean one file.

    An http URL loses its fragment, its signature, the default port and the case of its host. A
    text that is none stays as it is: other schemes have rules of their own, and what cannot be read
    is refused where it is opened.
    """
    if is_data_uri(url):
        return url
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    if parts.scheme not in _DEFAULT_PORTS:
        return url
    host = parts.netloc.lower().removesuffix(_DEFAULT_PORTS[parts.scheme])
    return urlunsplit((parts.scheme, host, parts.path or "/", without_signature(parts.query), ""))


def key_of(
    url: str, folder: Path | None = None, *, headers: Mapping[str, str] | None = None
) -> str:
    """Return the key of a download: 64 hex digits.

    Args:
        url: what is downloaded.
        folder: where it is kept, unless that follows from the key.
        headers: the caller's request headers.
    """
    name = canonical(url)
    asker = asker_of(name, headers)
    place = "" if folder is None else f"\n{folder}"
    return digest_of(name, f"{place}\n\n{asker}" if asker else place)


def digest_of(*texts: str) -> str:
    """Return the SHA-256 of *texts* in a row, in hex, without a copy of a long one."""
    digest = hashlib.sha256()
    for text in texts:
        for at in range(0, len(text), _SLICE):
            digest.update(text[at : at + _SLICE].encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def model_weights_dir(data_dir: Path) -> Path:
    """Return the folder of all weights."""
    return data_dir / ".towpath" / "model_weights"


def old_weights_dir(data_dir: Path, url: str) -> Path:
    """Return where the toolkit that users come from kept the weights of *url*."""
    return data_dir / ".fal" / "model_weights" / digest_of(url)


def clone_key(folder: Path) -> str:
    """Return the key of the clone in *folder*."""
    return digest_of(f"clone\n{folder}")


def repository_dir(data_dir: Path) -> Path:
    """Return the folder of cloned repositories."""
    return data_dir / ".towpath" / "repos"


def facts_dir(data_dir: Path) -> Path:
    """Return the folder of what is known about downloads."""
    return data_dir / ".towpath" / "downloads"
