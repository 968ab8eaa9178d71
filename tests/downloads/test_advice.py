"""Callers of a server read why their URL is refused; advice for the author ends the message."""

from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import NoReturn

import obstore.exceptions
import pytest
from tests.support.origin import Origin

from towpath.archives import opening as archives
from towpath.archives import tarred
from towpath.archives.members import Budget
from towpath.downloads import cloud_source, git, opening
from towpath.errors import DownloadError, MediaError
from towpath.net.patience import Patience
from towpath.toolkit import download_file

pytestmark = pytest.mark.usefixtures("settings")
FOR_AUTHORS = ("pass ", "request_headers", "sources=", "patience=", "target_dir", "credentials")
FOR_AUTHORS += ("install", "environment", "raise ")


def failing(error: type[BaseException]) -> Callable[..., NoReturn]:
    def fail(*_: object, **__: object) -> NoReturn:
        raise error("x")

    return fail


def told_and_whole(call: Callable[[], object]) -> tuple[str, str]:
    """Return what callers and authors read of the error that *call* ends with."""
    with pytest.raises((DownloadError, MediaError)) as caught:
        call()
    return caught.value.told, str(caught.value)


def assert_split(told: str, whole: str, reason: str, advice: str) -> None:
    assert reason in told
    assert told.endswith((".", ")"))
    assert not [word for word in FOR_AUTHORS if word in told.lower().replace("passwords", "")]
    assert whole.startswith(told)
    assert whole.endswith(advice)


@pytest.mark.parametrize("url", ["s3://b/k", "gs://b/k", "hf://o/r/f"])
def test_a_scheme_that_the_author_did_not_ask_for(url: str, tmp_path: Path) -> None:
    """Issue 18."""
    told, whole = told_and_whole(lambda: download_file(url, tmp_path))
    assert_split(told, whole, "Use http or https.", "with the credentials of this process.")


def test_a_url_with_a_password(tmp_path: Path) -> None:
    """Issue 18."""
    told, whole = told_and_whole(lambda: download_file("http://user:pw@host.test/", tmp_path))
    assert_split(told, whole, "are not used. Leave them out.", "Pass request_headers to sign in.")


@pytest.mark.parametrize("status", [401, 403])
def test_a_url_that_needs_a_sign_in(origin: Origin, tmp_path: Path, status: int) -> None:
    url = origin.put("/a", status=status)
    call = partial(download_file, url, tmp_path, allow_hosts=["127.0.0.1"])
    told, whole = told_and_whole(call)
    assert_split(told, whole, "upload the file.", "Pass request_headers to sign in.")


def test_a_file_over_the_limit(origin: Origin, tmp_path: Path) -> None:
    url = origin.put("/a", bytes(2**20 + 1))
    call = partial(download_file, url, tmp_path, filesize_limit=1, allow_hosts=["127.0.0.1"])
    told, whole = told_and_whole(call)
    assert_split(
        told, whole, "1048577 bytes, and the limit is 1048576.", "Raise the limit to take it."
    )


@pytest.mark.parametrize("came", [0, 5])
def test_a_slow_host(came: int) -> None:
    patience = Patience("http://x.test/", 0.01)
    patience.note(came)
    patience.wait(0.02)
    told, whole = told_and_whole(patience.remaining)
    assert_split(told, whole, "the host", "Wait longer with patience= (now 0.01 s).")


def test_a_folder_that_cannot_be_written() -> None:
    told, whole = told_and_whole(lambda: download_file("data:,x", "/proc/nowhere"))
    assert_split(told, whole, "cannot be written", "Choose another target_dir.")


def test_what_is_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls: list[tuple[Callable[[], object], str, str]] = [
        (
            lambda: download_file("s3://b/k", tmp_path, sources={"s3"}),
            "not read here. Use http or https.",
            "pip install 'towpath[cloud]'.",
        ),
        (lambda: git.Git("https://a.test/r").run("version"), "not read here.", "which is missing."),
        (
            lambda: archives._seven_zip(BytesIO(), Budget(1, 1, 1, 1), "https://a.test/x.7z"),
            "Use ZIP or tar.gz. (https://a.test/x.7z)",
            "pip install 'towpath[archives]'.",
        ),
        (
            lambda: next(iter(tarred._zstd(BytesIO()))),
            "Use ZIP or tar.gz.",
            "pip install 'towpath[archives]'.",
        ),
    ]
    for room in (opening, archives, tarred):
        monkeypatch.setattr(room, "import_module", failing(ImportError))
    monkeypatch.setattr(git.subprocess, "run", failing(FileNotFoundError))
    for call, reason, advice in calls:
        assert_split(*told_and_whole(call), reason, advice)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (obstore.exceptions.NotFoundError, "answered 404. Check bucket and key."),
        (obstore.exceptions.PermissionDeniedError, "answered 403. Check bucket and key."),
    ],
)
def test_an_object_store(
    monkeypatch: pytest.MonkeyPatch, error: type[BaseException], reason: str
) -> None:
    monkeypatch.setattr(cloud_source.obstore, "get", failing(error))
    call = cloud_source.CloudSource().open("s3://b/k", headers={}).__enter__
    assert_split(*told_and_whole(call), reason, "Check the credentials of this process.")


def test_an_object_store_without_a_way_to_sign_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud_source, "_store", failing(obstore.exceptions.GenericError))
    told, whole = told_and_whole(lambda: cloud_source._store_of("az://b/k", "az", "b"))
    assert_split(told, whole, "cannot be read by this server.", "credentials of this process.")
