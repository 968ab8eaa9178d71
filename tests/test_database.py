"""What SQLite is told to sync: the queue waits for the disk, a derived index does not."""

from pathlib import Path

import pytest

from towpath.database import open_database, open_sqlite

OFF, NORMAL, FULL = range(3)


@pytest.mark.parametrize(
    ("opened", "syncing"),
    [
        (lambda path: open_database(f"sqlite:///{path}"), FULL),
        (open_sqlite, FULL),
        (lambda path: open_sqlite(path, is_derived=True), NORMAL),
    ],
    ids=["the queue", "a file", "a derived index"],
)
def test_every_connection_syncs_as_it_is_promised(opened, syncing: int, tmp_path: Path) -> None:
    """Trust section 4: a test named after syncing looked at the journal's mode only."""
    engine = opened(tmp_path / "a.db")
    connections = [engine.connect() for _ in range(3)]
    for connection in connections:
        told = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
        assert told == ["wal", syncing, 1]
        connection.close()
    engine.dispose()
