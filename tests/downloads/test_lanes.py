"""How many helper connections there are: those of one host, and those of the whole process."""

from towpath.downloads.lanes import Lanes


def test_a_host_has_as_many_as_its_download_allows_and_no_more() -> None:
    lanes = Lanes()
    assert [lanes.take("a.test", 3) for _ in range(4)] == [True, True, True, False]
    assert lanes.take("b.test", 3)
    lanes.give("a.test")
    assert [lanes.take("a.test", 3) for _ in range(2)] == [True, False]


def test_a_process_has_32_whatever_the_hosts() -> None:
    lanes = Lanes()
    taken = [lanes.take(f"{number % 5}.test", 100) for number in range(33)]
    assert taken == [True] * 32 + [False]
    lanes.give("0.test")
    assert [lanes.take("new.test", 100) for _ in range(2)] == [True, False]


def test_none_is_left_when_all_were_given_back() -> None:
    lanes = Lanes()
    for _ in range(3):
        assert lanes.take("a.test", 3)
    for _ in range(3):
        lanes.give("a.test")
    assert [lanes.take("a.test", 3) for _ in range(4)] == [True, True, True, False]


def test_a_forked_child_begins_with_none() -> None:
    lanes = Lanes()
    while lanes.take("a.test", 100):
        pass
    lanes.forget()
    assert [lanes.take("a.test", 100) for _ in range(33)] == [True] * 32 + [False]
