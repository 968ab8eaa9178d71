"""Which parameters of a URL are a signature, and which say which file is meant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towpath.downloads.places import key_of
from towpath.downloads.signatures import without_signature

URL = "https://files.example/a/w.bin"
V4 = "Algorithm Credential Date Expires SignedHeaders Signature"
SCHEMES = {
    "AWS 4": " ".join(f"X-Amz-{name}" for name in V4.split()),
    "AWS 2": "AWSAccessKeyId Expires Signature",
    "Google Cloud Storage 4": " ".join(f"X-Goog-{name}" for name in V4.split()),
    "Google Cloud Storage 2": "GoogleAccessId Expires Signature",
    "Google Cloud CDN": "KeyName Expires Signature",
    "CloudFront, canned": "Key-Pair-Id Expires Signature",
    "CloudFront, custom": "Key-Pair-Id Policy Signature",
    "Azure, service": "sv sr sp se sig",
    "Azure, stored policy": "sv sr si sig",
    "Azure, account": "sv ss srt sp se sig",
    "Aliyun OSS 1": "OSSAccessKeyId Expires Signature",
    "Aliyun OSS 2": "x-oss-signature-version x-oss-access-key-id x-oss-expires x-oss-signature",
    "Aliyun OSS 4": "x-oss-signature-version x-oss-credential x-oss-date x-oss-expires "
    "x-oss-signature",
    "Tencent COS": "q-sign-algorithm q-ak q-sign-time q-key-time q-header-list q-url-param-list "
    "q-signature",
    "Huawei OBS": "AccessKeyId Expires Signature",
    "Volcengine TOS": " ".join(f"X-Tos-{name}" for name in V4.split()),
}
NAMES = {title: names.split() for title, names in SCHEMES.items()}


def query_of(names: list[str], value: str) -> str:
    return "&".join(f"{name}={value}{at}" for at, name in enumerate(names))


@pytest.mark.parametrize("title", SCHEMES)
def test_a_link_that_is_signed_anew_means_the_same_file(title: str) -> None:
    names = NAMES[title]
    first, second = (f"{URL}?v=3&{query_of(names, value)}" for value in ("a", "b"))
    assert key_of(first) == key_of(second) == key_of(f"{URL}?v=3")
    assert key_of(f"{URL}?{query_of(names[::-1], 'c')}") == key_of(URL)
    assert key_of(f"{URL}?v=4&{query_of(names, 'a')}") != key_of(first)


@pytest.mark.parametrize(
    ("title", "missing"), [(title, name) for title in SCHEMES for name in NAMES[title]]
)
def test_a_part_of_a_scheme_is_a_part_of_the_identity(title: str, missing: str) -> None:
    """Trust T20: only a scheme as a whole is a signature."""
    names = [name for name in NAMES[title] if name != missing]
    first, second = (f"{URL}?{query_of(names, value)}" for value in ("a", "b"))
    assert len({key_of(first), key_of(second), key_of(URL)}) == 3


@pytest.mark.parametrize(
    "name",
    [
        "token",
        "access_token",
        "auth",
        "hmac",
        "sr",
        "st",
        "sp",
        "sv",
        "se",
        "sig",
        "policy",
        "Policy",
        "signature",
        "Signature",
        "expires",
        "Expires",
        "X-Amz-Signature",
        "X-Amz-Meta-Part",
        "X-Goog-Signature",
        "x-oss-process",
        "key",
        "auth_key",
        "hdnts",
        "Authorization",
    ],
)
def test_one_name_alone_is_a_part_of_the_identity(name: str) -> None:
    """Trust T20."""
    assert len({key_of(f"{URL}?{name}=1"), key_of(f"{URL}?{name}=2"), key_of(URL)}) == 3


@pytest.mark.parametrize(
    ("query", "left"),
    [
        (f"versionId=7&{query_of(NAMES['AWS 4'], 'a')}&X-Amz-Security-Token=t", "versionId=7"),
        (f"{query_of(NAMES['AWS 4'], 'a')}&X-Amz-Meta-Part=2", "X-Amz-Meta-Part=2"),
        (f"{query_of(NAMES['AWS 4'], 'a')}&token=2", "token=2"),
        (f"x-oss-process=w_100&{query_of(NAMES['Aliyun OSS 4'], 'a')}", "x-oss-process=w_100"),
        (f"{query_of(NAMES['Azure, service'], 'a')}&st=1&spr=https&snapshot=2", "snapshot=2"),
        (f"{query_of(NAMES['CloudFront, custom'], 'a')}&Expires=9&Hash-Algorithm=SHA256", ""),
        (f"a=%20+&b&=&{query_of(NAMES['AWS 2'], 'a')}", "a=%20+&b&="),
    ],
)
def test_what_is_left_of_a_signed_query_stays_as_it_is(query: str, left: str) -> None:
    assert without_signature(query) == left


@pytest.mark.parametrize("title", SCHEMES)
@pytest.mark.parametrize("change", ["empty", "twice", "other case"])
def test_a_signature_that_no_service_would_take_is_none(title: str, change: str) -> None:
    query = query_of(NAMES[title], "a")
    signing = next(name for name in NAMES[title] if name.lower().endswith(("sig", "signature")))
    changed = {
        "empty": query.replace(f"{signing}=", f"{signing}=&x="),
        "twice": f"{query}&{signing}=b",
        "other case": query.replace(f"{signing}=", f"{signing.upper()}_="),
    }[change]
    assert without_signature(changed) == changed


@given(st.text(alphabet="abX-=&+%;", max_size=60))
def test_a_query_without_a_signature_is_kept_to_the_letter(query: str) -> None:
    assert without_signature(query) == query
