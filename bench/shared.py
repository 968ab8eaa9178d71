"""Eight callers of one URL at once."""

import shutil
import sys
from functools import partial
from pathlib import Path

from measure import Run, Sample, Table, command, prepared, python, tables_of
from peers import FAL, HF, HTTPX, OURS
from web import Web

__all__ = ["shared_table"]

_CALLERS = 8
_PATH = "middle.bin"


def _at_once(code: dict[str, str]) -> dict[str, str]:
    """Return code in which eight threads do the work, each to a file of its own where it must."""
    own = "target = target_of[n]" if "'/f'" in code["work"] else "target = target_of[0]"
    body = "\n  ".join(code["work"].splitlines())
    setup = (
        "import os\nfrom concurrent.futures import ThreadPoolExecutor\n"
        f"target_of = [f'{{target}}/{{n}}' for n in range({_CALLERS})]\n"
        "[os.mkdir(each) for each in target_of]\n"
        f"{code['setup']}\ndef caller(n):\n  {own}\n  {body}"
    )
    return {
        "setup": setup,
        "work": f"list(ThreadPoolExecutor({_CALLERS}).map(caller, range({_CALLERS})))",
    }


def shared_table(web: Web, root: Path, peers: str, rounds: int, bound: str) -> Table:
    """Let eight callers want 64 MiB, and count what the server had to send."""
    url, target = web.url(_PATH), root / "target"
    seen: dict[str, list[tuple[int, int]]] = {}

    def counted(name: str, run: Run) -> Sample:
        prepared(target, _CALLERS * 64 << 20)
        shutil.rmtree(root / "data", ignore_errors=True)
        before = len(web.answers(_PATH))
        got = run()
        seen[name] = max(seen.get(name, []), web.answers(_PATH)[before:], key=len)
        return got

    runs = {name: partial(counted, name, run) for name, run in _runs(url, root, peers).items()}
    place = [str(64 << 20), "1", str(target / "f")]
    line = [bound, "127.0.0.1", str(web.plain), f"/{_PATH}", *place]
    runs["C (1 caller)"] = partial(counted, "C (1 caller)", partial(command, line))
    title = "64 MiB for 8 callers at once; goal: 1 GET of the whole"
    samples = tables_of(title, runs, rounds).samples
    return Table(
        title, samples, note=f"most GETs of a run: {'; '.join(map(_told, seen, seen.values()))}"
    )


def _runs(url: str, root: Path, peers: str) -> dict[str, Run]:
    """Return how each candidate does it."""
    target = root / "target"
    codes = {"towpath": OURS, "fal": FAL, "httpx": HTTPX, "hf-transfer": HF}
    runs: dict[str, Run] = {}
    for name, code in codes.items():
        interpreter = sys.executable if name == "towpath" else peers
        arguments = [url, str(target), "16" if name == "towpath" else "1"]
        place = root / "data"
        runs[name] = partial(_python, interpreter, _at_once(code), arguments, place)
    outputs = [word for n in range(_CALLERS) for word in ("-o", f"{target}/c{n}", url)]
    runs["curl"] = partial(command, ["curl", "-sf", "--parallel", *outputs])
    listed = root / "eight"
    listed.write_text("".join(f"{url}\n out=a{n}\n" for n in range(_CALLERS)))
    runs["aria2c"] = partial(
        command, ["aria2c", "-q", f"-j{_CALLERS}", "-x1", "-d", str(target), "-i", str(listed)]
    )
    return runs


def _python(interpreter: str, code: dict[str, str], arguments: list[str], data: Path) -> Sample:
    return python(interpreter, code, arguments, TOWPATH_DATA_DIR=str(data))


def _told(name: str, answers: list[tuple[int, int]]) -> str:
    """Say how often the whole was sent, and parts of it."""
    whole = sum(status == 200 for status, _ in answers)  # noqa: PLR2004 - OK
    parts = len(answers) - whole
    return f"{name} {whole}" + (f" and {parts} parts" if parts else "")
