"""How many descriptors the server has."""

import logging
import resource
from collections.abc import Iterator

import pytest

from towpath.gateway import descriptors
from towpath.gateway.descriptors import raise_descriptor_limit


@pytest.fixture
def limits() -> Iterator[tuple[int, int]]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_soft_limit_is_raised_to_the_hard_one_and_said(limits, caplog) -> None:
    """trust T42."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, limits[1]))
    with caplog.at_level(logging.INFO, "towpath"):
        assert raise_descriptor_limit() == limits[1]
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == limits[1]
    assert (caplog.records[0].__dict__["from"], caplog.records[0].to) == (512, limits[1])
    assert raise_descriptor_limit() == limits[1]
    assert len(caplog.records) == 1, "there is nothing more to say"


def test_a_system_that_refuses_is_no_reason_not_to_serve(limits, monkeypatch, caplog) -> None:
    def refuse(*_: object) -> None:
        raise ValueError

    resource.setrlimit(resource.RLIMIT_NOFILE, (512, limits[1]))
    monkeypatch.setattr(descriptors.resource, "setrlimit", refuse)
    assert raise_descriptor_limit() == 512
    monkeypatch.undo()
    assert caplog.records[0].limit == 512
