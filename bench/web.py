"""nginx on loopback: plain, over TLS, and throttled per connection."""

import re
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Web", "free_port", "serving"]

_CONFIG = """
worker_processes 2; daemon off; pid {root}/nginx.pid; error_log {root}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log {root}/access.log; sendfile on; tcp_nodelay on; keepalive_requests 100000;
  default_type application/octet-stream;
  client_body_temp_path {root}/t1; proxy_temp_path {root}/t2; fastcgi_temp_path {root}/t3;
  uwsgi_temp_path {root}/t4; scgi_temp_path {root}/t5;
  server {{ listen {host}:{plain}; listen {host}:{tls} ssl; root {root}/www;
    ssl_certificate {root}/cert.pem; ssl_certificate_key {root}/key.pem; }}
  server {{ listen {host}:{slow}; root {root}/www; limit_rate 40m; }}
}}
"""


@dataclass(frozen=True, slots=True)
class Web:
    """A running server."""

    root: Path
    host: str
    plain: int
    tls: int
    slow: int

    def url(self, path: str) -> str:
        """Return the plain URL of *path*."""
        return f"http://{self.host}:{self.plain}/{path}"

    def tls_url(self, path: str) -> str:
        """Return the TLS URL of *path*."""
        return f"https://localhost:{self.tls}/{path}"

    def slow_url(self, path: str) -> str:
        """Return the throttled URL of *path*."""
        return f"http://{self.host}:{self.slow}/{path}"

    @property
    def authority(self) -> str:
        """Return the certificate that clients have to trust."""
        return str(self.root / "bundle.pem")

    def answers(self, path: str) -> list[tuple[int, int]]:
        """Return the status and the bytes of body of each answer that *path* had so far."""
        time.sleep(0.2)  # the log is written after the answer
        log = (self.root / "access.log").read_text()
        found = re.findall(rf'"GET /{re.escape(path)} HTTP/1\.1" (\d+) (\d+) ', log)
        return [(int(status), int(size)) for status, size in found]


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def serving(root: Path, host: str = "127.0.0.1", prefix: Sequence[str] = ()) -> Iterator[Web]:
    """Serve `root/www` while the block runs."""
    web = Web(root, host, free_port(), free_port(), free_port())
    ports = {"plain": web.plain, "tls": web.tls, "slow": web.slow}
    (root / "nginx.conf").write_text(_CONFIG.format(root=root, host=host, **ports))
    _make_certificate(root)
    root.chmod(0o755)
    process = subprocess.Popen([*prefix, "nginx", "-c", str(root / "nginx.conf")])
    try:
        if not prefix:
            _wait_for(web)
        else:
            time.sleep(1)
        yield web
    finally:
        process.terminate()
        process.wait()


def _make_certificate(root: Path) -> None:
    """Sign our own certificate; clients trust it beside all the usual ones, as they would."""
    options = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    names = "-subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
    files = ["-keyout", str(root / "key.pem"), "-out", str(root / "cert.pem")]
    line = ["openssl", *options.split(), *names.split(), "-addext", "basicConstraints=CA:TRUE"]
    subprocess.run([*line, *files], check=True, capture_output=True)
    usual = ssl.get_default_verify_paths().openssl_cafile
    known = Path(usual) if Path(usual).is_file() else Path("/etc/ssl/certs/ca-certificates.crt")
    bundle = known.read_text() if known.is_file() else ""
    (root / "bundle.pem").write_text(bundle + (root / "cert.pem").read_text())


def _wait_for(web: Web) -> None:
    """Wait until it answers."""
    context = ssl.create_default_context(cafile=web.authority)
    for _ in range(200):
        try:
            with socket.create_connection((web.host, web.tls), 1) as plain:
                context.wrap_socket(plain, server_hostname="localhost").close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError
