"""Where downloads go: below which folder a target lies, and where weights and facts live. Pure."""

import hashlib
import re
from functools import lru_cache
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

__all__ = [
    "canonical",
    "clone_key",
    "facts_dir",
    "key_of",
    "model_weights_dir",
    "old_weights_dir",
    "repository_dir",
    "target_folder",
]

_SIGNATURE = re.compile(
    r"^(x-amz-.*|x-goog-.*|x-oss-.*|signature|expires|key-pair-id|policy|awsaccesskeyid|googleaccessid"
    r"|se|sig|sp|sv|sr|st|skoid|sktid|skt|ske|sks|skv|token|access_token|auth|hmac)$",
    re.IGNORECASE,
)
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


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
    """Return *url* without fragment, signature parameters, default port and host case."""
    parts = urlsplit(url)
    if not parts.scheme or parts.scheme.lower() == "data":
        return url
    scheme = parts.scheme.lower()
    host = parts.netloc.lower().removesuffix(_DEFAULT_PORTS.get(scheme, "\0"))
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    kept = [pair for pair in pairs if not _SIGNATURE.match(pair[0])]
    query = parts.query if len(kept) == len(pairs) else urlencode(kept)
    return urlunsplit((scheme, host, parts.path or "/", query, ""))


def key_of(url: str, folder: Path | None = None) -> str:
    """Return the key of *url*, or of *url* kept in *folder*: 64 hex digits."""
    text = canonical(url) if folder is None else f"{canonical(url)}\n{folder}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def model_weights_dir(data_dir: Path) -> Path:
    """Return the folder of all weights."""
    return data_dir / ".towpath" / "model_weights"


def old_weights_dir(data_dir: Path, url: str) -> Path:
    """Return where the toolkit that users come from kept the weights of *url*."""
    digest = hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()
    return data_dir / ".fal" / "model_weights" / digest


def clone_key(folder: Path) -> str:
    """Return the key of the clone in *folder*."""
    return hashlib.sha256(f"clone\n{folder}".encode("utf-8", "surrogatepass")).hexdigest()


def repository_dir(data_dir: Path) -> Path:
    """Return the folder of cloned repositories."""
    return data_dir / ".towpath" / "repos"


def facts_dir(data_dir: Path) -> Path:
    """Return the folder of what is known about downloads."""
    return data_dir / ".towpath" / "downloads"
