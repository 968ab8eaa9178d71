"""Downloads beside curl, aria2c, hf-transfer, httpx, fal and a program in C.

Needs nginx, aria2, curl, openssl and gcc (Debian: apt-get install nginx-light aria2 curl gcc).
The far link needs root and /dev/net/tun; it is left out, and said so, where they are missing.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import far
from measure import Run, Sample, Table, command, prepared, put_aside, python, tables_of
from peers import FAL, HF, HTTPX, OURS, small, words
from shared import shared_table
from warm import again_table, import_table, pinned_table
from web import Web, serving

__all__ = ["bench"]

_GIB = 2**30
_SMALL = 200
_NEEDED = ("nginx", "aria2c", "curl", "openssl", "gcc")


def bench(peers: str, rounds: int) -> Iterator[Table]:
    """Measure everything."""
    missing = [name for name in _NEEDED if shutil.which(name) is None]
    if missing:
        sys.exit(
            f"missing: {', '.join(missing)}. apt-get install nginx-light aria2 curl openssl gcc"
        )
    with tempfile.TemporaryDirectory(prefix="towpath-bench-") as name:
        root = Path(name)
        _fill_small(root / "www")
        bound = _built(root)
        with serving(root) as web:
            yield import_table(peers, rounds)
            yield pinned_table(web, root, peers, rounds)
            yield again_table(web, root, peers, rounds)
            yield _small_files(web, root, peers, rounds)
            yield _small_files(web, root, peers, rounds, tls=True)
            _fill_large(root / "www")  # only now: small files suffer while the disk is busy with it
            yield shared_table(web, root, peers, rounds, bound)
            yield _throttled(web, root, peers, rounds, bound)
            yield _loopback(web, root, peers, rounds, bound)
            yield _loopback(web, root, peers, rounds, None)
        if (table := far.table(root, peers, max(rounds, 9), bound)) is not None:
            yield table


def _fill_small(www: Path) -> None:
    """Write the small files to serve."""
    (www / "small").mkdir(parents=True)
    with Path("/dev/urandom").open("rb") as noise:
        for n in range(_SMALL):
            (www / "small" / f"{n}.bin").write_bytes(noise.read(100 * 1024))
    os.sync()


def _fill_large(www: Path) -> None:
    """Write the large ones."""
    with Path("/dev/urandom").open("rb") as noise, (www / "large.bin").open("wb") as file:
        for _ in range(_GIB >> 20):
            file.write(noise.read(1 << 20))
    with (www / "middle.bin").open("wb") as file, (www / "large.bin").open("rb") as large:
        file.write(large.read(64 << 20))
    os.sync()


def _built(root: Path) -> str:
    """Build the program in C."""
    source = Path(__file__).with_name("bound.c")
    subprocess.run(["gcc", "-O2", "-pthread", "-o", str(root / "bound"), str(source)], check=True)
    return str(root / "bound")


def candidate(
    name: str, url: str, root: Path, peers: str, connections: int, size: int, **more: str
) -> Run:
    """Return how one candidate downloads *url*, from an empty folder."""
    target = root / "target"
    code = {"towpath": OURS, "fal": FAL, "hf-transfer": HF, "httpx": HTTPX}
    interpreter = sys.executable if name == "towpath" else peers
    authority = str(root / "bundle.pem")

    def run() -> Sample:
        prepared(target, size)
        shutil.rmtree(root / "data", ignore_errors=True)
        if name in code:
            arguments = [url, str(target), str(connections)]
            places = {"TOWPATH_DATA_DIR": str(root / "data"), "SSL_CERT_FILE": authority, **more}
            return python(interpreter, code[name], arguments, **places)
        return command(words(name, url, str(target), connections, authority))

    return run


def _loopback(web: Web, root: Path, peers: str, rounds: int, bound: str | None) -> Table:
    """1 GiB over loopback; with a bound over http, without one over https."""
    url = web.url("large.bin") if bound else web.tls_url("large.bin")
    names = {"towpath": 16, "curl": 1, "aria2c": 16, "httpx": 1, "fal": 1, "hf-transfer": 8}
    runs = {n: candidate(n, url, root, peers, c, _GIB) for n, c in names.items()}
    if bound:
        runs["C (1)"] = partial(_c_program, bound, web.plain, root, 1)
    kind = "http" if bound else "https"
    return tables_of(f"1 GiB over loopback, {kind}", runs, rounds, {"curl": 1})


def _throttled(web: Web, root: Path, peers: str, rounds: int, bound: str) -> Table:
    """1 GiB at 40 MiB/s for each connection."""
    url = web.slow_url("large.bin")
    names = {"towpath": 16, "aria2c": 16, "hf-transfer": 16, "curl": 1, "httpx": 1, "fal": 1}
    runs = {n: candidate(n, url, root, peers, c, _GIB) for n, c in names.items()}
    runs["C (16)"] = partial(_c_program, bound, web.slow, root, 16)
    title = "1 GiB, 40 MiB/s per connection, 16 connections; growth <= 8 MiB"
    return tables_of(title, runs, rounds, {"fal": 12, "C (16)": 1 / 1.15})


def _c_program(bound: str, port: int, root: Path, connections: int) -> Sample:
    """Run the program in C."""
    prepared(root / "target", _GIB)
    place = [str(_GIB), str(connections), str(root / "target" / "f")]
    return command([bound, "127.0.0.1", str(port), "/large.bin", *place])


def _small_files(web: Web, root: Path, peers: str, rounds: int, *, tls: bool = False) -> Table:
    """200 files of 100 KiB."""
    base = web.tls_url("small") if tls else web.url("small")
    target = root / "target"
    listed = root / "urls"
    listed.write_text("\n".join(f"{base}/{n}.bin" for n in range(_SMALL)))
    runs: dict[str, Run] = {}

    def by_python(interpreter: str, code: dict[str, str]) -> Sample:
        prepared(target, 0)
        put_aside(root / "data")
        places = {"TOWPATH_DATA_DIR": str(root / "data"), "SSL_CERT_FILE": web.authority}
        return python(interpreter, code, [base, str(target)], **places)

    def by_command(line: list[str]) -> Sample:
        prepared(target, 0)
        return command(line)

    for name, code in small(_SMALL).items():
        interpreter = sys.executable if name.startswith("towpath") else peers
        runs[name] = partial(by_python, interpreter, code)
    curl = [
        "curl",
        "-sf",
        "--cacert",
        web.authority,
        "--output-dir",
        str(target),
        "--remote-name-all",
    ]
    runs["curl (1)"] = partial(by_command, [*curl, *listed.read_text().split()])
    aria = ["aria2c", "-q", "-j16", f"--ca-certificate={web.authority}", "-d", str(target)]
    runs["aria2c (16)"] = partial(by_command, [*aria, "-i", str(listed)])
    kind, goals = ("https", {"fal (1)": 20}) if tls else ("http", {})
    return tables_of(f"200 files of 100 KiB, {kind}", runs, rounds, goals)
