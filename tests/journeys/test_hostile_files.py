"""A corpus of hostile archives and images: each refused, in bounded memory, nothing left on disk."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.hostile_files import IMAGES, TARS, ZIPS

MOST_MIB = {"archives": 400, "images": 600}
ROOT = Path(__file__).parents[2]
CODE = """
import gc, json, re, sys, tempfile, warnings
from pathlib import Path
warnings.simplefilter("ignore")
from tests.support.hostile_files import IMAGES, TARS, ZIPS
from towpath.errors import MediaError
from towpath.toolkit import CompressedFile, Image
import PIL.Image, towpath.codecs.images, towpath.archives.opening

def memory(name):
    return int(re.search(name + r":\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024

def archive(file):
    given = CompressedFile(url="data:,x").holding(file)
    for path in given.glob("**/*"):
        assert not path.is_symlink(), path
        assert path.is_dir() or path.stat().st_mode & 0o7000 == 0, path
        assert path.name.isprintable(), path
    given.close()

def image(file):
    Image(url="data:,x").holding(file).to_pil()

kind, folder = sys.argv[1], Path(sys.argv[2])
cases, work = ({**ZIPS, **TARS}, archive) if kind == "archives" else (IMAGES, image)
tempfile.tempdir = str(folder)
for name, (make, _) in cases.items():
    data = make()
    gc.collect()
    open("/proc/self/clear_refs", "w").write("5")
    before = memory("VmRSS")
    try:
        work(data)
        outcome = "taken"
    except MediaError as error:
        outcome = f"{type(error).__name__}: {error}"
    left = [path.name for path in folder.rglob("*")]
    print(json.dumps([name, outcome, memory("VmHWM") - before, left]), flush=True)
"""


@pytest.fixture(scope="module", params=["archives", "images"])
def outcomes(request, tmp_path_factory) -> tuple[str, dict[str, tuple[str, float, list[str]]]]:
    """Run the corpus in a process of its own, which measures itself."""
    folder = tmp_path_factory.mktemp("hostile")
    done = subprocess.run(
        [sys.executable, "-c", CODE, request.param, str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "TOWPATH_STORE_RESERVE": "0"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return request.param, {name: (outcome, mib, left) for name, outcome, mib, left in lines}


@pytest.mark.timeout(400)
def test_each_is_refused_by_an_error_of_ours_or_taken_within_the_limits(outcomes) -> None:
    kind, found = outcomes
    cases = {**ZIPS, **TARS} if kind == "archives" else IMAGES
    assert set(found) == set(cases)
    wrong = [
        name
        for name, (_, expected) in cases.items()
        if expected == "refused" and found[name][0] == "taken"
    ]
    assert wrong == []


def test_memory_is_bounded_and_nothing_stays_on_disk(outcomes) -> None:
    kind, found = outcomes
    most = MOST_MIB[kind]
    assert {name: mib for name, (_, mib, _) in found.items() if mib > most} == {}
    assert {name: left for name, (_, _, left) in found.items() if left} == {}


def test_refusals_name_the_member_or_the_limit(outcomes) -> None:
    kind, found = outcomes
    expected = {
        "traversal": "../evil",
        "symlink": "link",
        "encrypted": "password",
        "20000 members": "20000",
        "zeros": "limit",
        "tar.xz bomb": "limit",
        "unknown method": "99",
    }
    if kind == "images":
        expected = {"png of four gigapixels": "4225000000", "gif of many frames": "125000000"}
    for name, word in expected.items():
        assert word in found[name][0], found[name][0]
