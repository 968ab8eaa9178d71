"""How many runners now? Pure: moments and counts are given."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Demand", "Plan", "Scale", "backoff_seconds", "decide"]

_LONGEST_BACKOFF = 60.0


@dataclass(frozen=True, slots=True)
class Scale:
    """What an app's author and the operator allow.

    Attributes:
        least: runners that are kept.
        most: runners that there may be.
        slots: requests that one runner works on at once.
        buffer: runners that are kept idle above what is needed.
        delay: seconds that a request waits before another runner is started for it.
        keep_alive: seconds that a runner stays idle.
        room: processes that there may be at all, those that are about to end too; None = no limit.
    """

    least: int
    most: int
    slots: int = 1
    buffer: int = 0
    delay: float = 0
    keep_alive: float = 60
    room: int | None = None


@dataclass(frozen=True, slots=True)
class Demand:
    """What there is to do, and who is there to do it.

    Attributes:
        busy: requests at work.
        waits: seconds that each request without a runner has waited.
        starting: runners that are being set up.
        ready: runners that take requests.
        idle: seconds that each runner without work has had none.
        ending: runners that take none any more.
        spares: runners to have beyond what is needed and allowed, for a moment: others die.
    """

    busy: int
    waits: Sequence[float]
    starting: int
    ready: int
    idle: Sequence[float] = ()
    ending: int = 0
    spares: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do.

    Attributes:
        start: runners to start.
        stop: runners to stop, those that are idle longest.
        again: seconds after which to ask again, if nothing happens before; None = not at all.
    """

    start: int = 0
    stop: int = 0
    again: float | None = None


def decide(scale: Scale, demand: Demand) -> Plan:
    """Return how many runners to start or to stop."""
    there = demand.starting + demand.ready
    patient = [scale.delay - wait for wait in demand.waits if there and wait < scale.delay]
    waiting = len(demand.waits) - len(patient)
    needed = math.ceil((demand.busy + waiting) / scale.slots) + scale.buffer
    spares = demand.spares if scale.room is None else 0
    wanted = min(scale.most, max(scale.least, needed)) + spares
    spare = max(0, there - wanted)
    leaving = sorted(demand.idle, reverse=True)[:spare]
    over = [idle for idle in leaving if idle >= scale.keep_alive]
    excess = min(len(leaving), max(0, demand.ready - scale.most - spares))
    later = [scale.keep_alive - idle for idle in leaving if idle < scale.keep_alive] + patient
    again = min(later) if later else None
    return Plan(_starts(scale, demand, wanted - there), max(len(over), excess), again)


def _starts(scale: Scale, demand: Demand, missing: int) -> int:
    """Return how many of the *missing* runners there is room for."""
    if scale.room is None:
        return max(0, missing)
    left = scale.room - demand.starting - demand.ready - demand.ending
    return max(0, min(missing, left))


def backoff_seconds(failures: int) -> float:
    """Return how long to wait after so many failures in a row: 1, 2, 4 … 60 s."""
    return 0.0 if failures <= 0 else min(_LONGEST_BACKOFF, 2.0 ** (failures - 1))
