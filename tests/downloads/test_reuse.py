import pytest

from towpath.downloads.reuse import Facts, Have, Head, verdict
from towpath.errors import FileTooLargeError

URL = "https://x.test/a.bin"


def head(size: int | None = 10, etag: str | None = None, modified: str | None = None) -> Head:
    return Head(URL, "a.bin", size, etag=etag, last_modified=modified)


def have(size: int = 10, etag: str | None = None, modified: str | None = None) -> Have:
    return Have(size, Facts("a.bin", size, 1, etag, modified))


@pytest.mark.parametrize(
    ("head", "have", "expected"),
    [
        (head(), None, "download"),
        (head(), have(), "reuse"),
        (head(size=11), have(), "download"),
        (head(size=None), have(), "download"),
        (head(etag='"1"'), have(etag='"1"'), "reuse"),
        (head(etag='W/"1"'), have(etag='"1"'), "reuse"),
        (head(etag='"2"'), have(etag='"1"'), "download"),
        (head(size=None, etag='"1"'), have(etag='"1"'), "reuse"),
        (head(modified="Mon"), have(modified="Mon"), "reuse"),
        (head(modified="Tue"), have(modified="Mon"), "download"),
        (head(size=11, modified="Mon"), have(modified="Mon"), "download"),
        (head(), Have(10), "reuse"),
        (head(size=9), Have(10), "download"),
        (head(size=None), Have(10), "download"),
    ],
)
def test_a_validator_decides_and_size_only_when_there_is_none(
    head: Head, have: Have | None, expected: str
) -> None:
    assert verdict(head, have, limit=None, force=False) == expected


def test_force_downloads_whatever_is_here() -> None:
    assert verdict(head(etag='"1"'), have(etag='"1"'), limit=None, force=True) == "download"


@pytest.mark.parametrize(
    ("size", "limit", "refused"), [(10, 10, False), (11, 10, True), (1, 0, True), (0, 0, False)]
)
def test_the_limit_is_judged_before_the_body(size: int, limit: int, refused: bool) -> None:
    if refused:
        with pytest.raises(FileTooLargeError) as caught:
            verdict(head(size=size), None, limit=limit, force=False)
        assert (caught.value.size, caught.value.limit) == (size, limit)
    else:
        assert verdict(head(size=size), None, limit=limit, force=False) == "download"
