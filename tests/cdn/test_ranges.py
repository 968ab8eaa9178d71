from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towpath.cdn.ranges import Selection, select
from towpath.errors import RangeError

ETAG = '"abc"'
MODIFIED = 1_700_000_000
DATE = formatdate(MODIFIED, usegmt=True)
OLDER = formatdate(MODIFIED - 10, usegmt=True)
NEWER = formatdate(MODIFIED + 10, usegmt=True)


def ask(size: int = 10, **headers: str) -> Selection:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return select(named, etag=ETAG, modified=MODIFIED + 0.5, size=size)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", (206, 0, 1)),
        ("bytes=0-9", (206, 0, 10)),
        ("bytes=0-", (206, 0, 10)),
        ("bytes=5-", (206, 5, 10)),
        ("bytes=2-4", (206, 2, 5)),
        ("bytes=8-99", (206, 8, 10)),
        ("bytes=-3", (206, 7, 10)),
        ("bytes=-99", (206, 0, 10)),
        ("Bytes= 2 - 4 ", (206, 2, 5)),
        ("bytes=4-2", (200, 0, 10)),
        ("bytes=-", (200, 0, 10)),
        ("bytes=a-b", (200, 0, 10)),
        ("bytes=1-2,99-", (206, 1, 3)),
        ("bytes=,1-2,,", (206, 1, 3)),
        ("bytes=1-2,x", (200, 0, 10)),
        ("bytes=0-6,3-9", (200, 0, 10)),
        ("bytes=,", (200, 0, 10)),
        ("items=0-1", (200, 0, 10)),
        ("bytes", (200, 0, 10)),
        ("bytes=" + "0-1," * 5000, (200, 0, 10)),
        ("bytes=0-" + "9" * 30, (200, 0, 10)),
    ],
)
def test_a_range_gives_its_part_and_nonsense_gives_all(header: str, expected: tuple) -> None:
    selection = ask(range=header)
    assert (selection.status, *selection.spans[0]) == expected


def test_several_ranges_are_several_spans_in_the_order_of_the_request() -> None:
    assert ask(range="bytes=7-8, 1-2 ,-1").spans == ((7, 9), (1, 3), (9, 10))
    assert ask(100, range="bytes=" + ",".join(f"{n}-{n}" for n in range(8))).status == 206
    assert ask(100, range="bytes=" + ",".join(f"{n}-{n}" for n in range(9))).status == 200


def test_a_head_has_no_ranges() -> None:
    selection = select({"range": "bytes=0-1"}, etag=ETAG, modified=1, size=9, method="HEAD")
    assert selection == Selection(200, ((0, 9),))


@pytest.mark.parametrize(
    ("header", "size"),
    [
        ("bytes=10-", 10),
        ("bytes=99-100", 10),
        ("bytes=99-,100-,-0", 10),
        ("bytes=-0", 10),
        ("bytes=0-", 0),
        ("bytes=-5", 0),
    ],
)
def test_a_range_outside_is_an_error_with_the_size(header: str, size: int) -> None:
    with pytest.raises(RangeError) as caught:
        ask(size, range=header)
    assert caught.value.size == size


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"if_none_match": ETAG}, 304),
        ({"if_none_match": f"W/{ETAG}"}, 304),
        ({"if_none_match": f'"x", {ETAG}'}, 304),
        ({"if_none_match": "*"}, 304),
        ({"if_none_match": '"x"'}, 200),
        ({"if_none_match": '"x"', "if_modified_since": DATE}, 200),
        ({"if_modified_since": DATE}, 304),
        ({"if_modified_since": NEWER}, 304),
        ({"if_modified_since": OLDER}, 200),
        ({"if_modified_since": "nonsense"}, 200),
        ({"if_match": ETAG}, 200),
        ({"if_match": "*"}, 200),
        ({"if_match": f"W/{ETAG}"}, 412),
        ({"if_match": '"x"'}, 412),
        ({"if_unmodified_since": OLDER}, 412),
        ({"if_unmodified_since": DATE}, 200),
        ({"if_match": ETAG, "if_unmodified_since": OLDER}, 200),
        ({"if_match": '"x"', "if_none_match": ETAG}, 412),
    ],
)
def test_conditions_are_judged_in_the_order_of_rfc_9110(headers: dict, status: int) -> None:
    assert ask(**headers).status == status


@pytest.mark.parametrize(
    ("if_range", "status"),
    [(ETAG, 206), ('"x"', 200), (f"W/{ETAG}", 200), (DATE, 206), (OLDER, 200), ("nonsense", 200)],
)
def test_if_range_compares_strongly(if_range: str, status: int) -> None:
    assert ask(range="bytes=0-1", if_range=if_range).status == status


@given(
    st.integers(0, 50),
    st.one_of(st.none(), st.integers(0, 60)),
    st.one_of(st.none(), st.integers(0, 60)),
)
def test_every_range_agrees_with_slicing(size: int, first: int | None, last: int | None) -> None:
    data = bytes(range(size))
    header = f"bytes={'' if first is None else first}-{'' if last is None else last}"
    if first is None and last is None:
        expected = data
    elif first is None:
        expected = data[-last:] if last else None
    elif last is not None and last < first:
        expected = data
    else:
        expected = data[first : None if last is None else last + 1]
    try:
        selection = ask(size, range=header)
    except RangeError:
        assert not expected
        return
    ((start, stop),) = selection.spans
    assert data[start:stop] == expected


TAGS = st.sampled_from(
    [ETAG, f"W/{ETAG}", '"x"', 'W/"x"', "*", f'"x", {ETAG}', f'"x",W/{ETAG}', ""]
)
DATES = st.sampled_from([DATE, OLDER, NEWER, "nonsense"])


MOMENTS = {DATE: MODIFIED, OLDER: MODIFIED - 10, NEWER: MODIFIED + 10}


def is_listed(header: str, *, weak: bool) -> bool:
    """Return whether the file's validator is in a list of them."""
    tags = [tag.strip() for tag in header.split(",")]
    return header == "*" or ETAG in tags or (weak and f"W/{ETAG}" in tags)


def has_failed(headers: dict[str, str]) -> bool:
    """RFC 9110, 13.2.2, steps 1 and 2."""
    if "if-match" in headers:
        return not is_listed(headers["if-match"], weak=False)
    return MOMENTS.get(headers.get("if-unmodified-since", ""), MODIFIED) < MODIFIED


def is_unmodified(headers: dict[str, str]) -> bool:
    """Steps 3 and 4."""
    if "if-none-match" in headers:
        return is_listed(headers["if-none-match"], weak=True)
    return MOMENTS.get(headers.get("if-modified-since", ""), 0) >= MODIFIED


def slow_status(headers: dict[str, str]) -> int:
    """All steps, for a GET."""
    if has_failed(headers):
        return 412
    if is_unmodified(headers):
        return 304
    return 206 if "range" in headers and headers.get("if-range", ETAG) in {ETAG, DATE} else 200


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "if-match": TAGS,
            "if-none-match": TAGS,
            "if-modified-since": DATES,
            "if-unmodified-since": DATES,
            "range": st.just("bytes=2-4"),
            "if-range": st.sampled_from([ETAG, f"W/{ETAG}", '"x"', DATE, OLDER, "nonsense"]),
        },
    )
)
def test_conditions_agree_with_the_steps_of_the_rfc(headers: dict[str, str]) -> None:
    selection = select(headers, etag=ETAG, modified=MODIFIED, size=10)
    assert selection.status == slow_status(headers)
    if selection.status == 206:
        assert selection.spans == ((2, 5),)
