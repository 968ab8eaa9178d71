"""A far link: 40 ms round trip, 0.05 % loss, 800 Mbit/s, between two network namespaces."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from measure import Run, Sample, Table, command, prepared, python, tables_of
from peers import FAL, HF, OURS, words
from web import serving

__all__ = ["table"]

_NEAR, _FAR = "towpath-near", "towpath-far"
_SIZE = 64 << 20


def table(root: Path, peers: str, rounds: int) -> Table | None:
    """Measure, if this machine can have such a link."""
    if os.geteuid() or not Path("/dev/net/tun").exists() or shutil.which("ip") is None:
        print("\nfar link: not measured; it needs root, /dev/net/tun and the ip command")
        return None
    with _link(root), serving(root, "10.77.0.1", ("ip", "netns", "exec", _FAR)) as web:
        url = web.url("middle.bin")
        runs = {
            "towpath": _by_python("towpath", sys.executable, OURS, url, root, 16),
            "aria2c": _by_command(url, root, 16),
            "hf-transfer": _by_python("hf-transfer", peers, HF, url, root, 16),
            "fal": _by_python("fal", peers, FAL, url, root, 1),
        }
        title = "64 MiB, 40 ms, 0.05 % loss, 800 Mbit/s; goals: fal >= 8, aria2c >= 0.95"
        return tables_of(title, runs, rounds)


def _by_python(
    _name: str, interpreter: str, code: dict[str, str], url: str, root: Path, connections: int
) -> Run:
    target = root / "target"

    def run() -> Sample:
        prepared(target, _SIZE)
        shutil.rmtree(root / "data", ignore_errors=True)
        return python(
            interpreter,
            code,
            [url, str(target), str(connections)],
            prefix=("ip", "netns", "exec", _NEAR),
            TOWPATH_DATA_DIR=str(root / "data"),
        )

    return run


def _by_command(url: str, root: Path, connections: int) -> Run:
    target = root / "target"

    def run() -> Sample:
        prepared(target, _SIZE)
        line = words("aria2c", url, str(target), connections, str(root / "bundle.pem"))
        return command(["ip", "netns", "exec", _NEAR, *line])

    return run


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
