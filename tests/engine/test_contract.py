"""What every engine does, tried on each of them with real runners."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.command import write

from towpath import settings as settings_room
from towpath.engine.child import describe
from towpath.engine.local import LocalEngine
from towpath.engine.template import Templates
from towpath.errors import AppSetupError, UnknownAppError
from towpath.runner.wire import AppSpec

CODE = """
    import os, time
    import towpath
    class One(towpath.App):
        @towpath.endpoint("/")
        def run(self) -> list[int]:
            return [1, os.getpid()]
        @towpath.endpoint("/slow")
        def slow(self) -> int:
            time.sleep(0.5)
            return 1
"""
Story = Callable[[LocalEngine, AppSpec, Path], Awaitable[None]]


@pytest.fixture(params=["local"])
def played(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Story], None]:
    """Play a story with an engine that was started, and the spec of an app."""
    file = write(tmp_path, "one.py", CODE)

    def play(story: Story) -> None:
        async def run() -> None:
            settings = settings_room.load(data_dir=tmp_path / "data", store_reserve=0)
            settings.state.mkdir(parents=True)
            templates = Templates()
            spec = (await describe(file, settings, templates))[0]
            engine = LocalEngine([], settings, templates)
            await engine.start()
            try:
                await story(engine, spec, Path(file))
            finally:
                await engine.stop(grace=1)
                templates.end()

        asyncio.run(run())

    return play


async def call(engine: LocalEngine, path: str = "/") -> object:
    async with engine.acquire("one") as lease:
        lease.begin("id")
        async with await lease.upstream.request("POST", path) as answer:
            content = json.loads(await answer.read())
        lease.finish(answer.status, answer.headers)
        return content


def test_a_deployed_app_answers_and_a_removed_one_is_unknown(played) -> None:
    async def story(engine: LocalEngine, spec: AppSpec, _: Path) -> None:
        await engine.deploy(spec)
        assert (await call(engine))[0] == 1
        status = await engine.status("one")
        assert (status.state, status.idle, status.failure) == ("ready", 1, None)
        await engine.remove("one")
        await engine.remove("one")
        with pytest.raises(UnknownAppError):
            await engine.status("one")
        with pytest.raises(UnknownAppError):
            await call(engine)

    played(story)


def test_the_same_again_changes_nothing(played) -> None:
    async def story(engine: LocalEngine, spec: AppSpec, _: Path) -> None:
        await engine.deploy(spec)
        first = await call(engine)
        await engine.deploy(spec)
        assert await call(engine) == first

    played(story)


def test_new_code_takes_over_and_broken_code_does_not(played) -> None:
    async def story(engine: LocalEngine, spec: AppSpec, file: Path) -> None:
        await engine.deploy(spec)
        write(file.parent, file.name, CODE.replace("[1, ", "[2, "))
        await engine.deploy(replace(spec, title="new"))
        assert (await call(engine))[0] == 2
        write(file.parent, file.name, "raise ValueError('broken')")
        with pytest.raises(AppSetupError) as failure:
            await engine.deploy(replace(spec, title="newer"))
        assert "broken" in failure.value.traceback
        assert (await call(engine))[0] == 2

    played(story)


def test_who_comes_second_waits_for_a_place(played) -> None:
    async def story(engine: LocalEngine, spec: AppSpec, _: Path) -> None:
        await engine.deploy(spec)
        await call(engine)
        first = asyncio.create_task(call(engine, "/slow"))
        await asyncio.sleep(0.2)
        assert (await engine.status("one")).busy == 1
        assert (await call(engine))[0] == 1
        assert first.done()

    played(story)


def test_a_dead_runner_is_replaced(played) -> None:
    import os
    import signal

    async def story(engine: LocalEngine, spec: AppSpec, _: Path) -> None:
        await engine.deploy(spec)
        pid = (await call(engine))[1]
        os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0.2)
        assert (await call(engine))[1] != pid
        assert (await engine.status("one")).restarts == 1

    played(story)
