"""No text that is given as a URL raises anything but the errors that are documented (trust T14)."""

import socket
from collections.abc import Callable
from contextlib import suppress

import obstore
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from towpath import settings as settings_room
from towpath.downloads.places import canonical, key_of
from towpath.errors import BlockedAddressError, DownloadError, InvalidURLError, SettingsError
from towpath.files.file import File
from towpath.files.inputs import ImageInput
from towpath.net.policy import AddressPolicy, parse_target
from towpath.toolkit import clone_repository, download_file, download_files, download_model_weights

pytestmark = pytest.mark.usefixtures("strict_settings", "no_network")
ODD = [
    "http://[pub.test]/",
    "http://[",
    "http://[::1%25x]:99999999999999999999/",
    "http://x:" + "9" * 5000 + "/",
    "http://x:٣/",
    "http://℀.test/",
    "http://" + "ü" * 300 + ".test/",
    "http://a.test/?token=1&b=\ud800",
    "http://a.test/?Expires=1&Signature=2&Key-Pair-Id=3&b=\udfff",
    "http://a.test/\ud800",
    "http://a.test/%00%0a%2f..%2f",
    "http://a\x00b.test/",
    " http://a.test/ ",
    "//a.test/x",
    "",
    "\x00",
    "data:",
    "data:,",
    "data:" + "x" * 2000 + ",y",
    "data:;base64,\ud800",
    "data:\ud800,x",
    "data:a/b;base64,====",
    "data:,%",
    "DATA:;BASE64,QQ",
    "s3://[x/y",
    "s3://b/a//b",
    "s3://b/../x",
    "s3://b/%00",
    "s3://b/%FF",
    "s3://\ud800/x",
    "s3://a@b/c",
    "gs://" + "x" * 300 + "/y",
    "az://container/blob",
    "hf://a/b@\ud800/x",
    "hf://a/b/\udc80",
    "hf://a/b@[/x",
    "hf://",
    "file:///etc/passwd",
    "ftp://[x]/",
    "x" * 70_000,
    "http://a.test/" + "x" * 70_000,
]
PIECES = ["http", "https", "data", "s3", "gs", "hf", "ftp", ":", "//", "/", "[", "]", "@", "?", "#"]
PIECES += ["%", "%00", "%ff", ";base64", ",", ".", "..", "&", "=", "token", "\ud800", "\x00", "ü"]
PIECES += ["a.test", "127.0.0.1", "::1", ":80", ":x", " ", "\\", "\n", "٣", "\u2100", "xn--", "-"]
texts = st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=12).map("".join))


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every name leads inside; every object is missing."""

    answer = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer)
    real = obstore.get
    memory = obstore.store.MemoryStore()
    monkeypatch.setattr(obstore, "get", lambda _, key, options: real(memory, key, options=options))


INPUTS = TypeAdapter(ImageInput)
SOURCES = {"s3", "gs", "az", "hf"}
CALLS: dict[str, Callable[[str], object]] = {
    "file": lambda text: download_file(text, "in"),
    "file, all sources": lambda text: download_file(text, "in", sources=SOURCES),
    "file, with headers": lambda text: download_file(text, "in", request_headers={"X-A": "1"}),
    "file, by digest": lambda text: download_file(text, "in", sha256="0" * 64),
    "weights": download_model_weights,
    "clone": clone_repository,
    "bytes": lambda text: File.model_construct(url=text).as_bytes(),
    "path": lambda text: File.model_construct(url=text).to_path(),
    "input": lambda text: INPUTS.validate_python(text).to_path(),
    "proxy": lambda text: download_file("http://a.test/", "in", proxy=text),
    "redirect": parse_target,
}


def sentence_of(call: Callable[[str], object], text: str) -> str:
    """Return what a call says of *text*; '' if it takes it, or a form would refuse it."""
    try:
        with suppress(ValidationError):
            call(text)
    except DownloadError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("kind", CALLS)
@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_odd_texts_raise_what_is_documented(kind: str, text: str) -> None:
    assert len(sentence_of(CALLS[kind], text).encode()) < 1000


@pytest.mark.parametrize("kind", CALLS)
@settings(max_examples=60)
@given(text=texts)
def test_any_text_raises_what_is_documented(kind: str, text: str) -> None:
    assert len(sentence_of(CALLS[kind], text).encode()) < 3000


@settings(max_examples=200)
@given(text=texts)
@example(text="http://[pub.test]/")
def test_a_file_is_refused_as_a_field_of_a_form_is(text: str) -> None:
    with suppress(ValidationError):
        File(url=text)


@given(text=texts)
def test_every_text_has_a_key(text: str) -> None:
    assert len(key_of(text)) == 64
    assert canonical(canonical(text)) == canonical(text)


def test_the_error_of_many_is_a_group_of_them() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        download_files(ODD[:12], "in")
    assert {isinstance(each, DownloadError) for each in caught.value.exceptions} == {True}


@pytest.mark.parametrize("value", [None, 1, b"http://a.test/", ["http://a.test/"], object()])
def test_what_is_no_text_is_no_url(value: object) -> None:
    for call in (download_file, download_model_weights):
        arguments = ("in",) if call is download_file else ()
        with pytest.raises(InvalidURLError, match="text"):
            call(value, *arguments)
        with pytest.raises(InvalidURLError, match="text"):
            call(value, *arguments, sha256="0" * 64)


hosts = st.one_of(
    st.text(alphabet=st.characters(exclude_characters="\x00", exclude_categories=["Cs"])),
    st.lists(st.sampled_from([*PIECES[:-1], "*", "10.0.0.0/8", ":" + "9" * 5000]), max_size=6).map(
        "".join
    ),
)


@settings(max_examples=200)
@given(text=hosts)
def test_any_list_of_hosts_is_read_or_is_an_error_of_the_settings(text: str) -> None:
    try:
        own = settings_room.load(allow_hosts=text)
    except SettingsError:
        return
    target = parse_target("http://a.test/")
    policy = AddressPolicy((*own.allow_hosts, text))
    assert policy.judge(target, ["8.8.8.8"]) == ("8.8.8.8",)
    with suppress(BlockedAddressError):
        policy.judge(target, ["10.0.0.1", "fe80::1%eth0"])
