"""The places on an app's runners: who has one, who waits for one."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

from towpath.clock import Clock
from towpath.engine.child import Child
from towpath.engine.steering import Orders, orders_in
from towpath.net.upstream import Upstream

__all__ = ["Lease", "Places", "Runner", "Waiter"]

_MOMENT_SECONDS = 0.5
_HINTS = "x-fal-runner-hints"


@dataclass(slots=True, eq=False)
class Waiter:
    """Somebody who waits for a place.

    Attributes:
        hint: what the runner should have warm.
        alone: whether nobody else may be on the runner meanwhile.
        since: when the wait began.
        given: the runner, in the end.
    """

    hint: str | None
    alone: bool
    since: float
    given: "asyncio.Future[Runner]"


@dataclass(slots=True, eq=False)
class Runner:
    """A runner that takes requests.

    Attributes:
        child: its process.
        slots: requests that it works on at once.
        since: when it was ready, by the loop's clock.
        long: requests that are long-lived connections: they have places of their own.
        taken: places that are given away, to requests and to who has not sent anything yet.
        idle_since: since when it has nothing to do.
        leaving: whether it gets no new ones.
        unended: requests that were given up and may still be at work; it gets no new ones.
        is_spent: whether one of them goes on for so long that the runner counts for nothing.
        only_for: who has it for himself, or waits until it is empty.
        hints: what it said last that it has warm.
        served: requests that it has answered.
        failures: health checks in a row that it failed.
    """

    child: Child
    slots: int
    since: float
    long: set[str] = field(default_factory=set)
    taken: int = 0
    idle_since: float = 0
    leaving: bool = False
    unended: int = 0
    is_spent: bool = False
    only_for: Waiter | None = None
    hints: frozenset[str] = frozenset()
    served: int = 0
    failures: int = 0

    def drop(self, request_id: str) -> None:
        """Forget a request."""
        self.requests.discard(request_id)
        self.long.discard(request_id)

    @property
    def at_work(self) -> int:
        """Return how many places are taken, less those of long-lived connections."""
        return self.taken - len(self.long)

    @property
    def requests(self) -> set[str]:
        """Return the requests that it works on."""
        return self.child.requests

    @property
    def busy(self) -> int:
        """Return how many of its places nobody else can have."""
        return self.slots if self.only_for is not None else self.at_work

    def takes(self, waiter: Waiter | None) -> bool:
        """Return whether it has a place now: for *waiter*, or for anybody."""
        if self.leaving or self.unended or not (self.only_for is None or self.only_for is waiter):
            return False
        is_alone = waiter is not None and waiter.alone
        return self.taken == 0 if is_alone else self.at_work < self.slots


class Lease:
    """A place on a runner; see `RunnerLease`. It is taken and given back by `async with`.

    Args:
        enter: waits for a place, and returns its runner.
        leave: takes the place back.
        give: gives free places to who waits.
    """

    __slots__ = ("_enter", "_give", "_leave", "orders", "request_id", "runner", "status")

    def __init__(
        self,
        enter: Callable[[], Awaitable[Runner]],
        leave: "Callable[[Lease], None]",
        give: Callable[[], None],
    ) -> None:
        self._enter = enter
        self._leave = leave
        self._give = give
        self.runner: Runner
        self.request_id: str | None = None
        self.status: int | None = None
        self.orders = Orders()

    async def __aenter__(self) -> Self:
        self.runner = await self._enter()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._leave(self)

    @property
    def upstream(self) -> Upstream:
        """Return the way to the runner."""
        return self.runner.child.upstream

    async def has_ended(self) -> bool:
        """Return whether the runner's process is gone; wait a moment for its end."""
        process = self.runner.child.process
        with suppress(TimeoutError):
            async with asyncio.timeout(_MOMENT_SECONDS):
                await process.wait()
        return process.returncode is not None

    def begin(self, request_id: str) -> None:
        """Note that a request goes to the runner."""
        self.request_id = request_id
        self.runner.requests.add(request_id)

    def stay(self, request_id: str, most: int) -> bool:
        """Change the place for one of *most* that long-lived connections have.

        Return False where none of them is free.
        """
        if len(self.runner.long) >= most:
            return False
        self.runner.long.add(request_id)
        self._give()
        return True

    def finish(self, status: int, headers: Mapping[str, str]) -> None:
        """Note that its answer came, to the last byte."""
        self.status = status
        self.orders = orders_in(status, headers)
        self.runner.served += 1
        hints = headers.get(_HINTS)
        if hints:
            self.runner.hints = frozenset(hints.split(","))


