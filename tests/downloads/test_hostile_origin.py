"""Every way in which a server can misbehave, and what comes of it."""

from pathlib import Path

import pytest
from tests.support.downloads import everything_in

from towpath import errors
from towpath.errors import DownloadError, FileTooLargeError
from towpath.testing import Origin, hostile_origin
from towpath.testing.misbehaviours import BODY, LARGE, MISBEHAVIOURS, Misbehaviour
from towpath.toolkit import download_file

pytestmark = pytest.mark.usefixtures("settings")


@pytest.fixture(scope="module")
def hostile():
    with hostile_origin() as origin:
        yield origin


@pytest.mark.parametrize("case", MISBEHAVIOURS, ids=lambda case: case.path)
def test_a_server_that(case: Misbehaviour, hostile: Origin, data_dir: Path) -> None:
    limit = 8 if case.outcome == "FileTooLargeError" else None
    url = hostile.url(f"{case.path}?token=s3cret")
    if case.outcome.islower():
        path = download_file(url, "in", patience=12)
        expected = {"small": BODY, "large": LARGE}.get(case.outcome)
        assert expected is None or path.read_bytes() == expected
        assert [each.name for each in (data_dir / "in").iterdir()] == [path.name]
        return
    with pytest.raises(getattr(errors, case.outcome)) as caught:
        download_file(url, "in", patience=1.5, filesize_limit=limit)
    assert isinstance(caught.value, DownloadError)
    assert "s3cret" not in str(caught.value)
    assert len(str(caught.value)) < 600
    assert everything_in(data_dir) == []


def test_every_case_is_there_once() -> None:
    paths = [case.path for case in MISBEHAVIOURS]
    assert len(paths) == len(set(paths)) > 70


def test_an_endless_body_stops_at_the_limit_to_the_byte(hostile: Origin) -> None:
    with pytest.raises(FileTooLargeError) as caught:
        download_file(hostile.url("/endless"), "in", filesize_limit=2)
    assert caught.value.limit == 2 * 2**20
