"""download_file against a real server on loopback."""

import os
import stat
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from tests.support.folders import files_below
from tests.support.origin import Origin

from towpath import settings as settings_room
from towpath.errors import (
    BlockedAddressError,
    DownloadError,
    FileTooLargeError,
    InvalidURLError,
    SourceStatusError,
    TruncatedError,
)
from towpath.net.answers import Answer
from towpath.settings import Settings
from towpath.storage.hosting import Hosting
from towpath.storage.staging import NewFile
from towpath.testing.origins import Exchange, origin_of
from towpath.toolkit import download_file, download_file_async, download_model_weights

pytestmark = pytest.mark.usefixtures("settings")


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in files_below(folder))


def test_a_relative_target_lies_below_the_data_directory(origin: Origin, data_dir: Path) -> None:
    path = download_file(origin.put("/a/photo.png", b"png"), "models/")
    assert path == data_dir / "models" / "photo.png"
    assert path.read_bytes() == b"png"
    assert leftovers(path.parent) == ["photo.png"]


def test_the_mode_lets_others_read_as_the_umask_says(origin: Origin) -> None:
    path = download_file(origin.put("/a", b"x"), "in")
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


class Counted:
    """A server that counts the bytes of bodies that leave it, and heeds no condition."""

    def __init__(self, **fields: str) -> None:
        self.fields = fields
        self.left = 0
        self.over = threading.Event()

    def __call__(self, exchange: Exchange) -> None:
        try:
            exchange.head("200 OK", Content_Length=LARGE, **self.fields)
            for _ in range(LARGE // PIECE):
                exchange.send(bytes(PIECE))
                self.left += PIECE
        finally:
            self.over.set()

    def moved_by(self, call: Callable[[], Path]) -> tuple[Path, int]:
        """Return what *call* returns, and how many bytes left the server for it."""
        self.left = 0
        self.over.clear()
        path = call()
        assert self.over.wait(20)
        return path, self.left


PIECE = 64 * 1024
LARGE = 800 * PIECE
BUFFERS = LARGE // 2  # more than the kernel takes while nobody reads it
REPEATS = {
    "a file": lambda url: download_file(url, "in", connections=1),
    "weights": lambda url: download_model_weights(url, max_age=0, connections=1),
}


@pytest.mark.parametrize("kind", REPEATS)
@pytest.mark.parametrize(
    "fields",
    [{}, {"ETag": '"v1"'}, {"ETag": 'W/"v1"'}, {"Last_Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}],
    ids=["no validator", "etag", "weak etag", "date"],
)
def test_a_repeated_call_moves_no_body_byte(kind: str, fields: dict[str, str]) -> None:
    """Counted where the bytes leave: the answer is 200 with the body, and it is left unread."""
    counted = Counted(**fields)
    with origin_of({"/big.bin": counted}) as server:
        call = partial(REPEATS[kind], server.url("/big.bin"))
        first, moved = counted.moved_by(call)
        assert moved == LARGE
        before = first.stat()
        assert counted.moved_by(call) == (first, counted.left)
        assert counted.left < BUFFERS
        assert first.stat() == before
        assert len(server.seen) == 2


def test_a_body_that_is_read_though_nothing_changed_would_be_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A mutant that reads the body before it says "reuse" moves all of it."""
    counted, close = Counted(), Answer.close

    def reading(answer: Answer) -> None:
        for _ in answer.chunks():
            pass
        close(answer)

    with origin_of({"/big.bin": counted}) as server:
        call = partial(REPEATS["a file"], server.url("/big.bin"))
        call()
        monkeypatch.setattr(Answer, "close", reading)
        assert counted.moved_by(call)[1] == LARGE


def test_a_validator_makes_the_repeat_a_304(origin: Origin) -> None:
    url = origin.put("/a.bin", b"one", etag='"v1"')
    path = download_file(url, "in")
    assert download_file(url, "in") == path
    assert origin.seen[1].headers["if-none-match"] == '"v1"'


def test_another_validator_of_equal_size_is_another_file(origin: Origin) -> None:
    url = origin.put("/a.bin", b"one", etag='"v1"')
    download_file(url, "in")
    origin.put("/a.bin", b"two", etag='"v2"')
    assert download_file(url, "in").read_bytes() == b"two"


def test_equal_size_without_a_validator_is_taken_as_the_same_and_force_is_not(
    origin: Origin,
) -> None:
    url = origin.put("/a.bin", b"one")
    download_file(url, "in")
    origin.put("/a.bin", b"two")
    assert download_file(url, "in").read_bytes() == b"one"
    assert download_file(url, "in", force=True).read_bytes() == b"two"


def test_a_file_that_was_changed_on_disk_is_fetched_again(origin: Origin) -> None:
    url = origin.put("/a.bin", b"whole", etag='"v1"')
    path = download_file(url, "in")
    path.write_bytes(b"cut")
    assert download_file(url, "in").read_bytes() == b"whole"


def test_two_urls_with_one_name_keep_their_own_bytes(origin: Origin) -> None:
    first = download_file(origin.put("/a/img.bin", b"A" * 1000), "in")
    second = download_file(origin.put("/b/img.bin", b"B" * 1000), "in")
    assert first.name == "img.bin"
    assert second.name.startswith("img-")
    assert second.suffix == ".bin"
    assert first.read_bytes() == b"A" * 1000
    assert download_file(origin.url("/b/img.bin"), "in") == second
    assert download_file(origin.url("/a/img.bin"), "in").read_bytes() == b"A" * 1000


def test_two_urls_with_one_name_at_the_same_moment_keep_their_own_bytes(origin: Origin) -> None:
    urls = [origin.put(f"/{user}/photo.bin", str(user).encode() * 100_000) for user in range(8)]
    results: dict[str, bytes] = {}

    def call(url: str) -> None:
        results[url] = download_file(url, "in").read_bytes()

    threads = [threading.Thread(target=call, args=(url,)) for url in urls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for user, url in enumerate(urls):
        assert results[url] == str(user).encode() * 100_000


def test_an_unknown_file_of_equal_size_is_adopted_and_of_another_size_replaced(
    origin: Origin, data_dir: Path
) -> None:
    (data_dir / "in").mkdir(parents=True)
    (data_dir / "in" / "a.bin").write_bytes(b"mine")
    assert download_file(origin.put("/a.bin", b"your"), "in").read_bytes() == b"mine"
    assert download_file(origin.put("/a.bin", b"longer"), "in").read_bytes() == b"longer"


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ('attachment; filename="report.pdf"', "report.pdf"),
        ('attachment; filename="../../../etc/passwd"', "passwd"),
        ("attachment; filename*=UTF-8''na%C3%AFve.png", "naïve.png"),
        ('attachment; filename=".."', "x"),
    ],
)
def test_the_servers_name_is_used_when_it_is_safe(origin: Origin, header: str, name: str) -> None:
    url = origin.put("/x", b"1", headers={"Content-Disposition": header})
    assert download_file(url, "in").name == name


def test_a_url_without_a_name_gets_one_from_its_hash(origin: Origin) -> None:
    assert len(download_file(origin.put("/", b"1"), "in").name) == 32


def test_headers_are_sent_to_the_url(origin: Origin) -> None:
    url = origin.put("/gated", b"1")
    download_file(url, "in", request_headers={"Authorization": "Bearer your-token"})
    assert origin.seen[0].headers["authorization"] == "Bearer your-token"


MIB = 2**20


@pytest.mark.parametrize("declared", [-1, None])
def test_the_limit_is_exact_to_the_byte(origin: Origin, data_dir: Path, declared) -> None:
    exact = origin.put("/exact", b"x" * MIB, declared=declared)
    assert download_file(exact, "in", filesize_limit=1).stat().st_size == MIB
    over = origin.put("/over", b"x" * (MIB + 1), declared=declared)
    with pytest.raises(FileTooLargeError) as caught:
        download_file(over, "in", filesize_limit=1)
    assert (caught.value.limit, caught.value.size) == (MIB, MIB + 1)
    assert leftovers(data_dir / "in") == ["exact"]


def test_a_limit_of_zero_is_a_limit(origin: Origin) -> None:
    with pytest.raises(FileTooLargeError):
        download_file(origin.put("/a", b"x"), "in", filesize_limit=0)
    assert download_file(origin.put("/empty", b""), "in", filesize_limit=0).read_bytes() == b""


def test_an_absurd_length_is_refused_by_the_disk_before_a_byte(origin: Origin) -> None:
    with pytest.raises(DownloadError, match="disk"):
        download_file(origin.put("/a", b"x", declared=9223372036854775807), "in")


def test_the_disks_reserve_stays_free(origin: Origin, data_dir: Path) -> None:
    own = settings_room.load(data_dir=data_dir, store_reserve=2**60, allow_hosts="127.0.0.1")
    with settings_room.using(own), pytest.raises(DownloadError, match="Free some space"):
        download_file(origin.put("/a", b"x"), "in")


def test_a_cut_body_leaves_nothing_and_the_older_file_stays(origin: Origin, data_dir: Path) -> None:
    url = origin.put("/a.bin", b"good", etag='"1"')
    path = download_file(url, "in")
    origin.put("/a.bin", b"new", declared=9999, etag='"2"')
    with pytest.raises(TruncatedError) as caught:
        download_file(url, "in", patience=1)
    assert caught.value.retryable
    assert path.read_bytes() == b"good"
    assert leftovers(data_dir / "in") == ["a.bin"]


@pytest.mark.parametrize(
    ("status", "word"), [(404, "private window"), (403, "request_headers"), (500, "later")]
)
def test_a_status_says_its_number_and_what_to_do(origin: Origin, status: int, word: str) -> None:
    with pytest.raises(SourceStatusError, match=word) as caught:
        url = origin.put("/a?token=s3cret", status=status) + "?token=s3cret"
        download_file(url, "in", patience=1)
    assert caught.value.status == status
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("status", [204, 206, 304])
def test_an_answer_without_a_file_is_refused(origin: Origin, status: int) -> None:
    with pytest.raises(DownloadError, match=str(status)):
        download_file(origin.put("/a", b"", status=status), "in")


def test_a_data_uri_is_decoded_without_a_request(data_dir: Path) -> None:
    path = download_file("data:text/plain;base64,aGVsbG8=", "in")
    assert path.read_bytes() == b"hello"
    assert path.suffix == ".txt"
    assert download_file("data:text/plain;base64,aGVsbG8=", "in") == path
    with pytest.raises(FileTooLargeError):
        download_file("data:text/plain;base64,aGVsbG8=", "in", filesize_limit=4 / MIB)


@pytest.mark.parametrize("url", ["ftp://x.test/a", "file:///etc/passwd", "s3://bucket/key", "x"])
def test_other_schemes_are_refused(url: str) -> None:
    with pytest.raises(InvalidURLError):
        download_file(url, "in")


def test_a_folder_in_the_way_is_named(origin: Origin, data_dir: Path) -> None:
    (data_dir / "in" / "a.bin").mkdir(parents=True)
    with pytest.raises(DownloadError, match=r"a\.bin.*folder"):
        download_file(origin.put("/a.bin", b"x"), "in")


def test_a_link_is_replaced_and_never_followed(
    origin: Origin, data_dir: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"keep")
    (data_dir / "in").mkdir(parents=True)
    (data_dir / "in" / "a.bin").symlink_to(outside)
    path = download_file(origin.put("/a.bin", b"four"), "in")
    assert outside.read_bytes() == b"keep"
    assert not path.is_symlink()
    assert path.read_bytes() == b"four"


def test_an_unwritable_folder_is_named(origin: Origin, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(DownloadError, match="file"):
        download_file(origin.put("/a", b"x"), tmp_path / "file" / "below")


def test_parts_of_dead_processes_are_swept(origin: Origin, data_dir: Path) -> None:
    (data_dir / "in").mkdir(parents=True)
    (data_dir / "in" / ".a.bin.deadbeef.part").write_bytes(b"half")
    download_file(origin.put("/a.bin", b"x"), "in")
    assert leftovers(data_dir / "in") == ["a.bin"]


def test_the_longest_name_that_a_file_may_have_is_downloaded(origin: Origin) -> None:
    name = "n" * 251 + ".bin"
    url = origin.put("/x", b"1", headers={"Content-Disposition": f'attachment; filename="{name}"'})
    assert download_file(url, "in").name == name


def test_sixteen_callers_of_one_url_all_get_the_file(origin: Origin, data_dir: Path) -> None:
    url = origin.put("/a.bin", b"x" * 300_000)
    results: list[bytes] = []

    def call() -> None:
        results.append(download_file(url, "in").read_bytes())

    threads = [threading.Thread(target=call) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [b"x" * 300_000] * 16
    assert leftovers(data_dir / "in") == ["a.bin"]


async def _download(url: str) -> Path:
    return await download_file_async(url, "in")


def test_the_async_twin_does_the_same(origin: Origin) -> None:
    import asyncio

    assert asyncio.run(_download(origin.put("/a", b"x"))).read_bytes() == b"x"


def test_our_own_file_urls_are_read_without_a_connection(hosting: Hosting) -> None:
    _, url = hosting.save(NewFile(b"mine", "mine.txt", "text/plain"))
    path = download_file(url, "in")
    assert path.name == "mine.txt"
    assert path.read_bytes() == b"mine"
    spelled = url.replace("127.0.0.1", "localhost")
    assert download_file(spelled, "in").read_bytes() == b"mine"


def test_an_expired_file_of_our_own_is_gone(hosting: Hosting) -> None:
    record, url = hosting.save(NewFile(b"mine", "mine.txt", "text/plain", lifetime=3600))
    hosting.store._clock = lambda: record.created + 3601
    with pytest.raises(SourceStatusError) as caught:
        download_file(url, "in")
    assert caught.value.status == 410


def test_a_private_host_may_be_allowed_for_one_call(
    origin: Origin, strict_settings: Settings
) -> None:
    url = origin.put("/a", b"x")
    with pytest.raises(BlockedAddressError, match="TOWPATH_ALLOW_HOSTS"):
        download_file(url, "in")
    assert download_file(url, "in", allow_hosts=["127.0.0.1"]).read_bytes() == b"x"
