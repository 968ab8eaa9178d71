"""The places on an app's runners: who has one, who waits for one."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Self

from towpath.engine.child import Child
from towpath.net.upstream import Upstream

__all__ = ["Lease", "Places", "Runner", "Waiter"]


@dataclass(slots=True, eq=False)
class Runner:
    """A runner that takes requests.

    Attributes:
        child: its process.
        slots: requests that it works on at once.
        since: when it was ready, by the loop's clock.
        requests: that it works on.
        long: those of them that are long-lived connections: they have places of their own.
        taken: places that are given away, to those and to who has not sent anything yet.
        idle_since: since when it has nothing to do.
        leaving: whether it gets no new ones.
        is_lost: whether it did not answer: it is about to be found dead.
        hints: what it said last that it has warm.
        served: requests that it has answered.
        failures: health checks in a row that it failed.
    """

    child: Child
    slots: int
    since: float
    requests: set[str] = field(default_factory=set)
    long: set[str] = field(default_factory=set)
    taken: int = 0
    idle_since: float = 0
    leaving: bool = False
    is_lost: bool = False
    hints: frozenset[str] = frozenset()
    served: int = 0
    failures: int = 0

    def drop(self, request_id: str) -> None:
        """Forget a request."""
        self.requests.discard(request_id)
        self.long.discard(request_id)

    @property
    def is_free(self) -> bool:
        """Return whether it can take one more."""
        return not self.leaving and not self.is_lost and self.at_work < self.slots

    @property
    def at_work(self) -> int:
        """Return how many places are taken, less those of long-lived connections."""
        return self.taken - len(self.long)


@dataclass(slots=True, eq=False)
class Waiter:
    """Somebody who waits for a place."""

    hint: str | None
    since: float
    given: "asyncio.Future[Runner]"


class Lease:
    """A place on a runner; see `RunnerLease`. It is taken and given back by `async with`.

    Args:
        enter: waits for a place, and returns its runner.
        leave: takes the place back.
        give: gives free places to who waits.
    """

    __slots__ = ("_enter", "_give", "_leave", "request_id", "runner", "status")

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

    async def __aenter__(self) -> Self:
        self.runner = await self._enter()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._leave(self)

    @property
    def upstream(self) -> Upstream:
        """Return the way to the runner."""
        return self.runner.child.upstream

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

    def finish(self, status: int, hints: str = "") -> None:
        """Note that its answer came, to the last byte."""
        self.status = status
        self.runner.served += 1
        if hints:
            self.runner.hints = frozenset(hints.split(","))


class Places:
    """Gives places away to who waits longest.

    On the runner that has their hint warm, else on the one with the least work.
    """

    def __init__(self) -> None:
        self.runners: list[Runner] = []
        self.waiting: deque[Waiter] = deque()

    def take_now(self, hint: str | None) -> Runner | None:
        """Return a runner with a place that is ours, None when there is none to be had."""
        runner = None if self.waiting else self._pick(hint)
        if runner is not None:
            runner.taken += 1
        return runner

    async def take(self, hint: str | None, now: float) -> Runner:
        """Wait for a place; return its runner."""
        waiter = Waiter(hint, now, asyncio.get_running_loop().create_future())
        self.waiting.append(waiter)
        try:
            return await waiter.given
        except asyncio.CancelledError:
            if waiter in self.waiting:
                self.waiting.remove(waiter)
            elif waiter.given.done() and not waiter.given.cancelled():
                self.release(waiter.given.result(), now)
            raise

    def release(self, runner: Runner, now: float) -> None:
        """Take a place back, and give it to who waits."""
        runner.taken -= 1
        if runner.taken == 0:
            runner.idle_since = now
        self.give()

    def give(self) -> None:
        """Give free places to who waits."""
        while self.waiting:
            runner = self._pick(self.waiting[0].hint)
            if runner is None:
                return
            waiter = self.waiting.popleft()
            if not waiter.given.done():
                runner.taken += 1
                waiter.given.set_result(runner)

    def disappoint(self, error: Exception) -> None:
        """Tell all who wait that there will be no place."""
        while self.waiting:
            waiter = self.waiting.popleft()
            if not waiter.given.done():
                waiter.given.set_exception(error)

    def _pick(self, hint: str | None) -> Runner | None:
        """Return the best runner with a free place."""
        free = [runner for runner in self.runners if runner.is_free]
        if not free:
            return None
        warm = [runner for runner in free if hint is not None and hint in runner.hints]
        return min(warm or free, key=lambda runner: (runner.at_work, -runner.idle_since))
