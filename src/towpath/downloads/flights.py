"""One piece of work for many callers in a process."""

import os
import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

__all__ = ["Flights"]

T = TypeVar("T")


class _Flight(Generic[T]):
    """Work that one thread does and others wait for."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.result: list[T] = []
        self.error: Exception | None = None


class Flights(Generic[T]):
    """Shares the result, or the error, of work that several threads want at the same time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[Hashable, _Flight[T]] = {}
        os.register_at_fork(after_in_child=self._forget)

    def share(self, key: Hashable, work: Callable[[], T]) -> T:
        """Return what *work* returns, or what the same work of another thread does right now."""
        while True:
            with self._lock:
                flight = self._open.get(key)
                leads = flight is None
                flight = flight or self._open.setdefault(key, _Flight())
            if leads:
                return self._lead(key, flight, work)
            flight.done.wait()
            if flight.error is not None:
                raise flight.error.with_traceback(None)
            if flight.result:
                return flight.result[0]
            # its leader was interrupted: somebody else has to do it

    def _lead(self, key: Hashable, flight: _Flight[T], work: Callable[[], T]) -> T:
        """Do the work and say what came of it."""
        try:
            result = work()
        except Exception as error:
            flight.error = error
            raise
        else:
            flight.result.append(result)
            return result
        finally:
            with self._lock:
                self._open.pop(key, None)
            flight.done.set()

    def _forget(self) -> None:
        """Start anew in a forked child, whose other threads are gone."""
        self._lock = threading.Lock()
        self._open.clear()
