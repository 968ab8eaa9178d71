"""What a stranger hears of a refused URL, and what the operator does (trust T17)."""

from collections.abc import Iterator

import httpx2
import pytest
from tests.support.command import Command, write
from tests.support.queued import result, status, submit

pytestmark = pytest.mark.timeout(120)  # a server starts
CODE = """
import towpath
from towpath.errors import DownloadError
from towpath.toolkit import download_file

class Fetch(towpath.App):
    name = "fetch"

    @towpath.endpoint("/input")
    def of_an_input(self, image_url: towpath.ImageInput) -> dict:
        return {"bytes": len(image_url.as_bytes())}

    @towpath.endpoint("/built")
    def of_a_built_url(self, host: str) -> dict:
        return {"path": str(download_file("http" + "://" + host + ":9/x", "in"))}

    @towpath.endpoint("/told")
    def told(self, host: str) -> dict:
        try:
            download_file("http" + "://" + host + ":9/x", "in")
        except DownloadError as error:
            return {"said": str(error), "notes": getattr(error, "__notes__", [])}

    @towpath.endpoint("/store")
    def of_a_store(self, url: str) -> dict:
        return {"path": str(download_file(url, "in"))}

    @towpath.endpoint("/folder")
    def of_a_folder(self, url: str) -> dict:
        return {"path": str(download_file(url, "/proc/nowhere"))}
"""
CALLS = {
    "input": {"image_url": "http://localhost:9/x"},
    "built": {"host": "localhost"},
    "told": {"host": "localhost"},
    "store": {"url": "s3://bucket/key"},
    "folder": {"url": "data:,x"},
}
ADVISED = {
    "s3://bucket/key": ("Use http or https.", "Pass sources={'s3'}"),
    "http://user:pw@host.invalid/": ("Leave them out.", "Pass request_headers"),
}
TOKEN = {"TOWPATH_ADMIN_TOKEN": "a-token-of-the-operator"}  # so that a caller is a stranger
INSIDE = ("127.0.0.1", "::1", "TOWPATH_", "/proc/nowhere", "resolves")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    folder = tmp_path_factory.mktemp("refused")
    app, data = write(folder, "app.py", CODE), str(folder / "data")
    with Command(app, "--port", "0", "--data-dir", data, env=TOKEN) as command:
        command.wait_for("ready in", 90)
        yield command


@pytest.mark.parametrize("path", CALLS)
def test_a_stranger_is_told_nothing_of_ours(server: Command, path: str) -> None:
    answer = httpx2.post(f"{server.url}/local/fetch/{path}", json=CALLS[path], timeout=30)
    assert answer.status_code in {200, 422, 500}
    assert not [word for word in INSIDE if word in answer.text], answer.text


def test_advice_for_the_author_is_in_the_log_and_not_in_the_answer(server: Command) -> None:
    """Issue 18: whoever gave the URL was told to pass arguments of a function."""
    for url, (told, advice) in ADVISED.items():
        answer = httpx2.post(f"{server.url}/local/fetch/store", json={"url": url}, timeout=30)
        (entry,) = answer.json()["detail"]
        assert (answer.status_code, entry["loc"]) == (422, ["body", "url"])
        assert entry["msg"].endswith(told)
        assert "pass" not in entry["msg"].lower().replace("passwords", "")
        server.wait_for(advice)


@pytest.mark.parametrize("path", CALLS)
def test_nor_by_the_queue_or_its_log(server: Command, path: str) -> None:
    given = submit(server.url, f"fetch/{path}", CALLS[path])
    said = result(given).text + str(status(given)["logs"])
    for ours in ("127.0.0.1:9", "address 127.0.0.1", "::1,", "TOWPATH_", "is not public;"):
        assert ours not in said


def test_the_operator_reads_both_in_the_log_of_the_request(server: Command) -> None:
    given = submit(server.url, "fetch/input", CALLS["input"])
    result(given)
    operator = {"authorization": f"Bearer {TOKEN['TOWPATH_ADMIN_TOKEN']}"}
    answer = httpx2.get(f"{given['status_url']}?logs=1", headers=operator)
    said = str(answer.json()["logs"])
    assert "to which localhost resolves, is not public" in said
    assert "TOWPATH_ALLOW_HOSTS=localhost" in said


def test_the_sentence_says_why_and_what_to_do(server: Command) -> None:
    answer = httpx2.post(f"{server.url}/local/fetch/input", json=CALLS["input"], timeout=30)
    assert answer.status_code == 422
    assert "not public. Upload the file instead." in answer.json()["detail"][0]["msg"]


def test_the_operator_is_told_both(server: Command) -> None:
    for path, body in CALLS.items():
        httpx2.post(f"{server.url}/local/fetch/{path}", json=body, timeout=30)
    server.wait_for("to which localhost resolves, is not public")
    server.wait_for("TOWPATH_ALLOW_HOSTS=localhost")
    server.wait_for("TOWPATH_SOURCES=s3")
    server.wait_for("/proc/nowhere")
