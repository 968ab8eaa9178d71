"""An app's code ends its request, never its runner, and never a copy of the runner.

`sys.exit()` in an endpoint is an exception that asyncio hands to whoever runs the loop: the process
would end with every request that it works on. A forked child that returns would go on in the
runner's place.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from towpath.errors import RequestCancelled
from towpath.runner.forks import end_if_forked

__all__ = ["contained"]

_THROUGH = (Exception, asyncio.CancelledError, GeneratorExit, RequestCancelled)


@contextmanager
def contained() -> Iterator[None]:
    """Run the app's code; it may neither end this process nor leave a forked child in it.

    Raises:
        RuntimeError: it raised what would end the process: SystemExit, KeyboardInterrupt.
    """
    try:
        yield
    except _THROUGH as error:
        end_if_forked(error)
        raise
    except BaseException as error:
        end_if_forked(error)
        message = f"The app raised {error!r}; the runner goes on. Return, or raise an Exception."
        raise RuntimeError(message) from error
    end_if_forked(None)
