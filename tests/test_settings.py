import os
import subprocess
import sys
from pathlib import Path

import pytest

from towpath.app.definition import App
from towpath.codecs.clips import check_encoder
from towpath.errors import AppDefinitionError, SettingsError
from towpath.settings import load, load_given
from towpath.uploads.lifetimes import seconds_of


def test_what_code_gives_wins_over_the_environment_and_dotenv(monkeypatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "TOWPATH_PORT=1\nTOWPATH_OWNER=dotenv\nTOWPATH_LOG_LEVEL=debug\n"
    )
    monkeypatch.setenv("TOWPATH_PORT", "2")
    monkeypatch.setenv("TOWPATH_OWNER", "env")
    settings = load(port=3)
    assert (settings.port, settings.owner, settings.log_level) == (3, "env", "debug")


def test_sizes_lists_and_lifetimes_are_read_as_people_write_them(monkeypatch) -> None:
    monkeypatch.setenv("TOWPATH_MAX_BODY_BYTES", "1.5MiB")
    monkeypatch.setenv("TOWPATH_ALLOW_HOSTS", "127.0.0.1, *.internal ,")
    monkeypatch.setenv("TOWPATH_MEDIA_EXPIRES_IN", "90")
    settings = load()
    assert settings.max_body_bytes == 1_572_864
    assert settings.allow_hosts == ("127.0.0.1", "*.internal")
    assert settings.media_expires_in == 90


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "99999"),
        ("MAX_BODY_BYTES", "lots"),
        ("MAX_BODY_BYTES", "-1"),
        ("MEDIA_EXPIRES_IN", "0"),
        ("MEDIA_EXPIRES_IN", "soon"),
        ("PUBLIC_URL", "ftp://x"),
        ("PUBLIC_URL", "files.example.org"),
        ("OWNER", "Not OK"),
        ("STORE", "s3://"),
        ("STORE", "ftp://host/folder"),
        ("ADMIN_TOKEN", "short"),
        ("STORE_READS", "sometimes"),
        ("TRUSTED_PROXIES", "nonsense"),
        ("LOG_FORMAT", "xml"),
        ("ALLOW_HOSTS", "http://x"),
        ("ALLOW_HOSTS", "127.0.0.1, a b"),
        ("ALLOW_HOSTS", "10.0.0.0/99"),
        ("ALLOW_HOSTS", "user@x"),
        ("HOST_NAMES", "a b"),
        ("HOST_NAMES", "https://x"),
        ("HOST_NAMES", "x/path"),
        ("HOST_NAMES", "x:80"),
        ("CORS_ORIGINS", "foo"),
        ("CORS_ORIGINS", "https://x/path"),
        ("CORS_ORIGINS", "https://*.x"),
        ("DATABASE", "mysql://x"),
        ("DATABASE", "sqlite:/x"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(monkeypatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"TOWPATH_{name}", value)
    with pytest.raises(SettingsError, match=f"TOWPATH_{name}"):
        load()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALLOW_HOSTS", "box, *.lan, a_b.lan., 10.0.0.1:80, 10.0.0.0/8, 10.0.0.0/8:80, *"),
        ("ALLOW_HOSTS", "::1, [::1]:80, [::1], fd00::/8, fe80::1%eth0"),
        ("HOST_NAMES", "box, box.lan, *.own.test, *, 10.0.0.1, ::1"),
        ("CORS_ORIGINS", "*"),
        ("CORS_ORIGINS", "https://a.test, http://localhost:3000, http://[::1]:1, app-x://abcdef"),
        ("DATABASE", "postgresql://u@h/x"),
        ("DATABASE", "postgresql+psycopg:///x?host=/run"),
        ("DATABASE", "sqlite:////var/queue.db"),
        ("MEDIA_EXPIRES_IN", "7d"),
        ("MEDIA_EXPIRES_IN", "3153600000"),
    ],
)
def test_every_form_of_a_value_that_the_manual_names_is_read(monkeypatch, name, value) -> None:
    monkeypatch.setenv(f"TOWPATH_{name}", value)
    load()


