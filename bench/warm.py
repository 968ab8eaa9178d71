"""What is here already: content that cannot change, content that may have, and imports."""

import sys
from functools import partial
from pathlib import Path

from measure import Run, Sample, Table, command, prepared, python, tables_of
from peers import FAL, FAL_GUARD, HF, HTTPX_AGAIN, OURS
from web import Web

__all__ = ["again_table", "import_table", "pinned_table"]

_FAL_WEIGHTS = (
    f"{FAL_GUARD}\nfrom fal.toolkit import download_model_weights\nfrom pathlib import Path\n"
    "import fal.toolkit.utils.download_utils as d\nd.FAL_MODEL_WEIGHTS_DIR = Path(target)"
)
_OUR_WEIGHTS = (
    "import os\nfrom towpath.toolkit import download_model_weights\n"
    "get = lambda: download_model_weights(url, allow_hosts=['127.0.0.1'])\npath = str(get())"
)
_PINNED_TIMES = 2000
_AGAIN_TIMES = 50


def _repeated(root: Path, interpreter: str, code: dict[str, str], url: str, times: int) -> Sample:
    """Do *work* once, and then measure it many times; return what each time costs."""
    prepared(root / "target", 0)
    repeated = {
        "setup": f"{code['setup']}\ndef once():\n  {code['work']}\nonce()",
        "work": f"for _ in range({times}): once()",
    }
    place = {"TOWPATH_DATA_DIR": str(root / "data")}
    got = python(interpreter, repeated, [url, str(root / "target"), "1"], **place)
    return Sample(got.wall / times, got.cpu / times, got.rss, got.grown)


def pinned_table(web: Web, root: Path, peers: str, rounds: int) -> Table:
    """Compare a repeated call for content that cannot change with a bare look at the file."""
    url, theirs = web.url("small/0.bin"), web.url("small/1.bin")
    weights = {"setup": _OUR_WEIGHTS, "work": "get()"}
    look = {"setup": _OUR_WEIGHTS, "work": "os.stat(path)"}
    fal = {"setup": _FAL_WEIGHTS, "work": "download_model_weights(url)"}
    runs: dict[str, Run] = {
        "towpath": partial(_repeated, root, sys.executable, weights, url, _PINNED_TIMES),
        "os.stat": partial(_repeated, root, sys.executable, look, url, _PINNED_TIMES),
        "fal": partial(_repeated, root, peers, fal, theirs, _PINNED_TIMES),
    }
    title = "A repeated call for weights, seconds each (the other peers always ask: next table)"
    samples = tables_of(title, runs, rounds).samples
    note = f"requests in all rounds: {len(web.answers('small/0.bin'))} (goal: 1)"
    return Table(title, samples, note=note, goals={"os.stat": 0.05})


def again_table(web: Web, root: Path, peers: str, rounds: int) -> Table:
    """Compare repeated calls for content that may have changed, and what they bring."""
    paths = {
        name: f"small/{number}.bin"
        for number, name in enumerate(("towpath", "fal", "httpx", "hf-transfer", "curl", "aria2c"))
    }
    codes = {"towpath": OURS, "fal": FAL, "httpx": HTTPX_AGAIN, "hf-transfer": HF}
    target = root / "target"
    runs: dict[str, Run] = {}
    for name, code in codes.items():
        interpreter = sys.executable if name == "towpath" else peers
        url = web.url(paths[name])
        runs[name] = partial(_repeated, root, interpreter, code, url, _AGAIN_TIMES)
    curl = ["curl", "-sf", "--etag-compare", f"{target}/tag", "--etag-save", f"{target}/tag"]
    runs["curl"] = partial(_twice, [*curl, "-o", f"{target}/f", web.url(paths["curl"])], target)
    aria = ["aria2c", "-q", "--conditional-get=true", "--allow-overwrite=true", "-d", str(target)]
    runs["aria2c"] = partial(_twice, [*aria, web.url(paths["aria2c"])], target)
    marks = {name: len(web.answers(path)) for name, path in paths.items()}
    title = "A repeated call for a file of 100 KiB with an ETag, seconds each"
    samples = tables_of(title, runs, rounds).samples
    says = [f"{name}: {_brought(web.answers(path)[marks[name] :])}" for name, path in paths.items()]
    return Table(title, samples, note="answers of all rounds: " + "; ".join(says))


def _twice(line: list[str], target: Path) -> Sample:
    """Run a command once, and then measure it."""
    prepared(target, 0)
    command(line)
    return command(line)


def _brought(answers: list[tuple[int, int]]) -> str:
    """Say what answers came, and with how many bytes of body."""
    kinds = sorted(set(answers))
    return ", ".join(f"{answers.count(each)} x {each[0]} of {each[1]} B" for each in kinds)


def import_table(peers: str, rounds: int) -> Table:
    """Compare what imports take."""
    modules = {
        "towpath": (sys.executable, "import towpath.toolkit"),
        "towpath, all its names": (sys.executable, "from towpath.toolkit import *"),
        "pydantic_settings": (sys.executable, "import pydantic_settings"),
        "fal": (peers, "import fal.toolkit"),
    }
    runs: dict[str, Run] = {
        name: partial(python, interpreter, {"setup": "", "work": work}, ["", ""])
        for name, (interpreter, work) in modules.items()
    }
    title = "Importing the toolkit, seconds and MiB; goal: MiB <= 45"
    return tables_of(title, runs, rounds, goals={"pydantic_settings": 1 / 1.5})
