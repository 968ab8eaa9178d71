"""Configuration of the programs that people put in front: TLS, HTTP/2, and files by themselves.

Pure. With a store in a folder they may send whole files from it: towpath answers with
X-Accel-Redirect once it has judged a request, and its headers go along. Ranges, conditions and
small files are answered by towpath itself, so that every promise of the file routes holds.
"""

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Front", "caddyfile", "nginx_configuration"]

_PLAIN = re.compile(r"[A-Za-z0-9/_.,+-]+")
_KEPT = (
    *("Content-Security-Policy", "X-Content-Type-Options", "Cross-Origin-Resource-Policy"),
    *("Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Referrer-Policy"),
    *("X-Robots-Tag", "Timing-Allow-Origin", "ETag", "Last-Modified", "Repr-Digest"),
    *("X-Expires-At", "X-Fal-Request-Id"),
)


@dataclass(frozen=True, slots=True)
class Front:
    """What a front has to know.

    Attributes:
        names: host names that the world uses.
        address: host and port where towpath listens.
        folder: of a store in a folder; None = towpath sends all files.
        most_bytes: the largest body that towpath takes.
        prefix: the secret between the two, by which towpath knows the front.
    """

    names: tuple[str, ...]
    address: str
    folder: Path | None
    most_bytes: int
    prefix: str = "/_towpath"


def nginx_configuration(front: Front) -> str:
    """Return a file for /etc/nginx/conf.d."""
    files, place = "", ""
    if front.folder is not None:
        files = _NGINX_FILES.format(prefix=front.prefix)
        place = _nginx_place(front.folder, front.prefix)
    return _NGINX.format(
        head=_head(front, "www-data"),
        names=" ".join(front.names),
        address=front.address,
        most=front.most_bytes,
        files=files,
        place=place,
    )


def caddyfile(front: Front) -> str:
    """Return a Caddyfile."""
    files = (
        ""
        if front.folder is None
        else _CADDY_FILES.format(
            address=front.address, blobs=_quoted(front.folder / "o"), prefix=front.prefix
        )
    )
    return _CADDY.format(
        head=_head(front, "caddy"),
        names=", ".join(front.names),
        address=front.address,
        files=files,
    )


def _head(front: Front, user: str) -> str:
    """Return the notes on top."""
    lines = [
        "# Made by `towpath store front`. Start towpath with",
        f"#   TOWPATH_PUBLIC_URL=https://{front.names[0]}",
        "#   TOWPATH_TRUSTED_PROXIES=127.0.0.1      the address that this front calls from",
        "#   TOWPATH_ADMIN_TOKEN=...                without one /admin is closed behind a front",
    ]
    if front.folder is not None:
        lines += [
            f"#   TOWPATH_FRONT_PREFIX={front.prefix}",
            "#     a secret by which towpath knows this front; without it towpath sends all files",
            f"# Whole files are sent from {front.folder / 'o'}: let the front's user read it,",
            f"#   setfacl -R -m u:{user}:rX -m d:u:{user}:rX {_quoted(front.folder / 'o')}",
            f"#   setfacl -m u:{user}:x {' '.join(_quoted(path) for path in _above(front.folder))}",
            "# or remove the lines with X-Accel: then towpath sends them.",
            "# nginx lets towpath send what it cannot read; Caddy answers 403.",
        ]
    return "\n".join(lines)


def _above(folder: Path) -> list[Path]:
    """Return the folders that have to be passed on the way to a store's blobs."""
    return [folder, *(path for path in folder.parents if path != path.parent)]


def _quoted(path: Path, end: str = "") -> str:
    """Return a path as a word of nginx, Caddy and a shell."""
    text = f"{path}{end}"
    if _PLAIN.fullmatch(text):
        return text
    escaped = re.sub(r'(["\\$`])', r"\\\1", text)
    return f'"{escaped}"'


def _nginx_place(folder: Path, prefix: str) -> str:
    """Return where nginx finds whole files, and which of our headers it passes on."""
    kept = "\n".join(
        f"        add_header {name} $upstream_http_{name.lower().replace('-', '_')} always;"
        for name in _KEPT
    )
    blobs = _quoted(folder / "o", "/")
    return _NGINX_PLACE.format(prefix=prefix, blobs=blobs, kept=kept)


_NGINX = """{head}
# This is plain HTTP: nginx fetches no certificate. With yours, write instead of `listen 80;`
#   listen 443 ssl;
#   ssl_certificate /path/to/fullchain.pem;
#   ssl_certificate_key /path/to/privkey.pem;
map $http_upgrade $towpath_connection {{ default upgrade; "" ""; }}
upstream towpath {{
    server {address};
    keepalive 64;
}}
server {{
    listen 80;
    server_name {names};
    client_max_body_size {most};
    proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Accel-Prefix "";
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $towpath_connection;
    proxy_request_buffering off;     # uploads go through as they come
    proxy_buffering off;             # so do streams of events
    proxy_read_timeout 3600s;
    proxy_send_timeout 3600s;

    location / {{
        proxy_pass http://towpath;
    }}
{files}{place}}}
"""
_NGINX_FILES = """
    location /files/ {{
        proxy_pass http://towpath;
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header Connection "";
        proxy_set_header X-Accel-Prefix {prefix};
    }}
"""
_NGINX_PLACE = """
    location {prefix}/ {{
        internal;
        alias {blobs};
        sendfile on;
        tcp_nopush on;
        etag off;
        if_modified_since off;
        max_ranges 0;
        error_page 403 404 = @towpath_sends;
{kept}
    }}

    location @towpath_sends {{
        proxy_pass http://towpath$request_uri;
    }}
"""
_CADDY = """{head}
{names} {{
{files}    handle {{
        reverse_proxy {address} {{
            header_up -X-Accel-Prefix
            flush_interval -1
        }}
    }}
}}
"""
_CADDY_FILES = """    handle /files/* {{
        reverse_proxy {address} {{
            header_up X-Accel-Prefix {prefix}
            flush_interval -1
            @whole header X-Accel-Redirect *
            handle_response @whole {{
                root * {blobs}
                rewrite * {{rp.header.X-Accel-Redirect}}
                uri strip_prefix {prefix}
                copy_response_headers {{
                    exclude Content-Length X-Accel-Redirect Vary
                    exclude Cdn-Cache-Control Surrogate-Control
                }}
                header {{
                    ETag {{rp.header.Etag}}
                    Last-Modified {{rp.header.Last-Modified}}
                    defer
                }}
                file_server
            }}
        }}
    }}
"""
