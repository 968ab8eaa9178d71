"""What an endpoint may look like, and what its callers see."""

import contextlib
import io
import json
from pathlib import Path

import httpx2
import pytest
from tests.support.command import wait_until
from websockets.sync.client import connect

from towpath.testing import Server


@pytest.mark.parametrize(
    ("path", "given", "expected"),
    [
        ("/model", {"json": {"x": 1}}, {"x": 2, "y": 0}),
        (
            "/model-and-query",
            {"json": {"x": 2}, "params": {"factor": 3, "tags": ["a", "b"]}},
            {"x": 6, "tags": ["a", "b"]},
        ),
        (
            "/two-models",
            {"json": {"point": {"x": 1}, "size": {"width": 2}}},
            {"x": 1, "width": 2.0},
        ),
        ("/optional-model", {}, {"x": None}),
        ("/optional-model", {"json": {"x": 1}}, {"x": 1}),
        ("/async", {"json": {"n": 1}}, 2),
        ("/async", {"params": {"n": 1}}, 2),
        ("/async", {"json": {"n": 5}, "params": {"n": 1}}, 6),
        ("/async", {"json": {}, "params": {"n": 1}}, 2),
        ("/nothing", {}, None),
        ("/nothing", {"json": {}}, None),
    ],
)
def test_parameters_come_from_where_the_table_says(client, path, given, expected) -> None:
    answer = client.post(path, **given)
    assert answer.status_code == 200, answer.text
    assert answer.json() == expected


def test_scalars_come_from_json_the_query_and_forms(client: httpx2.Client) -> None:
    full = {
        "text": "a",
        "count": 2,
        "ratio": 1.5,
        "flag": True,
        "words": ["x", "y"],
        "options": {"k": 1},
        "schema": "s",
    }
    assert client.post("/scalars", json=full).json() == full
    query = {"text": "a", "count": "2", "ratio": "1.5", "flag": "true", "words": ["x", "y"]}
    expected = {**full, "options": None, "schema": None}
    assert client.post("/scalars", params=query).json() == expected
    form = {"text": (None, "a"), "options": (None, '{"k": 1}'), "count": (None, "2")}
    assert client.post("/scalars", files=form).json()["options"] == {"k": 1}


def test_the_document_shows_scalars_in_the_body(client: httpx2.Client) -> None:
    document = client.get("/openapi.json").json()
    body = document["paths"]["/scalars"]["post"]["requestBody"]["content"]["application/json"]
    schema = document["components"]["schemas"][body["schema"]["$ref"].rpartition("/")[2]]
    assert list(schema["properties"]) == [
        "text",
        "count",
        "ratio",
        "flag",
        "words",
        "options",
        "schema",
    ]
    assert schema["required"] == ["text"]
    assert schema["properties"]["count"]["maximum"] == 5
    assert schema["properties"]["ratio"]["exclusiveMinimum"] == 0
    assert "parameters" not in document["paths"]["/scalars"]["post"]
    assert document["openapi"].startswith("3.1")
    assert document["info"]["description"] == "What endpoints may look like."
    assert "/ws" in document["x-fal-order-paths"]


def test_fastapis_own_parameters_work(client: httpx2.Client) -> None:
    answer = client.post("/native", json={"text": "x"}, headers={"User-Agent": "me"})
    assert answer.json() == {"method": "POST", "agent": "me", "depended": 7, "text": "x"}
    assert answer.headers["x-fal-billable-units"] == "3"


def test_an_answer_made_by_hand_comes_back_byte_for_byte(client: httpx2.Client) -> None:
    answer = client.post("/by-hand")
    assert (answer.status_code, answer.content) == (201, b"raw")
    assert answer.headers["content-type"] == "application/x-raw"


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/stream", [{"n": 0}, {"n": 1}]), ("/astream", [{"x": 0, "y": 0}, {"x": 1, "y": 0}])],
)
def test_a_generator_is_a_stream_of_events(
    client: httpx2.Client, path: str, expected: list
) -> None:
    answer = client.post(path, json={"n": 2})
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(line[6:]) for line in answer.text.split("\n\n") if line]
    assert events == expected
    assert client.post(path, json={"n": 0}).text == ""


def test_a_stream_that_fails_at_once_has_its_status(client: httpx2.Client) -> None:
    answer = client.post("/bad-stream", json={"url": "http://127.0.0.1:1/x"})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "url"]


def test_a_stream_whose_reader_left_is_closed(client: httpx2.Client) -> None:
    with client.stream("POST", "/endless") as answer:
        assert next(answer.iter_lines()) == "data: 1"
    wait_until(lambda: client.post("/closed").json() == 1)


def test_a_stream_gives_its_place_back_however_it_ends(serve_code) -> None:
    client, _ = serve_code(
        """
        import towpath
        class Counter(towpath.App):
            @towpath.endpoint("/")
            def count(self, to: int) -> list[int]:
                for number in range(to):
                    yield number
            @towpath.endpoint("/fail")
            def fail(self, after: int) -> list[int]:
                for number in range(after):
                    yield number
                raise RuntimeError("inner")
        """
    )
    for _ in range(3):
        with client.stream("POST", "/local/counter", json={"to": 10**9}) as answer:
            assert next(answer.iter_lines()) == "data: 0"
        assert client.post("/local/counter/fail", json={"after": 0}).status_code == 500
        with contextlib.suppress(httpx2.RemoteProtocolError):
            client.post("/local/counter/fail", json={"after": 2})
        assert client.post("/local/counter", json={"to": 1}, timeout=10).text == "data: 0\n\n"


def test_an_app_says_how_long_its_files_live_and_what_it_has_warm(client: httpx2.Client) -> None:
    answer = client.post("/file")
    assert answer.json()["expires_at"] is not None
    assert answer.headers["x-fal-runner-hints"] == "warm-model"


def test_the_code_knows_its_request(client: httpx2.Client) -> None:
    headers = {
        "X-My-Trace": "yes",
        "X-Fal-Object-Lifecycle-Preference": "{}",
        "Authorization": "Key a:b",
    }
    answer = client.post("/context", headers=headers)
    seen = answer.json()
    assert seen["id"] == answer.headers["x-fal-request-id"]
    assert (seen["app"], seen["endpoint"]) == ("local/all", "local/all/context")
    assert (seen["header"], seen["preference"]) == ("yes", "{}")
    assert seen["key"] is None, "the caller's key is the gateway's business"


def test_websockets_pass_both_ways(everything: Server) -> None:
    with connect(everything.url.replace("http", "ws") + "/local/all/ws") as socket:
        socket.send("towpath")
        assert socket.recv() == "TOWPATH"
        assert socket.recv() == b"towpath"


def test_an_upload_in_a_form_is_stored_for_an_hour(serve_code, tmp_path: Path) -> None:
    client, _ = serve_code(
        """
        import towpath
        class Uploads(towpath.App):
            @towpath.endpoint("/")
            def run(self, files: list[towpath.FileInput], note: str = "") -> dict:
                return {"urls": files, "texts": [f.as_bytes().decode() for f in files], "note": note}
        """
    )
    parts = [
        ("files", ("a.txt", io.BytesIO(b"one"))),
        ("files", ("../../b.txt", io.BytesIO(b"two"))),
    ]
    answer = client.post("/local/uploads", files=parts, data={"note": "n"}).json()
    assert (answer["texts"], answer["note"]) == (["one", "two"], "n")
    stored = httpx2.get(answer["urls"][1])
    assert stored.text == "two"
    assert "x-expires-at" in stored.headers
