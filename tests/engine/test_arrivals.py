"""Apps that are loaded side by side while the server answers (trust T44)."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest
from tests.support.command import write

from towpath.app.loading import parse_reference
from towpath.app.outline import names_in
from towpath.engine import arrivals
from towpath.engine.arrivals import Arrivals
from towpath.errors import (
    AppDefinitionError,
    AppError,
    AppSetupError,
    RequirementsError,
    ServerStoppingError,
)
from towpath.runner.wire import AppSpec


def spec(name: str) -> AppSpec:
    return AppSpec(f"{name}.py::{name}", name, None, "", ("S",), None, 600, 5, ("/",))


class Loads:
    """What loads the apps of a file: each file has its results, one a call."""

    def __init__(self, **results: list[AppSpec | AppError]) -> None:
        self.results = results
        self.gates: dict[str, asyncio.Event] = {}

    async def __call__(self, reference: str) -> list[AppSpec]:
        name = reference.removesuffix(".py")
        if name in self.gates:
            await self.gates[name].wait()
        result = self.results[name].pop(0) if len(self.results[name]) > 1 else self.results[name][0]
        if isinstance(result, AppError):
            raise result
        return [result]


def in_a_loop(test: Callable[..., Coroutine[None, None, None]]) -> Callable[..., None]:
    """Run an async test in a loop of its own."""

    @functools.wraps(test)
    def run(**given: object) -> None:
        asyncio.run(test(**given))

    return run


@pytest.fixture
def here() -> list[str]:
    return []


def made(
    monkeypatch: pytest.MonkeyPatch, loads: Loads, here: list[str], *references: str
) -> Arrivals:
    monkeypatch.setattr(arrivals, "backoff_seconds", lambda _: 0.01)

    async def welcome(found: AppSpec) -> None:
        here.append(found.name)

    return Arrivals(references, loads, welcome)


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (RequirementsError("bad", "no such package", traceback="pip's last line\n"), "backoff"),
        (AppDefinitionError("bad.py cannot be imported"), "stopped"),
    ],
)
@in_a_loop
async def test_one_that_cannot_be_loaded_leaves_the_others_served(
    monkeypatch, here, error, state
) -> None:
    loads = Loads(good=[spec("good")], bad=[error])
    coming = made(monkeypatch, loads, here, "good.py", "bad.py")
    assert {name: each.state for name, each in coming.statuses().items()} == {
        "good": "starting",
        "bad": "starting",
    }
    await coming.bring()
    await coming.settled()
    assert here == ["good"]
    status = coming.statuses()["bad"]
    assert (list(coming.statuses()), status.state) == (["bad"], state)
    assert str(error) in status.failure
    assert getattr(error, "traceback", "").strip() in status.failure
    with pytest.raises(AppSetupError) as told:
        await coming.expected("bad", 1)
    assert "pip" not in str(told.value), "callers are told only that it cannot start"
    assert ("It is tried again" in str(told.value)) == (state == "backoff")
    assert not await coming.expected("made-up", 1)
    await coming.stop()


@in_a_loop
async def test_an_app_is_served_before_a_slower_one_is_loaded(monkeypatch, here) -> None:
    loads = Loads(good=[spec("good")], slow=[spec("slow")])
    loads.gates["slow"] = asyncio.Event()
    coming = made(monkeypatch, loads, here, "slow.py", "good.py")
    bringing = asyncio.create_task(coming.bring())
    assert await coming.expected("good", 5)
    assert here == ["good"]
    with pytest.raises(TimeoutError):
        await coming.expected("slow", 0.01)
    loads.gates["slow"].set()
    await bringing
    assert [each.name async for each in coming.arriving()] == ["good", "slow"]


@in_a_loop
async def test_who_waits_for_an_app_when_loading_ends_is_told_of_the_stop(
    monkeypatch, here
) -> None:
    """It was said that there is no such app, which clients take for final."""
    loads = Loads(slow=[spec("slow")])
    loads.gates["slow"] = asyncio.Event()
    coming = made(monkeypatch, loads, here, "slow.py")
    bringing = asyncio.create_task(coming.bring())
    waiting = asyncio.create_task(coming.expected("slow", 30))
    await asyncio.sleep(0.05)
    bringing.cancel()
    await asyncio.gather(bringing, return_exceptions=True)
    with pytest.raises(ServerStoppingError):
        await waiting


@in_a_loop
async def test_requirements_that_could_not_be_installed_are_tried_again(monkeypatch, here) -> None:
    refused = RequirementsError("late", "the index is away")
    loads = Loads(good=[spec("good")], late=[refused, refused, spec("late")])
    coming = made(monkeypatch, loads, here, "good.py", "late.py")
    await coming.bring()
    async with asyncio.timeout(10):
        while here != ["good", "late"]:
            await asyncio.sleep(0.01)
    assert coming.statuses() == {}
    assert await coming.expected("late", 1)


@in_a_loop
async def test_there_is_no_server_when_no_app_can_be_served(monkeypatch, here) -> None:
    first = AppDefinitionError("one.py cannot be imported")
    loads = Loads(one=[first], two=[RequirementsError("two", "x")])
    coming = made(monkeypatch, loads, here, "one.py", "two.py")
    with pytest.raises(AppDefinitionError, match="cannot be imported"):
        await coming.bring()
    with pytest.raises(AppDefinitionError):
        await coming.settled()


@in_a_loop
async def test_two_apps_of_one_name_end_the_server(monkeypatch, here) -> None:
    loads = Loads(one=[spec("same")], two=[spec("same")])
    with pytest.raises(AppDefinitionError, match="both named 'same'"):
        await made(monkeypatch, loads, here, "one.py", "two.py").bring()


@in_a_loop
async def test_code_that_is_loaded_anew_is_forgiven(monkeypatch, here) -> None:
    loads = Loads(good=[spec("good")], bad=[AppDefinitionError("typo")])
    coming = made(monkeypatch, loads, here, "good.py", "bad.py")
    await coming.bring()
    coming.note_loaded("bad.py", [spec("bad")])
    assert coming.statuses() == {}
    assert await coming.expected("bad", 1)


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("class MyApp(App):\n    @endpoint('/')\n    def f(self): ...", ("my-app",)),
        ("class A(App, name='x'):\n    @towpath.endpoint('/')\n    def f(self): ...", ("x",)),
        ("class A(App):\n    name = 'x'\n    @endpoint('/')\n    def f(self): ...", ("x",)),
        ("class A(App):\n    name: str = 'x'\n    @endpoint('/')\n    async def f(self): ...", ("x",)),
        ("class A(App):\n    name = make()\n    @endpoint('/')\n    def f(self): ...", ("a",)),
        ("class Base(App): ...\nclass B(Base):\n    @endpoint('/')\n    def f(self): ...", ("b",)),
        ("class A:\n    @endpoint\n    def f(self): ...\nclass B:\n    @endpoint('/')\n    def g(self): ...", ("a", "b")),
        ("def (", ("some-file",)),
        ("\x00", ("some-file",)),
        ("", ("some-file",)),
    ],
)  # fmt: skip
def test_names_are_known_before_the_code_is_run(tmp_path: Path, code, names) -> None:
    file = write(tmp_path, "some_file.py", "")
    Path(file).write_text(code)
    assert names_in(parse_reference(file)) == names


@pytest.mark.parametrize(
    ("reference", "names"),
    [
        ("pkg.upscale:BigUpscaler", ("big-upscaler",)),
        ("pkg.upscale", ("upscale",)),
        ("missing.py::Echo", ("echo",)),
        ("missing.py", ("missing",)),
    ],
)
def test_a_name_never_shows_a_path(reference, names) -> None:
    assert names_in(parse_reference(reference)) == names
