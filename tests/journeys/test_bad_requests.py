"""What goes wrong, and how a caller is told."""

from collections.abc import Iterator

import httpx2
import pytest


def test_an_exception_of_the_app_tells_nothing(client: httpx2.Client) -> None:
    answer = client.post("/raise", json={"what": "error"})
    assert answer.status_code == 500
    assert answer.json() == {"detail": "Internal Server Error"}
    assert "x-fal-request-id" in answer.headers


def test_an_exception_of_the_app_harms_no_request_after_it(client: httpx2.Client) -> None:
    for _ in range(50):
        assert client.post("/raise", json={"what": "error"}).status_code == 500
        assert client.post("/async", json={"n": 1}).json() == 2


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
        (b'{"n": "\\ud800"}', "json_invalid", ""),
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


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b"x"),
        (
            "multipart/form-data; boundary=b",
            b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n",
        ),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n' * 2000 + b"--b--\r\n",
        ),
        ("multipart/form-data; boundary=" + "b" * 5000, b"x"),
    ],
)
def test_a_broken_or_flooding_form_is_the_callers_fault(client, kind: str, content: bytes) -> None:
    answer = client.post("/async", content=content, headers={"content-type": kind})
    assert 400 <= answer.status_code < 500, answer.text
    assert len(answer.content) < 1000
    assert client.post("/async", json={"n": 1}).json() == 2


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
    assert "the limit is 1024 bytes" in answer.json()["detail"]

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