class Places:
    """Gives places away to who waits longest.

    On the runner that has their hint warm, else on the one with the least work. Who is to be alone
    has a runner emptied for him; the others go on meanwhile on the others.

    Args:
        clock: asked when something happens, never before a wait for it.
    """

    def __init__(self, clock: Clock) -> None:
        self.runners: list[Runner] = []
        self.waiting: deque[Waiter] = deque()
        self._clock = clock

    def take_now(self, hint: str | None) -> Runner | None:
        """Return a runner with a place that is ours, None when there is none to be had."""
        runner = None if self.waiting else self._best(hint, None)
        if runner is not None:
            runner.taken += 1
        return runner

    async def take(self, hint: str | None, *, alone: bool = False) -> Runner:
        """Wait for a place; return its runner."""
        waiter = self._waiter(hint, alone=alone)
        self.waiting.append(waiter)
        self.give()
        try:
            return await waiter.given
        except asyncio.CancelledError:
            if waiter in self.waiting:
                self.waiting.remove(waiter)
                self._unreserve(waiter)
            elif waiter.given.done() and not waiter.given.cancelled():
                self.release(waiter.given.result())
            raise

    def release(self, runner: Runner) -> None:
        """Take a place back, and give it to who waits."""
        runner.taken -= 1
        if runner.taken == 0:
            runner.idle_since = self._clock()
            if runner.only_for is not None and runner.only_for.given.done():
                runner.only_for = None
        self.give()

    def give(self) -> None:
        """Give free places to who waits."""
        for waiter in tuple(self.waiting):
            if waiter.given.done() or self._given_to(waiter) is not None:
                self.waiting.remove(waiter)
            elif waiter.alone:
                self._reserve(waiter)
            else:
                return

    def disappoint(self, error: Exception) -> None:
        """Tell all who wait that there will be no place."""
        while self.waiting:
            waiter = self.waiting.popleft()
            self._unreserve(waiter)
            if not waiter.given.done():
                waiter.given.set_exception(error)

    def _waiter(self, hint: str | None, *, alone: bool) -> Waiter:
        """Return somebody who waits from now on."""
        return Waiter(hint, alone, self._clock(), asyncio.get_running_loop().create_future())

    def _given_to(self, waiter: Waiter) -> Runner | None:
        """Give *waiter* a place if there is one."""
        runner = self._best(waiter.hint, waiter)
        if runner is None:
            return None
        runner.taken += 1
        if waiter.alone:
            runner.only_for = waiter
        waiter.given.set_result(runner)
        return runner

    def _best(self, hint: str | None, waiter: Waiter | None) -> Runner | None:
        """Return the runner with a place that suits best: warm, least work, idle for longest."""
        free = [runner for runner in self.runners if runner.takes(waiter)]
        if len(free) <= 1:
            return free[0] if free else None
        warm = [runner for runner in free if hint is not None and hint in runner.hints]
        return min(warm or free, key=lambda runner: (runner.at_work, -runner.idle_since))

    def _reserve(self, waiter: Waiter) -> None:
        """Have the runner with the least work emptied for *waiter*, if none is yet."""
        if any(runner.only_for is waiter for runner in self.runners):
            return
        able = [r for r in self.runners if not (r.leaving or r.unended) and r.only_for is None]
        if able:
            min(able, key=lambda runner: runner.taken).only_for = waiter

    def _unreserve(self, waiter: Waiter) -> None:
        """Give the others back what was kept for *waiter*."""
        for runner in self.runners:
            if runner.only_for is waiter:
                runner.only_for = None
        self.give()
