import pytest

from towpath import settings as settings_room
from towpath.context import RequestContext, serving, set_lifetime_default
from towpath.uploads.default import choose_lifetime
from towpath.uploads.lifetimes import lifetime_in_header, seconds_of


@pytest.mark.parametrize(
    ("lifetime", "seconds"),
    [
        ("never", None),
        (None, None),
        ("immediate", 60),
        ("1h", 3600),
        ("1d", 86400),
        (1, 1),
        (90, 90),
        (3_153_600_000, 3_153_600_000),
    ],
)
def test_words_and_numbers_become_seconds(lifetime, seconds) -> None:
    assert seconds_of(lifetime) == seconds


@pytest.mark.parametrize("lifetime", [0, -1, "2h", 1.5, True, "", 3_153_600_001, 10**30])
def test_nonsense_names_the_words(lifetime) -> None:
    with pytest.raises(ValueError, match="30d"):
        seconds_of(lifetime)


@pytest.mark.parametrize(
    ("header", "lifetime"),
    [
        ('{"expiration_duration_seconds": 60}', 60),
        ('{"expiration_duration_seconds": null}', "never"),
        ('{"expiration_duration_seconds": 0}', "never"),
        ('{"initial_acl": {}}', None),
    ],
)
def test_the_lifecycle_header_is_read(header: str, lifetime) -> None:
    assert lifetime_in_header(header) == lifetime


def test_a_call_wins_over_the_request_the_app_and_the_setting(tmp_path) -> None:
    settings = settings_room.load(data_dir=tmp_path, media_expires_in="1d")
    header = {"x-fal-object-lifecycle-preference": '{"expiration_duration_seconds": 7}'}
    request = RequestContext("id", "e", "a", headers=header)
    with settings_room.using(settings):
        assert choose_lifetime(None) == "1d"
        set_lifetime_default("1h")
        try:
            assert choose_lifetime(None) == "1h"
            with serving(request):
                assert choose_lifetime(None) == 7
                assert choose_lifetime("never") == "never"
            assert (
                choose_lifetime(
                    None, {"x-fal-object-lifecycle": '{"expiration_duration_seconds": 0}'}
                )
                == "never"
            )
        finally:
            set_lifetime_default(None)


def test_a_malformed_header_is_ignored_with_one_warning(tmp_path, caplog) -> None:
    request = RequestContext("id", "e", "a", headers={"x-fal-object-lifecycle": "nonsense"})
    with settings_room.using(settings_room.load(data_dir=tmp_path)), serving(request):
        assert choose_lifetime(None) == "never"
    assert len(caplog.records) == 1


@pytest.mark.parametrize("seconds", ["1e3", "10" * 20, "1" + "0" * 5000, "[" * 50_000])
def test_a_header_that_no_clock_can_hold_is_malformed(seconds: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        lifetime_in_header('{"expiration_duration_seconds": ' + seconds + "}")
