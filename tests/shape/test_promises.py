"""Each promise of the docs names tests that exist; no row of SECURITY.md is without one."""

import ast
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROMISES = tomllib.loads((ROOT / "tests" / "shape" / "promises.toml").read_text())["promise"]
PAGES = (
    "README.md",
    "SECURITY.md",
    *(f"docs/how-to/{p.name}" for p in (ROOT / "docs" / "how-to").glob("*.md")),
)
_ROW = re.compile(r"^\| ([^|]+?) +\|", re.MULTILINE)
_HEADINGS = {"promise", "what", "---"}


@cache
def text_of(page: str) -> str:
    """Return a page with each line break as a blank."""
    return " ".join((ROOT / page).read_text().split())


@cache
def names_in(file: str) -> frozenset[str]:
    """Return the names of the tests in a file below tests/."""
    tree = ast.parse((ROOT / "tests" / file).read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(n.name for n in ast.walk(tree) if isinstance(n, kinds))


@pytest.mark.parametrize("promise", PROMISES, ids=lambda p: f"{p['page']}: {p['says'][:50]}")
def test_a_promise_stands_on_its_page_and_its_tests_exist(promise: dict) -> None:
    assert promise["says"] in text_of(promise["page"]), (
        f"{promise['page']} no longer says {promise['says']!r}: change tests/shape/promises.toml too"
    )
    assert promise["tests"], "a promise without a test is a wish"
    for name in promise["tests"]:
        file, _, test = name.partition("::")
        assert test.startswith("test_"), name
        assert (ROOT / "tests" / file).exists(), f"tests/{file} is gone; which test has its place?"
        assert test in names_in(file), f"tests/{name} is gone; which test has its place?"


def test_every_row_of_security_names_a_test() -> None:
    rows = set(_ROW.findall((ROOT / "SECURITY.md").read_text())) - _HEADINGS
    assert len(rows) > 25, "the tables were not found"
    told = {promise["says"] for promise in PROMISES if promise["page"] == "SECURITY.md"}
    assert not rows - told, (
        "SECURITY.md promises this, and tests/shape/promises.toml names no test that fails when "
        f"the promise is broken: {sorted(rows - told)}"
    )


def test_every_page_of_promises_is_in_the_list() -> None:
    assert {promise["page"] for promise in PROMISES} == set(PAGES)


def test_no_promise_is_listed_twice() -> None:
    keys = [(promise["page"], promise["says"]) for promise in PROMISES]
    assert len(keys) == len(set(keys))
