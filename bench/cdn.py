"""Files served: our server beside nginx and Starlette's FileResponse, each on one core.

Then what `stores` measures: saves, and files of an S3 store beside the store itself.

Needs nginx and wrk (Debian: apt-get install nginx-light wrk).
"""

import http.client
import os
import re
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

import stores
from measure import Sample, Table, tables_of
from towpath.net.listening import listening
from towpath.storage.catalog import open_catalog
from towpath.storage.file_store import FileStore, new_file_id
from towpath.storage.local import LocalStore
from towpath.storage.records import StoredFile
from towpath.storage.staging import NewFile

__all__ = ["bench"]

_MIB = 2**20
_LARGE = 500 * _MIB
_RANGES = 200
_COUNTS = (1_000, 100_000, 1_000_000)
_NGINX = """
daemon off; worker_processes 1; pid {root}/nginx.pid; error_log stderr crit;
events {{ worker_connections 2000; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
  client_body_temp_path {root}/a; proxy_temp_path {root}/b; fastcgi_temp_path {root}/c;
  uwsgi_temp_path {root}/d; scgi_temp_path {root}/e;
  server {{ listen 127.0.0.1:{port}; root {root}/www; }}
}}
"""
_SERVERS = """
import json, sys
from pathlib import Path
from towpath.net.listening import listening
from towpath.web.serving import Listener, ServerGroup, run_loop
kind, folder = sys.argv[1], Path(sys.argv[2])
if kind == "towpath":
    from towpath.gateway.service import create_file_origin
    from towpath.settings import Settings
    from towpath.storage.file_store import FileStore
    from towpath.storage.local import LocalStore
    app = create_file_origin(Settings(), FileStore(LocalStore(folder / "store", reserve=0)))
else:
    from starlette.applications import Starlette
    from starlette.responses import FileResponse
    from starlette.routing import Route
    async def plain(request): return FileResponse(folder / "www" / request.path_params["name"])
    app = Starlette(routes=[Route("/{name}", plain)])
with listening("127.0.0.1", 0) as sock:
    print(sock.getsockname()[1], flush=True)
    run_loop(ServerGroup([Listener(app, sock)]).serve())
"""


@dataclass(frozen=True, slots=True)
class _Server:
    """A server under test: where it listens, its process, its paths of the two files."""

    port: int
    process: psutil.Process
    paths: dict[str, str]


def bench(_peers: str, rounds: int) -> Iterator[Table]:
    """Measure everything."""
    missing = [name for name in ("nginx", "wrk") if shutil.which(name) is None]
    if missing:
        sys.exit(f"missing: {', '.join(missing)}. apt-get install nginx-light wrk")
    with tempfile.TemporaryDirectory(prefix="towpath-bench-") as name, ExitStack() as stack:
        root = Path(name)
        ids = _filled(root)
        servers = {
            "towpath": stack.enter_context(_python("towpath", root, ids)),
            "nginx": stack.enter_context(_nginx(root)),
            "Starlette FileResponse": stack.enter_context(_python("starlette", root, {})),
        }
        for title, goals, run in (
            ("1 MiB, 8 connections, seconds a request", (0.9, 3), _wrk),
            ("500 MiB, one stream", (0.85, 0), _stream),
            ("1 MiB ranges of 500 MiB at random, one connection, seconds each", (0.45, 3), _ranges),
        ):
            runs = {name: partial(run, server) for name, server in servers.items()}
            table = tables_of(title, runs, rounds, _goals(*goals))
            yield table
        yield _growth(servers["towpath"], root / "store", rounds)
    yield from stores.bench(_peers, rounds)


def _goals(nginx: float, starlette: float) -> dict[str, float]:
    goals = {"nginx": nginx}
    return goals | {"Starlette FileResponse": starlette} if starlette else goals


