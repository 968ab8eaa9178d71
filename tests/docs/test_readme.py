"""What the README shows works as it stands there."""

import json
import re
import shlex
from pathlib import Path

import httpx2
import pytest
from PIL import Image as PillowImage
from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser
from tests.support.command import Command

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_it_is_short() -> None:
    assert len(README.splitlines()) < 120


def test_its_links_lead_somewhere() -> None:
    for page in (
        ROOT / "README.md",
        *sorted((ROOT / "docs").rglob("*.md")),
        ROOT / "CONTRIBUTING.md",
    ):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_its_programs_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The app is saved under the name that the text gives it, and the test block is run."""
    monkeypatch.setenv("TOWPATH_STORE_RESERVE", "0")
    document = Sybil([CodeBlockParser("python", lambda example: None)]).parse(ROOT / "README.md")
    app, test = [example.parsed for example in document.examples()]
    (tmp_path / "thumbnail.py").write_text(app)
    monkeypatch.chdir(tmp_path)
    exec(compile(test, "README.md", "exec"), {})


def test_its_curl_command_works(tmp_path: Path) -> None:
    command = re.search(r"\$ (curl -X POST .*?\})'", README, re.DOTALL)[0][2:]
    words = shlex.split(command)
    body = json.loads(words[words.index("-d") + 1])
    flags = ("--port", "0", "--data-dir", str(tmp_path))
    env = {"TOWPATH_STORE_RESERVE": "0"}
    with Command(str(ROOT / "examples" / "upscale.py"), *flags, env=env) as server:
        server.wait_for("ready in")
        answer = httpx2.post(f"{server.url}/local/upscale", json=body).json()
        assert (answer["image"]["width"], answer["image"]["height"]) == (16, 16)
        (tmp_path / "a.png").write_bytes(httpx2.get(answer["image"]["url"]).content)
    with PillowImage.open(tmp_path / "a.png") as picture:
        assert picture.size == (16, 16)


def test_make_help_lists_every_command() -> None:
    text = (ROOT / "Makefile").read_text()
    for name in [
        "setup",
        "demo",
        "test",
        "test-all",
        "check",
        "format",
        "lock",
        "build",
        "bench",
        "coverage",
        "clean",
    ]:
        assert re.search(rf"^{name}:.*## ", text, re.MULTILINE), name
