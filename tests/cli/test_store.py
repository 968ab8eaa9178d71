"""`towpath store`, as a user types it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.weed import KEYS, Weed, weed


def command(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "towpath", "store", *arguments],
        capture_output=True,
        text=True,
        env={
            "TOWPATH_DATA_DIR": str(folder),
            "TOWPATH_STORE_RESERVE": "0",
            "PATH": "/usr/bin:/bin",
            **env,
        },
        cwd=folder,
        check=False,
    )


def test_a_folder_is_tried_out_and_left_as_it_was(tmp_path: Path) -> None:
    done = command(tmp_path, "check")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 7
    assert all(line.startswith("ok ") for line in lines)
    store = tmp_path / ".towpath" / "state" / "store"
    for part in ("o", "m", "tmp"):
        assert [path for path in (store / part).rglob("*") if path.is_file()] == []


def test_json_has_a_trouble_for_each_promise(tmp_path: Path) -> None:
    done = command(tmp_path, "check", "--json", TOWPATH_STORE="memory://")
    findings = json.loads(done.stdout)
    assert {"promise", "trouble"} == set(findings[0])
    assert all(finding["trouble"] is None for finding in findings)


def test_a_store_that_does_not_answer_fails_at_once(tmp_path: Path) -> None:
    where = "s3://b/p?endpoint=http://127.0.0.1:9&region=x"
    done = command(tmp_path, "check", TOWPATH_STORE=where, **KEYS)
    assert done.returncode == 1
    assert done.stdout.startswith("FAILED  what is written is read back: The store does not answer")
    assert len(done.stdout.splitlines()) == 1


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    done = command(tmp_path, "check", TOWPATH_STORE=f"file://{tmp_path}/file")
    assert done.returncode == 1
    assert str(tmp_path / "file") in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("kind", ["nginx", "caddy"])
def test_configuration_has_names_address_and_folder(tmp_path: Path, kind: str) -> None:
    done = command(
        tmp_path,
        "front",
        kind,
        TOWPATH_PUBLIC_URL="https://api.example.org",
        TOWPATH_CDN_URL="https://files.example.org",
        TOWPATH_PORT="8123",
    )
    assert done.returncode == 0, done.stderr
    for word in ("api.example.org", "files.example.org", "127.0.0.1:8123", f"{tmp_path}/.towpath"):
        assert word in done.stdout


def test_another_front_is_a_usage_error(tmp_path: Path) -> None:
    done = command(tmp_path, "front", "apache")
    assert done.returncode == 2
    assert "nginx" in done.stderr


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weed]:
    with weed(tmp_path_factory.mktemp("weed")) as running:
        yield running


@pytest.mark.engines
@pytest.mark.timeout(300)
class TestOnS3:
    def test_a_real_store_keeps_every_promise(self, server: Weed, tmp_path: Path) -> None:
        done = command(tmp_path, "check", TOWPATH_STORE=server.store("x"), **KEYS)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.count("ok ") == 7

    def test_wrong_keys_are_told(self, server: Weed, tmp_path: Path) -> None:
        keys = {**KEYS, "AWS_SECRET_ACCESS_KEY": "another"}
        done = command(tmp_path, "check", TOWPATH_STORE=server.store("x"), **keys)
        assert done.returncode == 1
        assert "AWS_ACCESS_KEY_ID" in done.stdout
        assert "another" not in done.stdout + done.stderr
