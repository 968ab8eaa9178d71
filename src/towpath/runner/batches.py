"""Calls of a batched endpoint, gathered into one with lists."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from towpath.app.batching import BatchSpec
from towpath.runner.registry import close_aside
from towpath.temporaries import Keeper, keeping

__all__ = ["Batcher"]

Run = Callable[[Callable[[], Any]], Awaitable[Any]]  # Any: the author's values


@dataclass(slots=True, eq=False)
class _Call:
    """One caller's arguments, and where the answer goes."""

    arguments: Mapping[str, Any]  # Any: the author's values
    answer: "asyncio.Future[Any]"


class Batcher:
    """Gathers the calls of one method.

    Args:
        function: takes lists and returns one.
        spec: how many calls, and how long to wait for them.
        in_thread: runs a sync function in a thread.
    """

    def __init__(self, function: Callable[..., Any], spec: BatchSpec, in_thread: Run) -> None:
        self._function = function
        self._spec = spec
        self._in_thread = in_thread
        self._waiting: list[_Call] = []
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def call(self, arguments: Mapping[str, Any]) -> Any:  # noqa: ANN401 - the author's value
        """Return the answer for one caller."""
        loop = asyncio.get_running_loop()
        call = _Call(arguments, loop.create_future())
        self._waiting.append(call)
        if len(self._waiting) >= self._spec.max_size:
            self._begin()
        elif self._timer is None:
            self._timer = loop.call_later(self._spec.max_wait, self._begin)
        return await call.answer

    def _begin(self) -> None:
        """Run what has gathered, less those who left."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        calls = [call for call in self._waiting if not call.answer.done()]
        self._waiting = []
        if calls:
            task = asyncio.create_task(self._run(calls))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            for call in calls:
                call.answer.add_done_callback(lambda _: _end_if_unwanted(task, calls))

    async def _run(self, calls: Sequence[_Call]) -> None:
        """Run one batch, and give every caller an answer or what was raised."""
        lists = {name: [call.arguments[name] for call in calls] for name in calls[0].arguments}
        keeper = Keeper()  # a batch outlives the one of its callers whose context it has
        try:
            with keeping(keeper):
                answers = await self._called(lists)
            if not isinstance(answers, list | tuple) or len(answers) != len(calls):
                _refuse(self._function, answers, len(calls))
        except BaseException as error:  # noqa: BLE001 - raised again where the batch was waited for
            for call in calls:
                if not call.answer.done():
                    call.answer.set_exception(error)
                    call.answer.exception()  # one that left does not ask
            return
        finally:
            close_aside(keeper)
        for call, answer in zip(calls, answers, strict=True):
            if not call.answer.done():
                call.answer.set_result(answer)

    async def _called(self, lists: Mapping[str, list[Any]]) -> Any:  # noqa: ANN401 - the author's
        """Call the method."""
        if inspect.iscoroutinefunction(self._function):
            return await self._function(**lists)
        return await self._in_thread(lambda: self._function(**lists))


def _end_if_unwanted(task: "asyncio.Task[None]", calls: Sequence[_Call]) -> None:
    """End a batch that nobody waits for any more."""
    if all(call.answer.done() for call in calls):
        task.cancel()


def _refuse(function: Callable[..., Any], answers: object, expected: int) -> None:
    """Raise what is wrong with a batch's answers."""
    got = f"{len(answers)}" if isinstance(answers, list | tuple) else type(answers).__name__
    message = (
        f"{function.__qualname__} got {expected} items and returned {got}; return one for each."
    )
    raise TypeError(message)
