"""By which names a server without keys may be called: DNS rebinding (trust T17)."""

import pytest

from towpath.gateway.hosts import host_judge, is_loopback_name
from towpath.settings import load


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.0.0.1:8000", "127.3.2.1", "[::1]", "[::1]:8000", "192.168.1.5:8000"),
        *("localhost", "LOCALHOST:8000", "localhost.", "app.localhost", "queue.localhost"),
        *("api.example.org", "API.example.org:443", "api.example.org.", "queue.api.example.org"),
        *("rest.api.example.org", "files.example.net", "box.lan", "a.own.test", "b.a.own.test", ""),
    ],
)
def test_names_of_our_own_are_answered(host: str) -> None:
    assert (
        judge(public_url="https://api.example.org/x", cdn_url="http://files.example.net")(host)
        is None
    )


@pytest.mark.parametrize(
    "host",
    [
        *("evil.test", "evil.test:8000", "127.0.0.1.evil.test", "localhost.evil.test", "own.test"),
        *("x.api.example.org", "api.example.org.evil.test", "notlocalhost", "127.1", "2130706433"),
        *("0x7f000001", "evilown.test", "queue.evil.test", "box.lan.evil"),
    ],
)
def test_other_names_are_refused_without_a_word_on_settings(host: str) -> None:
    refusal = judge(public_url="https://api.example.org/x", cdn_url="http://files.example.net")(
        host
    )
    assert refusal is not None
    assert "TOWPATH" not in refusal.told
    assert "TOWPATH_HOST_NAMES" in str(refusal)


def judge(**given: object):
    return host_judge(load(host_names="box.lan, *.own.test", **given))


def test_with_keys_every_name_is_answered() -> None:
    assert host_judge(load(keys="a:b"))("evil.test") is None


def test_a_star_is_every_name() -> None:
    assert host_judge(load(host_names="*"))("evil.test") is None


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        *[(name, True) for name in ("localhost", "a.localhost", "127.0.0.1", "127.9.9.9", "::1")],
        *[(name, False) for name in ("", "localhost.evil.test", "10.0.0.1", "0.0.0.0", "::")],
    ],
)
def test_what_a_loopback_name_is(name: str, is_one: bool) -> None:
    assert is_loopback_name(name) is is_one