def _filled(root: Path) -> dict[str, str]:
    """Write the two files, for nginx and into a store; return their paths there."""
    (root / "www").mkdir()
    (root / "www").chmod(0o755)
    root.chmod(0o755)
    store = FileStore(LocalStore(root / "store", reserve=0))
    paths = {}
    for name, size in (("small.bin", _MIB), ("large.bin", _LARGE)):
        with (root / "www" / name).open("wb") as file:
            for _ in range(size // _MIB):
                file.write(os.urandom(_MIB))
        record = store.save(NewFile(root / "www" / name, name, "application/octet-stream"))
        paths[name] = f"/files/{record.id}/{name}"
    store.close()
    return paths


@contextmanager
def _python(kind: str, root: Path, paths: dict[str, str]) -> Iterator[_Server]:
    """Start a server of ours or of the peers, on core 0."""
    words = ["taskset", "-c", "0", sys.executable, "-c", _SERVERS, kind, str(root)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            port = int(process.stdout.readline())
            own = paths or {name: f"/{name}" for name in ("small.bin", "large.bin")}
            yield _Server(port, psutil.Process(process.pid), own)
        finally:
            process.kill()


@contextmanager
def _nginx(root: Path) -> Iterator[_Server]:
    """Start nginx with one worker, on core 0."""
    with listening("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
    config = root / "nginx.conf"
    config.write_text(_NGINX.format(root=root, port=port))
    with subprocess.Popen(["taskset", "-c", "0", "nginx", "-c", str(config)]) as process:
        try:
            time.sleep(0.5)
            worker = psutil.Process(process.pid).children()[0]
            yield _Server(port, worker, {n: f"/{n}" for n in ("small.bin", "large.bin")})
        finally:
            process.terminate()


def _measured(server: _Server, seconds: float, requests: int, before: float) -> Sample:
    """Return what one of *requests* cost."""
    spent = sum(server.process.cpu_times()[:2]) - before
    resident = server.process.memory_info().rss / _MIB
    return Sample(seconds / requests, spent / requests, resident)


def _wrk(server: _Server) -> Sample:
    """Eight connections ask for the small file for two seconds, from core 1."""
    before = sum(server.process.cpu_times()[:2])
    url = f"http://127.0.0.1:{server.port}{server.paths['small.bin']}"
    done = subprocess.run(
        ["taskset", "-c", "1", "wrk", "-t1", "-c8", "-d2s", url],
        capture_output=True,
        text=True,
        check=True,
    )
    if "Non-2xx" in done.stdout:
        raise RuntimeError(done.stdout)
    found = re.search(r"(\d+) requests in ([\d.]+)s", done.stdout)
    return _measured(server, float(found[2]), int(found[1]), before)


def _stream(server: _Server) -> Sample:
    """One client reads the large file."""
    before, began = sum(server.process.cpu_times()[:2]), time.perf_counter()
    _read(http.client.HTTPConnection("127.0.0.1", server.port), server.paths["large.bin"], _LARGE)
    return _measured(server, time.perf_counter() - began, 1, before)


def _ranges(server: _Server) -> Sample:
    """One client asks for parts of the large file."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    before, began = sum(server.process.cpu_times()[:2]), time.perf_counter()
    for _ in range(_RANGES):
        start = secrets.randbelow(_LARGE - _MIB)
        headers = {"Range": f"bytes={start}-{start + _MIB - 1}"}
        _read(connection, server.paths["large.bin"], _MIB, headers)
    return _measured(server, time.perf_counter() - began, _RANGES, before)


def _read(
    connection: http.client.HTTPConnection,
    path: str,
    size: int,
    headers: dict[str, str] | None = None,
) -> None:
    """GET something and count its bytes."""
    connection.request("GET", path, headers=headers or {})
    answer = connection.getresponse()
    buffer, read = bytearray(_MIB), 0
    while count := answer.readinto(buffer):
        read += count
    if read != size or answer.status != (206 if headers else 200):
        message = f"{answer.status} with {read} bytes instead of {size}"
        raise ValueError(message)


def _growth(server: _Server, store: Path, rounds: int) -> Table:
    """How serving a file changes as the index gets more and more rows; bytes are of one file."""
    samples: dict[str, list[Sample]] = {}
    catalog, had = open_catalog(store / "index.db"), 0
    for count in _COUNTS:
        while had < count:
            more = min(10_000, count - had)
            catalog.add([_row() for _ in range(more)])
            had += more
        samples[f"{count:,} files"] = [_wrk(server) for _ in range(rounds)]
    catalog.close()
    first, *_, last = (statistics.median(s.wall for s in got) for got in samples.values())
    note = f"{last / first:.2f} times as long with the most as with the fewest (goal: <= 1.5)"
    return Table("1 MiB, 8 connections, seconds a request", samples, next(iter(samples)), note)


def _row() -> StoredFile:
    """Return a file that is in the index only."""
    return StoredFile(
        new_file_id(), "a.png", "image/png", 9, "0" * 64, time.time(), None, "local/bench"
    )
