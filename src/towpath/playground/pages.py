"""The Playground's built files: the page at every depth, its scripts, with ETags and a CSP."""

import gzip
import hashlib
import mimetypes
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

__all__ = ["PlaygroundPages"]

_STATIC = Path(__file__).with_name("static")
_PRIVATE = frozenset({"manifest.json", "sources.sha256"})
_TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html"}
_TYPES |= {".wasm": "application/wasm", ".md": "text/markdown", ".json": "application/json"}
_NOT_BUILT = (
    "<!doctype html><title>Playground</title><p>The Playground's page is not in this installation. "
    "Install towpath from a wheel, or run <code>make setup</code> in its sources.</p>"
)


@dataclass(slots=True)
class _Asset:
    """One built file, as it is sent.

    Attributes:
        content: its bytes.
        content_type: by its name, never by the system's tables: those differ.
        etag: of its content.
    """

    content: bytes
    content_type: str
    etag: str
    _packed: bytes | None = field(default=None, init=False)

    @classmethod
    def of(cls, name: str, content: bytes) -> "_Asset":
        """Return the asset of a file."""
        suffix = Path(name).suffix
        kind = _TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
        charset = "; charset=utf-8" if kind.startswith("text/") else ""
        return cls(content, kind + charset, f'"{hashlib.sha256(content).hexdigest()[:32]}"')

    def packed(self) -> bytes:
        """Return it compressed; that is done once."""
        if self._packed is None:
            self._packed = gzip.compress(self.content, 9, mtime=0)
        return self._packed


class PlaygroundPages:
    """Serves the page and its parts.

    Args:
        origins: whose files the page may show, beside its own.
        most_bytes: of one upload, for the page to say before it is sent.
        folder: of the built files.
    """

    def __init__(self, origins: Sequence[str], *, most_bytes: int, folder: Path = _STATIC) -> None:
        self._origins = tuple(dict.fromkeys(origins))
        self._most_bytes = most_bytes
        self._folder = folder
        self._assets: dict[str, _Asset] = {}
        self._names = frozenset(path.name for path in folder.glob("*.*")) - _PRIVATE

    def page(self, request: Request, *, depth: int, status: int = 200, asked: str = "") -> Response:
        """Return the page.

        Args:
            request: for its conditions.
            depth: folders below `/playground/` that its address has; its scripts are above it.
            status: 404 for an app that is not there, which the page then says.
            asked: what its scripts will ask for first, below the server's root: the browser
                fetches it while it loads them.
        """
        if "index.html" not in self._names:
            return HTMLResponse(_NOT_BUILT, 503)
        asset = _Asset.of("index.html", self._written(depth, asked))
        return self._sent(request, asset, status)

    def asset(self, request: Request, name: str) -> Response | None:
        """Return one of the page's parts, None if there is none of that name."""
        if name not in self._names or name == "index.html":
            return None
        if name not in self._assets:
            self._assets[name] = _Asset.of(name, (self._folder / name).read_bytes())
        return self._sent(request, self._assets[name], 200)

    def _written(self, depth: int, asked: str) -> bytes:
        """Return the page with the addresses of its parts and what it has to know."""
        if "index.html" not in self._assets:
            content = (self._folder / "index.html").read_bytes()
            self._assets["index.html"] = _Asset.of("index.html", content)
        text = self._assets["index.html"].content.decode()
        up = "../" * depth or "./"
        text = text.replace('src="./', f'src="{up}').replace('href="./', f'href="{up}')
        told = {"origins": " ".join(self._origins), "most-bytes": str(self._most_bytes)}
        metas = "".join(
            f'<meta name="towpath-{name}" content="{escape(value)}">'
            for name, value in told.items()
        )
        if asked:
            href = escape(f"{'../' * (depth + 1)}{asked}")
            metas += f'<link rel="preload" as="fetch" crossorigin href="{href}">'
        return text.replace("</head>", f"{metas}</head>").encode()

    def _sent(self, request: Request, asset: _Asset, status: int) -> Response:
        """Answer with an asset, or with 304 when the browser has it."""
        headers = self._headers() | {"etag": asset.etag}
        known = [tag.strip().removeprefix("W/") for tag in _tags(request)]
        if status == 200 and (asset.etag in known or "*" in known):  # noqa: PLR2004
            return Response(status_code=304, headers=headers)
        content = asset.content
        if "gzip" in request.headers.get("accept-encoding", ""):
            content, headers["content-encoding"] = asset.packed(), "gzip"
        return Response(content, status, headers | {"content-type": asset.content_type})

    def _headers(self) -> dict[str, str]:
        """Return what every answer has: nothing foreign runs, is loaded or is told."""
        files = " ".join(["'self'", "data:", "blob:", *self._origins])
        policy = {
            "default-src": "'none'",
            "script-src": "'self' 'wasm-unsafe-eval'",
            "style-src": "'self'",
            "img-src": files,
            "media-src": files,
            "connect-src": files,
            "worker-src": "'self' blob:",
            "base-uri": "'none'",
            "form-action": "'none'",
            "frame-ancestors": "'self'",
        }
        return {
            "cache-control": "no-cache",
            "content-security-policy": "; ".join(f"{k} {v}" for k, v in policy.items()),
            "permissions-policy": "camera=(self), microphone=(self), geolocation=()",
            "referrer-policy": "no-referrer",
            "vary": "accept-encoding",
            "x-content-type-options": "nosniff",
        }


def _tags(request: Request) -> list[str]:
    """Return the tags that the browser has."""
    return request.headers.get("if-none-match", "").split(",")
