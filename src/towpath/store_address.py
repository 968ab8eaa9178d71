"""Where files are kept, as TOWPATH_STORE says it. Pure."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

__all__ = ["StoreAddress", "read_store_address"]

_FORMS = (
    "give file:///path/of/a/folder, s3://bucket/prefix?endpoint=https://host&region=name, "
    "or memory://"
)


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """One store.

    Attributes:
        scheme: what kind it is.
        folder: of `file`.
        bucket: of `s3`.
        prefix: of `s3`: below which all our keys lie; '' = the whole bucket.
        endpoint: of `s3`: another service than AWS; None = AWS, or AWS_ENDPOINT_URL.
        region: of `s3`; None = AWS_REGION, or us-east-1.
    """

    scheme: Literal["file", "s3", "memory"]
    folder: Path = Path()
    bucket: str = ""
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None

    def shown(self) -> str:
        """Return it for people."""
        if self.scheme == "file":
            return str(self.folder)
        place = f"{self.bucket}/{self.prefix}".rstrip("/")
        return f"s3://{place}" if self.scheme == "s3" else "memory"


def read_store_address(url: str) -> StoreAddress:
    """Read TOWPATH_STORE.

    Raises:
        ValueError: it is none of the three forms.
    """
    parts = urlsplit(url)
    if url == "memory://":
        return StoreAddress("memory")
    if parts.scheme == "file" and not parts.netloc and len(parts.path) > 1 and not parts.query:
        return StoreAddress("file", Path(unquote(parts.path)))
    if parts.scheme != "s3" or not parts.netloc:
        raise ValueError(_FORMS)
    if "@" in parts.netloc or ":" in parts.netloc:
        message = "name a bucket; credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        raise ValueError(message)
    asked = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = set(asked) - {"endpoint", "region"}
    if unknown:
        message = f"{', '.join(sorted(unknown))[:80]} means nothing here; {_FORMS}"
        raise ValueError(message)
    endpoint, prefix = asked.get("endpoint") or None, parts.path.strip("/")
    if endpoint is not None:
        _check(endpoint)
    return StoreAddress("s3", Path(), parts.netloc, prefix, endpoint, asked.get("region") or None)


def _check(endpoint: str) -> None:
    """Judge the address of an S3 service.

    Raises:
        ValueError: it is none.
    """
    parts = urlsplit(endpoint)
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        message = "endpoint is an http or https address without a user, such as https://s3.host"
        raise ValueError(message)
