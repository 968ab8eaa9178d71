"""256 MiB over loopback to a file, and the same again when it is there already."""

import shutil
import subprocess
import sys
import tempfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from rounds import timed_rounds

_SIZE = 256 * 2**20
_TIMED = """
import sys, time, pathlib
url, target = sys.argv[1:]
{setup}
began = time.perf_counter()
{work}
print(time.perf_counter() - began)
"""
_OURS = {
    "setup": "from towpath.toolkit import download_file",
    "work": "download_file(url, target, allow_hosts=['127.0.0.1'])",
}
_PEERS = {
    "requests": {
        "setup": "import requests",
        "work": "r = requests.get(url, stream=True)\n"
        "with open(target + '/f', 'wb') as f:\n  [f.write(c) for c in r.iter_content(262144)]",
    },
    "aiohttp": {
        "setup": "import aiohttp, asyncio\n"
        "async def get():\n"
        "  async with aiohttp.ClientSession() as s, s.get(url) as r:\n"
        "    with open(target + '/f', 'wb') as f:\n"
        "      async for c in r.content.iter_any(): f.write(c)",
        "work": "asyncio.run(get())",
    },
    "hf-transfer (8)": {
        "setup": "import hf_transfer",
        "work": "hf_transfer.download(url, target + '/f', 8, 10485760)",
    },
}


class _Quiet(SimpleHTTPRequestHandler):
    """Serves one folder, with single ranges, and says nothing."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer with the file or a range of it."""
        path = Path(self.translate_path(self.path))
        size = path.stat().st_size
        start, stop = 0, size
        asked = self.headers.get("Range")
        if asked:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, stop = int(first), min(size, int(last or size - 1) + 1)
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(stop - start))
        self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
        self.send_header("ETag", '"bench"')
        self.end_headers()
        with path.open("rb") as file:
            file.seek(start)
            left = stop - start
            while left:
                chunk = file.read(min(left, 1 << 20))
                self.wfile.write(chunk)
                left -= len(chunk)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


def bench(peers: str, rounds: int) -> dict[str, list[float]]:
    """Measure."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (folder / "file.bin").open("wb") as file:
            file.truncate(_SIZE)
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=name))
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/file.bin"
        candidates = {"towpath": partial(_run, sys.executable, _OURS, url, folder / "ours")}
        for peer, code in _PEERS.items():
            candidates[peer] = partial(_run, peers, code, url, folder / "peer")
        seconds = timed_rounds(candidates, rounds)
        _run(sys.executable, _OURS, url, folder / "warm")
        warm = partial(_run, sys.executable, _OURS, url, folder / "warm", fresh=False)
        seconds |= timed_rounds({"towpath, repeated": warm}, rounds)
        server.shutdown()
        return seconds


def _run(python: str, code: dict[str, str], url: str, target: Path, *, fresh: bool = True) -> float:
    """Run one candidate in a process of its own; return the seconds it measured."""
    if fresh:
        shutil.rmtree(target, ignore_errors=True)
    target.mkdir(exist_ok=True)
    script = _TIMED.format(**code)
    done = subprocess.run(
        [python, "-c", script, url, str(target)],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "/usr/bin:/bin", "HOME": str(target), "TOWPATH_DATA_DIR": f"{target}-data"},
    )
    return float(done.stdout)
