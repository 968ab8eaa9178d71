"""What is here already, what many want at once, and what importing costs."""

import subprocess
import sys
from pathlib import Path

from measure import Sample, Table, python
from web import Web

__all__ = ["import_table", "shared_table", "warm_table"]

_TIMES = 2000
_WARM = {
    "setup": "import os, time\nfrom towpath.toolkit import download_model_weights as get\n"
    "path = get(url, allow_hosts=['127.0.0.1'])\nget(url)\n"
    f"def once(f):\n  t = time.perf_counter()\n  for _ in range({_TIMES}): f()\n"
    "  return (time.perf_counter() - t) / " + str(_TIMES) + "\n"
    "text = str(path)",
    "work": "print('each', sorted(once(lambda: get(url)) for _ in range(5))[2], "
    "sorted(once(lambda: os.stat(text)) for _ in range(5))[2])",
}
_SHARED = {
    "setup": "import threading\nfrom towpath.toolkit import download_file",
    "work": "ts = [threading.Thread(target=download_file, args=(url, target), "
    "kwargs={'allow_hosts': ['127.0.0.1'], 'progress': 'off'}) for _ in range(8)]\n"
    "[t.start() for t in ts]\n[t.join() for t in ts]",
}


def warm_table(web: Web, root: Path) -> Table:
    """Compare a repeated call with a bare look at the file."""
    url = web.url("small/0.bin")
    done = subprocess.run(
        [sys.executable, "-c", f"url = {url!r}\n{_WARM['setup']}\n{_WARM['work']}"],
        capture_output=True,
        text=True,
        check=True,
        env={
            "TOWPATH_DATA_DIR": str(root / "warm"),
            "PATH": "/usr/bin:/bin",
            "TOWPATH_ALLOW_HOSTS": "127.0.0.1",
        },
    )
    ours, bare = map(float, done.stdout.split("each ")[1].split())
    stats = f"a call costs {ours / bare:.1f} stats (goal: <= 20)"
    note = f"requests: {web.gets('small/0.bin')} (goal: 1); {stats}"
    samples = {"towpath, weights": [Sample(ours)], "os.stat": [Sample(bare)]}
    return Table("A repeated call, seconds each", samples, "towpath, weights", note)


def shared_table(web: Web, root: Path) -> Table:
    """Let eight threads want one file."""
    got = python(
        sys.executable,
        _SHARED,
        [web.url("middle.bin"), str(root / "target")],
        TOWPATH_DATA_DIR=str(root / "data"),
    )
    whole = web.gets("middle.bin")
    ranges = (root / "access.log").read_text().count('GET /middle.bin HTTP/1.1" 206')
    note = f"GETs of the whole: {whole - ranges} (goal: 1), of parts: {ranges}"
    return Table("64 MiB for 8 callers at once", {"towpath (8)": [got]}, "towpath (8)", note)


def import_table(peers: str) -> Table:
    """Compare what imports take."""
    modules = {
        "towpath.toolkit": (sys.executable, "towpath.toolkit"),
        "pydantic_settings": (sys.executable, "pydantic_settings"),
        "fal.toolkit": (peers, "fal.toolkit"),
    }
    samples: dict[str, list[Sample]] = {name: [] for name in modules}
    for _ in range(5):
        for name, (interpreter, module) in modules.items():
            code = {"setup": "", "work": f"import {module}"}
            got = python(interpreter, code, ["", ""])
            samples[name].append(got)
    note = "goals: MiB <= 45, pydantic_settings >= 0.67"
    return Table("Importing, seconds and MiB", samples, "towpath.toolkit", note)
