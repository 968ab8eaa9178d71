"""Batches, contexts in threads, limits, and who is at work."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from towpath.app.batching import BatchSpec, batch, batch_of, largest_batch, single_signature
from towpath.app.progress import progress
from towpath.context import RequestContext, current_request, serving, set_reporter
from towpath.errors import AppDefinitionError
from towpath.runner.batches import Batcher
from towpath.runner.propagation import propagate_context
from towpath.runner.registry import Registry

REQUEST = RequestContext("id", "e", "a", None, MappingProxyType({}))


async def in_thread(call: Callable[[], Any]) -> Any:
    return await asyncio.to_thread(call)


def gather(function, spec: BatchSpec, numbers: list[int]) -> list[object]:
    async def run() -> list[object]:
        batcher = Batcher(function, spec, in_thread)
        return await asyncio.gather(
            *(batcher.call({"n": number}) for number in numbers), return_exceptions=True
        )

    return asyncio.run(run())


def test_calls_are_gathered_to_the_size_and_in_order() -> None:
    sizes = []

    def double(n: list[int]) -> list[int]:
        sizes.append(len(n))
        return [2 * number for number in n]

    assert gather(double, BatchSpec(4, 0.05), list(range(10))) == [2 * n for n in range(10)]
    assert sizes == [4, 4, 2]


def test_an_async_method_is_awaited() -> None:
    async def double(n: list[int]) -> list[int]:
        return [2 * number for number in n]

    assert gather(double, BatchSpec(8, 0.01), [1, 2]) == [2, 4]


@pytest.mark.parametrize("answer", [[1], None, "ab", [1, 2, 3]])
def test_one_answer_for_each_call(answer: object) -> None:
    errors = gather(lambda n: answer, BatchSpec(2, 0.01), [1, 2])
    assert all("return one for each" in str(error) for error in errors)


def test_what_a_batch_raises_all_its_callers_get() -> None:
    def fail(n: list[int]) -> list[int]:
        raise ValueError("no")

    assert [str(error) for error in gather(fail, BatchSpec(2, 0.01), [1, 2])] == ["no", "no"]


def test_who_leaves_before_is_not_in_it() -> None:
    async def run() -> list[int]:
        seen: list[int] = []

        def note(n: list[int]) -> list[int]:
            seen.extend(n)
            return n

        batcher = Batcher(note, BatchSpec(8, 0.1), in_thread)
        leaver = asyncio.ensure_future(batcher.call({"n": 1}))
        await asyncio.sleep(0)
        stayer = asyncio.ensure_future(batcher.call({"n": 2}))
        await asyncio.sleep(0)
        leaver.cancel()
        await stayer
        return seen

    assert asyncio.run(run()) == [2]


def test_a_batched_method_is_described_by_one_call() -> None:
    class Model:
        @batch(max_size=4)
        def run(self, prompts: list[str], steps: list[int]) -> list[dict]:
            return [{}]

    single = single_signature(Model().run)
    assert [p.annotation for p in single.parameters.values()] == [str, int]
    assert single.return_annotation is dict
    assert batch_of(Model().run) == BatchSpec(4, 0.01)
    assert largest_batch(Model) == 4
    assert largest_batch(int) == 0


def test_a_method_that_cannot_be_batched_is_refused() -> None:
    for size, wait in ((0, 0.01), (1, -1)):
        with pytest.raises(AppDefinitionError, match="at least 1"):
            batch(max_size=size, max_wait=wait)

    def yields(n: list[int]):
        yield n

    with pytest.raises(AppDefinitionError, match="yields"):
        batch(max_size=2)(yields)

    @batch(max_size=2)
    def single(n: int) -> list[int]:
        return [n]

    with pytest.raises(AppDefinitionError, match="one item"):
        single_signature(single)


def test_the_context_reaches_threads_and_executors() -> None:
    propagate_context()
    found = []
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: None).result()
        with serving(REQUEST):
            thread = threading.Thread(target=lambda: found.append(current_request()))
            thread.start()
            thread.join()
            found.append(pool.submit(current_request).result())
        assert pool.submit(current_request).result() is None
    assert found == [REQUEST, REQUEST]


def test_progress_is_told_for_the_current_request_only() -> None:
    told = []
    set_reporter(lambda *each: told.append(each))
    try:
        progress(1)
        with serving(REQUEST):
            progress(1, 4, "m" * 2000)
            with pytest.raises(ValueError, match="finite"):
                progress(float("nan"))
    finally:
        set_reporter(None)
    assert len(told) == 1
    assert told[0][0] == "id"
    assert '"total": 4' in told[0][1]
    assert len(told[0][1]) < 1200


def test_a_request_is_over_when_the_last_that_works_for_it_has_left() -> None:
    async def run() -> list[tuple[str, bool]]:
        over: list[tuple[str, bool]] = []
        registry = Registry(lambda *told: over.append(told))
        registry.enter("a", is_traced=True)
        registry.enter("a")
        waiting = asyncio.ensure_future(registry.over("a"))
        await registry.over("unknown")
        registry.leave("a")
        await asyncio.sleep(0)
        assert not waiting.done()
        registry.leave("a")
        await waiting
        registry.enter("a")
        registry.leave("a")
        return over

    assert asyncio.run(run()) == [("a", True), ("a", False)]


@pytest.mark.engines
def test_what_is_mounted_later_is_seen_with_a_private_tmp_too(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from towpath.runner.private_tmp import mount_private_tmp
own, shared = map(Path, sys.argv[1:])
print(mount_private_tmp(own, [shared]), flush=True)
input()
print((shared / "disk" / "here").exists())
"""
    own, shared = tmp_path / "own", tmp_path / "shared"
    disk = shared / "disk"
    own.mkdir()
    shared.mkdir()
    subprocess.run(["mount", "--bind", str(shared), str(shared)], check=True)
    try:
        subprocess.run(["mount", "--make-shared", str(shared)], check=True)
        disk.mkdir()
        words = [sys.executable, "-c", code, str(own), str(shared)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with subprocess.Popen(words, **pipes) as process:
            assert process.stdout.readline() == "True\n"
            subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(disk)], check=True)
            (disk / "here").touch()
            told, _ = process.communicate("\n", timeout=30)
        assert told == "True\n"
    finally:
        subprocess.run(["umount", "-R", str(shared)], check=True)


def test_a_private_tmp_hides_the_old_one_and_keeps_what_is_needed(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from towpath.runner.private_tmp import mount_private_tmp
own, needed, hidden = map(Path, sys.argv[1:])
print(mount_private_tmp(own, [needed, needed / "inner", Path("/usr")]))
print((needed / "x").read_text(), hidden.exists())
Path("/tmp/towpath-mark").write_text("mine")
print((own / "towpath-mark").exists() if own.exists() else "hidden")
"""
    own, needed, hidden = (tmp_path / name for name in ("own", "needed", "hidden"))
    for folder in (own, needed, hidden):
        folder.mkdir()
    (needed / "x").write_text("kept")
    words = [sys.executable, "-c", code, str(own), str(needed), str(hidden)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=needed)
    possible, seen, *_ = done.stdout.splitlines()
    if possible == "True":
        assert seen == "kept False"
        assert (own / "towpath-mark").read_text() == "mine"
        assert not Path("/tmp/towpath-mark").exists()
    else:
        assert seen == "kept True"
        Path("/tmp/towpath-mark").unlink()
