"""The sweeper: one of the processes that share a store, all the time, whatever goes wrong."""

import asyncio
from collections.abc import Callable

import pytest

from towpath.cdn import retention
from towpath.cdn.retention import keep_swept


class Store:
    """Counts what the sweeper does."""

    def __init__(self) -> None:
        self.is_chosen = True
        self.calls: list[str] = []
        self.fails = 0

    def elect(self) -> bool:
        self.calls.append("elect")
        return self.is_chosen

    def recover(self) -> int:
        self.calls.append("recover")
        return 0

    def sweep_expired(self) -> int:
        self.calls.append("sweep")
        if self.fails:
            self.fails -= 1
            raise OSError("the disk is away")
        return 1


def sweep(store: Store, until: Callable[[], bool]) -> None:
    """Let the sweeper work until something is so."""

    async def run() -> None:
        task = asyncio.ensure_future(keep_swept(store, period=0.001))
        async with asyncio.timeout(20):
            while not until():
                await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())


def test_what_killed_saves_left_is_recovered_once_and_what_expired_again_and_again() -> None:
    store = Store()
    sweep(store, lambda: store.calls.count("sweep") >= 3)
    assert store.calls[:5] == ["elect", "recover", "sweep", "elect", "sweep"]
    assert store.calls.count("recover") == 1


def test_after_an_hour_it_recovers_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_RECOVERY_PERIOD", 0.002)
    store = Store()
    sweep(store, lambda: store.calls.count("recover") >= 3)


def test_a_process_that_is_not_chosen_touches_nothing_until_it_is() -> None:
    store = Store()
    store.is_chosen = False
    sweep(store, lambda: len(store.calls) >= 3)
    assert set(store.calls) == {"elect"}
    store.is_chosen = True
    sweep(store, lambda: "sweep" in store.calls)
    assert "recover" in store.calls


def test_a_sweep_that_fails_is_told_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    store = Store()
    store.fails = 1
    caplog.set_level("INFO", retention.log.name)
    sweep(store, lambda: store.calls.count("sweep") >= 2)
    first, second, *_ = caplog.records
    assert first.getMessage() == "sweep failed; it is tried again"
    assert first.exc_info
    assert (second.getMessage(), second.files) == ("expired files removed", 1)
