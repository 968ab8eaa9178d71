from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towpath.errors import BlockedAddressError, InvalidURLError
from towpath.net.policy import AddressPolicy, is_public, parse_target

PRIVATE = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fec0::1",
    "fd00:ec2::254",
    "ff02::1",
    "2001:db8::1",
    "2001::1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::a00:1",
    "64:ff9b:1::a00:1",
    "2002:a00:1::",
    "2002:7f00:1::1",
    "2606:4700::5efe:10.0.0.1",
    "::10.0.0.1",
]
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "172.15.255.255",
    "172.32.0.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_special_addresses_are_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_their_public_neighbours_are(address: str) -> None:
    assert is_public(ip_address(address))


@given(st.sampled_from([a for a in PRIVATE if ":" not in a]))
def test_no_wrapping_makes_a_private_address_public(text: str) -> None:
    number = int(IPv4Address(text))
    for wrapped in (
        IPv6Address((0xFFFF << 32) | number),
        IPv6Address((0x64FF9B << 96) | number),
        IPv6Address((0x2002 << 112) | (number << 80)),
    ):
        assert not is_public(wrapped)


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("https://Example.COM/a b".replace(" ", "%20"), "example.com", 443, "/a%20b"),
        ("http://example.com.:8080?q=1", "example.com", 8080, "/?q=1"),
        ("http://[2606:4700::1]:81/x#frag", "2606:4700::1", 81, "/x"),
        ("https://bücher.example/ü", "xn--bcher-kva.example", 443, "/%C3%BC"),
        ("http://2130706433/", "2130706433", 80, "/"),
    ],
)
def test_a_url_is_read_once_and_strictly(url: str, host: str, port: int, path: str) -> None:
    target = parse_target(url)
    assert (target.host, target.port, target.path) == (host, port, path)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/x",
        "file:///etc/passwd",
        "gopher://example.com",
        "javascript:alert(1)",
        "example.com/x",
        "http://",
        "http:///x",
        "http://user:secret@example.com/",
        "http://good\\@bad/",
        "http://exa mple.com/",
        "http://example.com/\r\nX: y",
        "http://example.com\x00.evil.test/",
        "http://example.com:99999/",
        "http://example.com:x/",
        "http://example.com:0/",
        "http://[::1/",
        "http://a..b/",
        "http://" + "a" * 300 + "/",
        "http://127.0.0.1%25eth0/",
    ],
)
def test_urls_that_could_mean_two_things_are_refused(url: str) -> None:
    with pytest.raises(InvalidURLError) as caught:
        parse_target(url)
    assert "secret" not in str(caught.value)


def test_one_private_address_among_several_is_enough_to_refuse() -> None:
    target = parse_target("http://mixed.test/")
    with pytest.raises(BlockedAddressError, match="not public") as caught:
        AddressPolicy().judge(target, ["8.8.8.8", "10.0.0.1"])
    assert (caught.value.host, caught.value.address) == ("mixed.test", "10.0.0.1")
    assert "10.0.0.1" not in str(caught.value)


@pytest.mark.parametrize("length", [253, 254])
def test_a_host_is_at_most_as_long_as_names_are(length: int) -> None:
    host = ".".join(["a" * 49] * 6)[:length].ljust(length, "b")
    url = f"http://{host}/"
    if length == 253:
        assert parse_target(url).host == host
    else:
        with pytest.raises(InvalidURLError, match="253"):
            parse_target(url)


def test_a_host_is_as_long_as_its_ascii_form() -> None:
    """Each label grows when it is encoded: 251 letters become more than a name may have."""
    host = ".".join(["ü" * 20] * 12)
    assert len(host) < 253 < len(host.encode("idna"))
    with pytest.raises(InvalidURLError, match="no usable host"):
        parse_target(f"http://{host}/")


@pytest.mark.parametrize(
    ("entry", "url", "address", "passes"),
    [
        ("127.0.0.1", "http://127.0.0.1:5/", "127.0.0.1", True),
        ("127.0.0.1:5", "http://127.0.0.1:5/", "127.0.0.1", True),
        ("127.0.0.1:6", "http://127.0.0.1:5/", "127.0.0.1", False),
        ("10.0.0.0/8", "http://store.internal/", "10.9.8.7", True),
        ("10.0.0.0/8", "http://store.internal/", "192.168.0.1", False),
        ("10.0.0.0/8", "http://store.internal/", "::ffff:10.9.8.7", True),
        ("store.internal", "http://store.internal/", "10.9.8.7", True),
        ("store.internal", "http://other.internal/", "10.9.8.7", False),
        ("*.internal", "http://store.internal/", "10.9.8.7", True),
        ("*.internal", "http://internal/", "10.9.8.7", False),
        ("[::1]:80", "http://[::1]/", "::1", True),
        ("::1", "http://[::1]/", "::1", True),
        ("store.internal:443", "http://store.internal/", "10.9.8.7", False),
    ],
)
def test_the_allow_list_lets_named_hosts_and_networks_pass(
    entry: str, url: str, address: str, passes: bool
) -> None:
    policy = AddressPolicy((entry,))
    if passes:
        assert policy.judge(parse_target(url), [address]) == (address,)
    else:
        with pytest.raises(BlockedAddressError):
            policy.judge(parse_target(url), [address])
