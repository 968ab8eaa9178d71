"""The house keeps its shape: sizes, façade, errors, settings, what importing costs."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import towpath
from towpath import errors
from towpath.settings import Settings
from towpath.web.errors import RULES

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))


@pytest.mark.parametrize(
    "path",
    [
        *SOURCES,
        *sorted((ROOT / "tests").rglob("*.py")),
        *sorted((ROOT / "playground" / "src").rglob("*.*")),
    ],
    ids=lambda p: p.name,
)
def test_no_file_is_longer_than_400_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400


def test_no_room_is_a_drawer() -> None:
    names = {path.stem for path in SOURCES} | {path.parent.name for path in SOURCES}
    assert not names & {"utils", "helpers", "common", "misc", "types", "util"}


@pytest.mark.parametrize(
    "module", ["towpath", "towpath.toolkit", "towpath.errors", "towpath.testing"]
)
def test_facades_are_sorted_and_complete(module: str) -> None:
    import importlib

    loaded = importlib.import_module(module)
    names = loaded.__all__
    order = sorted(
        names, key=lambda n: (n != n.upper() or n.startswith("__"), not n[0].isupper(), n)
    )
    assert sorted(names) == sorted(order)
    assert len(names) == len(set(names))
    for name in names:
        assert getattr(loaded, name) is not None


def test_every_error_has_an_answer_over_http() -> None:
    tree = {
        value
        for value in vars(errors).values()
        if inspect.isclass(value) and issubclass(value, errors.TowpathError)
    }
    assert tree - {errors.TowpathError} == set(RULES)
    assert {kind.__name__ for kind in tree} <= set(errors.__all__)
    for kind in tree:
        assert kind.__name__ in (errors.__doc__ or ""), "the drawing at the top shows it"


def test_every_setting_is_documented() -> None:
    text = (ROOT / "docs" / "reference" / "settings.md").read_text()
    documented = set(re.findall(r"^\| `TOWPATH_([A-Z_]+)`", text, re.MULTILINE))
    assert documented == {name.upper() for name in Settings.model_fields}


def test_every_public_object_says_what_it_promises() -> None:
    import importlib

    for path in SOURCES:
        name = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
        if name.endswith("__main__"):
            continue
        module = importlib.import_module(name.removesuffix(".__init__"))
        assert module.__doc__, name


def test_importing_the_toolkit_loads_no_server() -> None:
    heavy = "starlette fastapi uvicorn aiohttp sqlalchemy prometheus_client typer rich numpy av ray obstore"
    code = (
        "import sys, towpath.toolkit, towpath\n"
        "towpath.App, towpath.endpoint\n"
        f"print(sorted(set({heavy!r}.split()) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_towpath_loads_nothing() -> None:
    code = "import sys; import towpath; print(sorted(m for m in sys.modules if m.startswith('towpath')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['towpath']"


def test_the_version_is_the_packages() -> None:
    assert re.match(r"\d+\.\d+\.\d+", towpath.__version__)
    assert f'version = "{towpath.__version__}"' in (ROOT / "pyproject.toml").read_text()
    assert f"## [{towpath.__version__}]" in (ROOT / "CHANGELOG.md").read_text()