@pytest.mark.parametrize("value", ["2h", "7 days", "7x", "0", "3153600001", "-1", "1.5", "", True])
def test_every_wrong_lifetime_has_one_sentence(value) -> None:
    """It names the words, `7d` among them (trust T55)."""
    form = "give seconds of at least 1 and at most 3153600000 (100 years), or one of never, "
    with pytest.raises(SettingsError) as failed:
        load(media_expires_in=value)
    assert f"{form}immediate, 1h, 1d, 7d, 30d, 1y" in str(failed.value)
    with pytest.raises(ValueError) as refused:
        seconds_of(value)
    assert form in str(refused.value)
    if not isinstance(value, bool) and value:
        with pytest.raises(AppDefinitionError, match="or one of never, immediate, 1h, 1d, 7d"):
            type("Film", (App,), {"media_expires_in": f"{value} "})


@pytest.mark.parametrize(
    "line",
    [
        "TOWPATH_KEYS me:x",
        "TOWPATH_KEYS: me:x",
        "TOWPATH_KEYS",
        "export TOWPATH_KEYS me:x",
        'TOWPATH_KEYS="me:x',
        "towpath_keys me:x",
    ],
)
def test_a_line_of_dotenv_that_cannot_be_read_is_named(tmp_path: Path, line: str) -> None:
    """A server that skips it starts without keys (trust T55)."""
    (tmp_path / ".env").write_text(f"# mine\n{line}\nHF_TOKEN=x\n")
    with pytest.raises(SettingsError) as failed:
        load()
    assert ".env, line 2 cannot be read: write " in str(failed.value)
    assert "me:x" not in str(failed.value), "it may be a secret"


def test_lines_of_dotenv_as_people_write_them_are_read(tmp_path: Path) -> None:
    text = "\ufeffexport TOWPATH_KEYS='a:b'\n  TOWPATH_PORT = 7\n\n#TOWPATH_HOST x\nOTHER thing\ntowpath_owner=o\n"
    (tmp_path / ".env").write_text(text)
    settings = load()
    assert (settings.keys, settings.port, settings.owner) == (("a:b",), 7, "o")


@pytest.mark.parametrize("name", ["TOWPATH_FOO", "TOWPATH_X", "TOWPATH_"])
def test_a_variable_that_is_like_none_has_no_hint(monkeypatch, name: str) -> None:
    monkeypatch.setenv(name, "x")
    with pytest.raises(SettingsError) as failed:
        load()
    assert str(failed.value) == f"{name} is not a setting."


def test_an_encoder_that_this_machine_lacks_is_refused() -> None:
    with pytest.raises(SettingsError, match="no video encoder x999"):
        check_encoder("x999")
    check_encoder("auto")
    check_encoder("mpeg4")


def test_an_unknown_variable_names_the_nearest(monkeypatch) -> None:
    monkeypatch.setenv("TOWPATH_ALOW_HOSTS", "x")
    with pytest.raises(SettingsError, match="Did you mean TOWPATH_ALLOW_HOSTS"):
        load()


def test_dotenv_may_hold_other_programs_variables_but_no_unknown_one_of_ours(tmp_path) -> None:
    (tmp_path / ".env").write_text("OPENAI_API_KEY=x\nexport TOWPATH_PORT=9\n")
    assert load().port == 9
    (tmp_path / ".env").write_text("TOWPATH_PRT=9\n")
    with pytest.raises(SettingsError, match="Did you mean TOWPATH_PORT"):
        load()
    (tmp_path / ".env").unlink()
    with pytest.raises(SettingsError, match="TOWPATH_PROT"):
        load(prot=1)


