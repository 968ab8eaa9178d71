"""What an endpoint may look like, and what its callers see."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import httpx2
import pytest
from websockets.sync.client import connect

from towpath.testing import Server, serve

CODE = '''
    import asyncio
    import threading
    from typing import Annotated, AsyncIterator, Iterator

    from fastapi import Depends, Header, HTTPException, Request, Response, WebSocket
    from pydantic import BaseModel, Field
    import towpath


    class Point(BaseModel):
        x: int
        y: int = 0


    class Size(BaseModel):
        width: float


    class Everything(towpath.App, name="all", max_multiplexing=8):
        """What endpoints may look like."""

        async def setup(self):
            self.ready = True

        @towpath.endpoint("/model")
        def model(self, point: Point) -> Point:
            return Point(x=point.x + 1, y=point.y)

        @towpath.endpoint("/model-and-query")
        def model_and_query(self, point: Point, factor: int = 1, tags: list[str] = []) -> dict:
            return {"x": point.x * factor, "tags": tags}

        @towpath.endpoint("/two-models")
        def two_models(self, point: Point, size: Size) -> dict:
            return {"x": point.x, "width": size.width}

        @towpath.endpoint("/scalars")
        def scalars(
            self,
            text: str,
            count: Annotated[int, Field(ge=1, le=5)] = 1,
            ratio: float = Field(default=0.5, gt=0),
            flag: bool = False,
            words: list[str] = [],
            options: dict[str, int] | None = None,
            schema: str | None = None,
        ) -> dict:
            return {
                "text": text, "count": count, "ratio": ratio, "flag": flag,
                "words": words, "options": options, "schema": schema,
            }

        @towpath.endpoint("/native")
        def native(
            self,
            request: Request,
            response: Response,
            agent: Annotated[str, Header(alias="user-agent")],
            depended: Annotated[int, Depends(lambda: 7)],
            text: str = "t",
        ) -> dict:
            response.headers["x-fal-billable-units"] = "3"
            return {"method": request.method, "agent": agent, "depended": depended, "text": text}

        @towpath.endpoint("/async")
        async def is_async(self, n: int) -> int:
            await asyncio.sleep(0)
            return n + 1

        @towpath.endpoint("/nothing")
        def nothing(self) -> None:
            return None

        @towpath.endpoint("/by-hand")
        def by_hand(self) -> Response:
            return Response(b"raw", status_code=201, media_type="application/x-raw")

        @towpath.endpoint("/stream")
        def stream(self, n: int) -> Iterator[dict]:
            for number in range(n):
                yield {"n": number}

        @towpath.endpoint("/astream")
        async def astream(self, n: int) -> AsyncIterator[Point]:
            for number in range(n):
                yield Point(x=number)

        @towpath.endpoint("/bad-stream")
        def bad_stream(self, url: str) -> Iterator[dict]:
            towpath.download_file(url, "in")
            yield {}

        @towpath.endpoint("/context")
        def context(self) -> dict:
            seen = []
            context = self.current_request
            request = towpath.current_request()
            assert request is context
            return {
                "id": request.request_id, "app": request.app, "endpoint": request.endpoint,
                "header": request.headers.get("x-fal-custom"),
                "preference": request.lifecycle_preference,
                "key": request.headers.get("authorization"),
            }

        @towpath.endpoint("/raise")
        def fail(self, what: str, url: str = "") -> dict:
            if what == "error":
                raise RuntimeError("secret inner text")
            if what == "http":
                raise HTTPException(418, "teapot")
            if what == "input":
                raise towpath.InputError("scale is too large", "scale", ctx={"max": 4})
            if what == "own-url":
                towpath.download_file("http://127.0.0.1:1/own", "in")
            if what == "nested":
                towpath.File(url=url).as_bytes()
            if what == "pil":
                towpath.Image(url=url).to_pil()
            return {}

        @towpath.endpoint("/ws", is_websocket=True)
        async def ws(self, websocket: WebSocket) -> None:
            await websocket.accept()
            async for text in websocket.iter_text():
                await websocket.send_text(text.upper())
                await websocket.send_bytes(text.encode())
'''


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("app")
    (folder / "app.py").write_text(dedent(CODE))
    with serve(str(folder / "app.py"), data_dir=folder / "data", store_reserve=0) as own:
        yield own


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server.url + "/local/all", timeout=30) as own:
        yield own


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


def test_the_code_knows_its_request(client: httpx2.Client) -> None:
    headers = {
        "X-Fal-Custom": "yes",
        "X-Fal-Object-Lifecycle-Preference": "{}",
        "Authorization": "Key a:b",
    }
    answer = client.post("/context", headers=headers)
    seen = answer.json()
    assert seen["id"] == answer.headers["x-fal-request-id"]
    assert (seen["app"], seen["endpoint"]) == ("local/all", "local/all/context")
    assert (seen["header"], seen["preference"]) == ("yes", "{}")
    assert seen["key"] is None, "the caller's key is the gateway's business"


def test_websockets_pass_both_ways(server: Server) -> None:
    with connect(server.url.replace("http", "ws") + "/local/all/ws") as socket:
        socket.send("towpath")
        assert socket.recv() == "TOWPATH"
        assert socket.recv() == b"towpath"


# --- what goes wrong -----------------------------------------------------------------------------


def test_an_exception_of_the_app_tells_nothing(client: httpx2.Client) -> None:
    answer = client.post("/raise", json={"what": "error"})
    assert answer.status_code == 500
    assert answer.json() == {"detail": "Internal Server Error"}
    assert "x-fal-request-id" in answer.headers


def test_an_http_exception_is_passed_on(client: httpx2.Client) -> None:
    answer = client.post("/raise", json={"what": "http"})
    assert (answer.status_code, answer.json()) == (418, {"detail": "teapot"})


def test_an_input_error_stands_at_its_field(client: httpx2.Client) -> None:
    answer = client.post("/raise", json={"what": "input"})
    assert answer.status_code == 422
    assert answer.json()["detail"] == [
        {
            "loc": ["body", "scale"],
            "msg": "scale is too large",
            "type": "value_error",
            "ctx": {"max": 4},
        }
    ]


@pytest.mark.parametrize(
    ("inputs", "kind"),
    [
        ({"what": "nested", "url": "http://127.0.0.1:1/x?token=s3cret"}, "file_download_error"),
        ({"what": "nested", "url": "data:;base64,!!"}, "file_download_error"),
        ({"what": "pil", "url": "data:image/png;base64,aGVsbG8="}, "image_load_error"),
    ],
)
def test_a_bad_file_is_the_callers_fault_at_the_input_that_named_it(client, inputs, kind) -> None:
    answer = client.post("/raise", json=inputs)
    assert answer.status_code == 422
    [entry] = answer.json()["detail"]
    assert (entry["loc"], entry["type"]) == (["body", "url"], kind)
    assert "s3cret" not in answer.text


def test_a_bad_file_that_the_app_chose_is_the_apps_fault(client: httpx2.Client) -> None:
    answer = client.post("/raise", json={"what": "own-url"})
    assert (answer.status_code, answer.json()) == (500, {"detail": "Internal Server Error"})


@pytest.mark.parametrize(
    ("content", "type_", "word"),
    [
        (b"{", "json_invalid", "JSON"),
        (b"[1, 2", "json_invalid", "JSON"),
        (b'{"n": NaN}', "json_invalid", "NaN"),
        (b'{"n": Infinity}', "json_invalid", "Infinity"),
        (b'{"n": 1e400}', "json_invalid", "too large"),
        (b'{"n": "\xff"}', "json_invalid", "UTF-8"),
        (b"[" * 100_000, "json_invalid", "JSON"),
        (b'{"n": ' + b"[" * 65 + b"]" * 65 + b"}", "json_invalid", "64 levels"),
        (b'{"n": ' + b"9" * 5000 + b"}", "json_invalid", ""),
        (b"[]", "model_attributes_type", ""),
        (b'"text"', "model_attributes_type", ""),
        (b"null", "model_attributes_type", ""),
        (b'{"n": "' + b"x" * 500 + b'"}', "int_parsing", ""),
        (b'{"n": "\\ud800"}', "string_unicode", ""),
    ],
)
def test_bad_json_is_a_short_422(
    client: httpx2.Client, content: bytes, type_: str, word: str
) -> None:
    answer = client.post("/async", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 422, answer.text
    [entry] = answer.json()["detail"]
    assert entry["type"] == type_
    assert entry["loc"][0] == "body"
    assert word in entry["msg"]
    assert len(answer.content) < 1000
    assert answer.headers["x-fal-billable-units"] == "0"


def test_a_missing_field_and_a_wrong_type_are_named_with_the_value(client: httpx2.Client) -> None:
    answer = client.post("/scalars", json={"count": "many", "ratio": 0})
    entries = {entry["loc"][1]: entry for entry in answer.json()["detail"]}
    assert entries["text"]["type"] == "missing"
    assert "input" not in entries["text"]
    assert (entries["count"]["type"], entries["count"]["input"]) == ("int_parsing", "many")
    assert "greater than 0" in entries["ratio"]["msg"]


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/xml"},
        {"content-type": "application/json", "content-encoding": "gzip"},
        {},
    ],
)
def test_another_kind_of_body_is_415(client: httpx2.Client, headers: dict) -> None:
    answer = client.post("/async", content=b"n=1", headers=headers)
    assert answer.status_code == 415
    assert "application/json" in answer.json()["detail"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_only_post_runs_an_endpoint(client: httpx2.Client, method: str) -> None:
    answer = client.request(method, "/async")
    assert (answer.status_code, answer.json()) == (405, {"detail": "Method Not Allowed"})


@pytest.mark.parametrize("path", ["/nope", "/async/more"])
def test_an_unknown_endpoint_lists_the_known(client: httpx2.Client, path: str) -> None:
    answer = client.post(path, json={})
    assert answer.status_code == 404
    assert answer.json()["detail"].startswith(f"Path {path} not found")
    assert "/two-models" in answer.json()["detail"]
    assert answer.headers["x-fal-billable-units"] == "0"


def test_a_trailing_slash_changes_nothing(client: httpx2.Client) -> None:
    assert client.post("/async/", json={"n": 1}).json() == 2


def test_the_health_of_an_app_is_its_own(client: httpx2.Client) -> None:
    assert client.get("/health").json() == {"status": "ok"}


def test_a_body_over_the_limit_is_413_and_read_no_further(serve_code) -> None:
    client, _ = serve_code(
        """
        import towpath
        class Small(towpath.App):
            @towpath.endpoint("/")
            def run(self, text: str) -> int:
                return len(text)
        """,
        max_body_bytes="1KiB",
    )
    room = 1024 - len(b'{"text":""}')
    assert client.post("/local/small", json={"text": "x" * room}).json() == room
    answer = client.post("/local/small", json={"text": "x" * (room + 1)})
    assert answer.status_code == 413
    assert "TOWPATH_MAX_BODY_BYTES" in answer.json()["detail"]

    def endless() -> Iterator[bytes]:
        for _ in range(10_000):
            yield b"x" * 1000

    try:
        answer = client.post(
            "/local/small", content=endless(), headers={"content-type": "application/json"}
        )
    except httpx2.WriteError:
        return  # the server hung up while we were still sending
    assert answer.status_code == 413


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
