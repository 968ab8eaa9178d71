"""The store: a durable save beside a bare one, and files in an S3 store beside the store itself.

Needs wrk (Debian: apt-get install wrk); SeaweedFS comes with the development requirements.
"""

import json
import os
import re
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import httpx2
import obstore
import psutil
from obstore.store import S3Store

from measure import Run, Sample, Table, tables_of
from towpath.storage.disk import Disk
from towpath.storage.file_store import FileStore
from towpath.storage.local import LocalStore
from towpath.storage.staging import NewFile

__all__ = ["bench"]

_MIB = 2**20
_SAVES = 40
_KEYS = {"AWS_ACCESS_KEY_ID": "benchkey", "AWS_SECRET_ACCESS_KEY": "benchsecret"}
_SERVER = """
import sys
from pathlib import Path
from towpath.gateway.service import create_file_origin
from towpath.net.listening import listening
from towpath.settings import load
from towpath.storage.opening import open_store
from towpath.storage.places import place_of
from towpath.storage.staging import NewFile
from towpath.web.serving import Listener, ServerGroup, run_loop
settings = load(store=sys.argv[1], store_reads=sys.argv[2], state_dir=sys.argv[3], store_reserve=0)
store = open_store(place_of(settings))
file = store.save(NewFile(Path(sys.argv[4]), "a.bin", "application/octet-stream"))
with listening("127.0.0.1", 0) as sock:
    print(sock.getsockname()[1], file.id, store.link(file), flush=True)
    run_loop(ServerGroup([Listener(create_file_origin(settings, store), sock)]).serve())
"""


def bench(_peers: str, rounds: int) -> Iterator[Table]:
    """Measure everything."""
    if shutil.which("wrk") is None:
        sys.exit("missing: wrk. apt-get install wrk")
    with tempfile.TemporaryDirectory(prefix="towpath-bench-") as name, ExitStack() as stack:
        root = Path(name)
        yield _saves(root, rounds)
        store = stack.enter_context(_weed(root))
        (root / "one.bin").write_bytes(os.urandom(_MIB))
        ways = {
            way: stack.enter_context(_towpath(root, store, way)) for way in ("redirect", "proxy")
        }
        yield _redirects(ways["redirect"], rounds)
        runs: dict[str, Run] = {
            "towpath, passed on": partial(_wrk, ways["proxy"][0], ways["proxy"][2]),
            "SeaweedFS itself": partial(_wrk, ways["proxy"][1], None),
        }
        title = "1 MiB from an S3 store, 8 connections, seconds a request"
        yield tables_of(title, runs, rounds, {"SeaweedFS itself": 0.5})


def _saves(root: Path, rounds: int) -> Table:
    """1 MiB saved so that it outlives a power cut.

    In turns, one by one: a disk is quick for some seconds, and slow for others. Each round has
    folders of its own: where on the disk they lie makes a fifth more or less, for both.
    """
    data = os.urandom(_MIB)
    samples: dict[str, list[Sample]] = {"towpath": [], "bare durable write": []}
    for number in range(rounds):
        bare = root / f"bare{number}"
        bare.mkdir()
        store = FileStore(LocalStore(root / f"saves{number}", reserve=0, disk=Disk()))
        store.lay_out()  # as a server does when it starts
        runs: dict[str, Run] = {
            "towpath": partial(_timed, partial(store.save, NewFile(data, "a", "image/png"))),
            "bare durable write": partial(_timed, partial(_durable, bare, data)),
        }
        for name, more in tables_of("", runs, _SAVES).samples.items():
            samples[name] += more
        store.close()
    goals = {"bare durable write": 1 / 1.3}
    return Table("1 MiB saved durably", samples, goals=goals)


def _timed(work: Callable[[], object]) -> Sample:
    """Return the time of one turn."""
    began = time.perf_counter()
    work()
    return Sample(time.perf_counter() - began)