def test_secrets_are_not_shown_and_do_not_reach_a_runner(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TOWPATH_KEYS", "me:s3cret")
    settings = load(data_dir=tmp_path)
    assert "s3cret" not in repr(settings)
    environment = settings.environment_of_runner()
    assert "TOWPATH_KEYS" not in environment
    assert environment["TOWPATH_DATA_DIR"] == str(tmp_path)
    assert "PATH" in environment


def test_what_a_runner_gets_means_the_same(monkeypatch, tmp_path: Path) -> None:
    given = load(data_dir=tmp_path, allow_hosts="a,b", media_expires_in=60, store_reserve=0)
    for name, value in given.to_environment().items():
        monkeypatch.setenv(name, value)
    assert load() == given


@pytest.mark.parametrize(
    ("given", "origin", "files"),
    [
        ({}, "http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ({"host": "::1", "port": 1}, "http://[::1]:1", "http://[::1]:1"),
        ({"public_url": "https://x.test/base/"}, "https://x.test/base", "https://x.test/base"),
        ({"cdn_url": "https://f.test"}, "http://127.0.0.1:8000", "https://f.test"),
        ({"cdn_port": 9}, "http://127.0.0.1:8000", "http://127.0.0.1:9"),
        ({"cdn_port": 9, "public_url": "https://x.test"}, "https://x.test", "https://x.test"),
    ],
)
def test_urls_start_where_the_settings_say(given: dict, origin: str, files: str) -> None:
    settings = load(**given)
    assert (settings.origin, settings.files_origin) == (origin, files)


@pytest.mark.parametrize(
    ("given", "safe"),
    [
        ({}, True),
        ({"host": "localhost"}, True),
        ({"host": "127.0.0.9"}, True),
        ({"host": "10.0.0.5"}, False),
        ({"host": "10.0.0.5", "keys": "a:b"}, True),
        ({"host": "10.0.0.5", "no_auth": True}, True),
        ({"host": "0.0.0.0", "keys": "a:b"}, False),
        ({"host": "0.0.0.0", "keys": "a:b", "public_url": "http://x.test"}, True),
    ],
)
def test_nobody_gets_in_by_accident(given: dict, safe: bool) -> None:
    if safe:
        assert load(**given).checked_for_serving()
    else:
        with pytest.raises(SettingsError):
            load(**given).checked_for_serving()


def test_folders_follow_the_data_directory(tmp_path: Path) -> None:
    assert load(data_dir=tmp_path).state == tmp_path / ".towpath" / "state"
    assert load(data_dir="~/x").data_dir == Path.home() / "x"


@pytest.fixture
def dotenv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / ".env"


def test_trust_t55_what_dotenv_holds_for_the_app_reaches_its_environment(
    dotenv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dotenv.write_text(
        "OPENAI_API_KEY=of-the-app\n"
        "export lower_case='two words'\n"
        "ALREADY_SET=by-the-file\n"
        "NO_VALUE\n"
        "TOWPATH_KEYS=id:hidden-key\n"
        "towpath_admin_token=hidden-token-hidden\n"
        "TOWPATH_DATABASE=postgresql://u:hidden@127.0.0.1/x\n"
        "TOWPATH_OWNER=someone\n"
    )
    monkeypatch.setenv("ALREADY_SET", "by-the-environment")
    given = load().environment_of_runner()
    assert given["OPENAI_API_KEY"] == "of-the-app"
    assert given["lower_case"] == "two words"
    assert given["ALREADY_SET"] == "by-the-environment"
    assert given["TOWPATH_OWNER"] == "someone"
    assert "NO_VALUE" not in given
    assert "hidden" not in str(given)


def test_trust_t55_a_runner_reads_no_operators_secret_from_dotenv(dotenv: Path) -> None:
    dotenv.write_text("TOWPATH_KEYS=id:secret\nTOWPATH_ADMIN_TOKEN=0123456789abcdef\n")
    assert load().keys == ("id:secret",)
    ours = load_given()
    assert (ours.keys, ours.admin_token) == ((), None)


def test_trust_t55_no_dotenv_is_no_error(dotenv: Path) -> None:
    assert "PATH" in load().environment_of_runner()


def test_a_variable_without_a_name_does_not_reach_runners() -> None:
    """A server can be started with one (`env =value`); no process can be executed with it."""
    code = "from towpath.settings import load; print('' in load().environment_of_runner())"
    env = {**os.environ, "": "value"}
    told = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True)
    assert told.stdout == b"False\n"
