"""What all tests share: settings of their own, a store, a web server that does what it is told."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from tests.support.origin import Origin
from towpath import settings as settings_room
from towpath.settings import Settings
from towpath.storage.hosting import Hosting, hosting_of, using_hosting

# A busy machine makes no test fail: what takes too long meets the limit of the whole run.
hypothesis_settings.register_profile(
    "towpath", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("towpath")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No setting of the machine reaches a test."""
    for name in tuple(settings_room.os.environ):
        if name.startswith("TOWPATH_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def settings(data_dir: Path) -> Iterator[Settings]:
    """Settings with a data directory of the test's own; loopback hosts are allowed."""
    own = settings_room.load(data_dir=data_dir, store_reserve=0, allow_hosts=("127.0.0.1",))
    with settings_room.using(own):
        yield own


@pytest.fixture
def strict_settings(data_dir: Path) -> Iterator[Settings]:
    """Settings that allow no private host."""
    own = settings_room.load(data_dir=data_dir, store_reserve=0)
    with settings_room.using(own):
        yield own


@pytest.fixture
def hosting(settings: Settings) -> Iterator[Hosting]:
    """A process that can save files."""
    own = hosting_of(settings, owner="local/test")
    with using_hosting(own):
        yield own
        own.store.close()


@pytest.fixture
def origin() -> Iterator[Origin]:
    """A web server on loopback that answers as the test says."""
    with Origin() as server:
        yield server