def _durable(folder: Path, data: bytes) -> None:
    """Write, sync, rename, and sync the folder: the least there is."""
    name = secrets.token_hex(8)
    with (folder / f"{name}.tmp").open("xb", buffering=0) as file:
        file.write(data)
        os.fdatasync(file.fileno())
    (folder / f"{name}.tmp").rename(folder / name)
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _redirects(server: tuple[str, str, psutil.Process], rounds: int) -> Table:
    """Readers sent to the store: what each costs."""
    samples = [_wrk(server[0], server[2]) for _ in range(rounds)]
    rate = 1 / statistics.median(sample.cpu for sample in samples)
    note = f"{rate:,.0f} a second and core (goal: >= 5,000)"
    return Table("redirects, 8 connections, seconds a request", {"towpath": samples}, note=note)


@contextmanager
def _towpath(root: Path, store: str, way: str) -> Iterator[tuple[str, str, psutil.Process]]:
    """Serve a file of the store on core 0; return its URL, the store's own, and the process."""
    words = ["taskset", "-c", "0", sys.executable, "-c", _SERVER, store, way]
    words += [str(root / way), str(root / "one.bin")]
    environment = {**os.environ, **_KEYS}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            port, file_id, link = process.stdout.readline().split()
            url = f"http://127.0.0.1:{port}/files/{file_id}/a.bin"
            yield url, link, psutil.Process(process.pid)
        finally:
            process.kill()


@contextmanager
def _weed(root: Path) -> Iterator[str]:
    """Start SeaweedFS; return what TOWPATH_STORE says of it."""
    command = str(Path(sys.executable).with_name("weed"))
    who = {"accessKey": "benchkey", "secretKey": "benchsecret"}
    known = {"name": "bench", "credentials": [who], "actions": ["Admin", "Read", "Write", "List"]}
    (root / "s3.json").write_text(json.dumps({"identities": [known]}))
    (root / "weed").mkdir()
    master, volume, filer, s3 = _free_ports(4)
    ports = [f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}"]
    off = ["-s3.port.iceberg=0", "-s3.port.lance=0"]
    words = [command, "server", f"-dir={root / 'weed'}", "-ip=127.0.0.1", "-s3", *ports, *off]
    words += [f"-s3.port={s3}", f"-s3.config={root / 's3.json'}"]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(words, stdout=quiet, stderr=quiet) as process:
        try:
            _make_bucket(f"http://127.0.0.1:{s3}")
            yield f"s3://bench/x?endpoint=http://127.0.0.1:{s3}&region=us-east-1"
        finally:
            process.terminate()


def _free_ports(count: int) -> list[int]:
    """Return free ports below 22768: the server listens 10000 above them too."""
    found: list[int] = []
    for port in range(12_000 + os.getpid() % 5000, 22_768):
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", port)) and sock.connect_ex(
                ("127.0.0.1", port + 10_000)
            ):
                found.append(port)
        if len(found) == count:
            break
    return found


def _make_bucket(endpoint: str) -> None:
    """Make the bucket, and wait until an object can be written."""
    client = S3Store(
        "bench",
        endpoint=endpoint,
        region="us-east-1",
        access_key_id=_KEYS["AWS_ACCESS_KEY_ID"],
        secret_access_key=_KEYS["AWS_SECRET_ACCESS_KEY"],
        client_options={"allow_http": True},
    )
    for _ in range(120):
        try:
            httpx2.put(obstore.sign(client, "PUT", "", timedelta(minutes=5)), timeout=5)
            obstore.put(client, "canary", b"x")
        except Exception:  # noqa: BLE001 - whatever keeps it from answering
            time.sleep(0.5)
        else:
            return
    raise TimeoutError


def _wrk(url: str, process: psutil.Process | None) -> Sample:
    """Eight connections ask for two seconds, from core 1."""
    before = sum(process.cpu_times()[:2]) if process else 0.0
    words = ["taskset", "-c", "1", "wrk", "-t1", "-c8", "-d2s", url]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    found = re.search(r"(\d+) requests in ([\d.]+)s", done.stdout)
    if "Socket errors" in done.stdout or found is None:
        raise RuntimeError(done.stdout)
    spent = sum(process.cpu_times()[:2]) - before if process else 0.0
    resident = process.memory_info().rss / _MIB if process else 0.0
    count = int(found[1])
    return Sample(float(found[2]) / count, spent / count, resident)
