"""A far link: 40 ms round trip, 0.05 % loss, 800 Mbit/s, between two network namespaces."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from measure import Run, Sample, Table, command, prepared, python, tables_of
from peers import FAL, HF, HTTPX, OURS, words
from web import serving

__all__ = ["table"]

_NEAR, _FAR = "towpath-near", "towpath-far"
_SIZE = 64 << 20


def table(root: Path, peers: str, rounds: int, bound: str) -> Table | None:
    """Measure, if this machine can have such a link."""
    if os.geteuid() or not Path("/dev/net/tun").exists() or shutil.which("ip") is None:
        print("\nfar link: not measured; it needs root, /dev/net/tun and the ip command")
        return None
    with _link(root), serving(root, "10.77.0.1", ("ip", "netns", "exec", _FAR)) as web:
        url = web.url("middle.bin")
        codes = {
            "towpath": (sys.executable, OURS, "16"),
            "hf-transfer": (peers, HF, "16"),
            "fal": (peers, FAL, "1"),
            "httpx": (peers, HTTPX, "1"),
        }
        runs: dict[str, Run] = {
            name: partial(_by_python, interpreter, code, [url, str(root / "target"), count], root)
            for name, (interpreter, code, count) in codes.items()
        }
        for name, count in {"aria2c": 16, "curl": 1}.items():
            authority = str(root / "bundle.pem")
            line = words(name, url, str(root / "target"), count, authority)
            runs[name] = partial(_by_command, line, root)
        place = ["/middle.bin", str(_SIZE), "16", str(root / "target" / "f")]
        line = [bound, "10.77.0.1", str(web.plain), *place]
        runs["C (16)"] = partial(_by_command, line, root)
        title = "64 MiB, 40 ms, 0.05 % loss, 800 Mbit/s"
        return tables_of(title, runs, rounds, {"fal": 8, "aria2c": 0.95})


def _by_python(interpreter: str, code: dict[str, str], arguments: list[str], root: Path) -> Sample:
    prepared(root / "target", _SIZE)
    shutil.rmtree(root / "data", ignore_errors=True)
    prefix = ("ip", "netns", "exec", _NEAR)
    place = {"TOWPATH_DATA_DIR": str(root / "data")}
    return python(interpreter, code, arguments, prefix=prefix, **place)


def _by_command(line: list[str], root: Path) -> Sample:
    prepared(root / "target", _SIZE)
    return command(["ip", "netns", "exec", _NEAR, *line])


@contextmanager
def _link(root: Path) -> Iterator[None]:
    """Make two namespaces, and the link between them."""
    source = Path(__file__).with_name("link.c")
    subprocess.run(["gcc", "-O2", "-o", str(root / "link"), str(source)], check=True)
    line = [str(root / "link"), "towpath0", "towpath1", "20", "500", "800"]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        _remove_namespaces()  # of a run that was killed
        for name, device, address in ((_FAR, "towpath0", 1), (_NEAR, "towpath1", 2)):
            _ip("netns", "add", name)
            _ip("link", "set", device, "netns", name)
            _ip("-n", name, "addr", "add", f"10.77.0.{address}/24", "dev", device)
            _ip("-n", name, "link", "set", device, "up")
            _ip("-n", name, "link", "set", "lo", "up")
        # What most servers have; the kernel of this machine may default to another one.
        route = "route replace 10.77.0.0/24 dev towpath0 src 10.77.0.1 congctl cubic"
        _ip("-n", _FAR, *route.split())
        yield
    finally:
        process.terminate()
        process.wait()
        _remove_namespaces()


def _remove_namespaces() -> None:
    for name in (_FAR, _NEAR):
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
