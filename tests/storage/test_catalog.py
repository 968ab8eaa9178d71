"""The index of the store, on SQLite and on PostgreSQL: the same answers from both."""

import gc
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, inspect, text
from tests.support.postgres import postgres

from towpath.database import open_sqlite
from towpath.errors import StoreUnusableError
from towpath.storage.catalog import Catalog, open_catalog
from towpath.storage.file_store import new_file_id
from towpath.storage.records import StoredFile, Usage, Wanted

ENGINES = [pytest.mark.engines, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=ENGINES)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    if request.param == "sqlite":
        own = open_sqlite(tmp_path / "index.db", is_derived=True)
    else:
        own = create_engine(request.getfixturevalue("server"))
        with own.begin() as connection:
            connection.execute(text("DROP TABLE IF EXISTS files, towpath_versions"))
    yield own
    own.dispose()


@pytest.fixture
def catalog(engine: Engine) -> Iterator[Catalog]:
    own = Catalog(engine)
    yield own
    own.close()


def record(number: int = 0, **changes) -> StoredFile:
    values = {
        "id": new_file_id(),
        "name": f"ä {number}",
        "content_type": "image/png",
        "size": 3_000_000_000 + number,
        "sha256": f"{number:064x}",
        "created": 1000.125 + number,
        "expires": None,
        "owner": "me",
        "access": "public",
    }
    return StoredFile(**values | changes)


def test_what_is_written_is_found(catalog: Catalog) -> None:
    rows = [record(1), record(2, expires=5_000_000_000), record(3, access="hide", name="")]
    catalog.add(rows)
    assert [catalog.find(row.id) for row in rows] == rows
    assert catalog.find(new_file_id()) is None
    catalog.add([])


def test_a_row_that_exists_stays(catalog: Catalog) -> None:
    first = record(1)
    catalog.add([first])
    catalog.add([record(2, id=first.id), record(3)])
    assert catalog.find(first.id) == first
    assert catalog.totals()[0] == 2


def test_pages_are_in_order_and_without_gaps(catalog: Catalog) -> None:
    rows = [record(number // 3, owner="ab"[number % 2]) for number in range(20)]
    catalog.add(rows)
    seen, after = [], None
    while page := catalog.page(Wanted(2000.0, owner="a", after=after, limit=3)):
        seen += page
        after = (page[-1].created, page[-1].id)
    expected = sorted((row for row in rows if row.owner == "a"), key=lambda r: (r.created, r.id))
    assert seen == expected


def test_lives_end_and_are_listed_apart(catalog: Catalog) -> None:
    kept, short, long = record(1), record(2, expires=1500), record(3, expires=2500)
    catalog.add([kept, short, long])
    assert catalog.expired(2000.0, limit=10) == [short]
    assert catalog.page(Wanted(2000.0)) == [kept, long]
    assert catalog.page(Wanted(2000.0, expired=True)) == [short]
    catalog.mark_gone([short.id])
    assert catalog.expired(2000.0, limit=10) == []
    assert catalog.find(short.id) == short, "so that it goes on answering 410"
    catalog.set_expiry(long.id, 1900)
    assert [file.id for file in catalog.expired(2000.0, limit=10)] == [long.id]
    catalog.set_expiry(long.id, None)
    assert catalog.expired(10**10, limit=10) == []


def test_usage_is_by_owner_the_largest_first(catalog: Catalog) -> None:
    catalog.add([record(owner="a", size=1), record(owner="a", size=2), record(owner="b", size=9)])
    catalog.add([record(owner="c", size=100, expires=10)])
    assert catalog.usage(1000.0) == [Usage("b", 1, 9), Usage("a", 2, 3)]
    assert catalog.totals() == (4, 112)


def test_lost_bytes_are_forgotten_and_expired_ones_are_not(catalog: Catalog) -> None:
    kept, lost, over = record(1), record(2), record(3, expires=10)
    catalog.add([kept, lost, over])
    catalog.lose([lost.id, over.id], 1000.0)
    assert catalog.find(lost.id) is None
    assert catalog.find(over.id) == over
    assert catalog.totals()[0] == 1
    catalog.forget([kept.id])
    assert catalog.find(kept.id) is None


def test_ids_are_walked_in_order(catalog: Catalog) -> None:
    rows = sorted((record(number) for number in range(30)), key=lambda row: row.id)
    catalog.add(rows)
    seen, last = [], ""
    while ids := catalog.older(5000.0, after=last, limit=7):
        seen += ids
        last = ids[-1]
    assert seen == [row.id for row in rows]
    assert catalog.older(1000.0, after="", limit=7) == []
    strangers = [new_file_id() for _ in range(3)]
    assert catalog.unknown([*strangers, rows[0].id]) == strangers


def test_threads_share_it(catalog: Catalog) -> None:
    def work(number: int) -> None:
        for turn in range(30):
            row = record(number * 100 + turn)
            catalog.add([row])
            assert catalog.find(row.id) == row

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert catalog.totals()[0] == 180


# --- its form ---


def test_tables_of_the_first_version_are_brought_to_the_newest(engine: Engine) -> None:
    """As towpath 0.1.0 before access and versions made them."""
    Catalog(engine)
    old = record(7)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE files DROP COLUMN access"))
        connection.execute(text("DROP TABLE towpath_versions"))
        connection.execute(
            text(
                "INSERT INTO files (id, name, content_type, size, sha256, created, owner, gone)"
                " VALUES (:id, :name, :content_type, :size, :sha256, :created, :owner, false)"
            ),
            {name: getattr(old, name) for name in StoredFile.__slots__},
        )
    catalog = Catalog(engine)
    assert catalog.find(old.id) == old
    catalog.add([record(8, access="forbid")])
    catalog.close()
    assert Catalog(engine).totals()[0] == 2, "and that is done once"


def test_many_processes_may_make_it_at_once(engine: Engine) -> None:
    failures = []

    def make() -> None:
        own = create_engine(engine.url)
        try:
            Catalog(own).totals()
        except Exception as error:
            failures.append(error)
        finally:
            own.dispose()

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert inspect(engine).has_table("files")


def test_tables_of_a_newer_version_are_left_alone(engine: Engine) -> None:
    Catalog(engine).add([record(1)])
    with engine.begin() as connection:
        connection.execute(text("UPDATE towpath_versions SET version = 99"))
    with pytest.raises(StoreUnusableError, match="newer towpath"):
        Catalog(engine)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM files")).scalar() == 1


def test_a_broken_index_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    path.write_bytes(b"this is no database" * 1000)
    catalog = open_catalog(path)
    assert catalog.totals() == (0, 0)
    catalog.close()
    assert (tmp_path / "index.db.broken").exists()
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM files").fetchone() == (0,)
    connection.close()


def test_an_index_that_nobody_holds_any_more_is_closed(tmp_path: Path) -> None:
    catalog = open_catalog(tmp_path / "index.db")
    driver = catalog._direct._reader.driver_connection
    driver.execute("SELECT 1")
    del catalog
    gc.collect()
    with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
        driver.execute("SELECT 1")


def test_an_index_may_be_closed_twice(tmp_path: Path) -> None:
    catalog = open_catalog(tmp_path / "index.db")
    catalog.close()
    catalog.close()
