"""A web server on loopback that misbehaves in every way that we know of."""

from collections.abc import Iterator
from contextlib import contextmanager

from towpath.testing import bad_answers, bad_bodies, bad_ranges
from towpath.testing.misbehaviours import table
from towpath.testing.origins import Origin, origin_of

__all__ = ["hostile_origin"]

_FILLED_BY = (bad_answers, bad_bodies, bad_ranges)


@contextmanager
def hostile_origin() -> Iterator[Origin]:
    """Run a server that misbehaves in every way of `MISBEHAVIOURS`, path by path.

    It listens on 127.0.0.1, which downloads reach only with `allow_hosts=["127.0.0.1"]`.
    """
    with origin_of(table) as origin:
        yield origin
